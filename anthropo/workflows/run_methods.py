"""The paragraph on methods of a paper, from what a run of `measure` or `traits` recorded and wrote."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anthropo._version import __version__
from anthropo.batch.patients import photos_table
from anthropo.batch.reading import decode
from anthropo.batch.records import Record
from anthropo.errors import AnthropoError, InputError
from anthropo.files import file_sha256
from anthropo.learning.citing import LONDON, Works, joined
from anthropo.measurement.registry import registry
from anthropo.reference.growth import CHARTS, MEASURES
from anthropo.reference.hpo import hpo_release
from anthropo.reference.shipped import AUTOMATIC
from anthropo.reference.tables import load_reference
from anthropo.workflows.manifest import RunManifest, read_manifest

_HPO = "Gargano MA et al. (2024). The Human Phenotype Ontology in 2024. Nucleic Acids Res 52:D1333-D1346."
_CHARTS = {chart.edition for chart in CHARTS.values()}
_TABLES = (".csv", ".parquet", ".json")
_SCALES = {
    "sticker": "a sticker of {} mm on the face",
    "ipd": "the measured distance of the pupils, {} mm",
    "mm-per-px": "a known size of the pixel, {} mm",
    "iris": "the irises",
}
#: Commands whose runs have a paragraph of their own.
METHODS_OF = ("measure", "traits")
#: Of the photo gate's checks, how many are named.
_CHECKS = 4


@dataclass(slots=True)
class _Told:
    """What a table says of its photographs."""

    photos: set[str] = field(default_factory=set)
    patients: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    gate: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by face of a photo
    references: dict[str, set[str]] = field(default_factory=dict)  # with what is said of grade and ancestry
    charts: set[str] = field(default_factory=set)  # of growth
    moved: bool = False  # landmarks, by hand

    def add(self, row: Mapping[str, Any]) -> None:
        photo = str(row.get("photo", ""))
        self.photos.add(photo)
        if patient := str(row.get("patient") or ""):
            self.patients.add(patient)
        if row.get("status") == "failed":
            self.failed.add(photo)
        elif "gate_failed" in row:
            self.gate[f"{photo}\n{row.get('face')}"] = tuple(str(row["gate_failed"] or "").split())
        self.moved |= bool(row.get("moved_landmarks"))
        # of a trait several stand in one cell, and growth charts as well
        for told in str(row.get("references") or row.get("reference") or "").split("; "):
            name, _, how = told.rstrip(")").partition(" (")
            if told in _CHARTS:
                self.charts.add(told)
            elif name:
                self.references.setdefault(name, set()).add(how)


def methods_of_run(path: str | os.PathLike[str]) -> str:
    """What a run of `anthropo measure` or `traits` did, as a paragraph to paste, and the works to cite.

    Versions and options are those of the manifest. How many photographs there were, what the photo gate
    found and which references were used is read from the table, as long as that is what the run wrote;
    otherwise it is left to whoever writes the paper, in square brackets, as are source and consent.

    Parameters
    ----------
    path : path
        The manifest, ``OUTPUT.run.json``.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the file is no manifest, or of another command, or of an anonymous run.

    Examples
    --------
    >>> import anthropo
    >>> photo, table = anthropo.example_photo(), "person.csv"
    >>> anthropo.measure_table(photo, sex="female", age=31).to_csv(table, index=False)
    >>> made = anthropo.record_run(["measure", photo], {"jitter": 16, "fine": True}, table)
    >>> text = anthropo.methods_of_run("person.csv.run.json")
    >>> text[:47]
    'Photographs were measured with anthropo 0.2.0 ['
    >>> "There was 1 photograph" in text, "compared with web-all-ages" in text
    (True, True)
    """
    made = read_manifest(path)
    command = made.command[0] if made.command else ""
    if not command:
        raise InputError(f"{path}: the run was to be anonymous, so that nothing is known of it.")
    if command not in METHODS_OF:
        advice = " Of a model: the model itself, m.anthropo." if command in ("train", "evaluate") else ""
        raise InputError(
            f"{path}: of `anthropo {command}`; a methods paragraph is written of measure and traits.{advice}"
        )
    told = _told(made, Path(path).parent)
    works = Works()
    version = made.versions.get("anthropo", "[version]")
    sentences = [f"Photographs were measured with anthropo {version} {works.anthropo(version)}."]
    sentences += [_people(told), *_measured(made, told, works), _gate(made, told), _pooled(made)]
    sentences += _compared(made, told, works)
    if command == "traits":
        sentences += _traits(made, told, works)
    named = {"python": "Python", "sklearn": "scikit-learn", "PIL": "Pillow"}
    libraries = (f"{named.get(name, name)} {of}" for name, of in made.versions.items() if name != "anthropo")
    sentences.append(f"{', '.join(libraries)}.")
    if made.permissive:
        sentences.append(made.permissive)
    return works.text(sentences)


def _told(made: RunManifest, folder: Path) -> _Told | None:
    """What the run's table says; None where it cannot be read, or is no longer what the run wrote."""
    output = folder / made.output
    if output.suffix.lower() not in _TABLES:
        return None
    try:
        for name, digest in made.outputs.items():
            if file_sha256(output.parent / name) != digest:
                return None
        told = _Told()
        for row in _rows(made, output):
            told.add(row)
    except (OSError, ValueError, KeyError, AnthropoError):
        return None
    return told


