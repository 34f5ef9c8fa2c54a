"""Points of one's own, annotated in any form, learnt from few photos and placed on others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Invoke, described
from PIL import Image

import anthropo
from anthropo.landmarks import ForestOptions, read_annotations
from anthropo.workflows.landmarks import place_landmarks

NAMES = ("glabella", "tip", "zyR", "zyL", "chin")


def five(points: np.ndarray) -> np.ndarray:
    """Points that an annotator might want, from the 68."""
    return np.array([points[[21, 22]].mean(0), points[30], points[2], points[14], points[8]])


Faces = list[tuple[str, np.ndarray]]


def as_pts(folder: Path, faces: Faces) -> Path:
    for photo, points in faces:
        shutil.copy(photo, folder)
        lines = "\n".join(f"{x} {y}" for x, y in points + 1)
        text = f"version: 1\nn_points: 5\n{{\n{lines}\n}}\n"
        (folder / f"{Path(photo).stem}.pts").write_text(text)
    return folder


def as_tem(folder: Path, faces: Faces) -> Path:
    for photo, points in faces:
        shutil.copy(photo, folder)
        lines = "\n".join(f"{x}\t{y}" for x, y in points)
        (folder / f"{Path(photo).stem}.tem").write_text(f"5\n{lines}\n0\n")
    return folder


def as_xml(folder: Path, faces: Faces) -> Path:
    images = []
    for photo, points in faces:
        parts = "".join(
            f"<part name='{name}' x='{round(x)}' y='{round(y)}'/>"
            for name, (x, y) in zip(NAMES, points, strict=True)
        )
        box = "<box top='1' left='1' width='9' height='9'>"
        images.append(f"<image file='{photo}'>{box}{parts}</box></image>")
    path = folder / "faces.xml"
    path.write_text(f"<dataset><images>{''.join(images)}</images></dataset>")
    return path


def as_csv(folder: Path, faces: Faces) -> Path:
    rows = ["photo," + ",".join(f"{name}_x,{name}_y" for name in NAMES)]
    rows += [",".join([photo, *map(str, points.ravel())]) for photo, points in faces]
    path = folder / "faces.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def as_coco(folder: Path, faces: Faces) -> Path:
    images = [{"id": i, "file_name": photo} for i, (photo, _) in enumerate(faces)]
    annotations = [
        {"image_id": i, "keypoints": np.column_stack([points, np.full(5, 2)]).ravel().tolist()}
        for i, (_, points) in enumerate(faces)
    ]
    path = folder / "faces.json"
    categories = [{"keypoints": list(NAMES)}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


@pytest.fixture(scope="module")
def faces(annotated_faces: Path) -> Faces:
    return [(one.photo, five(one.points)) for one in read_annotations(annotated_faces).faces]


@pytest.fixture(scope="module")
def ears(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of five points beside the 68."""
    folder = tmp_path_factory.mktemp("five")
    request = anthropo.LandmarkTrainRequest(start="landmarks-68", jobs=1)
    anthropo.train_landmarks(as_csv(folder, faces), folder / "five.anthropo", request)
    return folder / "five.anthropo"


@pytest.mark.parametrize("written", [as_pts, as_tem, as_xml, as_csv, as_coco])
def test_every_form_of_annotations_gives_the_same_model(
    written: Callable[[Path, Faces], Path], faces: Faces, tmp_path: Path, ears: Path
) -> None:
    request = anthropo.LandmarkTrainRequest(start="landmarks-68", jobs=1)
    made = anthropo.train_landmarks(written(tmp_path, faces), tmp_path / "m.anthropo", request)
    photo, points = faces[2]
    placed = place_landmarks([photo], str(tmp_path / "m.anthropo"), jobs=1).photos[0].points
    expected = place_landmarks([photo], str(ears), jobs=1).photos[0].points
    order = [NAMES.index(name) for name in made.scheme.names] if written is as_xml else range(5)
    np.testing.assert_allclose(placed, expected[list(order)], atol=1.0 if written is as_xml else 0.05)
    unit = np.hypot(*(points[3] - points[2]))
    assert np.hypot(*(expected - points).T).mean() < 0.03 * unit


