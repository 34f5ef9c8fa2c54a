"""What may go wrong around a workbench: odd names, files that change, a server that ends."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Pixels
from talking import Client, png

from anthropo.workbench import Workbench, views


@pytest.fixture
def own(tmp_path: Path, astronaut: Pixels) -> Iterator[tuple[Client, Any]]:
    """A workbench with a photo."""
    with Workbench(tmp_path / "work", port=0) as bench:
        client = Client(bench)
        yield client, client.add("a.png", png(astronaut)).json


def test_names_that_no_table_can_have_are_shown_and_hinder_nobody(tmp_path: Path, astronaut: Pixels) -> None:
    names = (b"odd\xff.png", b"two\nlines.png", b"plain.png")
    for i, name in enumerate(names):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(png(astronaut[: 400 + i]))
    with Workbench(tmp_path, port=0) as bench:
        client = Client(bench)
        ids = [photo["id"] for photo in client.ask("/api/photos").json["photos"]]
        docs = {doc["name"]: doc for doc in (client.ask(f"/api/photos/{one}").json for one in ids)}
        assert len(docs) == 3
        assert client.describe(docs.pop("plain.png"), age="31").status == 200
        for doc in docs.values():
            answer = client.describe(doc, age="31")
            assert (answer.status, answer.text.count("cannot stand in a table. Rename the file")) == (422, 1)
            assert client.ask(f"/api/photos/{doc['id']}/results/report").status == 200
        assert len(client.ask("/api/photos").json["photos"]) == 3
    assert [*csv.DictReader((tmp_path / "cohort.csv").open())] == [{"photo": "plain.png", "age": "31"}]


def test_a_file_that_is_another_one_by_now_is_read_again(own: tuple[Client, Any], astronaut: Pixels) -> None:
    client, doc = own
    moved = client.place(doc, {"p30": [228.0, 130.0]}).json
    path = client.bench.folder / doc["name"]
    path.write_bytes(png(astronaut[:450, 20:]))
    now = client.ask(f"/api/photos/{doc['id']}").json
    assert (now["width"], now["height"], now["by_hand"]) == (492, 450, [])
    assert client.place(moved, {"p30": [228.0, 130.0]}).status == 409  # of the other picture
    path.unlink()
    assert client.ask(f"/api/photos/{doc['id']}/picture").status == 200  # as long as it is open


def test_a_fault_of_the_program_is_one_sentence_and_told_in_the_terminal(
    own: tuple[Client, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    client, doc = own
    monkeypatch.setattr(views, "traits", lambda sitting: 1 / 0)
    answer = client.ask(f"/api/photos/{doc['id']}/traits")
    assert (answer.status, answer.text.count("\n")) == (500, 0)
    assert "(ZeroDivisionError), which is a fault of the program" in answer.text
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_server_that_is_killed_in_the_middle_of_a_drag_loses_nothing_that_was_let_go(
    tmp_path: Path, astronaut: Pixels
) -> None:
    (tmp_path / "a.png").write_bytes(png(astronaut))
    program = (
        "import sys; from anthropo.workbench import Workbench; bench = Workbench(sys.argv[1], port=0); "
        "print(bench.port, bench.address, flush=True); bench.run()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port, address = server.stdout.readline().split()
        client = Client(SimpleNamespace(port=int(port), address=address))
        (photo,) = client.ask("/api/photos").json["photos"]
        doc = client.ask(f"/api/photos/{photo['id']}").json
        at = {point["code"]: [point["x"], point["y"]] for point in doc["points"]}
        kept = {"p39": [at["p39"][0] - 2, at["p39"][1]]}
        doc = client.place(doc, kept).json
        assert client.place(doc, {**kept, "p42": [at["p42"][0] + 2, at["p42"][1]]}, keep=False).status == 200
        server.kill()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "landmarks"]
    assert len([*(tmp_path / "landmarks").iterdir()]) == 1
    with Workbench(tmp_path, port=0) as bench:
        assert Client(bench).ask(f"/api/photos/{photo['id']}").json["by_hand"] == ["p39"]
