"""Landmarks saved, corrected by hand, and measured from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohorts import TRAIN, model, synthetic, two_labels, write
from conftest import Copies, Invoke, Pixels, refused
from PIL import Image

import anthropo
from anthropo.face.fine import refine
from anthropo.face.frame import face_axes
from anthropo.measurement import anatomy
from anthropo.measurement.landmark_file import POINTS, landmarks_text, moved, point_name, read_landmarks

Document = dict[str, Any]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, astronaut_png: Path) -> Document:
    """The astronaut's landmark file, parsed."""
    photo = anthropo.read_photo(astronaut_png)
    face = refine(photo, anthropo.read_face(photo))
    document: Document = json.loads(landmarks_text(face, photo.sha256))
    return document


def edited(folder: Path, saved: Document, **places: tuple[Any, Any]) -> Path:
    """A copy of the file with points put elsewhere."""
    document = json.loads(json.dumps(saved))
    for row in document["points"]:
        if row["point"] in places:
            row["x"], row["y"] = places[row["point"]]
    path = folder / "edited.json"
    path.write_text(json.dumps(document))
    return path


def place(saved: Document, point: str) -> tuple[float, float]:
    (row,) = [r for r in saved["points"] if r["point"] == point]
    return row["x"], row["y"]


def results(path: Path) -> Document:
    (record,) = json.loads(path.read_text())["photos"]
    assert record["status"] == "ok", record["reason"]
    return dict(record)


# ------------------------------------------------------------------------------------ the file


def test_file_has_a_line_for_every_point_with_its_name(
    tmp_path: Path, astronaut_png: Path, invoke: Invoke
) -> None:
    path = tmp_path / "x.json"
    assert invoke("measure", astronaut_png, "--save-landmarks", path).exit_code == 0
    lines = [line for line in path.read_text().splitlines() if '"point"' in line]
    assert [re.findall(r'"point": "(\w+)"', line) for line in lines] == [[name] for name in POINTS]
    assert len(POINTS) == 74
    assert '"point": "p36", "name": "right eye, exR", "x": 1' in lines[36]
    document = json.loads(path.read_text())
    assert (document["photo"], document["width"], document["height"]) == ("astronaut.png", 512, 512)
    assert document["sha256"] == anthropo.read_photo(astronaut_png).sha256


def test_names_of_points() -> None:
    assert [point_name(p) for p in ("p0", "p8", "p30", "p42", "p54", "p62", "psL")] == [
        "face outline", "face outline, gn", "nasal bridge, prn", "left eye, enL", "outer lips, chL",
        "inner lips, sts", "left upper lid's margin",
    ]  # fmt: skip


def test_file_has_the_places_that_are_measured(saved: Document, astronaut_png: Path) -> None:
    photo = anthropo.read_photo(astronaut_png)
    face = refine(photo, anthropo.read_face(photo))
    points, middle = anatomy.place(face)
    assert np.allclose([place(saved, name) for name in POINTS], np.concatenate([points, middle]), atol=6e-4)
    by_id = {m.id: m.value for m in anthropo.measure_face(face, force=True)}
    en = np.subtract(place(saved, "p39"), place(saved, "p42"))
    ex = np.subtract(place(saved, "p36"), place(saved, "p45"))
    assert np.hypot(*en) / np.hypot(*ex) == pytest.approx(by_id["intercanthal_width"], abs=2e-5)


@pytest.mark.parametrize("options", [(), ("--no-fine",), ("--scale", "ipd=62", "--texture")])
def test_round_trip_without_edits_gives_the_same_numbers(
    tmp_path: Path, astronaut_png: Path, invoke: Invoke, options: tuple[str, ...]
) -> None:
    file, plain, again = tmp_path / "x.json", tmp_path / "a.json", tmp_path / "b.json"
    invoke("measure", astronaut_png, "--save-landmarks", file, "-o", plain, *options)
    invoke("measure", astronaut_png, "--landmarks", file, "-o", again, *options)
    a, b = results(plain), results(again)
    assert b["diagnostics"].pop("landmarks") != a["diagnostics"].pop("landmarks") == ""
    assert a == b


