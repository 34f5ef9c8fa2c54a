"""What a workbench answers, and whom it does not."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import socket
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Invoke, Pixels
from PIL import Image
from pngs import png_file
from talking import Client, png

import anthropo
from anthropo.batch.inputs import collect
from anthropo.errors import InputError
from anthropo.photo import read_photo
from anthropo.workbench import Workbench

NAMES = {"points": 74, "measurements": 130}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Workbench(tmp_path_factory.mktemp("work"), port=0) as bench:
        yield Client(bench)


@pytest.fixture(scope="module")
def doc(client: Client, astronaut: Pixels) -> Any:
    return client.add("Eileen Collins.png", png(astronaut)).json


@pytest.fixture
def own(tmp_path: Path, astronaut: Pixels) -> Iterator[tuple[Client, Any]]:
    """A workbench of a test's own, with a photo."""
    with Workbench(tmp_path / "work", port=0) as bench:
        client = Client(bench)
        yield client, client.add("a.png", png(astronaut)).json


def value(doc: Any, name: str) -> float:
    return float(next(m["value"] for m in doc["measurements"] if m["id"] == name))


# ------------------------------------------------------------------------------------- the guard


def test_the_address_has_a_token_which_becomes_a_cookie_that_scripts_and_other_sites_never_see(
    client: Client,
) -> None:
    first = client.ask(f"/?token={client.token}", Authorization=None)
    assert first.status == 200
    assert 'http-equiv="refresh"' in first.text
    assert client.token not in first.text
    cookie = SimpleCookie(first.headers["set-cookie"])[f"anthropo-{client.bench.port}"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    page = client.ask("/", Authorization=None, Cookie=f"x=y; {cookie.OutputString(attrs=[])}")
    assert page.status == 200
    assert "<title>anthropo workbench</title>" in page.text


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ({"Authorization": None}, 403, "with its token"),
        ({"Authorization": "Bearer guessed"}, 403, "with its token"),
        ({"Authorization": None, "Cookie": "anthropo-1=guessed; \x01=\x02"}, 403, "with its token"),
        ({"Host": "evil.example:80"}, 421, "does not answer under this name"),
        ({"Host": ""}, 421, "does not answer under this name"),
        ({"Origin": "http://evil.example"}, 403, "another site's page"),
        ({"Origin": "null"}, 403, "another site's page"),
        ({"Sec-Fetch-Site": "cross-site"}, 403, "another site's page"),
        ({"Sec-Fetch-Site": "same-site"}, 403, "another site's page"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/photos", "/workbench.js"])
def test_a_stranger_is_refused_in_one_sentence(
    client: Client, path: str, headers: dict[str, str], status: int, says: str
) -> None:
    answer = client.ask(path, **headers)
    assert (answer.status, answer.text.count("\n")) == (status, 0)
    assert says in answer.text


def test_another_port_of_this_machine_is_another_site(client: Client) -> None:
    other = f"127.0.0.1:{client.bench.port + 1}"
    assert client.ask("/api/photos", Host=other).status == 421
    assert client.ask("/api/photos", Origin=f"http://{other}").status == 403
    assert client.ask("/api/photos", Origin=f"http://{client.own}").status == 200
    assert client.ask("/api/photos", Host=f"localhost:{client.bench.port}").status == 200


def test_nothing_inline_runs_and_nothing_is_loaded_from_elsewhere(client: Client) -> None:
    for name in ("", "workbench.js", "face.js", "tables.js", "style.css", "icon.svg"):
        answer = client.ask(f"/{name}")
        assert answer.status == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "http://" not in answer.text.replace("http://www.w3.org", "")
        assert "https://" not in answer.text
    weight = sum(
        len(client.ask(f"/{name}").body) for name in ("", "workbench.js", "face.js", "tables.js", "style.css")
    )
    assert weight < 300_000
    assert "onclick" not in client.ask("/").text


def test_a_workbench_to_be_looked_at_changes_nothing(tmp_path: Path, astronaut: Pixels) -> None:
    (tmp_path / "p.png").write_bytes(png(astronaut))
    with Workbench(tmp_path, port=0, read_only=True) as bench:
        client = Client(bench)
        (photo,) = client.ask("/api/photos").json["photos"]
        doc = client.ask(f"/api/photos/{photo['id']}").json
        for answer in (
            client.add("x.png", png(astronaut)),
            client.place(doc, {}),
            client.describe(doc, sex="male"),
            client.ask(f"/api/photos/{photo['id']}/results/table", "POST"),
        ):
            assert answer.status == 403
            assert "read-only" in answer.text
    assert [path.name for path in tmp_path.iterdir()] == ["p.png"]


def test_a_port_in_use_and_an_address_of_another_machine_are_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"^Port {port} is in use, .* Give another port, or 0 for any"):
            Workbench(tmp_path, port=port)
    with pytest.raises(InputError, match=r"^203\.0\.113\.7:\d+ cannot be listened on"):
        Workbench(tmp_path, host="203.0.113.7")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file: a file\. Name a folder to work in\.$"):
        Workbench(tmp_path / "file", port=0)
    with pytest.raises(InputError, match="cannot be made"):
        Workbench(tmp_path / "file" / "below", port=0)


def test_the_command_refuses_in_one_sentence_as_well(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "file").touch()
    result = invoke("serve", tmp_path / "file", "--no-browser")
    assert result.exit_code == 2
    assert "Name a folder to work in." in result.stderr


# ----------------------------------------------------------------------------------- photos come in


def test_a_dropped_photo_is_measured_and_lies_in_the_folder(
    client: Client, doc: Any, astronaut: Pixels
) -> None:
    assert {name: len(doc[name]) for name in NAMES} == NAMES
    assert doc["name"].startswith("photos/Eileen Collins-")
    (kept,) = (client.bench.folder / "photos").glob("Eileen*")
    assert kept.read_bytes() == png(astronaut)
    measured = {m.id: m for m in anthropo.measure(kept)}
    assert value(doc, "intercanthal_width") == round(measured["intercanthal_width"].value, 3)
    smile = next(m for m in doc["measurements"] if m["id"] == "mouth_width")
    assert smile["value"] == "–"
    assert "voided by the photo gate: mouth_open" in smile["reason"]
    listed = client.ask("/api/photos").json
    assert doc["id"] in [photo["id"] for photo in listed["photos"]]
    assert client.add("Eileen Collins.png", png(astronaut)).json["id"] == doc["id"]  # kept once


def test_points_have_names_and_ellipses(doc: Any) -> None:
    points = {point["code"]: point for point in doc["points"]}
    assert points["p39"]["name"] == "en, endocanthion, right"
    assert points["p39"]["label"] == "enR"
    assert points["pL"]["name"] == "p, pupil, left"
    assert points["p40"]["name"] == "right eye"
    for point in doc["points"]:
        long, short, _ = point["ellipse"]
        assert 0 < short <= long < 30
        assert not point["moved"]


def test_pictures_have_no_metadata(client: Client, astronaut: Pixels) -> None:
    exif = Image.Exif()
    exif[0x010E] = "Zimmer 7"
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 0.0)
    data = io.BytesIO()
    Image.fromarray(astronaut).save(data, "JPEG", quality=97, exif=exif)
    doc = client.add("gps.jpg", data.getvalue()).json
    for what in ("picture", "picture?size=full", "thumbnail"):
        answer = client.ask(f"/api/photos/{doc['id']}/{what}")
        shown = Image.open(io.BytesIO(answer.body))
        assert not shown.getexif()
        assert b"Zimmer" not in answer.body
        assert answer.headers["content-type"] == "image/jpeg"
    for kind in ("report", "traits", "phenopacket", "table", "landmarks"):
        client.describe(doc, sex="female", age="31")
        assert b"Zimmer" not in client.ask(f"/api/photos/{doc['id']}/results/{kind}").body


