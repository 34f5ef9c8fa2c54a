"""Pictures and videos that nobody honest makes: of every format, damaged at random or by structure; bombs.

    python benchmarks/fuzz_pictures.py --count 10000 --seed 1

They are made of small crops of scikit-image's astronaut. Every file is decoded as `measure` does it; every
fiftieth goes through the whole of `anthropo measure`. Needed: pip install 'anthropo[test,video]'.
"""

from __future__ import annotations

import io
import re
import struct
import sys
import zlib
from collections.abc import Callable
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from fuzzing import Case, Make, Rng, command, main, pick
from PIL import Image, ImageCms, PngImagePlugin
from skimage import data

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from pngs import png_chunk, png_file

from anthropo.errors import AnthropoError
from anthropo.photo import read_photo
from anthropo.video import is_video, open_video

_WHOLE = 50  # one of so many files is measured
_EXTREMES = (0, 1, 2, 255, 256, 32767, 32768, 65535, 65536, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
_FRAMES = 5


# -------------------------------------------------------------------------------------- sound files


@lru_cache(maxsize=1)
def crops() -> tuple[Image.Image, ...]:
    """The face, and something smaller of odd size."""
    whole = Image.fromarray(data.astronaut())
    return whole.crop((130, 30, 330, 230)), whole.crop((180, 80, 241, 127))


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    exif[0x8769] = {0xA001: 1, 0x9003: "2026:01:01 00:00:00"}
    return exif.tobytes()


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _heic(image: Image.Image) -> bytes:
    import pillow_heif

    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, exif=_exif())
    return file.getvalue()


def _png16(image: Image.Image) -> bytes:
    return _saved(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG")


def _interlaced(image: Image.Image) -> bytes:
    """Adam7, which Pillow does not write."""
    pixels = np.asarray(image)
    passes = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    rows = b"".join(
        b"\0" + row.tobytes() for top, left, down, right in passes for row in pixels[top::down, left::right]
    )
    return png_file((*image.size, 8, 2, 0, 0, 1), rows)


def _apng(image: Image.Image) -> bytes:
    return _saved(image, "PNG", save_all=True, append_images=[image.rotate(5), image.rotate(9)])


def _profiled(form: str, image: Image.Image) -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at = profile.index(b"rXYZ", 200) + 8 if profile.count(b"rXYZ") > 1 else 300
    other = profile[:at] + bytes((profile[at] ^ 1,)) + profile[at + 1 :]  # not sRGB's any more
    return _saved(image, form, icc_profile=other)


PICTURES: dict[str, tuple[str, list[Callable[[Image.Image], bytes]]]] = {
    "JPEG": (
        "a.jpg",
        [
            lambda i: _saved(i, "JPEG", quality=80, exif=_exif()),
            lambda i: _saved(i.convert("L"), "JPEG", restart_marker_blocks=3),
            partial(_profiled, "JPEG"),
        ],
    ),
    "JPEG, progressive or CMYK": (
        "a.jpeg",
        [
            lambda i: _saved(i, "JPEG", progressive=True, subsampling=0),
            lambda i: _saved(i.convert("CMYK"), "JPEG"),
            lambda i: _saved(i.convert("CMYK"), "JPEG", progressive=True),
        ],
    ),
    "PNG": (
        "a.png",
        [
            lambda i: _saved(i, "PNG", exif=_exif()),
            lambda i: _saved(i.convert("RGBA"), "PNG"),
            lambda i: _saved(i.convert("1"), "PNG"),
            partial(_profiled, "PNG"),
            lambda i: _saved(i, "PNG", pnginfo=_info()),
        ],
    ),
    "PNG, 16 bits, palette, interlaced, animated": (
        "a.png",
        [
            _png16,
            lambda i: _saved(i.quantize(40), "PNG", transparency=3),
            _interlaced,
            _apng,
        ],
    ),
    "WebP": (
        "a.webp",
        [
            lambda i: _saved(i, "WEBP", quality=70, exif=_exif()),
            lambda i: _saved(i.convert("RGBA"), "WEBP", lossless=True),
            lambda i: _saved(i, "WEBP", save_all=True, append_images=[i.rotate(5)]),
            partial(_profiled, "WEBP"),
        ],
    ),
    "TIFF": (
        "a.tif",
        [
            lambda i: _saved(i, "TIFF"),
            lambda i: _saved(i, "TIFF", compression="tiff_lzw"),
            lambda i: _saved(i, "TIFF", compression="tiff_adobe_deflate", big_tiff=True),
            lambda i: _saved(i.convert("1"), "TIFF", compression="group4"),
            lambda i: _saved(i, "TIFF", compression="jpeg"),
            lambda i: _saved(i.convert("CMYK"), "TIFF", compression="packbits"),
            partial(_profiled, "TIFF"),
        ],
    ),
    "BMP and GIF": (
        "a.bmp",
        [
            lambda i: _saved(i, "BMP"),
            lambda i: _saved(i.quantize(16), "BMP"),
            lambda i: _bmp5(i),
            lambda i: _saved(i, "GIF"),
        ],
    ),
    "HEIC": ("a.heic", [_heic]),
    "AVIF": (
        "a.avif",
        [
            lambda i: _saved(i, "AVIF", speed=10, exif=_exif()),
            lambda i: _saved(i.convert("RGBA"), "AVIF", speed=10, subsampling="4:4:4"),
            partial(_profiled, "AVIF"),
        ],
    ),
}
#: Name, PyAV's format, codec.
VIDEOS = (
    ("a.mp4", "mp4", "libx264"),
    ("a.mov", "mov", "mpeg4"),
    ("a.mkv", "matroska", "libx264"),
    ("a.webm", "webm", "libvpx"),
    ("a.avi", "avi", "mjpeg"),
    ("a.mts", "mpegts", "mpeg2video"),
    ("a.mpg", "mpeg", "mpeg2video"),
    ("a.flv", "flv", "flv"),
)


def _info() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 40, zip=True)
    info.add_itxt("Title", "y" * 40, zip=True)
    return info


