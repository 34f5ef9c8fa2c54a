"""`anthropo composite`: the average face of each label, and where it differs from that of the controls."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from anthropo.errors import InputError, parameter
from anthropo.groups.composite import (
    POINT_CODES,
    Displacement,
    LabelShapes,
    Pixels,
    Sitter,
    average_face,
    common_shape,
    displacement,
    find_sitters,
    label_shapes,
)
from anthropo.learning.cohort import Case, Finding
from anthropo.showing import brief, count, counts, draw, given, html
from anthropo.workflows.cohort import CohortRequest, check_photos, read_matched, settings_for, store_of
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from anthropo.learning.matching import Matched

MIN_PATIENTS = 5  # a composite of fewer shows a person
PERMUTATIONS = 5000
CaseOrSitter = TypeVar("CaseOrSitter", Case, Sitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeRequest(CohortRequest):
    """How composites are made.

    Parameters
    ----------
    size : int
        Height of a composite, pixels.
    common_shape : bool
        All labels in one shape, so that only colour and texture differ.
    sharp : bool
        Make detail as strong as in single photos.
    controls : str, optional
        The label that others are compared with; None: one that is called control, healthy or normal.
    min_patients : int
        Labels with fewer get no composite.
    seed : int
        Of the permutations.
    match : sequence of str
        Columns in which each case gets a control who is alike; the others are left out.
    reading : PhotoReading
    """

    size: int = 512
    common_shape: bool = False
    sharp: bool = False
    controls: str | None = None
    min_patients: int = MIN_PATIENTS
    seed: int = 0
    match: tuple[str, ...] = ()

    __repr__ = given


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompositeResult:
    """The average face of each label, and how far its mean shape lies from that of the controls."""

    cohort: str  # the table's or folder's name
    request: CompositeRequest
    groups: tuple[LabelShapes, ...]  # labels by name; none where no label has enough people
    averages: dict[str, Pixels]  # by label, (size, 0.9 size, 3) RGB
    controls: LabelShapes | None
    displacements: tuple[Displacement, ...]
    matched: Matched | None
    refused: dict[str, str]  # labels without a composite, each with the reason
    left_out: tuple[tuple[str, str], ...]  # photos, each with the reason
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        people = {group.label: group.patients for group in self.groups}
        refused = f"{count(len(self.refused), 'label')} with too few people" if self.refused else ""
        return brief(self, f"patients: {counts(people)}" if people else "no label", refused)

    def _repr_html_(self) -> str:
        return html(self, "composite_result")

    def plot(self, label: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw where a label's mean face differs from the controls'; without controls, its average face.

        Parameters
        ----------
        label : str, optional
            The first one that is compared with the controls when left out.
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "composite_result", ax, label=label)

    def to_frame(self) -> pd.DataFrame:
        """A row for each label and landmark.

        `label, patients, photos, point, landmark, x, y, sd_x, sd_y`: the mean shape; then `controls, dx, dy,
        length, t2, p, p_adjusted`: its displacement from the controls' one. Lengths are fractions of the
        outer-canthal distance of the cohort's mean shape.
        """
        import pandas as pd

        moved = {one.label: one for one in self.displacements}
        rows: list[dict[str, Any]] = []
        for group in self.groups:
            mean, sd, there = group.mean, group.sd, moved.get(group.label)
            for at in range(len(mean)):
                row = {
                    "label": group.label, "patients": group.patients, "photos": group.photos, "point": at,
                    "landmark": POINT_CODES.get(at, ""), "x": mean[at, 0], "y": mean[at, 1],
                    "sd_x": sd[at, 0], "sd_y": sd[at, 1], "controls": None,
                }  # fmt: skip
                if there:
                    row |= {
                        "controls": there.controls, "dx": there.vectors[at, 0], "dy": there.vectors[at, 1],
                        "length": there.lengths[at], "t2": there.t2[at], "p": there.p[at],
                        "p_adjusted": there.p_adjusted[at],
                    }  # fmt: skip
                rows.append(row)
        columns = "label patients photos point landmark x y sd_x sd_y controls"
        more = " dx dy length t2 p p_adjusted" if moved or not rows else ""
        return pd.DataFrame(rows, columns=(columns + more).split())


def composite(
    cohort: str | os.PathLike[str], request: CompositeRequest | None = None, *, progress: Progress = silent
) -> CompositeResult:
    """Make the average face of each label of a cohort.

    Parameters
    ----------
    cohort : path
        A table or folder of labelled photos, as for `anthropo.train`.
    request : CompositeRequest, optional
    progress : Progress

    Returns
    -------
    CompositeResult

    Raises
    ------
    InputError
        If the cohort cannot be used, or no label has enough patients.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.composite("cohort.csv")
    Traceback (most recent call last):
    anthropo.errors.InputError: cohort.csv: no such file.
    """
    from anthropo.learning.model import control_label

    request = request or CompositeRequest()
    least, reading = request.min_patients, request.reading
    people, matched = read_matched(cohort, request.match, request.controls)
    findings = [*check_photos(people), *_of_few(least)]
    name = control_label(np.array([case.label for case in people.cases]), request.controls)
    cases, small = _enough(people.cases, least)
    refused = {label: _too_few(people.source, label, n, least) for label, n in small.items()}
    if not cases:
        raise InputError(
            f"{people.source}: no label has {least} patients ({_counts(small)}), and a composite of fewer "
            "shows a person. Add patients."
        )
    settings = settings_for(reading, photos=[case.photo for case in people.cases])
    with progress(len(cases), "finding faces") as advance:
        faces = find_sitters(
            cases,
            settings,
            jobs=reading.jobs,
            runner=reading.runner,
            store=store_of(reading.cache),
            on_progress=advance,
        )
    findings += [Finding("warning", "photo", reason) for _, reason in faces.left_out]
    sitters, small = _enough(faces.sitters, least)
    without = {case.label for case in cases} - {sitter.label for sitter in sitters} - set(small)
    small |= dict.fromkeys(sorted(without), 0)
    refused |= {label: _too_few(people.source, label, n, least) for label, n in small.items()}
    groups = label_shapes(sitters) if sitters else []
    controls = next((group for group in groups if group.label == name), None)
    return CompositeResult(
        cohort=Path(cohort).name,
        request=request,
        groups=tuple(groups),
        averages=_averages(groups, sitters, request, progress),
        controls=controls,
        displacements=tuple(
            displacement(group, controls, permutations=PERMUTATIONS, seed=request.seed)
            for group in groups
            if controls and group is not controls
        ),
        matched=matched,
        refused=refused,
        left_out=faces.left_out,
        findings=(*findings, *_of_labels(groups, sitters, name, controls)),
    )


def _averages(
    groups: Sequence[LabelShapes], sitters: Sequence[Sitter], request: CompositeRequest, progress: Progress
) -> dict[str, Pixels]:
    common = common_shape(groups) if groups and request.common_shape else None
    with progress(len(sitters), "averaging") as advance:
        return {
            group.label: average_face(
                [sitter for sitter in sitters if sitter.label == group.label],
                group.mean if common is None else common,
                size=request.size,
                sharp=request.sharp,
                jobs=request.reading.jobs,
                runner=request.reading.runner,
                on_progress=advance,
            )
            for group in groups
        }


def _enough(entries: Sequence[CaseOrSitter], least: int) -> tuple[list[CaseOrSitter], dict[str, int]]:
    """The cases or sitters of labels with enough patients, and how many the other labels have."""
    people: dict[str, set[str]] = {}
    for entry in entries:
        people.setdefault(entry.label, set()).add(entry.patient)
    small = {label: len(patients) for label, patients in sorted(people.items()) if len(patients) < least}
    return [entry for entry in entries if entry.label not in small], small


def _too_few(source: str, label: str, patients: int, least: int) -> str:
    why = "no photo with a face"
    if patients:
        why = f"{_patients(patients)} with a face, {least} are needed: a composite of fewer shows a person"
    return f"{source}: {label}: {why}. No composite is made."


def _patients(n: int) -> str:
    return f"{n} patient{'' if n == 1 else 's'}"


def _counts(small: dict[str, int]) -> str:
    shown = [f"{label}: {n}" for label, n in list(small.items())[:5]]
    return ", ".join(shown) + (f" and {len(small) - 5} more" if len(small) > 5 else "")


def _of_few(least: int) -> list[Finding]:
    text = (
        f"{parameter('min_patients', least)}: one of {least} people may be recognised in their composite. Do "
        "not publish it without their consent."
    )
    return [Finding("warning", "patient", text)] if least < MIN_PATIENTS else []


def _of_labels(
    groups: Sequence[LabelShapes], sitters: Sequence[Sitter], name: str | None, controls: LabelShapes | None
) -> Iterator[Finding]:
    """Findings about people with several labels, and about controls that are missing."""
    labels = Counter(patient for patient, _ in {(s.patient, s.label) for s in sitters})
    if several := sum(n > 1 for n in labels.values()):
        text = (
            f"{_patients(several)} with more than one label: counted in each, and as different people where "
            "labels are compared."
        )
        yield Finding("warning", "patient", text)
    if name is None and len(groups) > 1:
        text = (
            "no label is called control, healthy or normal: no maps of displacement. Name it with "
            f"{parameter('controls')}."
        )
        yield Finding("note", "label", text)
    elif name and groups and controls is None:
        text = f"no maps of displacement: {name} has no composite to compare with."
        yield Finding("note", "label", text)
