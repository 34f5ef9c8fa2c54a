"""`--distance`, the column `distance` and EXIF, through the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohorts import FAST
from conftest import Copies, Invoke, Pixels, refused
from PIL import Image

from anthropo import InputError, PhotoReading
from anthropo.workflows.cohort import settings_for

QUICK = ("--jitter", "1", "--no-fine")


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def jpeg(path: Path, pixels: Pixels, focal: int, **tags: Any) -> Path:
    """The photo with a focal length, and other things that cameras write, in its EXIF."""
    exif = Image.Exif()
    exif[0x010F] = "CameraMaker"
    exif.get_ifd(0x8769).update({0xA405: focal, 0xA002: pixels.shape[1], 0xA003: pixels.shape[0]})
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


@pytest.mark.parametrize("given", ["0", "-60", "abc", "lens=0mm", "1 km", "lens=999mm", "60±40", ""])
@pytest.mark.parametrize("command", ["measure", "traits"])
def test_what_is_no_distance_is_refused_before_a_photo_is_read(
    invoke: Invoke, tmp_path: Path, command: str, given: str
) -> None:
    said = refused(
        invoke, command, tmp_path / "gone.jpg", "--distance", given, says=f"--distance {given!r}: "
    )
    assert len(said.splitlines()) == 1
    assert "Give 60 (cm, 10 to 1000; with an error: 60±3) or lens=26mm" in said


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_learning_refuses_it_as_well(invoke: Invoke, tmp_path: Path, copies: Copies, command: str) -> None:
    copies(tmp_path, "a.png", "b.png")
    (tmp_path / "c.csv").write_text("photo,label,patient\na.png,a,1\nb.png,b,2\n")
    output = ("-o", tmp_path / "m.anthropo") if command == "train" else ()
    refused(
        invoke, command, tmp_path / "c.csv", *output, "--distance", "abc", *FAST,
        says="--distance 'abc': not a distance in cm.",
    )  # fmt: skip


def test_a_photo_without_a_face_has_no_distance() -> None:
    with pytest.raises(
        InputError, match=r"distance is about faces, and no_face=True was given\. Leave it out\."
    ):
        settings_for(PhotoReading(distance="60", no_face=True))
    assert settings_for(PhotoReading(distance=60)).distance == 60


def test_a_declared_distance_is_told_and_kept(invoke: Invoke, tmp_path: Path, astronaut_png: Path) -> None:
    result = invoke("measure", astronaut_png, "--distance", "60±3", *QUICK)
    assert "distance: 60 cm, declared (95 % interval 54 to 66 cm)" in result.stdout.splitlines()
    assert (
        invoke("measure", astronaut_png, "-o", tmp_path / "a.json", "--distance", "60", *QUICK).exit_code == 0
    )
    (record,) = json.loads((tmp_path / "a.json").read_text())["photos"]
    said = record["diagnostics"]
    assert (said["distance"], said["distance_source"], said["declared"]) == (60, "declared", "60")
    assert said["distance_lo"] < 60 < said["distance_hi"]
    assert record["gate"]["perspective"]["ok"] is True
    assert json.loads((tmp_path / "a.json.run.json").read_text())["settings"]["distance"] == "60"


def test_an_unknown_distance_is_no_number(invoke: Invoke, tmp_path: Path, astronaut_png: Path) -> None:
    result = invoke("measure", astronaut_png, *QUICK)
    assert "distance: " not in result.stdout
    for name in ("a.json", "a.csv"):
        invoke("measure", astronaut_png, "-o", tmp_path / name, *QUICK)
    (record,) = json.loads((tmp_path / "a.json").read_text())["photos"]
    assert "distance" not in record["diagnostics"]
    assert record["gate"]["perspective"]["value"] is None
    (row,) = rows_of(tmp_path / "a.csv")
    assert (row["gate_perspective"], row["diagnostics_distance"]) == ("", "")
    assert row["diagnostics_distance_source"] == "unknown"
    # a second run reads it again
    assert (
        "1 of them by an earlier run"
        in invoke("measure", astronaut_png, "-o", tmp_path / "a.json", *QUICK).stderr
    )


def test_from_near_the_gate_voids_what_suffers_most(
    invoke: Invoke, tmp_path: Path, astronaut_png: Path
) -> None:
    result = invoke("measure", astronaut_png, "--distance", "35", *QUICK)
    assert "gate: perspective is 35, limit ≥ 50 cm: step back to 1 m or more, and zoom in" in result.stdout
    invoke("measure", astronaut_png, "-o", tmp_path / "a.csv", "--distance", "35", *QUICK)
    (row,) = rows_of(tmp_path / "a.csv")
    assert "perspective" in row["gate_failed"].split()
    assert row["bizygomatic_width"] == row["mandible_face_width_index"] == ""
    assert float(row["palpebral_fissure_length_R"]) > 0
    assert (
        "bizygomatic_width: voided by the photo gate: perspective 35 (limit 50" in row["measurement_reasons"]
    )


def test_a_column_gives_each_photo_its_own(invoke: Invoke, tmp_path: Path, copies: Copies) -> None:
    copies(tmp_path, "a.png", "b.png", "c.png", "d.png")
    table = tmp_path / "cohort.csv"
    table.write_text("photo,distance\na.png,200±10\nb.png,lens=85mm\nc.png,\nd.png,far\n")
    out = tmp_path / "out.csv"
    result = invoke("measure", table, "-o", out, "--distance", "70", *QUICK)
    assert result.exit_code == 3
    assert "d.png: Column `distance` 'far': not a distance in cm." in result.stderr
    rows = rows_of(out)
    assert [row["diagnostics_distance_source"] for row in rows] == ["declared", "lens", "declared", ""]
    assert [row["diagnostics_distance"] for row in rows][::2] == ["200.0", "70.0"]
    widths = [float(row["bizygomatic_width"]) for row in rows[:3]]
    assert widths[0] < widths[2]  # nearer: more is put back
    # only what is said to be from elsewhere is measured again
    table.write_text("photo,distance\na.png,100\nb.png,lens=85mm\nc.png,\n")
    again = invoke("measure", table, "-o", out, "--distance", "70", *QUICK)
    assert "2 of them by an earlier run" in again.stderr
    assert rows_of(out)[0]["diagnostics_distance"] == "100.0"


def test_exif_is_used_and_never_copied(invoke: Invoke, tmp_path: Path, astronaut: Pixels) -> None:
    photo = jpeg(tmp_path / "a.jpg", astronaut, 85)
    result = invoke(
        "measure", photo, "--save-landmarks", tmp_path / "l.json", "--overlay", tmp_path / "o", *QUICK
    )
    assert "cm, from EXIF's focal length (95 % interval " in result.stdout
    invoke("measure", photo, "-o", tmp_path / "a.json", *QUICK)
    page = tmp_path / "a.html"
    invoke("measure", photo, "-o", page, *QUICK)
    assert "Distance: " in page.read_text()
    assert "from EXIF&#39;s focal length" in page.read_text()
    for file in (*tmp_path.glob("*.json"), page, *(tmp_path / "o").iterdir()):
        data = file.read_bytes()
        assert b"CameraMaker" not in data
        assert b"85 mm" not in data
        assert b"Exif\x00\x00" not in data


@pytest.mark.parametrize("focal", [0, 999])
def test_an_impossible_focal_length_is_a_remark_and_the_photo_is_measured(
    invoke: Invoke, tmp_path: Path, astronaut: Pixels, focal: int
) -> None:
    photo = jpeg(tmp_path / "a.jpg", astronaut, focal)
    plain = tmp_path / "plain.jpg"
    Image.fromarray(astronaut).save(plain, quality=95)
    out = tmp_path / "a.csv"
    result = invoke("measure", photo, plain, "-o", out, *QUICK)
    assert result.exit_code == 0
    sentence = f"EXIF's focal length of {focal} mm is not used: no lens for portraits has it (8 to 600 mm)."
    assert result.stderr.count("EXIF's") == 1
    assert f"{photo}: {sentence}" in result.stderr
    first, second = rows_of(out)
    assert first["remark"] == sentence
    assert first["bizygomatic_width"] == second["bizygomatic_width"]
    assert np.isclose(float(first["bizygomatic_width_lo"]), float(second["bizygomatic_width_lo"]))


def test_a_model_is_trained_and_asked_with_a_distance(
    invoke: Invoke, tmp_path: Path, astronaut_png: Path
) -> None:
    """The same photo, declared to be from near, has other features."""
    from anthropo.encoder.encoders import load_encoder
    from anthropo.learning.cohort import Case, Cohort
    from anthropo.learning.features import extract
    from anthropo.settings import Settings

    settings = Settings(jitter=1, fine=False)
    cases = [Case(str(astronaut_png), "a", "p", distance=d) for d in ("", "60", "x")]
    found = [extract(Cohort((case,), "one"), settings, load_encoder(), regions=("face",)) for case in cases]
    width = found[0].measurement_ids.index("bizygomatic_width")
    assert found[1].measurements[0, width] > found[0].measurements[0, width]
    ((photo, why),) = found[2].left_out
    assert photo == str(astronaut_png)
    assert why.startswith(f"{photo}: Column `distance` 'x': not a distance in cm. Give 60 (cm, 10 to 1000; ")


def test_traits_say_the_distance_on_terminal_and_page(
    invoke: Invoke, tmp_path: Path, astronaut_png: Path
) -> None:
    asked = ("traits", astronaut_png, "--sex", "female", "--age", "31", "--distance", "lens=85mm")
    words = "from the declared lens (95 % interval "
    (line,) = (line for line in invoke(*asked).stdout.splitlines() if line.startswith("distance: "))
    assert words in line
    page = tmp_path / "t.html"
    assert invoke(*asked, "-o", page).exit_code == 0
    assert f"{astronaut_png}: {line}." in page.read_text()
