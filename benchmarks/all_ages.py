"""Accuracy: the reference of all ages on people whom nothing was fitted to, and the traits it calls in them.

    python benchmarks/all_ages.py TABLE.csv [MORE.csv...] --beyond BEYOND.csv [--studio FULL.csv SMALL.csv]
        [--list]

TABLE is what `anthropo measure` wrote of photographs of people of all ages, with the columns age, sex and
race, and BEYOND what `development/beyond.py` made of it, as for `development/web_reference.py`. Many of these
photographs cut the chin: who has a value of a height that ends there has a shorter face than most, and a z
below 0. So such measurements have a table of their own, in which the median z of everybody is found from
values and limits together (Kaplan and Meier's estimate). The curves are fitted five times to four fifths of
the photographs, written, read, and used by `score` and `call_traits` on the last fifth, by the rules of the
shipped ones: nobody is scored where the effective n is under 40. The youngest label of such sets, 1, means
the first two years and is scored in their middle. The shipped reference says which measurements.

What chance does to cells of few people, or to a studio's 50 adults, is told by drawing as many of those who
were left out: the measurements of one face belong together and have heavier tails than a normal distribution.

FULL and SMALL are photographs of the same adults from a studio (columns age, sex, ethnicity), as taken and
with faces of 80 px between the outer canthi; they are scored under the shipped reference.

The last table asks which distribution about the median fits best, by what is left out: each form gets its own
shift, scale and shape, all have the same medians and SD by age.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import chi2
from traits import RULES, share

from anthropo.measurement.compute import Z95, Measurement
from anthropo.measurement.registry import registry
from anthropo.reference.curve_building import tabulated
from anthropo.reference.curve_fitting import Fit, fit_curves, log_density
from anthropo.reference.curves import LEAST_N, Curves, as_csv
from anthropo.reference.shipped import REFERENCE_OF_ALL_AGES
from anthropo.reference.tables import Reference, load_reference
from anthropo.reference.traits import NOT_ASSESSED, PRESENT, Trait, call_traits
from anthropo.reference.zscore import ZScore, score

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "development"))
from people_of_all_ages import GROUPS, YOUNGEST, Faces, median_with_limits, read_faces

FOLDS = 5
OLDEST = 80  # years
BANDS = {
    "0–1": (0, 2),
    "2–5": (2, 6),
    "6–11": (6, 12),
    "12–18": (12, 19),
    "19–40": (19, 41),
    "41–80": (41, 81),
}
LEAST = 5  # people of a cell, below which a measurement has no mean
BEYOND = 0.03, 0.07  # the share beyond ±2 that a cell is asked for
SPREAD = 0.85, 1.15  # the SD of a measurement that a studio is asked for
# Of the studio's people, by the words of their set. Its western Asians fit none of the groups.
STUDIO_GROUPS = {"black": "black", "east_asian": "asian", "west_asian": "other", "white": "white"}
TRIMMED = 4.685  # SD beyond which nothing says which form is right

Floats = NDArray[np.float64]
Form = Callable[[Floats, Floats, float], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """z (people, measurements), and what is called, of people who were left out."""

    faces: Faces
    names: Sequence[str]
    given: Floats  # with the group named
    unknown: Floats  # with the groups mixed
    typed: Floats  # with the group named, the youngest at the age of their label
    cut: Floats  # z of limits, with the group named
    traits: dict[bool, list[list[Trait]]]  # by whether the group is named, then for each of `faces`

    def cells(self) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
        """Band of age, group, and who belongs to both."""
        for band, (lo, hi) in BANDS.items():
            for g, group in enumerate(GROUPS):
                yield band, group, (self.faces.age >= lo) & (self.faces.age < hi) & (self.faces.group == g)


def measurements_of(values: dict[str, float], errors: dict[str, float]) -> list[Measurement]:
    """As `measure_face` returns them; the reference asks for no other interval than that of repeating."""
    made = []
    for name, value in values.items():
        entry, error = registry()[name], errors[name]
        reason = "" if math.isfinite(value) else "voided by the photo gate"
        half = Z95 * error
        made.append(
            Measurement(
                name, value, value - half, value + half, entry.unit, entry.side, reason, repeat_sd=error
            )
        )
    return made


def reference_of(fits: dict[str, Fit], folder: Path) -> Reference:
    """A reference of fitted curves, written and read as the shipped one is, and with its least n."""
    curves = [
        c
        for name, fit in fits.items()
        for c in tabulated(fit, registry()[name], GROUPS, OLDEST, "B", "others", "anthropo")
    ]
    path = folder / "others.csv"
    path.write_text(as_csv(curves, GROUPS))
    table = load_reference(path)
    assert isinstance(table, Curves)
    others = replace(table, name=path.stem)  # without the ending of its file a table counts as shipped
    assert others.least == LEAST_N
    return others


def scored(
    faces: Faces, names: Sequence[str], fold: NDArray[np.int64], forms: Mapping[str, Form]
) -> tuple[Scored, dict[str, Floats]]:
    """Everybody under curves of the others; and by form, what its log-likelihood is of each measurement."""
    given = np.full((len(faces), len(names)), np.nan)
    unknown, typed, cut = given.copy(), given.copy(), given.copy()
    traits: dict[bool, list[list[Trait]]] = {
        named: [[] for _ in range(len(faces))] for named in (True, False)
    }
    likely: dict[str, Floats] = {form: np.full((FOLDS, len(names)), np.nan) for form in forms}
    with tempfile.TemporaryDirectory() as folder:
        for k in range(FOLDS):
            fits = {}
            for place, name in enumerate(names):
                rows, people = faces.people(name, limits=True)
                fits[name] = fit_curves(people.take(fold[rows] != k), len(GROUPS))
                rows, _ = faces.people(name)
                for form, value in likelihoods(fits[name], faces, name, fold[rows] != k, forms).items():
                    likely[form][k, place] = value
            reference = reference_of(fits, Path(folder))
            # by age: a curve remembers the ages that it was asked for last
            for i in sorted(np.flatnonzero(fold == k), key=lambda i: float(faces.age[i])):
                who = person(faces, int(i))
                age = float(faces.age[i])
                # with a fraction an age is no span; the middle of two years
                middle = age if age > YOUNGEST else 1.0001
                for named, z in ((True, given), (False, unknown)):
                    one = scores_of(who, faces, int(i), middle, reference, named)
                    z[i] = z_of(one, names)
                    traits[named][i] = call_traits(who, one, RULES)
                if limited := limits_of(faces, i):
                    cut[i] = z_of(scores_of(limited, faces, int(i), middle, reference, True), names)
                if middle != age:
                    typed[i] = z_of(scores_of(who, faces, int(i), age, reference, True), names)
            print(f"fold {k + 1} of {FOLDS}", file=sys.stderr, flush=True)
    return Scored(
        faces=faces, names=names, given=given, unknown=unknown, typed=typed, cut=cut, traits=traits
    ), likely


def person(faces: Faces, i: int) -> list[Measurement]:
    return measurements_of(
        {name: float(v[i]) for name, v in faces.values.items()},
        {name: float(e[i]) for name, e in faces.errors.items()},
    )


def limits_of(faces: Faces, i: int) -> list[Measurement]:
    """Limits of what the border cuts, as measurements."""
    at = {name: of[:, i] for name, of in faces.limits.items() if of[1, i] and np.isnan(faces.values[name][i])}
    return measurements_of(
        {name: float(of[0]) for name, of in at.items()}, {name: float(of[2]) for name, of in at.items()}
    )


def scores_of(
    who: list[Measurement], faces: Faces, i: int, age: float, reference: Reference, named: bool
) -> list[ZScore]:
    sex = "female" if faces.female[i] else "male"
    return score(who, [reference], sex=sex, age=age, ancestry=GROUPS[faces.group[i]] if named else None)


def z_of(scores: Sequence[ZScore], names: Sequence[str]) -> list[float]:
    by_name = {s.id: s.z for s in scores}
    return [by_name.get(name, math.nan) for name in names]


# ----------------------------------------------------------------------------------------- z-scores


def numbers(z: Floats) -> tuple[float, float, float]:
    """Mean, SD and share beyond ±2 of what is known."""
    z = z[np.isfinite(z)]
    return (float(z.mean()), float(z.std()), float((np.abs(z) > 2).mean())) if len(z) else (math.nan,) * 3


def by_chance(counts: NDArray[np.int64]) -> float:
    """What the mean of abs(mean z) would be of curves without error, by so many people a measurement."""
    of = counts[counts >= LEAST]
    return float(np.sqrt(2 / (np.pi * of)).mean()) if len(of) else math.nan


def beyond_interval(z: Floats) -> str:
    """95 % interval of the share beyond ±2, over photographs: those of one face come together."""
    far, known = (np.abs(z) > 2).sum(axis=1), np.isfinite(z).sum(axis=1)
    drawn = np.random.default_rng(0).integers(0, len(z), (2000, len(z)))
    shares = far[drawn].sum(axis=1) / np.maximum(known[drawn].sum(axis=1), 1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def chance_of_cells(s: Scored, times: int = 4000) -> str:
    """How far cells of as many photographs are, drawn from all, from what is asked of the share beyond ±2."""
    far, known = (np.abs(s.given) > 2).sum(axis=1), np.isfinite(s.given).sum(axis=1)
    (some,) = np.nonzero(known)
    random = np.random.default_rng(0)
    drawn, real = [], []
    for _, _, who in s.cells():
        of = random.choice(some, (times, int((who & (known > 0)).sum())))
        drawn.append(far[of].sum(axis=1) / known[of].sum(axis=1))
        real.append(far[who].sum() / max(int(known[who].sum()), 1))
    shares, found = np.array(drawn), np.array(real)
    low, high = BEYOND
    outside = ((shares < low) | (shares > high)).sum(axis=0)
    here = ((found < low) | (found > high)).sum()
    as_far = (shares.max(axis=0) >= found.max()).mean()
    return (
        f"Outside {100 * low:.0f} to {100 * high:.0f} % beyond ±2: {here} of {len(found)} cells. Of cells "
        f"of as many photographs, drawn from all of them, {outside.mean():.1f} would be, at least one in "
        f"{100 * (outside > 0).mean():.0f} % of cases, and the largest share would be "
        f"{100 * found.max():.1f} % or more in {100 * as_far:.1f} %."
    )


def print_cells(s: Scored) -> None:
    print("### z-scores, by age and group\n")
    print(
        "| years | group | photos | measurements with a z, a photo | mean z | mean of abs(mean z) "
        "| by chance alone | SD | beyond ±2 | 95 % interval | unknown: mean z | SD | beyond ±2 |"
    )
    print("|---" * 13 + "|")
    for band, group, who in s.cells():
        z = s.given[who]
        counts = np.isfinite(z).sum(axis=0)
        means = np.abs([np.nanmean(z[:, m]) for m in np.flatnonzero(counts >= LEAST)])
        each = f"{np.isfinite(z).sum() / max(len(z), 1):.0f}"
        mean, sd, beyond = numbers(z)
        off, wide, far = numbers(s.unknown[who])
        print(
            f"| {band} | {group} | {len(z)} | {each} | {mean:+.2f} "
            f"| {means.mean() if len(means) else math.nan:.2f} | {by_chance(counts):.2f} | {sd:.2f} "
            f"| {100 * beyond:.1f} % | {beyond_interval(z)} | {off:+.2f} | {wide:.2f} | {100 * far:.1f} % |"
        )
    print(f"\n{chance_of_cells(s)}")
    for what, z in (("group given", s.given), ("unknown", s.unknown)):
        mean, sd, beyond = numbers(z)
        print(
            f"\nAll, {what}: {np.isfinite(z).sum():,} z-scores, mean {mean:+.3f}, SD {sd:.3f}, "
            f"beyond ±2 {100 * beyond:.1f} %."
        )
    mean, sd, beyond = numbers(s.typed)
    print(
        f"\nLabel {YOUNGEST} as completed years, 1 to 2, group given: mean z {mean:+.2f}, SD {sd:.2f}, "
        f"beyond ±2 {100 * beyond:.1f} %."
    )
    for what, who in (("no check failed", s.faces.posed), ("some check failed", ~s.faces.posed)):
        _, sd, beyond = numbers(s.given[who])
        print(
            f"\nPhotographs of which {what}, group given: {(np.isfinite(s.given[who]).any(axis=1)).sum():,}, "
            f"SD {sd:.2f}, beyond ±2 {100 * beyond:.1f} % ({beyond_interval(s.given[who])})."
        )
    print("\n| group | unknown: mean z | SD | beyond ±2 | most, in one measurement |")
    print("|---|---|---|---|---|")
    for g, group in enumerate(GROUPS):
        z = s.unknown[s.faces.group == g]
        mean, sd, beyond = numbers(z)
        of_each = [numbers(z[:, m])[2] for m in range(len(s.names))]
        top = int(np.nanargmax(of_each))
        print(
            f"| {group} | {mean:+.2f} | {sd:.2f} | {100 * beyond:.1f} % "
            f"| {100 * of_each[top]:.0f} % {s.names[top]} |"
        )


# ------------------------------------------------------------------------------------------ the border


def print_cut(s: Scored, least: float = 0.05) -> None:
    """Measurements that the border cuts in so many photographs."""
    print("\n### What the border of the photographs cuts\n")
    print("| measurement | photographs with a value | cut | mean z of values | median z of all |")
    print("|---" * 5 + "|")
    for m, name in enumerate(s.names):
        if name not in s.faces.limits:
            continue
        side = np.where(np.isfinite(s.cut[:, m]), s.faces.limits[name][1], 0)
        known = np.isfinite(s.given[:, m])
        way = 1 if (side > 0).sum() >= (side < 0).sum() else -1
        cut = side == way
        if cut.sum() < least * (known.sum() + cut.sum()):
            continue
        whole = median_with_limits(s.given[known, m], s.cut[cut, m], way)
        print(
            f"| {name} | {known.sum()} | {share(int(cut.sum()), int(known.sum() + cut.sum()))} "
            f"| {s.given[known, m].mean():+.2f} | {whole:+.2f} |"
        )


# ------------------------------------------------------------------------------------------- traits


def print_traits(s: Scored, listed: bool) -> None:
    print(f"\n### {len(RULES)} objective traits in healthy people\n")
    print(
        "| years | group | people | questions | present, group given | people with one "
        "| present, unknown | people with one |"
    )
    print("|---" * 8 + "|")
    every: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    asked_of: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    most: list[str] = []
    total = np.zeros((2, 4), dtype=np.int64)
    for band, group, who in s.cells():
        cells = []
        for n, named in enumerate((True, False)):
            people = [s.traits[named][i] for i in np.flatnonzero(who)]
            answers = [[t for t in of if t.status != NOT_ASSESSED] for of in people]
            present = [[t for t in of if t.status == PRESENT] for of in answers]
            called = Counter(t.label for of in present for t in of)
            every[named] += called
            asked_of[named].update(t.label for of in answers for t in of)
            asked, having = sum(map(len, answers)), sum(map(bool, present))
            some = sum(map(bool, answers))  # of whom anything could be asked
            total[n] += (asked, called.total(), some, having)
            cells.append(
                f"{called.total()} ({percent(called.total(), asked)}) | {having} ({percent(having, some)})"
            )
            if named:
                first = f"{some} | {asked:,}"
            if listed and called:
                most.append(
                    f"{band}, {group}, {'given' if named else 'unknown'}: "
                    + ", ".join(f"{label} {count}" for label, count in called.most_common(4))
                )
        print(f"| {band} | {group} | {first} | {' | '.join(cells)} |")
    for n, named in enumerate((True, False)):
        asked, called_, some, having = (int(v) for v in total[n])
        print(
            f"\nAll, {'group given' if named else 'unknown'}: {called_} of {asked:,} questions "
            f"({percent(called_, asked)}); {having} of {some:,} people with one ({percent(having, some)})."
        )
        print(
            "By trait: "
            + ", ".join(
                f"{label} {count} ({percent(count, asked_of[named][label])})"
                for label, count in every[named].most_common(12)
            )
            + "."
        )
    print("\n" + "\n".join(most))


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


# ------------------------------------------------------------------------------------------- studio


def print_studio(full: Path, small: Path, s: Scored) -> None:
    """The same adults, as taken and small, under the shipped reference."""
    reference = load_reference(REFERENCE_OF_ALL_AGES)
    names = reference.measurements
    z = {}
    for named in (True, False):
        for what, table in (("full", full), ("small", small)):
            with open(table, newline="") as file:
                rows = {
                    Path(row["photo"]).stem: row
                    for row in csv.DictReader(file)
                    if row["age"] not in ("", "NA")
                }
            z[what, named] = {photo: studio_scores(row, reference, named) for photo, row in rows.items()}
    photos = sorted(set(z["full", True]) & set(z["small", True]))
    a, b, mixed = (
        np.array([[z[key][photo].get(name, math.nan) for name in names] for photo in photos])
        for key in (("full", True), ("small", True), ("full", False))
    )
    print(f"\n### {len(photos)} adults of a studio, as taken and small\n")
    print("| measurement | people | mean z, as taken | small less it | SD, as taken | small | unknown: SD |")
    print("|---" * 7 + "|")
    differences, spreads, people = [], [], {}
    for m, name in enumerate(names):
        both = np.isfinite(a[:, m]) & np.isfinite(b[:, m])
        if both.sum() < 2:
            continue
        moved = float(b[both, m].mean() - a[both, m].mean())
        sds = float(np.nanstd(a[:, m], ddof=1)), float(np.nanstd(b[:, m], ddof=1))
        differences.append(moved)
        spreads.append(sds)
        people[m] = int(both.sum())
        print(
            f"| {name} | {both.sum()} | {np.nanmean(a[:, m]):+.2f} | {moved:+.2f} | {sds[0]:.2f} "
            f"| {sds[1]:.2f} | {np.nanstd(mixed[:, m], ddof=1):.2f} |"
        )
    both_sd = np.array(spreads)
    normal_ = sum(chance_within(n) for n in people.values())
    low, middle, high = np.percentile(by_drawing(s, people), [2.5, 50, 97.5])
    least, most = SPREAD
    within = (both_sd >= least) & (both_sd <= most)
    pooled = np.sqrt((both_sd**2).mean(axis=0))
    apart = sum(abs(d) > 0.4 for d in differences)
    print(
        f"\nApart by more than 0.4: {apart} of {len(differences)} measurements. SD about each mean, pooled: "
        f"{pooled[0]:.2f} as taken, {pooled[1]:.2f} small; of single measurements "
        f"{within[:, 0].sum()} and {within[:, 1].sum()} of {len(within)} within {least} to {most} "
        f"({(both_sd[:, 0] < least).sum()} below, {(both_sd[:, 0] > most).sum()} above). As many adults "
        f"of the web who were left out: {middle:.0f} ({low:.0f} to {high:.0f} in 95 % of draws); normal "
        f"values, each measurement by itself: {normal_:.0f}."
    )


def by_drawing(s: Scored, people: Mapping[int, int], times: int = 500) -> Floats:
    """How many measurements have an SD as asked for, where as many of the left-out adults are drawn."""
    random = np.random.default_rng(0)
    adults = s.given[(s.faces.age >= 19) & (s.faces.age < 41)]
    found = np.zeros(times)
    for time in range(times):
        drawn = adults[random.permutation(len(adults))]
        for m, n in people.items():
            sd = drawn[np.isfinite(drawn[:, m]), m][:n].std(ddof=1)
            found[time] += SPREAD[0] <= sd <= SPREAD[1]
    return found


def chance_within(n: int) -> float:
    """How often the SD of n normal values of SD 1 is as it is asked for."""
    low, high = chi2.cdf((n - 1) * np.array(SPREAD) ** 2, n - 1)
    return float(high - low)


def studio_scores(row: dict[str, str], reference: Reference, named: bool) -> dict[str, float]:
    who = measurements_of(
        *(
            {name: float(row.get(name + end) or "nan") for name in reference.measurements}
            for end in ("", "_repeat_sd")
        )
    )
    group = STUDIO_GROUPS.get(row["ethnicity"]) if named else None
    if named and group is None:
        return {}
    of = score(who, [reference], sex=row["sex"], age=float(row["age"]), ancestry=group)
    return {s.id: s.z for s in of}


# -------------------------------------------------------------------------------------------- forms


def normal(z: Floats, sd: Floats, shape: float) -> Floats:
    """Log density of residuals in SD of people's; `sd` is relative to the median."""
    return np.asarray(-(z**2) / 2)


