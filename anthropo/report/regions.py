"""What distinguishes a label's people, as tables on a terminal, JSON, a picture and a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anthropo._version import __version__
from anthropo.encoder.portrait import place
from anthropo.groups.places import no_place, places
from anthropo.groups.regions import SIGNIFICANT, Discovery, Effect
from anthropo.learning.profile import Profile
from anthropo.measurement.registry import registry
from anthropo.plain import minus, say
from anthropo.report import heat, rendering
from anthropo.report.rendering import INK, NOTE, SOFT, as_json, drawable, embedded, jpeg, png, print_table
from anthropo.report.tables import quantity
from anthropo.workflows.regions import RegionsResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Document = dict[str, Any]

CAUTION = (
    "Distinguishes means: in this cohort. What groups differ in besides the label, such as age, sex, "
    "ancestry, expression or the camera, distinguishes them as well; compare groups that are alike in these."
)

_SHOWN = 15  # measurements on a terminal
_SIDE = 420  # px, of a picture


def document(result: RegionsResult) -> Document:
    """Everything as plain data, for JSON and the page."""
    discovery, maps = result.discovery, result.discovery.maps
    step = max(1, len(maps.p) // 30)
    n = len(maps.p) // step
    blocks = heat.density(maps.difference)[: n * step, : n * step].reshape(n, step, n, step)
    return {
        "anthropo": __version__,
        "label": discovery.label,
        "patients": maps.n,
        "patients_others": maps.n_others,
        "auroc_of_regions": discovery.auroc,
        "folds": discovery.folds,
        "regions": _plain(discovery.regions),
        "measurements": _plain(discovery.measurements),
        "metadata": _plain(discovery.metadata),
        "maps": {
            "unit": heat.UNIT,
            "permutations": maps.permutations,
            "smallest_p": float(maps.p.min()),
            "places": [asdict(p) for p in places(maps)],
            "difference": [[round(v, 5) for v in row] for row in blocks.mean((1, 3)).tolist()],
            "p": maps.p[::step, ::step].tolist(),
        },
        "settings": dict(result.settings),
        "left_out": [{"photo": photo, "reason": reason} for photo, reason in result.left_out],
    }


def _plain(effects: Sequence[Effect]) -> list[Document]:
    """Effects as JSON, which has no infinity."""
    return [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(e).items()}
        for e in effects
    ]


# ------------------------------------------------------------------------------------------ terminal


def summary(discovery: Discovery) -> str:
    """What distinguishes the label, in a sentence."""
    differing = sum(e.q <= SIGNIFICANT for e in discovery.measurements)
    at = list(dict.fromkeys(p.where for p in places(discovery.maps) if p.supports))
    where = (
        f"heatmaps differ at {', '.join(at[:4])}" if at else "no place of the heatmaps speaks for the label"
    )
    return (
        f"{discovery.label} against the others: the regions separate them with an AUROC of "
        f"{discovery.auroc:.3f}; {where}; {differing} of {len(discovery.measurements)} measurements differ."
    )


def print_discovery(discovery: Discovery) -> None:
    """The summary, regions, places and the largest measurements."""

    maps = discovery.maps
    say(summary(discovery), bold=True)
    say(f"heatmaps of {maps.n} people and {maps.n_others} others, {maps.permutations} permutations.")
    _print_effects("region, log-odds", discovery.regions, discovery.label)
    rows = [
        (
            p.where,
            "for the label" if p.supports else "against the label",
            f"{100 * p.share:.1f}",
            f"{p.p:.2g}",
        )
        for p in places(maps)
    ]
    if rows:
        columns = ("where the heatmaps differ", "speaks", "% of the face", "p")
        print_table(columns, rows, left=("speaks",), width=120)
    else:
        say(no_place(maps))
    _print_effects("measurement", discovery.measurements[:_SHOWN], discovery.label)
    if len(discovery.measurements) > _SHOWN:
        say(f"… and {len(discovery.measurements) - _SHOWN} more; -o FILE.html or .json has all.")
    unlike = [e for e in discovery.metadata if e.p <= SIGNIFICANT]
    if unlike:
        names = ", ".join(f"{e.name} ({value(e.mean, e)} against {value(e.mean_others, e)})" for e in unlike)
        warning = f"warning: the groups also differ in {names}: the differences above may be due to that."
        say(warning, fg="yellow", err=True)
    say(
        "g: difference in standard deviations. q: false discovery rate. Interval: widened for many numbers, "
        f"so that it leaves zero out where q is at most {SIGNIFICANT:g}. {NOTE}",
        dim=True,
    )


def _print_effects(what: str, effects: Sequence[Effect], label: str) -> None:
    rows = [
        (title(e), value(e.mean, e), value(e.mean_others, e), *sized(e), f"{e.p:.2g}", f"{e.q:.2g}")
        for e in effects
    ]
    print_table((what, label, "others", "g", "interval", "p", "q"), rows, width=120)


def title(effect: Effect) -> str:
    """Its name for a reader."""
    if effect.kind == "measurement" and effect.name in registry():
        return f"{registry()[effect.name].name} ({effect.name})"
    return effect.name


def value(number: float, effect: Effect) -> str:
    """A mean in its unit."""
    if effect.kind == "measurement":
        unit = registry()[effect.name].unit
        return quantity(number, unit)
    return minus(f"{number:+.2f}" if effect.kind == "region" else f"{number:.3g}")


def sized(effect: Effect) -> tuple[str, str]:
    """g and its interval as text."""
    if math.isinf(effect.g):
        return ("+∞" if effect.g > 0 else "−∞"), ""
    if math.isinf(effect.lo):  # no spread within the groups, and none between them
        return minus(f"{effect.g:+.2f}"), "−∞ to +∞"
    return minus(f"{effect.g:+.2f}"), minus(f"{effect.lo:+.2f} to {effect.hi:+.2f}")


# ------------------------------------------------------------------------------------------ pictures


def panels(result: RegionsResult) -> dict[str, Image.Image]:
    """Mean maps of both groups over their average faces, and the difference over a line drawing.

    A group of fewer than ten patients is drawn over the line drawing: its average face would show them.
    """
    discovery, features = result.discovery, result.features
    groups = [("label",) if label == discovery.label else ("others",) for label in features.labels.tolist()]
    profile = Profile.fit(features, groups)
    maps = discovery.maps
    limit = heat.common_limit([maps.label, maps.others, maps.difference])
    picture, points = heat.template(_SIDE)
    drawn = {}
    for name, values in (("label", maps.label), ("others", maps.others)):
        face, landmarks = picture, points
        if name in profile.labels and profile.composites is not None:
            at = profile.labels.index(name)
            average = Image.fromarray(profile.composites[at])
            face, landmarks = heat.enlarged(average, place(profile.shapes[at]), _SIDE)
        drawn[name] = heat.over(face, landmarks, values, limit)
    difference = heat.over(picture, points, maps.difference, limit)
    drawn["difference"] = heat.outlined(difference, points, maps.p <= SIGNIFICANT)
    drawn["bar"] = heat.bar(limit, _SIDE)
    return drawn


def picture(discovery: Discovery, drawn: Mapping[str, Image.Image]) -> Image.Image:
    """The panels beside each other, with captions."""
    maps = discovery.maps
    titles = {
        "label": f"{discovery.label}, mean of {maps.n}",
        "others": f"others, mean of {maps.n_others}",
        "difference": f"difference; outlined: p at most {SIGNIFICANT:g}",
    }
    gap, line = 14, 26
    font = ImageFont.load_default(15)
    height = max(drawn[name].height for name in titles)
    width = sum(drawn[name].width + gap for name in titles) + gap
    whole = Image.new("RGB", (width, line + height + drawn["bar"].height + 2 * line), "white")
    draw = ImageDraw.Draw(whole)
    x = gap
    for name, text in titles.items():
        draw.text((x, 4), text, "black", font)
        whole.paste(drawn[name], (x, line))
        x += drawn[name].width + gap
    whole.paste(drawn["bar"], (width - gap - drawn["bar"].width, line + height + gap // 2))
    foot = f"Red speaks for {discovery.label}, blue against it. {NOTE}"
    draw.text((gap, line + height + line), foot, "black", font)
    return whole


def heatmap_figure(result: RegionsResult) -> Figure:
    """The panels beside each other as a figure, whose words stay words."""
    from matplotlib.figure import Figure

    discovery, drawn = result.discovery, panels(result)
    titles = {
        "label": f"{drawable(discovery.label)}, mean of {discovery.maps.n}",
        "others": f"others, mean of {discovery.maps.n_others}",
        "difference": f"difference; outlined: p at most {SIGNIFICANT:g}",
    }
    figure = Figure(figsize=(10.5, 4.9), layout="constrained")
    places = figure.subplot_mosaic([[*titles], [".", ".", "bar"]], height_ratios=(1, 0.16))
    for name, axes in places.items():
        axes.imshow(np.asarray(drawn[name]))
        axes.set_axis_off()
        axes.set_title(titles.get(name, ""), fontsize=10, loc="left", color=INK)
    words = f"Red speaks for {drawable(discovery.label)}, blue against it. {NOTE}"
    figure.supxlabel(words, fontsize=8.5, color=SOFT, x=0.01, ha="left")
    return figure


# ------------------------------------------------------------------------------------------ files


def page(result: RegionsResult) -> str:
    """Everything as one HTML page that needs nothing else."""
    discovery = result.discovery
    pictures = {
        name: embedded(png(panel) if name == "bar" else jpeg(panel)) for name, panel in panels(result).items()
    }
    sizes = [abs(e.g) for e in (*discovery.measurements, *discovery.regions) if math.isfinite(e.g)]
    return rendering.page(
        "regions.html", made=document(result), discovery=discovery, summary=summary(discovery),
        places=places(discovery.maps), no_place=no_place(discovery.maps), pictures=pictures, title=title,
        value=value, sized=sized, significant=SIGNIFICANT, caution=CAUTION, farthest=max([1.0, *sizes]),
    )  # fmt: skip


#: What makes a file of each suffix.
WRITERS: dict[str, Callable[[RegionsResult], bytes]] = {
    ".json": lambda result: as_json(document(result)).encode(),
    ".html": lambda result: page(result).encode(),
    ".png": lambda result: png(picture(result.discovery, panels(result))),
}
