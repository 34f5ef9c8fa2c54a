"""A self-contained HTML page of measured faces."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from anthropo.batch.inputs import Item
from anthropo.batch.patients import PatientRecord
from anthropo.batch.records import Json, MeasuredRecord, Record
from anthropo.batch.run import MeasuredFace
from anthropo.batch.scores import person_of
from anthropo.errors import InputError
from anthropo.face.gate import GateSummary
from anthropo.files import write
from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import registry
from anthropo.reference.zscore import by_chance, signed
from anthropo.report.figures import overlay
from anthropo.report.rendering import embedded, jpeg, page
from anthropo.report.tables import (
    UNRELIABLE,
    distance_words,
    in_brief,
    interval_words,
    number,
    sign,
    unreliable,
    unscored,
)
from anthropo.report.zscores import bars, compared, findings, given, nothing_beyond, span
from anthropo.settings import Settings


class Page:
    """Collects faces while they are measured; `write` makes the page."""

    def __init__(self, path: Path, settings: Settings | None = None) -> None:
        self.path = path
        self._settings = settings or Settings()
        self._seen: dict[tuple[str, int], tuple[str, Item]] = {}
        if (os.path.exists(path) and not os.path.isfile(path)) or not os.path.isdir(path.parent):
            raise InputError(f"{path}: cannot be written. Name a file in a folder that exists.")

    def missing(self, item: Item) -> bool:
        """Every photo: the page is made anew."""
        return True

    def __call__(self, seen: MeasuredFace) -> str:
        """The picture of a face."""
        return embedded(jpeg(overlay(seen.observation.photo, seen.face, seen.scale)))

    def take(self, item: Item, face: int, made: object) -> None:
        """Keep the picture of a face."""
        self._seen[item.path, face] = str(made), item

    def write(self, records: Sequence[Record | PatientRecord]) -> None:
        """Write the page: a section for each face, or for each person in several photos."""
        faces = [self._face(r) if isinstance(r, Record) else self._person(r) for r in records if r.ok]
        failed = [record.reason for record in records if not record.ok]
        photos = {id(photo): photo for record in records for photo in _photos(record) if photo.ok}
        gate = GateSummary.of(photo.gate_failed for photo in photos.values())
        words = {
            "what": "person" if any(isinstance(record, PatientRecord) for record in records) else "photo",
            "gate": gate.sentences() if gate.total > 1 else [],
            "index": len(faces) + bool(failed) > 1,
            "number": number,
            "sign": sign,
            "signed": signed,
        }
        write(self.path, page("measure.html", faces=faces, failed=failed, **words))

    def _face(self, record: Record) -> Json:
        """What the page says of one face."""
        item = self._seen[record.photo, record.index][1]
        return self._shown(record) | {
            **_results(record),
            "title": f"{record.photo}, face {record.index}" if record.index else record.photo,
            "given": given(item, person_of(item, self._settings), record.age_basis),
            "gate_words": _checks(record),
        }

    def _person(self, record: PatientRecord) -> Json:
        """What the page says of one person; the picture is of the photo that fails the fewest checks."""
        best = min(record.measured, key=lambda photo: len(photo.gate_failed))
        item = Item(f"patient {record.patient}" if record.patient else "One person", dict(record.columns))
        failed = sum(bool(photo.gate_failed) for photo in record.measured)
        return self._shown(best) | {
            **_results(record),
            "title": item.path,
            "given": given(item, person_of(item, self._settings), record.age_basis),
            "gate_words": f"by {failed} of {len(record.measured)} photos" if failed else "",
            "photos": [(photo.photo, photo.reason, _checks(photo)) for photo in record.photos],
            "shown": best.photo,
        }

    def _shown(self, record: Record) -> Json:
        """The photo that is shown."""
        return {
            **record.to_json(),
            "picture": self._seen[record.photo, record.index][0],
            "distance_words": distance_words(record),
            "beyond_gate": [check for check in record.gate if not check.ok],
        }


def _checks(photo: Record) -> str:
    """The checks of the photo gate that a photo fails."""
    return ", ".join(photo.gate_failed).replace("_", " ")


def _photos(record: Record | PatientRecord) -> Sequence[Record]:
    return record.photos if isinstance(record, PatientRecord) else (record,)


def _results(record: Record | PatientRecord) -> Json:
    """Measurements and z-scores."""
    by_region = bars(record)
    return {
        "compared": compared(record),
        "notes": record.notes,
        "unscored": unscored(record),
        "disagreements": record.disagreements,
        "findings": findings(record),
        "nothing": nothing_beyond(record),
        "chance": [chance.sentence() for chance in by_chance(record.scores)],
        "interval_words": interval_words(record),
        "unreliable": UNRELIABLE if unreliable(record) else "",
        "bars": by_region,
        "span": span(by_region),
        "scored": len({bar.entry.id for of_region in by_region.values() for bar in of_region}),
        "regions": _by_region(record),
        "references": in_brief(record),
    }


def _repeat(value: Measurement | None) -> tuple[float, float] | None:
    """The interval of repeatability, where there is one."""
    return None if value is None or math.isnan(value.repeat_sd) else (value.repeat_lo, value.repeat_hi)


def _by_region(record: MeasuredRecord) -> dict[str, list[Json]]:
    regions: dict[str, list[Json]] = {}
    for name, m in (record.measurements_json() or {}).items():
        entry = registry()[name]
        result = record.results[name]
        of = {"entry": entry, "repeat": _repeat(result.measured), "repeat_mm": _repeat(result.in_mm)}
        regions.setdefault(entry.region, []).append({**m, **of})
    return regions
