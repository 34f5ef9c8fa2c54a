"""Repeatability: other photographs of a person and other files of a photograph, and what z-scores make of it.

    python benchmarks/repeatability.py FRL [--other FOLDER] [--video FILE] [--limit N] [--dlib]

FRL holds photographs and `labels.csv` (photo, patient, expression: neutral or smiling, age, sex). The
intervals of repeatability are judged on people who were not used for them: the standard deviations of
repeatability.csv are fitted anew to the other four fifths (`development/repeatability.py` ships those of
all). --other is another studio, of which nothing was used for the reference. Then z-scores: of FRL's
people under a reference made from the others, of the other studio's under the shipped one.
--dlib compares how steady lengths are over ten files of a photo with dlib's own points.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import retests
import traits
from PIL import Image
from retests import FILES, MIXED, NAMES, Look, half, look, moves

from anthropo.batch.inputs import Item
from anthropo.measurement.compute import Z95, geometry
from anthropo.measurement.registry import PIXELS, registry
from anthropo.measurement.repeatability import repeatability
from anthropo.reference.build import Subject
from anthropo.reference.tables import Reference, load_reference
from anthropo.reference.traits import NOT_ASSESSED, PRESENT
from anthropo.reference.zscore import by_chance, score

FOLDS = 5
CONFIDENCES = (0.95, 0.9, 0.8, 0.68, 0.5, 0.3)
Pair = tuple[Look, Look]


# ------------------------------------------------------------------------------------- retests


class Person:
    """The looks at one person: neutral and smiling, each as taken and as mixed files, and single changes."""

    def __init__(self, photos: Mapping[str, Path]) -> None:
        images = {e: Image.open(path).convert("RGB") for e, path in photos.items()}
        self.as_taken = {e: one for e, image in images.items() if (one := look(image))}
        self.mixed = {e: [one for m in MIXED if (one := look(m(image)))] for e, image in images.items()}
        neutral = images["neutral"]
        self.files = {
            kind: [one for change in changes if (one := look(change(neutral)))]
            for kind, changes in FILES.items()
        }

    def pairs(self) -> Iterator[tuple[str, Pair]]:
        """Retests, by what differs."""
        neutral, smiling = self.as_taken.get("neutral"), self.as_taken.get("smiling")
        if neutral:
            for kind, others in self.files.items():
                yield from ((kind, (neutral, other)) for other in others)
        if neutral and smiling:
            yield "another photo", (neutral, smiling)
            for a in self.mixed["neutral"]:
                yield from (("another photo and file", (a, b)) for b in self.mixed["smiling"])


class Fitted:
    """SD of each measurement between photos of these people, whatever the camera's distance."""

    def __init__(self, people: Sequence[Person]) -> None:
        both = [(p.as_taken["neutral"], p.as_taken["smiling"]) for p in people if len(p.as_taken) == 2]
        photo, _ = retests.photo_sd(both)
        groups = [{"as taken": [p.as_taken["neutral"]]} | p.files for p in people if "neutral" in p.as_taken]
        self.files = retests.file_sd(groups)
        self.total = {
            n: math.sqrt(photo[n] ** 2 + sum(self.files[k].get(n, 0.0) ** 2 for k in FILES)) for n in photo
        }
        #: What a smile changes on average.
        self.shift = {n: float(d.mean()) for n in NAMES if len(d := retests.differences(n, both))}


def reach(name: str, one: Look, sd: Mapping[str, float]) -> float:
    """Half-width of the interval of repeatability, with an SD in place of the packaged one."""
    growth = 1.0 if registry()[name].kind in PIXELS else one.growth
    packaged = repeatability()[name].within("fine")
    new = half(one.values[name]) ** 2 + (Z95 * growth) ** 2 * (sd[name] ** 2 - packaged**2)
    return math.sqrt(max(new, 0.0))


Held = dict[tuple[str, str], list[bool]]  # by what differs, and group of measurements


def group_of(name: str) -> str:
    entry = registry()[name]
    return "colour, eye, texture" if entry.kind in PIXELS else entry.region


def by_part(pairs: Sequence[tuple[str, Pair]], files: Mapping[str, Mapping[str, float]]) -> Held:
    """Whether two files differ by less than the part of the SD allows that stands for what differs."""
    held: Held = defaultdict(list)
    for what, pair in pairs:
        for name, sd in files.get(what, {}).items():
            d = retests.differences(name, [pair])
            if len(d):
                held[f"{what}, by its own part", group_of(name)].append(abs(d[0]) <= Z95 * math.sqrt(2) * sd)
    return held


