from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import face_recognition_models
import numpy as np
import pytest
from conftest import Copies, Invoke, Pixels, refused
from PIL import Image

import anthropo
from anthropo.batch.inputs import Item
from anthropo.batch.run import measure_item
from anthropo.cli import as_option
from anthropo.errors import parameters_spelled
from anthropo.face.fine import refine
from anthropo.files import is_device_name, portable_name
from anthropo.measurement.registry import GEOMETRY, NEEDS_MM, registry
from anthropo.settings import Settings

NO_FACE = "{}: no face found. Use a frontal photo in which the whole face is visible, upright and well lit."


def process(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command line as a user's shell starts it."""
    code = "from anthropo.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


# -------------------------------------------------------------------------------------- stdout


def test_one_photo_is_a_table_with_every_measurement(astronaut_png: Path, invoke: Invoke) -> None:
    result = invoke("measure", astronaut_png)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{astronaut_png}  512 × 512 px")
    for name in registry():
        rows = [line for line in result.stdout.splitlines() if line.startswith("  ")]
        (line,) = [line for line in rows if line.split()[-1] == name]
        assert any(character.isdigit() for character in line) or "see below" in line
    reasons = [line for line in result.stdout.splitlines() if line.startswith("voided by the photo gate: ")]
    assert any("smile 0.6" in line and "limit 0.41; " in line and "mouth_width" in line for line in reasons)
    assert f"{NEEDS_MM}: biocular_width, w_index. Give one with --scale." in result.stdout
    assert "gate: smile is 0.6" in result.stdout
    assert "Research use only, not a medical device." in result.stdout


def test_many_photos_in_a_pipe_are_csv_and_nothing_else(
    tmp_path: Path, copies: Copies, faceless_png: Path
) -> None:
    a, b = copies(tmp_path, "a.png", 'b,\n"quoted".png')
    done = process("measure", a, b, faceless_png)
    assert done.returncode == 3
    first, *gate = done.stderr.splitlines()
    assert first == NO_FACE.format(faceless_png)
    assert gate == [
        "photo gate: 2 of 2 photos (100 %) failed the photo gate.",
        "  mouth open: 2 photos (100 %); close the mouth",
        "  smile: 2 photos (100 %); keep a neutral expression",
    ]
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["photo"] for row in rows] == [str(a), str(b), str(faceless_png)]
    assert [row["status"] for row in rows] == ["ok", "ok", "failed"]
    assert rows[2]["reason"] == NO_FACE.format(faceless_png)
    assert 0.3 < float(rows[0]["intercanthal_width"]) < 0.5
    assert rows[2]["intercanthal_width"] == ""


