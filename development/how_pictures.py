"""Make the pictures of the pages on how a number is made: docs/images/how/.

    python development/how_pictures.py docs/images/how [MODEL PORTRAIT]

They show scikit-image's astronaut, the mean face and drawings. MODEL and PORTRAIT are what `anthropo demo`
leaves (demo.anthropo and the picture in new/), for the picture of heatmaps of a synthetic person.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import anthropo
from anthropo.face.frame import face_axes
from anthropo.face.lens import REFERENCE, aim, brought, depths, face_size
from anthropo.face.pose import generic_face
from anthropo.face.scheme import LANDMARKS
from anthropo.learning.calibration import bounded, smoothed
from anthropo.measurement.anatomy import BETWEEN, instrument, place
from anthropo.reference.curves import half_width
from anthropo.reference.tables import load_reference
from anthropo.reference.zscore import score
from anthropo.report import heat
from anthropo.report.rendering import jpeg, png
from anthropo.synthetic import healthy_sd, nearer, occlude
from anthropo.workflows.explain import ExplainedCase

Array = np.ndarray[Any, Any]

BLUE, ORANGE, GREEN, PURPLE, GREY, INK = "#0072b2", "#d55e00", "#009e73", "#7b3fa0", "#8c8c8c", "#222222"
WIDTH = 9.0  # inches
_LINES = heat.FACE_LINES


def figure(height: float, rows: int, columns: int, **grid: Any) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    made = Figure(figsize=(WIDTH, height), layout="constrained")
    return made, made.subplots(rows, columns, squeeze=False, **grid)


def plain(axis: Any, title: str) -> None:
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_visible(False)


def bare(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)


def window(axis: Any, points: Array, margin: float) -> None:
    """Show what lies about points (N, 2), and so much more, in their own unit."""
    low, high = points.min(0) - margin, points.max(0) + margin
    axis.set_xlim(low[0], high[0])
    axis.set_ylim(high[1], low[1])
    axis.set_aspect("equal")


def places(seen: anthropo.Observation) -> tuple[dict[str, Array], dict[str, Array]]:
    """Each landmark where it was detected, and where it is measured, photo pixels."""
    found, moved = seen.face.landmarks, place(seen.face)
    detected = {code: found[list(at)].mean(0) for code, at in LANDMARKS.items()}
    measured = {code: moved[0][list(at)].mean(0) for code, at in LANDMARKS.items()}
    return detected, measured | dict(zip(BETWEEN, moved[1], strict=True))


def by_id(seen: anthropo.Observation) -> dict[str, anthropo.Measurement]:
    return {m.id: m for m in anthropo.measure_face(seen.face, seen.photo)}


# ------------------------------------------------------------------------------------ from photo to z


def chain() -> Any:
    """Photo, landmarks, corrected places, value with both intervals, reference, z."""
    seen = anthropo.observe(anthropo.example_photo())
    face, pixels = seen.face, seen.photo.pixels
    made, axes = figure(6.4, 2, 3)
    photo, found, moved, value, people, z = axes.ravel()
    span = face.landmarks
    side = float(np.hypot(*(span[45] - span[36])))

    plain(photo, "1  a face is found, the gate looks")
    photo.imshow(pixels)
    left, top, right, bottom = face.box
    photo.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=ORANGE, lw=1.5)
    window(photo, span, side)

    plain(found, "2  68 points, where the models see them")
    found.imshow(pixels)
    found.plot(*span.T, "o", ms=2.5, color="#56b4e9", mec="white", mew=0.3)
    window(found, span, 0.45 * side)

    detected, measured = places(seen)
    plain(moved, "3  moved to the anatomical places")
    moved.imshow(pixels, interpolation="bicubic")
    for code in ("exR", "enR", "enL", "exL"):
        moved.plot(*np.transpose([detected[code], measured[code]]), "-", color="#56b4e9", lw=1)
        moved.plot(*detected[code], "o", ms=5, mfc="none", mec="#56b4e9")
        moved.plot(*measured[code], "o", ms=4, color=ORANGE)
        moved.annotate(code[:2], measured[code], xytext=(0, 8), textcoords="offset points", color="white",
                       fontsize=9, ha="center")  # fmt: skip
    moved.plot(*np.transpose([measured["enR"], measured["enL"]]), "-", color=ORANGE, lw=2)
    eyes = np.array([measured[code] for code in ("exR", "exL")])
    window(moved, eyes + np.array([[0, -0.42 * side], [0, 0.42 * side]]), 0.1 * side)

    m = by_id(seen)["intercanthal_width"]
    value.set_title("4  a value, and its two errors", fontsize=10, loc="left")
    for at, (lo, hi), colour, text in (
        (1, (m.lo, m.hi), GREY, "accuracy: against a hand with callipers"),
        (0, (m.repeat_lo, m.repeat_hi), PURPLE, "repeatability: against other photos"),
    ):
        value.plot([lo, hi], [at, at], color=colour, lw=3)
        value.plot(m.value, at, "o", color=colour)
        value.text(m.lo, at + 0.18, text, fontsize=8, color=colour)
    value.set_ylim(-0.6, 1.8)
    value.set_yticks([])
    value.set_xlabel("inner canthal distance, ex-ex", fontsize=8)
    bare(value)

    row, _ = load_reference("web-all-ages").choose("intercanthal_width", "female", 31.0, None)
    if row is None:
        raise RuntimeError("web-all-ages does not score women of 31 years")
    x = np.linspace(row.mean - 3.4 * row.sd, row.mean + 3.4 * row.sd, 200)
    people.set_title("5  healthy people of her age and sex", fontsize=10, loc="left")
    people.fill_between(x, np.exp(-0.5 * ((x - row.mean) / row.sd) ** 2), color="#d9e6f2")
    for k in (-2, 0, 2):
        people.axvline(row.mean + k * row.sd, color=BLUE, lw=0.8, ls="-" if k == 0 else "--")
    people.axvline(m.value, color=ORANGE, lw=2)
    people.text(m.value + 0.1 * row.sd, 1.08, "she", color=ORANGE, fontsize=9)
    people.set_ylim(0, 1.2)
    people.set_yticks([])
    people.set_xlabel("inner canthal distance, ex-ex; dashed: ±2 SD", fontsize=8)
    bare(people)

    (scored,) = score([m], [load_reference("web-all-ages")], sex="female", age=31.0)
    z.set_title("6  z, with the error that counts for it", fontsize=10, loc="left")
    z.axvspan(-2, 2, color="#e8f3ee")
    z.plot([scored.z_lo, scored.z_hi], [0, 0], color=PURPLE, lw=3)
    z.plot(scored.z, 0, "o", color=PURPLE)
    z.set_xlim(-4, 4)
    z.set_ylim(-1, 1)
    z.set_yticks([])
    z.set_xlabel("z: standard deviations of people from their median", fontsize=8)
    bare(z)
    return made


# ----------------------------------------------------------------------------------------- landmarks


def landmarks() -> Any:
    """Where landmarks were detected, where they are measured, and how far that may be off."""
    seen = anthropo.observe(anthropo.example_photo())
    detected, measured = places(seen)
    frame = face_axes(seen.face.landmarks)
    kind = instrument("fine")
    made, axes = figure(6.0, 2, 1)
    parts = (
        ("eyes", ("exR", "psR", "enR", "piR", "enL", "psL", "exL", "piL", "pR", "pL")),
        ("nose", ("alR", "alL", "sn", "prn")),
    )
    for axis, (name, codes) in zip(axes.ravel(), parts, strict=True):
        plain(axis, name)
        axis.imshow(seen.photo.pixels, interpolation="bicubic")
        for code in codes:
            at = measured[code]
            errors = (
                kind.between_errors[:, BETWEEN.index(code)]
                if code in BETWEEN
                else kind.point_errors[:, LANDMARKS[code][0]]
            )
            axis.plot(*ellipse(errors @ frame, at).T, color="white", lw=0.9)
            axis.plot(*np.transpose([detected[code], at]), "-", color="#56b4e9", lw=1.2)
            axis.plot(*detected[code], "o", ms=6, mfc="none", mec="#56b4e9", mew=1.5)
            axis.plot(*at, "o", ms=4, color=ORANGE)
            beside = {"pi": (0, -15), "p": (12, -3), "sn": (13, -3), "prn": (13, -3), "al": (0, 21)}
            axis.annotate(code, at, xytext=beside.get(code.rstrip("RL"), (0, 9)), textcoords="offset points",
                          fontsize=9, color="white", ha="center")  # fmt: skip
        shown = np.array([measured[code] for code in codes])
        window(axis, shown, 14 if name == "eyes" else 12)
    return made


def ellipse(errors: Array, at: Array) -> Array:
    """The ellipse about a point that holds 95 % of errors (N, 2), if these are normal."""
    scatter = errors.T @ errors / len(errors)
    turn = np.linspace(0, 2 * np.pi, 60)
    circle = np.sqrt(5.991) * np.column_stack([np.cos(turn), np.sin(turn)])
    return at + circle @ np.linalg.cholesky(scatter).T


def codes() -> Any:
    """Every landmark with its code, on the mean face."""
    points = generic_face()[:, :2]
    made, axes = figure(8.6, 1, 1)
    axis = axes[0, 0]
    plain(axis, "")
    for line in _LINES:
        axis.plot(*points[list(line)].T, color="#b9c2cc", lw=1.2)
    side = {"n": "right", "prn": "right", "sn": "right", "gn": "left", "browin": "left"}
    below = ("pi", "sti", "li", "gn", "browin", "sn", "ch")
    for code, at in LANDMARKS.items():
        place_of = points[list(at)].mean(0)
        axis.plot(*place_of, "o", ms=4, color=ORANGE if code[-1] in "RL" else BLUE)
        bare_code = code.rstrip("RL")
        down = bare_code in below
        beside = {"sto": (16, -3), "p": (14, -3)}.get(bare_code, (0, -13 if down else 6))
        axis.annotate(code, place_of, xytext=beside, textcoords="offset points", fontsize=9,
                      ha=side.get(bare_code, "center"), color=INK)  # fmt: skip
    axis.text(points[:, 0].min(), points[:, 1].min(), "the subject's right", fontsize=9, color=GREY)
    axis.text(
        points[:, 0].max(), points[:, 1].min(), "the subject's left", fontsize=9, color=GREY, ha="right"
    )
    window(axis, points, 0.12)
    return made


# --------------------------------------------------------------------------------------- hidden parts


def hidden() -> Any:
    """What is drawn before a face, the map of what is seen, and which landmarks count as hidden."""
    seen = anthropo.observe(anthropo.example_photo())
    made, axes = figure(4.9, 2, 4)
    for column, (kind, name) in enumerate(
        [("mask_surgical", "a mask"), ("dark_glasses", "dark glasses"), ("hand", "a hand"), ("bar", "a bar")]
    ):
        drawn = occlude(seen.photo.pixels, seen.face.landmarks, kind, seed=1)
        with tempfile.TemporaryDirectory() as folder:
            Image.fromarray(drawn.pixels).save(Path(folder, "drawn.png"))
            face = anthropo.observe(Path(folder, "drawn.png")).face
        points, lost, cover = face.landmarks, face.hidden, face.cover
        if cover is None:
            raise RuntimeError(f"{kind}: the face has no map of what is seen")
        top, bottom = axes[:, column]
        plain(top, name)
        top.imshow(drawn.pixels)
        top.plot(*points[~lost].T, "o", ms=2.5, color="#56b4e9", mec="white", mew=0.3)
        top.plot(*points[lost].T, "o", ms=4, mfc="none", mec="#ffd400", mew=0.9)
        window(top, points, 30)
        rows, columns = np.mgrid[: drawn.pixels.shape[0], : drawn.pixels.shape[1]]
        every = np.column_stack([columns.ravel(), rows.ravel()]).astype(float)
        low, high = points.min(0) - 30, points.max(0) + 30
        on = cover._on_map(every)
        near = ((every > low) & (every < high) & (on >= 0) & (on <= len(cover.seen) - 1)).all(1)
        picture = np.full(len(every), np.nan)
        picture[near] = cover._read(on[near])
        plain(bottom, "")
        bottom.imshow(picture.reshape(rows.shape), cmap="cividis", vmin=0, vmax=1)
        window(bottom, points, 30)
    axes[1, 0].set_ylabel("probability that a\nplace is seen", fontsize=9)
    return made


# ------------------------------------------------------------------------------------------ distance


def distance() -> Any:
    """One face from three distances, and what that does to measurements before it is taken off."""
    seen = anthropo.observe(anthropo.example_photo())
    made, axes = figure(6.8, 2, 3, height_ratios=(1.1, 1))
    shown = nearer(seen.photo.pixels, seen.face.landmarks, 25.0)[1]
    for axis, cm in zip(axes[0], (25.0, 50.0, 150.0), strict=True):
        pixels, _ = nearer(seen.photo.pixels, seen.face.landmarks, cm)
        plain(axis, f"{cm:.0f} cm")
        axis.imshow(pixels)
        window(axis, shown, 25)
    grid = axes[1, 0].get_gridspec()
    for axis in axes[1]:
        axis.remove()
    axis = made.add_subplot(grid[1, :])
    points, size = generic_face()[:, :2], face_size(30.0)[0]
    apart = np.geomspace(25, 300, 60)
    lengths: dict[str, tuple[int, int, str]] = {
        "nasal width": (31, 35, "nasal_width"),
        "mouth width": (48, 54, "mouth_width"),
        "inner canthal distance": (39, 42, "intercanthal_width"),
        "jaw width": (4, 12, "bigonial_width"),
        "face width": (2, 14, "bizygomatic_width"),
    }
    for (name, (a, b, entry)), colour in zip(
        lengths.items(), (ORANGE, "#cc79a7", GREEN, BLUE, INK), strict=True
    ):
        values = np.array([ratio(at_distance(points, size, d), a, b) for d in apart])
        change = (values - ratio(points, a, b)) / healthy_sd()[entry]
        axis.plot(apart, change, color=colour)
        higher = 0.09 if name == "mouth width" else 0.0  # its line begins where the nose's does
        axis.text(
            apart[0] * 0.98, change[0] + higher, name, color=colour, fontsize=8, ha="right", va="center"
        )
    axis.axhline(0, color=GREY, lw=0.8)
    axis.axvline(REFERENCE, color=GREY, lw=0.8, ls="--")
    axis.text(REFERENCE, axis.get_ylim()[1], " brought to 150 cm", fontsize=8, color=GREY, va="top")
    axis.set_xscale("log")
    axis.set_xlim(14, 300)
    axis.set_xticks([25, 30, 40, 60, 100, 150, 300], ["25", "30", "40", "60", "100", "150", "300"])
    axis.minorticks_off()
    axis.set_xlabel("distance of the camera, cm", fontsize=9)
    axis.set_ylabel("change against 150 cm,\nSD of people", fontsize=9)
    bare(axis)
    return made


def at_distance(points: Array, size: float, cm: float) -> Array:
    return brought(points, depths(), aim(points), (size / REFERENCE, size / cm))


def ratio(points: Array, a: int, b: int) -> float:
    return float(np.hypot(*(points[b] - points[a])) / np.hypot(*(points[45] - points[36])))


# ------------------------------------------------------------------------------- intervals, z, traits


def intervals(portrait: str) -> Any:
    """Both errors of some measurements of a photo that passes the gate, against how much people differ."""
    values = by_id(anthropo.observe(portrait))
    wanted = ("intercanthal_width", "interpupillary_distance", "palpebral_fissure_length_R",
              "palpebral_fissure_length_L", "palpebral_inclination_R", "brow_height_R",
              "nasal_width", "philtrum_length", "mouth_width", "bizygomatic_width",
              "bigonial_width")  # fmt: skip
    names = [i for i in wanted if i in values and np.isfinite(values[i].value)]
    made, axes = figure(4.4, 1, 1)
    axis = axes[0, 0]
    for at, name in enumerate(reversed(names)):
        m, sd = values[name], healthy_sd()[name]
        axis.barh(at + 0.2, (m.hi - m.lo) / 2 / sd, 0.38, color=GREY)
        axis.barh(at - 0.2, (m.repeat_hi - m.repeat_lo) / 2 / sd, 0.38, color=PURPLE)
    axis.axvline(2, color=BLUE, ls="--", lw=1)
    axis.text(2.03, len(names) - 0.7, "2 SD", color=BLUE, fontsize=8)
    axis.set_yticks(range(len(names)), [anthropo.registry()[i].name for i in reversed(names)], fontsize=8)
    axis.set_xlabel(
        "half of the 95 % interval, SD of healthy adults (grey: accuracy; purple: repeatability)", fontsize=8
    )
    bare(axis)
    return made


def curve() -> Any:
    """The reference's curve of one measurement over age, and one person on it."""
    table = load_reference("web-all-ages")
    ages = np.expm1(np.linspace(np.log1p(1), np.log1p(78), 60))
    made, axes = figure(3.4, 1, 2)
    for axis, (name, value, age) in zip(
        axes[0], (("nasal_index", 70.0, 7.0), ("intercanthal_width", 0.454, 31.0)), strict=True
    ):
        rows = [table.choose(name, "female", float(a), None)[0] for a in ages]
        known = [(a, r) for a, r in zip(ages, rows, strict=True) if r is not None]
        x = np.log1p([a for a, _ in known])
        for k, style in ((-2, "--"), (0, "-"), (2, "--")):
            y = [r.mean + r.sd * _value(k, getattr(r, "skew", 0.0)) for _, r in known]
            axis.plot(x, y, style, color=BLUE, lw=2 if k == 0 else 1)
        axis.plot(np.log1p(age), value, "o", color=ORANGE)
        axis.set_xticks(np.log1p([1, 2, 5, 10, 20, 40, 80]), ["1", "2", "5", "10", "20", "40", "80"])
        axis.set_title(f"{anthropo.registry()[name].name}, girls and women", fontsize=9, loc="left")
        axis.set_xlabel("age, years", fontsize=8)
        bare(axis)
    return made


