"""Manifests of runs: written beside every output, and made again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

import anthropo
from anthropo.cli import cli
from anthropo.errors import InputError
from anthropo.files import file_sha256
from anthropo.workflows.manifest import TOLERANCE, Verification, manifest_path, read_manifest
from anthropo.workflows.sameness import OutputDifference, differences


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "anthropo", *map(str, arguments)], cwd=folder, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    for name in ("a.png", "b.png"):
        Image.fromarray(data.astronaut()).save(folder / name)
    (folder / "t.csv").write_text("photo,visit\na.png,1\nb.png,1\n")
    done = run(folder, "measure", "t.csv", "-o", "r.csv", "--jitter", "2", "--no-fine")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def cohort(measured: Path, tmp_path: Path) -> Path:
    """A measured cohort, in a folder of its own."""
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_run_can_be_made_again(cohort: Path) -> None:
    manifest = json.loads((cohort / "r.csv.run.json").read_text())
    assert manifest["command"] == ["measure", "t.csv", "-o", "r.csv", "--jitter", "2", "--no-fine"]
    assert manifest["settings"]["jitter"] == 2
    assert manifest["settings"]["face"] == "one"
    assert manifest["versions"]["anthropo"] == anthropo.__version__
    assert len(manifest["inputs"]) == 3  # the table and two photos, whose names do not appear
    assert "a.png" not in json.dumps(manifest)
    before = {path.name: path.read_bytes() for path in cohort.iterdir()}
    done = run(cohort, "verify", "r.csv.run.json")
    assert (done.returncode, done.stdout) == (0, "The same.\n")
    assert {path.name: path.read_bytes() for path in cohort.iterdir()} == before
    elsewhere = run(cohort.parent, "verify", cohort / "r.csv.run.json")  # from another folder
    assert (elsewhere.returncode, elsewhere.stdout) == (0, "The same.\n")


def test_what_has_changed_is_named(cohort: Path) -> None:
    Image.fromarray(data.astronaut()[:, ::-1]).save(cohort / "b.png")
    done = run(cohort, "verify", "r.csv.run.json")
    assert done.returncode == 1
    assert done.stdout.startswith("changed: input t.csv: ")
    assert done.stdout.splitlines()[-1] == "Not made again: what it read or wrote has changed."
    (cohort / "b.png").unlink()
    (cohort / "r.csv").write_text("mine")
    made = anthropo.verify(cohort / "r.csv.run.json")
    assert [text.split()[0] for text in made.changed] == ["output", "input"]
    assert not made.same


def test_what_differs_is_named_with_its_size(cohort: Path) -> None:
    path = cohort / "r.csv"
    header, first, *rest = path.read_text().splitlines()
    cells = first.split(",")
    at = (
        header.split(",").index("mouth_width_mm")
        if "mouth_width_mm" in header
        else header.split(",").index("yaw")
    )
    cells[at] = str(float(cells[at]) * 1.5)
    path.write_text("\n".join([header, ",".join(cells), *rest]) + "\n")
    manifest = manifest_path(path)
    document = json.loads(manifest.read_text())
    document["outputs"]["r.csv"] = file_sha256(path)
    manifest.write_text(json.dumps(document))
    made = anthropo.verify(manifest)
    (one,) = made.differences
    assert one.place.endswith(", yaw")
    assert one.size == pytest.approx(1 / 3, rel=1e-6)
    assert not made.same
    assert list(made.to_frame()["file"]) == ["r.csv"]


def test_other_machines_are_allowed_the_last_digits() -> None:
    small, large = (OutputDifference("r.csv", "", "1", "1", size) for size in (TOLERANCE / 2, TOLERANCE * 2))
    assert not Verification(differences=(small,)).same
    assert Verification(differences=(small,), elsewhere=("torch: 1 then, 2 now",)).same
    assert not Verification(differences=(large,), elsewhere=("torch: 1 then, 2 now",)).same


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "its schema is not"),
        ("[]", "its schema is not"),
        ("no json", "Expecting value"),
        (json.dumps({"schema": "anthropo run 1", "command": "measure"}), "is missing or of another kind"),
        ("[" * 100_000, "not a manifest of a run"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.run.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}: not a manifest of a run")
    assert message in str(caught.value)


def test_an_output_in_place_of_its_manifest_is_told(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    path.write_bytes(b"photo\n\xff\n")
    with pytest.raises(
        InputError, match=r"not a manifest of a run \(its name does not end in \.json\)\. Name"
    ):
        read_manifest(path)
    with pytest.raises(InputError, match="no such file"):
        read_manifest(tmp_path / "gone.csv")
    path = tmp_path / "x.run.json"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    assert "CSV" not in str(caught.value)


def test_output_outside_the_folder_is_refused(cohort: Path) -> None:
    path = cohort / "r.csv.run.json"
    document = json.loads(path.read_text())
    document["output"] = "../other.csv"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="its output does not lie beside it"):
        anthropo.verify(path)


def test_tables_models_and_folders_are_compared_by_content(tmp_path: Path) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    for folder, value in ((before, 1.0), (now, 1.0 + 1e-9)):
        folder.mkdir()
        (folder / "a.json").write_text(json.dumps({"created": folder.name, "x": [value, None], "y": "z"}))
        (folder / "b.csv").write_text(f"photo,x\np,{value!r}\n")
        (folder / "c.txt").write_text("same")
    (before / "own.txt").write_text("of somebody else")
    found = list(differences(before, now))
    assert [(one.file, one.place) for one in found] == [("a.json", "x[0]"), ("b.csv", "p, x")]
    assert all(one.size == pytest.approx(1e-9, rel=1e-3) for one in found)
    (now / "d.bin").write_bytes(b"1")
    assert os.path.basename(list(differences(before, now))[-1].file) == "d.bin"


@pytest.mark.parametrize("spelt", ["-oq.csv", "--output=q.csv"])
def test_nothing_is_overwritten_however_the_output_was_named(cohort: Path, spelt: str) -> None:
    others = ("--overlay", "drawn", "--save-landmarks", "points")
    made = run(cohort, "measure", "t.csv", spelt, "--jitter", "2", "--no-fine", *others)
    assert made.returncode == 0, made.stderr
    files = {path: path.read_bytes() for path in cohort.rglob("*") if path.is_file()}
    dates = {path: path.stat().st_mtime_ns for path in files}
    assert anthropo.verify(cohort / "q.csv.run.json").same
    assert {path: path.read_bytes() for path in cohort.rglob("*") if path.is_file()} == files
    assert {path: path.stat().st_mtime_ns for path in files} == dates


def test_one_process_records_each_run_with_its_own_words(
    cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cohort)
    recorded = []
    monkeypatch.setattr(
        "anthropo.workflows.manifest.record_run", lambda words, parameters, output: recorded.append(words)
    )
    for name in ("x.csv", "y.csv"):
        words = ["measure", "a.png", "-o", name, "--jitter", "2", "--no-fine"]
        assert CliRunner().invoke(cli, words).exit_code == 0
        assert recorded.pop() == tuple(words)
        assert recorded == []
    assert CliRunner().invoke(cli, ["measure", "gone.png", "-o", "z/z.csv"]).exit_code == 2
    assert recorded == []


def test_a_manifest_that_cannot_be_written_leaves_the_output(cohort: Path) -> None:
    (cohort / "x.csv.run.json").mkdir()
    done = run(cohort, "measure", "a.png", "-o", "x.csv", "--jitter", "2", "--no-fine")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].startswith("x.csv.run.json: cannot be written (")
    assert (cohort / "x.csv").stat().st_size > 1000


def test_what_computed_cached_embeddings_is_named_although_it_is_not_loaded() -> None:
    """Else the manifest of a run would differ by whether an earlier one had filled the cache."""
    program = """
import sys
import anthropo.workflows.manifest as manifest
assert "onnxruntime" not in manifest._versions(behind_cache=manifest._behind_cache({"jitter": 2}))
assert "onnxruntime" in manifest._versions(behind_cache=manifest._behind_cache({"model": "m.anthropo"}))
assert "onnxruntime" not in sys.modules
print(*manifest._versions(behind_cache=manifest._behind_cache({"encoder": "timm:resnet18"})))
import onnxruntime
print(manifest._versions()["onnxruntime"], manifest._versions(behind_cache={"onnxruntime"})["onnxruntime"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    named, versions = done.stdout.splitlines()
    assert {"onnxruntime", "torch"} <= set(named.split())
    assert len(set(versions.split())) == 1


def test_only_known_libraries_are_imported_for_their_versions(cohort: Path) -> None:
    path = cohort / "r.csv.run.json"
    document = json.loads(path.read_text())
    (cohort / "trap.py").write_text("raise SystemExit('imported')")
    document["versions"]["trap"] = "1"
    path.write_text(json.dumps(document))
    assert [text for text in anthropo.verify(path).elsewhere if "trap" in text] == [
        "trap: 1 then, not set now"
    ]
