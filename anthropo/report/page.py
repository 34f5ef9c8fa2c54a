"""A self-contained HTML page of measured faces."""

from __future__ import annotations

import base64
import io
import os
import threading
from importlib import resources
from pathlib import Path

from anthropo._version import __version__
from anthropo.batch.records import Json, Record
from anthropo.batch.run import MeasuredFace
from anthropo.errors import InputError
from anthropo.files import write_atomically
from anthropo.measurement.registry import registry
from anthropo.report.figures import REGION_COLOURS, overlay
from anthropo.report.tables import number, sign


class Page:
    """Collects faces while they are measured, from any thread; `write` makes the page."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pictures: dict[tuple[str, int], str] = {}
        self._lock = threading.Lock()
        if os.path.isdir(path) or not os.path.isdir(path.parent):
            raise InputError(f"{path}: cannot be written. Name a file in a folder that exists.")

    def add_face(self, seen: MeasuredFace) -> None:
        buffer = io.BytesIO()
        overlay(seen.observation.photo, seen.face, seen.scale).save(buffer, "JPEG", quality=85)
        picture = base64.b64encode(buffer.getvalue()).decode()
        with self._lock:
            self._pictures[seen.item.path, seen.observation.index] = picture

    def write(self, records: list[Record]) -> None:
        """Write the page.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        from jinja2 import Environment

        # escapes everything but the pictures, which are base64
        template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
            resources.files("anthropo.report").joinpath("page.html").read_text(encoding="utf-8")
        )
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
        text = template.render(
            faces=faces,
            failed=[r for r in records if not r.ok],
            colours=REGION_COLOURS,
            number=number,
            sign=sign,
            version=__version__,
        )
        try:
            write_atomically(self.path, text.encode())
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror}).") from None


def _by_region(record: Record) -> dict[str, list[Json]]:
    regions: dict[str, list[Json]] = {}
    for name, m in (record.measurements_json() or {}).items():
        entry = registry()[name]
        regions.setdefault(entry.region, []).append({**m, "entry": entry})
    return regions
