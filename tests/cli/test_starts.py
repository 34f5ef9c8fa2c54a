"""What a command loads: not the libraries of training to answer, nor torch to look at a face."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cohorts
import pytest
from cohorts import Row, rows_of

HEAVY = {"torch", "sklearn", "pandas", "scipy", "onnx", "timm", "pyarrow", "matplotlib", "asyncio"}


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows: list[Row] = rows_of(cohorts.synthetic(tmp_path_factory))
    return next(row["photo"] for row in rows if row["label"] == "synthetic-A")


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohorts.model(tmp_path_factory, "gallery")


def loaded(folder: Path, *arguments: object) -> tuple[set[str], str]:
    """Which of the heavy libraries a command loads, in a process of its own; and what it prints."""
    code = (
        "import sys\nfrom anthropo.cli import main\ntry:\n    main()\nexcept SystemExit as left:\n"
        "    assert not left.code, left.code\n"
        f"open({str(folder / 'modules')!r}, 'w').write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=300
    )
    assert not done.returncode, done.stderr
    names = {name.split(".")[0] for name in (folder / "modules").read_text().split()}
    return names & (HEAVY | {"onnxruntime"}), done.stdout


def test_an_answer_needs_none_of_them(gallery: Path, photo: str, tmp_path: Path) -> None:
    asked = ("classify", "--model", gallery, photo, "--cache", tmp_path / "cache")
    first, told = loaded(tmp_path, *asked)
    assert first == {"onnxruntime", "scipy"}  # which warps the face's portrait
    again, same = loaded(tmp_path, *asked)  # now its embeddings are known
    assert (again, same) == (set(), told)


def test_nor_does_an_explanation_with_heatmaps(gallery: Path, photo: str, tmp_path: Path) -> None:
    page = tmp_path / "why.html"
    found, _ = loaded(
        tmp_path, "explain", "--model", gallery, photo, "--cache", tmp_path / "cache", "-o", page
    )
    assert found == {"onnxruntime", "scipy"}
    assert "heatmap" in page.read_text(encoding="utf-8")


def test_without_onnx_runtime_torch_answers_the_same(gallery: Path, photo: str, tmp_path: Path) -> None:
    asked = ("classify", "--model", gallery, photo, "--cache", "none")
    _, told = loaded(tmp_path, *asked)
    code = "import sys; sys.modules['onnxruntime'] = None\nfrom anthropo.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, asked)], capture_output=True, text=True, timeout=300
    )
    assert done.stdout == told  # rounded to what is shown
