"""Results as pictures on matplotlib's axes: what their `plot` methods draw, and figures for a paper.

Each function looks at a result and says how large its picture is and how it is drawn, so that what cannot be
drawn is an error before there is a figure.
"""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from anthropo.batch.scored import ScoredMeasurements
from anthropo.errors import AnthropoError, InputError
from anthropo.face.detection import power_of_two
from anthropo.face.landmarker import Face
from anthropo.measurement import anatomy
from anthropo.measurement.compute import Measurement, Measurements
from anthropo.measurement.registry import LENGTH_UNIT, MM_UNIT, registry
from anthropo.observation import Observation
from anthropo.photo import Photo, read_photo
from anthropo.report.figures import REGION_COLOURS, crop, measured_lines
from anthropo.report.heat import FACE_LINES
from anthropo.report.rendering import COLOURS, GREY, INK, LINE, SOFT, drawable
from anthropo.report.zscores import Bar, bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from anthropo.workflows.change import ChangeResult
    from anthropo.workflows.change_cohort import CohortChange
    from anthropo.workflows.examining import Examination
    from anthropo.workflows.trait_calling import PersonTraits

_FACE_PX = 700  # width of a face that is drawn
_MOST = 40  # rows of a plot
_ROW = 0.21  # inches
_SD = 8.0  # farthest that a plot of standard deviations reaches


class Plot(NamedTuple):
    """A picture that is yet to be drawn."""

    size: tuple[float, float]  # inches
    draw: Callable[[Axes], None]


class ForestRow(NamedTuple):
    """A row of a forest plot; without a value a heading."""

    name: str
    value: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    colour: str = INK
    thick: tuple[float, float] | None = None  # a second, narrower interval


_ANSWERS = "anthropo.report.plots_of_answers"
#: Where the functions are that draw other results than those of faces.
_ELSEWHERE = (_ANSWERS, "anthropo.report.plots_of_groups", "anthropo.report.plots_of_training")


def on_axes(drawn_by: str, thing: object, ax: Axes | None, **how: Any) -> Axes:
    """Draw a result by the function of a name, on axes or, without any, in a figure of pyplot's."""
    function = globals().get(drawn_by)
    for module in _ELSEWHERE:
        function = function or getattr(importlib.import_module(module), drawn_by, None)
    assert function is not None
    plot: Plot = function(thing, **how)
    if ax is not None and not hasattr(ax, "spines"):
        raise TypeError(
            f"ax is of matplotlib's Axes, as figure.subplots() gives, and not a {type(ax).__name__}."
        )
    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(figsize=plot.size, layout="constrained")
    plot.draw(ax)
    return ax