def test_corrected_file_is_never_overwritten(
    tmp_path: Path, saved: Document, astronaut_png: Path, invoke: Invoke
) -> None:
    path = edited(tmp_path, saved, p36=(150, 100))
    before = path.read_text()
    assert refused(invoke, "measure", astronaut_png, "--save-landmarks", path) == (
        f"Error: {path}: exists, and may have been corrected. Pass it to --landmarks, delete it or give "
        "another name.\n"
    )
    assert path.read_text() == before


# --------------------------------------------------------------------------------- corrections


def test_moved_point_is_where_the_hand_put_it_and_no_offset_is_added(
    saved: Document, astronaut_png: Path, tmp_path: Path
) -> None:
    photo = anthropo.read_photo(astronaut_png)
    first = anthropo.read_face(photo)
    face = refine(photo, first)
    offset = anatomy.instrument("fine").correction.points[39]
    assert np.hypot(*offset) > 0.01  # inner canthi lie elsewhere than the scheme has them
    x, y = place(saved, "p39")
    file = read_landmarks(edited(tmp_path, saved, p39=(x + 3, y - 2), pR=(200, 120)))
    corrected = moved(face, first, file)
    points, middle = anatomy.place(corrected)
    assert points[39].tolist() == [x + 3, y - 2]
    assert middle[0].tolist() == [200, 120]
    before = anatomy.place(face)[0]
    assert np.array_equal(np.delete(points, 39, 0), np.delete(before, 39, 0))  # and no other moved
    # colour and scale look at the scheme's points: this one is where the machine would see that place
    seen = corrected.landmarks[39] + offset @ face_axes(face.landmarks)
    assert np.allclose(seen, (x + 3, y - 2), atol=1e-9)


def test_corrections_reach_measurements_and_the_table_tells_them(
    tmp_path: Path, saved: Document, astronaut_png: Path, invoke: Invoke
) -> None:
    x, y = place(saved, "p39")
    path = edited(tmp_path, saved, p39=(x + 3, y - 4))
    plain, after = tmp_path / "a.json", tmp_path / "b.json"
    invoke("measure", astronaut_png, "-o", plain)
    assert invoke("measure", astronaut_png, "--landmarks", path, "-o", after).exit_code == 0
    a, b = results(plain), results(after)
    unit = np.hypot(*np.subtract(place(saved, "p45"), place(saved, "p36")))
    ex = np.array(place(saved, "p36"))
    expected = np.hypot(*(np.array([x + 3, y - 4]) - ex)) / unit
    name = "palpebral_fissure_length_R"
    assert b["measurements"][name]["value"] == pytest.approx(expected, abs=2e-5)
    assert b["measurements"][name]["value"] > a["measurements"][name]["value"] + 0.02
    # what does not touch the point stays
    for other in ("palpebral_fissure_length_L", "bizygomatic_width", "lip_a"):
        assert b["measurements"][other]["value"] == a["measurements"][other]["value"]
    assert b["moved"] == {"p39": 5.0}
    table = tmp_path / "b.csv"
    invoke("measure", astronaut_png, "--landmarks", path, "-o", table)
    assert "p39 5 px" in table.read_text()
    shown = invoke("measure", astronaut_png, "--landmarks", path).stdout
    assert "landmarks placed by hand: p39 by 5.0 px" in shown


def test_pose_and_gate_follow_corrections(
    tmp_path: Path, saved: Document, astronaut_png: Path, invoke: Invoke
) -> None:
    """She smiles with her teeth shown; lips put together close the mouth and give the lip gap back."""
    middle = np.mean([place(saved, "p62"), place(saved, "p66")], 0)
    nose = {f"p{i}": (place(saved, f"p{i}")[0] + 6, place(saved, f"p{i}")[1]) for i in range(27, 36)}
    path = edited(tmp_path, saved, p62=tuple(middle), p66=tuple(middle), **nose)
    plain, after = tmp_path / "a.json", tmp_path / "b.json"
    invoke("measure", astronaut_png, "-o", plain)
    invoke("measure", astronaut_png, "--landmarks", path, "-o", after)
    a, b = results(plain), results(after)
    assert not a["gate"]["mouth_open"]["ok"]
    assert b["gate"]["mouth_open"]["ok"]
    # a nose to the photo's right: a head turned to the subject's left
    assert b["pose"]["yaw"] > a["pose"]["yaw"] + 5
    assert b["gate"]["yaw"]["value"] == b["pose"]["yaw"]
    for name in ("sharpness", "glasses", "landmark_spread"):
        assert b["gate"][name] == a["gate"][name]


