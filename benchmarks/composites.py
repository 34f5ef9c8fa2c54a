"""Composites: are they in the right shape, as sharp as photos, and quick? Does noise look significant?

    python benchmarks/composites.py COHORT.csv [--jobs 2] [--splits 200]

COHORT as for `anthropo composite`. Landmarks are detected in each label's composite and compared with
the mean shape; detail is the strength (standard deviation) of what a Gaussian of 1/80 outer-canthal
distance removes, inside the landmarks' outline. Then the people of the largest label are split many times at
random into two halves that do not differ: some landmark may be significant in one split of twenty.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import Delaunay

from anthropo.face.frame import outer_canthal_distance, similarity
from anthropo.face.warp import Mesh
from anthropo.groups.composite import (
    LabelShapes,
    align,
    average_face,
    displacement,
    find_sitters,
    label_shapes,
    placed,
)
from anthropo.learning.cohort import read_cohort
from anthropo.measurement import anatomy
from anthropo.observation import observe
from anthropo.photo import LUMA, Photo
from anthropo.settings import Settings

SIZE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--splits", type=int, default=200)
    arguments = parser.parse_args()
    cohort = read_cohort(arguments.cohort)
    start = time.perf_counter()
    faces = find_sitters(cohort.cases, Settings(), jobs=arguments.jobs)
    sitters, left_out = faces.sitters, faces.left_out
    finding = (time.perf_counter() - start) / len(cohort.cases)
    print(f"{len(sitters)} faces, {len(left_out)} photos left out\n")

    print("| label | people | landmarks off by, ex-ex | detail, photos | average | sharp |")
    print("|---|---|---|---|---|---|")
    found = label_shapes(sitters)
    seconds = {False: 0.0, True: 0.0}
    for group in found:
        own = [s for s in sitters if s.label == group.label]
        pictures = {}
        for sharp in (False, True):
            start = time.perf_counter()
            pictures[sharp] = average_face(own, group.mean, size=SIZE, sharp=sharp, jobs=arguments.jobs)
            seconds[sharp] += time.perf_counter() - start
        single = np.mean([detail(average_face([s], group.mean, size=SIZE), group) for s in own[:20]])
        print(
            f"| {group.label} | {group.patients} | {error(pictures[False], group):.4f} | {single:.2f} | "
            f"{detail(pictures[False], group):.2f} | {detail(pictures[True], group):.2f} |"
        )

    points = sitters[0].points
    photo = np.zeros((1000, 1000, 3), dtype=np.uint8)
    there = similarity(points, placed(found[0].mean, 500))
    inside = points @ there[:, :2].T + there[:, 2]
    print("\n| step | ms per photo |\n|---|---|")
    print(f"| finding the face, {arguments.jobs} threads | {1000 * finding:.0f} |")
    for sharp, spent in seconds.items():
        name = "averaging, sharp" if sharp else "averaging"
        print(f"| {name}, {SIZE} px, {arguments.jobs} threads | {1000 * spent / len(sitters):.0f} |")
    for size in (160, SIZE):
        mesh = Mesh(placed(found[0].mean, size), (size, round(0.9 * size)))
        runs = []
        for _ in range(15):
            start = time.thread_time()
            mesh.warp(photo, inside)
            runs.append(time.thread_time() - start)
        print(f"| one warp to {size} px from 1000 px, time of the processor | {1000 * np.median(runs):.1f} |")

    largest = max(found, key=lambda group: group.patients)
    random = np.random.default_rng(0)
    half = largest.patients // 2
    hits = 0
    for _ in range(arguments.splits):
        people = align(random.permutation(largest.shapes))
        one, two = LabelShapes("a", half, people[:half]), LabelShapes("b", half, people[half : 2 * half])
        hits += bool((displacement(one, two, permutations=499).p_adjusted < 0.05).any())
    print(
        f"\n{largest.label} in two random halves of {half}, {arguments.splits} times: some landmark "
        f"significant in {100 * hits / arguments.splits:.1f} % (should be 5 %)"
    )


def error(pixels: np.ndarray, group: LabelShapes) -> float:
    """Mean distance of landmarks found in a composite from the mean shape, turned and scaled onto it."""
    photo = Photo.from_array(pixels)
    face = observe(photo).face
    points = anatomy.apply(anatomy.instrument("fine").correction, face.landmarks, face.anatomy)[0]
    there = similarity(points, group.mean)
    return float(np.hypot(*(points @ there[:, :2].T + there[:, 2] - group.mean).T).mean())


def detail(pixels: np.ndarray, group: LabelShapes) -> float:
    """Strength of the finest detail inside the landmarks' outline, grey levels."""
    points = placed(group.mean, SIZE)
    unit = outer_canthal_distance(points)
    grey = pixels @ LUMA
    rows, columns = np.mgrid[0 : pixels.shape[0], 0 : pixels.shape[1]]
    inside = Delaunay(points).find_simplex(np.stack([columns.ravel(), rows.ravel()], -1)) >= 0
    fine = grey - gaussian_filter(grey, unit / 80)
    return float(fine.ravel()[inside].std())


if __name__ == "__main__":
    main()