def test_a_large_photo_is_sent_finely_where_the_face_is(client: Client, astronaut: Pixels) -> None:
    large = Image.fromarray(astronaut).crop((100, 0, 400, 300)).resize((3000, 3000))
    data = io.BytesIO()
    large.save(data, "JPEG", quality=90)
    doc = client.add("large.jpg", data.getvalue()).json
    left, top, width, height = doc["close"]
    assert left <= doc["box"][0] < doc["box"][2] <= left + width <= 3000
    shown = {
        size: Image.open(io.BytesIO(client.ask(f"/api/photos/{doc['id']}/picture?size={size}").body))
        for size in ("preview", "close", "full")
    }
    assert shown["full"].size == (3000, 3000)
    assert 3000 / max(shown["preview"].size) == pytest.approx(doc["preview"], rel=0.001)
    assert width / shown["close"].width in (1, 2)
    part = large.crop((left, top, left + width, top + height)).resize(shown["close"].size)
    assert np.abs(np.asarray(part, float) - np.asarray(shown["close"], float)).mean() < 3


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../../evil.png", "evil-"),
        ("..\\..\\evil.png", "evil-"),
        ("/etc/evil.png", "evil-"),
        ("CON.png", "%43ON-"),
        ("<img src=x onerror=alert(1)>.png", "%3Cimg src=x onerror=alert(1)%3E-"),
        (f"{'long' * 90}.png", "long" * 15),
        ("....png", "photo-"),
        ("a\x00b.png", "a%00b-"),
    ],
)
def test_a_name_is_never_a_path(own: tuple[Client, Any], astronaut: Pixels, name: str, kept: str) -> None:
    client, _ = own
    doc = client.add(name, png(astronaut[:400])).json
    folder = client.bench.folder
    assert doc["name"].startswith(f"photos/{kept}")
    assert (folder / doc["name"]).is_file()
    assert sorted(path.name for path in folder.iterdir()) == ["photos"]
    report = client.ask(f"/api/photos/{doc['id']}/results/report")
    assert b"<img src=x" not in report.body
    assert "sandbox" in report.headers["content-security-policy"]
    assert "script-src" not in report.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("words.jpg", b"this is no photo", "words.jpg: "),
        ("empty.png", b"", "empty.png: the file is empty (0 bytes)."),
        ("table.csv", b"photo\n", "table.csv: not a photo by its name."),
        ("huge.png", png_file((60_000, 60_000, 8, 2, 0, 0, 0), b"\0" * 9), "huge.png: "),
    ],
)
def test_what_is_no_photo_is_one_sentence_and_not_kept(
    client: Client, name: str, data: bytes, says: str
) -> None:
    before = len(client.ask("/api/photos").json["photos"])
    answer = client.add(name, data)
    assert answer.status == 422
    assert answer.text.startswith(says)
    assert str(client.bench.folder) not in answer.text
    assert len(client.ask("/api/photos").json["photos"]) == before


