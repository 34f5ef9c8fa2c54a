"""anthropo composite, on synthetic people whose labels change known parts of the face."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cohorts import FAST, PATIENTS, Row, rows_of, run, synthetic, two_labels, write
from conftest import Invoke, refused
from numpy.typing import NDArray
from PIL import Image

from anthropo.face.frame import in_face_frame
from anthropo.face.landmarker import read_face

SMALL = ("--size", "200", *FAST)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Ten control, ten synthetic-A and three synthetic-B."""
    wanted = {"control": 10, "synthetic-A": 10, "synthetic-B": 3}
    found = rows_of(synthetic(tmp_path_factory))
    return [row for label, n in wanted.items() for row in [r for r in found if r["label"] == label][:n]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("composite")
    cohort = write(folder / "c.csv", two_labels(synthetic(tmp_path_factory)))
    run("composite", cohort, "-o", folder / "out", "--size", "400", *FAST)
    return folder / "out"


def table(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_label_gets_its_pictures_and_numbers(made: Path) -> None:
    assert sorted(p.name for p in made.iterdir()) == [
        "composites.json", "contact-sheet.png", "control.png", "displacement.csv", "shapes.csv",
        "synthetic-A-displacement.png", "synthetic-A.png",
    ]  # fmt: skip
    said = json.loads((made / "composites.json").read_text())
    assert [(g["label"], g["patients"], g["photos"]) for g in said["labels"]] == [
        ("control", PATIENTS, PATIENTS),
        ("synthetic-A", PATIENTS, PATIENTS),
    ]
    assert (said["controls"], said["refused"], said["photos_left_out"]) == ("control", [], 0)
    points = table(made / "shapes.csv")
    assert len(points) == 2 * 68
    mean = {row["landmark"]: float(row["x"]) for row in points if row["label"] == "control"}
    assert mean["exL"] - mean["exR"] == pytest.approx(1, abs=0.05)


def test_pictures_are_of_the_size_asked_with_a_caption_and_no_metadata(made: Path) -> None:
    for name in ("control.png", "synthetic-A-displacement.png", "contact-sheet.png"):
        with Image.open(made / name) as picture:
            assert picture.mode == "RGB"
            assert not picture.info
            assert not picture.getexif()
    with Image.open(made / "control.png") as picture:
        assert picture.width == 360
        assert picture.height > 400
        caption = np.asarray(picture)[402:]
    assert (caption == 255).mean() > 0.5
    assert (caption < 128).any()  # written on


def means(folder: Path) -> dict[str, NDArray[np.float64]]:
    """Mean shapes (68, 2) by label, each in its own frame."""
    points = table(folder / "shapes.csv")
    return {
        label: in_face_frame(
            np.array([(float(r["x"]), float(r["y"])) for r in points if r["label"] == label])
        )
        for label in ("control", "synthetic-A")
    }


def test_what_the_label_changes_is_displaced(made: Path) -> None:
    """synthetic-A: a chin 1.8 SD shorter, inner canthi farther out, a thinner upper lip."""
    moved = {int(row["point"]): row for row in table(made / "displacement.csv")}
    chin = moved[8]
    assert float(chin["dy"]) < -0.04
    assert float(chin["p_adjusted"]) < 0.05
    for row in moved.values():
        assert 0 < float(row["p"]) <= float(row["p_adjusted"]) <= 1
        assert float(row["length"]) == pytest.approx(np.hypot(float(row["dx"]), float(row["dy"])), rel=1e-3)
    change = means(made)["synthetic-A"] - means(made)["control"]
    assert change[39, 0] < -0.005
    assert change[42, 0] > 0.005
    assert change[8, 1] < -0.08


def test_composites_have_the_shape_of_their_people(made: Path) -> None:
    """Landmarks found in the two pictures differ as the means do."""
    expected = means(made)["synthetic-A"] - means(made)["control"]
    control, other = (
        in_face_frame(read_face(str(made / f"{label}.png")).landmarks) for label in ("control", "synthetic-A")
    )
    found = other - control
    assert found[8, 1] == pytest.approx(expected[8, 1], abs=0.04)
    assert np.corrcoef(found[:17].ravel(), expected[:17].ravel())[0, 1] > 0.9


def test_with_a_common_shape_nothing_is_left_of_that(rows: list[Row], tmp_path: Path) -> None:
    run("composite", write(tmp_path / "c.csv", rows[:20]), "-o", tmp_path / "o", "--common-shape", *FAST)
    control, other = (
        in_face_frame(read_face(str(tmp_path / "o" / f"{label}.png")).landmarks)
        for label in ("control", "synthetic-A")
    )
    assert np.hypot(*(control - other).T).max() < 0.035
    assert abs((control - other)[8, 1]) < 0.02


def test_the_same_people_give_the_same_files(rows: list[Row], tmp_path: Path) -> None:
    cohort = write(tmp_path / "c.csv", [*rows[:5], *rows[10:15]])
    for name, jobs in (("one", 1), ("two", 2)):
        run("composite", cohort, "-o", tmp_path / name, *SMALL, "--sharp", "-j", jobs)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_labels_of_few_people_and_photos_without_a_face_are_left_out(
    rows: list[Row], tmp_path: Path, invoke: Invoke, faceless_png: Path
) -> None:
    faceless = {**rows[0], "photo": str(faceless_png), "patient": "x"}
    cohort = write(tmp_path / "c.csv", [faceless, *rows[:5], *rows[20:]])
    result = invoke("composite", cohort, "-o", tmp_path / "out", *SMALL)
    assert result.exit_code == 3, result.output
    assert (
        "synthetic-B: 3 patients with a face, 5 are needed: a composite of fewer shows a person"
        in result.output
    )
    assert "coins.png: no face found" in result.output
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "composites.json", "contact-sheet.png", "control.png", "shapes.csv",
    }  # fmt: skip
    said = json.loads((tmp_path / "out" / "composites.json").read_text())
    assert (said["refused"], said["photos_left_out"]) == (["synthetic-B"], 1)


def test_photos_without_a_face_can_leave_a_label_too_small(
    rows: list[Row], tmp_path: Path, invoke: Invoke, faceless_png: Path
) -> None:
    lost = [{**row, "photo": str(faceless_png), "patient": f"x{i}"} for i, row in enumerate(rows[:1])]
    result = invoke(
        "composite", write(tmp_path / "c.csv", [*lost, *rows[:4]]), "-o", tmp_path / "out", *SMALL
    )
    assert result.exit_code == 1
    assert "control: 4 patients with a face, 5 are needed" in result.output
    assert not (tmp_path / "out").exists()


def test_a_composite_of_three_is_made_when_asked_for_with_a_warning(
    rows: list[Row], tmp_path: Path, invoke: Invoke
) -> None:
    cohort = write(tmp_path / "c.csv", rows[20:])
    result = invoke("composite", cohort, "-o", tmp_path / "out", "--min-patients", "3", *SMALL)
    assert result.exit_code == 0, result.output
    assert "may be recognised" in result.output
    assert (tmp_path / "out" / "synthetic-B.png").is_file()
    refused(invoke, "composite", cohort, "-o", tmp_path / "o", "--min-patients", "1")


def test_a_cohort_of_one_is_refused_in_one_sentence(rows: list[Row], tmp_path: Path, invoke: Invoke) -> None:
    cohort = write(tmp_path / "c.csv", rows[:1])
    assert refused(invoke, "composite", cohort, "-o", tmp_path / "out", *SMALL) == (
        f"Error: {cohort}: no label has 5 patients (control: 1), and a composite of fewer shows a person. "
        "Add patients.\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_kept_unless_said_otherwise(
    rows: list[Row], tmp_path: Path, invoke: Invoke
) -> None:
    cohort = write(tmp_path / "c.csv", rows[:5])
    out = tmp_path / "out"
    out.mkdir()
    (out / "control.png").write_bytes(b"mine")
    (out / "notes.txt").write_text("mine")
    assert refused(invoke, "composite", cohort, "-o", out, *SMALL) == (
        f"Error: {out}: not empty. Name another folder, or pass --overwrite to replace what is there.\n"
    )
    assert (out / "control.png").read_bytes() == b"mine"
    assert invoke("composite", cohort, "-o", out, "--overwrite", *SMALL).exit_code == 0
    assert (out / "control.png").read_bytes()[:4] == b"\x89PNG"
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("c.csv", "a file, not a folder"),
        ("photos/out", "lies in the cohort's folder"),
    ],
)
def test_places_that_cannot_be_written_to(
    rows: list[Row], tmp_path: Path, invoke: Invoke, place: str, sentence: str
) -> None:
    write(tmp_path / "c.csv", rows[:5])
    (tmp_path / "photos" / "control").mkdir(parents=True)
    shutil.copy(rows[0]["photo"], tmp_path / "photos" / "control")
    arguments = ("composite", tmp_path / "photos", "-o", tmp_path / place, *SMALL)
    assert refused(invoke, *arguments, says=sentence).count("\n") == 1