def test_edited_file_is_measured_anew_by_a_second_run(
    tmp_path: Path, saved: Document, astronaut_png: Path, invoke: Invoke
) -> None:
    table = tmp_path / "a.csv"
    x, y = place(saved, "p39")
    path = edited(tmp_path, saved)
    invoke("measure", astronaut_png, "--landmarks", path, "-o", table)
    assert "by an earlier run" in invoke("measure", astronaut_png, "--landmarks", path, "-o", table).stderr
    edited(tmp_path, saved, p39=(x + 1, y))
    assert "earlier" not in invoke("measure", astronaut_png, "--landmarks", path, "-o", table).stderr
    assert "p39 1 px" in table.read_text()
    # and without the file the automatic landmarks again
    assert "earlier" not in invoke("measure", astronaut_png, "-o", table).stderr
    assert "p39" not in table.read_text()


# -------------------------------------------------------------------------------- many photos


def test_folder_of_files_by_photo(tmp_path: Path, astronaut: Pixels, invoke: Invoke) -> None:
    photos, folder = tmp_path / "photos", tmp_path / "marks"
    photos.mkdir()
    for name, shift in (("a", 0), ("b", 5)):
        Image.fromarray(np.roll(astronaut, shift, 1)).save(photos / f"{name}.png")
    plain, after = tmp_path / "a.csv", tmp_path / "b.csv"
    invoke("measure", photos, "--save-landmarks", folder, "-o", plain)
    files = sorted(folder.iterdir())
    assert [re.sub("-[0-9a-f]{8}", "", f.name) for f in files] == ["a.landmarks.json", "b.landmarks.json"]
    document = json.loads(files[1].read_text())
    document["points"][39]["x"] += 2
    files[1].write_text(json.dumps(document))
    files[0].unlink()  # a photo without a file is found automatically
    assert invoke("measure", photos, "--landmarks", folder, "-o", after).exit_code == 0
    a, b = (p.read_text().splitlines() for p in (plain, after))
    assert a[1] == b[1]
    assert "p39 2 px" in b[2]
    # saved once more, the corrected file stays
    invoke("measure", photos, "--save-landmarks", folder)
    assert len(list(folder.iterdir())) == 2
    assert json.loads(files[1].read_text()) == document


def test_faces_of_one_photo_have_a_file_each(tmp_path: Path, two_faces_png: Path, invoke: Invoke) -> None:
    folder, table = tmp_path / "marks", tmp_path / "a.json"
    invoke("measure", two_faces_png, "--face", "all", "--save-landmarks", folder)
    files = sorted(folder.iterdir())
    assert len(files) == 2
    document = json.loads(files[0].read_text())
    document["points"][39]["x"] += 2
    files[0].write_text(json.dumps(document))
    invoke("measure", two_faces_png, "--face", "all", "--landmarks", folder, "-o", table)
    moves = [record["moved"] for record in json.loads(table.read_text())["photos"]]
    assert sorted(map(len, moves)) == [0, 1]


def test_python(tmp_path: Path, saved: Document, astronaut_png: Path) -> None:
    x, y = place(saved, "p39")
    path = edited(tmp_path, saved, p39=(x, y + 2))
    table = anthropo.measure_table(astronaut_png, landmarks=path)
    assert table["moved_landmarks"].tolist() == ["p39 2 px"]


# ----------------------------------------------------------------------------------- bad input