def test_no_cell_of_the_table_is_a_formula_to_a_spreadsheet_and_each_is_read_as_it_was(
    tmp_path: Path, astronaut: Pixels
) -> None:
    Image.fromarray(astronaut).save(tmp_path / "=cmd(1).png")
    Image.fromarray(astronaut[:420]).save(tmp_path / "@b.png")
    (tmp_path / "cohort.csv").write_text("photo,=own,patient\n=cmd(1).png,-,+P\n")
    with Workbench(tmp_path, port=0) as bench:
        client = Client(bench)
        (first, _) = client.ask("/api/photos").json["photos"]
        doc = client.ask(f"/api/photos/{first['id']}").json
        for ancestry in ("=1+1", "-2+3"):  # twice: nothing grows
            doc = client.describe(doc, ancestry=ancestry).json
        assert [photo["name"] for photo in client.ask("/api/photos").json["photos"]] == [
            "=cmd(1).png", "@b.png",
        ]  # fmt: skip
        assert (doc["person"]["patient"], doc["person"]["ancestry"]) == ("+P", "-2+3")
    assert (tmp_path / "cohort.csv").read_text().splitlines() == [
        "photo,'=own,patient,ancestry", "'=cmd(1).png,-,'+P,'-2+3", "'@b.png,,,",
    ]  # fmt: skip
    items = collect([str(tmp_path / "cohort.csv")])
    assert [Path(item.path).name for item in items] == ["=cmd(1).png", "@b.png"]
    assert items[0].columns["patient"] == "+P"


def test_a_photo_without_a_face_stays_and_says_so(client: Client, astronaut: Pixels) -> None:
    answer = client.add("cloth.png", png(astronaut[350:, :150]))
    assert answer.status == 422
    assert answer.text.startswith("cloth.png: no face")
    listed = {photo["name"]: photo["id"] for photo in client.ask("/api/photos").json["photos"]}
    (name,) = (name for name in listed if "cloth" in name)
    assert client.ask(f"/api/photos/{listed[name]}").status == 422
    assert client.ask(f"/api/photos/{listed[name]}/thumbnail").status == 200


def test_an_upload_that_is_too_large_is_not_read(client: Client) -> None:
    answer = client.ask("/api/photos?name=a.png", "POST", b"", Content_Length=str(300 << 20))
    assert answer.status == 413
    assert answer.text == "The photo has 315 MB, 210 MB at most."
    told = b'{"points": {"' + b"p" * (2 << 20) + b'": [1, 2]}}'
    assert client.ask("/api/photos/x/points", "PUT", told).status == 413
    assert client.ask("/api/photos").status == 200