def test_controls_are_named_or_found(rows: list[Row], tmp_path: Path, invoke: Invoke) -> None:
    renamed = [{**row, "label": {"control": "plain"}.get(row["label"], row["label"])} for row in rows]
    cohort = write(tmp_path / "c.csv", [*renamed[:5], *renamed[10:15]])
    result = invoke("composite", cohort, "-o", tmp_path / "a", *SMALL)
    assert result.exit_code == 0
    assert "no maps of displacement. Name it with --controls" in result.output
    result = invoke("composite", cohort, "-o", tmp_path / "b", "--controls", "plain", *SMALL)
    assert result.exit_code == 0
    assert (tmp_path / "b" / "synthetic-A-displacement.png").is_file()
    arguments = ("composite", cohort, "-o", tmp_path / "c", "--controls", "nobody", *SMALL)
    refused(invoke, *arguments, says="nobody: no photo has this label")


def test_people_with_several_labels_are_counted_in_each(
    rows: list[Row], tmp_path: Path, invoke: Invoke
) -> None:
    cohort = write(
        tmp_path / "c.csv",
        [*rows[:5], *({**r, "patient": c["patient"]} for r, c in zip(rows[10:15], rows, strict=False))],
    )
    result = invoke("composite", cohort, "-o", tmp_path / "out", *SMALL)
    assert result.exit_code == 0, result.output
    assert "5 patients with more than one label: counted in each" in result.output