def _value(z: float, skew: float) -> float:
    """The value, in SD from the median, whose score is z."""
    at = float(np.sinh(np.arcsinh(z) + skew))
    return (at - float(np.sinh(skew))) / half_width(skew)


def traits() -> Any:
    """What a z-score and its interval are called."""
    made, axes = figure(2.6, 1, 1)
    axis = axes[0, 0]
    axis.axvspan(2, 4.4, color="#f6e3d8")
    axis.axvline(2, color=ORANGE, lw=1, ls="--")
    rows = (("present", 3.1, 0.8), ("borderline", 2.5, 0.8), ("inconclusive", 1.6, 0.8), ("absent", 0.4, 0.8))
    for at, (name, z, half) in enumerate(reversed(rows)):
        axis.plot([z - half, z + half], [at, at], color=PURPLE, lw=3)
        axis.plot(z, at, "o", color=PURPLE)
        axis.text(-1.1, at, name, va="center", fontsize=10)
    axis.text(2.05, 3.45, "beyond the limit of the rule", color=ORANGE, fontsize=8)
    axis.set_xlim(-1.2, 4.4)
    axis.set_ylim(-0.6, 3.8)
    axis.set_yticks([])
    axis.set_xlabel("z with its 95 % interval", fontsize=9)
    bare(axis)
    return made