def judge(pairs: Sequence[tuple[str, Pair]], sd: Mapping[str, float], shift: Mapping[str, float]) -> Held:
    """Whether two looks differ by less than both intervals allow; of what a smile moves, less the shift."""
    held: Held = defaultdict(list)
    for what, (a, b) in pairs:
        for name in sd:
            if a.usable(name) and b.usable(name) and math.isfinite(half(a.values[name])):
                apart = b.values[name].value - a.values[name].value
                if moves(name) and what.startswith("another"):
                    apart -= shift.get(name, 0.0)
                allowed = math.hypot(reach(name, a, sd), reach(name, b, sd))
                moved = ", moved by a smile" if moves(name) and what.startswith("another") else ""
                held[what + moved, group_of(name)].append(abs(apart) <= allowed)
    return held


def coverage(people: Sequence[Person], others: Sequence[Person]) -> None:
    """Coverage of retests, of people who were not fitted."""
    held: Held = defaultdict(list)
    order = np.random.default_rng(0).permutation(len(people)) % FOLDS
    for fold in range(FOLDS):
        train, test = (
            [p for p, f in zip(people, order, strict=True) if (f == fold) == out] for out in (False, True)
        )
        of_train, pairs = Fitted(train), [pair for p in test for pair in p.pairs()]
        for found in (judge(pairs, of_train.total, of_train.shift), by_part(pairs, of_train.files)):
            for key, values in found.items():
                held[key] += values
    print_coverage("people who were not fitted", held)
    if others:
        pairs, of_all = [pair for p in others for pair in p.pairs()], Fitted(people)
        print_coverage("another studio", judge(pairs, of_all.total, {}) | by_part(pairs, of_all.files))


def print_coverage(title: str, held: Held) -> None:
    groups = ["eye", "brow", "nose", "mouth", "face", "jaw", "colour, eye, texture"]
    print(f"\n| {title}: what differs | geometry | {' | '.join(groups)} |")
    print("|---|---|" + "---|" * len(groups))
    for what in dict.fromkeys(what for what, _ in held):
        cells = [held.get((what, group), []) for group in groups]
        every = [
            v for group, values in zip(groups, cells, strict=True) for v in values if "colour" not in group
        ]
        shares = [f"{100 * np.mean(v):.1f} %" if v else "–" for v in (every, *cells)]
        print(f"| {what} | {' | '.join(shares)} |")


def sides(people: Sequence[Person]) -> None:
    """Left against right: error that is not shared by both sides can be no larger than their difference."""
    neutral = [p.as_taken["neutral"] for p in people if "neutral" in p.as_taken]
    print("\n| left against right | SD of one side by their difference | SD of repeating |\n|---|---|---|")
    for name in NAMES:
        other = name[:-2] + "_L"
        if name.endswith("_R") and registry()[name].kind == "distance":
            d = [
                n.values[name].value - n.values[other].value
                for n in neutral
                if n.usable(name) and n.usable(other)
            ]
            print(
                f"| {name[:-2]} | {np.std(d, ddof=1) / math.sqrt(2):.4f} | {repeatability()[name].sd:.4f} |"
            )


def frames(path: Path) -> None:
    """Frames of a video: brows and canthi, which speech does not move."""
    from anthropo.video import open_video

    looks = [one for photo in open_video(path).photos(32) if (one := look(Image.fromarray(photo.pixels)))]
    pairs = [("frames of a video", pair) for pair in zip(looks[::2], looks[1::2], strict=False)]
    sd = {name: row.within("fine") for name, row in repeatability().items() if not moves(name)}
    print_coverage(path.name, judge(pairs, sd, {}))


# ------------------------------------------------------------------------------------- z-scores


def by_ancestry(folder: Path, people: Sequence[traits.Person], references: Sequence[Reference]) -> None:
    """People with a trait present at the default, by the column `ethnicity`."""
    with open(folder / "labels.csv", newline="") as file:
        ancestry = {r["patient"]: r.get("ethnicity") or "not given" for r in csv.DictReader(file)}
    total: Counter[str] = Counter()
    with_trait: Counter[str] = Counter()
    for p, r in zip(people, references, strict=True):
        group = ancestry[p.subject.patient]
        total[group] += 1
        with_trait[group] += any(t.status == PRESENT for t in traits.called(p, r))
    print(
        "with a trait:", ", ".join(f"{group} {with_trait[group]} of {n}" for group, n in total.most_common())
    )


