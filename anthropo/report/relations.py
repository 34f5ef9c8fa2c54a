"""Ways to learn several attributes side by side, and the relations between these: a terminal, a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anthropo.files import write
from anthropo.learning.intervals import Interval
from anthropo.plain import minus
from anthropo.report.rendering import (
    COLOURS,
    GREY,
    INK,
    SOFT,
    as_csv,
    as_json,
    drawable,
    embedded,
    page,
    print_table,
    svg,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from anthropo.learning.attributes import Relation
    from anthropo.learning.features import Features
    from anthropo.learning.relations import FaceRelation
    from anthropo.workflows.attributes import ComparedAttributes

_MOST = 20  # relations on a terminal and on the page
_WIDEST = 6.0  # points of a line
_WRITTEN = 12  # lines with their odds ratio
_RELATED = ("attribute", "with", "odds ratio", "q", "given the face", "shared look", "meaning")


def compared_table(made: ComparedAttributes) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows: the AUROC of each way, and what it gains over each alone."""
    ways = list(made.rows[0].auroc)
    columns = ("attribute", "patients", *ways, *(f"{way}, gained" for way in made.rows[0].gained))
    rows = [
        (
            row.attribute,
            str(made.counts.get(row.attribute, "")),
            *(str(row.auroc[way]) for way in ways),
            *(str(figure) for figure in row.gained.values()),
        )
        for row in made.rows
    ]
    return columns, rows


def relation_rows(relations: Sequence[FaceRelation]) -> list[tuple[str, ...]]:
    """A row for each relation, the surest first."""
    return [
        (
            of.labels.first,
            of.labels.second,
            _odds(of.labels),
            f"{of.labels.q:.2g}",
            _ratio(of.given_face),
            _signed(of.look),
            of.meaning,
        )
        for of in relations[:_MOST]
    ]


def _odds(of: Relation) -> str:
    return _ratio(Interval(of.odds_ratio, of.lo, of.hi))


def _ratio(figure: Interval) -> str:
    """An odds ratio with its interval, two digits of each."""
    if not figure.known:
        return "–"
    value, lo, hi = (
        f"{x:,.0f}" if x >= 10 else f"{x:.1f}" if x >= 1 else f"{x:.2g}"
        for x in (figure.value, figure.lo, figure.hi)
    )
    return f"{value} ({lo} to {hi})"


def _signed(figure: Interval) -> str:
    if not figure.known:
        return "–"
    text = f"{figure.value:+.2f} ({figure.lo:+.2f} to {figure.hi:+.2f})"
    return minus(text)


def print_attributes(made: ComparedAttributes) -> None:
    """The table of ways and that of relations."""
    print(
        f"AUROC on {made.photos} photos of {made.patients} patients, the same folds for all (95 % intervals):"
    )
    columns, rows = compared_table(made)
    print_table(columns, rows, spaced=True)
    print("Relations between attributes:")
    print_table(_RELATED, relation_rows(made.relations), left=("with", "meaning"), spaced=True)
    if len(made.relations) > _MOST:
        print(f"… and {len(made.relations) - _MOST} more.")