def without(saved: Document, *points: str) -> Document:
    return {**saved, "points": [r for r in saved["points"] if r["point"] not in points]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: without(s, "p12"),
            "p12 missing: 67 of the 68 points and 6 of the 6 others are there. Save the landmarks again.",
        ),
        (
            lambda s: {**s, "points": [{**s["points"][0], "x": "left"}, *s["points"][1:]]},
            "p0: 'left' is no number, a number for x and for y is needed.",
        ),
        (
            lambda s: {**s, "points": [{**s["points"][0], "y": float("nan")}, *s["points"][1:]]},
            "p0: nan is no number, a number for x and for y is needed.",
        ),
        (
            lambda s: {**s, "points": [{**s["points"][0], "y": 10**400}, *s["points"][1:]]},
            f"p0: {10**400} is no number, a number for x and for y is needed.",
        ),
        (
            lambda s: {**s, "points": [{**s["points"][0], "found": [1]}, *s["points"][1:]]},
            "p0: [1] is no pair, a number for x and for y is needed.",
        ),
        (
            lambda s: {**s, "points": [*s["points"], s["points"][3]]},
            "p3 is there twice. Keep one of them.",
        ),
        (
            lambda s: {**s, "points": [{**s["points"][0], "x": 600}, *s["points"][1:]]},
            "p0: (600, 105.039) lies outside the photo of 512 × 512 pixels.",
        ),
        (
            lambda s: {**s, "points": [{"point": "p68", "x": 1, "y": 1, "found": [1, 1]}]},
            "'p68' is no point; p0 to p67 and pR, pL, psR, psL, piR, piL are.",
        ),
        (lambda s: [1, 2], "not a landmark file (anthropo landmarks 1). Make one with --save-landmarks."),
        (
            lambda s: {k: v for k, v in s.items() if k != "sha256"},
            "photo, sha256, width, height or points is missing. Save the landmarks again.",
        ),
    ],
)
def test_file_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, saved: Document, astronaut_png: Path, invoke: Invoke, change: Any, message: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(change(saved)))
    told = refused(invoke, "measure", astronaut_png, "--landmarks", path, says=f"Error: {path}")
    assert told.endswith(f"{message}\n")
    assert told.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_garbage_is_one_sentence(tmp_path: Path, astronaut_png: Path, invoke: Invoke, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert refused(invoke, "measure", astronaut_png, "--landmarks", path).count("\n") == 1


def test_file_of_another_photo(
    tmp_path: Path, saved: Document, astronaut_jpg: Path, astronaut_png: Path, invoke: Invoke
) -> None:
    path = edited(tmp_path, saved)
    result = invoke("measure", astronaut_jpg, "--landmarks", path)
    assert (result.exit_code, result.stdout) == (1, "")
    told = f"is for another photo, astronaut.png with the SHA-256 {saved['sha256'][:8]}…. Save the"
    assert result.stderr == f"{astronaut_jpg}: {path} {told} landmarks of this photo again.\n"
    # in a folder: a photo of the same name whose content has changed
    folder = tmp_path / "marks"
    folder.mkdir()
    file = path.rename(folder / "astronaut.landmarks.json")
    other = tmp_path / "astronaut.png"
    Image.open(astronaut_png).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other)
    sentence = f"Error: {other}: {file} {told} landmarks of this photo again.\n"
    assert refused(invoke, "measure", other, "--landmarks", folder) == sentence
    # but two photos of one name in two folders are each their own
    table = tmp_path / "t.json"
    assert invoke("measure", other, astronaut_png, "--landmarks", folder, "-o", table).exit_code == 0
    stamps = [r["diagnostics"]["landmarks"] for r in json.loads(table.read_text())["photos"]]
    assert [bool(stamp) for stamp in stamps] == [False, True]


def test_two_files_of_one_face_are_refused(
    tmp_path: Path, saved: Document, astronaut_png: Path, invoke: Invoke
) -> None:
    folder = tmp_path / "marks"
    folder.mkdir()
    for name in ("a", "b"):
        edited(tmp_path, saved).rename(folder / f"{name}.landmarks.json")
    result = invoke("measure", astronaut_png, "--landmarks", folder)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"{astronaut_png}: {folder}/a.landmarks.json and {folder}/b.landmarks.json are of the same face. "
        "Keep one of them.\n"
    )


def test_what_is_unclear_is_refused(
    tmp_path: Path, saved: Document, astronaut_png: Path, copies: Copies, invoke: Invoke
) -> None:
    path = edited(tmp_path, saved)
    two = copies(tmp_path, "a.png", "b.png")
    cases = [
        ((*two, "--landmarks", path), "one file for 2 photos. Name a folder with the file of each."),
        ((*two, "--save-landmarks", tmp_path / "y.json"), "one file for several faces. Name a folder."),
        ((astronaut_png, "--landmarks", tmp_path / "gone.json"), "gone.json: no such file."),
        ((two[0], "--landmarks", tmp_path), "in this folder. Make --save-landmarks."),
        (
            (astronaut_png, "--landmarks", path, "--save-landmarks", tmp_path / "y.json"),
            "--save-landmarks with --landmarks: the corrected file is there already. Leave one of them out.",
        ),
    ]
    for arguments, message in cases:
        told = refused(invoke, "measure", *arguments)
        assert told.endswith(f"{message}\n")
        assert told.count("\n") == 1


