"""What a translation does to faces: on the terminal, and as a page with samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from anthropo.errors import ModelError
from anthropo.face.shape import shapes
from anthropo.files import write
from anthropo.learning.intervals import Interval
from anthropo.learning.model_readers import as_written
from anthropo.licensing import stamped
from anthropo.measurement.landmark_file import PARTS, point_name
from anthropo.measurement.registry import registry
from anthropo.plain import minus
from anthropo.report.rendering import INK, SERIES, SOFT, embedded, page, png, print_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from anthropo.translation.file import Translation
    from anthropo.translation.judging import Changed, Direction, TranslationJudgement
    from anthropo.workflows.translation import TrainedTranslation

_SAMPLE = 128  # px, side of a sample as it is drawn, at least
_BESIDE = 4  # faces beside each other, which a telephone shows
_MOST_LISTED = 12  # measurements on the terminal
_LOSSES = {
    "generators": "generators, weighed",
    "adversarial": "adversarial",
    "discriminator": "discriminators",
    "cycle": "cycle",
    "identity": "identity",
    "landmarks": "landmarks",
}


def print_trained(trained: TrainedTranslation) -> None:
    """What moved in people kept apart, in both directions; then how alike the domains became."""
    judgement = trained.judgement
    print("On people who were kept apart (95 % intervals in brackets):")
    print_table(("", *(f"to {one.to}" for one in judgement.directions)), summary(judgement), spaced=True)
    print("Landmarks, median displacement in outer-canthal distances:")
    columns = ("part of the face", *(f"to {one.to}" for one in judgement.directions))
    print_table(columns, by_part(judgement), spaced=True)
    for one in judgement.directions:
        listed = _changed_most(one)[:_MOST_LISTED]
        if not listed:
            continue
        print(f"Measurements that change most, to {one.to}:")
        head = ("measurement", "unit", "change", "limit", "beyond")
        print_table(head, [_measurement_row(m) for m in listed], left=("unit",), spaced=True)
    print(
        "Change: the median. Limit: what two photos of one person differ by at most (95 %). Beyond: share of "
        "the faces that change by more than their limit."
    )


def _changed_most(one: Direction) -> list[Changed]:
    """The measurements, those first that change most often and most, against what two photos differ by."""
    return sorted(one.measurements, key=lambda m: (-m.beyond, -m.change / (m.limit or 1)))


def _measurement_row(of: Changed) -> tuple[str, ...]:
    name = registry()[of.id].name
    return name, of.unit, f"{of.change:.4g}", f"{of.limit:.4g}", f"{100 * of.beyond:.0f} %"


def summary(judgement: TranslationJudgement) -> list[tuple[str, ...]]:
    """Rows of figures, a column for each direction."""
    both = judgement.directions
    rows = [
        ("faces translated", *(str(one.faces) for one in both)),
        ("no face found: before", *(str(one.unseen) for one in both)),
        ("no face found: only afterwards", *(str(one.lost) for one in both)),
        ("landmarks moved, ex-ex (median)", *(_fine(one.displacement) for one in both)),
        ("measurements changed beyond two photos of a person", *(_share(one.beyond) for one in both)),
        *_kernel_distances("kernel distance × 1,000 of faces from real ones", [one.kid for one in both]),
    ]
    if all(one.textures for one in both):
        rows += _kernel_distances("of textures from real pictures'", [one.textures for one in both])
    transfers = {one.to: one for one in judgement.transfers}
    if transfers:
        of = next(iter(transfers.values()))
        for what, name in (
            (f"AUROC of {of.label} = {of.positive}, trained on photos as they are", "plain"),
            ("trained on translated ones", "translated"),
            ("difference", "difference"),
        ):
            cells = (str(getattr(transfers[o.to], name)) if o.to in transfers else "–" for o in both)
            rows.append((what, *cells))
    return rows


def _kernel_distances(of: str, both: list[Mapping[str, Interval]]) -> list[tuple[str, ...]]:
    return [
        (f"{of}: translated", *(_kid(one["translated"]) for one in both)),
        ("untranslated", *(_kid(one["untranslated"]) for one in both)),
        ("real ones among themselves", *(_kid(one["itself"]) for one in both)),
    ]


def _kid(of: Interval) -> str:
    if not of.known:
        return f"– ({of.reason})"
    return minus(f"{of.value:.0f} ({of.lo:.0f} to {of.hi:.0f})")


def _fine(of: Interval) -> str:
    return f"{of.value:.4f} ({of.lo:.4f} to {of.hi:.4f})" if of.known else f"– ({of.reason})"


def _share(of: Interval) -> str:
    return f"{100 * of.value:.0f} % ({100 * of.lo:.0f} to {100 * of.hi:.0f})" if of.known else "–"


def by_part(judgement: TranslationJudgement) -> list[tuple[str, ...]]:
    begins = [0, *(end for end, _ in PARTS)]
    parts = [(name, range(begin, end)) for begin, (end, name) in zip(begins, PARTS, strict=False)]
    return [
        (name, *(_moved(float(np.median(one.by_landmark[list(points)]))) for one in judgement.directions))
        for name, points in [*parts, ("all 68", range(68))]
    ]


def _moved(value: float) -> str:
    return f"{value:.4f}" if value == value else "–"


# ------------------------------------------------------------------------------------------- the page


def write_page(path: Path, trained: TrainedTranslation) -> None:
    """The report as a page."""
    judgement, about = trained.judgement, trained.translation.about
    directions = []
    for one in judgement.directions:
        names = [point_name(f"p{i}") for i in range(68)]
        points = sorted(zip(names, one.by_landmark.tolist(), strict=True), key=lambda of: -of[1])
        directions.append(
            {
                "to": one.to,
                "of": "A" if one.to == "B" else "B",
                "samples": [embedded(png(sheet)) for sheet in samples(one)],
                "moved": embedded(png(moved_figure(one), 150)),
                "points": [(name, _moved(value)) for name, value in points],
                "measurements": [_measurement_row(m) for m in _changed_most(one)],
            }
        )
    sides = [
        (
            f"domain {name}",
            f"{side.photos} photos of {side.people} people; kept apart: {side.held_out_photos} of "
            f"{side.held_out_people}",
        )
        for name, side in about.domains.items()
    ]
    text = page(
        "translation.html",
        columns=[f"to {one.to}" for one in judgement.directions],
        rows=summary(judgement),
        parts=by_part(judgement),
        directions=directions,
        losses=embedded(png(history_figure(trained.translation), 150)),
        notes=trained.notes,
        held=about.parameters.landmarks > 0,
        facts=[
            *sides,
            ("licence of the photos", about.licence),
            ("model", trained.translation.digest[:12]),
        ],
        options=[(name, str(value)) for name, value in about.parameters.to_json().items()],
    )
    write(path, text)


def samples(one: Direction) -> list[Image.Image]:
    """Sheets of a few faces each, with rows of real, translated and translated-back pictures."""
    times = -(-_SAMPLE // one.samples.shape[2])
    sheets = []
    for start in range(0, len(one.samples), _BESIDE):
        rows = [np.concatenate(list(row), 1) for row in one.samples[start : start + _BESIDE].swapaxes(0, 1)]
        sheet = Image.fromarray(np.concatenate(rows))
        size = sheet.width * times, sheet.height * times
        sheets.append(sheet.resize(size, Image.Resampling.BICUBIC))
    return sheets


def moved_figure(one: Direction) -> Figure:
    """The mean face with a disc at each landmark, as large as it moves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 4.2), layout="constrained")
    draw_moved(figure.subplots(), one)
    return figure


