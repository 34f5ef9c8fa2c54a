"""Accuracy: how many healthy people have a trait against how many changes of 4 SD are found, at every limit.

    python benchmarks/trait_limits.py TABLE.csv [MORE.csv...] --beyond BEYOND.csv [--studios FOLDER...]
        [--figure FILE.png]

TABLE and BEYOND are those of `benchmarks/all_ages.py`: people of all ages, each scored by curves of four
fifths of the others, with the group named. FOLDER holds photographs of a studio as for
`benchmarks/traits.py`, scored by the table that the commands choose. Every objective trait of one measurement
is asked; then the measurement is moved by 4 SD of people in the trait's direction, and asked again. Two kinds
of limit are tried: the share of the interval of z that has to be beyond 2 (`--confidence`), and z itself
beyond a number.

The last lines are the best that can be had: people whose z-scores are normal and as related as those of the
people measured, once without any error (of photographs, and of the reference), once with the error of
photographs of a studio.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
from all_ages import FOLDS, OLDEST, measurements_of, reference_of
from numpy.typing import NDArray
from traits import OF_STUDIOS, RULES, neutral

from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import registry
from anthropo.reference.curve_fitting import fit_curves
from anthropo.reference.rules import Condition
from anthropo.reference.suited import best_reference
from anthropo.reference.tables import Reference, load_reference
from anthropo.reference.zscore import ZScore, group_named, score

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "development"))
from people_of_all_ages import GROUPS, YOUNGEST, read_faces

Floats = NDArray[np.float64]

#: Measurement, with its side, and the range of z that makes a trait of it.
QUESTIONS: tuple[tuple[str, Condition], ...] = tuple(
    (rule.measurements[0] + side, rule.conditions[0])
    for rule in RULES
    if len(rule.measurements) == 1
    for side in (("_R", "_L") if rule.side == "each" else ("",))
    if registry()[rule.measurements[0] + side].decides
)
CHANGE = 4.0  # SD of people
CONFIDENCES = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.1)
LIMITS = (2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4)
DRAWS = 200_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, as the person is and after the change. Everything towards the trait."""

    person: int
    name: str
    up: bool
    z: float  # -inf where groups of ancestry disagree, and so nothing is called
    back: float  # half of the 95 % interval of z, on the side of the limit
    moved: float
    moved_back: float
    shift: float  # of z, by the change


def answers(
    person: int,
    measured: Sequence[Measurement],
    reference: Reference,
    sex: str,
    age: float,
    group: str | None,
) -> Iterator[Answer]:
    """What can be asked of one person."""
    by_name = {m.id: m for m in measured}
    for name, condition in QUESTIONS:
        row, _ = reference.choose(name, sex, age, group_named(reference, group))
        if row is None or name not in by_name or not math.isfinite(by_name[name].value):
            continue
        up, own = condition.high == math.inf, by_name[name]
        by = (1 if up else -1) * CHANGE * row.sd
        other = replace(own, value=own.value + by, lo=own.lo + by, hi=own.hi + by)
        (a,), (b,) = (score([one], [reference], sex=sex, age=age, ancestry=group) for one in (own, other))
        if not a.reason and math.isfinite(a.z_lo) and math.isfinite(b.z_lo):
            yield Answer(person, name, up, *towards(a, condition), *towards(b, condition), abs(b.z - a.z))


def towards(of: ZScore, condition: Condition) -> tuple[float, float]:
    """z in the direction of the trait, and how far its interval reaches back."""
    low, high = of.whole
    if any(not condition.holds(z, z) for z in of.by_group.values()):
        return -math.inf, 0.0
    return (of.z, of.z - low) if condition.high == math.inf else (-of.z, high - of.z)


@dataclass(frozen=True, slots=True)
class Population:
    """Those who can be asked anything."""

    name: str
    asked: Sequence[Answer]

    def at(self, called: Callable[[float, float], bool]) -> tuple[int, int, float]:
        """People with any trait, people, and the share of changes that are found."""
        people = {a.person for a in self.asked}
        some = {a.person for a in self.asked if called(a.z, a.back)}
        return len(some), len(people), float(np.mean([called(a.moved, a.moved_back) for a in self.asked]))


