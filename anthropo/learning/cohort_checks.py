"""Checks of a cohort before training: contradictions, leaks, duplicates, missing photos."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from anthropo.decoding.provenance import synthetic_file
from anthropo.errors import InputError, parameter
from anthropo.face.candidates import NO_FACE
from anthropo.files import real_paths
from anthropo.learning.cohort import Case, Cohort, Finding, kind_of, some, typed
from anthropo.learning.duplicates import duplicate_findings, find_duplicates
from anthropo.learning.schema import MOST_LABELS
from anthropo.reference.person import WAYS, parse_sex
from anthropo.spelling import look_alikes
from anthropo.tables import missing

if TYPE_CHECKING:
    from anthropo.learning.features import Features

_PAIRED = 10  # patients with several labels, and at least half of all: meant so


def validate(
    cohort: Cohort, features: Features, *, allow_duplicates: bool = False, merged: Features | None = None
) -> list[Finding]:
    """Findings on a cohort whose photos have been read; those left out count for no label or patient.

    In `merged` people who have several patients' names have one. Two of their pictures that are all but alike
    are then no leak, unless their labels differ or one file is there twice: these are mistakes.
    """
    unusable = {photo for photo, _ in features.left_out}
    rest = tuple(case for case in cohort.cases if case.photo not in unusable)
    findings = []
    if unusable:
        total = len({case.photo for case in cohort.cases})
        text = f"{cohort.source}: {len(unusable)} of {total} photos cannot be used and are left out."
        findings.append(Finding("warning" if rest else "error", "photo", text))
        faceless = sum(NO_FACE in reason for _, reason in features.left_out)
        if 2 * faceless > total:
            without = parameter("no_face", True)
            text = (
                f"{cohort.source}: no face was found on {faceless} of {total} photos. If they are pictures "
                f"of skin, or of anything else without a face, pass {without}."
            )
            findings.append(Finding("warning", "photo", text))
        findings += [Finding("warning", "photo", reason) for _, reason in features.left_out]
    if rest:
        lost = {case.label for case in cohort.cases} - {case.label for case in rest}
        if lost and not cohort.multilabel:
            text = f"{cohort.source}: no usable photo with {some(sorted(lost))}; not learned."
            findings.append(Finding("warning", "label", text))
        findings += check(replace(cohort, cases=rest))
        pairs = find_duplicates(features)
        if merged is not None:
            rows = zip(merged.photos.tolist(), merged.patients.tolist(), merged.labels.tolist(), strict=True)
            of = {photo: (patient, label) for photo, patient, label in rows}
            pairs = [
                replace(pair, same_patient=True)
                if pair.kind == "picture" and of[pair.first] == of[pair.second]
                else pair
                for pair in pairs
            ]
        findings += duplicate_findings(cohort.source, pairs, allow=allow_duplicates)
    return by_level(findings)


def check(cohort: Cohort) -> list[Finding]:
    """Findings on a cohort that need none of its photographs opened, errors first."""
    checks = (_labels, _patients, _photos, _synthetic, _unreadable_cells, _leaks)
    return by_level([*cohort.findings, *(finding for find in checks for finding in find(cohort))])


def by_level(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in order: errors, warnings, notes."""
    order = ("error", "warning", "note")
    return sorted(findings, key=lambda finding: order.index(finding.level))


def _labels(cohort: Cohort) -> Iterator[Finding]:
    patients: dict[str, set[str]] = defaultdict(set)
    rows: dict[str, list[int]] = defaultdict(list)
    for case in cohort.cases:
        for label in case.labels if cohort.multilabel else (case.label,):
            patients[label].add(case.patient)
            rows[label].append(case.row)
    everybody = {case.patient for case in cohort.cases}
    if len(patients) > MOST_LABELS:
        text = (
            f"{cohort.source}: {len(patients):,} labels, more than the {MOST_LABELS:,} that a model may "
            "have. Is this the column of labels? Else join rare labels."
        )
        yield Finding("error", "label", text)
        return
    if cohort.multilabel and not patients:
        text = f"{cohort.source}: no case has a label. Fill in the column `label`."
        yield Finding("error", "label", text)
        return
    if not cohort.multilabel and len(patients) == 1:
        text = (
            f"{cohort.source}: one label only, {next(iter(patients))} ({len(cohort.cases)} photos). Add "
            "photos with another label, such as controls."
        )
        yield Finding("error", "label", text)
        return
    if common := [label for label, having in patients.items() if cohort.multilabel and having == everybody]:
        text = (
            f"{cohort.source}: every patient has {some(common)}, so that it cannot be learned. Add "
            "patients without."
        )
        yield Finding("error" if len(common) == len(patients) else "warning", "label", text)
    if alone := [label for label, having in patients.items() if len(having) == 1]:
        text = (
            f"{cohort.source}: a single patient each for {some(alone)}: too few to train on, new photos are "
            "compared with that patient (gallery). Add patients to have them trained."
        )
        yield Finding("note", "label", text)
    yield from _look_alikes(cohort.source, "labels", rows)


