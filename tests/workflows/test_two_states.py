"""What changed between photographs of which the truth is known, and those that cannot be used."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Invoke, refused, sentence_of
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import anthropo
from anthropo.batch.inputs import Item
from anthropo.decoding.provenance import GENERATED, synthetic_sentence, xmp
from anthropo.errors import FaceError, InputError
from anthropo.face.frame import face_axes
from anthropo.groups.change import CHANGED, MOVED, NOT_COMPARED
from anthropo.synthetic.warping import as_pixels, border_of, sample, spline_map, with_pupils
from anthropo.workflows.change import ChangeRequest, ChangeResult, change, compared
from anthropo.workflows.change_cohort import change_cohort

Pixels = NDArray[np.uint8]
#: Points of the mouth's left half, and how much of the corner's move each takes part in.
_LEFT = {54: 1.0, 64: 1.0, 53: 0.7, 55: 0.7, 52: 0.35, 56: 0.35, 63: 0.4, 65: 0.4}
READING = anthropo.PhotoReading(jobs=1, cache="none")
ONCE = ChangeRequest(reading=READING)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, astronaut: Pixels) -> Path:
    """before.png, wider.png (the mouth's left corner further out), half.png (of half the size)."""
    made = tmp_path_factory.mktemp("change")
    part = Image.fromarray(astronaut).crop((120, 20, 340, 260))
    large = part.resize((660, 720), Image.Resampling.LANCZOS)
    large.save(made / "before.png")
    large.resize((330, 360), Image.Resampling.LANCZOS).save(made / "half.png")
    face = anthropo.observe(str(made / "before.png")).face
    Image.fromarray(widened(np.asarray(large), face, 0.08)).save(made / "wider.png")
    return made


def widened(pixels: Pixels, face: anthropo.Face, amount: float) -> Pixels:
    """The picture with the left corner of the mouth further out, in outer-canthal distances."""
    move = np.zeros((70, 2))
    for point, share in _LEFT.items():
        move[point, 0] = share * amount
    points, border = with_pupils(face), border_of(*pixels.shape[:2])
    to = points + move @ face_axes(face.landmarks)
    at = spline_map(np.concatenate([to, border]), np.concatenate([points, border]), *pixels.shape[:2])
    return as_pixels(sample(pixels.astype(np.float32), at))


@pytest.fixture(scope="module")
def wider(folder: Path) -> ChangeResult:
    return change(folder / "before.png", folder / "wider.png", ONCE)


def found(result: ChangeResult) -> dict[str, float]:
    return {c.id: c.difference for c in result.changes if c.status in (CHANGED, MOVED)}


def test_a_mouth_that_is_wider_on_one_side_is_found_with_its_side_and_size(wider: ChangeResult) -> None:
    differences = found(wider)
    for name in ("mouth_width", "commissure_excursion_L", "asymmetry_mouth_corner_width"):
        assert differences[name] == pytest.approx(0.08, rel=0.35)
    assert differences["asymmetry_commissure_excursion"] > 5  # positive: the left is larger
    assert "commissure_excursion_R" not in differences
    # the skin between mouth and nose is pulled along; nothing else
    beyond = {name for name in differences if anthropo.registry()[name].region != "mouth"}
    assert beyond <= {"nose_mouth_width_index", "asymmetry_ala_width"}


def test_the_mirrored_photos_show_it_on_the_other_side(folder: Path, tmp_path: Path) -> None:
    for name in ("before.png", "wider.png"):
        Image.open(folder / name).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / name)
    differences = found(change(tmp_path / "before.png", tmp_path / "wider.png", ONCE))
    assert differences["commissure_excursion_R"] == pytest.approx(0.08, rel=0.35)
    assert differences["asymmetry_mouth_corner_width"] == pytest.approx(-0.08, rel=0.35)
    assert "commissure_excursion_L" not in differences


def test_a_photo_at_half_its_size_shows_nothing(folder: Path) -> None:
    result = change(folder / "before.png", folder / "half.png", ONCE)
    assert found(result) == {}
    assert {c.entry.kind for c in result.changes if c.status == NOT_COMPARED} == {"colour", "eye", "texture"}
    assert result.distance < 0.2
    alike = change(
        folder / "before.png", folder / "half.png", ChangeRequest(reading=READING, appearance=True)
    )
    assert not any(c.status == NOT_COMPARED and c.entry.kind == "texture" for c in alike.changes)


def test_frames_have_a_row_for_each_measurement(wider: ChangeResult) -> None:
    frame = wider.to_frame()
    assert list(frame["measurement"]) == [c.id for c in wider.changes]
    row = frame.set_index("measurement").loc["mouth_width"]
    assert row["after"] - row["before"] == pytest.approx(row["difference"])
    assert row["lo"] < row["difference"] < row["hi"]
    assert "after: " in row["remarks"]


