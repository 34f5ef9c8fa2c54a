"""A map of faces as a page, a picture, a table and a few lines on a terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.groups.map import Grouping
from anthropo.plain import say
from anthropo.report import rendering
from anthropo.report.rendering import (
    GREY,
    INK,
    LINE,
    NOTE,
    SERIES,
    SOFT,
    as_csv,
    drawable,
    embedded,
    jpeg,
    png,
)
from anthropo.workflows.map import DrawnMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

CAUTION = (
    "Read this map with care (Wattenberg, Viégas & Johnson, “How to use t-SNE effectively”, Distill 2016). "
    "Only neighbourhood is meaningful: distances between clusters, their sizes and the empty space "
    "between them do not, and noise forms clusters, too. Another perplexity or seed gives another map. "
    "Rely on the figures, which are computed in the original space."
)
SHORT_CAUTION = (
    "Distances between clusters and their sizes mean nothing in t-SNE, and noise forms clusters, too "
    "(Wattenberg et al. 2016)."
)
VIEWS = {"tsne": "t-SNE", "pca": "principal components"}

_MOST_GROUPS = 15  # that get a mark of their own
_SIDE = 600.0  # of a map, in units of the drawing
_MARGIN = 28.0
_MARK = 7.0  # radius
_THUMBNAIL = (0.9, 52.0, 22.0)  # width: share of the side for a face of evenly spread ones; at most, at least
_THUMBNAIL_PX = 56


def _polygon(radii: list[float], turn: float) -> Floats:
    """Corners of these radii, evenly around the origin from `turn` degrees on."""
    angle = np.radians(turn + np.arange(len(radii)) * 360 / len(radii))
    return np.stack([radii * np.cos(angle), radii * np.sin(angle)], -1)


_CROSS = np.array(
    [
        *((-0.33, -1), (0.33, -1), (0.33, -0.33), (1, -0.33), (1, 0.33), (0.33, 0.33)),
        *((0.33, 1), (-0.33, 1), (-0.33, 0.33), (-1, 0.33), (-1, -0.33), (-0.33, -0.33)),
    ]
)
_DIAGONAL = np.array([(1, 1), (-1, 1)]) / math.sqrt(2)
# outlines about as large to the eye; y down
_SHAPES: tuple[Floats, ...] = (
    _polygon([0.92] * 24, 0),
    _polygon([1.12] * 4, 45),
    _polygon([1.15] * 3, -90),
    _polygon([1.2] * 4, 0),
    _CROSS,
    _polygon([1.15] * 3, 90),
    _polygon([1.25, 0.45 * 1.25] * 5, -90),
    _CROSS @ _DIAGONAL.T,
)


@dataclass(frozen=True, slots=True, eq=False)
class GroupMark:
    """How the photos of a group are drawn."""

    name: str
    colour: str
    outline: Floats  # (p, 2) within about a unit of the origin, y down


def marks(groups: Grouping) -> tuple[GroupMark, ...]:
    """A mark for each group; those beyond the 15 largest, and what is not given, share a grey dot."""
    n = len(groups.names)
    sizes = np.bincount(groups.index[groups.index >= 0], minlength=n)
    marked = sorted(np.argsort(-sizes, kind="stable")[:_MOST_GROUPS].tolist())
    others = 0.5 * _SHAPES[0]
    made = [GroupMark(name, GREY, others) for name in (*groups.names, "not given")]
    for at, i in enumerate(marked):
        colour = _ordered_colour(i, n) if groups.ordered else SERIES[at % len(SERIES)]
        made[i] = GroupMark(groups.names[i], colour, _SHAPES[at % len(_SHAPES)])
    return tuple(made)


def _ordered_colour(i: int, n: int) -> str:
    """From dark blue to yellow-brown, evenly to every colour vision (cividis)."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return to_hex(colormaps["cividis"](0.85 * i / max(1, n - 1)))


# -------------------------------------------------------------------------------------------------- words


