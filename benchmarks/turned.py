"""Turned photographs: how many are measured when upright, and refused when turned by 180 degrees.

    python benchmarks/turned.py FOLDER...

Also the spread of the landmarks over jittered boxes, median and 99 %, in outer-canthal distances.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from anthropo.errors import FaceError
from anthropo.face.landmarker import FIRST_DECODE, read_face
from anthropo.photo import SUFFIXES, Photo, read_photo


def outcome(photo: Photo) -> tuple[str, float]:
    """What becomes of a photo, and the spread of its landmarks."""
    try:
        return "measured", read_face(photo, face="largest").unsteadiness
    except FaceError as error:
        return "turned" if "Turn the photo" in str(error) else "other refusal", np.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    print("| folder | photos | as taken: measured | turned | other | spread, median | 99 % "
          "| by 180 degrees: measured | turned | other |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for folder in parser.parse_args().folders:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        photos = [read_photo(p, short_side=FIRST_DECODE) for p in paths]
        cells = [folder.name, str(len(photos))]
        for quarters in (0, 2):
            seen = [outcome(p if not quarters else Photo.from_array(np.rot90(p.pixels, 2))) for p in photos]
            cells += [
                str(sum(o == kind for o, _ in seen)) for kind in ("measured", "turned", "other refusal")
            ]
            if not quarters:
                cells += [f"{q:.4f}" for q in np.nanpercentile([s for _, s in seen], [50, 99])]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
