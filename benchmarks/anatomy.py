"""Truth: measurements and their intervals against hand-placed landmarks of studio photographs.

    python benchmarks/anatomy.py FOLDER [--folds DIR --web WEB] [--no-fine] [--plot FILE.png] [--write DIR]

FOLDER holds `landmarks189.csv` (image, x0, y0 ... x188, y188) and `labels.csv` (photo, patient, sex).
Measurements made with the data that come with anthropo are compared with the same measurements from the
hand-placed points; z-scores are against the shipped reference.

--folds names networks that were each trained without a fold of the people (development/fine.py), --web a
folder of photographs with 68 points each, for points without a hand-placed counterpart. With both, no person
is measured with anything fitted to that person: correction, error and reference are made again from the
others for each person. --write then writes correction.csv and errors.npz, made from all people, to DIR.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from landmark_error import annotated, nearest
from numpy.typing import NDArray
from template189 import placed

from anthropo.errors import AnthropoError
from anthropo.face.fine import FineModel, fine_model, read_fine_model, refine
from anthropo.face.frame import face_axes, outer_canthal_distance
from anthropo.face.landmarker import FIRST_DECODE, Face, read_face, read_faces
from anthropo.face.lens import AT_REFERENCE
from anthropo.measurement import anatomy
from anthropo.measurement.anatomy import BETWEEN, Correction, Instrument
from anthropo.measurement.compute import error_growth, evaluate, geometry, measure_face
from anthropo.photo import read_photo
from anthropo.reference.build import robust_mean_sd
from anthropo.reference.tables import load_reference
from anthropo.reference.zscore import score

Floats = NDArray[np.float64]

# what the literature's target table names, with the landmarks at both ends
LENGTHS = {
    "outer canthal distance": ((36, 45),),
    "palpebral fissure": ((36, 39), (42, 45)),
    "intercanthal distance": ((39, 42),),
    "alar width": ((31, 35),),
    "mouth width": ((48, 54),),
    "philtrum length": ((33, 51),),
}


@dataclass
class Person:
    patient: str
    sex: str
    age: float | None
    face: Face
    points: Floats  # (68, 2) hand-placed, NaN where unknown
    between: Floats  # (6, 2)

    @property
    def unit(self) -> float:
        return outer_canthal_distance(self.points)


def studio(folder: Path, model: FineModel | None, folds: dict[str, FineModel]) -> list[Person]:
    """Everybody with hand-placed points."""
    people = []
    for one in placed(folder):
        photo = read_photo(one.path, short_side=FIRST_DECODE)
        face = read_face(photo)
        chosen = folds.get(one.label["patient"], model)
        if chosen is not None:
            face = refine(photo, face, chosen)
        face = replace(face, distance=AT_REFERENCE)  # the hand-placed points are on the same photo
        known = one.landmarks()
        between = np.array([known[code] for code in BETWEEN])
        age = float(one.label["age"]) if one.label["age"].replace(".", "").isdigit() else None
        people.append(Person(one.label["patient"], one.label["sex"], age, face, one.points, between))
    return people


def web_errors(folder: Path, model: FineModel | None) -> Floats:
    """Errors of web portraits in the face's frame (N, 68, 2), mean removed, as on a steady face."""
    photos, _, _ = annotated(folder)
    errors = []
    for path, truth in photos:
        photo = read_photo(path, short_side=FIRST_DECODE)
        unit = outer_canthal_distance(truth)
        try:
            faces = read_faces(photo)
        except AnthropoError:
            continue
        if nearest([f.landmarks for f in faces], truth, unit) is None:
            continue
        face = min(faces, key=lambda f: float(np.linalg.norm(f.landmarks - truth)))
        if model is not None:
            face = refine(photo, face, model)
        axes = face_axes(face.landmarks) * error_growth(face)
        errors.append((face.landmarks - truth) @ np.linalg.inv(axes))
    return np.array(errors) - np.mean(errors, 0)


def symmetric(points: Floats, between: Floats) -> tuple[Floats, Floats]:
    """Values of faces (N, 68, 2) and (N, 6, 2), with those of their mirror images after them."""
    other = anatomy.mirror(points, between)
    return np.concatenate([points, other[0]]), np.concatenate([between, other[1]])


