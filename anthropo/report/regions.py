"""What distinguishes a label's people, as tables on a terminal, JSON, a picture and a page."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anthropo._version import __version__
from anthropo.encoder.portrait import place
from anthropo.encoder.regions import HYBRID_REGIONS, REGIONS, Region, crops, window
from anthropo.face.landmarker import Face
from anthropo.groups.places import SIGNIFICANT, no_place, places
from anthropo.groups.regions import Discovery, Effect
from anthropo.learning.profile import Profile
from anthropo.measurement.registry import registry
from anthropo.photo import Photo
from anthropo.report import heat, rendering
from anthropo.report.rendering import NOTE, embedded, jpeg, png, print_table
from anthropo.report.tables import number as formatted
from anthropo.workflows.regions import RegionsResult

Floats = NDArray[np.float64]
Document = dict[str, Any]

CAUTION = (
    "Distinguishes means: in this cohort. What groups differ in besides the label, such as age, sex, "
    "ancestry, expression or the camera, distinguishes them as well; compare groups that are alike in these."
)

_SHOWN = 15  # measurements on a terminal
_SIDE = 420  # px, of a picture

# of the picture of the encoder's regions
_CHIP = 180  # px
_GAP = 12
_LINE = 22  # px, height of a name
_FACE = 2 * (_CHIP + _LINE) + _GAP - _LINE  # px, side of the large picture: as high as two rows of chips
_WINDOW = (-0.6, -0.6, 2.2)  # left, top and side of the large picture in the frame
_COLOURS = ("#222222", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")  # Okabe & Ito 2008


def document(result: RegionsResult) -> Document:
    """Everything as plain data, for JSON and the page."""
    discovery, maps = result.discovery, result.discovery.maps
    step = max(1, len(maps.p) // 30)
    return {
        "anthropo": __version__,
        "label": discovery.label,
        "patients": maps.n,
        "patients_others": maps.n_others,
        "auroc_of_regions": discovery.auroc,
        "folds": discovery.folds,
        "regions": [_plain(e) for e in discovery.regions],
        "measurements": [_plain(e) for e in discovery.measurements],
        "metadata": [_plain(e) for e in discovery.metadata],
        "maps": {
            "unit": heat.UNIT,
            "permutations": maps.permutations,
            "smallest_p": float(maps.p.min()),
            "places": [asdict(p) for p in places(maps)],
            "difference": _coarse(heat.density(maps.difference), step),
            "p": maps.p[::step, ::step].tolist(),
        },
        "settings": dict(result.settings),
        "left_out": [{"photo": photo, "reason": reason} for photo, reason in result.left_out],
    }


def _plain(effect: Effect) -> Document:
    """An effect as JSON, which has no infinity."""
    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(effect).items()
    }


def _coarse(values: Floats, step: int) -> list[list[float]]:
    n = len(values) // step * step
    blocks = values[:n, :n].reshape(n // step, step, n // step, step).mean((1, 3))
    return [[round(float(v), 5) for v in row] for row in blocks]


# ------------------------------------------------------------------------------------------ terminal


def summary(discovery: Discovery) -> str:
    """What distinguishes the label, in a sentence."""
    differing = sum(e.q <= SIGNIFICANT for e in discovery.measurements)
    at = list(dict.fromkeys(p.where for p in places(discovery.maps) if p.supports))
    where = f"heatmaps differ at {', '.join(at[:4])}" if at else "no place of the heatmaps speaks for it"
    return (
        f"{discovery.label} against the others: regions tell them apart with an AUROC of "
        f"{discovery.auroc:.3f}; {where}; {differing} of {len(discovery.measurements)} measurements differ."
    )


def print_discovery(discovery: Discovery) -> None:
    """The summary, regions, places and the largest measurements."""
    import click

    maps = discovery.maps
    click.secho(summary(discovery), bold=True)
    click.echo(f"heatmaps of {maps.n} people and {maps.n_others} others, {maps.permutations} permutations.")
    _print_effects("region, log-odds", discovery.regions, discovery.label)
    rows = [
        (p.where, "for it" if p.supports else "against it", f"{100 * p.share:.1f}", f"{p.p:.2g}")
        for p in places(maps)
    ]
    if rows:
        columns = ("where the heatmaps differ", "speaks", "% of the face", "p")
        print_table(columns, rows, left=("speaks",), width=120)
    else:
        click.echo(no_place(maps))
    _print_effects("measurement", discovery.measurements[:_SHOWN], discovery.label)
    if len(discovery.measurements) > _SHOWN:
        click.echo(f"… and {len(discovery.measurements) - _SHOWN} more; -o FILE.html or .json has all.")
    unlike = [e for e in discovery.metadata if e.p <= SIGNIFICANT]
    if unlike:
        names = ", ".join(f"{e.name} ({value(e.mean, e)} against {value(e.mean_others, e)})" for e in unlike)
        click.secho(
            f"warning: the groups also differ in {names}: what is above may come from that.",
            fg="yellow",
            err=True,
        )
    click.secho(f"g: difference in standard deviations. q: false discovery rate. {NOTE}", dim=True)


def _print_effects(what: str, effects: Sequence[Effect], label: str) -> None:
    rows = [
        (title(e), value(e.mean, e), value(e.mean_others, e), *sized(e), f"{e.p:.2g}", f"{e.q:.2g}")
        for e in effects
    ]
    print_table((what, label, "others", "g", "95 % interval", "p", "q"), rows, width=120)


def title(effect: Effect) -> str:
    """Its name for a reader."""
    if effect.kind == "measurement" and effect.name in registry():
        return f"{registry()[effect.name].name} ({effect.name})"
    return effect.name


def value(number: float, effect: Effect) -> str:
    """A mean in its unit."""
    if effect.kind == "measurement":
        unit = registry()[effect.name].unit
        return f"{formatted(number, unit)} {unit}".removesuffix(" 1")
    return f"{number:+.2f}" if effect.kind == "region" else f"{number:.3g}"


def sized(effect: Effect) -> tuple[str, str]:
    """g and its interval as text."""
    if not math.isfinite(effect.g):
        return ("+∞" if effect.g > 0 else "−∞"), ""
    return f"{effect.g:+.2f}", f"{effect.lo:+.2f} to {effect.hi:+.2f}"


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
    drawn = {}
    for name, values in (("label", maps.label), ("others", maps.others)):
        picture, points = _average(profile, name) or heat.template(_SIDE)
        drawn[name] = heat.over(picture, points, values, limit)
    picture, points = heat.template(_SIDE)
    difference = heat.over(picture, points, maps.difference, limit)
    drawn["difference"] = heat.outlined(difference, points, maps.p <= SIGNIFICANT)
    drawn["bar"] = heat.bar(limit, _SIDE)
    return drawn


def _average(profile: Profile, group: str) -> tuple[Image.Image, Floats] | None:
    if group not in profile.labels or profile.composites is None:
        return None
    at = profile.labels.index(group)
    return heat.enlarged(Image.fromarray(profile.composites[at]), place(profile.shapes[at]), _SIDE)


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


def draw_regions(photo: Photo, face: Face) -> Image.Image:
    """A face with the outlines of the encoder's regions, and beside it what each region's chip shows.

    docs/images/regions.png is this picture of scikit-image's astronaut.
    """
    columns = -(-len(REGIONS) // 2)
    width = _FACE + columns * (_CHIP + _GAP) + 2 * _GAP
    picture = Image.new("RGB", (width, _FACE + _LINE + 2 * _GAP), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(15)

    picture.paste(Image.fromarray(window(photo, face, _WINDOW, _FACE)), (_GAP, _GAP + _LINE))
    draw.text((_GAP, _GAP), "the aligned face", "black", font)
    for i, name in enumerate(HYBRID_REGIONS):
        # the outer edges of four regions are one: each is drawn inside the one before
        draw.rectangle(_outline(REGIONS[name], 4 * i * (i < 4)), outline=_COLOURS[i], width=3)

    chips = crops(photo, face, tuple(REGIONS), _CHIP)
    for i, (name, chip) in enumerate(zip(REGIONS, chips, strict=True)):
        x = 2 * _GAP + _FACE + (i % columns) * (_CHIP + _GAP)
        y = _GAP + (i // columns) * (_CHIP + _LINE + _GAP)
        colour = _COLOURS[i] if name in HYBRID_REGIONS else "black"
        draw.rectangle((x, y + 2, x + 11, y + 13), fill=colour)
        draw.text((x + 18, y), name, "black", font)
        picture.paste(Image.fromarray(chip), (x, y + _LINE))
    return picture


def _outline(region: Region, inwards: int) -> tuple[float, float, float, float]:
    left, top, side = _WINDOW
    corners = (np.array(region.box).reshape(2, 2) - (left, top)) / side * _FACE + (_GAP, _GAP + _LINE)
    (x0, y0), (x1, y1) = corners
    return x0 + inwards, y0 + inwards, x1 - inwards, y1 - inwards


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


def _json(result: RegionsResult) -> bytes:
    return json.dumps(document(result), ensure_ascii=False, indent=1, allow_nan=False).encode()


#: What makes a file of each suffix.
WRITERS: dict[str, Callable[[RegionsResult], bytes]] = {
    ".json": _json,
    ".html": lambda result: page(result).encode(),
    ".png": lambda result: png(picture(result.discovery, panels(result))),
}
