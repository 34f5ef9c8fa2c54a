"""Composites as pictures and tables: captions, maps of displacement, a sheet of all, mean shapes."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anthropo._version import __version__
from anthropo.face.scheme import LANDMARKS
from anthropo.face.warp import Mesh
from anthropo.groups.composite import Displacement, Group, placed
from anthropo.photo import LUMA
from anthropo.report.rendering import INK, NOTE, SOFT, drawable, print_table

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

SHEET = "contact-sheet.png"
SHAPES = "shapes.csv"
DISPLACEMENTS = "displacement.csv"
SUMMARY = "composites.json"

UNIT = "fraction of the outer-canthal distance of the cohort's mean shape"
SIGNIFICANT = 0.05  # adjusted p

_TILE = 340  # px, width of a picture on the sheet
_COLUMNS = 4
_COLOURS = "YlOrBr"  # light to dark with every colour vision, and in grey
_OPACITY = 0.75
_LONGER = (1, 2, 3, 5, 10, 20)  # how much longer than they are arrows are drawn
_LONGEST = 0.3  # outer-canthal distances, of an arrow as drawn
_LEAST_SCALE = 0.02  # outer-canthal distances, of the colours' end: no noise looks like a finding


# Lines of the 68 points, to draw a face with.
_LINES: tuple[tuple[int, ...], ...] = (
    tuple(range(17)),
    tuple(range(17, 22)),
    tuple(range(22, 27)),
    tuple(range(27, 31)),
    tuple(range(31, 36)),
    (*range(36, 42), 36),
    (*range(42, 48), 42),
    (*range(48, 60), 48),
    (*range(60, 68), 60),
)
_CODES = {at[0]: code for code, at in LANDMARKS.items() if len(at) == 1}


def file_names(labels: Iterable[str]) -> dict[str, str]:
    """A file name, without its suffix, for each label; no two alike on any file system."""
    names: dict[str, str] = {}
    taken = {Path(name).stem for name in (SHEET, SHAPES, DISPLACEMENTS, SUMMARY)}
    for label in labels:
        text = re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", label)).strip("-")[:60] or "label"
        name, number = text, 1
        # a map of displacement is NAME-displacement.png
        while {name.casefold(), f"{name}-displacement".casefold()} & taken:
            number += 1
            name = f"{text}-{number}"
        taken |= {name.casefold(), f"{name}-displacement".casefold()}
        names[label] = name
    return names


def count(group: Group) -> str:
    """How many people and photos."""
    people = "person" if group.patients == 1 else "people"
    more = "" if group.photos == group.patients else f" ({group.photos} photos)"
    return f"{group.patients} {people}{more}"


# ---------------------------------------------------------------------------------------------- pictures


def captioned(pixels: Pixels, group: Group, remarks: Sequence[str] = ()) -> Image.Image:
    """A composite with what it is written under it.

    Parameters
    ----------
    pixels : (h, w, 3) uint8 array
    group : Group
    remarks : sequence of str
        How it was made, where not in the usual way.

    Returns
    -------
    PIL.Image.Image
        RGB, without metadata.
    """
    height, width = pixels.shape[:2]
    size = max(9, height // 30)
    lines = [f"composite of {count(group)}", *remarks, "research use only"]
    fonts = [_font(round(1.25 * size), bold=True)] + [_font(size)] * len(lines)
    texts = [
        _fitted(text, font, width - size) for text, font in zip([group.label, *lines], fonts, strict=True)
    ]
    step = round(1.45 * size)
    picture = Image.new("RGB", (width, height + step * (len(texts) + 1)), "white")
    picture.paste(Image.fromarray(pixels))
    draw = ImageDraw.Draw(picture)
    y = height + step // 3
    for at, (text, font) in enumerate(zip(texts, fonts, strict=True)):
        draw.text((size // 2, y), text, SOFT if at else INK, font)
        y += step + (0 if at else step // 4)
    return picture


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and knows most alphabets."""
    from matplotlib.font_manager import FontProperties, findfont

    return ImageFont.truetype(
        findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")), size
    )


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """The text, cut where it is too long."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def contact_sheet(pairs: Sequence[tuple[Image.Image, Image.Image | None]], title: str) -> Image.Image:
    """All captioned composites, each with its map of displacement below, where there is one."""
    gap, head, foot = 14, 46, 34
    tiles = [[_to_width(p, _TILE) for p in pair if p is not None] for pair in pairs]
    columns = min(_COLUMNS, len(tiles))
    rows = [tiles[at : at + columns] for at in range(0, len(tiles), columns)]
    heights = [max(sum(p.height + gap for p in pair) for pair in row) for row in rows]
    sheet = Image.new("RGB", (max(columns * (_TILE + gap) + gap, 460), head + sum(heights) + foot), "white")
    draw = ImageDraw.Draw(sheet)
    font = _font(18, bold=True)
    draw.text((gap, 14), _fitted(title, font, sheet.width - 2 * gap), INK, font)
    top = head
    for row, height in zip(rows, heights, strict=True):
        for at, pair in enumerate(row):
            y = top
            for picture in pair:
                sheet.paste(picture, (gap + at * (_TILE + gap), y))
                y += picture.height + gap
        top += height
    draw.text((gap, top + 6), NOTE, SOFT, _font(13))
    return sheet


def _to_width(picture: Image.Image, width: int) -> Image.Image:
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)


def field(found: Displacement, controls: Floats, size: int) -> Floats:
    """How far each pixel of the controls' mean face moves, (size, width), in the units of a displacement.

    NaN outside the landmarks' outline, where nothing is known.
    """
    from scipy.spatial import Delaunay

    start, end = placed(controls, size), placed(controls + found.vectors, size)
    # as wide as a composite
    width = round(size * 0.9)
    rows, columns = np.mgrid[0:size, 0:width]
    grid = np.stack([columns, rows], -1).astype(np.float64)
    unit = float(np.ptp(placed(np.array([(0.0, 0.0), (1.0, 0.0)]), size)[:, 0]))
    moved = np.hypot(*np.moveaxis(Mesh(start, (size, width)).places(end) - grid, -1, 0)) / unit
    inside = Delaunay(start).find_simplex(grid.reshape(-1, 2)).reshape(size, width) >= 0
    return np.where(inside, moved, np.nan)


def displacement_map(
    found: Displacement, group: Group, controls: Group, face: Pixels, fields: Mapping[str, Floats]
) -> Image.Image:
    """Where the mean face of a label differs from that of the controls.

    Parameters
    ----------
    found : Displacement
    group, controls : Group
    face : (h, w, 3) uint8 array
        The controls' composite.
    fields : mapping of str to (h, w) array
        `field` of every label: their colours have one scale.

    Returns
    -------
    PIL.Image.Image
        RGB, without metadata.
    """
    from matplotlib.figure import Figure

    size = face.shape[0]
    end = max(_LEAST_SCALE, *(float(np.nanmax(f)) for f in fields.values()))
    figure = Figure(figsize=(6.4, 7.4), layout="constrained", dpi=110)
    axes = figure.subplots()
    # a pale grey face under the colours
    grey = face.astype(np.float64) @ LUMA
    axes.imshow(128 + grey / 2, cmap="gray", vmin=0, vmax=255)
    shown = axes.imshow(fields[found.label], cmap=_COLOURS, vmin=0, vmax=end, alpha=_OPACITY)
    start = placed(controls.mean, size)
    for line in _LINES:
        axes.plot(*start[list(line)].T, color="white", linewidth=1.6, alpha=0.8)
        axes.plot(*start[list(line)].T, color=SOFT, linewidth=0.6)
    longer = arrow_factor(found)
    arrows = placed(controls.mean + longer * found.vectors, size) - start
    sure = found.p_adjusted < SIGNIFICANT
    for members, colour, edge, width, dot in (
        (~sure, "#6b7480", "white", 0.0035, "white"),
        (sure, "#0b3d91", "white", 0.006, "#0b3d91"),
    ):
        if members.any():
            x, y = start[members].T
            axes.scatter(x, y, 14, color=dot, edgecolor=colour, linewidth=0.8, zorder=4)
            axes.quiver(
                x, y, *arrows[members].T, angles="xy", scale_units="xy", scale=1, color=colour, width=width,
                edgecolor=edge, linewidth=0.5, headwidth=3, headlength=3.2, headaxislength=3, zorder=5,
            )  # fmt: skip
    axes.set_axis_off()
    title = f"{drawable(group.label, 28)} against {drawable(controls.label, 28)}"
    axes.set_title(title, fontsize=13, loc="left")
    bar = figure.colorbar(shown, ax=axes, location="bottom", fraction=0.045, pad=0.01, aspect=38)
    bar.set_label("displacement of the mean face, outer-canthal distances", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    stretched = "" if longer == 1 else f", {longer} × as long as they are,"
    figure.supxlabel(
        f"{count(group)} against {count(controls)}. Arrows{stretched} from {drawable(controls.label, 28)}.\n"
        f"Blue, filled: differs (p < {SIGNIFICANT:g}, permutation of people, all landmarks together): "
        f"{int(sure.sum())} of {len(sure)}.\n{NOTE}",
        fontsize=8.5, color=SOFT, x=0.02, ha="left",
    )  # fmt: skip
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    with Image.open(buffer) as drawn:
        picture: Image.Image = drawn.convert("RGB")
    return picture


def arrow_factor(found: Displacement) -> int:
    """How much longer than they are a map's arrows are drawn."""
    longest = float(np.hypot(*found.vectors.T).max())
    return max((f for f in _LONGER if f * longest <= _LONGEST), default=_LONGER[0])