def _bmp5(image: Image.Image) -> bytes:
    """The header that may hold a profile."""
    old = _saved(image, "BMP")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    header = struct.pack("<I", 124) + old[18:54] + bytes(16) + b"DEBM" + bytes(48)
    header += struct.pack("<4I", 4, 124 + len(old) - 54, len(profile), 0)
    return old[:10] + struct.pack("<I", 138) + header + old[54:] + profile


@cache
def sound(kind: str, which: int, crop: int) -> bytes:
    """A sound file of a kind."""
    return PICTURES[kind][1][which](crops()[crop])


@cache
def sound_video(form: str, codec: str) -> bytes:
    """Some small frames."""
    import av

    file = io.BytesIO()
    frame = np.asarray(crops()[0].resize((64, 64)))
    with av.open(file, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for i in range(_FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(frame, i, 0), format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


# ------------------------------------------------------------------------------------------- damage


def _flipped(whole: bytes, rng: Rng) -> bytes:
    """Some wrong bytes or bits, every other time where headers are."""
    damaged = bytearray(whole)
    reach = len(whole) if rng.random() < 0.5 else min(len(whole), 600)
    for at in rng.integers(0, reach, 1 + int(rng.integers(12))):
        damaged[at] = (
            int(rng.integers(256)) if rng.random() < 0.5 else damaged[at] ^ (1 << int(rng.integers(8)))
        )
    return bytes(damaged)


def _cut(whole: bytes, rng: Rng) -> bytes:
    """The beginning, or a part that is missing, twice there, or at another place."""
    a, b = sorted(map(int, rng.integers(0, len(whole), 2)))
    ways = (whole[:b], whole[:a] + whole[b:], whole[:b] + whole[a:], whole[:a] + bytes(b - a) + whole[b:])
    return pick(ways, rng)


def _spliced(whole: bytes, other: bytes, rng: Rng) -> bytes:
    """The beginning of one file and the end of another."""
    return whole[: int(rng.integers(len(whole)))] + other[int(rng.integers(len(other))) :]


_Field = tuple[int, str]  # where a number stands, and its format


def _fields(whole: bytes) -> list[_Field]:
    """Numbers of a file's structure: sizes, counts, offsets and dimensions."""
    if whole.startswith(b"\xff\xd8"):
        marks = [m.start() for m in re.finditer(rb"\xff[\xc0-\xcf\xda-\xef]", whole[:-4])]
        dimensions = [(m + at, ">H") for m in marks if whole[m + 1] in (0xC0, 0xC2) for at in (5, 7)]
        return [(m + 2, ">H") for m in marks] + [f for f in dimensions if f[0] + 2 <= len(whole)]
    if whole.startswith(b"\x89PNG"):
        names = [
            m.start() for m in re.finditer(rb"IHDR|IDAT|PLTE|tRNS|iCCP|eXIf|acTL|fcTL|fdAT|zTXt|iTXt", whole)
        ]
        return [(at - 4, ">I") for at in names] + [(16, ">I"), (20, ">I"), (24, "B"), (25, "B"), (28, "B")]
    if whole[:2] in (b"II", b"MM"):
        return _tiff_fields(whole)
    if whole[:4] in (b"RIFF", b"\x1a\x45\xdf\xa3") or whole.startswith(
        (b"BM", b"GIF", b"FLV", b"\0\0\1\xba", b"G")
    ):
        ids = rb"VP8 |VP8L|VP8X|ANIM|ANMF|ALPH|ICCP|EXIF|LIST|avih|strh|strf|idx1|movi|00dc|\xb0\x81|\xba\x81"
        named = [(m.end(), "<I") for m in re.finditer(ids, whole) if m.end() + 4 <= len(whole)]
        return named + [
            (at, form) for at in range(2, min(140, len(whole) - 4), 2) for form in ("<I", "<H", ">I")
        ]
    return _box_fields(whole)


def _tiff_fields(whole: bytes) -> list[_Field]:
    end = "<" if whole.startswith(b"II") else ">"
    big = whole[2:4] in (b"+\0", b"\0+")
    wide, entry = ("Q", 20) if big else ("I", 12)
    (at,) = struct.unpack_from(end + wide, whole, 8 if big else 4)
    fields = [(8 if big else 4, end + wide)]
    if at + 8 > len(whole):
        return fields
    (count,) = struct.unpack_from(end + ("Q" if big else "H"), whole, at)
    first = at + (8 if big else 2)
    for i in range(min(count, 40)):
        place = first + entry * i
        fields += [(place, end + "H"), (place + 2, end + "H"), (place + 4, end + wide)]
        fields += 3 * [(place + (12 if big else 8), end + wide)]
    return [f for f in fields if f[0] + 8 <= len(whole)]


def _box_fields(whole: bytes) -> list[_Field]:
    """Of ISO base media: HEIC, AVIF, MP4 and MOV."""
    names = rb"ftyp|meta|iloc|iinf|infe|ipco|ipma|ispe|hvcC|av1C|colr|irot|imir|pixi|iref|grpl|mdat|moov"
    names += rb"|mvhd|trak|tkhd|mdia|mdhd|stbl|stsd|stts|ctts|stss|stsc|stsz|stco|avc1|avcC|mp4v|esds|elst"
    places = [m.start() for m in re.finditer(names, whole)]
    fields = [(at - 4, ">I") for at in places]
    fields += [
        (at + more, form) for at in places for more, form in ((8, ">I"), (12, ">I"), (16, ">I"), (8, ">H"))
    ]
    return [f for f in fields if 0 <= f[0] <= len(whole) - 8]


def _resized(whole: bytes, rng: Rng) -> bytes:
    """One to three numbers of the structure are extreme, or a little wrong."""
    fields, damaged = _fields(whole), bytearray(whole)
    for _ in range(int(rng.integers(1, 4)) if fields else 0):
        at, form = pick(fields, rng)
        bits = 8 * struct.calcsize(form)
        (is_now,) = struct.unpack_from(form, damaged, at)
        choices = (*_EXTREMES, is_now + 1, is_now - 1, is_now * 2, is_now // 2, int(rng.integers(1 << 32)))
        struct.pack_into(form, damaged, at, pick(choices, rng) % (1 << bits))
    return bytes(damaged)


def _summed_up(whole: bytes) -> bytes:
    """A PNG whose sums fit again."""
    png, at = bytearray(whole), 8
    while at + 12 <= len(png):
        (size,) = struct.unpack_from(">I", png, at)
        if at + 12 + size > len(png):
            break
        struct.pack_into(">I", png, at + 8 + size, zlib.crc32(png[at + 4 : at + 8 + size]))
        at += 12 + size
    return bytes(png)


def _damaged(whole: bytes, other: bytes, rng: Rng) -> bytes:
    damaged = _in_some_way(whole, other, rng)
    return _summed_up(damaged) if damaged.startswith(b"\x89PNG") and rng.random() < 0.8 else damaged


def _in_some_way(whole: bytes, other: bytes, rng: Rng) -> bytes:
    way = rng.random()
    if way < 0.35:
        return _flipped(whole, rng)
    if way < 0.5:
        return _cut(whole, rng)
    if way < 0.6:
        return _spliced(whole, other, rng)
    if way < 0.9:
        return _resized(whole, rng)
    return _flipped(_resized(whole, rng), rng)


def picture(kind: str, rng: Rng) -> Case:
    """A damaged picture of a kind."""
    name, ways = PICTURES[kind]
    crop = int(rng.integers(len(crops())))
    whole = sound(kind, int(rng.integers(len(ways))), crop)
    others = [kind] if rng.random() < 0.5 else list(PICTURES)
    other = pick(others, rng)
    return Case(name, _damaged(whole, sound(other, int(rng.integers(len(PICTURES[other][1]))), crop), rng))


def video(rng: Rng) -> Case:
    """A damaged video."""
    name, form, codec = pick(VIDEOS, rng)
    _, form_b, codec_b = pick(VIDEOS, rng)
    return Case(name, _damaged(sound_video(form, codec), sound_video(form_b, codec_b), rng))


# -------------------------------------------------------------------------------------------- bombs


def _wide_png(rng: Rng) -> Case:
    side, depth, colour = (
        int(rng.integers(2000, 20000)),
        int(rng.choice([1, 8, 16])),
        int(rng.choice([0, 2, 6])),
    )
    if depth == 1:
        colour = 0
    row = 1 + side * depth * {0: 1, 2: 3, 6: 4}[colour] // 8
    rows = min(side, max(1, (60 << 20) // row))
    return Case("a.png", png_file((side, side, depth, colour, 0, 0, int(rng.integers(2))), bytes(row * rows)))


def _swollen_png(rng: Rng) -> Case:
    """A chunk that unpacks to a hundred times its size."""
    packed = zlib.compress(bytes(int(rng.integers(1 << 20, 64 << 20))))
    name = pick((b"iCCP", b"zTXt", b"iTXt"), rng)
    before = {b"iCCP": b"icc\0\0", b"zTXt": b"Raw profile type exif\0\0", b"iTXt": b"a\0\1\0\0\0"}[name]
    return Case("a.png", png_file((4, 4, 8, 2, 0, 0, 0), bytes(4 * 13), png_chunk(name, before + packed)))


def _wide_jpeg(rng: Rng) -> Case:
    whole = bytearray(sound("JPEG, progressive or CMYK", int(rng.integers(3)), 1))
    at = next(m.start() for m in re.finditer(rb"\xff[\xc0\xc2]", whole))
    struct.pack_into(">HH", whole, at + 5, int(rng.integers(1000, 65500)), int(rng.integers(1000, 65500)))
    return Case("a.jpg", bytes(whole))


def _many_scans(rng: Rng) -> Case:
    whole = sound("JPEG, progressive or CMYK", 0, 1)
    at = whole.rindex(b"\xff\xda")
    return Case("a.jpg", whole[:at] + whole[at:-2] * int(rng.integers(50, 5000)) + b"\xff\xd9")


def _wide_tiff(rng: Rng) -> Case:
    file = io.BytesIO()
    side = int(rng.integers(1000, 16000))
    Image.new("1", (side, side), 1).save(file, "TIFF", compression="group4")
    return Case("a.tif", file.getvalue())


def _wide_bmp(rng: Rng) -> Case:
    whole = bytearray(sound("BMP and GIF", 1, 1))
    struct.pack_into("<ii", whole, 18, int(rng.integers(1000, 1 << 30)), int(rng.integers(1000, 30000)))
    struct.pack_into("<I", whole, 30, int(rng.integers(0, 3)))
    return Case("a.bmp", bytes(whole))


def _wide_webp(rng: Rng) -> Case:
    side = int(rng.integers(1000, 9000))
    return Case("a.webp", _saved(Image.new("RGB", (side, 700), (9, 9, 9)), "WEBP", lossless=True, method=0))


def _wide_boxes(rng: Rng) -> Case:
    kind = pick(("HEIC", "AVIF"), rng)
    whole = bytearray(sound(kind, 0, 1))
    at = whole.index(b"ispe")
    struct.pack_into(">II", whole, at + 8, int(rng.integers(1, 1 << 20)), int(rng.integers(1, 1 << 20)))
    return Case(PICTURES[kind][0], bytes(whole))


def _long_video(rng: Rng) -> Case:
    """A table of samples that claims more than there are, or all of them at one place."""
    whole = bytearray(sound_video("mp4", "libx264"))
    for name in (b"stsz", b"stts", b"stsc"):
        if rng.random() < 0.6:
            at = whole.index(name) + 8
            struct.pack_into(">II", whole, at, int(rng.integers(1 << 24)), int(rng.integers(1 << 31)))
    return Case("a.mp4", bytes(whole))


BOMBS = (
    _wide_png, _swollen_png, _wide_jpeg, _many_scans, _wide_tiff, _wide_bmp, _wide_webp, _wide_boxes,
    _long_video,
)  # fmt: skip


def bomb(rng: Rng) -> Case:
    """A small file that claims or unpacks to much."""
    return pick(BOMBS, rng)(rng)


KINDS: dict[str, Make] = {kind: partial(picture, kind) for kind in PICTURES} | {
    "videos": video,
    "bombs": bomb,
}


# --------------------------------------------------------------------------------------------- use


def use(path: Path) -> str:
    """Decode a file as `measure` does, or measure it."""
    whole = zlib.crc32(path.read_bytes()) % _WHOLE == 0
    try:
        if whole:
            return command("measure", path, "-o", path.with_name("t.csv"), "--frames", 2)
        if is_video(path):
            list(open_video(path).photos(4))
        else:
            photo = read_photo(path, short_side=390)
            photo.finer()
    except AnthropoError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main(__file__, __doc__ or "", KINDS, use)
