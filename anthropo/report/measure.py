"""A self-contained HTML page of measured faces."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from anthropo.batch.inputs import Item
from anthropo.batch.records import Json, Record
from anthropo.batch.run import MeasuredFace
from anthropo.batch.scores import person_of
from anthropo.errors import InputError
from anthropo.face.gate import GateSummary
from anthropo.files import write
from anthropo.measurement.registry import registry
from anthropo.report.figures import overlay
from anthropo.report.rendering import embedded, jpeg, page
from anthropo.report.tables import number, sign
from anthropo.report.zscores import bars, compared, findings, given, nothing_beyond, signed, span
from anthropo.settings import Settings


class Page:
    """Collects faces while they are measured, from any thread; `write` makes the page."""

    def __init__(self, path: Path, settings: Settings | None = None) -> None:
        self.path = path
        self._settings = settings or Settings()
        self._seen: dict[tuple[str, int], tuple[str, Item]] = {}
        self._lock = threading.Lock()
        if (os.path.exists(path) and not os.path.isfile(path)) or not os.path.isdir(path.parent):
            raise InputError(f"{path}: cannot be written. Name a file in a folder that exists.")

    def missing(self, item: Item) -> bool:
        """Every photo: the page is made anew."""
        return True

    def __call__(self, seen: MeasuredFace) -> None:
        picture = embedded(jpeg(overlay(seen.observation.photo, seen.face, seen.scale)))
        with self._lock:
            self._seen[seen.item.path, seen.observation.index] = picture, seen.item

    def write(self, records: list[Record]) -> None:
        """Write the page."""
        faces = [self._face(record) for record in records if record.ok]
        failed = [record for record in records if not record.ok]
        gate = GateSummary.of(record.gate_failed for record in records if record.ok)
        words = {
            "gate": gate.sentences() if gate.total > 1 else [],
            "index": len(faces) + bool(failed) > 1,
            "number": number,
            "sign": sign,
            "signed": signed,
        }
        write(self.path, page("measure.html", faces=faces, failed=failed, **words))

    def _face(self, record: Record) -> Json:
        """What the page says of one face."""
        picture, item = self._seen[record.photo, record.index]
        by_region = bars(record)
        return {
            **record.to_json(),
            "title": f"{record.photo}, face {record.index}" if record.index else record.photo,
            "picture": picture,
            "given": given(item, person_of(item, self._settings)),
            "compared": compared(record),
            "findings": findings(record),
            "nothing": nothing_beyond(record),
            "bars": by_region,
            "span": span(by_region),
            "scored": len({bar.entry.id for of_region in by_region.values() for bar in of_region}),
            "regions": _by_region(record),
            "references": record.grades,
            "beyond_gate": [check for check in record.gate if not check.ok],
        }


def _by_region(record: Record) -> dict[str, list[Json]]:
    regions: dict[str, list[Json]] = {}
    for name, m in (record.measurements_json() or {}).items():
        entry = registry()[name]
        regions.setdefault(entry.region, []).append({**m, "entry": entry})
    return regions