def scored(people: Sequence[traits.Person], references: Sequence[Reference]) -> None:
    """Half-widths of z, what lies beyond ±2, and people with a trait."""
    scores = [
        score(p.measurements, [r], sex=p.subject.sex, age=p.subject.age)
        for p, r in zip(people, references, strict=True)
    ]
    free = {e.id for e in geometry()}
    halves = [(z.z_hi - z.z_lo) / 2 for of in scores for z in of if z.id in free and math.isfinite(z.z_lo)]
    counts = [chance for of in scores for chance in by_chance(of)]
    print(
        "\n| people | z half-width, median over geometry | beyond ±2, mean (5 to 95 % of people) "
        "| by chance |"
    )
    print("|---|---|---|---|")
    beyond = [c.beyond for c in counts]
    low, high = np.quantile(beyond, [0.05, 0.95])
    print(
        f"| {len(people)} | ±{np.median(halves):.2f} | {np.mean(beyond):.1f} ({low:.0f} to {high:.0f}) "
        f"| {np.mean([c.expected for c in counts]):.1f} |"
    )
    print("\n| confidence | healthy people with a trait present | questions | 4 SD by arithmetic: present |")
    print("|---|---|---|---|")
    for confidence in CONFIDENCES:
        called = [
            traits.called(p, r, traits.RULES, confidence) for p, r in zip(people, references, strict=True)
        ]
        present = sum(any(t.status == PRESENT for t in of) for of in called)
        asked = Counter(t.status for of in called for t in of)
        total = sum(asked.values()) - asked[NOT_ASSESSED]
        moved = Counter(
            t.status
            for p, r in zip(people, references, strict=True)
            for t in traits.moved(p, r, 4, confidence)
        )
        of_moved = moved.total() - moved[NOT_ASSESSED]
        print(
            f"| {confidence:g} | {present} of {len(people)} ({100 * present / len(people):.0f} %) "
            f"| {asked[PRESENT]} of {total} | {100 * moved[PRESENT] / of_moved:.1f} % |"
        )
    names = Counter(f"{t.label} {t.side}" for p, r in zip(people, references, strict=True)
                    for t in traits.called(p, r) if t.status == PRESENT)  # fmt: skip
    print("present at the default:", ", ".join(f"{n} {k}" for n, k in names.most_common()) or "none")


def measured(folder: Path, limit: int | None, jobs: int) -> list[traits.Person]:
    with open(folder / "labels.csv", newline="") as file:
        labels = [r for r in csv.DictReader(file) if r.get("expression", "neutral") == "neutral"][:limit]
    rows = []
    for r in labels:
        if r["age"].replace(".", "").isdigit() and r["sex"] in ("female", "male"):
            path = str(folder / r["photo"])
            rows.append((Item(path), Subject(path, r["patient"], r["sex"], float(r["age"]))))
    return traits.measured(rows, jobs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--dlib", action="store_true")
    arguments = parser.parse_args()
    photos = list(retests.read_pairs(arguments.folder).values())[: arguments.limit]
    if arguments.dlib:
        from steadiness import against_dlib

        against_dlib([one["neutral"] for one in photos])
    people = [Person(one) for one in photos]
    others = []
    if arguments.other:
        more = list(retests.read_pairs(arguments.other).values())[: arguments.limit]
        others = [Person(one) for one in more]
    coverage(people, others)
    sides(people)
    if arguments.video:
        frames(arguments.video)
    healthy = measured(arguments.folder, arguments.limit, arguments.jobs)
    by_others = [
        traits.reference_of([q for q in healthy if q.subject.patient != p.subject.patient]) for p in healthy
    ]
    print(f"\n{arguments.folder.name}, under a reference made from the others")
    scored(healthy, by_others)
    by_ancestry(arguments.folder, healthy, by_others)
    if arguments.other:
        print(f"\n{arguments.other.name}, under the shipped reference")
        shipped = load_reference()
        elsewhere = [
            p for p in measured(arguments.other, arguments.limit, arguments.jobs) if 19 <= p.subject.age < 41
        ]
        scored(elsewhere, [shipped] * len(elsewhere))


if __name__ == "__main__":
    main()
