"""Several photos of one person on the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Pixels
from PIL import Image
from talking import Client

import anthropo
from anthropo.workbench import Workbench
from anthropo.workbench.desk import Desk
from anthropo.workbench.persons import photos_of


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, astronaut: Pixels) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("persons")
    whole = Image.fromarray(astronaut)
    whole.save(folder / "first.png")
    whole.resize((440, 440), Image.Resampling.LANCZOS).save(folder / "second.png")
    Image.fromarray(astronaut[350:, :150]).save(folder / "cloth.png")
    whole.crop((0, 0, 512, 400)).save(folder / "other.png")
    (folder / "cohort.csv").write_text(
        "photo,patient,sex,age,observed\nfirst.png,P1,female,31,\nsecond.png,P1,female,31,HP:0000508:R=yes\n"
        "cloth.png,P1,female,31,\nother.png,P2,female,31,\n"
    )
    with Workbench(folder, port=0) as bench:
        yield Client(bench)


@pytest.fixture(scope="module")
def photos(client: Client) -> dict[str, str]:
    return {photo["name"]: photo["id"] for photo in client.ask("/api/photos").json["photos"]}


def test_values_are_pooled_beside_those_of_each_photo(client: Client, photos: dict[str, str]) -> None:
    told = client.ask(f"/api/photos/{photos['first.png']}/together").json
    assert [photo["name"] for photo in told["photos"]] == ["first.png", "second.png"]
    (left_out,) = told["left_out"]
    assert left_out.startswith("cloth.png: no face")
    rows = {row["id"]: row for row in told["rows"]}
    settings = anthropo.Settings(face="largest", sex="female", age="31")
    photos_of = [client.bench.folder / "first.png", client.bench.folder / "second.png"]
    table = anthropo.patient_table(photos_of, settings=settings)
    assert float(rows["intercanthal_width"]["pooled"]) == round(float(table["intercanthal_width"][0]), 3)
    assert len(rows["intercanthal_width"]["values"]) == 2
    assert rows["intercanthal_width"]["z"]
    assert "mouth_width" not in rows  # voided in both


def test_photos_of_other_ages_stand_beside_and_are_not_pooled(tmp_path: Path, astronaut: Pixels) -> None:
    for i in range(3):
        Image.fromarray(astronaut[: 512 - 10 * i]).save(tmp_path / f"{i}.png")
    (tmp_path / "cohort.csv").write_text(
        "photo,patient,sex,age,taken\n0.png,P,female,31,2020-01-05\n1.png,P,female,31,2020-01-06\n"
        "2.png,P,female,41,2030-01-05\n"
    )
    with Workbench(tmp_path, port=0) as bench:
        own = Client(bench)
        ids = [photo["id"] for photo in own.ask("/api/photos").json["photos"]]
        for key, pooled in zip(ids, (2, 2, 1), strict=True):
            told = own.ask(f"/api/photos/{key}/together").json
            assert (told["pooled"], len(told["photos"])) == (pooled, 3)
            assert told["notes"][0].startswith(f"Pooled are the photos of this age, {pooled} of 3;")
            assert all(one["z"] for one in told["rows"][0]["values"])
        assert own.ask(f"/api/photos/{ids[2]}/together/clinical").status == 200
        own.describe(own.ask(f"/api/photos/{ids[1]}").json, sex="male")  # which ages do not explain
        answer = own.ask(f"/api/photos/{ids[0]}/together")
        assert answer.status == 422
        assert "Correct the column `sex`" in answer.text


def test_the_clinical_report_is_of_all_photos_together(client: Client, photos: dict[str, str]) -> None:
    answer = client.ask(f"/api/photos/{photos['first.png']}/together/clinical")
    assert answer.status == 200
    assert "script" not in answer.headers["content-security-policy"]
    assert "<h1>Patient P1</h1>" in answer.text
    assert "Values are of this one of 2 photos." in answer.text
    assert "second.png: The photo gate finds the photo unfit" in answer.text
    assert "Ptosis, right" in answer.text.partition("Measurements beyond")[0]  # seen on one of them
    assert answer.text.count("data:image/jpeg") == 1
    lost = client.ask(f"/api/photos/{photos['cloth.png']}/together/clinical")
    assert lost.status == 200  # its person has other photos


def test_photos_of_a_person_are_in_the_order_of_their_dates(tmp_path: Path) -> None:
    dates = {"a.png": "2026-03-04", "b.png": "", "c.png": "2024-11-30", "d.png": "2026-03-01"}
    for name in dates:
        (tmp_path / name).touch()
    rows = [f"{name},P,{day}" for name, day in dates.items()]
    (tmp_path / "cohort.csv").write_text("\n".join(["photo,patient,taken", *rows]))
    desk = Desk(tmp_path)
    first = next(iter(desk.photos().values()))
    assert [photo.name for photo in photos_of(desk, first)] == ["c.png", "d.png", "a.png", "b.png"]


def test_a_person_whose_rows_contradict_each_other_is_one_sentence(tmp_path: Path, astronaut: Pixels) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(astronaut).save(tmp_path / name)
    (tmp_path / "cohort.csv").write_text("photo,patient,sex\na.png,P,female\nb.png,P,male\n")
    with Workbench(tmp_path, port=0) as bench:
        client = Client(bench)
        first = client.ask("/api/photos").json["photos"][0]["id"]
        answer = client.ask(f"/api/photos/{first}/together")
    assert answer.status == 422
    assert "Correct the column `sex`, or `patient`." in answer.text


def test_a_photo_without_a_patient_stands_alone(tmp_path: Path, astronaut: Pixels) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(astronaut).save(tmp_path / name)
    with Workbench(tmp_path, port=0) as bench:
        client = Client(bench)
        first = client.ask("/api/photos").json["photos"][0]["id"]
        assert len(client.ask(f"/api/photos/{first}/together").json["photos"]) == 1


def test_what_changed_is_what_the_command_says(client: Client, photos: dict[str, str]) -> None:
    at = f"/api/photos/{photos['first.png']}/change/{photos['second.png']}"
    told = client.ask(f"{at}/rows").json
    assert told["summary"].startswith("Nothing changed beyond error")
    assert [group["rows"] for group in told["groups"]] == [[], []]

    second = photos["second.png"]
    doc: Any = client.ask(f"/api/photos/{second}").json
    points = {point["code"]: point for point in doc["points"]}
    moved = {code: [points[code]["x"], points[code]["y"] - 7] for code in ("p48", "p60")}
    client.place(doc, moved)
    told = client.ask(f"{at}/rows").json
    changed = {row["id"]: row for group in told["groups"] for row in group["rows"]}
    assert any("commissure" in name for name in changed)
    page = client.ask(f"{at}/page")
    assert b"<h1" in page.body
    assert "sandbox" in page.headers["content-security-policy"]
    client.place(client.ask(f"/api/photos/{second}").json, {})


def test_what_cannot_be_compared_is_one_sentence(client: Client, photos: dict[str, str]) -> None:
    first = photos["first.png"]
    for other, says in ((first, "One photo is before and after."), (photos["cloth.png"], "no face")):
        answer = client.ask(f"/api/photos/{first}/change/{other}/rows")
        assert answer.status == 422
        assert says in answer.text
    assert client.ask(f"/api/photos/{first}/change/none/rows").status == 404
    assert client.ask(f"/api/photos/{first}/change/{photos['second.png']}/other").status == 404


def test_the_page_has_measurements_of_ones_own(tmp_path: Path, astronaut: Pixels) -> None:
    Image.fromarray(astronaut).save(tmp_path / "p.png")
    row = {"id": "jaw_eye_index", "name": "Jaw to eyes", "kind": "ratio", "unit": "%"}
    expression = "100 * d(goR, goL) / d(exR, exL)"
    with anthropo.registry.added(row | {"expression": expression}), Workbench(tmp_path, port=0) as bench:
        client = Client(bench)
        (photo,) = client.ask("/api/photos").json["photos"]
        told = client.ask(f"/api/photos/{photo['id']}").json
        (own,) = [one for one in told["measurements"] if one["id"] == "jaw_eye_index"]
        assert own["name"] == "Jaw to eyes"
        assert float(own["value"]) > 100
        assert client.ask(f"/api/photos/{photo['id']}/lines/jaw_eye_index").json