def test_placed_points_follow_the_photo(faces: Faces, ears: Path, tmp_path: Path) -> None:
    photo, points = faces[0]
    picture = Image.open(photo).convert("RGB")
    width = picture.width
    picture.resize((width * 2, picture.height * 2), Image.Resampling.BICUBIC).save(tmp_path / "large.png")
    picture.transpose(Image.Transpose.ROTATE_180).save(tmp_path / "turned.png")
    names = [photo, str(tmp_path / "large.png"), str(tmp_path / "turned.png")]
    plain, large, turned = place_landmarks(names, str(ears), jobs=1).photos
    unit = np.hypot(*(points[3] - points[2]))
    assert np.abs((large.points - 0.5) / 2 - plain.points).max() < 0.02 * unit
    assert np.abs(np.array(picture.size) - 1 - turned.points - plain.points).max() < 0.03 * unit
    assert (plain.sd > 0).all()
    assert large.sd.mean() == pytest.approx(2 * plain.sd.mean(), rel=0.5)


def test_trees_alone_are_placed_too_and_say_where_they_cannot(
    annotated_faces: Path, faces: Faces, tmp_path: Path
) -> None:
    small = ForestOptions(cascades=4, trees=20, copies=6, pool=80)
    request = anthropo.LandmarkTrainRequest(options=small, jobs=1)
    model = tmp_path / "trees.anthropo"
    anthropo.train_landmarks(as_csv(tmp_path, faces), model, request)
    Image.open(faces[0][0]).transpose(Image.Transpose.ROTATE_180).save(tmp_path / "turned.png")
    Image.new("RGB", (300, 300)).save(tmp_path / "black.png")
    names = [faces[0][0], str(tmp_path / "turned.png"), str(tmp_path / "black.png")]
    result = place_landmarks(names, str(model), jobs=1)
    plain, turned, black = result.photos
    unit = np.hypot(*(faces[0][1][3] - faces[0][1][2]))
    assert np.hypot(*(plain.points - faces[0][1]).T).mean() < 0.06 * unit
    assert turned.reason.endswith("Turn the photo, or train with a start, which finds such faces.")
    assert "no face found" in black.reason
    assert np.isnan(black.points).all()
    assert result.failed == 2
    assert "Turn the photo" in result._repr_html_()


def test_points_are_placed_corrected_and_learnt_from(
    faces: Faces, ears: Path, tmp_path: Path, invoke: Invoke
) -> None:
    table = tmp_path / "points.csv"
    photos = [photo for photo, _ in faces]
    done = invoke("landmarks", "place", *photos, "--landmark-model", ears, "-o", table, "-j", "1")
    assert done.exit_code == 0, done.stderr
    frame = pd.read_csv(table)
    assert list(frame.columns[:5]) == ["photo", "reason", "glabella_x", "glabella_y", "glabella_sd"]
    described("landmarks place", frame.columns)
    frame["tip_y"] += 10.0
    frame.to_csv(table, index=False)
    again = tmp_path / "again.anthropo"
    done = invoke("landmarks", "train", table, "-o", again, "--start", "landmarks-68", "-j", "1")
    assert done.exit_code == 0, done.stderr
    assert "each placed by what others teach" in done.stdout
    assert "licence: not stated by whoever trained it; and of landmarks-68" in done.stdout
    done = invoke("landmarks", "place", photos[0], "--landmark-model", again)
    assert done.exit_code == 0, done.stderr
    lines = [line.split(",") for line in done.stdout.splitlines()]
    row = dict(zip(*lines, strict=True))
    assert float(row["tip_y"]) == pytest.approx(frame["tip_y"][0], abs=2)


def test_what_cannot_be_placed_has_a_sentence_and_an_exit_code(
    faces: Faces, ears: Path, tmp_path: Path, invoke: Invoke
) -> None:
    Image.new("RGB", (300, 300)).save(tmp_path / "black.png")
    black = tmp_path / "black.png"
    done = invoke("landmarks", "place", black, "--landmark-model", ears, "-o", tmp_path / "p.csv")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{black}: no face found.")
    done = invoke(
        "landmarks", "place", black, faces[0][0], "--landmark-model", ears, "-o", tmp_path / "p.csv"
    )
    assert done.exit_code == 3
    assert "1 of 2 photos" in done.stderr
    done = invoke("landmarks", "place", faces[0][0], "--landmark-model", tmp_path / "gone.anthropo")
    assert done.exit_code == 2
    assert "gone.anthropo: no such landmark model" in done.stderr
    done = invoke("measure", faces[0][0], "--landmark-model", ears)
    assert done.exit_code == 2
    assert "the points of this one are placed by `anthropo landmarks place`" in done.stderr