def test_with_a_cache_no_face_is_looked_for_twice(
    rows: list[Row], tmp_path: Path, faceless_png: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [
        row for label in ("control", "synthetic-A") for row in [r for r in rows if r["label"] == label][:3]
    ]
    cohort = write(tmp_path / "c.csv", [*few, {**few[0], "photo": str(faceless_png), "patient": "nobody"}])
    words = ("composite", cohort, *SMALL, "--min-patients", 2, "--cache", tmp_path / "cache")
    first = invoke(*words, "-o", tmp_path / "first")
    assert (first.exit_code, len(list((tmp_path / "cache").rglob("*.bin")))) == (3, 7)
    monkeypatch.setattr("anthropo.groups.composite.observe", lambda *_: 1 / 0)
    again = invoke(*words, "-o", tmp_path / "again")
    assert (again.exit_code, again.stderr) == (3, first.stderr.replace("first", "again"))
    assert "no face found" in again.stderr
    for path in (tmp_path / "first").iterdir():
        if path.suffix != ".json":
            assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    with pytest.raises(ZeroDivisionError):  # in another way they would have to be looked for
        invoke(*words, "--face", "largest", "-o", tmp_path / "other")


def test_a_damaged_entry_of_the_cache_is_made_again(rows: list[Row], tmp_path: Path, invoke: Invoke) -> None:
    few = [
        row for label in ("control", "synthetic-A") for row in [r for r in rows if r["label"] == label][:2]
    ]
    cohort = write(tmp_path / "c.csv", few)
    words = ("composite", cohort, *SMALL, "--min-patients", 2, "--cache", tmp_path / "cache")
    assert invoke(*words, "-o", tmp_path / "a").exit_code == 0
    entry = next((tmp_path / "cache").rglob("*.bin"))
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-8] + b"\xff" * 8)
    assert invoke(*words, "-o", tmp_path / "b").exit_code == 0
    assert entry.read_bytes() == whole
    assert (tmp_path / "a/control.png").read_bytes() == (tmp_path / "b/control.png").read_bytes()
