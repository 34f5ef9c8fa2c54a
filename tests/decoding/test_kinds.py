"""What a file is, and what decoding it may cost, before it is decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import Pixels, sentence_of
from PIL import Image
from pngs import png_chunk

from anthropo.decoding import limits as limits_module
from anthropo.decoding.jpeg import read_frame
from anthropo.decoding.kinds import JPEG, PNG, is_quick
from anthropo.decoding.limits import ExcessError, Limits
from anthropo.decoding.picture import open_picture
from anthropo.errors import PhotoError
from anthropo.photo import read_photo

RAW = (
    "{}: camera raw ({}), which needs to be developed. Export the photo as JPEG or 8-bit TIFF with the "
    "camera's program or another raw converter."
)
TIFF_RAW = "of a TIFF kind, such as NEF or ARW"


def reason(path: Path, **options: Any) -> str:
    return sentence_of(PhotoError, read_photo, path, **options)


# ------------------------------------------------------------------------------------ camera raw


def entry(order: str, tag: int, kind: int, values: Sequence[int]) -> bytes:
    code = {1: "B", 3: "H", 4: "I"}[kind]
    return struct.pack(f"{order}HHI", tag, kind, len(values)) + struct.pack(
        f"{order}{len(values)}{code}", *values
    ).ljust(4, b"\0")


def tiff(directories: Sequence[Sequence[tuple[int, int, Sequence[int]]]], order: str = "<") -> bytes:
    """A TIFF of these tags; in a chain, but those that a tag 330 names by their number are sub-pictures."""
    sizes = [2 + 12 * len(tags) + 4 for tags in directories]
    places = [8 + sum(sizes[:i]) for i in range(len(sizes))]
    subs = {i for tags in directories for tag, _, values in tags if tag == 330 for i in values}
    chain = [i for i in range(len(directories)) if i not in subs]
    out = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    for i, tags in enumerate(directories):
        out += struct.pack(f"{order}H", len(tags))
        for tag, kind, values in tags:
            placed = [places[v] for v in values] if tag == 330 else values
            out += entry(order, tag, kind, placed)
        after = chain[chain.index(i) + 1 :][:1] if i in chain else []
        out += struct.pack(f"{order}I", places[after[0]] if after else 0)
    return out + bytes(100)


def size(width: int, height: int) -> list[tuple[int, int, Sequence[int]]]:
    return [(256, 4, [width]), (257, 4, [height])]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("directories", "name"),
    [
        # a DNG: preview first, the sensor's picture below it
        (
            [[(254, 4, [1]), *size(160, 120), (330, 4, [1]), (50706, 1, [1, 4, 0, 0])], size(6000, 4000)],
            "DNG",
        ),
        # linear, as phones write it
        ([[*size(4032, 3024), (262, 3, [34892])]], TIFF_RAW),
        # NEF, ARW: the sensor's picture below a preview
        ([[(254, 4, [1]), *size(160, 120), (330, 4, [1])], [*size(6000, 4000), (262, 3, [32803])]], TIFF_RAW),
        ([[(254, 4, [1]), *size(160, 120), (330, 4, [1])], [*size(6000, 4000), (259, 3, [34713])]], TIFF_RAW),
        # PEF: in the first picture itself; others: in a later one of the chain
        ([[*size(6000, 4000), (259, 3, [65535])]], TIFF_RAW),
        ([size(160, 120), [*size(6000, 4000), (259, 3, [32767])]], TIFF_RAW),
    ],
)
def test_camera_raw_of_tiff_kinds(tmp_path: Path, directories: Any, name: str, order: str) -> None:
    path = tmp_path / "IMG_1.jpg"  # whatever the file is called
    path.write_bytes(tiff(directories, order))
    assert reason(path) == RAW.format(path, name)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "Canon CR3"),
        (b"II*\0\x10\0\0\0CR\2\0", "Canon CR2"),
        (b"II\x1a\0\0\0HEAPCCDR", "Canon CRW"),
        (b"FUJIFILMCCD-RAW 0201", "Fujifilm RAF"),
        (b"IIRO\x08\0\0\0", "Olympus ORF"),
        (b"IIU\0\x18\0\0\0", "Panasonic RW2"),
        (b"FOVb\0\0\2\0", "Sigma X3F"),
        (b"\0MRM\0\0\0\0", "Minolta MRW"),
    ],
)
def test_camera_raw_of_other_kinds(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(data + bytes(200))
    assert reason(path) == RAW.format(path, name)


# -------------------------------------------------------------------------------- pages of a TIFF


def test_a_preview_is_not_taken_for_the_photo(tmp_path: Path, astronaut: Pixels) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(astronaut[::4, ::4], photometric="rgb", subifds=1)
        file.write(astronaut, photometric="rgb")
    assert reason(path) == (
        f"{path}: its first picture (128 × 128) may be the preview of a larger one (512 × 512). Export the "
        "photo as JPEG, or as a TIFF of one picture."
    )


@pytest.mark.parametrize("bigtiff", [False, True])
def test_several_pages_are_refused(tmp_path: Path, astronaut: Pixels, bigtiff: bool) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([astronaut] * 3), photometric="rgb", bigtiff=bigtiff)
    assert reason(path) == f"{path}: a TIFF of 3 pictures. Save the one that is meant in a file of its own."


def test_reductions_thumbnails_and_masks_are_no_pages(tmp_path: Path, astronaut: Pixels) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(astronaut, photometric="rgb", subifds=1)
        file.write(astronaut[::2, ::2], photometric="rgb", subfiletype=1)  # a pyramid
        file.write(astronaut[::4, ::4], photometric="rgb")  # a thumbnail that is not marked as one
        file.write(astronaut[:, :, 0] > 99, subfiletype=4)  # a mask
    assert np.array_equal(read_photo(path).pixels, astronaut)


def test_directories_in_a_circle(tmp_path: Path) -> None:
    data = bytearray(tiff([size(10, 10), size(3, 3)]))
    data[-104:-100] = struct.pack("<I", 8)  # the last one leads to the first
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    assert "begins like a TIFF file" in reason(path)


# --------------------------------------------------------------------------------------- JPEG


def jpeg(path: Path, pixels: Pixels, **options: Any) -> bytes:
    Image.fromarray(pixels).save(path, "JPEG", **options)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("options", "scans"), [({}, 1), ({"progressive": True}, 10), ({"restart_marker_rows": 1}, 1)]
)
def test_scans_are_counted(tmp_path: Path, astronaut: Pixels, options: dict[str, Any], scans: int) -> None:
    data = jpeg(tmp_path / "a", astronaut, **options)
    frame = read_frame(data, "a")
    assert frame is not None
    assert (frame.width, frame.height, frame.components, frame.scans) == (512, 512, 3, scans)
    assert is_quick(data, JPEG, "a")


def test_a_jpeg_of_endless_scans_is_refused(tmp_path: Path, astronaut: Pixels) -> None:
    data = jpeg(tmp_path / "a", astronaut, progressive=True)
    last = data.rindex(b"\xff\xda")
    (tmp_path / "a").write_bytes(data[:last] + data[last:-2] * 300 + b"\xff\xd9")
    assert reason(tmp_path / "a") == (
        f"{tmp_path / 'a'}: a JPEG of more than 200 scans, which takes very long to decode. Save it again."
    )


def test_what_follows_a_photo_is_not_counted(tmp_path: Path, astronaut: Pixels) -> None:
    """Phones put a video behind a photo; in a progressive one, its bytes look like scans."""
    data = jpeg(tmp_path / "a", astronaut, progressive=True) + b"\xff\xda\0\4ab" * 5000
    frame = read_frame(data, "a")
    assert frame is not None
    assert frame.scans == 10


def test_rare_jpegs_are_not_decoded_here(tmp_path: Path, astronaut: Pixels) -> None:
    Image.fromarray(astronaut).convert("CMYK").save(tmp_path / "cmyk.jpg")
    plain = jpeg(tmp_path / "a", astronaut)
    frame = plain.index(b"\xff\xc0")
    large = plain[: frame + 5] + struct.pack(">HH", 60_000, 60_000) + plain[frame + 9 :]
    twelve = plain[: frame + 4] + b"\x0c" + plain[frame + 5 :]
    arithmetic = plain[: frame + 1] + b"\xc9" + plain[frame + 2 :]
    exif = b"\xff\xe1\0\x10Exif\0\0" + bytes(8)
    many = plain[:2] + b"\xff\xfe\0\2" * 20_000 + plain[2:]
    for data in ((tmp_path / "cmyk.jpg").read_bytes(), large, twelve, arithmetic, many, plain[:200]):
        assert not is_quick(data, JPEG, "a")
    assert is_quick(plain[:2] + exif + plain[2:], JPEG, "a")
    assert not is_quick(plain[:2] + exif * 2 + plain[2:], JPEG, "a")
    (tmp_path / "b").write_bytes(many)
    assert np.array_equal(read_photo(tmp_path / "b").pixels, read_photo(tmp_path / "a").pixels)


# ---------------------------------------------------------------------------------------- PNG


def test_pngs_with_much_beside_the_picture_are_not_decoded_here(tmp_path: Path, astronaut: Pixels) -> None:
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    plain = (tmp_path / "a.png").read_bytes()
    assert is_quick(plain, PNG, "a")
    empty = b"MM\0*\0\0\0\x08" + bytes(6)
    exif = png_chunk(b"eXIf", empty + bytes(70_000))
    text = f"\nexif\n20\n{(b'Exif' + bytes(2) + empty).hex()}".encode()
    hidden = png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    for more in (exif, hidden):
        data = plain[:33] + more + plain[33:]
        assert not is_quick(data, PNG, "a")
        (tmp_path / "b.png").write_bytes(data)
        assert np.array_equal(read_photo(tmp_path / "b.png").pixels, astronaut)


# -------------------------------------------------------------------------------------- memory


def test_memory_is_limited_before_decoding(
    tmp_path: Path, astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(astronaut).save(path)
    monkeypatch.setattr(limits_module, "MEMORY", 512 * 512 * 7 - 1)  # four bytes while decoding, three after
    assert reason(path) == (
        f"{path}: 512 × 512 pixels of this kind take 0.0 GB of memory to decode, more than the limit of 0.0 "
        "GB. Reduce the photo, save it as JPEG, or raise the limits with max_megapixels=201."
    )
    assert read_photo(path, max_megapixels=201).full_size == (512, 512)
    assert read_photo(path, max_megapixels=None).full_size == (512, 512)


def test_the_limits_are_as_documented() -> None:
    assert Limits().memory == Limits(10).memory == 2 << 30
    assert Limits(400).memory == 4 << 30
    assert Limits(None).memory is None
    Limits(1).check_pixels(1000, 1000)
    with pytest.raises(ExcessError):
        Limits(1).check_pixels(1000, 1001)


@pytest.mark.parametrize(
    ("name", "options", "bytes_per_pixel"),
    [
        ("JPEG", {}, 7),
        ("JPEG", {"progressive": True}, 13),
        ("PNG", {}, 7),
        ("TIFF", {}, 7),
        ("TIFF", {"compression": "tiff_lzw"}, 10),
        ("BMP", {}, 7),
        ("WebP", {}, 20),
    ],
)
def test_what_decoding_takes(
    tmp_path: Path, astronaut: Pixels, name: str, options: dict[str, Any], bytes_per_pixel: float
) -> None:
    path = tmp_path / "a"
    if name == "TIFF" and options:
        tifffile.imwrite(path, astronaut, photometric="rgb", compression="zlib", rowsperstrip=512)
    else:
        Image.fromarray(astronaut).save(path, name, **options)
    picture = open_picture(path.read_bytes(), name, "a", limits=Limits())
    assert picture.needed == 512 * 512 * bytes_per_pixel
    assert picture.kept == 512 * 512 * 3


def test_large_photos_are_read_up_to_the_limit(tmp_path: Path) -> None:
    """A TIFF beyond Pillow's own limit, and a JPEG whose reduced decode is small."""
    path = tmp_path / "a.tif"
    Image.new("1", (18_000, 10_000), 1).save(path, compression="group4")
    photo = read_photo(path)
    assert photo.full_size == (18_000, 10_000)
    assert (photo.pixels[::997, ::997] == 255).all()
    path = tmp_path / "a.jpg"
    Image.new("L", (18_000, 10_000), 99).save(path)
    photo = read_photo(path, short_side=390)
    assert (photo.full_size, photo.decode_scale) == ((18_000, 10_000), 8)
    assert np.abs(photo.pixels.astype(int) - 99).max() <= 1
