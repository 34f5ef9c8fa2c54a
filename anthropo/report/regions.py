"""What distinguishes a label's people, as a table on a terminal, JSON, a picture and a page."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anthropo._version import __version__
from anthropo.encoder.portrait import place
from anthropo.encoder.regions import FACE_WINDOW, frame_to
from anthropo.face.scheme import LANDMARKS
from anthropo.face.shape import shapes
from anthropo.groups.regions import Difference, Discovery, Effect
from anthropo.learning.features import Features
from anthropo.learning.profile import Profile
from anthropo.measurement.registry import registry
from anthropo.report import heat, rendering
from anthropo.report.rendering import NOTE, embedded, jpeg, png

Floats = NDArray[np.float64]
Document = dict[str, Any]

SIGNIFICANT = 0.05  # adjusted p of a place, and q of a number
CAUTION = (
    "Distinguishes means: in this cohort. What groups differ in besides the label, such as age, sex, "
    "ancestry, expression or the camera, distinguishes them as well; compare groups that are alike in these."
)

_SHOWN = 15  # measurements on a terminal
_SIDE = 420  # px, of a picture
_SMALLEST = 0.004  # share of the square: smaller places are not listed
_WORDS = {
    "n": "nasal root", "prn": "nose tip", "sn": "nasal base", "al": "nasal wing", "en": "inner canthus",
    "ex": "outer canthus", "p": "pupil", "ps": "upper lid", "pi": "lower lid", "sci": "brow", "browin":
    "inner brow", "browout": "outer brow", "ls": "upper lip", "sts": "upper lip", "sti": "lower lip", "sto":
    "mouth", "li": "lower lip", "cph": "philtrum", "ch": "mouth corner", "gn": "chin", "zy": "cheek",
    "go": "jaw angle",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A connected part of the map in which the groups differ."""

    where: str  # the landmark that its strongest point is nearest to
    supports: bool  # the label's people have more there that speaks for the label
    share: float  # of the map's square
    p: float  # the smallest


def no_place(maps: Difference) -> str:
    """Why no place is listed."""
    smallest = f"p {maps.p.min():.2g}, all places together"
    if maps.p.min() <= SIGNIFICANT:
        return f"The heatmaps differ at single points only, too small to name (smallest {smallest})."
    return f"No place of the heatmaps differs (smallest {smallest})."


def places(maps: Difference) -> list[Place]:
    """Where the groups differ, strongest first."""
    from scipy.ndimage import label

    found: list[tuple[float, Place]] = []
    for sign in (1, -1):
        parts, n = label((maps.p <= SIGNIFICANT) & (sign * maps.difference > 0))
        for i in range(1, n + 1):
            own = parts == i
            if own.mean() < _SMALLEST:
                continue
            strength = np.where(own, np.abs(maps.difference), -1)
            at = np.unravel_index(int(strength.argmax()), own.shape)
            place_ = Place(_nearest(at, len(own)), sign > 0, float(own.mean()), float(maps.p[own].min()))
            found.append((float(np.abs(maps.difference)[own].sum()), place_))
    return [p for _, p in sorted(found, key=lambda pair: -pair[0])]


def _nearest(at: tuple[Any, ...], size: int) -> str:
    """What is nearest to a pixel of the map on the mean face."""
    left, top, side = FACE_WINDOW
    to = frame_to(shapes()[0])
    x, y = to[:, :2] @ (left + (at[1] + 0.5) / size * side, top + (at[0] + 0.5) / size * side) + to[:, 2]
    mean = shapes()[0]
    codes = {code: mean[list(points)].mean(0) for code, points in LANDMARKS.items()}
    if y < min(mean[17:27, 1]) - 0.1:
        return "forehead"
    code = min(codes, key=lambda c: float(np.hypot(*(codes[c] - (x, y)))))
    bare = code[:-1] if code[-1] in "RL" else code
    side_ = {"R": "right ", "L": "left "}.get(code[-1], "") if bare != code else ""
    return side_ + _WORDS[bare]


# ------------------------------------------------------------------------------------------ document


def document(found: Discovery, settings: Mapping[str, Any], left_out: Sequence[tuple[str, str]]) -> Document:
    """Everything as plain data, for JSON and the page."""
    maps = found.maps
    step = max(1, len(maps.p) // 30)
    return {
        "anthropo": __version__,
        "label": found.label,
        "patients": maps.n,
        "patients_others": maps.n_others,
        "auroc_of_regions": found.auroc,
        "folds": found.folds,
        "regions": [_plain(e) for e in found.regions],
        "measurements": [_plain(e) for e in found.measurements],
        "metadata": [_plain(e) for e in found.metadata],
        "maps": {
            "unit": heat.UNIT,
            "permutations": maps.permutations,
            "smallest_p": float(maps.p.min()),
            "places": [asdict(p) for p in places(maps)],
            "difference": _coarse(heat.density(maps.difference), step),
            "p": maps.p[::step, ::step].tolist(),
        },
        "settings": dict(settings),
        "left_out": [{"photo": photo, "reason": reason} for photo, reason in left_out],
    }


def _plain(effect: Effect) -> Document:
    """JSON has no infinity."""
    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(effect).items()
    }