def test_output_file_leaves_stdout_empty(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    for name in ("a.csv", "a.json", "a.parquet", "a.html", "B.CSV", "B.HTML"):
        result = invoke("measure", astronaut_png, "-o", tmp_path / name)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == f"{tmp_path / name}: 1 of 1 photos measured.\n"
        assert (tmp_path / name).stat().st_size > 1000


def test_failures_are_a_line_each_on_stderr(tmp_path: Path, faceless_png: Path) -> None:
    text = tmp_path / "letter.jpg"
    text.write_text("Dear colleague")
    done = process("measure", "gone.jpg", text, faceless_png, tmp_path / "sub.png", cwd=tmp_path)
    assert done.returncode == 1
    assert sorted(done.stderr.splitlines()) == sorted(
        [
            "gone.jpg: no such file.",
            f"{text}: not a photo that can be read; JPEG, PNG, TIFF, WebP, BMP, HEIC and AVIF can.",
            NO_FACE.format(faceless_png),
            f"{tmp_path}/sub.png: no such file.",
        ]
    )
    assert [row["status"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["failed"] * 4


def test_one_photo_that_fails_prints_nothing_on_stdout(invoke: Invoke) -> None:
    result = invoke("measure", "gone.jpg")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "gone.jpg: no such file.\n")


def test_after_twenty_failures_only_their_number_is_told(tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("measure", *(f"{i}.jpg" for i in range(25)), "-o", tmp_path / "a.csv")
    lines = result.stderr.splitlines()
    assert (result.exit_code, len(lines)) == (1, 22)
    assert lines[20] == "… and 5 more photos failed; the table has every reason."
    assert lines[21] == f"{tmp_path}/a.csv: 0 of 25 photos measured, 25 failed."
    assert (tmp_path / "a.csv").read_text().count("no such file.") == 25


def test_pixel_limit_of_the_command_line(astronaut_png: Path, invoke: Invoke) -> None:
    result = invoke("measure", astronaut_png, "--max-megapixels", 0.2)
    assert result.exit_code == 1
    assert result.stderr == (
        f"{astronaut_png}: 512 × 512 pixels are 0.2621 MP, more than the limit of 0.2 MP. "
        "Reduce the photo, or raise the limit with --max-megapixels.\n"
    )
    assert invoke("measure", astronaut_png, "--max-megapixels", 0.27).exit_code == 0


def test_no_photo_named(invoke: Invoke) -> None:
    assert refused(invoke, "measure").splitlines()[-1] == "Error: Missing argument 'PHOTO...'."


def test_pictures_of_a_folder_that_are_not_read_are_told(
    tmp_path: Path, astronaut_png: Path, copies: Copies, invoke: Invoke
) -> None:
    copies(tmp_path / "photos", "a.png", "scan.gif", "IMG_7.CR2")
    result = invoke("measure", tmp_path / "photos", "-o", tmp_path / "a.csv", "--jitter", 1)
    assert result.exit_code == 0
    note = f"note: {tmp_path / 'photos'}: 2 files are passed over: IMG_7.CR2, scan.gif (export them"
    assert result.stderr.count(note) == 1
    copies(tmp_path / "none", "scan.gif")
    alone = invoke("measure", tmp_path / "none")
    assert alone.exit_code == 2
    assert "1 file is passed over: scan.gif (export it as JPEG or PNG)." in alone.stderr


def test_folder_without_photos_is_wrong_use(tmp_path: Path, invoke: Invoke) -> None:
    sentence = f"Error: {tmp_path}: no photos in this folder ("
    assert refused(invoke, "measure", tmp_path, says=sentence).count("\n") == 1


# --------------------------------------------------------------------------------------- faces


def test_several_faces_are_refused_by_default(two_faces_png: Path, invoke: Invoke) -> None:
    result = invoke("measure", two_faces_png)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"{two_faces_png}: 2 faces found, 1 needed. Pass --face largest or --face all, or crop the photo.\n"
    )


def test_largest_face(tmp_path: Path, astronaut: Pixels, invoke: Invoke) -> None:
    smaller = Image.fromarray(astronaut).resize((410, 410))
    picture = Image.new("RGB", (922, 512))
    picture.paste(smaller, (0, 0))
    picture.paste(Image.fromarray(astronaut), (410, 0))
    picture.save(tmp_path / "a.png")
    result = invoke("measure", tmp_path / "a.png", "--face", "largest", "-o", tmp_path / "a.json")
    assert result.exit_code == 0
    (record,) = json.loads((tmp_path / "a.json").read_text())["photos"]
    assert record["box"][0] > 410 + 150


def test_all_faces_have_a_row_each(tmp_path: Path, two_faces_png: Path, invoke: Invoke) -> None:
    result = invoke("measure", two_faces_png, "--face", "all", "-o", tmp_path / "a.csv")
    assert result.stderr == f"{tmp_path}/a.csv: 1 of 1 photos measured.\n"
    assert result.exit_code == 0
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["face"] for row in rows] == ["0", "1"]
    assert {row["photo"] for row in rows} == {str(two_faces_png)}
    distance = float(rows[0]["box_left"]) - float(rows[1]["box_left"])
    assert abs(distance) == pytest.approx(512, abs=10)


@pytest.mark.parametrize("grey", [0, 127, 255])
def test_flat_picture_has_no_face(tmp_path: Path, grey: int, invoke: Invoke) -> None:
    path = tmp_path / "flat.png"
    Image.new("L", (300, 400), grey).save(path)
    result = invoke("measure", path)
    assert (result.exit_code, result.stderr) == (1, NO_FACE.format(path) + "\n")


@pytest.mark.parametrize("size", [(1, 1), (5, 5), (79, 79), (3, 400), (400, 3)])
def test_tiny_and_thin_pictures_have_no_face(
    tmp_path: Path, astronaut: Pixels, size: tuple[int, int], invoke: Invoke
) -> None:
    for name in ("a.png", "a.jpg"):
        Image.fromarray(astronaut).resize(size).save(tmp_path / name)
        result = invoke("measure", tmp_path / name)
        assert (result.exit_code, result.stderr) == (1, NO_FACE.format(tmp_path / name) + "\n")


def test_noise_has_no_face(tmp_path: Path, invoke: Invoke) -> None:
    path = tmp_path / "noise.png"
    noise = np.random.default_rng(7).integers(0, 256, (600, 500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    assert invoke("measure", path).stderr == NO_FACE.format(path) + "\n"


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_cut_face_is_measured_or_refused_in_one_sentence(
    tmp_path: Path, astronaut: Pixels, invoke: Invoke, side: str
) -> None:
    outcomes = []
    for cut in range(0, 100, 14):  # px into the face's box
        crop = {
            "left": astronaut[:, 178 + cut :],
            "right": astronaut[:, : 281 - cut],
            "top": astronaut[76 + cut :],
            "bottom": astronaut[: 178 - cut],
        }[side]
        path = tmp_path / f"{cut}.png"
        Image.fromarray(crop).save(path, compress_level=1)
        result = invoke("measure", path, "--jitter", 2, "--no-fine")
        if result.exit_code == 0:
            outcomes.append("measured")
            continue
        assert (result.exit_code, result.stdout) == (1, "")
        several = "faces found, 1 needed. Pass --face largest or --face all, or crop the photo."
        border = (
            r"the face is cut by the photo's border \(\d+ of 68 landmarks lie outside\)\. "
            r"Use a photo that shows the whole face\."
        )
        sentences = [re.escape(NO_FACE.format(path)), rf"{path}: {border}", rf"{path}: \d {several}"]
        assert re.fullmatch("|".join(f"({s}\n)" for s in sentences), result.stderr)
        outcomes.append("refused")
    assert outcomes[0] == "measured"


# ---------------------------------------------------------------------------------------- json


def test_json_structure(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    path = tmp_path / "a.json"
    assert invoke("measure", astronaut_png, "gone.jpg", "-o", path).exit_code == 3
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["anthropo"] == anthropo.__version__
    good, bad = document["photos"]

    assert (good["photo"], good["face"], good["status"], good["reason"]) == (str(astronaut_png), 0, "ok", "")
    assert (good["width"], good["height"]) == (512, 512)
    assert good["box"] == pytest.approx([178, 76, 281, 178], abs=10)
    for key in ("landmarks", "landmark_sd"):
        values = np.array(good[key])
        assert values.shape == (68, 2)
        assert np.isfinite(values).all()
    assert (np.array(good["landmark_sd"]) > 0).all()
    assert set(good["pose"]) == {"yaw", "pitch", "roll"}
    assert all(abs(angle) < 15 for angle in good["pose"].values())
    for check in good["gate"].values():
        assert set(check) >= {"value", "limit", "unit", "ok"}
    assert not good["gate"]["smile"]["ok"]
    assert list(good["measurements"]) == list(registry())
    for name, m in good["measurements"].items():
        assert set(m) == {"value", "lo", "hi", "repeat_sd", "unit", "reason", "corrected", "reliability", "z"}
        assert m["unit"] == registry()[name].unit
        assert (m["z"], m["corrected"]) == ([], registry()[name].kind in GEOMETRY and m["corrected"])
        if m["value"] is None:
            assert (m["lo"], m["hi"]) == (None, None)
            assert m["reason"]
        else:
            assert m["lo"] <= m["value"] <= m["hi"]
    assert 30 < sum(m["value"] is not None for m in good["measurements"].values()) < len(registry())
    assert {"pR", "pL", "psR", "alL", "sn"} <= set(good["anatomy"])
    assert (good["scale"], good["texture"], good["disagreements"], good["notes"]) == (None, None, [], [])

    assert (bad["photo"], bad["status"], bad["reason"]) == ("gone.jpg", "failed", "gone.jpg: no such file.")
    for key in (
        "width",
        "height",
        "box",
        "landmarks",
        "landmark_sd",
        "anatomy",
        "pose",
        "gate",
        "measurements",
    ):
        assert bad[key] is None
    assert set(good) == set(bad)


def test_json_agrees_with_the_library(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    assert invoke("measure", astronaut_png, "-o", tmp_path / "a.json").exit_code == 0
    (record,) = json.loads((tmp_path / "a.json").read_text())["photos"]
    photo = anthropo.read_photo(str(astronaut_png))
    face = refine(photo, anthropo.read_face(photo))
    np.testing.assert_allclose(record["landmarks"], face.landmarks, atol=0.02)
    for code, at in record["anatomy"].items():
        np.testing.assert_allclose(at, face.anatomy[code], atol=0.02)
    with parameters_spelled(as_option):  # reasons name parameters as their reader gives them
        values = anthropo.measure(str(astronaut_png))
    for m in values:
        known = record["measurements"][m.id]
        assert known["value"] == (None if np.isnan(m.value) else m.value)
        assert known["reason"] == m.reason


# ------------------------------------------------------------------------------------ overlays


def test_overlays_have_names_that_every_system_takes(
    tmp_path: Path, copies: Copies, invoke: Invoke, astronaut_png: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    names = ["CON.x.png", "a:b.png", "A:b.png", "face. .png", "100%.png"]
    for i, name in enumerate(names):
        with Image.open(astronaut_png) as picture:
            picture.putpixel((0, 0), (i, i, i))
            picture.save(photos / name)
    assert invoke("measure", photos, "--overlay", out, "--jitter", 2, "--no-fine").exit_code in (0, 3)
    written = sorted(path.name for path in out.iterdir())
    assert len({name.casefold() for name in written}) == len(names)
    assert [name for name in written if re.search(r'[<>:"|?*]', name) or is_device_name(name)] == []
    stems = {unquote(name).rsplit("-", 1)[0] for name in written}
    assert stems == {Path(name).stem for name in names}


def test_overlays_of_the_same_name_in_two_folders(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    copies(tmp_path / "photos", "a.png", "sub/a.png", "sub/b.png")
    out = tmp_path / "new" / "overlays"
    other = tmp_path / "photos" / "sub" / "a.png"
    with Image.open(other) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other)
    for _ in range(2):  # named after the photo's content: never one person's picture under another's name
        assert invoke("measure", tmp_path / "photos", "--overlay", out, "-j", 2).exit_code == 0
        names = sorted(p.name.split("-")[0] for p in out.iterdir())
        assert names == ["a", "a", "b"]
        digest = hashlib.sha256(other.read_bytes()).hexdigest()[:8]
        assert (out / f"a-{digest}.overlay.jpg").exists()


def test_overlay_is_a_picture_without_metadata(
    tmp_path: Path, astronaut: Pixels, two_faces_png: Path, invoke: Invoke
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    exif[0x010E] = "name of the patient"
    path = tmp_path / "a.jpg"
    image = Image.fromarray(astronaut)
    image.save(path, exif=exif, comment=b"name of the patient", quality=95)
    assert invoke("measure", path, two_faces_png, "--face", "all", "--overlay", tmp_path / "o").exit_code == 0
    names = [re.sub("-[0-9a-f]{8}", "", p.name) for p in (tmp_path / "o").iterdir()]
    assert sorted(names) == ["a.overlay.jpg", "two.face1.overlay.jpg", "two.overlay.jpg"]
    for picture in (tmp_path / "o").iterdir():
        assert b"patient" not in picture.read_bytes()
        with Image.open(picture) as opened:
            assert opened.format == "JPEG"
            assert not opened.getexif()
            assert "comment" not in opened.info
            assert min(opened.size) > 400
            assert np.asarray(opened).std() > 20


def test_overlays_are_not_taken_for_photos(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    copies(tmp_path, "a.png")
    for _ in range(2):
        result = invoke("measure", tmp_path, "--overlay", tmp_path, "-o", f"{tmp_path}/a.csv")
        assert result.exit_code == 0
        assert "1 of 1 photos measured" in result.stderr
    names = sorted(p.name[:1] + p.suffix for p in tmp_path.iterdir())
    assert names == ["a.csv", "a.jpg", "a.json", "a.png"]


def test_missing_overlay_is_made_again(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    arguments = ("measure", astronaut_png, "-o", tmp_path / "a.csv", "--overlay", tmp_path / "o")
    assert invoke(*arguments).exit_code == 0
    (picture,) = (tmp_path / "o").iterdir()
    picture.unlink()
    assert invoke(*arguments).exit_code == 0
    assert picture.exists()


def test_overlay_folder_that_cannot_be(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    (tmp_path / "file").touch()
    for name, reason in (("file", "File exists"), ("file/sub", "Not a directory")):
        assert refused(invoke, "measure", astronaut_png, "--overlay", tmp_path / name) == (
            f"Error: {tmp_path / name}: cannot be made a folder for overlays ({reason}).\n"
        )


def test_overlay_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, copies: Copies, astronaut_png: Path, invoke: Invoke
) -> None:
    (path,) = copies(tmp_path, "x" * 250 + ".png")
    result = invoke("measure", path, astronaut_png, "--overlay", tmp_path / "o")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"{tmp_path / 'o' / path.stem}-")
    assert ".overlay.jpg: the overlay cannot be written (File name too long).\n" in result.stderr


# -------------------------------------------------------------------------------------- models


def model(name: str) -> Path:
    return Path(face_recognition_models.__file__).parent / "models" / name


@pytest.mark.parametrize("output", [[], ["-o", "a.csv"], ["-o", "a.html"]])
def test_five_point_model_is_refused(
    astronaut_png: Path, invoke: Invoke, output: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = model("shape_predictor_5_face_landmarks.dat")
    assert refused(invoke, "measure", astronaut_png, "--landmark-model", path, *output) == (
        f"Error: {path}: 5 landmarks (p0, p1, p2 …); anthropo's measurements need "
        "the 68 points of the iBUG scheme. "
        "Give a landmark model of these; the points of this one are placed by `anthropo landmarks place`.\n"
    )
    assert not list(tmp_path.iterdir())


def test_missing_model(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    for path, what in ((tmp_path / "gone.dat", "no such landmark model"), (tmp_path, "Is a directory")):
        told = refused(invoke, "measure", astronaut_png, "--landmark-model", path)
        give = "Give a dlib shape predictor (.dat), or what `anthropo landmarks train` wrote."
        assert told == f"Error: {path}: {what}. {give}\n"


@pytest.mark.parametrize("content", [b"", b"text\n", bytes(range(256)) * 100])
def test_garbage_model(tmp_path: Path, astronaut_png: Path, invoke: Invoke, content: bytes) -> None:
    path = tmp_path / "garbage.dat"
    path.write_bytes(content)
    sentence = f"Error: {path}: not a dlib shape predictor, or a damaged one."
    told = refused(invoke, "measure", astronaut_png, "--landmark-model", path, says=sentence)
    assert told.count("\n") == 1


def test_truncated_model(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    data = model("shape_predictor_5_face_landmarks.dat").read_bytes()
    for cut in (4, 100, len(data) // 2, len(data) - 1):
        path = tmp_path / f"{cut}.dat"
        path.write_bytes(data[:cut])
        sentence = f"Error: {path}: not a dlib shape predictor, or a damaged one."
        refused(invoke, "measure", astronaut_png, "--landmark-model", path, says=sentence)


def test_named_default_model_gives_the_default_result(astronaut_png: Path, invoke: Invoke) -> None:
    path = model("shape_predictor_68_face_landmarks.dat")
    named = invoke("measure", astronaut_png, "--landmark-model", path)
    assert named.exit_code == 0
    assert named.stdout == invoke("measure", astronaut_png).stdout


# --------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    [
        "Åsa Müller 母 🙂.png",
        "with blanks  .png",
        "a[1].png",
        "[/bold].png",
        "a*?.png",
        "%s{0}.png",
        "'\"$x.png",
    ],
)
def test_unusual_names(tmp_path: Path, copies: Copies, invoke: Invoke, name: str) -> None:
    (path,) = copies(tmp_path / "photos", name)
    quick = ("--jitter", 2, "--no-fine")
    shown = invoke("measure", path, *quick)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"{path}  512 × 512 px")
    for suffix in ("csv", "json", "parquet", "html"):
        result = invoke("measure", path, *quick, "-o", tmp_path / f"a.{suffix}", "--overlay", tmp_path / "o")
        assert result.exit_code == 0
    with open(tmp_path / "a.csv", encoding="utf-8", newline="") as file:
        assert [row["photo"] for row in csv.DictReader(file)] == [str(path)]
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["photos"][0]["photo"] == str(path)
    (picture,) = (tmp_path / "o").iterdir()
    assert re.fullmatch(
        re.escape(portable_name(f"{path.stem}-")) + r"[0-9a-f]{8}\.overlay\.jpg", picture.name
    )


def test_name_with_a_dash(tmp_path: Path, copies: Copies) -> None:
    copies(tmp_path, "-j.png")
    done = process("measure", "--", "-j.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("-j.png  512 × 512 px")


def test_terminal_whose_encoding_lacks_the_name(tmp_path: Path, astronaut_png: Path) -> None:
    shutil.copy(astronaut_png, tmp_path / "母.png")
    done = subprocess.run(
        [sys.executable, "-c", "from anthropo.cli import main; main()", "measure", "母.png"],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.match(rb"(\?|\xe6\xaf\x8d)\.png  512 ", done.stdout)


def test_overview_on_a_terminal_takes_names_literally(capsys: pytest.CaptureFixture[str]) -> None:
    from anthropo.report.tables import print_overview

    print_overview([measure_item(Item(f"[/bold] {i}.png"), Settings())[0] for i in range(2)])
    assert "[/bold] 1.png" in capsys.readouterr().out


def test_odd_exif_says_nothing_on_stderr(tmp_path: Path, astronaut: Pixels) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    exif[0x010F] = "a camera with a long name"
    path = tmp_path / "a.jpg"
    Image.fromarray(astronaut).save(path, exif=exif, quality=95)
    data = path.read_bytes()
    start = data.index(b"Exif\0\0") + 6
    # a count of far more bytes than the file has
    at = (
        data.index(b"\x01\x0f", start)
        if b"\x01\x0f" in data[start : start + 60]
        else data.index(b"\x0f\x01", start)
    )
    path.write_bytes(data[: at + 4] + b"\xff\xff\xff\x7f" + data[at + 8 :])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        anthropo.read_photo(str(path))
    assert caught  # else this test shows nothing
    done = process("measure", path)
    assert (done.returncode, done.stderr) == (0, "")


def test_all_of_a_csv_fails_with_exit_code_one(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "a.csv").write_text("photo\ngone.png\n")
    result: Any = invoke("measure", tmp_path / "a.csv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"{tmp_path}/gone.png: no such file.\n"


def test_closed_output_is_no_traceback(astronaut_png: Path) -> None:
    command = f"exec {sys.executable} -c 'from anthropo.cli import main; main()' measure {astronaut_png} >&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_a_cohort_ends_with_how_it_did_at_the_photo_gate(
    copies: Copies, tmp_path: Path, invoke: Invoke, suffix: str
) -> None:
    copies(tmp_path / "photos", "a.png", "b.png")
    expected = [
        "photo gate: 2 of 2 photos (100 %) failed the photo gate.",
        "  mouth open: 2 photos (100 %); close the mouth",
        "  smile: 2 photos (100 %); keep a neutral expression",
    ]
    for _ in range(2):  # of the second run all photos are an earlier one's
        result = invoke("measure", tmp_path / "photos", "-o", tmp_path / f"r.{suffix}", "--jitter", 2)
        assert result.stderr.splitlines()[-4:-1] == expected
    assert invoke("measure", tmp_path / "photos", "-o", tmp_path / "r.html", "--jitter", 2).exit_code == 0
    assert "mouth open: 2 photos (100 %); close the mouth" in (tmp_path / "r.html").read_text()
