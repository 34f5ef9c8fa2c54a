"""Annotated faces are read from every form, and what is wrong is one sentence that says where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import anthropo
from anthropo.errors import InputError
from anthropo.landmarks import read_annotations
from anthropo.landmarks.annotations import Annotations, read_pts
from anthropo.landmarks.gathering import gather_faces
from anthropo.landmarks.scheme import IBUG, mean_points, mirror_of, scheme_of

POINTS = np.array([(200.5, 100.25), (260, 101), (230, 160)])
SAMPLE = "\n".join(f"{x} {y}" for x, y in POINTS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(anthropo.example_photo(), tmp_path / "a.png")
    return tmp_path


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def as_pts(folder: Path) -> Path:
    one = "\n".join(f"{x + 1} {y + 1}" for x, y in POINTS)
    written(folder / "a.pts", f"version: 1\nn_points: 3\n{{\n{one}\n}}\n")
    return folder


def as_bare_pts(folder: Path) -> Path:
    written(folder / "a.pts", SAMPLE)
    return folder


def as_index(folder: Path) -> Path:
    written(folder / "points.pts", SAMPLE)
    return written(folder / "any.csv", "photo,landmarks,patient\na.png,points.pts,P1\n")


def as_tem(folder: Path) -> Path:
    written(folder / "a.tem", "3\n" + SAMPLE.replace(" ", "\t") + "\n1\n0\n3\n0 1 2\n")
    return folder


def as_xml(folder: Path) -> Path:
    parts = "".join(
        f"<part name='{i:02d}' x='{x}' y='{y}'/>" for i, (x, y) in reversed(list(enumerate(POINTS)))
    )
    box = "<box top='70' left='170' width='110' height='110'"
    return written(
        folder / "a.xml",
        f"<?xml version='1.0'?><dataset><images><image file='a.png'>{box}>{parts}</box>"
        f"{box} ignore='1'>{parts}</box>{box}/></image></images></dataset>",
    )


def as_csv(folder: Path) -> Path:
    names = ",".join(f"x{i},y{i}" for i in range(3))
    return written(folder / "a.csv", f"image,{names}\na,{','.join(map(str, POINTS.ravel()))}\n")


def as_named_csv(folder: Path) -> Path:
    names = ",".join(f"{n}_x,{n}_y" for n in ("exR", "exL", "sn"))
    return written(folder / "a.csv", f"photo,{names}\na.png,{','.join(map(str, POINTS.ravel()))}\n")


def coco(folder: Path, **changes: object) -> Path:
    keypoints = [v for x, y in POINTS for v in (x, y, 2)]
    document = {
        "images": [{"id": 7, "file_name": "a.png"}],
        "annotations": [{"image_id": 7, "keypoints": keypoints}, {"image_id": 7, "bbox": [0, 0, 1, 1]}],
        "categories": [{"keypoints": ["right eye", "left eye", "nose"]}],
    } | changes
    return written(folder / "a.json", json.dumps(document))


FORMS: dict[str, Callable[[Path], Path]] = {
    "300-W": as_pts, "bare": as_bare_pts, "index": as_index, "WebMorph": as_tem, "imglab": as_xml,
    "numbered columns": as_csv, "named columns": as_named_csv, "COCO": coco,
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_face(form: str, folder: Path) -> None:
    read = read_annotations(FORMS[form](folder))
    (face,) = read.faces
    np.testing.assert_allclose(face.points, POINTS, atol=1e-9)
    assert Path(face.photo).name == "a.png"
    assert face.person == ("P1" if form == "index" else "a")
    assert len(read.names) == 3


def test_names_come_from_the_file(folder: Path) -> None:
    assert read_annotations(as_named_csv(folder)).names == ("exR", "exL", "sn")
    assert read_annotations(coco(folder)).names == ("right eye", "left eye", "nose")
    assert read_annotations(as_xml(folder)).names == ("00", "01", "02")


def test_landmark_files_give_the_points_of_the_scheme(folder: Path) -> None:
    seen = anthropo.observe(str(folder / "a.png"), anthropo.Settings(fine=False))
    anthropo.measurement.save_landmarks(folder / "a.landmarks.json", seen.face, seen.digest)
    (face,) = read_annotations(folder).faces
    unit = anthropo.face.outer_canthal_distance(seen.face.landmarks)
    assert np.abs(face.points - seen.face.landmarks).max() < 0.01 * unit  # uncorrected again


def test_unannotated_points_are_not_a_number(folder: Path) -> None:
    shutil.copy(folder / "a.png", folder / "b.png")
    images = [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}]
    keypoints = [200, 100, 2, 260, 101, 1, 0, 0, 0]
    others = [200, 100, 2, 260, 101, 1, 230, 160, 2]
    given = [{"image_id": 7, "keypoints": keypoints}, {"image_id": 8, "keypoints": others}]
    read = read_annotations(coco(folder, images=images, annotations=given))
    assert np.isnan(read.faces[0].points[2]).all()
    assert np.isfinite(read.faces[0].points[:2]).all()


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        read_annotations(path)
    told = str(caught.value)
    assert sentence in told, told
    assert "\n" not in told


def test_other_counts_of_points(folder: Path) -> None:
    for name in "bc":
        shutil.copy(folder / "a.png", folder / f"{name}.png")
        written(folder / f"{name}.pts", SAMPLE)
    written(folder / "a.pts", SAMPLE + "\n1 2")
    refused(folder, "a.pts: 4 points where 2 others have 3. Complete it, or leave it out.")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 2\nnan 4\n", "a.pts, line 2: 'nan' is no coordinate."),
        ("1 2\n1e300 4\n", "a.pts, line 2: '1e300' is no coordinate."),
        ("1 2\n3\n", "a.pts, line 2: '3' is no pair of x and y."),
        ("version: 1\nn_points: 3\n{\n1 2\n3 4\n}\n", "a.pts: 2 points where its header states 3."),
        ("", "a.pts: 0 points"),
        ("1 2\n", "1 points; 2 to 2000 are possible"),
    ],
)
def test_points_that_are_none(folder: Path, text: str, sentence: str) -> None:
    written(folder / "a.pts", text)
    refused(folder, sentence)


def test_a_missing_photo(folder: Path) -> None:
    written(folder / "b.pts", SAMPLE)
    refused(folder, "b.pts: no photo of its name is beside it")
    written(folder / "t.csv", "photo,x0,y0,x1,y1\ngone.png,1,2,3,4\n")
    refused(folder / "t.csv", "row 2: its photo")


def test_two_people_with_one_name(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).mkdir()
        shutil.copy(folder / "a.png", folder / name / "p.png")
        written(folder / name / "p.pts", SAMPLE)
    refused(folder, "p is the name of two photos")
    rows = "".join(f"{name}/p.png,{name}/p.pts,{name}\n" for name in ("one", "two"))
    table = written(folder / "t.csv", f"photo,landmarks,patient\n{rows}")
    assert read_annotations(table).people == ("one", "two")


def test_a_face_twice(folder: Path) -> None:
    row = "a.png," + ",".join(map(str, POINTS.ravel())) + "\n"
    header = "photo," + ",".join(f"x{i},y{i}" for i in range(3)) + "\n"
    refused(written(folder / "t.csv", header + 2 * row), "row 3: the same face as in")


def test_the_same_photo_under_two_names(folder: Path) -> None:
    shutil.copy(folder / "a.png", folder / "b.png")
    for name in "ab":
        written(folder / f"{name}.pts", SAMPLE)
    with pytest.raises(InputError, match="is the same photo as"):
        gather_faces(read_annotations(folder).faces)


def test_points_outside_the_photo(folder: Path) -> None:
    written(folder / "a.pts", "100 100\n700 100\n")
    with pytest.raises(InputError, match=r"point 1 at \(700, 100\) lies outside its photo .* of 512 × 512"):
        gather_faces(read_annotations(folder).faces)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<dataset>", "not readable as XML"),
        ("<html/>", "its root is not <dataset>"),
        ("<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><dataset/>", "declares a document type"),
        ("<!DOCTYPE d SYSTEM 'file:///etc/passwd'><dataset/>", "declares a document type"),
        ("<dataset>" + "<a>" * 50, "nested too deeply"),
        ("<dataset><image file='a.png'><box><part name='0' x='nan' y='1'/></box></image></dataset>", "'nan'"),
        ("<dataset><image><box/></image></dataset>", "without the name of its file"),
        ("<dataset><image file='a.png'/></dataset>", "no annotated face in it"),
    ],
)
def test_hostile_xml(folder: Path, text: str, sentence: str) -> None:
    refused(written(folder / "a.xml", text), sentence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": None}, "`images` or `annotations` is missing"),
        ({"annotations": [{"image_id": 8, "keypoints": [1, 2, 2]}]}, "annotations[0]: its image_id"),
        ({"annotations": [{"image_id": 7, "keypoints": [1, 2]}]}, "annotations[0]: keypoints are not"),
        ({"annotations": [{"image_id": 7, "keypoints": ["1", 2, 2]}]}, "annotations[0]: 1 is no number"),
        (
            {"images": [{"id": 7, "file_name": "a.png"}, {"id": 7, "file_name": "b.png"}]},
            "id 7 is there twice",
        ),
        ({"images": [{"id": [7], "file_name": "a.png"}]}, "images[0]: no id"),
    ],
)
def test_odd_coco(folder: Path, changes: dict[str, object], sentence: str) -> None:
    refused(coco(folder, **changes), sentence)


def test_names_that_no_file_could_keep(folder: Path) -> None:
    for names, sentence in (
        (["a", "b", "a" * 101], "cannot be the name of a point"),
        (["a", "b", "\x1b[2J"], "cannot be the name of a point"),
        (["a", "b", "\ud800"], "cannot be the name of a point"),
    ):
        refused(coco(folder, categories=[{"keypoints": names}]), sentence)
    refused(coco(folder, images=[{"id": 7, "file_name": "\ud800.png"}]), "is not there")
    refused(coco(folder, images=[{"id": 7, "file_name": "\0.png"}]), "is not there")


def test_all_points_on_one_spot(folder: Path) -> None:
    written(folder / "a.pts", "200 100\n" * 3)
    refused(folder, "a.pts: all points lie on one spot")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,x0,y0\na.png,1,2\n", "no column `photo`"),
        ("photo,x0,x1\na.png,1,2\n", "no column y0"),
        ("photo,x0,y0,x2,y2\na.png,1,2,3,4\n", "leave out a number"),
        ("photo,x0,y0,x0,y0\na.png,1,2,3,4\n", "is a column twice"),
        ("photo,x0,y0,x1,y1,x2,y2\na.png,1,2,3,4,,\n", "p2 has no place in any face"),
        ("photo,x0,y0,x1,y1\na.png,1,2,3,\n", "p1 has only one coordinate"),
        ("photo,x0,y0,x1,y1\na.png,1,two,3,4\n", "row 2, y0: 'two' is no coordinate"),
    ],
)
def test_odd_tables(folder: Path, text: str, sentence: str) -> None:
    refused(written(folder / "t.csv", text), sentence)


# ------------------------------------------------------------------------------------ the scheme


def test_the_68_points_are_recognised(annotated_faces: Path) -> None:
    scheme = scheme_of(read_annotations(annotated_faces))
    assert scheme.ibug
    assert scheme.names == IBUG.names


def test_mirror_images_are_found_from_the_mean_face(annotated_faces: Path) -> None:
    read = read_annotations(annotated_faces)
    mean = mean_points([face.points for face in read.faces])
    assert IBUG.mirror is not None
    assert np.array_equal(mirror_of(mean), IBUG.mirror)
    order = np.random.default_rng(0).permutation(68)
    found = mirror_of(mean[order])
    assert found is not None
    assert np.array_equal(order[found], IBUG.mirror[order])
    assert mirror_of(mean[[0, 20, 30, 33, 36, 48]]) is None


@pytest.mark.parametrize("which", [[3], range(8)])
def test_left_and_right_exchanged(annotated_faces: Path, which: list[int]) -> None:
    read = read_annotations(annotated_faces)
    changed = list(read.faces)
    for i in which:
        points = changed[i].points[IBUG.mirror]
        changed[i] = type(changed[i])(changed[i].photo, points, changed[i].person, changed[i].where)
    told = (
        r"person03\.pts: left and right are exchanged" if len(which) == 1 else "exchanged against the scheme"
    )
    with pytest.raises(InputError, match=told):
        scheme_of(Annotations(read.source, read.names, tuple(changed)))


def test_unit_of_length(annotated_faces: Path) -> None:
    read = read_annotations(annotated_faces)
    assert scheme_of(read).unit == (36, 45)
    assert scheme_of(read, ("p0", "p16")).unit == (0, 16)
    with pytest.raises(InputError, match="p99 is none of the points"):
        scheme_of(read, ("p0", "p99"))


def test_matlab_counts_from_one(tmp_path: Path) -> None:
    headed = written(tmp_path / "h.pts", "version: 1\nn_points:  2\n{\n1 1\n3.5 4\n}\n")
    np.testing.assert_allclose(read_pts(headed), [(0, 0), (2.5, 3)])
