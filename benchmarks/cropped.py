"""Accuracy: where the chin is found when the photograph ends above it.

    python benchmarks/cropped.py FOLDER [--limit N]

Whole faces of the photographs in FOLDER are brought to 82 px between the outer canthi, as web portraits have
it, and cut at heights about the chin. "outside": how often the chin is found beyond the border. The changes
are against the same picture uncut, in outer-canthal distances (mean and SD over faces); they are of values
that `anthropo measure` does not report where the chin is outside. A chin that is cut is found at the border,
as `development/beyond.py` takes it.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from anthropo.errors import AnthropoError
from anthropo.face.frame import outer_canthal_distance
from anthropo.face.landmarker import Face, read_face
from anthropo.measurement.compute import measure_face
from anthropo.photo import SUFFIXES, Photo, read_photo

CHIN = 8
SIZE = 82.0  # px between the outer canthi
ABOVE = (
    -0.10,
    -0.05,
    0.0,
    0.05,
    0.10,
    0.15,
    0.20,
)  # outer-canthal distances
NAMES = ("face_height", "mandible_height", "bizygomatic_width")


def values(face: Face) -> dict[str, float]:
    """As if the photograph went on, and nothing were voided."""
    whole = dataclasses.replace(face, size=(1 << 20, 1 << 20), gate=())
    return {m.id: m.value for m in measure_face(whole, force=True) if m.id in NAMES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--limit", type=int, default=45, help="faces")
    arguments = parser.parse_args()
    changes: dict[float, list[list[float]]] = defaultdict(list)
    faces = 0
    for path in sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        if faces == arguments.limit:
            break
        try:
            photo = read_photo(path)
            face = read_face(photo)
            if abs(face.yaw) > 8 or any(c.name in ("outside", "mouth_open") and not c.ok for c in face.gate):
                continue
            picture = Image.fromarray(photo.finer().pixels)
            share = SIZE / outer_canthal_distance(face.landmarks)
            size = (round(picture.width * share), round(picture.height * share))
            pixels = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
            whole = read_face(Photo.from_array(pixels))
        except AnthropoError:
            continue
        chin = whole.landmarks[CHIN, 1]
        if chin - SIZE * min(ABOVE) > len(pixels):
            continue
        faces += 1
        at = values(whole)
        for above in ABOVE:
            try:
                cut = read_face(Photo.from_array(pixels[: round(chin - above * SIZE)]))
            except AnthropoError:
                continue
            now = values(cut)
            outside = cut.landmarks[CHIN, 1] > cut.size[1] - 0.5
            changes[above].append([outside, *(now[name] - at[name] for name in NAMES)])
    print(f"{faces} faces\n\n| the photo ends above the chin by | outside | {' | '.join(NAMES)} |")
    print("|---" * (2 + len(NAMES)) + "|")
    for above in ABOVE:
        of = np.array(changes[above])
        both = zip(np.nanmean(of, 0)[1:], np.nanstd(of, 0)[1:], strict=True)
        cells = (f"{mean:+.3f} ± {sd:.3f}" for mean, sd in both)
        print(f"| {above:+.2f} | {100 * of[:, 0].mean():.0f} % | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
