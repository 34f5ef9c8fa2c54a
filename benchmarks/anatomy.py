"""Truth: measurements and their intervals against hand-placed landmarks of studio photographs.

    python benchmarks/anatomy.py FACES --networks DIR [--no-fine] [--by-measurement] [--plot FILE.png]
    python benchmarks/anatomy.py FOLDER [--no-fine] [--by-measurement] [--plot FILE.png]

With --networks, each studio of FACES (frl, canada) is judged as a studio that nobody has seen: networks,
correction and error come from the other one; DIR is the output folder of development/fine.py. Only the size
of the stated error has a part in both: it is what the other studio's people showed when they were unseen
themselves. z-scores are against a reference made from the other people of frl, and, of canada, against the
shipped one.

Without --networks, what comes with anthropo is judged on one FOLDER, which holds `landmarks189.csv` (image,
x0, y0 ... x188, y188) and `labels.csv` (photo, patient, sex, age).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from instruments import (
    STUDIOS,
    WEB,
    Networks,
    Person,
    fit,
    instrument,
    people,
    residuals,
    web_errors,
)
from scipy.stats import binom, norm

from anthropo.face.fine import fine_model
from anthropo.face.frame import outer_canthal_distance
from anthropo.measurement import anatomy
from anthropo.measurement.anatomy import BETWEEN, Instrument
from anthropo.measurement.compute import evaluate, geometry, measure_face
from anthropo.reference.build import robust_mean_sd
from anthropo.reference.tables import load_reference
from anthropo.reference.zscore import score

# what the literature's target table names, with the landmarks at both ends
LENGTHS = {
    "outer canthal distance": ((36, 45),),
    "palpebral fissure": ((36, 39), (42, 45)),
    "intercanthal distance": ((39, 42),),
    "alar width": ((31, 35),),
    "mouth width": ((48, 54),),
    "philtrum length": ((33, 51),),
}
Table = dict[str, tuple[int, int, float, float, float, float]]


def by_hand(person: Person) -> dict[str, float]:
    """Every measurement that the hand-placed points allow."""
    names = {code: person.between[None, i] for i, code in enumerate(BETWEEN)}
    values = evaluate(np.nan_to_num(person.points)[None], geometry(), names)[0]
    known = np.isfinite(person.points).all(1)
    return {
        e.id: float(v)
        for e, v in zip(geometry(), values, strict=True)
        if known[list(e.points)].all() and np.isfinite(v) and not e.needs_mm
    }


def lengths_table(people: Sequence[Person], instrument: Instrument) -> None:
    """Bias and spread of lengths, unit: the hand-placed outer-canthal distance."""
    print("| length | raw bias | bias | raw spread | spread | correlation | spread as measured (own unit) |")
    print("|---|---|---|---|---|---|---|")
    for name, ends in LENGTHS.items():
        raw, ours, own, hand = [], [], [], []
        for p in people:
            points, _ = anatomy.apply(instrument.correction, p.face.landmarks, p.face.anatomy)
            unit = outer_canthal_distance(points)
            for a, b in ends:
                hand.append(np.linalg.norm(p.points[a] - p.points[b]) / p.unit)
                raw.append(np.linalg.norm(p.face.landmarks[a] - p.face.landmarks[b]) / p.unit)
                ours.append(np.linalg.norm(points[a] - points[b]) / p.unit)
                own.append(np.linalg.norm(points[a] - points[b]) / unit)
        x, y, z, h = map(np.array, (raw, ours, own, hand))
        r = np.corrcoef(y, h)[0, 1] if h.std() > 1e-9 else np.nan
        print(
            f"| {name} | {np.mean(x - h):+.4f} | {np.mean(y - h):+.4f} | {np.std(x - h, ddof=1):.4f} "
            f"| {np.std(y - h, ddof=1):.4f} | {r:.2f} | {np.std(z - h, ddof=1):.4f} |"
        )


def errors_of_people(
    members: Sequence[Person], chosen: Instrument
) -> dict[str, list[tuple[float, float, float]]]:
    """By measurement, of each person: error, half-width of the interval, and the value by hand."""
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for p in members:
        hand = by_hand(p)
        for m in measure_face(p.face, force=True, instrument=chosen):
            if m.id in hand and np.isfinite(m.value) and np.isfinite(m.lo):
                rows.setdefault(m.id, []).append((m.value - hand[m.id], m.hi - m.value, hand[m.id]))
    return rows


def chance(rows: dict[str, list[tuple[float, float, float]]], least: float = 0.88) -> None:
    """How many measurements fall short in so few people, were every true coverage 95 %.

    Counted on drawn errors that are normal and correlated between measurements as the people's are.
    """
    n = max(map(len, rows.values()))
    ratio = np.array([[error / half for error, half, _ in v] for v in rows.values() if len(v) == n])
    ratio = ratio[ratio.std(1) > 1e-9]
    correlation = 0.9 * np.corrcoef(ratio) + 0.1 * np.eye(len(ratio))
    root = np.linalg.cholesky(correlation)
    outside = int(np.floor(n * (1 - least) + 1e-9)) + 1  # of n people: a measurement then lies under `least`
    one = binom.sf(outside - 1, n, 0.05)
    random = np.random.default_rng(0)
    short, furthest = [], []
    for _ in range(4000):
        drawn = np.abs(root @ random.standard_normal((len(ratio), n)))
        nth = np.sort(drawn, 1)[:, n - outside]
        short.append(int((nth > norm.ppf(0.975)).sum()))
        furthest.append(float(nth.max()))
    counts = np.array(short)
    needed = 2 * norm.cdf(np.quantile(furthest, 0.95)) - 1
    few, many = np.quantile(counts, (0.025, 0.975))
    print(
        f"Were 95 % true of each of {len(ratio)} measurements, one of {n} people would lie under "
        f"{100 * least:.0f} % with a probability of {100 * one:.1f} % ({outside} or more outside); "
        f"expected {len(ratio) * one:.1f}, none in {100 * (counts == 0).mean():.1f} % of draws, "
        f"{few:.0f} to {many:.0f} in 95 % (independent: none in {100 * (1 - one) ** len(ratio):.1f} %). "
        f"That none lies under it in 95 % of draws takes a true coverage of {100 * needed:.1f} % of each.\n"
    )


def coverage(members: Sequence[Person], chosen: Instrument) -> Table:
    """By measurement: covered, of how many, bias, RMS error, mean half-width, between-person SD."""
    rows = errors_of_people(members, chosen)
    table = {}
    for name, values in rows.items():
        error, half, hand_values = np.array(values).T
        table[name] = (
            int((np.abs(error) <= half).sum()),
            len(error),
            float(error.mean()),
            float(np.sqrt(np.mean(error**2))),
            float(half.mean()),
            float(hand_values.std(ddof=1)),
        )
    return table


def coverage_table(table: Table, every: bool) -> None:
    """How often the interval holds the hand-placed value, and where least."""
    inside, total = (sum(row[k] for row in table.values()) for k in (0, 1))
    worst = sorted(table, key=lambda name: table[name][0] / table[name][1])[:4]
    least = ", ".join(f"{n} {100 * table[n][0] / table[n][1]:.0f} %" for n in worst)
    low = sum(row[0] / row[1] < 0.88 for row in table.values())
    print("\n| measurements | covered by the 95 % interval | under 88 % | the least covered |")
    print("|---|---|---|---|")
    print(f"| {len(table)} | {100 * inside / total:.1f} % | {low} | {least} |\n")
    if every:
        print("| measurement | covered | bias | true error, RMS | stated error, 1 SD | SD of people |")
        print("|---|---|---|---|---|---|")
        for name, (held, n, bias, rms, half, sd) in table.items():
            print(f"| {name} | {held} of {n} | {bias:+.4f} | {rms:.4f} | {half / 1.96:.4f} | {sd:.4f} |")
        print()


def scores(people: Sequence[Person], chosen: Instrument, anew: bool) -> None:
    """z-scores of these healthy people, against the shipped reference or one made from the others."""
    values = [{m.id: m for m in measure_face(p.face, instrument=chosen)} for p in people]
    shipped = load_reference()
    ids = list(dict.fromkeys(row.measurement for row in shipped.rows))
    z: dict[str, list[float]] = {}
    for i, p in enumerate(people):
        if not anew:
            found = score(list(values[i].values()), [shipped], sex=p.sex, age=p.age)
            for one in found:
                if np.isfinite(one.z):
                    z.setdefault(one.id, []).append(one.z)
            continue
        for name in ids:
            m = values[i].get(name)
            if m is None or not np.isfinite(m.value):
                continue
            others = np.array(
                [values[j][name].value for j, q in enumerate(people) if q.sex == p.sex and j != i]
            )
            others = others[np.isfinite(others)]
            if len(others) >= 15:
                mean, sd, _ = robust_mean_sd(others)
                spread = sd * np.sqrt(1 + 1 / len(others))  # as anthropo.reference.zscore.score
                z.setdefault(name, []).append((m.value - mean) / spread)
    means = np.array([np.mean(v) for v in z.values()])
    spreads = np.array([np.std(v, ddof=1) for v in z.values()])
    every = np.concatenate([np.array(v) for v in z.values()])
    print("| z of healthy adults | measurements | mean | SD | beyond ±2 |")
    print("|---|---|---|---|---|")
    print(
        f"| {'leave one person out' if anew else 'shipped reference'} | {len(z)} | {means.mean():+.2f} "
        f"| {spreads.mean():.2f} | {100 * np.mean(np.abs(every) > 2):.1f} % |"
    )


def plot(table: Table, file: Path) -> None:
    """Stated against true error, each relative to how much healthy people differ."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, NullLocator

    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), layout="constrained")
    stated = np.array([half / 1.96 / sd for *_, half, sd in table.values()])
    true = np.array([rms / sd for _, _, _, rms, _, sd in table.values()])
    low, high = min(stated.min(), true.min()) / 1.2, max(stated.max(), true.max()) * 1.2
    axes[0].loglog([low, high], [low, high], color="0.6", linewidth=1)
    axes[0].loglog(stated, true, "o", color="#0072B2", markersize=4)
    for name, x, y in zip(table, stated, true, strict=True):
        if abs(np.log(y / x)) > 0.7:
            axes[0].annotate(name, (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
    for axis in (axes[0].xaxis, axes[0].yaxis):
        axis.set_major_locator(FixedLocator([0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0]))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    axes[0].set_xlabel("stated error, 1 SD (in SD between people)")
    axes[0].set_ylabel("true error, RMS (in SD between people)")
    axes[0].set_title("Stated and true error of each measurement", fontsize=10)
    share = np.sort([100 * inside / n for inside, n, *_ in table.values()])
    axes[1].barh(np.arange(len(share)), share, color="#56B4E9")
    axes[1].axvline(95, color="0.3", linewidth=1)
    axes[1].set_xlim(70, 100)
    axes[1].set_yticks([])
    axes[1].set_xlabel("hand-placed values inside the 95 % interval, %")
    axes[1].set_title(f"Coverage of {len(share)} measurements", fontsize=10)
    figure.savefig(file, dpi=130)


def unseen(
    faces: Path, networks: Networks, stage: anatomy.Stage
) -> dict[str, tuple[list[Person], Instrument]]:
    """Each studio's people and the instrument that was made without the studio."""
    seen = {}
    for studio in STUDIOS:
        (other,) = set(STUDIOS) - {studio}
        choices = {
            "unseen": lambda _, studio=studio: networks.without[studio] if stage == "fine" else None,
            "fitted": lambda _, other=other: networks.without[other] if stage == "fine" else None,
        }
        seen[studio] = people(faces / studio, choices)
    made = {}
    for studio in STUDIOS:
        (other,) = set(STUDIOS) - {studio}
        left = residuals(seen[other]["unseen"], fit([seen[studio]["fitted"]]))
        web = web_errors(faces / WEB, networks.without[studio] if stage == "fine" else None)
        made[studio] = (
            seen[studio]["unseen"],
            instrument(fit([seen[other]["fitted"]]), [left], web),
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", type=Path)
    parser.add_argument("--no-fine", action="store_true")
    parser.add_argument("--by-measurement", action="store_true")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    stage: anatomy.Stage = "first" if arguments.no_fine else "fine"
    if arguments.networks is None:
        shipped = fine_model() if stage == "fine" else None
        found = people(arguments.folder, {"shipped": lambda _: shipped})["shipped"]
        judged = {arguments.folder.name: (found, anatomy.instrument(stage))}
    else:
        judged = unseen(arguments.folder, Networks.read(arguments.networks), stage)
    for name, (members, made) in judged.items():
        as_what = "as shipped" if arguments.networks is None else "unseen"
        stages = "both stages" if stage == "fine" else "first stage only"
        print(f"\n### {name}, {as_what}, {stages}, {len(members)} people\n")
        lengths_table(members, made)
        table = coverage(members, made)
        coverage_table(table, arguments.by_measurement)
        chance(errors_of_people(members, made))
        if arguments.networks is not None:
            shipped_error = anatomy.instrument(stage)
            wider = Instrument(made.correction, shipped_error.point_errors, shipped_error.between_errors)
            print("with the shipped error, which is of the people of both studios:")
            coverage_table(coverage(members, wider), False)
        scores(members, made, anew=arguments.networks is not None and name == "frl")
        if arguments.plot and name == list(judged)[-1]:
            plot(table, arguments.plot)


if __name__ == "__main__":
    main()