def test_other_addresses_hold_nothing(client: Client, doc: Any) -> None:
    for path in (
        "/api/photos/..%2f..%2fetc%2fpasswd",
        "/../../etc/passwd",
        "/api/photos/none",
        f"/api/photos/{doc['id']}/results/..%2f..%2fcohort.csv",
        f"/api/photos/{doc['id']}/lines/__import__",
        "/server.py",
    ):
        answer = client.ask(path)
        assert answer.status == 404, path
        assert answer.text.startswith(("There is no such photo", "The workbench has nothing at this address"))
    assert client.ask("/api/photos", "DELETE").status == 405


# ------------------------------------------------------------------------------------ points move


def test_a_moved_point_moves_what_is_measured_from_it_as_the_command_line_does(
    own: tuple[Client, Any],
) -> None:
    client, doc = own
    at = next(point for point in doc["points"] if point["code"] == "p39")
    moved = client.place(doc, {"p39": [at["x"] - 1.5, at["y"]]}, show=["intercanthal_width"]).json
    assert value(moved, "intercanthal_width") > value(doc, "intercanthal_width")
    assert value(moved, "canthal_index") > value(doc, "canthal_index")
    unmoved = {m["id"]: m for m in doc["measurements"] if not m["hand"]}
    assert all(not m["hand"] for m in doc["measurements"])
    now = {m["id"]: m for m in moved["measurements"]}
    assert now["intercanthal_width"]["hand"]
    assert not now["philtrum_length"]["hand"]
    assert now["philtrum_length"]["value"] == unmoved["philtrum_length"]["value"]
    (line,) = moved["lines"]["intercanthal_width"]
    assert [at["x"] - 1.5, at["y"]] == pytest.approx(line["points"][0], abs=0.006)

    folder = client.bench.folder
    table = anthropo.measure_table(folder / "photos", landmarks=str(folder / "landmarks"))
    assert round(table["intercanthal_width"][0], 3) == value(moved, "intercanthal_width")
    assert table["moved_landmarks"][0] == "p39 1.5 px"


def test_a_drag_leaves_nothing_until_it_ends(own: tuple[Client, Any]) -> None:
    client, doc = own
    at = next(point for point in doc["points"] if point["code"] == "p45")
    dragged = client.place(doc, {"p45": [at["x"] + 2, at["y"]]}, keep=False).json
    assert dragged["revision"] == doc["revision"]
    assert value(dragged, "intercanthal_width") != value(doc, "intercanthal_width")
    assert not (client.bench.folder / "landmarks").exists()
    assert client.ask(f"/api/photos/{doc['id']}").json == doc


def test_what_was_moved_outlives_the_server_and_can_be_taken_back(tmp_path: Path, astronaut: Pixels) -> None:
    (tmp_path / "portrait.png").write_bytes(png(astronaut))
    with Workbench(tmp_path, port=0) as bench:
        client = Client(bench)
        (photo,) = client.ask("/api/photos").json["photos"]
        doc = client.ask(f"/api/photos/{photo['id']}").json
        moved = client.place(doc, {"pR": [205.0, 113.0], "p8": [228.5, 178.0]}).json
    (file,) = (tmp_path / "landmarks").iterdir()
    assert file.name == f"portrait-{read_photo(tmp_path / 'portrait.png').sha256[:8]}.landmarks.json"
    with Workbench(tmp_path, port=0) as bench:
        client = Client(bench)
        again = client.ask(f"/api/photos/{photo['id']}").json
        assert again["by_hand"] == ["p8", "pR"]
        assert again["measurements"] == moved["measurements"]
        back = client.place(again, {}).json
        assert back["measurements"] == doc["measurements"]
    assert list((tmp_path / "landmarks").iterdir()) == []