def fit(people: list[Person]) -> Correction:
    """Mean offsets, the same on both sides."""
    points, between = [], []
    for p in people:
        to_frame = np.linalg.inv(face_axes(p.face.landmarks))
        points.append((p.points - p.face.landmarks) @ to_frame)
        between.append((p.between - anatomy.between(p.face.landmarks)) @ to_frame)
    both = symmetric(np.array(points), np.array(between))
    known = frozenset(np.flatnonzero(np.isfinite(both[0]).all((0, 2))).tolist())
    return Correction(np.nan_to_num(both[0].mean(0)), both[1].mean(0), known)


def errors_of(person: Person, correction: Correction) -> tuple[Floats, Floats]:
    """Residuals after the correction, in the face's frame; NaN where no hand-placed point exists."""
    points, between = anatomy.apply(correction, person.face.landmarks, person.face.anatomy)
    to_frame = np.linalg.inv(face_axes(person.face.landmarks) * error_growth(person.face))
    return (points - person.points) @ to_frame, (between - person.between) @ to_frame


def leave_one_out(people: list[Person], web: Floats) -> list[Instrument]:
    """For each person an instrument made from the others; at the end one made from all."""
    corrections = [fit([q for q in people if q is not p]) for p in people]
    left = [errors_of(p, c) for p, c in zip(people, corrections, strict=True)]
    rng = np.random.default_rng(1)
    result = []
    for out in [*range(len(people)), None]:
        chosen = [e for i, e in enumerate(left) if i != out]
        points, between = symmetric(np.array([e[0] for e in chosen]), np.array([e[1] for e in chosen]))
        # points without a counterpart err as on the web portraits; no mean is left in what is added
        points -= points.mean(0)
        elsewhere = np.concatenate([web, anatomy.mirror(web, np.zeros((len(web), 6, 2)))[0]])
        elsewhere = elsewhere[rng.permutation(len(elsewhere))[: len(points)]]
        elsewhere = np.resize(elsewhere, points.shape)
        points = np.where(np.isfinite(points), points, elsewhere)
        correction = fit(people) if out is None else corrections[out]
        result.append(Instrument(correction, points, between - between.mean(0)))
    return result


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


def lengths_table(people: list[Person], instruments: list[Instrument]) -> None:
    """Bias and spread of lengths, unit: the hand-placed outer-canthal distance."""
    print("| length | raw bias | bias | raw spread | spread | correlation | spread as measured (own unit) |")
    print("|---|---|---|---|---|---|---|")
    for name, ends in LENGTHS.items():
        raw, ours, own, hand = [], [], [], []
        for p, instrument in zip(people, instruments, strict=True):
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


def coverage(
    people: list[Person], instruments: list[Instrument]
) -> dict[str, tuple[int, int, float, float, float]]:
    """By measurement: covered, of how many, RMS error, mean half-width, between-person SD."""
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for p, instrument in zip(people, instruments, strict=True):
        hand = by_hand(p)
        for m in measure_face(p.face, force=True, instrument=instrument):
            if m.id in hand and np.isfinite(m.value) and np.isfinite(m.lo):
                rows.setdefault(m.id, []).append((m.value - hand[m.id], m.hi - m.value, hand[m.id]))
    table = {}
    for name, values in rows.items():
        error, half, hand_values = np.array(values).T
        inside = int((np.abs(error) <= half).sum())
        table[name] = (
            inside,
            len(error),
            float(np.sqrt(np.mean(error**2))),
            float(half.mean()),
            float(hand_values.std(ddof=1)),
        )
    return table


def scores(people: list[Person], instruments: list[Instrument], anew: bool) -> None:
    """z-scores of these healthy people, against the shipped reference or one made from the others."""
    values = [
        {m.id: m for m in measure_face(p.face, instrument=i)}
        for p, i in zip(people, instruments, strict=True)
    ]
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


