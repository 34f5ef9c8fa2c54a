from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
import tifffile
from conftest import Pixels, sentence_of
from PIL import Image
from pngs import png_file

import anthropo
from anthropo.errors import InputError, PhotoError
from anthropo.face.landmarker import read_face
from anthropo.photo import Photo, example_photo, read_photo

ORIENTATION = 0x0112
CANNOT = "{}: not a photo that can be read; JPEG, PNG, TIFF, WebP, BMP, HEIC and AVIF can."
BEGINS = (
    "{}: begins like a {} file, but is damaged or of a rare kind. "
    "Copy the photo again, or export it as JPEG or 8-bit PNG."
)
TOO_EARLY = "{}: the file ends too early. Copy or export the photo again."
DAMAGED = "{}: the picture data is damaged. Copy or export the photo again."

# how an upright picture is stored so that the orientation tag brings it upright again
STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p, -1),
}


def error_of(path: Path, **options: Any) -> str:
    return sentence_of(PhotoError, read_photo, path, **options)


def difference(a: Pixels, b: Pixels) -> float:
    """Mean absolute difference, grey levels."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def grey_of(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).convert("L"))


def save_exif(path: Path, pixels: Pixels, orientation: int | None) -> None:
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if path.suffix == ".heic":
        pillow_heif.from_pillow(image).save(path, exif=exif.tobytes(), quality=95)
    else:
        options = {".webp": {"lossless": True}, ".jpg": {"quality": 95}}.get(path.suffix, {})
        image.save(path, exif=exif, **options)


def write_blank_png(path: Path, width: int, height: int) -> None:
    """A black 1-bit PNG, whatever its size."""
    rows = bytes((width + 7) // 8 + 1) * height
    path.write_bytes(png_file((width, height, 1, 0, 0, 0, 0), rows, level=1))


# ------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("a.jpg", 4), ("a.png", 0), ("a.tif", 0), ("a.webp", 4), ("a.bmp", 0), ("a.heic", 4), ("A.JPE", 4)],
)
def test_formats(tmp_path: Path, astronaut: Pixels, name: str, tolerance: float) -> None:
    path = tmp_path / name
    image = Image.fromarray(astronaut)
    if path.suffix == ".heic":
        pillow_heif.from_pillow(image).save(path, quality=90)
    else:
        image.save(path)
    photo = read_photo(path)
    assert difference(photo.pixels, astronaut) <= tolerance
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.flags.c_contiguous
    assert (photo.full_size, photo.decode_scale, photo.source) == ((512, 512), 1, str(path))
    assert photo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_content_decides_not_the_suffix(tmp_path: Path, astronaut: Pixels) -> None:
    path = tmp_path / "really-a-png.jpg"
    Image.fromarray(astronaut).save(path, "PNG")
    assert difference(read_photo(path).pixels, astronaut) == 0


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"optimize": True}])
def test_jpeg_variants(tmp_path: Path, astronaut: Pixels, options: dict[str, Any]) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(astronaut).save(path, quality=95, **options)
    assert difference(read_photo(path).pixels, astronaut) < 3
    reduced = read_photo(path, short_side=128)
    assert reduced.pixels.shape == (128, 128, 3)
    blocks = astronaut.reshape(128, 4, 128, 4, 3).mean((1, 3)).astype(np.uint8)
    assert difference(reduced.pixels, blocks) < 3


def test_other_formats_are_not_tried(tmp_path: Path, astronaut: Pixels) -> None:
    names = {
        "a.gif": "a GIF", "a.jp2": "a JPEG 2000 file", "a.j2k": "a JPEG 2000 file",
        "a.eps": "a PostScript document", "a.pdf": "a PDF document",
    }  # fmt: skip
    for name, what in names.items():
        path = tmp_path / name
        Image.fromarray(astronaut).save(path)
        assert error_of(path) == f"{path}: {what}, which is not read. Export the photo as JPEG or PNG."
    path = tmp_path / "a.ppm"
    Image.fromarray(astronaut).save(path)
    assert error_of(path) == CANNOT.format(path)
    (tmp_path / "scan.jpg").write_bytes(bytes(128) + b"DICM" + bytes(20))  # whatever its name says
    assert "scan.jpg: a DICOM file, which" in error_of(tmp_path / "scan.jpg")


# ------------------------------------------------------------------------------ pixel encodings


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *(("P", "png"), ("P", "tif"), ("P", "bmp"), ("L", "png"), ("L", "jpg"), ("L", "tif"), ("L", "bmp")),
        *(("CMYK", "jpg"), ("CMYK", "tif"), ("1", "png"), ("1", "tif"), ("1", "bmp")),
    ],
)
def test_pixel_modes(tmp_path: Path, astronaut: Pixels, mode: str, suffix: str) -> None:
    image = Image.fromarray(astronaut).convert(mode)
    path = tmp_path / f"a.{suffix}"
    image.save(path)
    assert difference(read_photo(path).pixels, np.asarray(image.convert("RGB"))) < 4


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey(tmp_path: Path, astronaut: Pixels, suffix: str) -> None:
    grey = grey_of(astronaut)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(grey.astype(np.uint16) * 257).save(path)
    assert difference(read_photo(path).pixels, np.repeat(grey[:, :, None], 3, 2)) == 0


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("colour", [False, True])
def test_sixteen_bit_tiff(
    tmp_path: Path, astronaut: Pixels, order: Any, compression: str | None, colour: bool
) -> None:
    source = astronaut if colour else grey_of(astronaut)
    path = tmp_path / "a.tif"
    kind = "rgb" if colour else "minisblack"
    tifffile.imwrite(
        path, source.astype(np.uint16) * 257, byteorder=order, compression=compression, photometric=kind
    )
    expected = astronaut if colour else np.repeat(source[:, :, None], 3, 2)
    assert difference(read_photo(path).pixels, expected) == 0


@pytest.mark.parametrize("alpha", [False, True])
def test_sixteen_bit_colour_png(tmp_path: Path, astronaut: Pixels, alpha: bool) -> None:
    values = astronaut.astype(">u2") * 257
    if alpha:
        values = np.dstack([values, np.full(values.shape[:2], 65535)])
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    path = tmp_path / "a.png"
    path.write_bytes(png_file((512, 512, 16, 6 if alpha else 2, 0, 0, 0), rows, level=1))
    assert difference(read_photo(path).pixels, astronaut) == 0


def test_sixteen_bit_planes_are_refused_rather_than_misread(tmp_path: Path, astronaut: Pixels) -> None:
    path = tmp_path / "planes.tif"
    planes = np.moveaxis(astronaut.astype(np.uint16) * 257, -1, 0)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    assert error_of(path) == (
        f"{path}: a TIFF of 16 bits with its colours in separate planes is not read. "
        "Export it with 8 bits, or with interleaved colours."
    )


def test_eight_bit_planes_are_read(tmp_path: Path, astronaut: Pixels) -> None:
    path = tmp_path / "planes.tif"
    tifffile.imwrite(path, np.moveaxis(astronaut, -1, 0), photometric="rgb", planarconfig="separate")
    assert difference(read_photo(path).pixels, astronaut) == 0


def test_float_tiff_from_zero_to_one(tmp_path: Path, astronaut: Pixels) -> None:
    grey = grey_of(astronaut)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, grey.astype(np.float32) / 255)
    assert difference(read_photo(path).pixels, np.repeat(grey[:, :, None], 3, 2)) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 255.0])
def test_float_tiff_beyond_zero_to_one_is_refused(tmp_path: Path, value: float) -> None:
    path = tmp_path / "a.tif"
    values = np.full((40, 40), 0.5, np.float32)
    values[3, 4] = value
    tifffile.imwrite(path, values)
    assert error_of(path) == f"{path}: floating-point pixels outside 0 to 1. Export it with 8 or 16 bits."


@pytest.mark.parametrize("kind", [np.int32, np.uint32])
def test_thirty_two_bit_tiff_is_refused(tmp_path: Path, kind: type[np.integer[Any]]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((40, 40), 2_000_000_000, kind))
    assert error_of(path) == f"{path}: more than 16 bits per pixel. Export it with 8 or 16 bits."


@pytest.mark.parametrize("kind", [np.float64, np.float16])
def test_rare_tiff_is_told_from_no_photograph(tmp_path: Path, kind: type[np.floating[Any]]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((40, 40), 0.5, kind))
    assert error_of(path) == BEGINS.format(path, "TIFF")


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_becomes_white(tmp_path: Path, astronaut: Pixels, suffix: str, mode: str) -> None:
    image = Image.fromarray(astronaut).convert(mode)
    alpha = np.full((512, 512), 255, np.uint8)
    alpha[:, :256] = 0
    image.putalpha(Image.fromarray(alpha))
    path = tmp_path / f"a.{suffix}"
    image.save(path, **({"lossless": True} if suffix == "webp" else {}))
    pixels = read_photo(path).pixels
    assert (pixels[:, :256] == 255).all()
    opaque = np.asarray(Image.fromarray(astronaut).convert(mode).convert("RGB"))[:, 256:]
    assert difference(pixels[:, 256:], opaque) <= 1


def test_transparent_palette_entry_becomes_white(tmp_path: Path, astronaut: Pixels) -> None:
    image = Image.fromarray(astronaut).convert("P", palette=Image.Palette.ADAPTIVE)
    entry = int(np.asarray(image)[0, 0])
    path = tmp_path / "a.png"
    image.save(path, transparency=entry)
    pixels = read_photo(path).pixels
    clear = np.asarray(image) == entry
    assert (pixels[clear] == 255).all()
    assert difference(pixels[~clear][None], np.asarray(image.convert("RGB"))[~clear][None]) == 0


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_transparent_colour_becomes_white(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (8, 8), "black")
    image.putpixel((3, 4), 128 if mode == "L" else (128, 128, 128))
    path = tmp_path / "a.png"
    image.save(path, transparency=0 if mode == "L" else (0, 0, 0))
    pixels = read_photo(path).pixels
    assert (pixels[4, 3] == 128).all()
    assert (pixels.reshape(-1, 3) == 255).all(1).sum() == 63


def test_first_picture_of_several_is_taken(tmp_path: Path, astronaut: Pixels) -> None:
    for suffix in ("webp", "png"):
        path = tmp_path / f"a.{suffix}"
        second = Image.fromarray(255 - astronaut)
        Image.fromarray(astronaut).save(path, save_all=True, append_images=[second], lossless=True)
        assert difference(read_photo(path).pixels, astronaut) == 0


# --------------------------------------------------------------------------------- orientation


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "heic"])
@pytest.mark.parametrize("orientation", STORED)
def test_orientation(tmp_path: Path, astronaut: Pixels, suffix: str, orientation: int) -> None:
    upright = astronaut[:, :400]
    path = tmp_path / f"a.{suffix}"
    save_exif(path, STORED[orientation](upright), orientation)
    photo = read_photo(path)
    assert photo.full_size == (400, 512)
    assert difference(photo.pixels, upright) < 3

    reduced = read_photo(path, short_side=90)
    assert reduced.full_size == (400, 512)
    assert reduced.decode_scale == (4 if suffix == "jpg" else 1)
    if suffix == "jpg":
        blocks = upright.reshape(128, 4, 100, 4, 3).mean((1, 3)).astype(np.uint8)
        assert difference(reduced.pixels, blocks) < 3


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_impossible_orientation_is_ignored(tmp_path: Path, astronaut: Pixels, orientation: int) -> None:
    for suffix in ("jpg", "png", "webp"):
        path = tmp_path / f"a.{suffix}"
        save_exif(path, astronaut[:, :400], orientation)
        photo = read_photo(path)
        assert difference(photo.pixels, astronaut[:, :400]) < 3


@pytest.fixture(scope="module")
def large_face(astronaut: Pixels) -> Pixels:
    """The head 1440 x 1600 px."""
    crop = Image.fromarray(astronaut[20:260, 120:336])
    return np.asarray(crop.resize((1440, 1600), Image.Resampling.BICUBIC))


def test_landmarks_of_a_reduced_decode_are_those_of_the_full_one(tmp_path: Path, large_face: Pixels) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(large_face).save(path, quality=95)
    assert read_photo(path, short_side=390).decode_scale == 2
    reduced, full = read_face(str(path)), read_face(read_photo(path))
    assert reduced.size == full.size == (1440, 1600)
    unit = np.linalg.norm(full.landmarks[36] - full.landmarks[45])
    assert np.abs(reduced.landmarks - full.landmarks).mean() < 0.01 * unit
    # a half-pixel slip of the mapping would show here
    assert np.abs((reduced.landmarks - full.landmarks).mean(0)).max() < 0.004 * unit


@pytest.mark.parametrize("orientation", STORED)
def test_landmarks_are_the_same_however_the_photo_is_stored(
    tmp_path: Path, large_face: Pixels, orientation: int
) -> None:
    save_exif(tmp_path / "upright.jpg", large_face, None)
    save_exif(tmp_path / "turned.jpg", STORED[orientation](large_face), orientation)
    upright, turned = read_face(str(tmp_path / "upright.jpg")), read_face(str(tmp_path / "turned.jpg"))
    assert turned.size == upright.size
    unit = np.linalg.norm(upright.landmarks[36] - upright.landmarks[45])
    assert np.abs(turned.landmarks - upright.landmarks).mean() < 0.01 * unit


# --------------------------------------------------------------------------------- coordinates


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_coordinates_map_there_and_back(scale: int) -> None:
    photo = Photo(
        pixels=np.zeros((10, 10, 3), np.uint8),
        source="x",
        full_size=(10 * scale, 10 * scale),
        decode_scale=scale,
    )
    points = np.array([[-0.5, -0.5], [0.0, 0.0], [9.5, 9.5], [3.25, 7.125]])
    np.testing.assert_allclose(photo.to_decoded(photo.to_full(points)), points, atol=1e-12)
    # the borders of the picture stay its borders, and so do its pixels' middles
    np.testing.assert_allclose(photo.to_full(points)[0], [-0.5, -0.5])
    np.testing.assert_allclose(photo.to_full(points)[2], [10 * scale - 0.5] * 2)
    np.testing.assert_allclose(photo.to_full(points)[1], [(scale - 1) / 2] * 2)


@pytest.mark.parametrize("short_side", [1, 60, 64, 65, 128, 129, 256, 257, 500, 5000])
def test_decoding_is_never_coarser_than_asked_for(astronaut_jpg: Path, short_side: int) -> None:
    photo = read_photo(astronaut_jpg, short_side=short_side)
    assert min(photo.pixels.shape[:2]) >= min(short_side, 512)
    assert photo.decode_scale == max(s for s in (1, 2, 4, 8) if s == 1 or 512 // s >= short_side)
    assert photo.pixels.shape[0] * photo.decode_scale == 512


@pytest.mark.parametrize("size", [(513, 511), (1001, 37), (9, 300), (17, 17), (1, 1), (1, 900)])
def test_odd_sizes_keep_their_full_size(tmp_path: Path, astronaut: Pixels, size: tuple[int, int]) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(astronaut).resize(size).save(path)
    for short_side in (None, 1, 4, 64):
        photo = read_photo(path, short_side=short_side)
        assert photo.full_size == size
        for decoded, full in zip(photo.pixels.shape[1::-1], size, strict=True):
            assert photo.decode_scale in (1, 2, 4, 8)
            assert decoded == -(-full // photo.decode_scale)


def test_finer_reads_again_only_when_needed(astronaut_jpg: Path) -> None:
    coarse = read_photo(astronaut_jpg, short_side=64)
    assert coarse.decode_scale == 8
    assert coarse.finer(8) is coarse
    assert (coarse.finer(2).decode_scale, coarse.finer().decode_scale) == (2, 1)
    assert coarse.finer(2).sha256 == coarse.sha256


# --------------------------------------------------------------------------------- pixel limit


def test_huge_png_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    write_blank_png(path, 40_000, 40_000)
    assert path.stat().st_size < 2_000_000
    start = time.perf_counter()
    assert error_of(path) == (
        f"{path}: 40000 × 40000 pixels are 1600 MP, more than the limit of 200 MP. "
        "Reduce the photo, or raise the limit with max_megapixels."
    )
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("limit", [math.nan, math.inf, 0, -1.0])
@pytest.mark.parametrize("name", ["max_megapixels", "deadline"])
def test_what_is_no_limit_is_refused(astronaut_png: Path, name: str, limit: float) -> None:
    with pytest.raises(InputError, match=f"^{name} {limit:g}: no limit. Give a number above 0.$"):
        read_photo(astronaut_png, **{name: limit})
    with pytest.raises(InputError, match=f"^{name} {limit:g}: no limit"):
        anthropo.measure(str(astronaut_png), **{name: limit})


def test_own_limit_below_pillows(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    write_blank_png(path, 6000, 5000)
    assert error_of(path, max_megapixels=29.5) == (
        f"{path}: 6000 × 5000 pixels are 30 MP, more than the limit of 29.5 MP. "
        "Reduce the photo, or raise the limit with max_megapixels."
    )
    assert read_photo(path, max_megapixels=30).pixels.shape == (5000, 6000, 3)


@pytest.mark.filterwarnings("error")
def test_pillows_limit_neither_counts_nor_changes(
    astronaut_png: Path, faceless_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Image.MAX_IMAGE_PIXELS
    read_photo(astronaut_png)
    (tmp_path / "no.png").write_text("no")
    error_of(tmp_path / "no.png")
    assert before == Image.MAX_IMAGE_PIXELS
    for theirs in (200_000, 1000):  # Pillow would warn of the first, refuse the second
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", theirs)
        for limit in (200, None):
            assert read_photo(astronaut_png, max_megapixels=limit).pixels.shape == (512, 512, 3)
        assert theirs == Image.MAX_IMAGE_PIXELS


# ------------------------------------------------------------------------------- damaged files


def test_no_such_file(tmp_path: Path) -> None:
    assert error_of(tmp_path / "gone.jpg") == f"{tmp_path / 'gone.jpg'}: no such file."
    assert error_of(Path("a\0b.jpg")) == "a\0b.jpg: no such file."


def test_name_too_long(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    assert error_of(path) == f"{path}: cannot be read (File name too long)."


def test_folder(tmp_path: Path) -> None:
    assert error_of(tmp_path) == f"{tmp_path}: a folder, not a photo."


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert error_of(tmp_path / "a.jpg") == f"{tmp_path / 'a.jpg'}: the file is empty (0 bytes)."


def test_text_named_jpg(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("Dear colleague, the photographs follow by post.")
    assert error_of(tmp_path / "a.jpg") == CANNOT.format(tmp_path / "a.jpg")


@pytest.mark.parametrize("short_side", [None, 256, 64])
@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpeg(tmp_path: Path, astronaut: Pixels, short_side: int, progressive: bool) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(astronaut).save(path, quality=95, progressive=progressive)
    data = path.read_bytes()
    for cut in (3, 100, 170):
        path.write_bytes(data[:cut])
        assert error_of(path, short_side=short_side) == BEGINS.format(path, "JPEG")
    for cut in (800, 2000, len(data) // 4, len(data) // 2, len(data) - 500, len(data) - 2):
        path.write_bytes(data[:cut])
        assert error_of(path, short_side=short_side) == TOO_EARLY.format(path)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # Pillow's own about cut EXIF
@pytest.mark.parametrize(
    ("name", "early", "late"),
    [
        ("PNG", (8, 20, 40), (200, 9000, 0.5, 0.99)),
        ("TIFF", (4, 8, 100), (0.5, 0.99)),
        ("BMP", (10, 40), (54, 400, 0.5, 0.99)),
        ("WebP", (20, 100, 0.5, 0.99), ()),
    ],
)
def test_truncated(
    tmp_path: Path, astronaut: Pixels, name: str, early: tuple[float, ...], late: tuple[float, ...]
) -> None:
    path = tmp_path / "a"
    Image.fromarray(astronaut).save(path, name)
    data = path.read_bytes()
    for cut in (*early, *late):
        path.write_bytes(data[: int(cut * len(data) if cut < 1 else cut)])
        expected = BEGINS.format(path, name) if cut in early else TOO_EARLY.format(path)
        assert error_of(path) == expected


def test_truncated_heic(tmp_path: Path, astronaut: Pixels) -> None:
    path = tmp_path / "a.heic"
    pillow_heif.from_pillow(Image.fromarray(astronaut)).save(path)
    data = path.read_bytes()
    for cut, message in ((30, BEGINS), (200, BEGINS), (4000, DAMAGED), (len(data) - 20, DAMAGED)):
        path.write_bytes(data[:cut])
        assert error_of(path) == message.format(path, "HEIC")


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # Pillow's own about odd EXIF
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WebP", {}),
        ("BMP", {}),
        ("HEIF", {}),
    ],
)
def test_corrupted_files_are_read_or_refused_in_one_sentence(
    tmp_path: Path, astronaut: Pixels, name: str, options: dict[str, Any]
) -> None:
    path = tmp_path / "a"
    small = Image.fromarray(astronaut[76:178:2, 178:281:2])
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    if name == "HEIF":
        pillow_heif.from_pillow(small).save(path, exif=exif.tobytes())
    else:
        small.save(path, name, **options, **({} if name == "BMP" else {"exif": exif}))
    data = path.read_bytes()
    rng = np.random.default_rng(20240229)
    sentences = []
    for trial in range(200):
        damaged = bytearray(data)
        reach = len(data) if trial % 2 else min(400, len(data))  # headers every other time
        for at in rng.integers(0, reach, rng.integers(1, 12)):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            photo = read_photo(path, short_side=20 if trial % 3 else None)
        except PhotoError as error:
            sentences.append(str(error))
        else:
            assert photo.pixels.dtype == np.uint8
            assert photo.pixels.ndim == 3
    assert len(sentences) > 20
    assert all(s.startswith(f"{path}: ") and "\n" not in s for s in sentences)


# -------------------------------------------------------------------------------------- arrays


def test_array(astronaut: Pixels) -> None:
    photo = Photo.from_array(astronaut[:, ::2])
    assert (photo.full_size, photo.decode_scale, photo.source) == ((256, 512), 1, "array")
    assert photo.pixels.flags.c_contiguous
    assert photo.sha256 == hashlib.sha256(astronaut[:, ::2].tobytes()).hexdigest()
    grey = Photo.from_array(grey_of(astronaut))
    assert grey.pixels.shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("array", "described"),
    [
        (np.zeros((4, 4, 3)), "float64 of shape (4, 4, 3)"),
        (np.zeros((4, 4, 4), np.uint8), "uint8 of shape (4, 4, 4)"),
        (np.zeros(4, np.uint8), "uint8 of shape (4,)"),
        (np.zeros((0, 4, 3), np.uint8), "uint8 of shape (0, 4, 3)"),
    ],
)
def test_array_of_another_kind_is_refused(array: Any, described: str) -> None:
    with pytest.raises(PhotoError) as caught:
        Photo.from_array(array)
    assert str(caught.value) == (
        f"array: a photo must be a uint8 array of shape (H, W, 3) or (H, W), not {described}."
    )


def test_a_nearly_square_photo_keeps_its_sides(tmp_path: Path, astronaut: Pixels) -> None:
    path = tmp_path / "nearly.jpg"
    Image.fromarray(astronaut).resize((781, 782)).save(path)
    reduced = read_photo(path, short_side=390)
    assert reduced.decode_scale == 2
    assert reduced.full_size == (781, 782)


def test_the_example_photo_is_installed_and_holds_one_face(astronaut: Pixels) -> None:
    assert Path(example_photo()).is_file()
    assert np.array_equal(read_photo(example_photo()).pixels, astronaut)
    assert read_face(example_photo()).size == (512, 512)
