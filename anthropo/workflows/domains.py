"""Sites and targets of a cohort that is to be adapted: what is checked of them, and how a target is read."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anthropo.adaptation import METHODS
from anthropo.adaptation.methods import FEWEST, check_method
from anthropo.adaptation.names import NEED_TARGET
from anthropo.batch.inputs import Item, collect
from anthropo.errors import InputError, parameter
from anthropo.learning.cohort import Case, Cohort, Finding, some
from anthropo.learning.domains import ONE
from anthropo.learning.duplicates import Pair, find_duplicates, listed_pairs
from anthropo.learning.features import Features, subset
from anthropo.learning.manifest import MOST_SITES
from anthropo.tables import given

if TYPE_CHECKING:
    from anthropo.encoder.several import AnyEncoder
    from anthropo.learning.trained import Trained
    from anthropo.settings import Settings
    from anthropo.workflows.cohort import Material, TrainRequest
    from anthropo.workflows.progress import Progress

SITE = "site"  # the column that names the site of a photo, unless another is named


def comparable(has_target: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The methods that can be compared here, and a sentence on each that cannot."""
    there, notes = [], []
    for method in METHODS:
        if method in NEED_TARGET and not has_target:
            notes.append(
                f"left out of the comparison: {method}, which brings photos to those of a target. Name its "
                f"photos with {parameter('target', 'photos/')}, or leave sites out with "
                f"{parameter('leave_out', SITE)}."
            )
            continue
        try:
            check_method(method)
            there.append(method)
        except InputError as error:
            notes.append(f"left out of the comparison: {error}")
    return tuple(there), tuple(notes)


def check_domains(
    cohort: Cohort, request: TrainRequest, compare: Sequence[str] = (), leave_out: str | None = None
) -> str | None:
    """The column of the sites by which a cohort is adapted; None without one, or without adaptation.

    `compare` and `leave_out` are those of an evaluation.

    Raises
    ------
    InputError
        If there is nothing to adapt to, or what there is cannot tell what photos of a site have in common.
    """
    method, compared = request.options.adapt, "adapt" in compare
    check_method(method)
    if method == "none" and not compared:
        for name, value in (("target", request.target), ("domain", request.domain)):
            if value is not None:
                raise InputError(
                    f"{parameter(name, os.fspath(value))} is about adaptation, and there is none. Choose a "
                    f"method, such as {parameter('adapt', 'coral')}, or leave it out."
                )
        return None
    how = parameter("compare", "adapt") if compared else parameter("adapt", method)
    column = _column(cohort, request, leave_out, how)
    if column is None:
        if request.target is None:
            raise InputError(
                f"{how}: there are neither sites nor a target. Name the column of the sites with "
                f"{parameter('domain', 'clinic')}, or the target's photos with "
                f"{parameter('target', 'photos/')}."
            )
        return None
    _check_sites(cohort, request, column, how)
    if method in NEED_TARGET and request.target is None and leave_out is None:
        raise InputError(
            f"{how}: {method} brings photos to those of a target. Name its photos with "
            f"{parameter('target', 'photos/')}, choose standardise or combat, or, to judge, leave sites out "
            f"with {parameter('leave_out', column)}."
        )
    return column


def _column(cohort: Cohort, request: TrainRequest, leave_out: str | None, how: str) -> str | None:
    """The column that names the sites, if there is one."""
    columns = cohort.cases[0].metadata
    column = request.domain or leave_out or (SITE if SITE in columns else None)
    if leave_out is not None:
        if request.target is not None:
            raise InputError(
                f"{parameter('target', os.fspath(request.target))}: with "
                f"{parameter('leave_out', leave_out)} the site that is left out is the target. Leave "
                "one of them out."
            )
        if column != leave_out:
            raise InputError(
                f"{parameter('domain', column)}: with {parameter('leave_out', leave_out)} photos are "
                f"adapted by {leave_out}. Name the same column, or leave one of them out."
            )
    if column is not None and column not in columns:
        raise InputError(
            f"{how}: no column {column} that names the site. There are {', '.join(columns) or 'none'}."
        )
    return column


def _check_sites(cohort: Cohort, request: TrainRequest, column: str, how: str) -> None:
    """Refuse sites that cannot be told from each other, or from labels."""
    sites = {case.photo: given(case.metadata[column]) for case in cohort.cases}
    if nowhere := [photo for photo, site in sites.items() if not site]:
        raise InputError(
            f"{how}: no {column} of {some(nowhere)}. Fill it in, or take the photo"
            f"{'s' if len(nowhere) > 1 else ''} out."
        )
    photos = Counter(sites.values())
    if len(photos) > MOST_SITES:
        raise InputError(
            f"{how}: {column} has {len(photos)} different values, {MOST_SITES} at most. Name a column of few "
            f"sites with {parameter('domain', 'clinic')}."
        )
    if len(photos) == 1 and request.target is None:
        raise InputError(
            f"{how}: every photo has {column} {next(iter(photos))}, and one domain alone is like itself. "
            f"Name photos of the target with {parameter('target', 'photos/')}, or another column with "
            f"{parameter('domain', 'clinic')}."
        )
    if few := [f"{name} ({n})" for name, n in sorted(photos.items()) if n < FEWEST]:
        raise InputError(
            f"{how}: too few photos of {column} {some(few)}; {FEWEST} or more tell what photos of a site "
            "have in common. Join small sites under one name, or leave them out."
        )
    if request.task != "labels":
        return
    labels: dict[str, set[str]] = defaultdict(set)
    for case in cohort.cases:
        labels[sites[case.photo]].add(case.label)
    for name, there in sorted(labels.items()):
        if len(there) == 1:
            raise InputError(
                f"{how}: everybody of {column} {name} has the label {there.pop()}, so that site and label "
                "cannot be told apart: what takes the site away takes the label away as well. Add people of "
                f"another label there, leave the site out, or leave {parameter('adapt')} out."
            )