def _rows(made: RunManifest, output: Path) -> Iterator[Mapping[str, Any]]:
    beside = made.settings.get("patient") or made.settings.get("long")
    if made.command[0] == "measure" and beside:
        output = photos_table(str(output))
    suffix = output.suffix.lower()
    for row in decode(output, suffix):
        if suffix != ".json":
            yield row
            continue
        record = Record.from_json(row)
        references = (f"{name} ({how})" if how else name for name, how in record.compared_with.items())
        yield {
            "photo": record.photo,
            "face": record.index,
            "patient": record.columns.get("patient"),
            "status": record.status,
            "gate_failed": " ".join(record.gate_failed),
            "references": "; ".join(references),
            "moved_landmarks": record.moved,
        }


# ---------------------------------------------------------------------------------------------- sentences


def _people(told: _Told | None) -> str:
    if told is None:
        return "There were [n] photographs of [n] people [source, consent, ethics approval]."
    people = f" of {_count(len(told.patients), 'person')}" if told.patients else " of [n] people"
    verb = "was" if len(told.photos) == 1 else "were"
    failed = ""
    if told.failed:
        failed = (
            f" Of these, {len(told.failed)} could not be measured and {_were(len(told.failed))} left out."
        )
    photos = _count(len(told.photos), "photograph")
    return f"There {verb} {photos}{people} [source, consent, ethics approval].{failed}"


def _count(n: int, what: str) -> str:
    plural = "people" if what == "person" else f"{what}s"
    return f"{n:,} {what if n == 1 else plural}"


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _measured(made: RunManifest, told: _Told | None, works: Works) -> Iterator[str]:
    given = made.settings
    if given.get("landmark_model"):
        yield "Sixty-eight landmarks were placed by [your own landmark model]."
    else:
        yield works.landmarks(jitter=given.get("jitter", "[k]"), fine=bool(given.get("fine")))
    if given.get("landmarks") or (told is not None and told.moved):
        yield "Landmarks were corrected by hand [by whom, blind to what]."
    if given.get("distance"):
        yield f"Perspective was corrected for a camera at {given['distance']} cm."
    else:
        yield "Perspective was corrected where the camera's distance was stated or in the file."
    shipped = [entry for entry in registry().values() if not entry.user_defined]
    number = str(len(shipped)) if made.versions.get("anthropo") == __version__ else "[n]"
    further = " and measurements of our own [definitions]" if given.get("registry") else ""
    yield f"{number} measurements{further} were taken; lengths are fractions of the outer-canthal distance."
    if scale := str(given.get("scale") or ""):
        kind, _, size = scale.partition("=")
        how = _SCALES.get(kind, "[scale]").format(size or "[size]")
        yield f"Millimetres were had from {how}."
    yield (
        "Each value has a 95 % interval of accuracy, against landmarks placed by hand, and a repeatability, "
        "the standard deviation between photographs of a person."
    )