# ------------------------------------------------------------------------------------ odds, heatmaps


def odds() -> Any:
    """The odds of a typical one of so many people who are all told apart, and the highest."""
    people = np.arange(10, 161)
    made, axes = figure(2.9, 1, 1)
    axis = axes[0, 0]
    for name, color, below in (("at most", ORANGE, 4), ("a typical one, about", BLUE, -12)):
        odds_of = []
        for n in people:
            both = np.array([n, n], dtype=np.float64)
            target = np.log(smoothed(np.zeros(1, dtype=np.int64), both))
            first, second = bounded(target if color == BLUE else 10 * target, both)[0]
            odds_of.append(np.exp(first - second))
        axis.plot(people, odds_of, color=color, label=name)
        for n in (20, 40, 80):
            at = float(odds_of[n - people[0]])
            axis.plot(n, at, "o", color=color)
            side, beside = ("right", -4) if below > 0 else ("left", 6)
            axis.annotate(f"{at:.0f} to 1", (n, at), xytext=(beside, below), ha=side,
                          textcoords="offset points", fontsize=8)  # fmt: skip
    axis.legend(frameon=False, fontsize=8)
    axis.set_xlabel("people with the label, all told apart without an error", fontsize=9)
    axis.set_ylabel("odds to 1", fontsize=9)
    bare(axis)
    return made


