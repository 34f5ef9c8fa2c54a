"""Accuracy: the traits that are called in healthy adults, and in faces changed by a known amount.

    python benchmarks/traits.py FOLDER
    python benchmarks/traits.py FOLDER --default
    python benchmarks/traits.py --morphs [--patients N] [--sd 3 4]

FOLDER holds photographs and `labels.csv` (photo, patient, expression, age, sex); the neutral ones are
measured. Each person is compared with a reference that is built from the others, as `anthropo reference
build` does. (Landmarks and their correction are the packaged ones, which have seen these people: see
benchmarks/anatomy.py for what that is worth.) The second table moves one measurement of each of these
people, with its interval, by a number of standard deviations.

--default scores them as the commands do where nothing is asked for: by the shipped table that suits each of
them, once with ancestry unknown and, where `labels.csv` has a column `ethnicity`, once as it says. People
in a table show nothing there (frl are frl-adults); of web-all-ages no studio is a part.

--morphs does the same for synthetic pictures. Pictures follow a change only up to about 3 SD
(`Morph.range`), so the measured change is given beside the intended one. "Others": faces in which a trait is
present whose measurement does not, by definition, change with the intended one.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anthropo.batch.inputs import Item
from anthropo.batch.run import run
from anthropo.measurement.compute import Measurement
from anthropo.reference.build import Subject, build_reference, values_of
from anthropo.reference.rules import OBJECTIVE, Rule, read_rules
from anthropo.reference.suited import best_reference, is_studio_like
from anthropo.reference.tables import Bands, Reference, ReferenceRow, load_reference
from anthropo.reference.traits import (
    ABSENT,
    BORDERLINE,
    CONFIDENCE,
    INCONCLUSIVE,
    NOT_ASSESSED,
    PRESENT,
    Trait,
    call_traits,
)
from anthropo.reference.zscore import group_named, score
from anthropo.settings import Settings
from anthropo.synthetic import CONTROL, SINGLE_MORPHS, Morph, Syndrome, make_cohort
from anthropo.synthetic import cohort as cohort_module

#: What can be asked of a frontal photograph.
RULES = tuple(
    r
    for r in read_rules()
    if r.kind == OBJECTIVE and r.conditions and not {"head_circumference", "height"} & set(r.measurements)
)


@dataclass
class Person:
    subject: Subject
    measurements: list[Measurement]
    values: dict[str, float]
    studio: bool = False  # large, frontal, sharp and neutral


def measured(rows: Sequence[tuple[Item, Subject]], jobs: int) -> list[Person]:
    """Photographs that can be measured."""
    subjects = {item.path: who for item, who in rows}
    people = []
    for (record,) in run([item for item, _ in rows], Settings(face="largest"), jobs):
        if record.ok:
            measurements = list(record.measurements)
            people.append(
                Person(
                    subjects[record.photo], measurements, values_of(measurements), is_studio_like(record.gate)
                )
            )
    return people


def reference_of(people: Sequence[Person]) -> Reference:
    """A reference table as `anthropo reference build` makes it."""
    built = build_reference(
        [(p.subject, p.values) for p in people], bands=[(0.0, 120.0)], source="others", instrument="anthropo"
    )
    by_name: dict[str, tuple[ReferenceRow, ...]] = {}
    for row in built.rows:
        by_name[row.measurement] = (*by_name.get(row.measurement, ()), row)
    return Bands("others", Path(), "", by_name)


def called(
    person: Person,
    reference: Reference,
    rules: Sequence[Rule] = RULES,
    confidence: float = CONFIDENCE,
    ancestry: str | None = None,
) -> list[Trait]:
    who = person.subject
    scores = score(person.measurements, [reference], sex=who.sex, age=who.age, ancestry=ancestry)
    return call_traits(person.measurements, scores, rules, confidence=confidence)


def share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)" if whole else "0"


# ------------------------------------------------------------------------------------- healthy


def neutral(folder: Path, jobs: int, limit: int | None = None) -> tuple[list[Person], dict[str, str]]:
    """The neutral photographs of a folder, measured, and what ancestry it states of each patient."""
    with open(folder / "labels.csv", newline="") as file:
        labels = [r for r in csv.DictReader(file) if r.get("expression", "neutral") == "neutral"]
    rows = []
    for r in labels[:limit]:
        path = str(folder / r["photo"])
        if r["age"].replace(".", "").isdigit() and r["sex"] in ("female", "male"):
            rows.append((Item(path), Subject(path, r.get("patient") or path, r["sex"], float(r["age"]))))
    stated = {r.get("patient") or str(folder / r["photo"]): r.get("ethnicity") or "" for r in labels}
    return measured(rows, jobs), {who: ancestry for who, ancestry in stated.items() if ancestry}


#: What studios call groups that `web-all-ages` has under other names.
OF_STUDIOS = {"east_asian": "asian", "west_asian": "other"}


def by_default(folder: Path, jobs: int, limit: int | None) -> None:
    """People with a trait present, and changes of 4 SD that are found, as today's defaults have it."""
    people, stated = neutral(folder, jobs, limit)
    print(
        "| ancestry | reference | people with a trait | questions | moved by 4 SD: present | or borderline |"
    )
    print("|---|---|---|---|---|---|")
    for known in (False, True) if stated else (False,):
        by_reference: dict[str, list[Person]] = {}
        for person in people:
            group = stated.get(person.subject.patient) if known else None
            name = best_reference(person.subject.age, group, person.studio)
            by_reference.setdefault(name, []).append(person)
        for name, of in sorted(by_reference.items()):
            reference, with_trait = load_reference(name), 0
            healthy_, far = Counter[str](), Counter[str]()
            for person in of:
                group = stated.get(person.subject.patient) if known else None
                group = OF_STUDIOS.get(group or "", group)
                traits = called(person, reference, ancestry=group)
                with_trait += any(t.status == PRESENT for t in traits)
                healthy_.update(t.status for t in traits)
                far.update(t.status for t in moved(person, reference, 4, ancestry=group))
            asked, changed = (n.total() - n[NOT_ASSESSED] for n in (healthy_, far))
            whose = "stated" if known else "unknown"
            print(
                f"| {whose} | {name} | {share(with_trait, len(of))} of {len(of)} | "
                f"{healthy_[PRESENT]} of {asked} | {100 * far[PRESENT] / changed:.1f} % | "
                f"{100 * (far[PRESENT] + far[BORDERLINE]) / changed:.1f} % |",
                flush=True,
            )