def with_sites(features: Features, column: str | None, cells: Mapping[str, str]) -> Features:
    """The photos with their sites, from the cell of each in the column; nobody's where there is no column."""
    if column is None:
        return features
    return replace(features, sites=np.array([given(cells[photo]) for photo in features.photos.tolist()], str))


def target_features(
    request: TrainRequest,
    settings: Settings,
    encoder: AnyEncoder,
    regions: Sequence[str],
    training: Features,
    progress: Progress,
) -> tuple[Features, list[Finding]]:
    """Photos of a target, whose labels nobody knows, and findings about them.

    Raises
    ------
    InputError
        If there are too few, or some of them are trained on as well.
    """
    from anthropo.workflows.cohort import read_features

    assert request.target is not None
    source = os.fspath(request.target)
    cases = tuple(
        Case(item.path, "", item.columns.get("patient") or os.path.realpath(item.path), {},
             item.columns.get("distance", ""), face_at=item.columns.get("face_at", ""))
        for item in collect([source])
    )  # fmt: skip
    target = read_features(
        Cohort(cases, source), request.reading, settings, encoder, regions, background=True, identify=False,
        progress=progress,
    )  # fmt: skip
    if len(target) < FEWEST:
        unusable = f", of {len(cases)}" if len(cases) > len(target) else ""
        raise InputError(
            f"{source}: {len(target)} usable photos{unusable}; {FEWEST} or more tell what photos of the "
            f"target have in common. Add photos, or leave {parameter('target')} out."
        )
    findings = [Finding("warning", "target", reason) for _, reason in target.left_out]
    if pairs := in_both(training, target):
        text = f"{source}: photos of the target that are trained on as well, {listed_pairs(pairs)}"
        if not request.allow_duplicates or any(pair.kind == "file" for pair in pairs):
            raise InputError(f"{text}: take them out of the one or the other.")
        findings.append(Finding("warning", "target", f"{text} (duplicates were allowed)."))
    return target, findings


def in_both(training: Features, target: Features) -> list[Pair]:
    """Photographs that are among both."""
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(of, name) for of in (training, target)])
        for name in ("photos", "patients", "digests", "prints")
    }
    ours = len(training)
    # by number, so that one file in both is not taken for itself
    joined["photos"] = np.arange(ours + len(target)).astype(str)
    names = [*training.photos.tolist(), *target.photos.tolist()]
    return [
        replace(pair, first=names[int(pair.first)], second=names[int(pair.second)])
        for pair in find_duplicates(replace(training, **joined))
        if int(pair.first) < ours <= int(pair.second)
    ]


def target_notes(material: Material) -> list[str]:
    """What figures of a cohort that is adapted to photos without labels do not say."""
    if material.target is None:
        return []
    return [
        "the target's labels are not known, so that no figure here tells whether adapting helps there. An "
        "evaluation that leaves each site out, and compares ways to adapt, tells it of sites whose labels "
        "you have."
    ]


def at_sites(trained: Trained, features: Features, items: Sequence[Item], site: str | None) -> Features:
    """Photos to be answered on with the site of each: that of its row, else the one that is stated.

    Raises
    ------
    InputError
        If the stated one is none of the model's.
    """
    domains, column = trained.domains, trained.manifest.adaptation.column
    if domains is None:
        if site is None:
            return features
        raise InputError(
            f"{parameter('site', site)}: the model was trained without {parameter('adapt')}, and reads "
            "photos of every site alike. Leave it out."
        )
    known = sorted({*domains.sites, *domains.unmapped} - {ONE})
    if site is not None and site not in known:
        raise InputError(
            f"{parameter('site', site)}: no site of the model, which are {', '.join(known) or 'not named'}. "
            "Left out, photos are taken as the target's."
        )
    cells = {item.path: given(item.columns.get(column or "", "")) or site or "" for item in items}
    photos = features.photos.tolist()
    made = replace(features, sites=np.array([cells[photo] for photo in photos], str))
    lost = [
        (photo, f"{photo}: the model has no map for photos of {cells[photo]} ({domains.method} keeps none).")
        for photo in photos
        if cells[photo] in domains.unmapped
    ]
    kept = subset(made, [cells[photo] not in domains.unmapped for photo in photos]) if lost else made
    return replace(kept, left_out=(*features.left_out, *lost))


def site_notes(trained: Trained, features: Features) -> list[str]:
    """What a reader should know of the sites that photos are taken to be from."""
    domains = trained.domains
    if domains is None:
        return []
    column, target = trained.manifest.adaptation.column, trained.manifest.adaptation.target
    named = () if features.sites is None else sorted(set(features.sites.tolist()) - {""})
    as_what = "the target's" if target.photos else f"of the mean of {some(sorted(domains.sites))}"
    unknown = [name for name in named if name not in domains.sites and name not in domains.unmapped]
    notes = []
    if unknown and column:
        notes.append(f"note: {some(unknown)}: no {column} of the training, and taken as {as_what}.")
    if not target.photos and not named and set(domains.sites) != {ONE}:
        notes.append(
            f"note: the model was trained on photos of {some(sorted(domains.sites))}, brought to their mean "
            f"({domains.method}). No site is stated, and photos are taken as they are; name it with "
            f"{parameter('site', sorted(domains.sites)[0])} or in a column {column}."
        )
    return notes
