"""Speed: photo file to landmarks, against the usual dlib recipe on the same photo in the same run.

    python benchmarks/landmarking.py FOLDER [--repeat 5]

The peer decodes the whole photo with Pillow, runs dlib's frontal face detector at full resolution
and its shape predictor on every face (dlib-bin, weights already loaded). anthropo runs
`read_face(face="largest")` with jitter on. Both use one thread. The floor is Pillow's reduced JPEG
decode alone, at the reduction that anthropo chose. A photo's time is its fastest repetition.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import dlib
import numpy as np
from PIL import Image, ImageOps

from anthropo.errors import AnthropoError
from anthropo.face.landmarker import FIRST_DECODE, read_face
from anthropo.face.weights import locate
from anthropo.photo import SUFFIXES, read_photo


def best(work: Callable[[], object], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    photos = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(locate("landmarks-68")))

    def peer(path: Path) -> int:
        pixels = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        return len([predictor(pixels, box) for box in detector(pixels, 0)])

    def floor(path: Path, scale: int) -> None:
        image = Image.open(io.BytesIO(path.read_bytes()))
        if scale > 1:
            image.draft(None, (image.size[0] // scale, image.size[1] // scale))
        image.load()

    print("| photo | MP | dlib, s | faces | anthropo, ms | found | times faster | decode, ms | × decode |")
    print("|---|---|---|---|---|---|---|---|---|")
    ratios, floors, lost = [], [], 0
    for path in photos:
        photo = read_photo(path, short_side=FIRST_DECODE)
        try:
            read_face(str(path), face="largest")
            found = "yes"
        except AnthropoError:
            found = "NO"
        faces = peer(path)
        slow = best(lambda path=path: peer(path), max(1, arguments.repeat // 2))
        fast = best(lambda path=path: _read(path), arguments.repeat)
        bare = best(lambda path=path, scale=photo.decode_scale: floor(path, scale), arguments.repeat)
        lost += found == "NO"
        ratios.append(slow / fast)
        floors.append(fast / bare)
        megapixels = photo.full_size[0] * photo.full_size[1] / 1e6
        print(
            f"| {path.stem} | {megapixels:.0f} | {slow:.2f} | {faces} | {fast * 1e3:.0f} | {found} "
            f"| {slow / fast:.0f} | {bare * 1e3:.0f} | {fast / bare:.1f} |",
            flush=True,
        )
    print(f"\nmedian: {median(ratios):.1f} × faster than dlib, {median(floors):.2f} × the reduced decode")
    print(f"faces not found: {lost} of {len(photos)}")


def _read(path: Path) -> None:
    with contextlib.suppress(AnthropoError):
        read_face(str(path), face="largest")


if __name__ == "__main__":
    main()