# ------------------------------------------------------------------------------------------------ tables


def _shapes_csv(found: Sequence[Group]) -> bytes:
    """Mean shapes: a row for each label and landmark."""
    columns = ["label", "patients", "photos", "point", "landmark", "x", "y", "sd_x", "sd_y"]
    rows = [
        [group.label, group.patients, group.photos, at, _CODES.get(at, ""), *_numbers(*mean, *sd)]
        for group in found
        for at, (mean, sd) in enumerate(zip(group.mean, group.sd, strict=True))
    ]
    return _csv([columns, *rows])


def _displacement_csv(found: Sequence[Displacement]) -> bytes:
    """How far mean shapes lie apart: a row for each label and landmark."""
    columns = ["label", "controls", "point", "landmark", "dx", "dy", "length", "t2", "p", "p_adjusted"]
    rows = [
        [d.label, d.controls, at, _CODES.get(at, ""),
         *_numbers(*d.vectors[at], float(np.hypot(*d.vectors[at])), d.t2[at], d.p[at], d.p_adjusted[at])]
        for d in found
        for at in range(len(d.vectors))
    ]  # fmt: skip
    return _csv([columns, *rows])


def _numbers(*values: float) -> list[str]:
    return [f"{v:.5g}" if math.isfinite(v) else "" for v in values]


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def tables(
    found: Sequence[Group],
    displacements: Sequence[Displacement],
    names: Mapping[str, str],
    said: Mapping[str, Any],
) -> dict[str, bytes]:
    """shapes.csv, displacement.csv where there is any, and composites.json.

    Parameters
    ----------
    found : sequence of Group
    displacements : sequence of Displacement
    names : mapping of str to str
        From `file_names`.
    said : mapping
        How it was made, as name and value.
    """
    moved = {d.label: d for d in displacements}
    labels = [
        {
            "label": group.label,
            "patients": group.patients,
            "photos": group.photos,
            "picture": f"{names[group.label]}.png",
            **(_moved(moved[group.label], names[group.label]) if group.label in moved else {}),
        }
        for group in found
    ]
    document = {"anthropo": __version__, "note": NOTE, "unit": UNIT, **said, "labels": labels}
    files = {SHAPES: _shapes_csv(found)}
    if displacements:
        files[DISPLACEMENTS] = _displacement_csv(displacements)
    return files | {SUMMARY: json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False).encode()}


