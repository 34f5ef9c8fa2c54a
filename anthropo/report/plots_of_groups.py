"""Maps, composites, regions, relations and people's traits as pictures; see `anthropo.report.plots`."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from anthropo.errors import InputError
from anthropo.groups.regions import SIGNIFICANT, Effect
from anthropo.measurement.registry import registry
from anthropo.reference.traits import BORDERLINE, PRESENT
from anthropo.report import regions
from anthropo.report.composite import displacement_plot
from anthropo.report.map import VIEWS, draw_panel, legend
from anthropo.report.plots import ForestRow, Plot, forest, person_traits, plain, with_headings
from anthropo.report.relations import draw_relations
from anthropo.report.rendering import COLOURS, INK, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from anthropo.workflows.attributes import ComparedAttributes
    from anthropo.workflows.composites import CompositeResult
    from anthropo.workflows.map import DrawnMap, MapResult
    from anthropo.workflows.regions import RegionsResult
    from anthropo.workflows.trait_calling import Findings

_MOST = 40  # rows of a plot
_ROW = 0.27  # inches
_FARTHEST = 4.0  # SD that an effect is drawn to, which may be infinite


def of_image(picture: Image.Image, title: str = "") -> Plot:
    """A picture that is there, on axes without a frame."""

    def draw(axes: Axes) -> None:
        axes.imshow(np.asarray(picture))
        axes.set_axis_off()
        axes.set_title(title, fontsize=10, loc="left", color=INK)

    return Plot((4.6, 4.6 * picture.height / picture.width + (0.3 if title else 0)), draw)


def map_result(result: MapResult, view: str = "tsne") -> Plot:
    """One of both maps of a cohort's faces."""
    if result.drawn is None:
        raise InputError("No photo has a face, so that there is nothing to draw.")
    return drawn_map(result.drawn, view)


def drawn_map(drawn: DrawnMap, view: str = "tsne") -> Plot:
    """One of both maps, with its legend beside it."""
    if view not in VIEWS:
        raise InputError(f"view={view!r}: no such map. There are {', '.join(VIEWS)}.")

    def draw(axes: Axes) -> None:
        draw_panel(axes, drawn, view, VIEWS[view])
        how: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0}
        axes.legend(*legend(drawn), fontsize=8, frameon=False, **how)

    return Plot((7.0, 5.2), draw)


def composite_result(result: CompositeResult, label: str | None = None) -> Plot:
    """Where the mean face of a label differs from the controls'; without controls its average face."""
    if not result.groups:
        raise InputError("No label has a composite, so that there is nothing to draw.")
    names = [group.label for group in result.groups]
    if label is not None and label not in names:
        raise InputError(f"label={label!r}: no composite. There are {', '.join(names)}.")
    moved = [one.label for one in result.displacements]
    chosen = label if label is not None else (moved or names)[0]
    if chosen in moved:
        return displacement_plot(result, chosen)
    group = next(group for group in result.groups if group.label == chosen)
    title = f"{drawable(chosen, 40)}, composite of {group.patients}"
    return of_image(Image.fromarray(result.averages[chosen]), title)


#: Pictures of what distinguishes a label.
KINDS = ("measurements", "regions", "heatmap")


def regions_result(result: RegionsResult, kind: str = "measurements") -> Plot:
    """Effect sizes of measurements or regions, or where both groups' heatmaps differ."""
    if kind not in KINDS:
        raise InputError(f"kind={kind!r}: no such picture. There are {', '.join(KINDS)}.")
    discovery = result.discovery
    if kind == "heatmap":
        title = f"{drawable(discovery.label, 30)} − others; outlined: p at most {SIGNIFICANT:g}"
        return of_image(regions.panels(result)["difference"], title)
    if kind == "regions":
        rows = [_effect(one, one.name) for one in discovery.regions]
        return forest(rows, _words(discovery.label, "log-odds of the region"), limit=_FARTHEST)
    shown = discovery.measurements[:_MOST]
    if not shown:
        raise InputError("No measurement could be compared, so that there is nothing to draw.")
    by_region: dict[str, list[ForestRow]] = {}
    for one in shown:
        entry = registry().get(one.name)
        by_region.setdefault(entry.region if entry else "others", []).append(
            _effect(one, entry.name if entry else one.name)
        )
    more = len(discovery.measurements) - len(shown)
    of = f"\nthe {len(shown)} largest of {len(discovery.measurements)}" if more else ""
    return forest(with_headings(by_region), _words(discovery.label, "difference") + of, limit=_FARTHEST)


def _effect(of: Effect, name: str) -> ForestRow:
    low, high = (value if math.isfinite(value) else of.g for value in (of.lo, of.hi))
    value, low, high = (max(-_FARTHEST, min(_FARTHEST, one)) for one in (of.g, low, high))
    return ForestRow(name, value, low, high, COLOURS["beyond"] if of.q <= SIGNIFICANT else INK)


def _words(label: str, what: str) -> str:
    return f"{what}, {drawable(label, 30)} − others, in SD (Hedges' g)\nin colour: q at most {SIGNIFICANT:g}"


def findings(of: Findings) -> Plot:
    """In how many people each trait is present or borderline; of a single person the z of each."""
    if len(of.measured) == 1:
        return person_traits(of.measured[0])
    statuses = {PRESENT: COLOURS["beyond"], BORDERLINE: COLOURS["attention"]}
    counts: dict[str, Counter[str]] = {}
    for person in of.measured:
        status_of: dict[str, str] = {}  # a trait of both sides counts once, as the surer one
        for status in reversed(statuses):
            status_of |= {t.label: status for t in person.traits if t.status == status}
        for label, status in status_of.items():
            counts.setdefault(label, Counter())[status] += 1
    if not counts:
        raise InputError("Nobody has a trait that is present or borderline: there is nothing to draw.")
    shown = sorted(counts, key=lambda name: (-counts[name][PRESENT], -counts[name][BORDERLINE], name))[:_MOST]

    def draw(axes: Axes) -> None:
        plain(axes, left=False)
        left = np.zeros(len(shown))
        for status, colour in statuses.items():
            n = np.array([counts[name][status] for name in shown])
            axes.barh(range(len(shown)), n, 0.7, left, color=colour, label=status)
            left += n
        axes.set_yticks(range(len(shown)), [drawable(name, 48) for name in shown])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel(f"people, of {len(of.measured)}")
        axes.set_xlim(0, max(left.max(), min(len(of.measured), 5)))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, frameon=False)

    return Plot((6.0, _ROW * len(shown) + 1.2), draw)


def compared_attributes(made: ComparedAttributes) -> Plot:
    """The graph of which attributes go together."""
    return Plot((9, 5.6), lambda axes: draw_relations(axes, made.relations, made.counts))
