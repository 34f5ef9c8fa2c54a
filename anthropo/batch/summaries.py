"""What is kept in memory of a photo whose rows are on the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from anthropo.batch.records import Record, Row, passed_through

#: The columns before those of the input table.
FIRST = ("photo", "face", "status", "reason")

_PATH = "\0"  # stands for the photo's path in a sentence, so that photos share their sentences


@dataclass(frozen=True, slots=True)
class Summary:
    """What resuming and messages need of a photo; equal ones are kept once.

    Sentences are kept without the photo's path.
    """

    ok: bool  # all of its faces
    noted: bool
    settings: tuple[str, ...]  # the different ones of its rows
    stated: tuple[str, str, str]  # person, declared distance, landmarks
    gate: tuple[tuple[str, ...], ...]  # the failed checks of each measured face
    texts: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]] = ((), (), ())  # see the properties

    def reasons(self, photo: str) -> Iterator[str]:
        """Why faces failed."""
        return _whole(photo, self.texts[0])

    def notes(self, photo: str) -> Iterator[str]:
        """What was asked for and could not be provided."""
        return _whole(photo, self.texts[1])

    def remarks(self, photo: str) -> Iterator[str]:
        """Remarks on the colours of a photo."""
        return (f"{photo}: {remark}" for remark in _whole(photo, self.texts[2]))


def _whole(photo: str, sentences: tuple[str, ...]) -> Iterator[str]:
    return (sentence.replace(_PATH, photo) for sentence in sentences)


def summary_of(records: Sequence[Record]) -> Summary:
    """The summary of one photo's records."""
    photo, first = records[0].photo, records[0].diagnostics
    texts = (
        [record.reason for record in records if not record.ok],
        [note for record in records for note in record.notes],
        [record.remark for record in records if record.remark],
    )
    reasons, notes, remarks = (tuple(one.replace(photo, _PATH) for one in sentences) for sentences in texts)
    return Summary(
        ok=all(record.ok for record in records),
        noted=bool(notes),
        settings=tuple(dict.fromkeys(record.diagnostics.settings for record in records)),
        stated=(first.person or "", first.declared or "", first.landmarks or ""),
        gate=tuple(tuple(record.gate_failed) for record in records if record.ok),
        texts=(reasons, notes, remarks),
    )


def summary_of_rows(rows: Sequence[Row]) -> Summary:
    """The summary of one photo's rows in a table of whatever kind; what they say is not taken over."""
    return Summary(
        ok=all(row["status"] == "ok" for row in rows),
        noted=any(row.get("notes") for row in rows),
        settings=tuple(dict.fromkeys(str(cell(row, "settings")) for row in rows)),
        stated=tuple(str(cell(rows[0], name) or "") for name in ("person", "declared", "landmarks")),  # type: ignore[arg-type]
        gate=tuple(tuple(_failed_checks(row)) for row in rows if row["status"] == "ok"),
    )


def cell(row: Row, key: str) -> Any:
    """A diagnostics entry of a row, be it JSON's or a table's."""
    diagnostics = row.get("diagnostics")
    return diagnostics.get(key) if isinstance(diagnostics, dict) else row.get(f"diagnostics_{key}")


def _failed_checks(row: Row) -> list[str]:
    if "gate_failed" in row:
        return str(row["gate_failed"] or "").split()
    return [name for name, check in (row.get("gate") or {}).items() if not check["ok"]]


def merged(first: Summary, second: Summary) -> Summary:
    """The summary of a photo's rows, of which each has some."""
    return Summary(
        ok=first.ok and second.ok,
        noted=first.noted or second.noted,
        settings=tuple(dict.fromkeys((*first.settings, *second.settings))),
        stated=first.stated,
        gate=first.gate + second.gate,
    )


class Finished(NamedTuple):
    """A photo that is done, as any process can make it ready for the journal."""

    photo: str
    line: bytes  # of the journal
    layouts: tuple[tuple[str, ...], ...]  # the columns of its rows, where the line does not name them
    summary: Summary
    sha256: str


def finish(records: Sequence[Record], suffix: str) -> Finished:
    """One photo's records made ready for the journal of a table that ends in `suffix`.

    The line is JSON: the photo's name and columns, then each face's row. For a JSON table rows are written as
    there, with carriage returns for line feeds; for others the names of the values stand elsewhere, and for a
    CSV table the values are texts as there: of `FIRST`, then of the others.
    """
    # here, since a photo without a table needs none of it
    from anthropo.batch.encoding import csv_text, json_text
    from anthropo.batch.spool import layout_key

    photo = records[0].photo
    head = json.dumps({"photo": photo, "columns": dict(records[0].columns)}, ensure_ascii=False)
    layouts: dict[tuple[str, ...], None] = {}
    if suffix == ".json":
        faces = [json_text(record.to_json()).replace("\n", "\r") for record in records]
    else:
        faces = []
        for record in records:
            row = record.to_row()
            for name in passed_through(record.columns):  # they may have changed when the table is written
                del row[name]
            layouts[tuple(row)] = None
            values = [*row.values()]
            if suffix == ".csv":
                values = [csv_text(values[: len(FIRST)])[1:], csv_text(values[len(FIRST) :])]
            faces.append(json.dumps([layout_key(tuple(row)), *values], ensure_ascii=False))
    line = f"[{', '.join([head, *faces])}]\n".encode()
    sha256 = records[0].diagnostics.sha256 or ""
    return Finished(photo, line, tuple(layouts), summary_of(records), sha256)