def _gate(made: RunManifest, told: _Told | None) -> str:
    if made.settings.get("force"):
        voided = "Measurements that pose, expression, occlusion or poor quality may spoil were kept"
    else:
        voided = (
            "Measurements that pose, expression, occlusion or poor quality would spoil were voided before "
            "analysis"
        )
    if made.command[0] == "traits" and (told is None or not told.gate):
        return f"{voided}."  # a table of traits says nothing of the gate
    if told is None:
        return f"{voided} ([k] of [n] photographs failed the photo gate)."
    failed = [checks for checks in told.gate.values() if checks]
    checks = Counter(name.replace("_", " ") for of_face in failed for name in of_face)
    named = ", ".join(f"{name} {n}" for name, n in checks.most_common(_CHECKS))
    more = f"; most often: {named}" if named else ""
    return f"{voided} ({len(failed)} of {_count(len(told.gate), 'face')} failed the photo gate{more})."


def _pooled(made: RunManifest) -> str:
    return (
        "Several photographs of a person were pooled to one answer." if made.settings.get("patient") else ""
    )


def _compared(made: RunManifest, told: _Told | None, works: Works) -> Iterator[str]:
    used = {} if told is None else told.references
    if told is not None and not used:
        return
    if not used:
        yield "z-scores compare with [reference, as the column `references` names it]."
        return
    described = [_described(name, how, made, works) for name, how in used.items()]
    with_which = joined(described)
    if not [one for one in made.settings.get("references") or [] if one != AUTOMATIC] and len(described) > 1:
        with_which = f"the reference that suits the person best, {' or '.join(described)}"
    yield (
        f"Each value was compared with {with_which}; the 95 % intervals of z-scores hold the "
        "repeatability (under norms of callipers the accuracy) and the error of the reference."
    )


def _described(name: str, how: Iterable[str], made: RunManifest, works: Works) -> str:
    """A reference with its source, and which grades and groups of it were used."""
    of = [one for one in made.settings.get("references") or [] if Path(str(one)).stem == name]
    try:
        reference = load_reference(of[0] if of and os.path.isfile(of[0]) else name)
        rows = [row for measurement in reference.measurements for row in reference.rows_of(measurement)]
        source = works.cite(*dict.fromkeys(_work(row.source) for row in rows))
    except (AnthropoError, OSError):
        source = "[source]"
    groups = " or ".join(sorted(filter(None, how)))
    return f"{name} {source}" + (f" ({groups})" if groups else "")


def _work(source: str) -> str:
    """A reference's source as a work to cite, which may be cited already."""
    return LONDON if source.startswith("Face Research Lab London Set") else f"{source.rstrip('.')}."


def _traits(made: RunManifest, told: _Told | None, works: Works) -> Iterator[str]:
    given = made.settings
    rules = " by rules of our own [rules]" if given.get("rules") else ""
    share = 100 * float(given.get("confidence", 0.95))
    yield (
        f"Terms of the Human Phenotype Ontology (release {hpo_release()}) {works.cite(_HPO)} whose "
        f"definition states a number were called{rules}: present if the whole {share:g} % interval of the "
        "z-score lay beyond the limit, absent if it lay within, else borderline or inconclusive; right and "
        "left apart. Terms that are left to the eye were not called."
    )
    if told is None:
        if any(given.get(name) is not None for name in MEASURES):
            yield "Sizes that were measured by hand were compared with [growth chart]."
    elif told.charts:
        yield f"Sizes that were measured by hand were compared with {joined(sorted(told.charts))}."


def run_rows(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """What a manifest says, as names and values."""
    made = read_manifest(path)
    if not made.command:
        raise InputError(f"{path}: the run was to be anonymous, so that nothing is known of it.")
    return [
        ("task", "a run of anthropo"),
        ("command", " ".join(["anthropo", *made.command])),
        ("output", made.output),
        ("inputs", _count(len(made.inputs), "file")),
        ("versions", ", ".join(f"{name} {of}" for name, of in made.versions.items())),
        ("permissive", made.permissive or "no"),
    ]
