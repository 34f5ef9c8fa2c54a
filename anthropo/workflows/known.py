"""People of a cohort on whom a model or network was trained, found by the face in its training cohort.

Model and network files hold no face of their training people, so the table has to be named.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anthropo.encoder.several import AnyEncoder
from anthropo.errors import parameter
from anthropo.learning.cohort import Cohort, Finding, read_cohort, some
from anthropo.learning.features import Features, subset
from anthropo.learning.identity import SamePair, SamePerson, find_known_people, named_pairs
from anthropo.settings import Settings
from anthropo.workflows.cohort import PhotoReading, TrainRequest, check_photos, read_features
from anthropo.workflows.progress import Progress, silent


def known_people(
    source: str,
    features: Features,
    trained_on: str | os.PathLike[str],
    reading: PhotoReading,
    settings: Settings,
    encoder: AnyEncoder,
    regions: Sequence[str],
    *,
    multilabel: bool = False,
    progress: Progress = silent,
) -> tuple[list[SamePair], list[Finding]]:
    """The people of a cohort who are in a training cohort too, and warnings on names that both have."""
    cohort = read_cohort(trained_on, multilabel=multilabel)
    check_photos(cohort)
    # as in training, so that what was kept is used again
    others = read_features(cohort, reading, settings, encoder, regions, background=True, progress=progress)
    photos = set(features.photos.tolist()) | {os.path.realpath(p) for p in features.photos.tolist()}
    named = {case.patient for case in cohort.cases if case.patient != os.path.realpath(case.photo)}
    twice = sorted(named & (set(features.patients.tolist()) - photos))
    findings = []
    if twice:
        text = (
            f"{source}: patients of these names are in {os.fspath(trained_on)} as well: {some(twice)}. If "
            "they are the same people, the figures come out too good."
        )
        findings.append(Finding("warning", "identity", text))
    return find_known_people(features, others), findings


def seen_by_network(
    cohort: Cohort,
    features: Features,
    request: TrainRequest,
    settings: Settings,
    encoder: AnyEncoder,
    regions: Sequence[str],
    progress: Progress = silent,
) -> list[Finding]:
    """Findings on people of a cohort whom the network that encodes them was trained on."""
    assert request.trained_on is not None
    several = cohort.multilabel
    pairs, findings = known_people(
        cohort.source, features, request.trained_on, request.reading, settings, encoder, regions,
        multilabel=several, progress=progress,
    )  # fmt: skip
    if pairs:
        refused = request.same_person == "refuse"
        people = len({pair.patients[0] for pair in pairs})
        text = (
            f"{cohort.source}: {people} of {len(set(features.patients.tolist()))} patients are people that "
            f"{encoder.name} was trained on ({Path(request.trained_on).name}), {named_pairs(pairs)}: "
            "figures from them come out too good. Judge on people whom it has not seen."
        )
        findings.append(Finding("error" if refused else "warning", "identity", text))
    return findings


def without_known(
    source: str, features: Features, pairs: Sequence[SamePair], how: SamePerson, trained_on: str
) -> tuple[Features, list[Finding]]:
    """The features to judge a model by, and a finding on the people whom it has seen.

    They are left out with `how` merge, refused, or left as they are.
    """
    if not pairs:
        return features, []
    people = {pair.patients[0] for pair in pairs}
    what = (
        f"{source}: {len(people)} of {len(set(features.patients.tolist()))} patients are people that the "
        f"model was trained on ({Path(trained_on).name}), {named_pairs(pairs)}"
    )
    ignore = parameter("same_person", "ignore")
    if how == "refuse":
        text = f"{what}: figures from them come out too good. Take them out, or pass {ignore}."
        return features, [Finding("error", "identity", text)]
    if how == "ignore":
        text = f"{what}: figures from them come out too good (they were kept on request)."
        return features, [Finding("warning", "identity", text)]
    known = np.isin(features.patients, sorted(people))
    left_out = tuple(
        (photo, f"{photo}: shows a person that the model was trained on.")
        for photo in features.photos[known].tolist()
    )
    kept = replace(subset(features, ~known), left_out=(*features.left_out, *left_out))
    text = f"{what}: left out. If they are other people, such as twins, pass {ignore}."
    return kept, [Finding("warning" if len(kept) else "error", "identity", text)]