def test_z_scores_stand_beside_values_where_sex_and_age_are_known(folder: Path) -> None:
    request = ChangeRequest(reading=READING, sex="female", age="4", age_after="9")
    result = change(folder / "before.png", folder / "half.png", request)
    row = result.to_frame().set_index("measurement").loc["intercanthal_width"]
    assert result.references == ("web-all-ages",)
    assert row["z_difference"] == pytest.approx(row["z_after"] - row["z_before"])
    assert abs(row["z_difference"]) > 0.1  # the same face at nine is another z than at four
    (growth,) = (remark for remark in result.remarks if "grows" in remark)
    assert growth.startswith("5.0 years lie between the states. A child grows")
    grown = ChangeRequest(reading=READING, sex="female", age="18", age_after="25")
    assert change(folder / "before.png", folder / "half.png", grown).references == ("web-all-ages",)
    adult = ChangeRequest(reading=READING, sex="female", age="40", age_after="41")
    assert change(folder / "before.png", folder / "half.png", adult).remarks == ()


def test_photos_of_a_state_are_pooled_and_the_same_one_counts_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.png").write_bytes((folder / "before.png").read_bytes())
    result = change([folder / "before.png", tmp_path / "copy.png"], [folder / "wider.png"], ONCE)
    assert len(result.before) == 1
    assert result.remarks == ("before: the same photo under several names; counted once.",)


def test_two_people_are_warned_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def identity(photo: anthropo.Photo, face: anthropo.Face) -> NDArray[np.float32]:
        return np.full(128, 0.05 * ("half" in photo.source), np.float32)

    monkeypatch.setattr("anthropo.learning.identity.face_identity", identity)
    remarks = change(folder / "before.png", folder / "half.png", ONCE).remarks
    assert remarks == (
        "The two faces look like two people (distance 0.57; photos of one person hardly exceed 0.55). Check "
        "the photos before you read on.",
    )


def test_of_snapshots_it_is_said_how_often_they_move(
    folder: Path, wider: ChangeResult, tmp_path: Path
) -> None:
    assert not any("snapshots" in remark for remark in wider.remarks)
    small = Image.open(folder / "wider.png")
    small.resize((330, 360), Image.Resampling.LANCZOS).save(tmp_path / "small.png")
    result = change(folder / "before.png", tmp_path / "small.png", ONCE)
    assert "mouth_width" in found(result)
    (remark,) = result.remarks
    assert remark.startswith(f"{tmp_path / 'small.png'}: small, or not as the photo gate wants it")


def test_a_picture_that_says_it_is_no_photograph_is_named(folder: Path, tmp_path: Path) -> None:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp(GENERATED, "made", "a test"))
    Image.open(folder / "half.png").save(tmp_path / "made.png", pnginfo=info)
    (remark,) = change(folder / "before.png", tmp_path / "made.png", ONCE).remarks
    assert remark == f"{tmp_path / 'made.png'}: {synthetic_sentence(GENERATED)}"


