from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Invoke, Pixels
from PIL import Image

from anthropo import Settings, example_photo, observe, observe_all, photo, read_face
from anthropo.batch.inputs import Item
from anthropo.batch.run import measure_item
from anthropo.face import landmarker
from anthropo.face.fine import refine
from anthropo.face.landmarker import FIRST_DECODE
from anthropo.photo import read_photo
from anthropo.workflows.measuring import measure


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a file is decoded at each size, and a photo searched for faces, from here on."""
    counts: Counter[str] = Counter()
    decode, search = photo._decode, landmarker.search_photo

    def counted_decode(*arguments: Any) -> Any:
        found = decode(*arguments)
        counts[f"decoded at 1/{found.decode_scale}"] += 1
        return found

    def counted_search(*arguments: Any) -> Any:
        counts["searched"] += 1
        return search(*arguments)

    monkeypatch.setattr(photo, "_decode", counted_decode)
    monkeypatch.setattr(landmarker, "search_photo", counted_search)
    return counts


def test_an_observation_is_both_stages_of_the_face() -> None:
    seen = observe(example_photo(), Settings(jitter=4))
    first = read_face(example_photo(), jitter=4)
    assert np.array_equal(seen.first.landmarks, first.landmarks)
    assert np.array_equal(seen.face.landmarks, refine(read_photo(example_photo()), first).landmarks)
    assert (seen.index, seen.landmarks) == (0, None)
    assert seen.digest == read_photo(example_photo()).sha256


def test_one_stage_is_observed_when_asked_for() -> None:
    seen = observe(example_photo(), Settings(jitter=2, fine=False))
    assert seen.face is seen.first


def test_every_face_is_observed_when_asked_for(two_faces_png: Path) -> None:
    seen = observe_all(two_faces_png, Settings(jitter=2, face="all"))
    assert [one.index for one in seen] == [0, 1]
    assert len({id(one.photo) for one in seen}) == 1
    with pytest.raises(ValueError, match="observe_all"):
        observe(two_faces_png, Settings(face="all"))


def test_a_measured_photo_is_decoded_and_searched_once(
    passes: Counter[str], invoke: Invoke, tmp_path: Path
) -> None:
    measure_item(Item(example_photo()), Settings(texture=True, scale="iris"))
    assert passes == {"decoded at 1/1": 1, "searched": 1}
    passes.clear()
    measure(example_photo())
    assert passes == {"decoded at 1/1": 1, "searched": 1}
    passes.clear()
    done = invoke("measure", example_photo(), "-o", tmp_path / "report.html", "--overlay", tmp_path / "drawn")
    assert done.exit_code == 0
    assert passes == {"decoded at 1/1": 1, "searched": 1}


def test_a_large_jpeg_is_decoded_once_at_each_size_that_is_needed(
    passes: Counter[str], astronaut: Pixels, tmp_path: Path, invoke: Invoke
) -> None:
    path = tmp_path / "large.jpg"
    Image.fromarray(astronaut).resize((3360, 3360), Image.Resampling.BICUBIC).save(path, quality=95)
    done = invoke("measure", path, "-o", tmp_path / "report.html", "--texture")
    assert done.exit_code == 0
    assert passes["decoded at 1/8"] == passes["searched"] == 1
    assert set(passes.values()) == {1}


def test_a_finer_decode_is_kept_while_the_photo_is_in_use(astronaut: Pixels, tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.fromarray(astronaut).resize((2048, 2048)).save(path)
    coarse = read_photo(path, short_side=FIRST_DECODE)
    assert coarse.decode_scale == 4
    assert coarse.finer(2).finer(1).pixels is coarse.finer(1).pixels
    assert coarse.finer(2).pixels is coarse.finer(2).pixels
