"""Composites as pictures and tables: captions, maps of displacement, a sheet of all, mean shapes."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anthropo._version import __version__
from anthropo.face.warp import Mesh
from anthropo.files import is_device_name
from anthropo.groups.composite import (
    POINT_CODES,
    Displacement,
    LabelShapes,
    inside_outline,
    placed,
    unit_pixels,
)
from anthropo.photo import LUMA
from anthropo.report.heat import FACE_LINES
from anthropo.report.plots import Plot
from anthropo.report.rendering import INK, NOTE, SOFT, as_csv, as_json, drawable, png, print_table
from anthropo.workflows.composites import PERMUTATIONS, CompositeResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

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
_SCALE = "displacement of the mean face, outer-canthal distances"
_LEAST_SCALE = 0.02  # outer-canthal distances, of the colours' end: no noise looks like a finding


def file_names(labels: Iterable[str]) -> dict[str, str]:
    """A file name, without its suffix, for each label; no two alike on any file system, and no device's."""
    names: dict[str, str] = {}
    taken = {Path(name).stem for name in (SHEET, SHAPES, DISPLACEMENTS, SUMMARY)}
    for label in labels:
        text = re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", label)).strip("-")[:60] or "label"
        name, number = text, 1
        # a map of displacement is NAME-displacement.png
        while is_device_name(name) or {name.casefold(), f"{name}-displacement".casefold()} & taken:
            number += 1
            name = f"{text}-{number}"
        taken |= {name.casefold(), f"{name}-displacement".casefold()}
        names[label] = name
    return names


def count(group: LabelShapes) -> str:
    """How many people and photos."""
    people = "person" if group.patients == 1 else "people"
    more = "" if group.photos == group.patients else f" ({group.photos} photos)"
    return f"{group.patients} {people}{more}"


# ---------------------------------------------------------------------------------------------- pictures


