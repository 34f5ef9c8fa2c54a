"""Encoders: agreement with dlib's descriptor on the same chips, and speed in the same process.

    python benchmarks/encoders.py FOLDER [--photos 32] [--threads 1 2]

The peer is dlib-bin's face_recognition_model_v1.compute_face_descriptor, which uses one thread however
many there are. Every encoder gets the aligned face chips of the folder's photos, first one by one, then
32 of them in batches of 8, without mirroring. A time is the fastest of five rounds, in which peer and
encoders take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import dlib
import numpy as np
import torch

from anthropo.encoder.encoders import ENCODERS, load_encoder
from anthropo.encoder.regions import crops
from anthropo.errors import AnthropoError
from anthropo.face.landmarker import FIRST_DECODE, read_face
from anthropo.face.weights import locate
from anthropo.photo import SUFFIXES, read_photo

MANY = 32
ONE_BY_ONE = 6  # chips


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=MANY)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()

    print(f"torch {torch.__version__}, dlib-bin {dlib.__version__}; photos: {arguments.folder.name}\n")
    encoders, loading = {}, {}
    for name in ENCODERS:
        start = time.perf_counter()
        encoders[name] = load_encoder(name)
        loading[name] = time.perf_counter() - start
    sizes = {e.size for e in encoders.values()}
    chips: dict[int, list[np.ndarray]] = {size: [] for size in sizes}
    for path in sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        with contextlib.suppress(AnthropoError):
            photo = read_photo(path, short_side=FIRST_DECODE)
            face = read_face(photo, face="largest")
            for size in sizes:
                chips[size].append(crops(photo, face, ["face"], size)[0])
        if len(chips[150]) == arguments.photos:
            break
    stacks = {size: np.stack(c) for size, c in chips.items()}
    start = time.perf_counter()
    peer = dlib.face_recognition_model_v1(str(locate("face-resnet")))
    loading["dlib"] = time.perf_counter() - start
    theirs = np.array([peer.compute_face_descriptor(chip) for chip in stacks[150]])
    peer_batch = list(stacks[150][:8])

    print("| encoder | threads | smallest cosine | one by one, ms | × faster | in batches, ms | × faster |")
    print("|---|---|---|---|---|---|---|")
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for name, encoder in encoders.items():
            stack = stacks[encoder.size]
            batch = np.resize(stack, (MANY, *stack.shape[1:]))
            encoder.encode(batch)  # warm
            times = []
            for _ in range(5):
                times.append(
                    (
                        timed(lambda: [peer.compute_face_descriptor(c) for c in peer_batch[:3]]) / 3,
                        timed(
                            lambda e=encoder, s=stack: [
                                e.encode(c[None], mirror=False) for c in s[:ONE_BY_ONE]
                            ]
                        )
                        / len(stack[:ONE_BY_ONE]),
                        timed(lambda: peer.compute_face_descriptor(peer_batch)) / len(peer_batch),
                        timed(lambda e=encoder, b=batch: e.encode(b, mirror=False)) / MANY,
                    )
                )
            peer_one, one, peer_many, many = np.array(times).min(0) * 1000
            cosine = "-"
            if name == "face-resnet":
                ours = encoder.encode(stack, mirror=False)
                norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
                cosine = f"{((ours * theirs).sum(1) / norms).min():.7f} of {len(stack)}"
            print(
                f"| {name} | {threads} | {cosine} | {one:.1f} | {peer_one / one:.1f} | {many:.1f} | "
                f"{peer_many / many:.1f} |"
            )
            print(f"| dlib-bin | 1 | | {peer_one:.1f} | | {peer_many:.1f} | |")
    print("\n| encoder | load, s | parameters | weights file, MB | numbers per region | licence |")
    print("|---|---|---|---|---|---|")
    for name, encoder in encoders.items():
        size, dimension = locate(name).stat().st_size / 1e6, encoder.dimension
        print(
            f"| {name} | {loading[name]:.2f} | {encoder.parameters:,} | {size:.1f} | {dimension} "
            f"| {encoder.licence} |"
        )
    print(f"| dlib-bin | {loading['dlib']:.2f} | | | 128 | |")


if __name__ == "__main__":
    main()
