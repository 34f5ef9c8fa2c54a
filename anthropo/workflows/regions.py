"""`anthropo regions`: what distinguishes the people of a label, and where in the face."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.encoder.encoders import ChipEncoder
from anthropo.encoder.several import AnyEncoder, each_of
from anthropo.learning.cohort import Cohort, Finding, read_cohort
from anthropo.learning.cohort_checks import by_level, validate
from anthropo.learning.features import Features
from anthropo.learning.identity import resolve_people
from anthropo.showing import draw, given, html
from anthropo.workflows.cohort import CohortError, EncodingRequest, seen_before
from anthropo.workflows.encoders import chosen_regions
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from anthropo.groups.regions import Discovery
    from anthropo.learning.matching import Matched


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionsRequest(EncodingRequest):
    """How the people of a label are compared with all others.

    Parameters
    ----------
    people : int
        Of each group at most so many have their heatmap made; measurements and regions are everybody's.
    permutations : int
        Of the labels, for the significance of places.
    folds : int
        Heatmaps are of people whom the model has not seen.
    encoder : str
        "face-resnet", "efficientnet-lite0", "timm:NAME", "onnx:FILE" or the file of a network; several with
        commas. Heatmaps of an ONNX file are made by occlusion, which takes hundreds of looks at each face.
    encoder_weights : path, optional
    allow_duplicates : bool
        Whether one photograph may be under different patients.
    same_person : {"merge", "refuse", "ignore"}, optional
        As in `anthropo.TrainRequest`.
    match : sequence of str
        Columns in which each of the label gets somebody of the others who is alike; the rest are left out.
    seed : int
    reading : PhotoReading
    """

    people: int = 100
    permutations: int = 2000
    folds: int = 5
    allow_duplicates: bool = False
    match: tuple[str, ...] = ()
    same_person: str | None = None

    __repr__ = given


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionsResult:
    """What distinguishes the people of a label, and how that was learned."""

    discovery: Discovery
    features: Features  # of the photos that could be used
    settings: dict[str, str]
    matched: Matched | None
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        return repr(self.discovery).replace("<Discovery", "<RegionsResult", 1)

    @property
    def left_out(self) -> tuple[tuple[str, str], ...]:
        """Photos that could not be used, each with the reason."""
        return self.features.left_out

    def _repr_html_(self) -> str:
        return html(self, "regions_result")

    def plot(self, kind: str = "measurements", ax: Axes | None = None) -> Axes:
        """Draw what distinguishes the label.

        Parameters
        ----------
        kind : {"measurements", "regions", "heatmap"}
            The largest differences of measurements, what each region adds to the log-odds, or the difference
            of the mean heatmaps.
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "regions_result", ax, kind=kind)

    def to_frame(self) -> pd.DataFrame:
        """A row for each measurement, region and column of metadata: its effect size and significance."""
        import pandas as pd

        of = self.discovery
        return pd.DataFrame([asdict(e) for e in (*of.measurements, *of.regions, *of.metadata)])


def distinguish(
    cohort: str | os.PathLike[str],
    label: str,
    request: RegionsRequest | None = None,
    *,
    progress: Progress = silent,
) -> RegionsResult:
    """Find what distinguishes the people of a label from all others, wherever it is.

    Parameters
    ----------
    cohort : path
        A table or folder of labelled photos, as for `anthropo.train`.
    label : str
    request : RegionsRequest, optional
    progress : Progress

    Returns
    -------
    RegionsResult

    Raises
    ------
    InputError
        If the cohort cannot be used, nobody has the label, or one of both groups has fewer than three
        patients.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.distinguish("cohort.csv", "affected", anthropo.RegionsRequest(people=20))
    Traceback (most recent call last):
    anthropo.errors.InputError: cohort.csv: no such file.
    """
    from anthropo.groups.regions import discover, pictures, two_groups

    request = request or RegionsRequest()
    people = read_cohort(cohort)
    # before the photos are read
    two_groups([case.label for case in people.cases], [case.patient for case in people.cases], label)
    people, matched = _matched(people, label, request.match)
    encoded = request.encode(people, progress)
    features, encoder = encoded.features, encoded.encoder
    regions = chosen_regions(encoder, (), encoded.settings.no_face)
    allowed = request.allow_duplicates
    findings = validate(people, features, allow_duplicates=allowed)
    features, _, identity_findings = resolve_people(
        people.source, features, request.same_person, allow_duplicates=allowed
    )
    findings = by_level([*findings, *identity_findings, *seen_before(people.source, features, encoder)])
    if any(finding.level == "error" for finding in findings):
        raise CohortError(people.source, findings, features.left_out, "cannot be compared")
    with progress(pictures(features, label, request.people), "drawing heatmaps") as advance:
        discovery = discover(
            features,
            label,
            encoder,
            encoded.settings,
            regions=regions,
            folds=request.folds,
            most=request.people,
            permutations=request.permutations,
            seed=request.seed,
            jobs=request.reading.jobs,
            runner=request.reading.runner,
            on_progress=advance,
            faces={case.photo: case.face_at for case in people.cases},
        )
    described = {
        **({"matched": matched.sentence()} if matched else {}),
        "cohort": Path(cohort).name,
        "method": f"{discovery.folds}-fold cross-validation by patient, {label} against all other labels",
        "encoder": encoder.name,
        "regions": ", ".join(regions),
        "heatmaps": f"{_how(encoder)}, one photo of each of {discovery.maps.n} people and "
        f"{discovery.maps.n_others} others",
        "photos": f"{len(features)}, {len(features.left_out)} left out",
        "seed": str(request.seed),
    }
    return RegionsResult(
        discovery=discovery, features=features, settings=described, matched=matched, findings=tuple(findings)
    )


def _how(encoder: AnyEncoder) -> str:
    """How heatmaps of an encoder are made."""
    smooth = {not isinstance(one, ChipEncoder) or one.backend.differentiable for one in each_of(encoder)}
    return " and ".join(name for name, of in (("gradients", True), ("occlusion", False)) if of in smooth)


def _matched(people: Cohort, label: str, columns: Sequence[str]) -> tuple[Cohort, Matched | None]:
    """The people of the label and as many others who are alike in these columns; all where none is named."""
    if not columns:
        return people, None
    from anthropo.learning.matching import match_cohort
    from anthropo.learning.model import OTHERS

    sides = tuple(replace(c, label=c.label if c.label == label else OTHERS) for c in people.cases)
    pairs, matched = match_cohort(replace(people, cases=sides), columns, OTHERS)
    kept = {case.patient for case in pairs.cases}
    cases = tuple(case for case in people.cases if case.patient in kept)
    return replace(people, cases=cases), matched
