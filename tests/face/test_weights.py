"""Weights: the right file or a clear refusal, and a cache that is never half there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anthropo.errors import WeightsError
from anthropo.face import weights
from anthropo.files import file_sha256
from conftest import FIVE_POINTS

LOAD = "from anthropo.face.weights import landmark_model; print(landmark_model()[0].points)"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ANTHROPO_CACHE", str(folder))
    weights.landmark_model.cache_clear()
    yield folder
    weights.landmark_model.cache_clear()


def test_packaged_files_have_the_hashes_that_are_expected() -> None:
    for known in weights.KNOWN:
        assert file_sha256(weights.locate(known.name)) == known.sha256


def test_the_licence_that_forbids_commercial_use_is_stated() -> None:
    landmarks = next(w for w in weights.KNOWN if w.name == "landmarks-68")
    assert not landmarks.commercial_use
    assert "excludes commercial use" in landmarks.licence


def test_two_processes_may_build_the_cache_at_once(cache: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", LOAD], stdout=subprocess.PIPE) for _ in range(3)]
    assert [p.communicate()[0].strip() for p in processes] == [b"68"] * 3
    assert len(list(cache.iterdir())) == 1  # one file, no temporary ones left


def test_a_truncated_cache_is_built_again(cache: Path) -> None:
    weights.landmark_model()
    (packed,) = cache.iterdir()
    size = packed.stat().st_size
    weights.landmark_model.cache_clear()
    packed.write_bytes(packed.read_bytes()[:1000])
    assert weights.landmark_model()[0].points == 68
    assert packed.stat().st_size == size


def test_without_a_writable_cache_it_works_from_memory(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert weights.landmark_model()[0].points == 68


def test_a_damaged_packaged_file_is_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "damaged.dat"
    damaged.write_bytes(FIVE_POINTS.read_bytes())
    monkeypatch.setattr(weights, "locate", lambda name: damaged)
    with pytest.raises(WeightsError, match="damaged or another one"):
        weights.landmark_model()


def test_files_that_are_no_shape_predictor_are_refused(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such landmark model"):
        weights.landmark_model(str(tmp_path / "nowhere.dat"))
    garbage = tmp_path / "garbage.dat"
    garbage.write_bytes(b"\x00\xff" * 500)
    with pytest.raises(WeightsError, match="not a dlib shape predictor"):
        weights.landmark_model(str(garbage))
    truncated = tmp_path / "truncated.dat"
    truncated.write_bytes(FIVE_POINTS.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="not a dlib shape predictor"):
        weights.landmark_model(str(truncated))


def test_another_predictor_is_cached_under_its_own_hash(cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mine.dat"
    shutil.copy(FIVE_POINTS, copy)
    predictor, digest = weights.landmark_model(str(copy))
    assert predictor.points == 5
    assert digest == file_sha256(copy)
    assert [p.name for p in cache.iterdir()] == [f"shape-predictor-{digest[:32]}-v1.bin"]