def summary(drawn: DrawnMap) -> str:
    """Whether neighbours are of one group, in one or two sentences."""
    near = drawn.neighbours
    of = f"{len(drawn.ids)} photos of {len(set(drawn.patients.tolist()))} people, by {drawn.by}. "
    if near.reason:
        return of + f"It cannot be decided whether the groups differ: {near.reason}."
    share = near.accuracy
    of += (
        f"For {_percent(share.value)} of the photos (mean over the groups; 95 % interval "
        f"{_percent(share.lo)} to {_percent(share.hi)}) the {near.k} nearest other people name the right "
        f"group; with groups dealt at random, for {_percent(near.chance)}. "
    )
    if near.p < 0.05:
        return of + f"More than chance (p = {near.p:.2g})."
    return of + f"No more than chance (p = {near.p:.2g}): clusters that you see are not by {drawn.by}."


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def figures(drawn: DrawnMap) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each figure."""
    near, made = drawn.neighbours, drawn.made
    rows = []
    if not near.reason:
        meaning = (
            f"share of a group's photos whose {near.k} nearest other people name it, mean over the groups; "
            "nearest among all numbers, not on the map"
        )
        rows.append(("neighbour accuracy", str(near.accuracy), meaning))
        chance = f"{near.chance:.3f} (19 in 20 below {near.chance_hi:.3f})"
        rows.append(("chance", chance, "the same with the groups dealt to other people at random"))
    meaning = "1: whoever is near on the map is near among all numbers; 0.5: as if drawn at random"
    rows += [
        (f"trustworthiness, {VIEWS[name]}", f"{value:.3f}", meaning if name == "tsne" else "likewise")
        for name, value in made.trust.items()
    ]
    shares = " and ".join(f"{100 * share:.0f} %" for share in made.shares)
    meaning = "what the other components hold is not on the second map"
    return [*rows, ("variance on the two components", shares, meaning)]


def group_rows(drawn: DrawnMap) -> list[dict[str, Any]]:
    """Name, photos, people and neighbour accuracy of each group, and its mark."""
    shares = [str(share) for share in drawn.neighbours.by_group] or ["–"] * len(drawn.groups.names)
    return [
        {
            "name": mark.name,
            "drawn_as": mark,
            "mark": polygon(mark, (10.0, 10.0)),
            "colour": mark.colour,
            "photos": int(members.sum()),
            "people": len(set(drawn.patients[members].tolist())),
            "accuracy": share,
        }
        for (mark, members), share in zip(_members(drawn), [*shares, "–"], strict=True)
        if members.any()
    ]


def _members(drawn: DrawnMap) -> list[tuple[GroupMark, NDArray[np.bool_]]]:
    """Each group's mark and which photos it is of, (n,); last those without a group."""
    index, made = drawn.groups.index, marks(drawn.groups)
    return [(mark, index == (i if i < len(made) - 1 else -1)) for i, mark in enumerate(made)]


def print_map(drawn: DrawnMap) -> None:
    """The figures on standard output."""

    say(summary(drawn), bold=True)
    for name, value, _ in figures(drawn):
        say(f"{name}: {value}")
    say(f"{SHORT_CAUTION} {NOTE}", dim=True)


# --------------------------------------------------------------------------------------------------- files


def page(drawn: DrawnMap) -> bytes:
    """The map as one HTML page that needs nothing else."""
    places = {name: _places(drawn, name) for name in VIEWS}
    drawn_as = marks(drawn.groups)
    marked = [drawn_as[i] for i in drawn.groups.index]  # -1: the last mark, of photos without a group
    photos = [
        {
            "id": name,
            "group": mark.name,
            "colour": mark.colour,
            "at": {view: place[i] for view, place in places.items()},
            "marks": {view: polygon(mark, tuple(place[i])) for view, place in places.items()},
            "tsne": drawn.made.tsne[i],
            "pca": drawn.made.pca[i],
        }
        for i, (name, mark) in enumerate(zip(drawn.ids, marked, strict=True))
    ]
    text = rendering.page(
        "map.html",
        drawn=drawn,
        summary=summary(drawn),
        caution=CAUTION,
        views=VIEWS,
        photos=photos,
        pictures=[embedded(jpeg(_small(p, _THUMBNAIL_PX), 80)) for p in drawn.thumbnails],
        thumbnail=_thumbnail_width(len(drawn.ids)),
        aspect=drawn.thumbnails[0].shape[0] / drawn.thumbnails[0].shape[1] if drawn.thumbnails else 1,
        side=_SIDE,
        groups=group_rows(drawn),
        figures=figures(drawn),
    )
    return text.encode()


def _places(drawn: DrawnMap, view: str) -> Floats:
    """Where each photo is drawn (n, 2) in a square, both axes at one scale, y down."""
    points: Floats = getattr(drawn.made, view)
    # a thumbnail and the mark at its corner stay inside
    margin = max(_MARGIN, _MARK + 0.65 * _thumbnail_width(len(points))) if drawn.thumbnails else _MARGIN
    low, high = points.min(0), points.max(0)
    zoom = (_SIDE - 2 * margin) / max(float((high - low).max()), 1e-12)
    return np.asarray(((points - (low + high) / 2) * zoom) * (1, -1) + _SIDE / 2)


