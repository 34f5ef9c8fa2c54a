"""Errors of landmarks: on the terminal, as a table, and as a page with a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anthropo.face.frame import Floats
from anthropo.files import write
from anthropo.landmarks.judging import JudgedLandmarks
from anthropo.measurement.landmark_file import PARTS
from anthropo.report.rendering import GREY, INK, SERIES, as_csv, as_json, embedded, page, png, print_table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from anthropo.workflows.landmarks import LandmarkEvaluation, LandmarkTraining

_FEW = 20  # points that are listed one by one on the terminal


def print_trained(trained: LandmarkTraining) -> None:
    """The error on people kept apart, then what was trained on."""
    placed = trained.held_out
    how = "each placed by what others teach" if trained.in_turn else "who were kept apart"
    people = f"{len(placed.people)} faces of {len(set(placed.people))} people"
    print(f"On {people} {how}, in {placed.scheme.unit_name}:")
    print_table(
        ("points", "error", "median", "95 %", "spread", "coverage"),
        _rows(placed.to_frame(), placed),
        spaced=True,
    )
    if trained.held_out_fine is not None:
        print(f"with the second stage: {trained.held_out_fine.error:.4f}")
    if trained.held_out_start is not None:
        print(f"by the model that it begins from, as it was: {trained.held_out_start.error:.4f}")
    if trained.held_out_fine is not None or trained.held_out_start is not None:
        print()
    unseen = f", {trained.undetected} of them not seen by the detector" if trained.undetected else ""
    print(f"trained on {trained.faces} faces of {trained.people} people{unseen}")
    print(f"licence: {trained.licence}")


def print_evaluated(judged: LandmarkEvaluation) -> None:
    """Groups of points, or the points where they are few, beside the packaged model."""
    frame = judged.to_frame()
    columns = ["points", "error", "median", "95 %", "spread", "coverage"]
    if judged.packaged is not None:
        columns += ["packaged: error", "ratio"]
    unseen = f"; in {judged.undetected} of {judged.faces} no face is found" if judged.undetected else ""
    print(f"{len(judged.first_stage.people)} faces, in {judged.first_stage.scheme.unit_name}{unseen}:")
    print_table(columns, _rows(frame, judged.first_stage), spaced=True)
    if judged.both is not None:
        packaged = f", packaged {judged.packaged_both.error:.4f}" if judged.packaged_both is not None else ""
        held = "" if judged.coverage_both is None else f", coverage {100 * judged.coverage_both:.0f} %"
        print(f"by both landmark stages: {judged.both.error:.4f}{held}{packaged}")


def _groups(placed: JudgedLandmarks) -> list[tuple[str, Sequence[int]]]:
    """Points that are listed together: parts of the face, single points where they are few, and all."""
    names, count = placed.scheme.names, len(placed.scheme.names)
    if placed.scheme.ibug:
        begins = [0, *(end for end, _ in PARTS)]
        groups = [(name, range(begin, end)) for begin, (end, name) in zip(begins, PARTS, strict=False)]
    else:
        groups = [(names[i], range(i, i + 1)) for i in range(count if count <= _FEW else 0)]
    return [*groups, (f"all {count}", range(count))]


def _rows(frame: pd.DataFrame, placed: JudgedLandmarks) -> list[tuple[str, ...]]:
    rows = []
    for name, points in _groups(placed):
        part = frame.iloc[list(points)]
        errors = placed.errors[:, list(points)]
        row = [
            f"{np.nanmean(errors):.4f}",
            f"{np.nanmedian(errors):.4f}",
            f"{np.nanpercentile(errors, 95):.4f}",
        ]
        row.append(f"{part['spread'].mean():.4f}")
        if "error_packaged" in frame:
            packaged = part["error_packaged"].mean()
            row += [f"{100 * part['coverage'].mean():.0f} %", f"{packaged:.4f}"]
            row.append(f"{np.nanmean(errors) / packaged:.2f}")
        elif "coverage" in frame:
            row.append(f"{100 * part['coverage'].mean():.0f} %")
        rows.append((name, *row))
    return rows


def write_evaluated(path: Path, judged: LandmarkEvaluation) -> None:
    """Write the errors by point as .csv, .json or .html."""
    frame = judged.to_frame()
    suffix = path.suffix.lower()
    if suffix == ".csv":
        write(path, as_csv(frame))
    elif suffix == ".json":
        document = {
            "unit": judged.first_stage.scheme.unit_name,
            "faces": judged.faces,
            "undetected": judged.undetected,
            "error": judged.first_stage.error,
            "error_packaged": None if judged.packaged is None else judged.packaged.error,
            "error_both_stages": None if judged.both is None else judged.both.error,
            "points": json.loads(frame.to_json(orient="records")),
        }
        write(path, as_json(document) + "\n")
    else:
        columns = list(frame.columns)
        cells = [
            [value if isinstance(value, str) else f"{value:.4g}" for value in row]
            for row in frame.itertuples(index=False)
        ]
        write(
            path,
            page(
                "landmarks.html",
                picture=embedded(png(error_figure(judged), 150)),
                columns=columns,
                rows=cells,
                unit=judged.first_stage.scheme.unit_name,
                faces=judged.faces,
                undetected=judged.undetected,
                compared=judged.packaged is not None,
            ),
        )


def error_figure(judged: LandmarkEvaluation) -> Figure:
    """The mean annotated face with a circle of each point's mean error, and its mean offset."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 5.4), layout="constrained")
    draw_errors(figure.subplots(), judged)
    return figure


def draw_errors(axes: Axes, judged: LandmarkEvaluation) -> None:
    """What `error_figure` shows, on axes."""
    placed, shape = judged.first_stage, judged.shape
    errors = np.nanmean(placed.errors, 0)
    _circles(axes, shape, errors, SERIES[0])
    if judged.packaged is not None:
        _circles(axes, shape, np.nanmean(judged.packaged.errors, 0), GREY)
    bias = np.nanmean(placed.residuals, 0)
    for (x, y), (dx, dy) in zip(shape, bias, strict=True):
        axes.plot([x, x + dx], [y, y + dy], color=SERIES[0], linewidth=1)
    axes.plot(*shape.T, ".", color=INK, markersize=3)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.axis("off")


def _circles(axes: Axes, shape: Floats, radii: Floats, colour: str) -> None:
    from matplotlib.patches import Circle

    for (x, y), radius in zip(shape, radii, strict=True):
        axes.add_patch(Circle((x, y), radius, fill=False, edgecolor=colour, linewidth=1.2))
