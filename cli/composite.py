"""anthropo composite"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo.cli import options
from anthropo.cli.common import EXIT_NONE, EXIT_SOME, EXIT_USAGE, fail, in_one_sentence, progress
from anthropo.cli.learning import Given, corrected, settings_of, show_findings
from anthropo.errors import InputError
from anthropo.files import write_atomically

if TYPE_CHECKING:
    from anthropo.groups.composite import Displacement, Group, Pixels, Sitter
    from anthropo.learning.cohort import Cohort, Finding

_MIN_PATIENTS = 5  # a composite of fewer shows a person
PERMUTATIONS = 5000


@click.command(short_help="Average face of each label, and where it differs from controls.")
@click.argument("cohort", metavar="COHORT")
@click.option("-o", "--output", metavar="DIR", required=True, help="Folder to write to; made if need be.")
@click.option(
    "--size",
    type=click.IntRange(128, 2048),
    default=512,
    show_default=True,
    help="Height of a composite in pixels.",
)
@click.option(
    "--common-shape",
    is_flag=True,
    help="All labels in one shape, the mean of theirs: what differs is not shape but colour and texture.",
)
@click.option(
    "--sharp",
    is_flag=True,
    help="Make detail, which averaging blurs, as strong as in single photos. Where wrinkles and hairs then "
    "lie is chance.",
)
@click.option(
    "--controls",
    metavar="LABEL",
    help="The label that others are compared with.  [default: one that is called control, healthy, normal …]",
)
@click.option(
    "--min-patients",
    type=click.IntRange(min=2),
    default=_MIN_PATIENTS,
    show_default=True,
    help="Labels with fewer get no composite: a picture of few people shows a person.",
)
@click.option("--overwrite", is_flag=True, help="Write to DIR although it is not empty.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the permutations.")
@click.option(
    "--face",
    type=click.Choice(["one", "largest"]),
    default="one",
    show_default=True,
    help="With several faces: refuse, or take the largest.",
)
@click.option(
    "--fine/--no-fine",
    default=True,
    show_default=True,
    help="Look at the landmarks a second time, in patches.",
)
@options.jitter_option
@options.landmarks_option
@options.landmark_model_option
@options.max_megapixels_option
@options.jobs_option
def command(cohort: str, output: str, **given: Any) -> None:
    """Make the average face of each label, and maps of where it differs from the controls.

    COHORT is a CSV with the columns `photo` and `label`, and `patient` where somebody has several photos, or
    a folder with one subfolder of photos per label.

    Faces are warped to the label's mean shape (Procrustes mean of the landmarks), triangle by triangle, and
    averaged; everybody counts once. A map shows how far each landmark of the mean face lies from the
    controls', in outer-canthal distances, and which of them differ between people by more than chance
    (Hotelling's T², 5,000 permutations, all landmarks together). Faces are compared at equal size, so that a
    shorter chin makes the rest a little larger; heads that are turned show as a displaced outline.

    DIR gets NAME.png and NAME-displacement.png of each label, contact-sheet.png, shapes.csv (mean
    points and SD), displacement.csv and composites.json. A composite is no anonymous picture when few people
    are in it: labels of fewer than five patients are left out.

    \b
    Exit code: 0 all labels and photos done, 1 none, 2 wrong use, 3 some labels or photos left out (each
    with its reason), 130 interrupted (nothing is written).

    \b
    Examples:
      anthropo composite cohort.csv -o composites
      anthropo composite cohort.csv -o sharp --sharp --size 1024
      anthropo composite cohort.csv -o colour --common-shape --controls unaffected
    """
    with in_one_sentence("nothing is written."):
        folder = _folder(output, cohort, given["overwrite"])
        sys.exit(_composite(cohort, folder, given))


def _folder(output: str, cohort: str, overwrite: bool) -> Path:
    """The folder to write to, not made yet.

    Raises
    ------
    InputError
        If it is a file, is not empty, cannot be written to, or lies in the cohort.
    """
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{output}: a file, not a folder. Name a folder to write to.")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise InputError(
            f"{output}: not empty. Name another folder, or pass --overwrite to replace what is there."
        )
    parent = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    if not os.access(parent, os.W_OK):
        raise InputError(f"{output}: cannot be written. Choose a folder that you may write to.")
    if Path(cohort).is_dir() and folder.resolve().is_relative_to(Path(cohort).resolve()):
        raise InputError(
            f"{output}: lies in the cohort's folder, where composites would be taken for photos. Name "
            "another folder."
        )
    return folder


def _composite(path: str, folder: Path, given: Given) -> int:
    from anthropo.groups.composite import displacement, find_sitters, groups
    from anthropo.learning.cohort import Finding, read_cohort
    from anthropo.learning.cohort_checks import check
    from anthropo.report.composite import file_names, print_composites, tables

    cohort = read_cohort(path)
    show_about_photos(cohort, check(cohort))
    _warn_of_few(given["min_patients"])
    controls = _controls(cohort, given["controls"])
    cases, small = _enough(cohort.cases, given["min_patients"])
    refused = [(label, _too_few(path, label, n, given["min_patients"])) for label, n in small.items()]
    if not cases:
        raise InputError(
            f"{path}: no label has {given['min_patients']} patients ({_counts(small)}), and a composite of "
            "fewer shows a person. Add patients."
        )
    settings = corrected(settings_of(given), given, [case.photo for case in cohort.cases])
    with progress(len(cases), "finding faces") as advance:
        sitters, left_out = find_sitters(cases, settings, jobs=given["jobs"], on_progress=advance)
    show_findings([Finding("warning", "photo", reason) for _, reason in left_out], left_out, err=True)
    sitters, small = _enough(sitters, given["min_patients"])
    small |= dict.fromkeys({c.label for c in cases} - {s.label for s in sitters} - set(small), 0)
    refused += [(label, _too_few(path, label, n, given["min_patients"])) for label, n in small.items()]
    for _, sentence in refused:
        click.echo(sentence, err=True)
    if not sitters:
        fail(f"{path}: no composite is made; see above.", EXIT_NONE)
    _warn_of_pairs(sitters)
    found = groups(sitters)
    healthy = next((group for group in found if group.label == controls), None)
    _note_on_controls(found, controls, healthy)
    displacements = [
        displacement(group, healthy, permutations=PERMUTATIONS, seed=given["seed"])
        for group in found
        if healthy and group is not healthy
    ]
    names = file_names(group.label for group in found)
    averages = _averages(found, sitters, given)
    files = _pictures(Path(path).name, found, healthy, displacements, averages, names, given)
    said = {
        "cohort": Path(path).name,
        **{name: given[name] for name in ("size", "common_shape", "sharp", "min_patients", "seed")},
        "permutations": PERMUTATIONS,
        "controls": healthy.label if healthy else None,
        "photos_left_out": len(left_out),
        "refused": [about for about, _ in refused],
    }
    files |= tables(found, displacements, names, said)
    _write(folder, files)
    print_composites(found, displacements, names)
    click.echo(f"{folder}: {len(files)} files written.", err=True)
    return EXIT_SOME if refused or left_out else 0


def show_about_photos(cohort: Cohort, findings: Sequence[Finding]) -> None:
    """What of the findings concerns somebody who does not train; ends the command on an error."""
    # one person may well have several labels here, which only `check` minds
    kept = [
        f
        for f in findings
        if f.category in ("photo", "duplicate") or (f in cohort.findings and f.category == "patient")
    ]
    show_findings(kept, (), err=True)
    if any(f.level == "error" for f in kept):
        fail(f"{cohort.source}: cannot be used; see the errors above.", EXIT_USAGE)


def _controls(cohort: Cohort, given: str | None) -> str | None:
    import numpy as np

    from anthropo.learning.model import control_label

    return control_label(np.array([case.label for case in cohort.cases]), given)


def _enough(entries: Sequence[Any], least: int) -> tuple[list[Any], dict[str, int]]:
    """The cases or sitters of labels with enough patients, and how many the other labels have."""
    people: dict[str, set[str]] = {}
    for entry in entries:
        people.setdefault(entry.label, set()).add(entry.patient)
    small = {label: len(own) for label, own in sorted(people.items()) if len(own) < least}
    return [entry for entry in entries if entry.label not in small], small


def _too_few(path: str, label: str, patients: int, least: int) -> str:
    if not patients:
        return f"{path}: {label}: no photo with a face. No composite is made."
    return (
        f"{path}: {label}: {_people(patients)} with a face, {least} are needed: a composite of fewer shows a "
        "person. No composite is made."
    )


def _note_on_controls(found: Sequence[Group], controls: str | None, healthy: Group | None) -> None:
    if controls is None and len(found) > 1:
        click.echo(
            "note: no label is called control, healthy or normal: no maps of displacement. Name it with "
            "--controls.",
            err=True,
        )
    elif controls and healthy is None:
        click.echo(f"note: no maps of displacement: {controls} has no composite to compare with.", err=True)


def _people(n: int) -> str:
    return f"{n} patient{'' if n == 1 else 's'}"


def _counts(small: Mapping[str, int]) -> str:
    shown = [f"{label}: {n}" for label, n in list(small.items())[:5]]
    return ", ".join(shown) + (f" and {len(small) - 5} more" if len(small) > 5 else "")


def _warn_of_few(least: int) -> None:
    if least < _MIN_PATIENTS:
        click.secho(
            f"warning: --min-patients {least}: one of {least} people may be recognised in their composite. "
            "Do not publish it without their consent.",
            fg="yellow",
            err=True,
        )


def _warn_of_pairs(sitters: Sequence[Sitter]) -> None:
    labels = Counter(patient for patient, _ in {(s.patient, s.label) for s in sitters})
    several = sum(n > 1 for n in labels.values())
    if several:
        click.secho(
            f"warning: {_people(several)} with more than one label: counted in each, and as different people "
            "where labels are compared.",
            fg="yellow",
            err=True,
        )


def _averages(found: Sequence[Group], sitters: Sequence[Sitter], given: Given) -> dict[str, Pixels]:
    """Each label's composite."""
    from anthropo.groups.composite import average_face, by_label, common_shape

    common = common_shape(found) if given["common_shape"] else None
    own = by_label(sitters)
    with progress(len(sitters), "averaging") as advance:
        return {
            group.label: average_face(
                own[group.label],
                group.mean if common is None else common,
                size=given["size"],
                sharp=given["sharp"],
                jobs=given["jobs"],
                on_progress=advance,
            )
            for group in found
        }


def _pictures(
    cohort: str,
    found: Sequence[Group],
    healthy: Group | None,
    displacements: Sequence[Displacement],
    averages: Mapping[str, Pixels],
    names: Mapping[str, str],
    given: Given,
) -> dict[str, bytes]:
    """The PNG files by name."""
    from anthropo.report.composite import (
        SHEET,
        captioned,
        contact_sheet,
        displacement_map,
        field,
    )
    from anthropo.report.rendering import png

    remarks = ["all labels in one shape"] * given["common_shape"] + ["detail made stronger"] * given["sharp"]
    composites = {group.label: captioned(averages[group.label], group, remarks) for group in found}
    maps = {}
    if healthy:
        groups = {group.label: group for group in found}
        fields = {d.label: field(d, healthy.mean, given["size"]) for d in displacements}
        maps = {
            d.label: displacement_map(d, groups[d.label], healthy, averages[healthy.label], fields)
            for d in displacements
        }
    pairs = [(composites[group.label], maps.get(group.label)) for group in found]
    files = {f"{names[label]}.png": png(picture) for label, picture in composites.items()}
    files |= {f"{names[label]}-displacement.png": png(picture) for label, picture in maps.items()}
    return files | {SHEET: png(contact_sheet(pairs, f"Composites of {cohort}"))}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """All files into the folder.

    Raises
    ------
    InputError
        If one cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            write_atomically(folder / name, data)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error}).") from None