def healthy(folder: Path, jobs: int) -> None:
    people, _ = neutral(folder, jobs)
    references = [reference_of([q for q in people if q.subject.patient != p.subject.patient]) for p in people]
    traits = [t for p, r in zip(people, references, strict=True) for t in called(p, r)]
    counts = Counter(t.status for t in traits)
    asked = len(traits) - counts[NOT_ASSESSED]
    print(f"{len(people)} healthy adults, {len(RULES)} objective traits, one person left out\n")
    print("| answer | questions |\n|---|---|")
    for status in (PRESENT, BORDERLINE, INCONCLUSIVE, ABSENT):
        print(f"| {status} | {share(counts[status], asked)} |")
    print(f"| not assessed | {counts[NOT_ASSESSED]} |")
    by_trait = Counter(f"{t.label} {t.side}" for t in traits if t.status == PRESENT)
    print("\npresent:", ", ".join(f"{name} {n}" for name, n in by_trait.most_common()) or "none")

    print("\n| moved by, SD | present | present or borderline | or inconclusive |")
    print("|---|---|---|---|")
    for amount in (3, 4, 5, 6, 7):
        counts, total = Counter(), 0
        for person, reference in zip(people, references, strict=True):
            for trait in moved(person, reference, amount):
                if trait.status != NOT_ASSESSED:
                    total += 1
                    counts[trait.status] += 1
        found = np.cumsum([counts[status] for status in (PRESENT, BORDERLINE, INCONCLUSIVE)])
        print(f"| {amount} | {' | '.join(f'{100 * n / total:.1f} %' for n in found)} |")
    by_confidence(people, references)


def by_confidence(people: Sequence[Person], references: Sequence[Reference]) -> None:
    print("\n| confidence | healthy: present | borderline | moved by 4 SD: present | present or borderline |")
    print("|---|---|---|---|---|")
    pairs = list(zip(people, references, strict=True))
    for confidence in (0.95, 0.9, 0.8, 0.68, 0.5, 0.3):
        cells = []
        for traits in (
            [t for p, r in pairs for t in called(p, r, RULES, confidence)],
            [t for p, r in pairs for t in moved(p, r, 4, confidence)],
        ):
            counts = Counter(t.status for t in traits)
            sure, open_ = counts[PRESENT], counts[BORDERLINE]
            total = len(traits) - counts[NOT_ASSESSED]
            second = open_ if not cells else sure + open_
            cells += [f"{100 * sure / total:.1f} %", f"{100 * second / total:.1f} %"]
        print(f"| {confidence:g} | {' | '.join(cells)} |")


def moved(
    person: Person,
    reference: Reference,
    amount: float,
    confidence: float = CONFIDENCE,
    ancestry: str | None = None,
) -> Iterator[Trait]:
    """Each trait of one measurement, after this was moved by so many SD in the trait's direction."""
    for rule in RULES:
        if len(rule.measurements) != 1:
            continue
        sign = 1 if rule.conditions[0].high == math.inf else -1
        for side in ("_R", "_L") if rule.side == "each" else ("",):
            name = rule.measurements[0] + side
            group = group_named(reference, ancestry)
            row, _ = reference.choose(name, person.subject.sex, person.subject.age, group)
            if row is None:
                continue
            by = sign * amount * row.sd
            changed = [
                dataclasses.replace(m, value=m.value + by, lo=m.lo + by, hi=m.hi + by) if m.id == name else m
                for m in person.measurements
            ]
            for trait in called(Person(person.subject, changed, {}), reference, [rule], confidence, ancestry):
                if f"_{trait.side}" == side or not side:
                    yield trait


