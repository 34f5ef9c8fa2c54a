"""Make anthropo/measurement/lag.csv: how far landmarks lag behind a face whose shape nearness changes.

    python development/lag.py FOLDER... > anthropo/measurement/lag.csv

Landmark models expect faces of the usual proportions. Where a near camera moves the jaw's outline up or makes
the lower lip higher, the landmarks that are found follow only a part of the way: outline points slide along
the outline, lips keep to the mean. Portraits of the FOLDERs are rendered from 20 to 60 cm
(`anthropo.synthetic.nearer`). The lag is what lies between the landmarks that measurements are taken from, as
they are found and as they were displaced, in the face's frame and per nearness (outer-canthal distance over
camera distance, above that at 150 cm): the median over portraits, least squares over distances, symmetric.
How well it does on portraits of other folders: benchmarks/perspective.py.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from anthropo.errors import AnthropoError
from anthropo.face.frame import in_face_frame
from anthropo.face.lens import REFERENCE, aim, brought, depths, face_size
from anthropo.measurement.anatomy import BETWEEN, mirror, place
from anthropo.measurement.perspective import between_depths
from anthropo.observation import observe
from anthropo.photo import SUFFIXES, read_photo
from anthropo.settings import Settings
from anthropo.synthetic import nearer

DISTANCES = (20, 30, 45, 60)  # cm
_SIDE = 640  # px, the longest short side of what is rendered
_FRONTAL = 10.0  # deg; portraits turned further are left out


def lags(path: Path, scratch: Path) -> np.ndarray | None:
    """Found minus displaced landmarks of one portrait, (distances, 74, 2); None where it is not frontal."""
    settings = Settings(face="largest")
    image = Image.fromarray(read_photo(path).pixels)
    image.thumbnail((2 * _SIDE, _SIDE) if image.width > image.height else (_SIDE, 2 * _SIDE))
    image.save(scratch, quality=95)
    face = observe(scratch, settings).face
    if max(abs(face.yaw), abs(face.pitch)) > _FRONTAL:
        return None
    placed = np.concatenate(place(face))
    axis, size = aim(placed), face_size(30.0)[0]
    deep = np.concatenate([depths(), between_depths(depths())])
    found = []
    for cm in DISTANCES:
        picture, _ = nearer(np.asarray(image), face.landmarks, cm)
        Image.fromarray(picture).save(scratch, quality=95)
        displaced = brought(placed, deep, axis, (size / REFERENCE, size / cm))
        seen = np.concatenate(place(observe(scratch, settings).face))
        found.append(in_face_frame(seen) - in_face_frame(displaced))
    return np.array(found)


def main(folders: list[str]) -> None:
    all_lags = []
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted(p for f in folders for p in Path(f).rglob("*") if p.suffix.lower() in SUFFIXES):
            try:
                found = lags(path, Path(scratch) / "near.jpg")
            except AnthropoError as error:
                print(error, file=sys.stderr)
                continue
            if found is not None:
                all_lags.append(found)
    middle = np.median(all_lags, axis=0)
    size = face_size(30.0)[0]
    nearness = np.array([size / cm - size / REFERENCE for cm in DISTANCES])
    lag = np.einsum("d,dpi->pi", nearness, middle) / (nearness**2).sum()
    lag = (lag + np.concatenate(mirror(lag[:68], lag[68:]))) / 2
    left = middle - nearness[:, None, None] * lag
    before, after = (np.sqrt((x**2).mean((1, 2))).round(4) for x in (middle, left))
    print(len(all_lags), "portraits; root mean square lag at", DISTANCES, "cm:", before, file=sys.stderr)
    print("what a line leaves of it:", after, file=sys.stderr)
    print("# How far the landmarks that are found lie from where nearness has displaced them, in the face's")
    print("# frame (outer-canthal distances; x towards the subject's left, y down) per nearness. Made by")
    print(f"# development/lag.py from {len(all_lags)} portraits.")
    print("landmark,dx,dy")
    for name, (x, y) in zip([*(f"p{i}" for i in range(68)), *BETWEEN], lag + 0.0, strict=True):
        print(f"{name},{x:.4f},{y:.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