def _patients(cohort: Cohort) -> Iterator[Finding]:
    rows: dict[str, list[int]] = defaultdict(list)
    real = real_paths()
    for case in cohort.cases:
        if case.patient != real(case.photo):
            rows[case.patient].append(case.row)
    yield from _look_alikes(cohort.source, "patients", rows)
    sexes: dict[str, set[str]] = defaultdict(set)
    labels: dict[str, dict[str, None]] = defaultdict(dict)
    for case in cohort.cases:
        with contextlib.suppress(InputError):  # reported with the column
            if text := case.metadata.get("sex"):
                sexes[case.patient].add(parse_sex(text))
        if case.patient != real(case.photo):  # else it is the photo that has two labels
            labels[case.patient][case.label] = None
    if both := [patient for patient, given in sexes.items() if len(given) > 1]:
        text = (
            f"{cohort.source}: patients of both sexes: {some(both)}. Correct the column `sex`, or `patient`."
        )
        yield Finding("error", "patient", text)
    torn = [f"{patient} ({', '.join(given)})" for patient, given in labels.items() if len(given) > 1]
    if cohort.multilabel or not torn:
        return
    if len(torn) >= _PAIRED and 2 * len(torn) >= len({case.patient for case in cohort.cases}):
        text = (
            f"{cohort.source}: {len(torn)} patients have photos under more than one label, as in a study "
            "that photographs everybody twice. All photos of a patient stay in one fold."
        )
        yield Finding("warning", "patient", text)
        return
    text = (
        f"{cohort.source}: patients with more than one label: {some(torn)}. Give all photos of a patient the "
        f"same label, or train with {parameter('multilabel', True)}."
    )
    yield Finding("error", "patient", text)


def _look_alikes(source: str, what: str, rows: Mapping[str, Sequence[int]]) -> Iterator[Finding]:
    """A warning on names that differ in nothing that a reader would see or mean; `rows` has each name's."""
    text = look_alikes(what, {name: [f"row {row}" for row in of if row] for name, of in rows.items()})
    if text:
        yield Finding("warning", what.removesuffix("s"), f"{source}: {text}")


def _photos(cohort: Cohort) -> Iterator[Finding]:
    listed: dict[str, list[Case]] = defaultdict(list)
    real = real_paths()
    for case in cohort.cases:
        listed[real(case.photo)].append(case)
    if torn := [f"{cases[0].photo} ({_differing(cases)})" for cases in listed.values() if len(cases) > 1]:
        text = f"{cohort.source}: listed more than once: {some(torn)}. Keep one row for each photo."
        yield Finding("error", "photo", text)
    if absent := [cases[0].photo for path, cases in listed.items() if not os.path.isfile(path)]:
        every = len(absent) == len(listed)
        text = (
            f"{cohort.source}: {len(absent)} of {len(listed)} photos do not exist: {some(absent)}"
            f"{'.' if every else '; left out.'} Paths are relative to the table."
        )
        yield Finding("error" if every else "warning", "photo", text)


def _synthetic(cohort: Cohort) -> Iterator[Finding]:
    """Pictures whose metadata say that they are no photographs."""
    photos = dict.fromkeys(case.photo for case in cohort.cases)
    if made := [photo for photo in photos if synthetic_file(photo)]:
        text = (
            f"{cohort.source}: {len(made)} of {len(photos)} photos are synthetic pictures by their metadata: "
            f"{some(made)}. Figures on them say little about people."
        )
        yield Finding("note", "photo", text)


def _differing(cases: Sequence[Case]) -> str:
    """Columns in which the rows of one photo differ, with their values."""
    columns = {
        "label": {case.label for case in cases},
        "patient": {case.patient for case in cases},
        **{name: {case.metadata.get(name, "") for case in cases} for name in cases[0].metadata},
    }
    return "; ".join(
        f"{name} {' and '.join(sorted(values))}" for name, values in columns.items() if len(values) > 1
    )


def _unreadable_cells(cohort: Cohort) -> Iterator[Finding]:
    for name, ways in (("age", WAYS), ("sex", "female or male")):
        cells = {c.photo: c.metadata[name] for c in cohort.cases if not missing(c.metadata.get(name, ""))}
        values = typed(list(cells.values()), kind_of(name, ()))
        bad = [
            f"{cell} ({photo})"
            for (photo, cell), value in zip(cells.items(), values, strict=True)
            if value is None or value != value
        ]
        if bad:
            text = f"{cohort.source}: no {name} that can be read: {some(bad)}; taken as missing. Give {ways}."
            yield Finding("warning", "metadata", text)


def _leaks(cohort: Cohort) -> Iterator[Finding]:
    """Warnings on columns whose every value, an empty cell included, occurs with one label only."""
    if cohort.multilabel or len({case.label for case in cohort.cases}) < 2:
        return
    for name, kind in cohort.metadata.items():
        values = typed([case.metadata.get(name, "") for case in cohort.cases], kind)
        cases: dict[float | str | None, list[Case]] = defaultdict(list)
        for value, case in zip(values, cohort.cases, strict=True):
            cases[None if value != value else value].append(case)
        shared = all(len({case.patient for case in of}) > 1 for of in cases.values())
        if shared and all(len({case.label for case in of}) == 1 for of in cases.values()):
            text = (
                f"{cohort.source}: column {name} determines the label of every photo, so a model need "
                "not use the face. Remove it unless its value is also known for every new patient."
            )
            yield Finding("warning", "metadata", text)
