from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from anthropo.face.landmarker import read_faces
from anthropo.learning.duplicates import (
    PRINT_SIDE,
    THRESHOLD,
    Pair,
    duplicate_findings,
    face_print,
    find_duplicates,
)
from anthropo.learning.features import Features, subset
from anthropo.photo import Photo, read_photo

Print = NDArray[np.float32]


def print_of(picture: Image.Image) -> Print:
    photo = Photo.from_array(np.asarray(picture.convert("RGB")))
    return face_print(photo, read_faces(photo, face="largest")[0])


def features_of(
    prints: NDArray[np.float32], digests: list[str] | None = None, **columns: list[str]
) -> Features:
    n = len(prints)
    return Features(
        photos=np.array([f"{i}.png" for i in range(n)]),
        labels=np.array(columns.get("labels", ["x"] * n)),
        patients=np.array(columns.get("patients", [f"p{i}" for i in range(n)])),
        measurements=np.zeros((n, 0)),
        measurement_ids=(),
        regions={},
        metadata={},
        digests=np.array(digests or [f"sha{i}" for i in range(n)]),
        prints=prints,
    )


def random_prints(n: int, seed: int = 0) -> NDArray[np.float32]:
    prints = np.random.default_rng(seed).standard_normal((n, PRINT_SIDE**2)).astype(np.float32)
    prints -= prints.mean(1, keepdims=True)
    return prints / np.linalg.norm(prints, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def original(astronaut: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(astronaut)


@pytest.fixture(scope="module")
def original_print(original: Image.Image) -> Print:
    return print_of(original)


def recompressed(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG": lambda p: recompressed(p, 30),
    "smaller": lambda p: p.resize((300, 300), Image.Resampling.LANCZOS),
    "larger": lambda p: p.resize((900, 900), Image.Resampling.BICUBIC),
    "cropped": lambda p: p.crop((150, 40, 310, 220)),
    "framed": lambda p: Image.fromarray(np.pad(np.asarray(p), ((90, 10), (20, 200), (0, 0)))),
    "turned": lambda p: p.rotate(8, Image.Resampling.BICUBIC),
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.3),
    "darker": lambda p: ImageEnhance.Brightness(p).enhance(0.5),
    "contrast": lambda p: ImageEnhance.Contrast(p).enhance(1.4),
    "grey": lambda p: p.convert("L"),
    "all at once": lambda p: recompressed(
        ImageEnhance.Brightness(p.crop((120, 20, 340, 260)).resize((260, 284))).enhance(1.2).convert("L"), 50
    ),
}


@pytest.mark.parametrize("name", COPIES)
def test_an_altered_copy_is_found(original: Image.Image, original_print: Print, name: str) -> None:
    prints = np.stack([original_print, print_of(COPIES[name](original))])
    (pair,) = find_duplicates(features_of(prints))
    assert pair.kind == "picture"
    assert pair.similarity > THRESHOLD


def test_another_shape_of_the_same_face_is_another_photograph(
    original: Image.Image, original_print: Print
) -> None:
    """The lower face a third longer: as different as people are."""
    a = np.asarray(original)
    rows = np.concatenate([np.arange(110), np.linspace(110, 180, 93), np.arange(181, 490)])
    longer = Image.fromarray(a[np.rint(rows).astype(int)])
    pairs = find_duplicates(features_of(np.stack([original_print, print_of(longer)])), threshold=-1.0)
    assert pairs[0].similarity < THRESHOLD


def test_a_print_is_normal_and_of_the_inner_face(original: Image.Image, original_print: Print) -> None:
    assert original_print.shape == (PRINT_SIDE**2,)
    assert original_print.dtype == np.float32
    assert np.linalg.norm(original_print) == pytest.approx(1, abs=1e-6)
    assert original_print.mean() == pytest.approx(0, abs=1e-6)
    photo = Photo.from_array(np.asarray(original))
    face = read_faces(photo)[0]
    x, y, w = 178, 76, 104
    elsewhere = photo.pixels.copy()
    elsewhere[:, : x - 20] = elsewhere[:, x + w + 20 :] = 0
    np.testing.assert_array_equal(face_print(Photo.from_array(elsewhere), face), face_print(photo, face))
    covered = photo.pixels.copy()
    covered[y + 20 : y + 50] = 0
    assert face_print(Photo.from_array(covered), face) @ original_print < THRESHOLD


def test_a_face_without_structure_is_like_nothing(original: Image.Image) -> None:
    photo = Photo.from_array(np.asarray(original))
    face = read_faces(photo)[0]
    flat = face_print(Photo.from_array(np.full_like(photo.pixels, 90)), face)
    assert np.abs(flat).max() < 1e-3
    assert find_duplicates(features_of(np.stack([flat, flat]))) == []


def test_a_print_hardly_depends_on_how_finely_the_photo_was_decoded(
    tmp_path: Path, original: Image.Image
) -> None:
    path = tmp_path / "large.jpg"
    original.crop((130, 30, 330, 230)).resize((1600, 1600), Image.Resampling.BICUBIC).save(path, quality=95)
    prints = []
    for short in (None, 390):
        photo = read_photo(path, short_side=short)
        prints.append(face_print(photo, read_faces(photo)[0]))
    assert prints[0] @ prints[1] > 0.99


def test_equal_files_are_found_first() -> None:
    prints = random_prints(5)
    prints[3] = prints[1]
    pairs = find_duplicates(
        features_of(prints, ["a", "b", "c", "d", "a"], patients=["p", "q", "r", "q", "s"])
    )
    assert pairs == [
        Pair("0.png", "4.png", "file", 1.0, False),
        Pair("1.png", "3.png", "picture", pytest.approx(1.0), True),
    ]


def test_no_pair_is_lost_or_found_twice_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = random_prints(23)
    prints[22] = prints[0]
    prints[7] = prints[6]
    prints[9] = prints[2].reshape(PRINT_SIDE, PRINT_SIDE)[:, ::-1].ravel()
    expected = {("0.png", "22.png"), ("6.png", "7.png"), ("2.png", "9.png")}
    for block in (1, 4, 23, 100):
        monkeypatch.setattr("anthropo.learning.duplicates._BLOCK", block)
        pairs = find_duplicates(features_of(prints))
        assert len(pairs) == 3
        assert {(p.first, p.second) for p in pairs} == expected


def test_many_photos_are_compared_quickly() -> None:
    prints = random_prints(1600)
    prints[1599] = prints[800]
    features = features_of(prints)
    start = time.process_time()
    assert len(find_duplicates(features)) == 1
    assert time.process_time() - start < 4  # of two cores; takes 0.3
    assert find_duplicates(subset(features, [])) == []


def test_sentences() -> None:
    across = [Pair(f"a{i}", f"b{i}", "picture", 0.98, False) for i in range(6)]
    (error,) = duplicate_findings("c.csv", [Pair("a", "b", "file", 1.0, False), *across])
    assert (error.level, error.category) == ("error", "duplicate")
    assert "a = b (same file), a0 = b0 (0.980 alike)" in error.message
    assert "a3 = b3 (0.980 alike) and 2 more pairs:" in error.message
    assert "pass allow_duplicates=True" in error.message
    (warning,) = duplicate_findings("c.csv", across, allow=True)
    assert warning.level == "warning"
    (note,) = duplicate_findings("c.csv", [Pair("a", "b", "file", 1.0, True)])
    assert note.level == "note"
    assert "allow_duplicates" not in note.message
    assert duplicate_findings("c.csv", []) == []
    for finding in (error, warning, note):
        assert finding.message.endswith(".")
        assert "\n" not in finding.message
