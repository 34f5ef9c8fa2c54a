"""Weights: the right file or a clear refusal, and a cache that is never half there."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import FIVE_POINTS, Pixels
from crafted import Predictor, entry, square

from anthropo.errors import WeightsError
from anthropo.face import _engine, weights
from anthropo.face.frame import Floats
from anthropo.files import file_sha256

LOAD = "from anthropo.face.weights import landmark_model; print(landmark_model().predictor.points)"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ANTHROPO_CACHE", str(folder))
    weights.landmark_model.cache_clear()
    yield folder
    weights.landmark_model.cache_clear()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache as it has to be."""
    folder = tmp_path_factory.mktemp("built") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPO_CACHE", str(folder))
        weights.landmark_model.cache_clear()
        weights.landmark_model()
        weights.landmark_model.cache_clear()
    return folder


@pytest.fixture
def full(built: Path, cache: Path) -> Path:
    """A copy of it: to convert the weights takes half a second."""
    shutil.copytree(built, cache)
    return cache


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


def test_a_truncated_cache_is_built_again(full: Path) -> None:
    weights.landmark_model()
    (packed,) = full.iterdir()
    size = packed.stat().st_size
    weights.landmark_model.cache_clear()
    packed.write_bytes(packed.read_bytes()[:1000])
    assert weights.landmark_model().predictor.points == 68
    assert packed.stat().st_size == size


BOX = np.array([[178.0, 76, 281, 178]])


def landmarks(astronaut: Pixels) -> Floats:
    return weights.landmark_model().predictor.predict(astronaut, BOX)


@pytest.mark.parametrize("damage", ["zeros", "bit", "short", "long", "seal", "another", "link", "folder"])
def test_a_cache_that_does_not_fit_is_built_again(
    full: Path, cache: Path, astronaut: Pixels, damage: str
) -> None:
    right = landmarks(astronaut)
    (packed,) = cache.iterdir()
    whole = packed.read_bytes()
    broken = bytearray(whole)
    if damage == "zeros":
        broken[20_000_000:21_000_000] = bytes(1_000_000)
    elif damage == "bit":
        broken[-1000] ^= 1
    elif damage == "short":
        del broken[-64:]
    elif damage == "long":
        broken += bytes(64)
    elif damage == "seal":
        broken[5] ^= 1
    elif damage == "another":  # whole, and of 68 points, but another model
        broken[:] = another_model()
    packed.unlink()
    if damage == "link":
        (cache.parent / "elsewhere").write_bytes(broken[:-64])
        packed.symlink_to(cache.parent / "elsewhere")
    elif damage == "folder":
        packed.mkdir()
    else:
        packed.write_bytes(broken)
    weights.landmark_model.cache_clear()
    assert np.array_equal(landmarks(astronaut), right)
    if damage == "folder":  # is left alone
        assert list(packed.iterdir()) == []
        return
    assert packed.read_bytes() == whole
    assert not packed.is_symlink()
    assert stat.S_IMODE(packed.stat().st_mode) == 0o600
    if damage == "link":
        assert (cache.parent / "elsewhere").stat().st_size == len(whole) - 64


def another_model() -> bytes:
    """A cache entry that is right but for whose it is."""
    dat = np.frombuffer(Predictor(square(68)).dat(), np.uint8)
    name = f"shape-predictor-{hashlib.sha256(dat).hexdigest()[:32]}-v3.bin"
    return entry(name, _engine.pack_shape_predictor(dat).tobytes())


def test_a_crafted_detector_is_built_again(cache: Path, astronaut: Pixels) -> None:
    weights.face_detector.cache_clear()
    found = weights.face_detector().detect(astronaut)
    (packed,) = cache.iterdir()
    whole = packed.read_bytes()
    for crafted in (whole[:-1], whole[64:], whole[:64] + bytes(len(whole) - 64), b"", whole[:64]):
        packed.write_bytes(crafted)
        weights.face_detector.cache_clear()
        assert np.array_equal(weights.face_detector().detect(astronaut), found)
        assert packed.read_bytes() == whole
    weights.face_detector.cache_clear()


def test_a_cache_that_is_cut_short_while_it_is_used_changes_nothing(cache: Path, astronaut: Pixels) -> None:
    right = landmarks(astronaut)
    weights.landmark_model.cache_clear()  # from here on the cache is read
    model = weights.landmark_model()
    assert np.array_equal(model.predictor.predict(astronaut, BOX), right)
    (packed,) = cache.iterdir()
    with packed.open("r+b") as file:
        file.truncate(4096)
    assert np.array_equal(model.predictor.predict(astronaut, BOX), right)


def test_only_what_the_user_alone_may_write_is_trusted() -> None:
    me = os.geteuid()

    def file(mode: int, owner: int, size: int = 5000) -> os.stat_result:
        return os.stat_result((stat.S_IFREG | mode, 1, 1, 1, owner, 1, size, 0, 0, 0))

    assert weights._own(file(0o600, me))
    assert weights._own(file(0o644, me))
    assert weights._own(file(0o644, 0))  # who runs the machine may do anything in any case
    for other in (
        file(0o600, me + 1),
        file(0o660, me),
        file(0o602, me),
        file(0o600, me, size=64),
    ):
        assert not weights._own(other)


