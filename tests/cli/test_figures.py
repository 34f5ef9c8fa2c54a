"""`--figures FOLDER` of commands that look at photos; see also the tests of the other commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from conftest import Invoke, refused

Copies = Callable[..., list[Path]]
QUICK = ("--jitter", "1")


def names(folder: Path) -> list[str]:
    """Of the figures, without the hash of the photo; each is there as SVG and as PDF."""
    files = {p.name for p in folder.iterdir()}
    stems = {name.rsplit(".", 1)[0] for name in files}
    assert files == {f"{stem}.{kind}" for stem in stems for kind in ("svg", "pdf")}
    return sorted(re.sub(r"-[0-9a-f]{8}(?=[.-])", "", stem) for stem in stems)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_measure_draws_each_face_the_same_by_threads(
    tmp_path: Path, copies: Copies, invoke: Invoke, two_faces_png: Path
) -> None:
    copies(tmp_path, "a.png")
    table = tmp_path / "c.csv"
    table.write_text(f"photo,sex,age\na.png,,\n{two_faces_png},f,31\ngone.png,f,31\n", "utf-8")
    for folder, jobs in (("one", 1), ("four", 4)):
        where = ("--figures", tmp_path / folder, "-o", tmp_path / f"{folder}.csv")
        assert invoke("measure", table, "--face", "all", *where, "-j", jobs, *QUICK).exit_code == 3
    first, again = contents(tmp_path / "one"), contents(tmp_path / "four")
    assert first == again
    expected = [f"{face}-{kind}" for face in ("two", "two.face1") for kind in ("face", "z-scores")]
    # without sex and age there are values alone
    assert names(tmp_path / "one") == sorted([*expected, "a-face", "a-measurements"])
    drawn = next(data for name, data in first.items() if name.endswith("z-scores.svg"))
    assert b">z-score, 95 % interval" in drawn  # text that can be edited
    assert b"<image" in next(data for name, data in first.items() if name.endswith("face.svg"))


def test_measure_draws_what_is_missing(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    where = ("-o", tmp_path / "a.csv", "--figures", tmp_path / "f", *QUICK)
    assert invoke("measure", astronaut_png, *where).exit_code == 0
    for path in (tmp_path / "f").iterdir():
        path.unlink()
    result = invoke("measure", astronaut_png, *where)
    assert result.exit_code == 0
    assert len(names(tmp_path / "f")) == 2


def test_measure_draws_people(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    copies(tmp_path, "a.png", "b.png", "c.png")
    table = tmp_path / "c.csv"
    table.write_text("photo,patient,sex,age\na.png,p/1,f,31\nb.png,p/1,f,31\nc.png,p2,f,31\n")
    where = ("--figures", tmp_path / "f", "-o", tmp_path / "people.csv")
    assert invoke("measure", table, "--patient", *where, *QUICK).exit_code == 0
    assert names(tmp_path / "f") == ["a-face", "b-face", "c-face", "p-1-z-scores", "p2-z-scores"]


def test_traits_draw_z_and_growth(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    copies(tmp_path, "a.png", "b.png")
    one = tmp_path / "one"
    sizes = ("--sex", "f", "--age", "4.0", "--height", 100, "--weight", 16)
    result = invoke("traits", tmp_path / "a.png", *sizes, "--figures", one, *QUICK)
    assert result.exit_code == 0, result.stderr
    assert names(one) == ["growth-height", "growth-weight", "traits"]
    chart = (one / "growth-height.svg").read_text()
    assert "Height, cm" in chart
    assert re.search(r">WHO 2006/2007; centile \d+\.\d, z −0\.\d+<", chart)
    table = tmp_path / "c.csv"
    # an adult's size has no curve
    table.write_text("photo,patient,sex,age,height\na.png,x,f,4.0,80\nb.png,y,f,31,170\n")
    charts = ("--growth-reference", "who", "--growth-reference", "adults")
    many = ("--figures", tmp_path / "many", *charts, *QUICK)
    assert invoke("traits", table, "-o", tmp_path / "t.csv", *many).exit_code == 0
    assert names(tmp_path / "many") == ["all", "x-growth-height", "x-traits", "y-traits"]
    assert "Short stature" in (tmp_path / "many" / "all.svg").read_text()


def test_a_file_is_no_folder_for_figures(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    file = tmp_path / "f"
    file.touch()
    sentence = f"Error: {file}: a file, not a folder. Name a folder for the figures.\n"
    for command in ("measure", "traits"):
        assert refused(invoke, command, astronaut_png, "--figures", file) == sentence