def plot(table: dict[str, tuple[int, int, float, float, float]], file: Path) -> None:
    """Stated against true error, each relative to how much healthy people differ."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, NullLocator

    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), layout="constrained")
    stated = np.array([half / 1.96 / sd for _, _, _, half, sd in table.values()])
    true = np.array([rms / sd for _, _, rms, _, sd in table.values()])
    low, high = min(stated.min(), true.min()) / 1.2, max(stated.max(), true.max()) * 1.2
    axes[0].loglog([low, high], [low, high], color="0.6", linewidth=1)
    axes[0].loglog(stated, true, "o", color="#0072B2", markersize=4)
    for name, x, y in zip(table, stated, true, strict=True):
        if abs(np.log(y / x)) > 0.35:
            axes[0].annotate(name, (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
    for axis in (axes[0].xaxis, axes[0].yaxis):
        axis.set_major_locator(FixedLocator([0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0]))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    axes[0].set_xlabel("stated error, 1 SD (in SD between people)")
    axes[0].set_ylabel("true error, RMS (in SD between people)")
    axes[0].set_title("Stated and true error of each measurement", fontsize=10)
    share = np.sort([100 * inside / n for inside, n, _, _, _ in table.values()])
    axes[1].barh(np.arange(len(share)), share, color="#56B4E9")
    axes[1].axvline(95, color="0.3", linewidth=1)
    axes[1].set_xlim(70, 100)
    axes[1].set_yticks([])
    axes[1].set_xlabel("hand-placed values inside the 95 % interval, %")
    axes[1].set_title(f"Coverage of {len(share)} measurements", fontsize=10)
    figure.savefig(file, dpi=130)


def write(folder: Path, instruments: dict[str, Instrument], people: int) -> None:
    """correction.csv and errors.npz."""
    with open(folder / "correction.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("stage", "landmark", "dx", "dy", "error_x", "error_y", "n", "source"))
        source = "Face Research Lab London Set (DeBruine & Jones, CC BY 4.0)"
        for stage, made in instruments.items():
            names = [f"p{i}" for i in sorted(made.correction.corrected)] + list(BETWEEN)
            offsets = np.concatenate(
                [made.correction.points[sorted(made.correction.corrected)], made.correction.between]
            )
            spread = np.concatenate(
                [made.point_errors[:, sorted(made.correction.corrected)].std(0), made.between_errors.std(0)]
            )
            for name, (dx, dy), (ex, ey) in zip(names, offsets, spread, strict=True):
                writer.writerow((stage, name, *(f"{v:.5f}" for v in (dx, dy, ex, ey)), people, source))
    arrays = {}
    for stage, made in instruments.items():
        arrays[f"{stage}_points"] = made.point_errors.astype(np.float16)
        arrays[f"{stage}_between"] = made.between_errors.astype(np.float16)
    np.savez_compressed(folder / "errors.npz", **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", type=Path)
    parser.add_argument("--web", type=Path)
    parser.add_argument("--no-fine", action="store_true")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    anew = arguments.folds is not None
    made = {}
    for stage in ("first", "fine"):
        if (stage == "fine") == arguments.no_fine and not (arguments.write and stage == "first"):
            continue
        model = fine_model() if stage == "fine" and not anew else None
        folds: dict[str, FineModel] = {}
        if anew and stage == "fine":
            with open(arguments.folds / "folds.csv", newline="") as file:
                fold_of = {r["patient"]: r["fold"] for r in csv.DictReader(file)}
            models = {
                k: read_fine_model((arguments.folds / f"fold{k}.npz").read_bytes())
                for k in set(fold_of.values())
            }
            folds = {patient: models[k] for patient, k in fold_of.items()}
            model = read_fine_model((arguments.folds / "fine.npz").read_bytes())
        people = studio(arguments.folder, model, folds)
        if anew:
            web = web_errors(arguments.web, model)
            instruments = leave_one_out(people, web)
            made[stage] = instruments.pop()
        else:
            instruments = [anatomy.instrument(stage)] * len(people)
        print(f"\n### {'both stages' if stage == 'fine' else 'first stage only'}, {len(people)} people\n")
        lengths_table(people, instruments)
        table = coverage(people, instruments)
        inside, total = (sum(row[k] for row in table.values()) for k in (0, 1))
        worst = sorted(table, key=lambda name: table[name][0] / table[name][1])[:3]
        print("\n| measurements | covered by the 95 % interval | the least covered |")
        print("|---|---|---|")
        least = ", ".join(f"{n} {100 * table[n][0] / table[n][1]:.0f} %" for n in worst)
        print(f"| {len(table)} | {100 * inside / total:.1f} % | {least} |\n")
        scores(people, instruments, anew)
        if arguments.plot and stage == "fine":
            plot(table, arguments.plot)
    if arguments.write:
        write(arguments.write, made, len(people))


if __name__ == "__main__":
    main()