def _moved(found: Displacement, name: str) -> dict[str, Any]:
    lengths = np.hypot(*found.vectors.T)
    return {
        "displacement": f"{name}-displacement.png",
        "largest": float(f"{lengths.max():.5g}"),
        "significant_landmarks": int((found.p_adjusted < SIGNIFICANT).sum()),
    }


def print_composites(
    found: Sequence[Group], displacements: Sequence[Displacement], names: Mapping[str, str]
) -> None:
    """A line for each label on standard output."""
    moved = {d.label: d for d in displacements}
    against = [f"landmarks that differ from {d.controls}" for d in displacements[:1]]
    columns = ("label", "people", "photos", *against, *["farthest"] * bool(moved), "picture")
    rows = [
        [
            *(group.label, str(group.patients), str(group.photos)),
            *(_farthest(moved.get(group.label)) if moved else ()),
            f"{names[group.label]}.png",
        ]
        for group in found
    ]
    print_table(columns, rows, left=("farthest", "picture"))
    print(f"Distances: outer-canthal distances. Differs: p < {SIGNIFICANT:g}, all landmarks together. {NOTE}")


def _farthest(found: Displacement | None) -> tuple[str, str]:
    if found is None:
        return "", ""
    lengths = np.hypot(*found.vectors.T)
    at = int(lengths.argmax())
    name = f"{_CODES[at]}, point {at}" if at in _CODES else f"point {at}"
    return f"{int((found.p_adjusted < SIGNIFICANT).sum())} of {len(lengths)}", f"{lengths[at]:.3f} ({name})"