def as_figure(plot: Plot) -> Figure:
    """A picture as a figure of its own, of which pyplot knows nothing."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=plot.size, layout="constrained")
    plot.draw(figure.subplots())
    return figure


def plain(axes: Axes, *, left: bool = True) -> None:
    """Axes with two thin spines, or without the left one."""
    axes.spines[["top", "right", *([] if left else ["left"])]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    axes.tick_params(labelsize=8, color=SOFT, labelcolor=INK)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)


# ------------------------------------------------------------------------------------------------- faces


def observation(seen: Observation) -> Plot:
    """The photo around the face, with its landmarks."""
    return face(seen.face, photo=seen.photo)


def face(face: Face, photo: Photo | None = None) -> Plot:
    """A face with its landmarks and measured lines, in photo pixels; without the photo as a drawing."""
    photo = photo or photo_of(face)
    left, top, right, bottom = crop(face, [])
    width = 4.8
    size = (width, max(2.0, min(8.0, width * (bottom - top) / (right - left))))

    def draw(axes: Axes) -> None:
        if photo is not None:
            fine = photo.finer(power_of_two(face.width / _FACE_PX))
            (x0, y0), (x1, y1) = fine.to_full(
                np.array([[-0.5, -0.5], np.array(fine.pixels.shape[1::-1]) - 0.5])
            )
            axes.imshow(fine.pixels, extent=(x0, x1, y1, y0))
        points, _ = anatomy.place(face)
        hidden = face.hidden
        for line in () if photo else FACE_LINES:
            axes.plot(*points[list(line)].T, color=SOFT, linewidth=1)
        for region, a, b in measured_lines() if photo else ():
            if not hidden[[*a, *b]].any():
                ends = np.array([points[list(a)].mean(0), points[list(b)].mean(0)])
                axes.plot(*ends.T, color=REGION_COLOURS[region], linewidth=1.1, alpha=0.7)
        style: dict[str, Any] = {"s": 9, "edgecolor": "black", "linewidth": 0.5, "zorder": 3}
        axes.scatter(*points[~hidden].T, facecolor="white", **style)
        axes.scatter(*points[hidden].T, facecolor="none", **style)
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        axes.set_axis_off()

    return Plot(size, draw)


def photo_of(face: Face) -> Photo | None:
    """The photo that a face was found in, read once more; None where it is not there as it was."""
    with contextlib.suppress(AnthropoError, OSError):
        photo = read_photo(face.source)
        return photo if photo.full_size == face.size else None
    return None


def examination(made: Examination, kind: str = "face") -> Plot:
    """One of the pictures of an examination."""
    if kind == "face":
        return observation(made.observation)
    if kind == "measurements":
        return scored_measurements(made.measurements)
    if kind == "traits":
        return person_traits(made.traits)
    if kind != "explanation":
        choices = "face, measurements, traits, explanation"
        raise InputError(f"kind={kind!r}: no such picture. There are {choices}.")
    of = importlib.import_module(_ANSWERS)
    case = made.explanation
    plot: Plot = of.explanation(case) if hasattr(case, "explanation") else of.prediction(case.prediction)
    return plot


# ------------------------------------------------------------------------------------------------ forests


def forest(
    rows: Sequence[ForestRow], x: str, *, band: float = 0.0, zero: bool = True, limit: float = math.inf
) -> Plot:
    """Values with their intervals, one below the other; `band` is shaded to both sides of 0."""

    def draw(axes: Axes) -> None:
        plain(axes, left=False)
        if band:
            axes.axvspan(-band, band, color=COLOURS["band"], zorder=0)
        if zero:
            axes.axvline(0, color=GREY, linewidth=1, zorder=1)
        for at, row in enumerate(rows):
            if math.isnan(row.value):
                continue
            axes.plot([row.lo, row.hi], [at, at], color=row.colour, linewidth=1.1)
            if row.thick:
                axes.plot(row.thick, [at, at], color=row.colour, linewidth=3.2, alpha=0.55)
            axes.plot(row.value, at, "o", color=row.colour, markersize=4)
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, -limit), min(high, limit))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(range(len(rows)), [drawable(row.name, 60) for row in rows])
        for text, row in zip(axes.get_yticklabels(), rows, strict=True):
            text.set_fontweight("bold" if math.isnan(row.value) else "normal")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel(x)

    return Plot((6.4, _ROW * len(rows) + 0.9), draw)


def with_headings(rows: Mapping[str, Sequence[ForestRow]]) -> list[ForestRow]:
    """Rows by group, each group under its name."""
    return [row for name, of in rows.items() if of for row in (ForestRow(name.capitalize()), *of)]


def farthest(names: Mapping[str, float]) -> set[str]:
    """The names of the largest numbers, as many as a plot has room for."""
    return set(sorted(names, key=lambda name: -abs(names[name]))[:_MOST])


def measurements(values: Measurements[Measurement], unit: str | None = None) -> Plot:
    """Values of one unit, by region, with both intervals."""
    units = list(dict.fromkeys(m.unit for m in values if not math.isnan(m.value)))
    wanted = unit or next((u for u in (MM_UNIT, LENGTH_UNIT, *units) if u in units), "")
    if wanted not in units:
        raise InputError(
            f"unit={unit!r}: nothing is given in it. There are {', '.join(units)}."
            if units
            else "No measurement has a value, so that there is nothing to draw."
        )
    rows: dict[str, list[ForestRow]] = {}
    for m in values:
        if m.unit == wanted and not math.isnan(m.value):
            entry = registry()[m.id]
            row = ForestRow(
                entry.name, m.value, m.lo, m.hi, COLOURS[entry.region], (m.repeat_lo, m.repeat_hi)
            )
            rows.setdefault(entry.region, []).append(row)
    words = (
        "fraction of the outer-canthal distance" if wanted == LENGTH_UNIT else "" if wanted == "1" else wanted
    )
    x = f"{words or 'ratio'}\nthin line: 95 % accuracy, thick: repeatability"
    return forest(with_headings(rows), x, zero=any(row.value < 0 for of in rows.values() for row in of))


def scored_measurements(values: ScoredMeasurements, unit: str | None = None) -> Plot:
    """z-scores by region, with their intervals; without any, or in a unit, the values."""
    by_region = {} if unit else bars(values.record)
    each = [bar for of in by_region.values() for bar in of]
    if not each:
        return measurements(values, unit)
    several = len({bar.z.reference for bar in each}) > 1

    def name(bar: Bar) -> str:
        return bar.entry.name + (f", {bar.z.reference}" if several else "")

    shown = farthest({name(bar): bar.z.z for bar in each})
    rows = {
        region: [
            ForestRow(name(bar), bar.z.z, bar.z.z_lo, bar.z.z_hi, COLOURS["beyond"] if bar.beyond else INK)
            for bar in of
            if name(bar) in shown
        ]
        for region, of in by_region.items()
    }
    of = f"; the {len(shown)} farthest of {len(each)}" if len(shown) < len(each) else ""
    return forest(with_headings(rows), f"z-score, 95 % interval{of}", band=2.0, limit=_SD)


def person_traits(person: PersonTraits) -> Plot:
    """The z that each trait rests on: the farthest of its measurements."""
    colours = {"present": COLOURS["beyond"], "borderline": COLOURS["attention"]}
    rows: dict[str, list[ForestRow]] = {}
    for trait in person.traits:
        scores = [e.score for e in trait.evidence if e.score and not math.isnan(e.score.z)]
        if scores and trait.status != "not assessed":
            z = max(scores, key=lambda score: abs(score.z))
            side = {"R": ", right", "L": ", left"}.get(trait.side, "")
            row = ForestRow(trait.label + side, z.z, *z.whole, colours.get(trait.status, INK))
            rows.setdefault(trait.status, []).append(row)
    if not rows:
        raise InputError("No trait was assessed, so that there is nothing to draw.")
    order = ("present", "borderline", "look at", "inconclusive", "absent")
    return forest(
        with_headings({s: rows.get(s, []) for s in order}), "z-score, 95 % interval", band=2.0, limit=_SD
    )


def change_result(result: ChangeResult) -> Plot:
    """Differences in SD between photos of one state, by part of the face."""
    compared = [c for c in result.changes if c.sd > 0 and not math.isnan(c.difference)]
    if not compared:
        raise InputError("Nothing was compared, so that there is nothing to draw.")
    shown = farthest({c.id: c.difference / c.sd for c in compared})
    colours = {"changed": COLOURS["beyond"], "moved": COLOURS["attention"]}
    rows: dict[str, list[ForestRow]] = {}
    for c in compared:
        if c.id in shown:
            ends = (c.lo / c.sd, c.hi / c.sd)
            row = ForestRow(c.entry.name, c.difference / c.sd, *ends, colours.get(c.status, INK))
            rows.setdefault(c.part, []).append(row)
    states = " − ".join(reversed(result.states))
    return forest(with_headings(rows), f"{drawable(states, 60)}, in SD of photos of one state; 95 % interval")


def cohort_change(result: CohortChange) -> Plot:
    """Mean differences in SD of the patients' differences, by part of the face."""
    tests = [t for t in result.tests if t.sd > 0 and not math.isnan(t.mean)]
    if not tests:
        raise InputError("Nothing was tested, so that there is nothing to draw.")
    shown = farthest({t.id: t.mean / t.sd for t in tests})
    rows: dict[str, list[ForestRow]] = {}
    for t in tests:
        if t.id in shown:
            colour = COLOURS["beyond"] if t.q <= 0.05 else INK
            entry = registry()[t.id]
            row = ForestRow(entry.name, t.mean / t.sd, t.lo / t.sd, t.hi / t.sd, colour)
            rows.setdefault(entry.region, []).append(row)
    states = drawable(" − ".join(reversed(result.states)), 60)
    people = max(t.n for t in tests)
    return forest(
        with_headings(rows), f"{states}, mean of {people} patients, in SD between them; 95 % interval"
    )
