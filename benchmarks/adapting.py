"""Curves of all ages adapted to few controls of one studio: how far studios are, and what adaptation gives.

    python benchmarks/adapting.py FRL.csv CANADA.csv [--times 40]

Each table is what `anthropo measure` wrote of healthy adults of one studio, with the columns age, sex and
patient. Three things are printed:

1. How far each studio is from web-all-ages (1 SD over measurements, of the shift and of the logarithm of the
   scale, by maximal likelihood): the constants of anthropo.reference.adapting.
2. Halves of a studio by patient, `--times` of them: curves are adapted to some of one half and score all of
   the other, with the constants as the other studio has them. No person is in both. More controls than half
   a studio has leave fewer people to be scored.
3. From how many people on curves of their own are as good: the error of their median, of simulated controls.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import registry
from anthropo.reference import adapting, load_reference, score
from anthropo.reference.build import MeasuredPhoto, errors_of_row, subject, values_of_row
from anthropo.reference.curve_fitting import MeasuredPeople, fit_curves
from anthropo.reference.curves import Curve, Curves

Floats = NDArray[np.float64]
SHIFTS, SCALES = np.linspace(-3, 3, 121), np.linspace(-1.2, 1.2, 49)
SHIPPED = load_reference("web-all-ages")
SCORED = 10  # people of a studio that are left to be scored, at least


def read(table: Path) -> list[MeasuredPhoto]:
    with open(table, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "ok"]
    return [
        MeasuredPhoto(
            subject(row["photo"], {name: row.get(name) or "" for name in ("age", "sex", "patient")}, "age"),
            values_of_row(str(table), row),
            errors_of_row(str(table), row),
        )
        for row in rows
    ]


def controls(photos: Sequence[MeasuredPhoto], name: str) -> adapting.Controls:
    """People under the shipped curves of a measurement."""
    rows, values, errors = [], [], []
    for photo in photos:
        row, _ = SHIPPED.choose(name, photo.subject.sex, photo.subject.age)
        if row is not None and name in photo.values and name in photo.errors:
            rows.append(row)
            values.append(photo.values[name])
            errors.append(photo.errors[name])
    return adapting.under(rows, values, errors)


def spreads(tables: Sequence[Floats]) -> tuple[float, float]:
    """SD of the shift and of the logarithm of the scale under which likelihoods (a, b) are most likely."""

    def surprise(at: Floats) -> float:
        shift_sd, scale_sd = np.exp(at)
        before = -((SHIFTS[:, None] / shift_sd) ** 2 + (SCALES / scale_sd) ** 2) / 2
        before = before - np.log(np.exp(before).sum())
        return -sum(float(np.logaddexp.reduce((before + table).ravel())) for table in tables)

    found = np.exp(minimize(surprise, [-0.7, -1.5], method="Nelder-Mead").x)
    return float(found[0]), float(found[1])


def scores(photos: Sequence[MeasuredPhoto], reference: Curves) -> dict[str, list[float]]:
    """z by measurement."""
    found: dict[str, list[float]] = {}
    for photo in photos:
        measured = [
            Measurement(
                name, value, math.nan, math.nan, registry()[name].unit, "", "", repeat_sd=photo.errors[name]
            )
            for name, value in photo.values.items()
            if name in photo.errors and name in reference.measurements
        ]
        for one in score(measured, [reference], sex=photo.subject.sex, age=photo.subject.age):
            if math.isfinite(one.z):
                found.setdefault(one.id, []).append(one.z)
    return found


def adapted_to(photos: Sequence[MeasuredPhoto], constants: tuple[float, float]) -> Curves:
    """The shipped curves as few people adapt them, with other constants than those in use."""
    assert isinstance(SHIPPED, Curves)
    ages = min(p.subject.age for p in photos), max(p.subject.oldest or p.subject.age for p in photos)
    made: dict[str, dict[str, Curve]] = {}
    for name in SHIPPED.measurements:
        of = controls(photos, name)
        if len(of) >= adapting.LEAST:
            told = adapting.adaptation(of, *constants)
            # over all ages: those who are scored may be older than all controls
            made[name] = {
                sex: adapting.adapted(SHIPPED.curve(name, sex), told, (), (ages[0] - 5, ages[1] + 5), "")
                for sex in ("female", "male")
            }
    return Curves("adapted.csv", Path("adapted.csv"), "", (), made)


def halves(photos: Sequence[MeasuredPhoto], constants: tuple[float, float], times: int) -> list[str]:
    """Lines of a table: by how many people the curves were adapted, how the others score."""
    patients = sorted({photo.subject.patient for photo in photos})
    sizes = [n for n in (5, 10, 20, 40) if n <= max(len(patients) // 2, len(patients) - SCORED)]
    kept: dict[int, list[tuple[float, float, float]]] = {n: [] for n in (0, *sizes)}
    assert isinstance(SHIPPED, Curves)
    for time in range(times):
        mixed = np.random.default_rng([7, time]).permutation(patients).tolist()
        for n in kept:
            tested = [photo for photo in photos if photo.subject.patient in mixed[max(n, len(mixed) // 2) :]]
            own = [photo for photo in photos if photo.subject.patient in mixed[:n]]
            of = scores(tested, adapted_to(own, constants) if n else SHIPPED)
            z = [np.array(values) for values in of.values() if len(values) >= 5]
            kept[n].append(
                (
                    float(np.mean([abs(values.mean()) for values in z])),
                    float(np.mean([values.std(ddof=1) for values in z])),
                    float(np.mean(np.abs(np.concatenate(z)) > 2)),
                )
            )
    lines = []
    for n, figures in kept.items():
        mean, sd, beyond = np.mean(figures, axis=0)
        scored = len(patients) - max(n, len(patients) // 2)
        lines.append(f"{n or 'as shipped'} | {scored} | {mean:.2f} | {sd:.2f} | {100 * beyond:.1f} % |")
    return lines


def floor(tested: int) -> float:
    """The mean size of a mean z of so many people under their true curve."""
    return math.sqrt(2 / math.pi / tested)


def own_error(n: int, times: int = 12, name: str = "mouth_width") -> tuple[float, float]:
    """Errors of the median, in SD, of simulated children: by curves of their own, and by adapted ones."""
    ages = np.array([1.0, 3, 6, 10, 15])
    errors, of_adapted = [], []
    for time in range(times):
        random = np.random.default_rng([n, time])
        age = random.uniform(0, 18, n)
        female = random.random(n) < 0.5
        rows = [
            SHIPPED.choose(name, "female" if f else "male", a)[0] for a, f in zip(age, female, strict=True)
        ]
        seen = np.array([row is not None for row in rows])
        age, female, known = age[seen], female[seen], [row for row in rows if row is not None]
        shift = random.normal(0, adapting.SHIFT_SD)
        values = np.array([row.mean + row.sd * (shift + random.standard_normal()) for row in known])
        none = np.zeros(len(known))
        fit = fit_curves(MeasuredPeople(values, age, age, female, none.astype(np.int64), none))
        told = adapting.adaptation(adapting.under(known, values.tolist(), none.tolist()))
        for f in (True, False):
            true = [SHIPPED.choose(name, "female" if f else "male", float(a) + 1e-6)[0] for a in ages]
            medians = fit.at(ages, f)[0]
            errors += [(m - row.mean) / row.sd - shift for m, row in zip(medians, true, strict=True) if row]
        of_adapted.append(told.shift - shift)
    return float(np.sqrt(np.mean(np.square(errors)))), float(np.sqrt(np.mean(np.square(of_adapted))))


def between_sexes(photos: Sequence[MeasuredPhoto]) -> float:
    """How far the shift of one sex is from that of both, 1 SD over measurements, without sampling."""
    excess = []
    for name in SHIPPED.measurements:
        of = [controls([p for p in photos if p.subject.sex == sex], name) for sex in ("female", "male")]
        if min(map(len, of)) >= 10:
            means = [float(one.residuals.mean()) for one in of]
            noise = sum(float(one.residuals.var(ddof=1)) / len(one) for one in of)
            excess.append((means[0] - means[1]) ** 2 - noise)
    return math.sqrt(max(float(np.mean(excess)), 0.0)) / 2 if excess else math.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs=2, metavar="TABLE")
    parser.add_argument("--times", type=int, default=40, help="halves of each studio")
    arguments = parser.parse_args()
    studios = {table.stem: read(table) for table in arguments.tables}
    found = {}
    likelihoods: dict[str, list[Floats]] = {}
    for name, photos in studios.items():
        of = [controls(photos, measurement) for measurement in SHIPPED.measurements]
        likelihoods[name] = [adapting.log_likelihood(one, SHIFTS, SCALES) for one in of if len(one) >= 5]
        found[name] = spreads(likelihoods[name])
    print("| studio | people | shift, 1 SD | log scale, 1 SD |\n|---|---|---|---|")
    for name, (shift, scale) in found.items():
        print(f"| {name} | {len(studios[name])} | {shift:.2f} | {scale:.2f} |")
    shift, scale = spreads([table for tables in likelihoods.values() for table in tables])
    print(f"| both | | {shift:.2f} | {scale:.2f} |")
    for name, photos in studios.items():
        print(f"{name}: the shift of one sex is {between_sexes(photos):.2f} SD from that of both")
    print("\n| studio | controls | scored | mean size of a mean z | SD of z | beyond ±2 |")
    print("|---" * 6 + "|")
    for name, photos in studios.items():
        (other,) = (found[one] for one in found if one != name)
        for line in halves(photos, other, arguments.times):
            print(f"| {name} | {line}")
        half = len(photos) - len(photos) // 2
        for tested in sorted({half, min(half, SCORED)}, reverse=True):
            print(f"| {name} | (true curve) | {tested} | {floor(tested):.2f} | 1.00 | 4.6 % |")
    print("\n| people | error of curves of their own, SD | error of an adapted shift, SD |\n|---|---|---|")
    for n in (50, 100, 200, 400, 800):
        own, of_adapted = own_error(n)
        print(f"| {n} | {own:.2f} | {of_adapted:.2f} |")


if __name__ == "__main__":
    main()