def test_photos_of_two_patients_that_were_exchanged(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def identity(photo: anthropo.Photo, face: anthropo.Face) -> NDArray[np.float32]:
        return np.full(128, 0.05 * ("one" in photo.source), np.float32)

    monkeypatch.setattr("anthropo.learning.identity.face_identity", identity)
    listed = []
    for patient, state, kind in (
        ("a", "well", "one"),
        ("a", "ill", "two"),
        ("b", "well", "two"),
        ("b", "ill", "one"),
    ):
        path = tmp_path / f"{patient}-{state}-{kind}.png"
        path.write_bytes((folder / ("before.png" if state == "well" else "half.png")).read_bytes())
        listed.append((path, patient, state))
    result = change_cohort(
        table(tmp_path / "cohort.csv", STATES, listed), ChangeRequest(before="well", reading=READING)
    )
    assert result.remarks == (
        "Photos may have been exchanged between patients, whose faces fit better crosswise: a and b.",
    )


def test_landmarks_of_different_models_are_not_compared(folder: Path, wider: ChangeResult) -> None:
    coarse = anthropo.PhotoReading(jobs=1, cache="none", fine=False)
    other = change(folder / "before.png", folder / "half.png", ChangeRequest(reading=coarse))
    states, items = ("before", "after"), [[Item("before.png")], [Item("half.png")]]
    mixed = compared("", states, items, (wider.before, other.after), other.settings, ONCE)
    assert isinstance(mixed, str)
    assert "their landmarks come from different models" in mixed


def test_photos_that_cannot_be_read_are_left_out_of_their_state(folder: Path, faceless_png: Path) -> None:
    result = change([folder / "before.png", faceless_png], folder / "half.png", ONCE)
    assert [photo.photo for photo in result.before] == [str(folder / "before.png")]
    assert len(result.left_out) == 1
    assert "no face" in result.left_out[0]


def test_without_the_fine_stage_nothing_is_said_to_have_moved(folder: Path) -> None:
    request = ChangeRequest(reading=anthropo.PhotoReading(jobs=1, cache="none", fine=False))
    result = change(folder / "before.png", folder / "wider.png", request)
    assert MOVED not in {c.status for c in result.changes}
    assert any("fine landmark stage is left out" in remark for remark in result.remarks)


# ----------------------------------------------------------------------------------------- refused


def test_one_photograph_in_both_states_is_refused(folder: Path) -> None:
    text = sentence_of(InputError, change, folder / "before.png", folder / "before.png", ONCE)
    assert "is the same photo, in the states before and after" in text


def test_what_has_no_face_or_two_is_refused(folder: Path, faceless_png: Path, two_faces_png: Path) -> None:
    assert "no face" in sentence_of(FaceError, change, folder / "before.png", faceless_png, ONCE)
    assert "2 faces found" in sentence_of(FaceError, change, two_faces_png, folder / "before.png", ONCE)


def table(path: Path, header: str, rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


ROWS = [["before.png", "p1", "well"], ["wider.png", "p1", "ill"]]


def own(photo: Path, folder: Path, patient: str) -> Path:
    """A copy of a photo for one patient."""
    path = folder / f"{patient} {photo.name}"
    path.write_bytes(photo.read_bytes())
    return path


STATES, DATES = "photo,patient,state", "photo,patient,taken"


def rows(*third: str) -> list[list[str]]:
    """Photos of one patient, with these in the third column."""
    return [
        [name, "p1", cell] for name, cell in zip(("before.png", "half.png", "wider.png"), third, strict=False)
    ]


@pytest.mark.parametrize(
    ("header", "cells", "asked", "says"),
    [
        ("photo,state", [["before.png", "well"]], {}, "no column `patient`"),
        (STATES, [["before.png", "", "well"]], {}, "the patient is missing in row 2"),
        (STATES, rows("well", ""), {}, "state is missing in row 3"),
        (STATES, rows("well", "well"), {}, "one state only (well)"),
        (STATES, ROWS, {}, "Say which comes first: before='well' or before='ill'"),
        (STATES, ROWS, {"before": "sick"}, "before='sick': no such state"),
        (STATES, ROWS, {"before": "ill", "after": "ill"}, "are one state"),
        (STATES, rows("well", "ill", "cured"), {"before": "ill"}, "3 states (well, ill, cured)"),
        ("photo,patient", [["before.png", "p1"]], {}, "no column `state`, and no date in `taken`"),
        (
            f"{STATES},sex",
            [["before.png", "p1", "well", "F"], ["half.png", "p1", "ill", "M"]],
            {"before": "well"},
            "patient p1: female in",
        ),
        (
            f"{STATES},age",
            [["before.png", "p1", "well", "4"], ["a.png", "p1", "well", "9"], ["half.png", "p1", "ill", "9"]],
            {"before": "well"},
            "patient p1: 4 years old in",
        ),
        (
            STATES,
            [*ROWS, ["before.png", "p2", "well"], ["half.png", "p2", "ill"]],
            {"before": "well"},
            "is of two patients, p1 and p2",
        ),
        (DATES, rows("soon"), {}, "row 2, column `taken`: not a date"),
        (DATES, rows("2020-05-01", ""), {}, "row 3: no date"),
        (f"{DATES},born", [["before.png", "p1", "soon", "2019-03-04"]], {}, "Column `taken`: not a date"),
        (DATES, rows("2020-05-01"), {}, "patient p1: one photo only"),
        (DATES, rows("2020-05-01", "1 May 2020"), {}, "patient p1: all photos are of one day"),
    ],
)
def test_tables_that_cannot_be_used(
    tmp_path: Path, header: str, cells: list[list[str]], asked: dict[str, str], says: str
) -> None:
    path = table(tmp_path / "cohort.csv", header, cells)
    request = ChangeRequest(reading=READING, before=asked.get("before"), after=asked.get("after"))
    assert says in sentence_of(InputError, change_cohort, path, request)


# ----------------------------------------------------------------------------------------- cohorts


def test_a_cohort_of_two_states(folder: Path, tmp_path: Path, faceless_png: Path) -> None:
    listed = [
        *(
            (own(folder / "before.png", tmp_path, name), name, "well")
            for name in ("p1", "p2", "p3", "p4", "p5")
        ),
        *((own(folder / "wider.png", tmp_path, name), name, "ill") for name in ("p1", "p2")),
        (faceless_png, "p4", "ill"),
        (own(folder / "before.png", tmp_path, "p5 again"), "p5", "ill"),
    ]
    result = change_cohort(
        table(tmp_path / "cohort.csv", STATES, listed),
        ChangeRequest(before="well", reading=READING),
    )
    assert result.states == ("well", "ill")
    assert [person.patient for person in result.people] == ["p1", "p2"]
    left_out = dict(result.left_out)
    assert left_out["p3"] == "patient p3: no photo of the state ill."
    assert "no face" in left_out["p4"]
    assert "the same photo" in left_out["p5"]
    tests = result.tests_frame().set_index("measurement")
    assert tests.loc["mouth_width", "mean"] == pytest.approx(0.08, rel=0.35)
    assert (tests.loc["mouth_width", "n"], tests.loc["mouth_width", "test"]) == (2, "sign-flip")
    assert len(result.to_frame()) == 2 * len(result.people[0].changes)


def test_dates_make_the_first_day_before_and_the_last_one_after(folder: Path, tmp_path: Path) -> None:
    listed = [
        (folder / "wider.png", "p1", "2021-03-01", "2 Feb 2015"),
        (folder / "before.png", "p1", "2019-03-01", "2 Feb 2015"),
        (folder / "half.png", "p1", "2019-03-01", "2 Feb 2015"),
    ]
    for header, width in (("photo,patient,taken", 3), ("photo,patient,taken,born", 4)):
        path = table(tmp_path / f"{width}.csv", header, [row[:width] for row in listed])
        result = change_cohort(path, ONCE)
        (person,) = result.people
        assert (len(person.before), len(person.after)) == (2, 1)
        assert "mouth_width" in found(person)
        assert any("2.0 years lie between the states" in remark for remark in person.remarks)
        assert result.tests == ()
        words = result.to_frame().select_dtypes(exclude="number").astype(str)
        assert "2015" not in words.to_csv()  # a date of birth


# ------------------------------------------------------------------------------------ command line


def test_command_prints_and_writes(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    files = {suffix: tmp_path / f"change{suffix}" for suffix in (".html", ".csv", ".json")}
    for suffix, path in files.items():
        result = invoke("change", folder / "before.png", folder / "wider.png", "-o", path, "-j", 1)
        assert result.exit_code == 0
        assert Path(f"{path}.run.json").is_file(), suffix
    assert "outh (" in result.stdout.splitlines()[1]
    assert "Mouth width" in result.stdout or "Commissure excursion, left" in result.stdout
    page = files[".html"].read_text()
    assert page.count('<svg class="aligned"') == 2
    assert "<script" not in page
    assert "http" not in re.sub(r"data:image[^\"]+", "", page)
    document = json.loads(files[".json"].read_text())
    assert [photo["state"] for photo in document["photos"]] == ["before", "after"]
    assert len(document["measurements"]) == len(list(csv.DictReader(files[".csv"].open())))


def test_command_on_a_cohort(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    listed = [
        (own(folder / f"{name}.png", tmp_path, p), p, name)
        for p in ("a", "b")
        for name in ("before", "wider")
    ]
    path = table(
        tmp_path / "cohort.csv", "photo,patient,state", [*listed, (folder / "half.png", "c", "before")]
    )
    out = tmp_path / "changes.csv"
    result = invoke("change", path, "--before", "before", "-o", out, "-j", 1)
    assert result.exit_code == 3
    assert "left out: patient c: no photo of the state wider." in result.stderr
    assert "So few patients cannot show a change on average: the smallest p possible is 0.5." in result.stdout
    assert {row["patient"] for row in csv.DictReader(out.open())} == {"a", "b"}
    assert "mouth_width" in {
        row["measurement"] for row in csv.DictReader(out.with_suffix(".tests.csv").open())
    }
    page = tmp_path / "changes.html"
    assert invoke("change", path, "--before", "before", "-o", page, "-j", 1).exit_code == 3
    assert "Patient a" in page.read_text()
    assert "data:image" not in page.read_text()  # a cohort's page shows nobody's face


def test_command_used_wrongly(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    one, other = folder / "before.png", folder / "wider.png"
    refused(invoke, "change", one, says="one photo is given, and two states are compared")
    refused(invoke, "change", one, other, one, says="3 photos are given")
    refused(invoke, "change", one, other, "--before", "well", says="--before names a state of a cohort")
    path = table(tmp_path / "cohort.csv", STATES, ROWS)
    refused(invoke, "change", path, one, says="a table has both states of each patient")
    refused(invoke, "change", path, says="Say which comes first: --before well or --before ill")
    refused(invoke, "change", one, other, "-o", tmp_path / "x.pdf", says="Use .html, .csv or .json")
    refused(invoke, "change", one, one, says="the same photo")
