from __future__ import annotations

from pathlib import Path

from conftest import Invoke

from anthropo.learning.trained import Trained


def test_demo_goes_the_whole_way(tmp_path: Path, invoke: Invoke, small_demo: None) -> None:
    folder = tmp_path / "demo"
    result = invoke("demo", folder, "--patients", 10, "-j", 1)
    assert result.exit_code == 0
    steps = ("1. SYNTHETIC people", "2. Train", "3. Classify", "4. Explain", "5. Evaluate", "Done")
    places = [result.stdout.index(step) for step in steps]
    assert places == sorted(places)
    assert "It was made as synthetic-A." in result.stdout
    assert "decision  " in result.stdout
    assert "background only" in result.stdout
    for name in ("explanation.html", "evaluation.html"):
        assert str(folder / name) in result.stdout.partition("open   ")[2]
        page = (folder / name).read_text(encoding="utf-8")
        assert "SYNTHETIC: every picture is one public photo, morphed." in page.partition("<h2>")[0]
    assert Trained.load(folder / "demo.anthropo").model.labels == ("control", "synthetic-A")
    assert len(list((folder / "cohort").glob("*.jpg"))) == 20
    again = invoke("demo", folder, "--patients", 10)
    assert again.exit_code == 2
    assert "the folder is not empty" in again.stderr


def test_demo_refuses_unknown_and_single_labels(tmp_path: Path, invoke: Invoke) -> None:
    for labels, message in (
        ("control", "two labels or more are needed"),
        ("control,real", "No synthetic label is called 'real'. Choose from control, synthetic-A"),
    ):
        result = invoke("demo", tmp_path / "d", "--labels", labels)
        assert result.exit_code == 2
        assert message in result.stderr


def test_demo_stops_after_the_photos(tmp_path: Path, invoke: Invoke) -> None:
    folder = tmp_path / "study"
    result = invoke("demo", folder, "--patients", 10, "--photos-only", "-j", 1)
    assert result.exit_code == 0
    assert len(list((folder / "cohort").glob("*.jpg"))) == 20
    assert (folder / "cohort/cohort.csv").is_file()
    assert not list(folder.rglob("*.anthropo"))
    for named in ("cohort/cohort.csv", "cohort/truth.csv", "new/synthetic-0001-1.jpg"):
        assert str(folder / named) in result.stdout
        assert (folder / named).is_file()
    quick = ("--jitter", 2, "--no-fine")
    measured = invoke("measure", folder / "cohort", *quick, "-o", tmp_path / "faces.csv")
    same = [line for line in measured.stderr.splitlines() if "a synthetic picture by its metadata" in line]
    assert len(same) == 1, same  # one sentence for all of them
    assert same[0].startswith("20 photos (")