# ----------------------------------------------------------------------- the commands that follow


def with_wider_eyes(folder: Path, photo: Path, invoke: Invoke) -> Path:
    """The photo's landmark file with the outer canthi 8 pixels farther out."""
    path = folder / "own.json"
    assert invoke("measure", photo, "--save-landmarks", path).exit_code == 0
    saved = json.loads(path.read_text())
    (x_right, y_right), (x_left, y_left) = place(saved, "p36"), place(saved, "p45")
    return edited(folder, saved, p36=(x_right - 8, y_right), p45=(x_left + 8, y_left))


def test_traits_and_phenopacket_follow_and_tell_it(
    tmp_path: Path, astronaut_png: Path, invoke: Invoke
) -> None:
    file = with_wider_eyes(tmp_path, astronaut_png, invoke)
    who = (astronaut_png, "--sex", "female", "--age", "40")
    assert "HP:0000601" not in invoke("traits", *who).stdout
    result = invoke("traits", *who, "--landmarks", file)
    assert result.exit_code == 0
    assert "landmarks placed by hand: p36, p45\n" in result.stdout
    assert "HP:0000601" in result.stdout  # hypotelorism: everything is narrow against the outer canthi
    invoke("traits", *who, "--landmarks", file, "-o", tmp_path / "case.json")
    created = json.loads((tmp_path / "case.json").read_text())["metaData"]["createdBy"]
    assert created.endswith("(landmarks placed by hand: p36, p45)")
    invoke("traits", *who, "--landmarks", file, "-o", tmp_path / "t.csv")
    assert "p36; p45" in (tmp_path / "t.csv").read_text()


def test_a_model_judges_by_corrected_landmarks(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, astronaut_png: Path, invoke: Invoke
) -> None:
    trained = model(tmp_path_factory, "strangers")
    file = with_wider_eyes(tmp_path, astronaut_png, invoke)

    def log_odds(command: str, *more: Any) -> float:
        output = tmp_path / "o.json"
        result = invoke(command, "--model", trained, astronaut_png, "-o", output, *more)
        assert result.exit_code == 0, result.output
        made = json.loads(output.read_text())
        if command == "explain":
            assert set(made["moved"]) == ({"p36", "p45"} if more else set())
        ranked = made["ranked"] if command == "explain" else made[0]["ranked"]
        return next(float(r["log_odds"]) for r in ranked if r["label"] == "one")

    own = log_odds("classify")
    moved_ = log_odds("classify", "--landmarks", file)
    assert moved_ != own
    assert log_odds("classify") == own  # what is kept of the photo is not what was corrected
    assert log_odds("explain", "--landmarks", file) == pytest.approx(moved_, abs=1e-6)
    page = tmp_path / "why.html"
    invoke("explain", "--model", trained, astronaut_png, "--landmarks", file, "-o", page)
    assert "Landmarks placed by hand: p36, p45." in page.read_text()


def test_training_counts_corrected_photos(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, invoke: Invoke
) -> None:
    rows = two_labels(synthetic(tmp_path_factory))
    files = tmp_path / "corrected"
    files.mkdir()
    with_wider_eyes(tmp_path, Path(rows[0]["photo"]), invoke).rename(files / "one.landmarks.json")
    cohort, output = write(tmp_path / "c.csv", rows), tmp_path / "m.anthropo"
    result = invoke("train", cohort, "-o", output, "--no-judge", *TRAIN, "--landmarks", files)
    assert result.exit_code == 0, result.output
    card = invoke("inspect", output, "--card").stdout
    assert "Landmarks were placed by hand in 1 photo." in card
    assert str(tmp_path) not in card


def test_for_models_a_file_of_another_photo_is_refused(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, astronaut_png: Path, two_faces_png: Path,
    invoke: Invoke,
) -> None:  # fmt: skip
    trained = model(tmp_path_factory, "strangers")
    file = with_wider_eyes(tmp_path, astronaut_png, invoke)
    result = invoke("classify", "--model", trained, two_faces_png, "--landmarks", file)
    assert result.exit_code == 1
    assert "is for another photo, astronaut.png with the SHA-256" in result.stderr
    sentence = "one file for 2 photos. Name a folder"
    refused(invoke, "traits", astronaut_png, two_faces_png, "--landmarks", file, says=sentence)
