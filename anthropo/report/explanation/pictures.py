"""Pictures of an explained prediction: the face, average faces, heatmaps, and a chart beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
from anthropo.report.explanation.document import Disclosure, heat_label
from anthropo.report.plots import Plot, as_figure, face
from anthropo.report.plots_of_answers import explained
from anthropo.report.rendering import NOTE, png
from anthropo.workflows.explain import ExplainedCase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

_PICTURE = 560  # px, of a picture without a face


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """The average face of a label's training people."""

    label: str
    people: int
    picture: Image.Image


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePictures:
    """The pictures of a case."""

    photo: Image.Image | None = None  # None: anonymous
    averages: tuple[Average, ...] = ()
    whole: Image.Image | None = None  # heatmap; None where there are none
    regions: Mapping[str, Image.Image] = field(default_factory=dict)  # heatmap of each
    on_average: Image.Image | None = None  # the heatmap over the first average face
    bar: Image.Image | None = None  # what the heatmaps' colours mean


def pictures(case: ExplainedCase, disclosure: Disclosure) -> CasePictures:
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
        return CasePictures(photo=photo, averages=averages)
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

    return CasePictures(
        photo=photo,
        averages=averages,
        whole=drawn(whole, 520),
        regions={name: drawn(one.values, 240) for name, one in case.heat.regions.items()},
        on_average=heat.over(*_composite(case.trained, labels[0]), whole, limit) if labels else None,
        bar=heat.bar(limit),
    )


def chart(case: ExplainedCase, disclosure: Disclosure) -> bytes:
    """The first label's sum beside the face, as PNG."""
    from matplotlib.figure import Figure

    if case.voided:
        force = parameter("force", True)
        raise InputError(f"{case.voided} There is nothing to draw; write .html, or pass {force}.")
    drawn = pictures(case, disclosure)
    faces = [picture for picture in (drawn.photo, drawn.whole) if picture]
    figure = Figure(figsize=(4.2 * len(faces) + 8, 5), layout="constrained")
    widths = [4.2] * len(faces) + [4.5]
    *places, beside = figure.subplots(1, len(faces) + 1, width_ratios=widths, squeeze=False)[0]
    for axis, shown in zip(places, faces, strict=True):
        axis.imshow(np.asarray(shown))
        axis.axis("off")
    explained(case.explanation.labels[0]).draw(beside)
    figure.supxlabel(f"anthropo {__version__}. {NOTE}", x=0.005, ha="left", fontsize=8)
    return png(figure, dpi=110)


def case_figures(case: ExplainedCase, disclosure: Disclosure) -> dict[str, Figure]:
    """What may be seen of a case, each as a figure: the face, the heatmap, and the sum of each label."""
    made: dict[str, Figure] = {}
    if case.face and not disclosure.anonymous:
        made["face"] = as_figure(face(case.face, case.photo))
    if case.voided:
        return made
    whole = pictures(case, disclosure).whole
    if whole is not None:
        made[f"heatmap-{heat_label(case)}"] = as_figure(Plot((4.6, 4.6), lambda axes: _shown(axes, whole)))
    return made | {f"contributions-{of.label}": as_figure(explained(of)) for of in case.explanation.labels}


def _shown(axes: Axes, picture: Image.Image) -> None:
    axes.imshow(np.asarray(picture))
    axes.set_axis_off()


def _composite(trained: Trained, label: str) -> tuple[Image.Image, Floats]:
    """The average face of a label's training people, twice as large as kept, and its landmarks (68, 2)."""
    profile = trained.profile
    assert profile is not None
    assert profile.composites is not None
    at = profile.labels.index(label)
    picture = Image.fromarray(profile.composites[at])
    size = (2 * picture.width, 2 * picture.height)
    return picture.resize(size, Image.Resampling.LANCZOS), 2 * place(profile.shapes[at]) + 0.5


def _labels_of_averages(case: ExplainedCase) -> list[str]:
    """Labels whose average faces stand beside the patient: the most probable one and the controls."""
    profile = case.trained.profile
    if profile is None or profile.composites is None:
        return []
    ranked = [r.label for r in case.prediction.ranked if r.label in profile.labels]
    controls = case.trained.manifest.controls
    if controls in ranked[1:]:
        ranked = [ranked[0], controls]
    return (ranked or list(profile.labels))[:2]


def _square(case: ExplainedCase, side: int) -> NDArray[np.uint8]:
    """The part of a picture that the network sees."""
    return middle_square(case.photo.finer(power_of_two(min(case.photo.full_size) / side)), side)