def by_confidence(confidence: float) -> Callable[[float, float], bool]:
    share = NormalDist().inv_cdf((1 + confidence) / 2) / NormalDist().inv_cdf(0.975)
    return lambda z, back: z - share * back > 2


def by_limit(limit: float) -> Callable[[float, float], bool]:
    return lambda z, _: z > limit


# ----------------------------------------------------------------------------------------- people


def from_the_web(tables: Sequence[Path], beyond: Path) -> Population:
    """Each under curves of the others."""
    faces = read_faces(tables, beyond)
    names = sorted({name for name, _ in QUESTIONS})
    fold = np.array([int(digest[:8], 16) % FOLDS for digest in faces.digests])
    asked: list[Answer] = []
    with tempfile.TemporaryDirectory() as folder:
        for k in range(FOLDS):
            fits = {}
            for name in names:
                rows, people = faces.people(name, limits=True)
                fits[name] = fit_curves(people.take(fold[rows] != k), len(GROUPS))
            reference = reference_of(fits, Path(folder))
            # by age: a curve remembers the ages that it was asked for last
            for i in sorted(np.flatnonzero((fold == k) & (faces.age <= OLDEST)), key=lambda i: faces.age[i]):
                who = measurements_of(
                    {name: float(faces.values[name][i]) for name in names},
                    {name: float(faces.errors[name][i]) for name in names},
                )
                age = float(faces.age[i])
                middle = age + 0.5 if age > YOUNGEST else 1.0001
                sex, group = "female" if faces.female[i] else "male", GROUPS[faces.group[i]]
                asked += answers(int(i), who, reference, sex, min(middle, OLDEST), group)
    return Population("web portraits", asked)


def from_a_studio(folder: Path, *, stated: bool) -> Population:
    """Each by the table that is chosen where nothing is asked for."""
    people, groups = neutral(folder, 1)
    asked: list[Answer] = []
    for i, person in enumerate(people):
        who = person.subject
        group = groups.get(who.patient) if stated else None
        reference = load_reference(best_reference(who.age, group, person.studio))
        group = OF_STUDIOS.get(group or "", group)
        asked += answers(i, person.measurements, reference, who.sex, who.age, group)
    return Population(folder.name + (", ancestry stated" if stated else ""), asked)


# ------------------------------------------------------------------------------- what could be had


def related(population: Population) -> tuple[list[str], Floats]:
    """Measurements, and how their z are correlated over people, as the nearest matrix that can be one."""
    names = sorted({a.name for a in population.asked})
    place = {name: m for m, name in enumerate(names)}
    z = np.full((max(a.person for a in population.asked) + 1, len(names)), np.nan)
    for a in population.asked:
        if math.isfinite(a.z):
            z[a.person, place[a.name]] = a.z if a.up else -a.z
    z = np.clip(z, -4, 4)  # a wrong label decides nothing
    pairs = np.ma.corrcoef(np.ma.masked_invalid(z), rowvar=False).filled(0.0)
    values, vectors = np.linalg.eigh(pairs)
    nearest = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    unit = np.sqrt(np.diag(nearest))
    return names, nearest / np.outer(unit, unit)


def best(names: Sequence[str], correlation: Floats, shift: float, limits: Floats) -> tuple[Floats, Floats]:
    """Shares (of people with any trait, of changes found) at limits, of normal z that are so related."""
    random = np.random.default_rng(0)
    z = random.standard_normal((DRAWS, len(names))) @ np.linalg.cholesky(correlation).T
    top = np.abs(z).max(axis=1)
    return (
        np.array([(top > limit).mean() for limit in limits]),
        np.array([1 - NormalDist().cdf(limit - shift) for limit in limits]),
    )


# ----------------------------------------------------------------------------------------- output


