"""A folder that is measured while the page is used."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Pixels
from PIL import Image
from talking import Client

import anthropo
from anthropo.parallel import Processes
from anthropo.workbench import Workbench, survey


@pytest.fixture
def client(tmp_path: Path, astronaut: Pixels) -> Iterator[Client]:
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    Image.fromarray(astronaut[:400]).save(tmp_path / "b.png")
    Image.fromarray(astronaut[350:, :150]).save(tmp_path / "cloth.png")
    (tmp_path / "words.jpg").write_text("no photo")
    with Workbench(tmp_path, port=0) as bench:
        yield Client(bench)


def surveyed(client: Client) -> dict[str, Any]:
    """What is known of the photos, by name, once all are measured."""
    assert client.ask("/api/survey", "POST").status == 200
    for _ in range(2400):  # they wait for whatever else the machine does
        told = client.ask("/api/survey").json
        if not told["running"]:
            break
        time.sleep(0.05)
    assert (told["done"], told["total"], told["error"]) == (4, 4, "")
    names = {photo["id"]: photo["name"] for photo in client.ask("/api/photos").json["photos"]}
    return {names[stand["photo"]]: stand for stand in told["stands"]}


def rows(client: Client) -> dict[str, dict[str, str]]:
    text = client.ask("/api/table").body.decode()
    return {Path(row["photo"]).name: row for row in csv.DictReader(text.splitlines())}


def test_each_photo_has_its_stand_and_the_table_is_that_of_the_command(client: Client) -> None:
    answer = client.ask("/api/table")
    assert (answer.status, answer.text) == (422, "The photos have not been measured yet. Use “Measure all”.")
    stands = surveyed(client)
    assert stands["a.png"]["status"] == "ok"
    assert stands["a.png"]["gate"] == ["mouth_open", "smile"]
    assert stands["cloth.png"]["reason"].startswith("no face")
    assert stands["words.jpg"]["status"] == "failed"
    table = rows(client)
    of_command = anthropo.measure_table(client.bench.folder / "a.png", face="largest")
    assert float(table["a.png"]["intercanthal_width"]) == pytest.approx(of_command["intercanthal_width"][0])
    since = client.ask("/api/survey?since=3").json
    assert len(since["stands"]) == 1
    assert client.ask("/api/survey?since=-1").json["stands"][0]["photo"]


def test_what_is_finished_is_not_measured_again_and_a_correction_is(client: Client) -> None:
    surveyed(client)
    before = rows(client)
    photos = {photo["name"]: photo["id"] for photo in client.ask("/api/photos").json["photos"]}
    doc = client.ask(f"/api/photos/{photos['a.png']}").json
    at = next(point for point in doc["points"] if point["code"] == "p39")
    client.place(doc, {"p39": [at["x"] - 2, at["y"]]})
    assert surveyed(client)["b.png"]["status"] == "ok"
    after = rows(client)
    assert after["b.png"] == before["b.png"]
    assert after["a.png"]["moved_landmarks"] == "p39 2 px"
    assert float(after["a.png"]["intercanthal_width"]) > float(before["a.png"]["intercanthal_width"])


def test_processes_do_it_and_it_can_be_stopped_and_gone_on_with(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_ENOUGH", 1)
    # as urgent as the test, which a busy machine would keep waiting otherwise
    monkeypatch.setattr(survey, "Processes", lambda jobs, behind: Processes(jobs, behind=not behind))
    client.ask("/api/survey", "POST")
    told = client.ask("/api/survey", "DELETE").json
    assert told["stopping"] == told["running"]
    for _ in range(2400):
        if not (told := client.ask("/api/survey").json)["running"]:
            break
        time.sleep(0.05)
    assert (told["running"], told["stopping"], told["error"]) == (False, False, "")
    stands = surveyed(client)
    assert stands["a.png"]["gate"] == ["mouth_open", "smile"]
    assert stands["cloth.png"]["reason"].startswith("no face")


def test_an_empty_folder_has_nothing_to_measure(tmp_path: Path) -> None:
    with Workbench(tmp_path / "empty", port=0) as bench:
        answer = Client(bench).ask("/api/survey", "POST")
    assert (answer.status, answer.text) == (422, "There is no photo to measure. Add some.")


def test_a_table_of_something_else_is_left_alone(client: Client) -> None:
    (client.bench.folder / "faces.csv").write_text("name,value\nx,1\n")
    client.ask("/api/survey", "POST")
    for _ in range(200):
        told = client.ask("/api/survey").json
        if not told["running"]:
            break
        time.sleep(0.05)
    assert "faces.csv" in told["error"]
    assert (client.bench.folder / "faces.csv").read_text() == "name,value\nx,1\n"