def draw_moved(axes: Axes, one: Direction) -> None:
    """What `moved_figure` shows, on axes."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Circle

    shape = shapes()[0]
    discs = [Circle((x, y), r) for (x, y), r in zip(shape, np.nan_to_num(one.by_landmark), strict=True)]
    axes.add_collection(PatchCollection(discs, facecolor=SERIES[0], alpha=0.5, linewidth=0))
    axes.plot(*shape.T, ".", color=INK, markersize=2)
    low = float(shape[:, 1].max()) + 0.12
    axes.plot([-0.05, 0.05], [low, low], color=SOFT, linewidth=1.5)
    axes.text(0, low + 0.03, "0.1 ex-ex", ha="center", va="top", color=SOFT, fontsize=8)
    axes.set_aspect("equal")
    axes.autoscale_view()
    axes.invert_yaxis()
    axes.axis("off")


def history_figure(translation: Translation) -> Figure:
    """Every loss of the translation over the epochs, and the landmark network's error."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    history = translation.about.history
    epochs = [one for one in history if one.generators is not None]
    for colour, (name, words) in zip(SERIES, _LOSSES.items(), strict=False):
        values = np.array([getattr(one, name) for one in epochs], float)  # None is NaN
        if np.isfinite(values).any():
            left.plot(range(1, len(epochs) + 1), values, color=colour, label=words)
    left.set_yscale("log")
    learned = [one for one in history if one.generators is None]
    right.plot(
        range(1, len(learned) + 1), [one.landmarks for one in learned], color=SERIES[0], label="training"
    )
    held = np.array([one.held_out for one in learned], float)
    right.plot(range(1, len(learned) + 1), held, color=SERIES[1], label="people kept apart")
    for axes, label in ((left, "losses of the translation"), (right, "error of the landmark network, ex-ex")):
        axes.set(xlabel="epoch", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines and len(axes.lines[0].get_xdata()):
            axes.legend(frameon=False, fontsize="x-small")
    return figure


def write_history(path: Path, translation: Translation) -> None:
    """Losses beside a translation's file, as .history.png and .history.json."""
    text = json.dumps(stamped({"epochs": as_written(translation.about.history)}), indent=1).encode() + b"\n"
    files = {".history.png": png(history_figure(translation), 150), ".history.json": text}
    for suffix, data in files.items():
        write(path.with_suffix(suffix), data, error=ModelError)