def print_population(of: Population) -> None:
    per_person = len(of.asked) / len({a.person for a in of.asked})
    shift = float(np.median([a.shift for a in of.asked]))
    print(
        f"\n### {of.name}: {len({a.person for a in of.asked})} people, {per_person:.0f} questions each; "
        f"{CHANGE:g} SD of people are {shift:.2f} of z\n"
    )
    print("| limit | people with any trait | changes found |\n|---|---|---|")
    for words, called in (
        *((f"confidence {c:g}", by_confidence(c)) for c in CONFIDENCES),
        *((f"z beyond {limit:g}", by_limit(limit)) for limit in LIMITS),
    ):
        some, people, found = of.at(called)
        print(f"| {words} | {some} of {people} ({100 * some / people:.1f} %) | {100 * found:.1f} % |")
    both = [(c, *of.at(by_limit(c))) for c in np.arange(1.5, 5, 0.02)]
    few = [found for _, some, people, found in both if some <= 0.03 * people]
    many = [some / people for _, some, people, found in both if found >= 0.85]
    print(
        f"\nBy z, with at most 3 % of people {100 * max(few):.1f} % of changes are found; with at least "
        f"85 % of changes {100 * min(many):.1f} % of people have a trait."
    )


def print_best(names: Sequence[str], correlation: Floats, shifts: Sequence[tuple[str, float]]) -> None:
    limits = np.arange(1.5, 5, 0.01)
    for words, shift in shifts:
        for how, matrix in (("related as measured", correlation), ("independent", np.eye(len(names)))):
            share, found = best(names, matrix, shift, limits)
            at = int(np.argmax(share <= 0.03))
            enough = int(np.flatnonzero(found >= 0.85)[-1])
            print(
                f"| {words}, {how} | {limits[at]:.2f} | {100 * found[at]:.1f} % | {limits[enough]:.2f} "
                f"| {100 * share[enough]:.1f} % |"
            )


def draw(populations: Sequence[Population], ceilings: Sequence[tuple[str, Floats, Floats]], to: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.fill_between([0, 3], 85, 100, color="#1a936f", alpha=0.18, lw=0)
    axes.text(0.15, 97.2, "wanted", color="#14694f", fontsize=9)
    colours = ("#1f5fa8", "#b8480a", "#6b3fa0", "#c2185b")
    for population, colour in zip(populations, colours, strict=False):
        by = [population.at(by_confidence(c)) for c in np.arange(0.02, 0.9999, 0.01)]
        share = [100 * some / people for some, people, _ in by]
        axes.plot(share, [100 * found for *_, found in by], color=colour, label=population.name)
        some, people, found = population.at(by_confidence(0.95))
        axes.plot(100 * some / people, 100 * found, "o", color=colour)
    for (words, share, found), style in zip(ceilings, ("-", "--"), strict=False):
        axes.plot(100 * share, 100 * found, style, color="#555555", label=words, lw=1)
    axes.set(xlim=(0, 20), ylim=(50, 100), xlabel="healthy people with any trait called present, %")
    axes.set_ylabel("changes of 4 SD called present, %")
    axes.grid(color="#dddddd", lw=0.5)
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(to, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--beyond", type=Path, required=True)
    parser.add_argument("--studios", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    populations = [from_the_web(arguments.tables, arguments.beyond)]
    for folder in arguments.studios:
        with open(folder / "labels.csv") as file:
            stated = "ethnicity" in file.readline()
        populations.append(from_a_studio(folder, stated=stated))
    for population in populations:
        print_population(population)
    names, correlation = related(populations[0])
    usual = float(np.median([a.shift for p in populations[1:] for a in p.asked] or [CHANGE]))
    shifts = (("no error", CHANGE), ("photographs of a studio", usual))
    print("\n### The best that can be had\n")
    print("| | z beyond, for 3 % of people | changes found | z beyond, for 85 % of changes | people |")
    print("|---" * 5 + "|")
    print_best(names, correlation, shifts)
    if arguments.figure:
        at = np.arange(1.5, 5, 0.01)
        ceilings = [
            (f"normal z, related as measured; {words}", *best(names, correlation, shift, at))
            for words, shift in shifts
        ]
        draw(populations, ceilings, arguments.figure)


if __name__ == "__main__":
    main()