def test_what_others_may_write_is_replaced(cache: Path, astronaut: Pixels) -> None:
    right = landmarks(astronaut)
    (packed,) = cache.iterdir()
    os.utime(packed, (1, 1))
    packed.chmod(0o666)
    weights.landmark_model.cache_clear()
    assert np.array_equal(landmarks(astronaut), right)
    assert packed.stat().st_mtime > 1
    assert stat.S_IMODE(packed.stat().st_mode) == 0o600


def test_a_pipe_in_the_cache_is_not_waited_for(cache: Path) -> None:
    weights.landmark_model()
    (packed,) = cache.iterdir()
    packed.unlink()
    os.mkfifo(packed)
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, timeout=60, check=True)
    assert done.stdout.strip() == b"68"


def test_a_forked_process_reads_for_itself_what_its_parent_was_reading(cache: Path) -> None:
    model = weights.landmark_model()
    model._thread.join()
    model._predictor = None  # as in a process that was forked before the thread was done
    assert model.predictor.points == 68


def test_without_a_writable_cache_it_works_from_memory(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert weights.landmark_model().predictor.points == 68


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


def test_crafted_landmark_models_are_refused_in_one_sentence(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "crafted.dat"
    for data, why in (
        (Predictor(square(), leaf=math.nan).dat(), "a number in it is not finite"),
        (
            Predictor(square(), counts={"leaves": 2**33}).dat(),
            "a shape predictor of a form that dlib's trainer does not write",
        ),
        (Predictor(square(), counts={"trees": 50_000}).dat(), "not a dlib shape predictor, or a damaged one"),
    ):
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=rf"crafted.dat: {why}[^.]*\. Give a dlib shape predictor"):
            weights.landmark_model(str(path))
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(WeightsError, match=r"more than the limit of 0.5 GiB"):
        weights.landmark_model(str(path))
    with pytest.raises(WeightsError, match="a device, not a file"):
        weights.landmark_model(os.devnull)


def test_another_predictor_is_cached_under_its_own_hash(cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mine.dat"
    shutil.copy(FIVE_POINTS, copy)
    model = weights.landmark_model(str(copy))
    assert model.predictor.points == 5
    assert model.sha256 == file_sha256(copy)
    assert [p.name for p in cache.iterdir()] == [f"shape-predictor-{model.sha256[:32]}-v3.bin"]


def same_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        a.dtype == other[k].dtype and a.shape == other[k].shape and a.tobytes() == other[k].tobytes()
        for k, a in one.items()
    )


@pytest.mark.parametrize("name", ["fine-landmarks", "visibility"])
def test_packaged_arrays_are_kept_bit_for_bit(
    cache: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = weights.arrays_of(weights.read_checked(name))
    assert same_arrays(weights.kept_arrays(name), plain)  # made
    monkeypatch.setattr(weights, "arrays_of", lambda data: pytest.fail("was inflated again"))
    monkeypatch.setattr(weights, "read_checked", lambda name: pytest.fail("was read again"))
    kept = weights.kept_arrays(name)
    assert same_arrays(kept, plain)
    assert not any(array.flags.writeable for array in kept.values())


@pytest.mark.parametrize("name", ["fine-landmarks", "visibility"])
def test_arrays_of_another_file_are_refused_and_not_kept(
    cache: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, frame=np.zeros((68, 2)))
    monkeypatch.setattr(weights, "locate", lambda name: other)
    for _ in range(2):
        with pytest.raises(WeightsError, match=r"other\.npz: SHA-256 .* the file is damaged or another one"):
            weights.kept_arrays(name)
    other.unlink()
    with pytest.raises(WeightsError, match=r"other\.npz: cannot be read .* Reinstall anthropo\."):
        weights.kept_arrays(name)
    assert not cache.exists() or not list(cache.iterdir())


def test_damaged_kept_arrays_are_made_again(cache: Path) -> None:
    plain = weights.kept_arrays("visibility")
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    damaged = [
        whole[:100],  # cut short
        whole[:-8],
        whole[:200] + b"\0" * 8 + whole[208:],
        whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],  # one bit
        b"0" * 64 + whole[64:],  # of something else
    ]
    for content in damaged:
        file.write_bytes(content)
        assert same_arrays(weights.kept_arrays("visibility"), plain)
        assert file.read_bytes() == whole  # in the place of the damaged one


def test_crafted_kept_arrays_are_no_arrays(cache: Path) -> None:
    """A list that fits its own checksum but not the rest of the file, or that names no plain numbers."""
    plain = weights.kept_arrays("visibility")
    (file,) = cache.iterdir()
    seal = file.read_bytes()[:64]
    for listed in (
        '[["side", "<i8", [1000000]]]',
        '[["side", "|O", [1]]]',
        "[[1]]",
        "[",
        '[["a", "x9", []]]',
    ):
        text = listed.encode() + b" " * (-len(listed) % 8)
        rest = len(text).to_bytes(8, "little") + text + bytes(64)
        file.write_bytes(seal + hashlib.sha256(rest).hexdigest().encode() + rest)
        assert same_arrays(weights.kept_arrays("visibility"), plain)