def captioned(pixels: Pixels, group: LabelShapes, remarks: Sequence[str] = ()) -> Image.Image:
    """A composite with a caption below: the label, its people, and how it was made if not by default."""
    height, width = pixels.shape[:2]
    size = max(9, height // 30)
    lines = [f"composite of {count(group)}", *remarks, "research use only"]
    step = round(1.45 * size)
    picture = Image.new("RGB", (width, height + step * (len(lines) + 2)), "white")
    picture.paste(Image.fromarray(pixels))
    draw = ImageDraw.Draw(picture)
    font, y = _font(round(1.25 * size), bold=True), height + step // 3
    draw.text((size // 2, y), _fitted(group.label, font, width - size), INK, font)
    font, y = _font(size), y + step // 4
    for at, text in enumerate(lines, 1):
        draw.text((size // 2, y + at * step), _fitted(text, font, width - size), SOFT, font)
    return picture


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and knows most alphabets."""
    from matplotlib.font_manager import FontProperties, findfont

    weight = "bold" if bold else "normal"
    return ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans", weight=weight)), size)


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """The text, cut where it is too long."""
    kept = len(text)
    while kept and font.getlength(text[:kept] + "…" * (kept < len(text))) > width:
        kept -= 1
    return text[:kept] + "…" * (kept < len(text))


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


def field(moved: Displacement, controls: Floats, size: int) -> Floats:
    """How far each pixel of the controls' mean face moves, (size, width), in the units of a displacement.

    NaN outside the landmarks' outline, where nothing is known.
    """
    start, end = placed(controls, size), placed(controls + moved.vectors, size)
    # as wide as a composite
    width = round(size * 0.9)
    rows, columns = np.mgrid[0:size, 0:width]
    grid = np.stack([columns, rows], -1).astype(np.float64)
    length = np.hypot(*np.moveaxis(Mesh(start, (size, width)).places(end) - grid, -1, 0)) / unit_pixels(size)
    return np.where(inside_outline(start, grid), length, np.nan)


def displacement_figure(
    moved: Displacement, group: LabelShapes, controls: LabelShapes, face: Pixels, fields: Mapping[str, Floats]
) -> Figure:
    """Where the mean face of a label differs from that of the controls, over the controls' composite.

    `fields` has the `field` of every label, since their colours have one scale.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 7.4), layout="constrained", dpi=110)
    axes = figure.subplots()
    shown = _draw_displacement(axes, moved, group, controls, face, fields)
    bar = figure.colorbar(shown, ax=axes, location="bottom", fraction=0.045, pad=0.01, aspect=38)
    bar.set_label(_SCALE, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    longer, sure = arrow_factor(moved), moved.p_adjusted < SIGNIFICANT
    stretched = "" if longer == 1 else f", {longer} × as long as they are,"
    figure.supxlabel(
        f"{count(group)} against {count(controls)}. Arrows{stretched} from {drawable(controls.label, 28)}.\n"
        f"Blue, filled: differs (p < {SIGNIFICANT:g}, permutation of people, all landmarks together): "
        f"{int(sure.sum())} of {len(sure)}.\n{NOTE}",
        fontsize=8.5, color=SOFT, x=0.02, ha="left",
    )  # fmt: skip
    return figure


def displacement_plot(result: CompositeResult, label: str) -> Plot:
    """The map of displacement of a label, alone on axes."""
    fields = _fields(result)
    controls = result.controls
    assert controls is not None  # whoever has displacements has them
    moved = next(one for one in result.displacements if one.label == label)
    group = next(group for group in result.groups if group.label == label)

    def draw(axes: Axes) -> None:
        face = result.averages[controls.label]
        shown = _draw_displacement(axes, moved, group, controls, face, fields)
        inside = axes.inset_axes((0.0, -0.05, 1.0, 0.03))
        axes.get_figure().colorbar(shown, cax=inside, orientation="horizontal")  # type: ignore[union-attr]
        inside.set_xlabel(_SCALE, fontsize=8)
        inside.tick_params(labelsize=7)

    return Plot((5.0, 6.2), draw)


def _draw_displacement(
    axes: Axes,
    moved: Displacement,
    group: LabelShapes,
    controls: LabelShapes,
    face: Pixels,
    fields: Mapping[str, Floats],
) -> AxesImage:
    """The controls' face, how far each place of it moves, and the arrows; what the colours are of."""
    size = face.shape[0]
    end = max(_LEAST_SCALE, *(float(np.nanmax(f)) for f in fields.values()))
    # a pale grey face under the colours
    grey = face.astype(np.float64) @ LUMA
    axes.imshow(128 + grey / 2, cmap="gray", vmin=0, vmax=255)
    shown = axes.imshow(fields[moved.label], cmap=_COLOURS, vmin=0, vmax=end, alpha=_OPACITY)
    start = placed(controls.mean, size)
    for line in FACE_LINES:
        axes.plot(*start[list(line)].T, color="white", linewidth=1.6, alpha=0.8)
        axes.plot(*start[list(line)].T, color=SOFT, linewidth=0.6)
    longer = arrow_factor(moved)
    arrows = placed(controls.mean + longer * moved.vectors, size) - start
    sure = moved.p_adjusted < SIGNIFICANT
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
    return shown


def arrow_factor(moved: Displacement) -> int:
    """How much longer than they are a map's arrows are drawn."""
    longest = float(moved.lengths.max())
    return max((f for f in _LONGER if f * longest <= _LONGEST), default=_LONGER[0])


# ------------------------------------------------------------------------------------------------ tables


def composite_files(result: CompositeResult) -> dict[str, bytes]:
    """Everything that `anthropo composite` writes, by file name."""
    names = file_names(group.label for group in result.groups)
    files = _pictures(result, names)
    frame = result.to_frame()
    shapes = ["label", "patients", "photos", "point", "landmark", "x", "y", "sd_x", "sd_y"]
    tables = {SHAPES: frame[shapes]}
    if result.displacements:
        moved = ["label", "controls", "point", "landmark", "dx", "dy", "length", "t2", "p", "p_adjusted"]
        tables[DISPLACEMENTS] = frame.loc[frame["controls"].notna(), moved]
    files |= {name: as_csv(table, "%.5g").encode() for name, table in tables.items()}
    return files | {SUMMARY: as_json(_summary(result, names)).encode()}


def displacement_figures(result: CompositeResult) -> dict[str, Figure]:
    """The map of displacement of each label that is compared with the controls."""
    controls = result.controls
    if controls is None:
        return {}
    moved = {one.label: one for one in result.displacements}
    fields = _fields(result)
    face = result.averages[controls.label]
    return {
        group.label: displacement_figure(moved[group.label], group, controls, face, fields)
        for group in result.groups
        if group.label in moved
    }


def _fields(result: CompositeResult) -> dict[str, Floats]:
    """The `field` of every label that is compared with the controls."""
    if result.controls is None:
        return {}
    mean, size = result.controls.mean, result.request.size
    return {one.label: field(one, mean, size) for one in result.displacements}


def _pictures(result: CompositeResult, names: Mapping[str, str]) -> dict[str, bytes]:
    request, averages = result.request, result.averages
    remarks = ["all labels in one shape"] * request.common_shape + ["detail made stronger"] * request.sharp
    composites = {group.label: captioned(averages[group.label], group, remarks) for group in result.groups}
    maps: dict[str, Image.Image] = {}
    for label, figure in displacement_figures(result).items():
        with Image.open(io.BytesIO(png(figure, figure.dpi))) as drawn:
            maps[label] = drawn.convert("RGB")
    files = {f"{names[label]}.png": png(picture) for label, picture in composites.items()}
    files |= {f"{names[label]}-displacement.png": png(picture) for label, picture in maps.items()}
    pairs = [(picture, maps.get(label)) for label, picture in composites.items()]
    return files | {SHEET: png(contact_sheet(pairs, f"Composites of {result.cohort}"))}


def _summary(result: CompositeResult, names: Mapping[str, str]) -> dict[str, Any]:
    request = result.request
    labels: dict[str, dict[str, Any]] = {
        group.label: {
            "label": group.label,
            "patients": group.patients,
            "photos": group.photos,
            "picture": f"{names[group.label]}.png",
        }
        for group in result.groups
    }
    for moved in result.displacements:
        labels[moved.label] |= {
            "displacement": f"{names[moved.label]}-displacement.png",
            "largest": float(f"{moved.lengths.max():.5g}"),
            "significant_landmarks": int((moved.p_adjusted < SIGNIFICANT).sum()),
        }
    return {
        "anthropo": __version__,
        "note": NOTE,
        "unit": UNIT,
        "cohort": result.cohort,
        **{
            name: getattr(request, name) for name in ("size", "common_shape", "sharp", "min_patients", "seed")
        },
        "permutations": PERMUTATIONS,
        "controls": result.controls.label if result.controls else None,
        "photos_left_out": len(result.left_out),
        "refused": list(result.refused),
        "labels": list(labels.values()),
    }


def print_composites(result: CompositeResult) -> None:
    """A line for each label on standard output."""
    names = file_names(group.label for group in result.groups)
    moved = {one.label: one for one in result.displacements}
    against = [f"landmarks that differ from {one.controls}" for one in result.displacements[:1]]
    columns = ("label", "people", "photos", *against, *["farthest"] * bool(moved), "picture")
    rows = [
        [
            *(group.label, str(group.patients), str(group.photos)),
            *(farthest_of(moved.get(group.label)) if moved else ()),
            f"{names[group.label]}.png",
        ]
        for group in result.groups
    ]
    print_table(columns, rows, left=("farthest", "picture"))
    print(f"Distances: outer-canthal distances. Differs: p < {SIGNIFICANT:g}, all landmarks together. {NOTE}")


def farthest_of(moved: Displacement | None) -> tuple[str, str]:
    """How many landmarks differ, and which one moves farthest."""
    if moved is None:
        return "", ""
    at = int(moved.lengths.argmax())
    name = f"{POINT_CODES[at]}, point {at}" if at in POINT_CODES else f"point {at}"
    differing = int((moved.p_adjusted < SIGNIFICANT).sum())
    return f"{differing} of {len(moved.lengths)}", f"{moved.lengths[at]:.3f} ({name})"
