from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from anthropo import Settings, example_photo
from anthropo.batch.inputs import Item, read_photo_table
from anthropo.batch.output import Output
from anthropo.batch.patients import one_person, pool_patient
from anthropo.batch.reading import records_of
from anthropo.batch.records import Record, VideoSummary
from anthropo.batch.run import measure_item
from anthropo.measurement.pooling import pool


@pytest.fixture(scope="module")
def measured() -> Record:
    settings = Settings(jitter=2, texture=True, scale="ipd=62", sex="female", age="31")
    (record,) = measure_item(Item(example_photo(), {"id": "x"}), settings)
    return record


def pooled(record: Record) -> Record:
    video = VideoSummary(seconds=1.5, frames=3, measured=2, remarks=["one"])
    return replace(record, measurements=tuple(pool([record.measurements] * 2)), video=video)


def failed() -> Record:
    (record,) = measure_item(Item("gone.jpg", {"id": "x"}), Settings())
    return record


@pytest.mark.parametrize("kind", ["measured", "pooled", "failed"])
def test_a_record_comes_back_from_json(kind: str, measured: Record) -> None:
    record = {"measured": measured, "pooled": pooled(measured), "failed": failed()}[kind]
    written = record.to_json()
    again = Record.from_json(json.loads(json.dumps(written, allow_nan=False)))
    assert again.to_json() == written
    assert again.to_row() == record.to_row()


def test_a_failed_record_has_every_key_and_column(measured: Record) -> None:
    assert set(failed().to_json()) == set(measured.to_json())
    assert failed().status == "failed"
    assert failed().to_row()["intercanthal_width"] is None


def test_numbers_that_cannot_be_had_are_null_in_json_and_nan_in_python(measured: Record) -> None:
    single = measure_item(Item(example_photo()), Settings(jitter=1))[0]
    assert single.to_json()["landmark_sd"][0] == [None, None]
    voided = next(m for m in measured.measurements if math.isnan(m.value))
    assert measured.to_json()["measurements"][voided.id]["value"] is None


def test_results_have_millimetres_and_scores_beside_the_value(measured: Record) -> None:
    result = measured.results["intercanthal_width"]
    assert (result.measured.unit, result.in_mm and result.in_mm.unit) == ("ex-ex", "mm")
    assert [z.reference for z in result.scores] == list(measured.grades) == ["web-all-ages"]


def test_a_person_is_pooled_from_typed_records_of_photos_and_videos(measured: Record) -> None:
    items = [Item(example_photo()), Item("clip.mp4"), Item("gone.jpg")]
    records = {
        item.path: [record]
        for item, record in zip(items, (measured, pooled(measured), failed()), strict=True)
    }
    person = pool_patient(one_person("p1", items), records, Settings())
    assert (person.status, len(person.photos), len(person.measured)) == ("ok", 3, 2)
    assert person.results["intercanthal_width"].measured.value == pytest.approx(
        measured.results["intercanthal_width"].measured.value
    )
    assert [photo["status"] for photo in person.to_json()["photos"]] == ["ok", "ok", "failed"]


def test_only_the_photos_that_are_asked_for_are_read_from_a_table(tmp_path: Path, measured: Record) -> None:
    path = tmp_path / "a.json"
    foreign = {"photo": "of another version", "face": 0, "status": "ok"}
    path.write_text(json.dumps({"photos": [foreign]}))
    table = Output(str(path), Settings())
    table.add([measured, replace(measured, index=1)])
    records = table.close([Item(measured.photo, {"visit": v}) for v in "12"], keep=True)
    assert list(records) == [measured.photo, foreign["photo"]]
    assert [record.index for record in records[measured.photo]] == [0, 1]  # each once, though in two rows
    first = next(records_of(path))
    assert records[measured.photo][0].to_json() == first.to_json()
    assert dict(first.columns) == {"visit": "1"}
    with pytest.raises(KeyError):
        records[foreign["photo"]]


def test_settings_take_keywords_only() -> None:
    with pytest.raises(TypeError):
        Settings("one")  # type: ignore[misc]


def test_rows_are_counted_as_a_spreadsheet_does(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text('\n\nphoto,note\na.jpg,"two\nlines"\n\n,no photo\n,\nb.jpg,\n')
    table = read_photo_table(path)
    assert [Path(item.path).name for item in table.items] == ["a.jpg", "b.jpg"]
    assert (table.rows, table.without_photo, table.columns) == ((4, 8), (6,), ["note"])
