"""The page on a cohort that was checked before training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from anthropo.encoder.regions import frame_to, warped
from anthropo.errors import FaceError, PhotoError
from anthropo.files import write
from anthropo.learning.identity import SamePair
from anthropo.learning.training import describe_cohort
from anthropo.observation import observe
from anthropo.report.relations import relations_figure, relations_of_labels
from anthropo.report.rendering import embedded, jpeg, page, svg
from anthropo.workflows.cohort import Material

_MOST_PAIRS = 60  # that are shown
_SIDE = 220  # px of a picture
_HEAD = (-0.5, -0.7, 1.5, 1.3)  # of the aligned face's frame: the whole head
_DONE = {
    "merge": "Each counts as one patient, so that no model is tested on whom it has seen.",
    "refuse": "The cohort is refused until that is settled.",
    "ignore": "They count as different patients, as was asked for.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One of two patients that may be one person."""

    patient: str
    about: str
    picture: str  # empty where it cannot be drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    sides: tuple[_Side, _Side]
    torn: bool
    distance: float


def write_validation(path: Path, material: Material) -> None:
    """Write what was found in a cohort as an HTML page, with pictures of people under several names.

    The page shows the cohort's own photographs and names.

    Parameters
    ----------
    path : pathlib.Path
    material : anthropo.workflows.cohort.Material
        What `anthropo.workflows.cohort.gather` made of the cohort, with ``thorough=True``.

    Raises
    ------
    InputError
        If the page cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import anthropo
    >>> request = anthropo.TrainRequest(  # as m.anthropo was trained
    ...     allow_duplicates=True, reading=anthropo.PhotoReading(jitter=1, fine=False, cache="cache")
    ... )
    >>> material = anthropo.gather("cohort/cohort.csv", request, thorough=True)
    >>> write_validation(Path("check.html"), material)
    """
    features, cohort, people = material.features, material.cohort, material.people
    counts = describe_cohort(features, features.labels, several=cohort.multilabel)
    left_out = f"; {len(features.left_out)} left out" if features.left_out else ""
    document = page(
        "validation.html",
        name=Path(cohort.source).name,
        verdict="can be trained on" if material.usable else "cannot be trained on",
        summary=f"{counts.photos} photos of {counts.patients} patients{left_out}.",
        findings=material.findings,
        pairs=[_pair(pair, material) for pair in people.pairs[:_MOST_PAIRS]],
        more=max(0, len(people.pairs) - _MOST_PAIRS),
        done=_DONE[people.how],
        labels=counts.labels,
        gate=features.gate_summary.sentences() if features.gate is not None else [],
        relations=_relations(material) if cohort.multilabel and len(features) else None,
    )
    write(path, document)


def _relations(material: Material) -> str:
    """The graph of the attributes, as a picture within the page."""
    relations, counts = relations_of_labels(material.features)
    return embedded(svg(relations_figure(relations, counts)))


def _pair(pair: SamePair, material: Material) -> _Pair:
    sides = (
        _side(pair.first, pair.patients[0], pair.labels[0], material),
        _side(pair.second, pair.patients[1], pair.labels[1], material),
    )
    return _Pair(sides=sides, torn=pair.torn, distance=pair.distance)


def _side(photo: str, patient: str, labels: tuple[str, ...], material: Material) -> _Side:
    case = next((case for case in material.cohort.cases if case.photo == photo), None)
    known = [f"{name} {case.metadata[name]}" for name in ("age", "sex") if case and case.metadata.get(name)]
    row = [f"row {case.row}"] if case and case.row else []
    named = patient if Path(patient).name != Path(photo).name else Path(photo).name
    about = ", ".join([Path(photo).name, *row, *filter(None, labels), *known])
    return _Side(patient=named, about=about, picture=_picture(photo, material))


def _picture(photo: str, material: Material) -> str:
    """The head, upright and as large as every other; empty where the file is no longer what it was."""
    try:
        seen = observe(photo, material.settings)
    except (PhotoError, FaceError):
        return ""
    pixels = warped(
        seen.photo, frame_to(seen.face.landmarks.astype(np.float64), seen.face.concealed), _HEAD, _SIDE
    )
    return embedded(jpeg(Image.fromarray(pixels)))
