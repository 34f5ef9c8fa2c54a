"""A self-contained HTML page of measured faces."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from anthropo.batch.inputs import Item
from anthropo.batch.records import Json, Record
from anthropo.batch.run import MeasuredFace
from anthropo.errors import InputError
from anthropo.face.gate import GateSummary
from anthropo.files import write
from anthropo.measurement.registry import registry
from anthropo.report.figures import REGION_COLOURS, overlay
from anthropo.report.rendering import embedded, jpeg, page
from anthropo.report.tables import number, sign


class Page:
    """Collects faces while they are measured, from any thread; `write` makes the page."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pictures: dict[tuple[str, int], str] = {}
        self._lock = threading.Lock()
        if (os.path.exists(path) and not os.path.isfile(path)) or not os.path.isdir(path.parent):
            raise InputError(f"{path}: cannot be written. Name a file in a folder that exists.")

    def missing(self, item: Item) -> bool:
        """Every photo: the page is made anew."""
        return True

    def __call__(self, seen: MeasuredFace) -> None:
        picture = embedded(jpeg(overlay(seen.observation.photo, seen.face, seen.scale)))
        with self._lock:
            self._pictures[seen.item.path, seen.observation.index] = picture

    def write(self, records: list[Record]) -> None:
        """Write the page."""
        faces = [
            {
                **record.to_json(),
                "picture": self._pictures[record.photo, record.index],
                "regions": _by_region(record),
                "references": record.grades,
                "beyond": [(check.name, check) for check in record.gate if not check.ok],
            }
            for record in records
            if record.ok
        ]
        failed = [record for record in records if not record.ok]
        gate = GateSummary.of(record.gate_failed for record in records if record.ok)
        words = {
            "gate": gate.sentences() if gate.total > 1 else [],
            "colours": REGION_COLOURS,
            "number": number,
            "sign": sign,
        }
        write(self.path, page("measure.html", faces=faces, failed=failed, **words))


def _by_region(record: Record) -> dict[str, list[Json]]:
    regions: dict[str, list[Json]] = {}
    for name, m in (record.measurements_json() or {}).items():
        entry = registry()[name]
        regions.setdefault(entry.region, []).append({**m, "entry": entry})
    return regions
