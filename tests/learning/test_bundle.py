"""Model files: what goes in comes out, and a file is written whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bundle_files import ARRAYS, MANIFEST, model_file

from anthropo import __version__, container, files
from anthropo.errors import ModelError
from anthropo.learning.bundle import Bundle, read_bundle, write_bundle


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return model_file(tmp_path)


# -------------------------------------------------------------------------------- round trip


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "<i2", "<i4", "<i8", "u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8"]
)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 5), (3, 4), (2, 1, 3)])
def test_arrays_come_back_as_they_were(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype) * np.ones(1, dtype).reshape(())
    array = np.asarray(array, dtype)
    write_bundle(tmp_path / "m", Bundle({}, {"a": array}))
    found = read_bundle(tmp_path / "m").arrays["a"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()
    assert found.flags.writeable


def test_memory_order_and_byte_order_are_none_of_the_files_business(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    forms = [array, np.asfortranarray(array), array.astype(">i4"), np.tile(array, (2, 2))[:2, :3]]
    for i, form in enumerate(forms):
        write_bundle(tmp_path / str(i), Bundle({}, {"a": form}))
        np.testing.assert_array_equal(read_bundle(tmp_path / str(i)).arrays["a"], array)
    assert len({(tmp_path / str(i)).read_bytes() for i in range(4)}) == 1


def test_everything_comes_back(model: Path) -> None:
    read = read_bundle(model)
    assert {k: read.manifest[k] for k in MANIFEST} == MANIFEST
    assert read.manifest["anthropo"] == __version__
    assert read.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert read.arrays[name].tobytes() == array.tobytes()  # NaN and the sign of zero too


def test_the_card_can_be_read_without_anthropo(model: Path) -> None:
    with zipfile.ZipFile(model) as archive:
        card = archive.read("card.md").decode()
    assert card.startswith("# Model card")
    assert "Größe ü/β" in card


def test_a_bundle_that_was_read_can_be_written_again(model: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "again", read_bundle(model))
    assert (tmp_path / "again").read_bytes() == model.read_bytes()


def test_the_same_contents_give_the_same_bytes(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 2e9)
    shuffled = Bundle(MANIFEST, dict(reversed(ARRAYS.items())))
    write_bundle(tmp_path / "later", shuffled)
    assert (tmp_path / "later").read_bytes() == model.read_bytes()


@pytest.mark.parametrize(
    ("bundle", "match"),
    [
        (Bundle({}, {"a": np.array(["x"])}), "dtype"),
        (Bundle({}, {"a": np.array([None])}), "dtype"),
        (Bundle({}, {"../a": np.zeros(1)}), "cannot be the name"),
        (Bundle({}, {"a b": np.zeros(1)}), "cannot be the name"),
        (Bundle({"labels": "a"}, {}), "manifest > labels is not a list"),
        (Bundle({"seed": True}, {}), "manifest > seed is not of the type int"),
        (Bundle({"cohort": {"labels": {"a": {"photos": 1.5}}}}, {}), "labels > a > photos is not"),
        (Bundle({"x": float("nan")}, {}), "JSON compliant"),
        (Bundle({"title": "\x1b[2J"}, {}), "control characters"),
    ],
)
def test_what_a_model_file_cannot_hold_is_not_written(tmp_path: Path, bundle: Bundle, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        write_bundle(tmp_path / "m", bundle)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------- written whole


def test_a_full_disk_leaves_the_old_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = model.read_bytes()
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(
        ModelError, match=r"m\.anthropo: the model cannot be written \(No space left on device\)"
    ):
        write_bundle(model, Bundle({}, {}))
    assert model.read_bytes() == before
    assert os.listdir(model.parent) == [model.name]


def test_a_file_size_limit_of_the_system_leaves_the_old_model(model: Path) -> None:
    script = (
        "import resource, sys, numpy as np\n"
        "from anthropo.learning.bundle import Bundle, write_bundle\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "write_bundle(sys.argv[1], Bundle({}, {'a': np.zeros(100_000)}))\n"
    )
    before = model.read_bytes()
    run = subprocess.run([sys.executable, "-c", script, str(model)], capture_output=True, text=True)
    assert "ModelError" in run.stderr
    assert "the model cannot be written (File too large)" in run.stderr
    assert model.read_bytes() == before
    assert os.listdir(model.parent) == [model.name]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no/m: the model cannot be written \(No such file or directory\)"):
        write_bundle(tmp_path / "no" / "m", Bundle({}, {}))


def test_what_would_not_be_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_BYTES", 5000)
    with pytest.raises(ModelError, match="too large to be kept"):
        write_bundle(tmp_path / "m", Bundle({}, {"a": np.zeros(1000)}))
    assert not list(tmp_path.iterdir())
