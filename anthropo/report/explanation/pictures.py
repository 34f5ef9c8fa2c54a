"""Pictures of an explained prediction: the face, average faces, heatmaps, and a chart beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo._version import __version__
from anthropo.encoder.portrait import place
from anthropo.encoder.regions import middle_square
from anthropo.errors import InputError, parameter
from anthropo.face.detection import power_of_two
from anthropo.learning.trained import Trained
from anthropo.report import figures, heat
from anthropo.report.explanation.document import Disclosure
from anthropo.report.explanation.words import bars, signed
from anthropo.report.rendering import COLOURS, INK, NOTE, SOFT, png
from anthropo.workflows.explain import Case

Floats = NDArray[np.float64]

_FOR, _AGAINST = COLOURS["for"], COLOURS["against"]
_PALE = 0.35  # opacity of a bar that is not stable
_PICTURE = 560  # px, of a picture without a face


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """The average face of a label's training people."""

    label: str
    people: int
    picture: Image.Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The pictures of a case."""

    photo: Image.Image | None = None  # None: anonymous
    averages: tuple[Average, ...] = ()
    whole: Image.Image | None = None  # heatmap; None where there are none
    regions: Mapping[str, Image.Image] = field(default_factory=dict)  # heatmap of each
    on_average: Image.Image | None = None  # the heatmap over the first average face
    bar: Image.Image | None = None  # what the heatmaps' colours mean


def pictures(case: Case, disclosure: Disclosure) -> Pictures:
    """Draw what may be seen of a case."""
    labels = _labels_of_averages(case)
    profile = case.trained.profile
    people = dict(zip(profile.labels, profile.patients, strict=True)) if profile else {}
    averages = tuple(
        Average(label=label, people=people[label], picture=_composite(case.trained, label)[0])
        for label in labels
    )
    photo = None
    if not disclosure.anonymous:
        face = case.face
        photo = figures.overlay(case.photo, face) if face else Image.fromarray(_square(case, _PICTURE))
    if case.heat is None:
        return Pictures(photo=photo, averages=averages)
    whole = case.heat.whole.values
    limit = heat.common_limit([whole])

    hidden = disclosure.anonymous or disclosure.template

    def drawn(values: Floats, side: int) -> Image.Image:
        if case.face is None:
            blank = np.full((side, side, 3), 255, dtype=np.uint8)
            return heat.square(blank if hidden else _square(case, side), values, limit)
        if hidden:
            return heat.over(*heat.template(side), values, limit)
        return heat.overlay(values, case.photo, case.face, limit, side)

    return Pictures(
        photo=photo,
        averages=averages,
        whole=drawn(whole, 520),
        regions={name: drawn(one.values, 240) for name, one in case.heat.regions.items()},
        on_average=heat.over(*_composite(case.trained, labels[0]), whole, limit) if labels else None,
        bar=heat.bar(limit),
    )


def chart(case: Case, disclosure: Disclosure) -> bytes:
    """The first label's sum beside the face, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    if case.voided:
        force = parameter("force", True)
        raise InputError(f"{case.voided} There is nothing to draw; write .html, or pass {force}.")
    explained = case.explanation.labels[0]
    rows = bars(explained)[::-1]
    drawn = pictures(case, disclosure)
    faces = [picture for picture in (drawn.photo, drawn.whole) if picture]
    figure, axes = plt.subplots(
        1, len(faces) + 1, figsize=(4.2 * len(faces) + 8, 5), width_ratios=[4.2] * len(faces) + [4.5],
        layout="constrained",
    )  # fmt: skip
    axes = np.atleast_1d(axes)
    for axis, face in zip(axes, faces, strict=False):
        axis.imshow(face)
        axis.axis("off")
    values = [bar.log_odds for bar in rows]
    drawn_bars = axes[-1].barh(range(len(rows)), values, color=[_FOR if v > 0 else _AGAINST for v in values])
    for at, (row, one) in enumerate(zip(rows, drawn_bars, strict=True)):
        one.set_alpha(_PALE if row.stable is False else 1.0)
        if row.range is not None:
            axes[-1].hlines(at, *row.range, color=INK, linewidth=1)
    axes[-1].set_yticks(range(len(rows)), [bar.name for bar in rows])
    axes[-1].axvline(0, color=SOFT, linewidth=0.8)
    known = any(row.range for row in rows)
    ranges = "\nlines: range over refits without some of the patients; pale: not stable" if known else ""
    axes[-1].set_xlabel(f"log-odds (nats): right speaks for the label, left against it{ranges}")
    axes[-1].set_title(f"{explained.label}: {signed(explained.log_odds)}", loc="left", color=INK)
    axes[-1].spines[["top", "right"]].set_visible(False)
    figure.supxlabel(f"anthropo {__version__}. {NOTE}", x=0.005, ha="left", fontsize=8)
    data = png(figure, dpi=110)
    plt.close(figure)
    return data


def _composite(trained: Trained, label: str) -> tuple[Image.Image, Floats]:
    """The average face of a label's training people, twice as large as kept, and its landmarks (68, 2)."""
    profile = trained.profile
    assert profile is not None
    assert profile.composites is not None
    at = profile.labels.index(label)
    picture = Image.fromarray(profile.composites[at])
    size = (2 * picture.width, 2 * picture.height)
    return picture.resize(size, Image.Resampling.LANCZOS), 2 * place(profile.shapes[at]) + 0.5


def _labels_of_averages(case: Case) -> list[str]:
    """Labels whose average faces stand beside the patient: the most probable one and the controls."""
    profile = case.trained.profile
    if profile is None or profile.composites is None:
        return []
    ranked = [r.label for r in case.prediction.ranked if r.label in profile.labels]
    controls = case.trained.manifest.controls
    if controls in ranked[1:]:
        ranked = [ranked[0], controls]
    return (ranked or list(profile.labels))[:2]


def _square(case: Case, side: int) -> NDArray[np.uint8]:
    """The part of a picture that the network sees."""
    return middle_square(case.photo.finer(power_of_two(min(case.photo.full_size) / side)), side)