def _coarse(values: Floats, step: int) -> list[list[float]]:
    n = len(values) // step * step
    blocks = values[:n, :n].reshape(n // step, step, n // step, step).mean((1, 3))
    return [[round(float(v), 5) for v in row] for row in blocks]


# ------------------------------------------------------------------------------------------ terminal


def summary(found: Discovery) -> str:
    """What was found, in a sentence."""
    real = [e for e in found.measurements if e.q <= SIGNIFICANT]
    seen = places(found.maps)
    at = list(dict.fromkeys(p.where for p in seen if p.supports))
    where = f"heatmaps differ at {', '.join(at[:4])}" if at else "no place of the heatmaps speaks for it"
    return (
        f"{found.label} against the others: regions tell them apart with an AUROC of {found.auroc:.3f}; "
        f"{where}; {len(real)} of {len(found.measurements)} measurements differ."
    )


def print_discovery(found: Discovery) -> None:
    """The summary, regions, places and the largest measurements."""
    import click
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    maps = found.maps
    click.secho(summary(found), bold=True)
    click.echo(f"heatmaps of {maps.n} people and {maps.n_others} others, {maps.permutations} permutations.")
    console.print(_effects_table("region, log-odds", found.regions, found.label))
    seen = places(maps)
    if seen:
        table = _table(
            ("where the heatmaps differ", False), ("speaks", False), ("% of the face", True), ("p", True)
        )
        for p in seen:
            table.add_row(
                p.where, "for it" if p.supports else "against it", f"{100 * p.share:.1f}", f"{p.p:.2g}"
            )
        console.print(table)
    else:
        click.echo(no_place(maps))
    console.print(_effects_table("measurement", found.measurements[:_SHOWN], found.label))
    if len(found.measurements) > _SHOWN:
        click.echo(f"… and {len(found.measurements) - _SHOWN} more; -o FILE.html or .json has all.")
    unlike = [e for e in found.metadata if e.p <= SIGNIFICANT]
    if unlike:
        names = ", ".join(f"{e.name} ({value(e.mean, e)} against {value(e.mean_others, e)})" for e in unlike)
        click.secho(
            f"warning: the groups also differ in {names}: what is above may come from that.",
            fg="yellow",
            err=True,
        )
    click.secho(f"g: difference in standard deviations. q: false discovery rate. {NOTE}", dim=True)


def _table(*columns: tuple[str, bool]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for name, right in columns:
        table.add_column(name, justify="right" if right else "left")
    return table


def _effects_table(what: str, effects: Sequence[Effect], label: str) -> Any:
    from rich.text import Text

    table = _table(
        (what, False),
        (label, True),
        ("others", True),
        ("g", True),
        ("95 % interval", True),
        ("p", True),
        ("q", True),
    )
    for e in effects:
        table.add_row(
            Text(title(e)), value(e.mean, e), value(e.mean_others, e), *sized(e), f"{e.p:.2g}", f"{e.q:.2g}"
        )
    return table


def title(effect: Effect) -> str:
    """Its name for a reader."""
    if effect.kind == "measurement" and effect.name in registry():
        return f"{registry()[effect.name].name} ({effect.name})"
    return effect.name


def value(number: float, effect: Effect) -> str:
    """A mean in its unit."""
    from anthropo.report.tables import number as formatted

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


def panels(found: Discovery, features: Features) -> dict[str, Image.Image]:
    """Mean maps of both groups over their average faces, and the difference over a line drawing.

    A group of fewer than ten patients is drawn over the line drawing: its average face would show them.
    """
    groups = [("label",) if own == found.label else ("others",) for own in features.labels.tolist()]
    profile = Profile.fit(features, groups)
    maps = found.maps
    limit = heat.common_limit([maps.label, maps.others, maps.difference])
    drawn = {}
    for name, values in (("label", maps.label), ("others", maps.others)):
        picture, points = _average(profile, name) or heat.template(_SIDE)
        drawn[name] = heat.over(picture, points, values, limit)
    picture, points = heat.template(_SIDE)
    drawn["difference"] = heat.outlined(
        heat.over(picture, points, maps.difference, limit), points, maps.p <= SIGNIFICANT
    )
    drawn["bar"] = heat.bar(limit, _SIDE)
    return drawn


def _average(profile: Profile, group: str) -> tuple[Image.Image, Floats] | None:
    if group not in profile.labels or profile.composites is None:
        return None
    at = profile.labels.index(group)
    return heat.enlarged(Image.fromarray(profile.composites[at]), place(profile.shapes[at]), _SIDE)


def picture(found: Discovery, drawn: Mapping[str, Image.Image]) -> Image.Image:
    """The panels beside each other, with what they are."""
    maps = found.maps
    titles = {
        "label": f"{found.label}, mean of {maps.n}",
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
    said = f"Red speaks for {found.label}, blue against it. {NOTE}"
    draw.text((gap, line + height + line), said, "black", font)
    return whole


# ------------------------------------------------------------------------------------------ page


def page(made: Document, found: Discovery, drawn: Mapping[str, Image.Image]) -> str:
    """Everything as one HTML page that needs nothing else."""
    pictures = {
        name: embedded(png(picture) if name == "bar" else jpeg(picture)) for name, picture in drawn.items()
    }
    return rendering.page(
        "regions.html", made=made, found=found, summary=summary(found), places=places(found.maps),
        no_place=no_place(found.maps), pictures=pictures,
        title=title, value=value, sized=sized, significant=SIGNIFICANT, caution=CAUTION,
        farthest=max([1.0, *(abs(e.g) for e in (*found.measurements, *found.regions) if math.isfinite(e.g))]),
    )  # fmt: skip