# -------------------------------------------------------------------------------------- morphs


@dataclass(frozen=True, slots=True)
class Beyond(Morph):
    """A morph whose amount is not limited to the range that pictures follow."""

    @property
    def range(self) -> tuple[float, float]:
        return -math.inf, math.inf


def morphs(patients: int, amounts: Sequence[float], seed: int, jobs: int) -> None:
    for name, m in list(SINGLE_MORPHS.items()):
        SINGLE_MORPHS[name] = Beyond(*(getattr(m, f.name) for f in dataclasses.fields(Morph)))
    cohort_module._VARIATION = 0.0  # every patient is changed by the same amount
    reference = load_reference("frl-adults")
    controls = cohort(Syndrome(CONTROL, "", {}), patients, seed, jobs)
    usual = {
        i: float(np.nanmean([z for p in controls for z in z_of(p, reference, i)]))
        for m in SINGLE_MORPHS.values()
        for i in m.measurements
    }
    print(f"{patients} faces each, `frl-adults`. z: mean of the faces, less that of unchanged ones.\n")
    print(
        "| change | z | questions | not assessed | present | present or borderline "
        "| or inconclusive | faces without others |"
    )
    print("|---|---|---|---|---|---|---|---|")
    total: Counter[str] = Counter()
    for name, morph in SINGLE_MORPHS.items():
        for amount in [sign * a for a in amounts for sign in (1, -1)]:
            right = {r.hpo_id for r in RULES if set(r.measurements) == stems(morph) and asks(r, amount)}
            if not right:
                continue
            people = cohort(Syndrome("synthetic-1", "", {name: amount}), patients, seed, jobs)
            # what changes with it by definition is no error
            family = set(morph.family(amount))
            row: Counter[str] = Counter()
            for person in people:
                traits = called(person, reference)
                own = [t for t in traits if t.hpo_id in right]
                row["questions"] += len(own)
                row.update(t.status for t in own)
                others = [
                    t
                    for t in traits
                    if t.status == PRESENT and not family & {e.measurement for e in t.evidence}
                ]
                row["faces"] += 1
                row["alone"] += not others
            z = [v - usual[i] for p in people for i in morph.measurements for v in z_of(p, reference, i)]
            z = [v for v in z if math.isfinite(v)]
            mean = f"{np.mean(z):+.1f}" if z else "–"
            print(line(f"{name} {amount:+g} SD", mean, row), flush=True)
            total += row
    print(line("all", "", total))


def line(what: str, z: str, n: Counter[str]) -> str:
    asked = n["questions"] - n[NOT_ASSESSED]
    parts = np.cumsum([n[PRESENT], n[BORDERLINE], n[INCONCLUSIVE]])
    shares = " | ".join(f"{100 * part / asked:.0f} %" if asked else "–" for part in parts)
    alone = f"{100 * n['alone'] / n['faces']:.0f} %"
    return f"| {what} | {z} | {n['questions']} | {n[NOT_ASSESSED]} | {shares} | {alone} |"


def stems(morph: Morph) -> set[str]:
    return {i.removesuffix("_R").removesuffix("_L") for i in morph.measurements}


def asks(rule: Rule, amount: float) -> bool:
    """Whether a change in this direction makes the trait."""
    return (rule.conditions[0].high == math.inf) == (amount > 0)


def z_of(person: Person, reference: Reference, name: str) -> list[float]:
    own = [m for m in person.measurements if m.id == name]
    return [z.z for z in score(own, [reference], sex=person.subject.sex, age=person.subject.age)]


def cohort(syndrome: Syndrome, patients: int, seed: int, jobs: int) -> list[Person]:
    with tempfile.TemporaryDirectory() as folder:
        table = make_cohort(Path(folder) / "cohort", patients, (syndrome,), seed=seed, jobs=jobs)
        with open(table, newline="") as file:
            rows = [
                (
                    Item(str(table.parent / r["photo"])),
                    Subject(r["photo"], r["patient"], r["sex"], float(r["age"])),
                )
                for r in csv.DictReader(file)
            ]
        return measured(rows, jobs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--default", action="store_true")
    parser.add_argument("--limit", type=int, help="with --default: so many photographs")
    parser.add_argument("--morphs", action="store_true")
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--sd", type=float, nargs="+", default=[3, 4])
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.folder and arguments.default:
        by_default(arguments.folder, arguments.jobs, arguments.limit)
    elif arguments.folder:
        healthy(arguments.folder, arguments.jobs)
    if arguments.morphs:
        morphs(arguments.patients, arguments.sd, arguments.seed, arguments.jobs)


if __name__ == "__main__":
    main()
