"""A size on the growth chart that it was compared with, as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from anthropo.errors import InputError
from anthropo.reference.growth import MEASURES, Growth, growth_curves
from anthropo.reference.zscore import signed
from anthropo.report.plots import Plot, plain
from anthropo.report.rendering import COLOURS, INK, LINE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 320, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 296, 24, 190
#: Of each curve: its centile in words, and how it is drawn.
_CURVES = {
    -2.0: ("2", "1.1"),
    -1.0: ("16", "0.6"),
    0.0: ("50", "1.4"),
    1.0: ("84", "0.6"),
    2.0: ("98", "1.1"),
}


def growth_chart(of: Growth) -> str:
    """The centiles of a chart around a person's age, and the person's point.

    Parameters
    ----------
    of : Growth
        From `anthropo.reference.grow`.

    Returns
    -------
    str
        An SVG file; empty where there is no z, or the chart does not change with age.

    Examples
    --------
    >>> from anthropo.reference import grow
    >>> from anthropo.report.growth_chart import growth_chart
    >>> growth_chart(grow("height", 98, sex="male", age=(4.2, 4.2)))[:4]
    '<svg'
    >>> growth_chart(grow("height", 98, sex=None, age=None))
    ''
    """
    curves = growth_curves(of, tuple(_CURVES))
    if curves is None:
        return ""
    every = [*(v for line in curves.values.values() for v in line), of.value]
    margin = 0.04 * (max(every) - min(every))
    low, high = min(every) - margin, max(every) + margin
    months = curves.ages[-1] <= 2
    first, last = curves.ages[0], max(curves.ages[-1], of.age)

    def x(age: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * (age - first) / (last - first)

    def y(value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (value - low) / (high - low)

    parts = [_text(6, 14, f"{MEASURES[of.id].name}, {of.unit}", size=12, weight=600)]
    parts.append(_text(_WIDTH - 2, 14, "centile", anchor="end"))
    for tick in _ticks(low, high, 6):
        parts += [_path([(_LEFT, y(tick)), (_RIGHT, y(tick))], LINE, "0.7")]
        parts += [_text(_LEFT - 4, y(tick) + 3.5, f"{tick:g}", anchor="end")]
    for tick in _ticks(12 * first, 12 * last, 7, (3, 6, 12)) if months else _ticks(first, last, 9):
        at = x(tick / 12 if months else tick)
        parts += [_path([(at, _BOTTOM), (at, _BOTTOM + 3)], SOFT, "0.7")]
        parts += [_text(at, _BOTTOM + 14, f"{tick:g}", anchor="middle")]
    parts.append(_text((_LEFT + _RIGHT) / 2, _HEIGHT - 3, "months" if months else "years", anchor="middle"))
    for level, line in curves.values.items():
        centile, width = _CURVES[level]
        parts.append(_path(zip(map(x, curves.ages), map(y, line), strict=True), SOFT, width))
        parts.append(_text(_RIGHT + 4, y(line[-1]) + 3.5, centile))
    colour = COLOURS["beyond"] if abs(of.z) > 2 else INK
    if of.ages[1] - of.ages[0] > 0.02 * (last - first):  # an age in whole years may be any of a year
        parts.append(_path([(x(min(max(a, first), last)), y(of.value)) for a in of.ages], colour, "1.5"))
    cx, cy = x(min(max(of.age, first), last)), y(of.value)
    parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="4.5" fill="{colour}" stroke="#fff"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="10" fill="{SOFT}">{"".join(parts)}</svg>'
    )


def growth_plot(of: Growth) -> Plot:
    """The same chart on matplotlib's axes; an InputError where there is none.

    Parameters
    ----------
    of : Growth
        From `anthropo.reference.grow`.

    Returns
    -------
    Plot

    Examples
    --------
    >>> from anthropo.reference import grow
    >>> from anthropo.report.growth_chart import growth_plot
    >>> from anthropo.report.plots import as_figure
    >>> figure = as_figure(growth_plot(grow("height", 98, sex="male", age=(4.2, 4.2))))
    >>> figure.axes[0].get_ylabel()
    'Height, cm'
    """
    curves = growth_curves(of, tuple(_CURVES))
    if curves is None:
        raise InputError(f"{growth_words(of)}: a chart that does not change with age, or none.")
    unit, name = (12, "months") if curves.ages[-1] <= 2 else (1, "years")
    ages = [unit * age for age in curves.ages]

    def draw(axes: Axes) -> None:
        plain(axes)
        for level, line in curves.values.items():
            centile, width = _CURVES[level]
            axes.plot(ages, line, color=SOFT, linewidth=float(width))
            axes.annotate(
                centile, (ages[-1], line[-1]), (4, 0), textcoords="offset points", va="center", fontsize=8,
                color=SOFT,
            )  # fmt: skip
        colour = COLOURS["beyond"] if abs(of.z) > 2 else INK
        axes.plot([unit * age for age in of.ages], [of.value] * 2, color=colour, linewidth=1.5)
        axes.plot(unit * of.age, of.value, "o", color=colour, markersize=6, markeredgecolor="white", zorder=3)
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.set(xlabel=name, ylabel=f"{MEASURES[of.id].name}, {of.unit}")
        title = f"{of.chart}; centile {centile_words(of)}, z {signed(of.z)}"
        axes.set_title(title, fontsize=9, loc="left", color=INK)

    return Plot((5.0, 3.6), draw)


def growth_words(of: Growth) -> str:
    """What a chart says of a value, or why it says nothing, for who does not see the picture."""
    if of.reason:
        return of.reason
    return f"{MEASURES[of.id].name} {of.value:g} {of.unit} on the centiles of {of.chart}: {centile_words(of)}"


def centile_words(of: Growth) -> str:
    """A centile with as many digits as it deserves."""
    return "below 0.1" if of.centile < 0.1 else "above 99.9" if of.centile > 99.9 else f"{of.centile:.3g}"


def _path(points: Iterable[tuple[float, float]], colour: str, width: str) -> str:
    d = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
    return f'<path d="M{d}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 10, weight: int = 400) -> str:
    more = f' font-size="{size}" font-weight="{weight}" fill="{INK}"' if size != 10 else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def _ticks(low: float, high: float, most: int, steps: Sequence[float] = ()) -> list[float]:
    """Round numbers between two ends, at most so many."""
    unit = 10 ** math.floor(math.log10((high - low) / most))
    choices = [*steps, *(unit * k for k in (1, 2, 5, 10, 20))]
    step = next(one for one in choices if (high - low) / one <= most)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]