def test_a_full_disk_is_one_sentence_and_loses_nothing(
    own: tuple[Client, Any], astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, doc = own
    folder = client.bench.folder
    x, y = next((p["x"], p["y"]) for p in doc["points"] if p["code"] == "p39")
    doc = client.place(doc, {"p39": [x - 4, y]}).json
    doc = client.describe(doc, sex="female", age="31").json
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        points = client.place(doc, {"p39": [x - 8, y]})
        assert points.status == 507
        assert "the landmarks cannot be written (No space left on device). They stay as" in points.text
        for refused in (
            client.describe(doc, age="32"),
            client.ask(f"/api/photos/{doc['id']}/results/clinical", "POST"),
            client.add("b.png", png(astronaut[:400])),
        ):
            assert refused.status == 422
            assert refused.text.count("(No space left on device).") == 1
            assert "\n" not in refused.text
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    again = client.place(doc, {"p39": [x - 8, y]}).json
    assert [p["x"] for p in again["points"] if p["moved"]] == [pytest.approx(x - 8, abs=0.001)]
    assert again["person"]["age"] == "31"


def test_two_windows_do_not_overwrite_each_other(own: tuple[Client, Any]) -> None:
    client, doc = own
    client.place(doc, {"p30": [228.0, 130.0]})
    late = client.place(doc, {"p31": [220.0, 133.0]})
    assert late.status == 409
    assert "was changed in another window since" in late.text
    now = client.ask(f"/api/photos/{doc['id']}").json
    assert now["by_hand"] == ["p30"]
    assert client.place(now, {"p30": [228.0, 130.0], "p31": [220.0, 133.0]}).json["by_hand"] == ["p30", "p31"]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"points": {"p99": [1, 1]}, "revision": 0}, "p99: no such point."),
        ({"points": {"p8": [-40, 1]}, "revision": 0}, "p8: outside the photo. Move it back."),
        ({"points": {"p8": [1]}, "revision": 0}, "p8: x and y are needed"),
        ({"points": {"p8": ["1", 2]}, "revision": 0}, "p8: x and y are needed"),
        ({"points": {"p8": [True, 2]}, "revision": 0}, "p8: x and y are needed"),
        ({"points": [], "revision": 0}, "points: an object is needed"),
        ({"points": {}}, "revision: a whole number is needed"),
        ([], "The request is no JSON object."),
        ({"points": {"p36": [250.0, 112.0]}, "revision": 0}, "are moved together"),
    ],
)
def test_points_that_cannot_be_are_refused_and_change_nothing(
    client: Client, doc: Any, told: Any, says: str
) -> None:
    answer = client.ask(f"/api/photos/{doc['id']}/points", "PUT", told=told)
    assert answer.status == 422
    assert says in answer.text
    assert client.ask(f"/api/photos/{doc['id']}").json["measurements"] == doc["measurements"]


def test_what_is_not_json_is_refused(client: Client, doc: Any) -> None:
    for text in (b"{", b"\xff\xfe", b"[" * 100_000, b'{"points": {"p8": [NaN, 1]}, "revision": 0}'):
        answer = client.ask(f"/api/photos/{doc['id']}/points", "PUT", text)
        assert answer.status == 422
        assert "\n" not in answer.text


def test_a_damaged_landmark_file_is_said_and_left(tmp_path: Path, astronaut: Pixels) -> None:
    (tmp_path / "a.png").write_bytes(png(astronaut))
    digest = read_photo(tmp_path / "a.png").sha256
    file = tmp_path / "landmarks" / f"a-{digest[:8]}.landmarks.json"
    file.parent.mkdir()
    file.write_text("{")
    with Workbench(tmp_path, port=0) as bench:
        client = Client(bench)
        (photo,) = client.ask("/api/photos").json["photos"]
        doc = client.ask(f"/api/photos/{photo['id']}").json
        assert "not readable as JSON" in doc["notes"][0]
        assert doc["by_hand"] == []
    assert file.read_text() == "{"


# ------------------------------------------------------------------------------------- the person


