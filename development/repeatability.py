"""Make anthropo/measurement/repeatability.csv: how far photographs of one person differ in each measurement.

    python development/repeatability.py FOLDER [MORE...] > anthropo/measurement/repeatability.csv

FOLDER holds photographs and `labels.csv` (photo, patient, sex, expression: neutral or smiling) of people who
have both; MORE are folders of photographs, for what other files and other light change. What each column is:
anthropo/measurement/repeatability.py; what is assumed of light and cameras: benchmarks/retests.py. How well
it holds for people who are not in it: benchmarks/repeatability.py. Not in it, because no photographs showed
it: another day, another camera, another hairstyle.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from anthropo.measurement.registry import PIXELS, registry
from anthropo.measurement.repeatability import FILES as COLUMNS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import retests
from retests import FILES, NAMES, Look, look

Pair = tuple[Look, Look]
DRAWS = 8  # lights that each photo is seen in


def picture(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def files_of(image: Image.Image, as_taken: Look) -> dict[str, list[Look]]:
    """A photograph as taken and as other files."""
    found = {kind: [look(change(image)) for change in changes] for kind, changes in FILES.items()}
    return {"as taken": [as_taken]} | {k: [one for one in v if one] for k, v in found.items()}


def people_sd(looks: dict[str, Look], sexes: dict[str, str]) -> dict[str, float]:
    """SD of each measurement between people of one sex."""
    spread = {}
    for name in NAMES:
        values = {who: one.values[name].value for who, one in looks.items() if one.usable(name)}
        groups = [
            np.array([v for who, v in values.items() if sexes[who] == sex]) for sex in {*sexes.values()}
        ]
        groups = [group for group in groups if len(group) > 1]
        if groups:
            total = sum(((group - group.mean()) ** 2).sum() for group in groups)
            spread[name] = float(np.sqrt(total / sum(len(group) - 1 for group in groups)))
    return spread


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("more", type=Path, nargs="*")
    arguments = parser.parse_args()
    people = retests.read_pairs(arguments.folder)
    with open(arguments.folder / "labels.csv", newline="") as file:
        sexes = {row["patient"]: row["sex"] for row in csv.DictReader(file)}
    pairs, first, groups, light, small = [], [], [], [], []
    neutral: dict[str, Look] = {}
    for patient, photos in people.items():
        images = [picture(photos[e]) for e in ("neutral", "smiling") if e in photos]
        for fine, into in ((True, pairs), (False, first)):
            looks = [look(image, fine) for image in images]
            if len(looks) == 2 and all(looks):
                into.append(tuple(looks))
            if fine and looks and looks[0]:
                neutral[patient] = looks[0]
                groups.append(files_of(images[0], looks[0]))
                light.append(retests.lit_sd(images[0], DRAWS))
                small.append((looks[0], retests.thumbnails(images[0], looks[0])))
    for folder in arguments.more:
        for photos in retests.read_pairs(folder).values():
            image = picture(photos["neutral"])
            if as_taken := look(image):
                groups.append(files_of(image, as_taken))
                light.append(retests.lit_sd(image, DRAWS))
                small.append((as_taken, retests.thumbnails(image, as_taken)))
    write(pairs, first, groups, light, small, people_sd(neutral, sexes))


def usual(values: Sequence[float]) -> float:
    """Their root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def write(
    pairs: Sequence[Pair],
    first: Sequence[Pair],
    groups: Sequence[dict[str, list[Look]]],
    light: Sequence[dict[str, dict[str, float]]],
    small: Sequence[tuple[Look, list[tuple[float, Look]]]],
    spread: dict[str, float],
) -> None:
    """The table on standard output."""
    photo, count = retests.photo_sd(pairs)
    alone, _ = retests.photo_sd(first)
    files = retests.file_sd(groups)
    turned, tiny = retests.pose_sd(), retests.small_sd(small)
    lit = {
        (kind, name): usual([one[kind][name] for one in light if name in one[kind]])
        for kind in retests.LIGHT
        for name in NAMES
        if registry()[name].kind in PIXELS
    }
    writer = csv.writer(sys.stdout, lineterminator="\n")
    last = ("small", "pose", "lens", "photo", "pairs", "first", "people", "reliability")
    writer.writerow(("measurement", "sd", "jitter", *COLUMNS, *last))
    shares = []
    for name in NAMES:
        if name not in photo or name not in spread:
            continue
        pixels = registry()[name].kind in PIXELS
        parts = {kind: files[kind].get(name, 0.0) for kind in FILES}
        if pixels:
            parts |= {kind: lit[kind, name] for kind in retests.LIGHT}
        jitter, lens = None, 0.0
        if not pixels:
            jitter, lens = usual([a.jitter[name] for a, _ in pairs]), usual([a.lens[name] for a, _ in pairs])
        total = float(np.sqrt(photo[name] ** 2 + sum(v**2 for v in parts.values()) + lens**2))
        pose = None if pixels else turned[name]
        files_of_one = (*(parts.get(column) for column in COLUMNS), tiny.get(name))
        row = (total, jitter, *files_of_one, pose, lens, photo[name])
        reliability = max(0.0, 1 - (total / spread[name]) ** 2)
        of_first = None if pixels else alone[name]
        writer.writerow(
            (name, *("" if v is None else f"{v:.4g}" for v in row), count[name],
             "" if of_first is None else f"{of_first:.4g}", f"{spread[name]:.4g}", f"{reliability:.2f}")
        )  # fmt: skip
        if not pixels and count[name] and not retests.moves(name):
            shares.append(photo[name] / usual([a.hands[name] for a, _ in pairs]))
    print(f"photo over the landmarks' error against hands: {np.median(shares):.2f}", file=sys.stderr)


if __name__ == "__main__":
    main()