def sinh_arcsinh(z: Floats, sd: Floats, shape: float) -> Floats:
    return log_density(z, float(np.clip(shape, -1, 1)))


def lms(z: Floats, sd: Floats, shape: float) -> Floats:
    """Cole and Green's: ((y / M)^L - 1) / (L S) is normal."""
    ratio = np.maximum(1 + z * sd, 1e-6)  # of the value to the median
    score_ = np.log(ratio) / sd if abs(shape) < 1e-6 else (ratio**shape - 1) / (shape * sd)
    return np.asarray(-(score_**2) / 2 + (shape - 1) * np.log(ratio))


FORMS = {"normal": normal, "LMS": lms, "sinh-arcsinh": sinh_arcsinh}


def likelihoods(
    fit: Fit, faces: Faces, name: str, inside: NDArray[np.bool_], forms: Mapping[str, Form]
) -> dict[str, float]:
    """Mean log-likelihood of each form, of those who were left out; LMS only of what is above zero."""
    _, people = faces.people(name)
    z, sd = fit.residuals(people)
    median = people.values - z * sd
    known = np.abs(z) < TRIMMED
    found = {}
    for form, density in forms.items():
        if form == "LMS" and (min(people.values.min(), median.min()) <= 0):
            continue

        def each(at: Sequence[float], rows: NDArray[np.bool_], density=density) -> Floats:  # type: ignore[no-untyped-def]
            shift, log_scale, shape = at
            scale = math.exp(log_scale)
            middle = median[rows] + shift * sd[rows]
            return density((z[rows] - shift) / scale, scale * sd[rows] / middle, shape) - log_scale

        start = [0.0, 0.0, 1.0 if form == "LMS" else 0.0]
        result = minimize(
            lambda at, each=each: -float(each(at, inside & known).mean()), start, method="Nelder-Mead",
            options={"xatol": 1e-3, "fatol": 1e-6},
        )  # fmt: skip
        found[form] = float(each(result.x, ~inside & known).mean())
    return found