def relations_figure(
    relations: Sequence[FaceRelation] | Sequence[Relation], counts: Mapping[str, int]
) -> Figure:
    """The graph of `draw_relations` as a figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.6), layout="constrained")
    draw_relations(figure.subplots(), relations, counts)
    return figure


def draw_relations(
    axes: Axes, relations: Sequence[FaceRelation] | Sequence[Relation], counts: Mapping[str, int]
) -> None:
    """Attributes on a circle; a line for each sure relation of their labels.

    Red lines are of attributes that come together, blue ones of those that avoid each other, the wider the
    farther the odds ratio is from 1. Where the faces were judged, a line is whole if one attribute tells of
    the other beyond the face, and dashed if it does not.
    """
    from anthropo.learning.relations import SURE, FaceRelation

    names = sorted(counts, key=lambda name: (-counts[name], name))
    axes.set(xlim=(-2.05, 2.05), ylim=(-1.2, 1.25), aspect="equal")
    axes.axis("off")
    angle = {name: math.pi / 2 - 2 * math.pi * i / max(1, len(names)) for i, name in enumerate(names)}
    at = {name: np.array([math.cos(a), math.sin(a)]) for name, a in angle.items()}
    pairs = [(of.labels, of) if isinstance(of, FaceRelation) else (of, None) for of in relations]
    sure = [(labels, face) for labels, face in pairs if labels.q <= SURE][:_MOST]
    places: list[np.ndarray] = []  # of the odds ratios
    strongest = max((abs(math.log(labels.odds_ratio)) for labels, _ in sure), default=1.0)
    for rank, (labels, face) in reversed([*enumerate(sure)]):  # the surest on top
        a, b = at[labels.first], at[labels.second]
        effect = math.log(labels.odds_ratio)
        beyond = face is None or face.beyond
        axes.plot(
            *zip(a, b, strict=True),
            color=COLOURS["for" if effect > 0 else "against"],
            linewidth=1 + (_WIDEST - 1) * abs(effect) / max(strongest, 1e-9),
            linestyle="solid" if beyond else (0, (3, 1.5)),
            alpha=0.75,
            zorder=1,
            solid_capstyle="round",
        )
        if rank < _WRITTEN:
            places.append(_free(a, b, places))
            axes.annotate(
                _odds(labels), tuple(places[-1]), ha="center", va="center", fontsize=7.5, color=INK, zorder=3,
                bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
            )  # fmt: skip
    most = max(counts.values(), default=1)
    related = {name for labels, _ in sure for name in (labels.first, labels.second)}
    for name in names:
        x, y = at[name]
        size = 60 + 340 * counts[name] / most
        axes.scatter([x], [y], s=size, color=INK if name in related else GREY, zorder=2, linewidths=0)
        side = "center" if abs(x) < 0.2 else "left" if x > 0 else "right"
        axes.annotate(
            f"{drawable(name, 40)} ({counts[name]})", (x * 1.14, y * 1.14), ha=side,
            va="center" if side != "center" else "bottom" if y > 0 else "top",
            fontsize=9, color=INK if name in related else SOFT,
        )  # fmt: skip


def _free(a: np.ndarray, b: np.ndarray, taken: Sequence[np.ndarray]) -> np.ndarray:
    """The place on a line that is farthest from those that are taken; words are wider than high."""
    choices = [a + t * (b - a) for t in (0.38, 0.62, 0.25, 0.75, 0.5)]

    def room(place: np.ndarray) -> float:
        return min((float(np.hypot(*((place - other) * [0.3, 1]))) for other in taken), default=1.0)

    return max(choices, key=lambda place: min(room(place), 0.3))


def relations_of_labels(features: Features) -> tuple[tuple[Relation, ...], dict[str, int]]:
    """Relations between the attributes of photos, the surest first, and the patients with each."""
    from anthropo.learning.attributes import find_relations
    from anthropo.learning.cohort import split_labels

    cells = [split_labels(label) for label in features.labels.tolist()]
    names = sorted({name for cell in cells for name in cell})
    member = np.array([[name in cell for name in names] for cell in cells], dtype=bool)
    member = member.reshape(len(cells), len(names))
    counts = {n: len(set(features.patients[member[:, i]].tolist())) for i, n in enumerate(names)}
    return find_relations(names, member, features.patients), counts


def write_attributes(path: Path, made: ComparedAttributes) -> None:
    """Write .json, .csv (the table of ways) or an .html page with the graph."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        write(path, as_json(made.to_json()))
        return
    if suffix == ".csv":
        write(path, as_csv(made.to_frame()))
        return
    columns, rows = compared_table(made)
    html = page(
        "relations.html",
        photos=made.photos,
        patients=made.patients,
        columns=columns,
        rows=rows,
        graph=embedded(svg(relations_figure(made.relations, made.counts))),
        sure=sum(of.sure for of in made.relations),
        pairs=len(made.relations),
        related=_RELATED,
        relations=relation_rows(made.relations),
    )
    write(path, html)