def test_the_person_goes_into_the_table_and_changes_the_scores(
    own: tuple[Client, Any], invoke: Invoke
) -> None:
    client, doc = own
    assert doc["compared"] == []
    told = client.describe(doc, sex="female", age="31").json
    assert told["person"]["sex"] == "female"
    (z,) = next(m["z"] for m in told["measurements"] if m["id"] == "intercanthal_width")
    assert z["lo"] < z["z"] < z["hi"]
    table = client.bench.folder / "cohort.csv"
    assert [*csv.DictReader(table.open())] == [{"photo": doc["name"], "sex": "female", "age": "31"}]
    called = client.ask(f"/api/photos/{doc['id']}/traits").json
    on_page = {of["status"]: len(of["traits"]) for of in called["lists"]}
    result = invoke("traits", table, "-o", client.bench.folder / "reports.csv")
    assert result.exit_code in (0, 3), result.output
    rows = [*csv.DictReader((client.bench.folder / "reports.csv").open())]
    assert on_page == {status: sum(row["status"] == status for row in rows) for status in on_page}
    assert sum(on_page.values()) == len(rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_other_rows_and_columns_of_a_table_stay(tmp_path: Path, astronaut: Pixels, encoding: str) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png(astronaut))
    (tmp_path / "cohort.csv").write_text("photo;clinic;age\nb.png;Bonn;4\n", encoding=encoding)
    with Workbench(tmp_path, port=0) as bench:
        client = Client(bench)
        listed = {photo["name"]: photo["id"] for photo in client.ask("/api/photos").json["photos"]}
        assert list(listed) == ["b.png", "a.png"]
        doc = client.ask(f"/api/photos/{listed['b.png']}").json
        assert client.describe(doc, sex="male").status == 200
    rows = [*csv.DictReader((tmp_path / "cohort.csv").open())]
    assert rows == [
        {"photo": "b.png", "clinic": "Bonn", "age": "4", "sex": "male"},
        {"photo": "a.png", "clinic": "", "age": "", "sex": ""},
    ]
    assert len(collect([str(tmp_path / "cohort.csv")])) == 2


def test_a_table_that_is_edited_elsewhere_is_read_again(own: tuple[Client, Any]) -> None:
    client, doc = own
    table = client.bench.folder / "cohort.csv"
    table.write_text(f"photo,sex,age\n{doc['name']},male,50\n")
    now = client.ask(f"/api/photos/{doc['id']}").json
    assert (now["person"]["sex"], now["person"]["age"]) == ("male", "50")
    assert now["compared"]
    table.write_text("sex\nmale\n")
    assert client.ask(f"/api/photos/{doc['id']}").text.endswith(
        "Name the column that holds the photos' paths `photo`."
    )


def test_a_scale_gives_millimetres(own: tuple[Client, Any]) -> None:
    client, doc = own
    wide = next(m for m in doc["measurements"] if m["id"] == "biocular_width")
    assert wide["value"] == "–"
    assert "needs millimetres" in wide["reason"]
    told = client.describe(doc, scale="mm-per-px=1.43±0.02").json
    wide = next(m for m in told["measurements"] if m["id"] == "biocular_width")
    assert 80 < float(wide["value"]) < 95
    assert "mm" in next(m for m in told["measurements"] if m["id"] == "intercanthal_width")["mm"]
    wrong = client.describe(doc, scale="1.43").json
    assert any("unknown kind '1.43'" in note for note in wrong["notes"])


def test_what_is_said_wrongly_of_a_person_is_a_note(own: tuple[Client, Any]) -> None:
    client, doc = own
    told = client.describe(doc, sex="female", age="in her thirties").json
    assert any("'in her thirties' is not an age" in note for note in told["notes"])
    assert client.describe(doc, name="Eileen").status == 422
    assert client.describe(doc, age="9" * 300).status == 422
    answer = client.ask(f"/api/photos/{doc['id']}/person", "PUT", told={"person": {"age": 31}})
    assert answer.text == "person: an object of texts is needed."


# ----------------------------------------------------------------------------------- what is kept


def test_reports_and_files_are_those_of_the_commands(own: tuple[Client, Any]) -> None:
    client, doc = own
    client.describe(doc, sex="female", age="31")
    client.place(client.ask(f"/api/photos/{doc['id']}").json, {"p39": [214.0, 114.5]})

    def result(kind: str) -> bytes:
        answer = client.ask(f"/api/photos/{doc['id']}/results/{kind}")
        assert answer.status == 200, answer.text
        return answer.body

    assert b"<h1" in result("report")
    assert b"Present" in result("traits")
    packet = json.loads(result("phenopacket"))
    assert packet["subject"]["sex"] == "FEMALE"
    assert "landmarks placed by hand: p39" in json.dumps(packet)
    (row,) = csv.DictReader(io.StringIO(result("table").decode()))
    assert row["moved_landmarks"].startswith("p39 ")
    landmarks = json.loads(result("landmarks"))
    assert landmarks["schema"] == "anthropo landmarks 1"
    kept = client.ask(f"/api/photos/{doc['id']}/results/report", "POST").json["path"]
    assert Path(kept).read_bytes() == result("report")
    assert len(client.ask("/api/photos").json["photos"]) == 1  # reports are no photos
