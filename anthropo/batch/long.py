"""Results in long form: a row for each measurement of each face."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from anthropo.batch.encoding import write_rows
from anthropo.batch.patients import PatientRecord
from anthropo.batch.records import MeasuredRecord, Record, Row, number
from anthropo.batch.spool import Spool
from anthropo.errors import InputError
from anthropo.files import writing
from anthropo.measurement.compute import Measurement

#: The columns, in order. `patient` stands in place of `photo` and `face` where people were pooled.
_SCORE = ("z", "z_lo", "z_hi", "reference", "grade", "ancestry")
_BOUNDS = ("value", "lo", "hi", "repeat_lo", "repeat_hi")
_RESULT = ("measurement", *_BOUNDS, "unit", *_SCORE, "status", "reason", "age_basis")
COLUMNS = ("photo", "face", *_RESULT)
_SUFFIXES = (".csv", ".parquet")


def long_rows(records: Iterable[MeasuredRecord]) -> Iterator[Row]:
    """The results of faces or people in long form.

    A measurement has a row for each reference that it is compared with, or one without; where there is a
    scale, lengths have rows in millimetres as well. What was not measured has one row with the reason.
    `status` is ok, void (a value that could not be had, with the reason) or failed.
    """
    for record in records:
        whose = _whose(record)
        if not record.ok:
            yield {**whose, **dict.fromkeys(_RESULT), "status": "failed", "reason": record.reason}
        for name, result in record.results.items():
            values = [value for value in (result.measured, result.in_mm) if value]
            for value in values:
                scores = [z for z in result.scores if (z.unit or values[0].unit) == value.unit]
                for z in scores or (None,):
                    yield {
                        **whose,
                        "measurement": name,
                        **{key: number(getattr(value, key)) for key in _BOUNDS},
                        "unit": value.unit,
                        **{key: number(getattr(z, key, None)) for key in _SCORE},
                        "status": _status(value),
                        "reason": value.reason or (z.reason if z else ""),
                        "age_basis": record.age_basis,
                    }


def _whose(record: MeasuredRecord) -> Row:
    if isinstance(record, PatientRecord):
        return {"patient": record.patient}
    if not isinstance(record, Record):
        raise TypeError(f"{type(record).__name__} is neither of a photo nor of a person")
    return {"photo": record.photo, "face": record.index}


def _status(value: Measurement) -> str:
    return "ok" if math.isfinite(value.value) else "void"


def long_path(name: str) -> Path:
    """The path of a table in long form; an InputError if it is of another kind."""
    path = Path(name)
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{name}: a table in long form ends in .csv or .parquet.")
    return path


def write_long(path: Path, records: Iterable[MeasuredRecord]) -> None:
    """Write results in long form, as CSV or Parquet by the suffix."""
    with writing(path) as file, closing(Spool(path.parent)) as spool:
        for row in long_rows(records):
            spool.add(row)
        write_rows(file, path.suffix.lower(), spool.rows)
