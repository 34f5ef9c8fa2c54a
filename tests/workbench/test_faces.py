"""Which of a photo's faces is measured: on the page, in its files, and by the commands that read them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Pixels
from PIL import Image
from talking import Client, png

import anthropo
from anthropo.batch.inputs import Item, collect
from anthropo.batch.run import measure_item
from anthropo.errors import FaceError, InputError
from anthropo.settings import Settings
from anthropo.workbench import Workbench
from anthropo.workbench.persons import changed

WIDTHS = (400, 480, 272)  # of the heads: the second is the largest, the third is background beside it


@pytest.fixture(scope="module")
def group(astronaut: Pixels) -> bytes:
    head = Image.fromarray(astronaut).crop((110, 0, 350, 260))
    picture = Image.new("RGB", (1700, 560), "grey")
    for i, width in enumerate(WIDTHS):
        picture.paste(head.resize((width, round(width * 260 / 240))), (20 + 560 * i, 10))
    return png(np.asarray(picture))


@pytest.fixture
def own(tmp_path: Path, group: bytes) -> Iterator[tuple[Client, Any]]:
    with Workbench(tmp_path, port=0) as bench:
        client = Client(bench)
        yield client, client.add("group.png", group).json


def middle(doc: Any) -> float:
    return float(doc["box"][0] + doc["box"][2]) / 2


def test_another_face_is_chosen_and_table_landmarks_and_commands_follow(
    own: tuple[Client, Any], tmp_path: Path
) -> None:
    client, doc = own
    assert len(doc["faces"]) == 2  # in front
    assert [one["measured"] for one in doc["faces"]] == [True, False]
    assert 600 < middle(doc) < 1050
    faces = client.ask(f"/api/photos/{doc['id']}/faces").json
    assert len(faces) == 3
    chosen = client.describe(doc, face_at=faces[2]["at"]).json  # in the background
    assert middle(chosen) > 1140
    assert [one["measured"] for one in chosen["faces"]] == [False, False, True]
    (row,) = csv.DictReader((tmp_path / "cohort.csv").open())
    assert row["face_at"] == faces[2]["at"]

    at = {point["code"]: (point["x"] + 3, point["y"]) for point in chosen["points"]}
    moved = client.place(chosen, {"p39": at["p39"]}).json
    assert moved["by_hand"] == ["p39"]
    (file,) = (tmp_path / "landmarks").iterdir()
    assert file.name.endswith("-face2.landmarks.json")
    (measured,) = anthropo.measure_table([str(tmp_path / "cohort.csv")], landmarks=str(file.parent)).to_dict(
        "records"
    )
    values = {m["id"]: m["value"] for m in moved["measurements"] if m["hand"] and m["value"] != "–"}
    assert measured["face"] == 2  # as `--face all` counts
    assert measured["moved_landmarks"].startswith("p39 ")
    assert len(values) > 3
    assert {name: float(value.replace("−", "-")) for name, value in values.items()} == pytest.approx(
        {name: measured[name] for name in values}, abs=0.06, rel=0.01
    )
    table = client.ask(f"/api/photos/{doc['id']}/results/table").text
    assert next(csv.DictReader(table.splitlines()))["face"] == "2"

    back = client.describe(moved, face_at=faces[0]["at"]).json  # of which the table says nothing
    assert middle(back) == pytest.approx(middle(doc))
    assert back["by_hand"] == []
    (row,) = csv.DictReader((tmp_path / "cohort.csv").open())
    assert row["face_at"] == ""
    again = client.describe(back, face_at=faces[2]["at"]).json
    assert again["by_hand"] == ["p39"]
    refused = client.describe(again, face_at="5, 5")
    assert refused.status == 422
    assert "no face is at 5, 5" in refused.text


def test_change_and_traits_are_of_the_face_that_was_chosen(
    own: tuple[Client, Any], group: bytes, tmp_path: Path
) -> None:
    client, doc = own
    (tmp_path / "later.png").write_bytes(group + b" ")
    left = doc["faces"][1]["at"]
    (tmp_path / "cohort.csv").write_text(
        f'photo,patient,sex,age,face_at\n{doc["name"]},A,female,31,"{left}"\nlater.png,A,female,31,"{left}"\n'
    )
    ids = [one["id"] for one in client.ask("/api/photos").json["photos"]]
    photos = [client.bench.desk.photos()[key] for key in ids]
    for one in (*(found := changed(client.bench.desk, *photos)).before, *found.after):
        assert one.points[:, 0].mean() < 420
    assert middle(client.ask(f"/api/photos/{ids[1]}").json) < 420
    assert client.ask(f"/api/photos/{ids[1]}/traits").json["why"] == ""


def test_a_place_without_a_face_and_two_faces_of_one_photo_are_refused(tmp_path: Path, group: bytes) -> None:
    path = tmp_path / "group.png"
    path.write_bytes(group)
    for cell, says in (("990, 550", "no face is at 990, 550 (`face_at`). There are faces at: "),
                       ("left", "Column `face_at`: 'left' is no place in a photo.")):  # fmt: skip
        (record,) = measure_item(Item(str(path), {"face_at": cell}), Settings())
        assert says in record.reason
    with pytest.raises(FaceError, match="no face is at 990, 550"):
        anthropo.observe(path, Settings(face_at="990 550"))
    with pytest.raises(InputError, match="no place in a photo"):
        Settings(face_at="here").fingerprint()
    assert len(anthropo.observe_all(path, Settings(face="all", face_at="220, 220"))) == 3
    table = tmp_path / "cohort.csv"
    table.write_text('photo,face_at\ngroup.png,"120, 100"\ngroup.png,"460, 100"\n')
    with pytest.raises(InputError, match="row 3: another face"):
        collect([str(table)])


def test_learning_takes_the_face_that_the_table_names(tmp_path: Path, group: bytes) -> None:
    from anthropo.learning.cohort import read_cohort

    (tmp_path / "group.png").write_bytes(group)
    table = tmp_path / "cohort.csv"
    table.write_text('photo,label,patient,face_at\ngroup.png,a,P,"120, 100"\n')
    (case,) = read_cohort(table).cases
    assert case.face_at == "120, 100"
    assert "face_at" not in case.metadata