def print_forms(names: Sequence[str], likely: dict[str, Floats]) -> None:
    print("\n### The form about the median, by log-likelihood of those left out\n")
    mean = {form: of.mean(axis=0) * 1000 for form, of in likely.items()}
    print("In thousandths of a unit of log-likelihood a photograph, above the normal distribution.\n")
    print("| measurement | LMS | sinh-arcsinh |\n|---|---|---|")
    gains = {form: mean[form] - mean["normal"] for form in ("LMS", "sinh-arcsinh")}
    for m in np.argsort(-gains["sinh-arcsinh"]):
        other = gains["LMS"][m]
        shown = "–" if math.isnan(other) else f"{other:+.1f}"
        print(f"| {names[m]} | {shown} | {gains['sinh-arcsinh'][m]:+.1f} |")
    both = np.isfinite(gains["LMS"])
    best = gains["sinh-arcsinh"][both] > gains["LMS"][both]
    lms_, own = gains["LMS"], gains["sinh-arcsinh"]
    print(
        f"\nMean of all {len(names)}: sinh-arcsinh {own.mean():+.1f}; of the {both.sum()} always above "
        f"zero: LMS {lms_[both].mean():+.1f}, sinh-arcsinh {own[both].mean():+.1f}, which is better in "
        f"{best.sum()}. Below the normal distribution: LMS {(lms_[both] < 0).sum()}, sinh-arcsinh "
        f"{(own < 0).sum()}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--beyond", type=Path, required=True)
    parser.add_argument("--studio", type=Path, nargs=2, metavar=("FULL", "SMALL"))
    parser.add_argument("--no-forms", action="store_true", help="without the last table")
    parser.add_argument("--list", action="store_true", help="the traits of each cell")
    arguments = parser.parse_args()
    faces = read_faces(arguments.tables, arguments.beyond)
    names = load_reference(REFERENCE_OF_ALL_AGES).measurements
    fold = np.array([int(digest[:8], 16) % FOLDS for digest in faces.digests])
    print(f"{len(faces)} photographs, {len(names)} measurements\n")
    s, likely = scored(faces, names, fold, {} if arguments.no_forms else FORMS)
    print_cells(s)
    print_cut(s)
    print_traits(s, arguments.list)
    if arguments.studio:
        full, small = arguments.studio
        print_studio(full, small, s)
    if likely:
        print_forms(names, likely)


if __name__ == "__main__":
    main()