def polygon(mark: GroupMark, at: tuple[float, ...], radius: float = _MARK) -> str:
    """Corners of a mark as SVG wants them."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in radius * mark.outline + np.array(at))


def _thumbnail_width(photos: int) -> float:
    part, most, least = _THUMBNAIL
    return float(np.clip(part * _SIDE / math.sqrt(photos), least, most))


def _small(pixels: Pixels, width: int) -> Image.Image:
    picture = Image.fromarray(pixels)
    return picture.resize((width, round(width * picture.height / picture.width)), Image.Resampling.LANCZOS)


def picture(drawn: DrawnMap) -> bytes:
    """The map as a PNG file."""
    return png(map_figure(drawn))


def map_figure(drawn: DrawnMap) -> Figure:
    """Both maps beside each other, with the legend and what they say."""
    from matplotlib.figure import Figure

    rows = group_rows(drawn)
    columns = 4 if max(len(row["name"]) for row in rows) < 24 else 2
    lines = math.ceil(len(rows) / columns)
    text = textwrap.wrap(f"{summary(drawn)} {SHORT_CAUTION} {NOTE}", 165)
    heights = (5.6, 0.25 * lines, 0.19 * len(text))  # inches
    figure = Figure(figsize=(11.0, sum(heights) + 0.9), layout="constrained", dpi=120)
    grid = figure.add_gridspec(3, 2, height_ratios=heights)
    for at, (view, name) in enumerate(VIEWS.items()):
        draw_panel(figure.add_subplot(grid[0, at]), drawn, view, name)
    figure.suptitle(drawable(drawn.title, 1000), x=0.01, ha="left", fontsize=14, fontweight="bold")
    key, foot = figure.add_subplot(grid[1, :]), figure.add_subplot(grid[2, :])
    key.legend(*legend(drawn), loc="center left", ncols=columns, fontsize=9, frameon=False, borderpad=0)
    foot.text(0, 0.5, drawable("\n".join(text), 10_000), va="center", fontsize=8.5, color=SOFT)
    for axes in (key, foot):
        axes.set_axis_off()
    return figure


def draw_panel(axes: Axes, drawn: DrawnMap, view: str, name: str) -> None:
    """One of both maps, without its legend."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    place = _places(drawn, view)
    axes.set(xlim=(0, _SIDE), ylim=(_SIDE, 0), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_color(LINE)
    more = f"{100 * sum(drawn.made.shares):.0f} % of the variance"
    if view == "tsne":
        more = f"perplexity {drawn.made.perplexity:.3g}"
    axes.set_title(f"{name}, {more}", fontsize=10, loc="left", color=INK)
    zoom = _thumbnail_width(len(place)) / _SIDE * 5.2 * 72 / 56
    for at, pixels in zip(place, drawn.thumbnails, strict=False):
        small = OffsetImage(np.asarray(_small(pixels, 2 * _THUMBNAIL_PX)), zoom=zoom / 2)
        axes.add_artist(AnnotationBbox(small, tuple(at), frameon=False, zorder=2))
    size = (26 if drawn.thumbnails else 60) * min(1.0, math.sqrt(120 / len(place)))
    shift = _thumbnail_width(len(place)) / 2 if drawn.thumbnails else 0.0
    for mark, members in _members(drawn):
        if members.any():
            x, y = place[members].T + shift
            # matplotlib draws all outlines equally large
            area = size * float(np.abs(mark.outline).max()) ** 2
            outline: dict[str, Any] = {"marker": _marker(mark), "edgecolor": "white", "linewidth": 0.5}
            axes.scatter(x, y, area, color=mark.colour, zorder=3, **outline)


def _marker(mark: GroupMark) -> Any:
    return [(float(x), -float(y)) for x, y in np.concatenate([mark.outline, mark.outline[:1]])]


def legend(drawn: DrawnMap) -> tuple[list[Any], list[str]]:
    """The mark of each group, and its name with the number of people."""
    from matplotlib.lines import Line2D

    handles, names = [], []
    for row in group_rows(drawn):
        style = {"linestyle": "", "marker": _marker(row["drawn_as"]), "color": row["colour"]}
        handles.append(Line2D([], [], markersize=9, markeredgewidth=0, **style))
        names.append(f"{drawable(row['name'], 40)} ({row['people']})")
    return handles, names


WRITERS: dict[str, Callable[[DrawnMap], bytes]] = {
    ".html": page,
    ".png": picture,
    ".csv": lambda drawn: as_csv(drawn.to_frame()).encode(),
}