def heatmaps(case: ExplainedCase) -> Image.Image:
    """The photo of a synthetic person, and the heatmaps of the whole and of each region."""
    if case.heat is None or case.face is None:
        raise RuntimeError("this answer has no heatmap")
    side, gap = 300, 8
    maps = {"all regions": case.heat.whole, **case.heat.regions}
    limit = heat.common_limit([case.heat.whole.values])
    pictures = [heat.overlay(0 * case.heat.whole.values, case.photo, case.face, limit, side)]
    pictures += [heat.overlay(m.values, case.photo, case.face, limit, side) for m in maps.values()]
    columns = 3
    rows = -(-len(pictures) // columns)
    made = Image.new("RGB", (columns * (side + gap) - gap, rows * (side + 24 + gap) - gap), "white")
    draw, font = ImageDraw.Draw(made), ImageFont.load_default(15)
    for i, (name, picture) in enumerate(zip(["the photo", *maps], pictures, strict=True)):
        x, y = (i % columns) * (side + gap), (i // columns) * (side + 24 + gap)
        draw.text((x + 2, y + 2), name, "black", font)
        made.paste(picture, (x, y + 24))
    return made


# --------------------------------------------------------------------------------------------- files

FIGURES: dict[str, Callable[[], Any]] = {
    f.__name__: f for f in (landmarks, hidden, distance, curve, traits, odds, chain, codes)
}
_PHOTOS = ("chain", "landmarks", "hidden", "distance")  # smaller as JPEG


def main(folder: str, model: str | None = None, portrait: str | None = None) -> None:
    to = Path(folder)
    to.mkdir(parents=True, exist_ok=True)
    for name, make in FIGURES.items():
        data = png(make(), 130)
        if name in _PHOTOS:
            (to / f"{name}.jpg").write_bytes(jpeg(Image.open(io.BytesIO(data)).convert("RGB"), 88))
        else:
            (to / f"{name}.png").write_bytes(data)
    if model and portrait:
        (to / "intervals.png").write_bytes(png(intervals(portrait), 130))
        case = anthropo.load_model(model).explain(portrait)
        (to / "heatmaps.jpg").write_bytes(jpeg(heatmaps(case), 88))


if __name__ == "__main__":
    main(*sys.argv[1:])
