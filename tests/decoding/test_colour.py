"""Pictures in other colour spaces give the pixels of the same picture in sRGB."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from conftest import Invoke, Pixels
from PIL import Image, ImageCms
from pngs import png_chunk

import anthropo
from anthropo.decoding.colour import PRIMARIES
from anthropo.decoding.icc import is_srgb, matrix_profile, rgb_to_xyz, srgb_to_linear
from anthropo.photo import read_photo

D65 = (0.3127, 0.3290)
SRGB = PRIMARIES[1][0]
P3 = PRIMARIES[12][0]
REC2020 = PRIMARIES[9][0]
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
DAMAGED = "Its colour profile is damaged; the colours are taken as sRGB's."
OTHER_PIXELS = "Its colour profile is for other pixels than it has; the colours are taken as sRGB's."

Floats = np.ndarray[Any, np.dtype[np.float64]]


def power(gamma: float) -> Callable[[float], float]:
    return lambda x: float(x**gamma)


def profile(primaries: Any, gamma: float | None = None) -> bytes:
    return matrix_profile(primaries, D65, srgb_to_linear if gamma is None else power(gamma))


def linear(pixels: Pixels) -> Floats:
    x = pixels / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def encoded(light: Floats) -> Floats:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


def levels(values: Floats) -> Pixels:
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


def light_in(pixels: Pixels, primaries: Any) -> Floats:
    """Linear light of an sRGB picture in an RGB space of other primaries."""
    matrix = np.linalg.inv(rgb_to_xyz(primaries, D65)) @ rgb_to_xyz(SRGB, D65)
    return np.clip(linear(pixels) @ matrix.T, 0, 1)


def stored(pixels: Pixels, primaries: Any, gamma: float | None = None) -> Pixels:
    """The numbers that a file of these primaries and curve has for an sRGB picture."""
    light = light_in(pixels, primaries)
    return levels(encoded(light) if gamma is None else light ** (1 / gamma))


def png(pixels: Pixels, *chunks: tuple[bytes, bytes]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    extra = b"".join(png_chunk(*chunk) for chunk in chunks)
    return file.getvalue()[:33] + extra + file.getvalue()[33:]


def numbers(*values: float) -> bytes:
    return struct.pack(f">{len(values)}I", *(round(100_000 * value) for value in values))


def decoded(path: Path, data: bytes, **options: Any) -> Pixels:
    path.write_bytes(data)
    photo = read_photo(path, **options)
    assert photo.remark == ""
    return photo.pixels


def far(a: Pixels, b: Pixels) -> float:
    """The difference that all but one in a hundred pixels keep below, grey levels."""
    return float(np.percentile(np.abs(a.astype(int) - b), 99))


def assert_same_face(a: Pixels, b: Pixels, tolerance: float = 3) -> None:
    """Pictures that have the same colours in the face, which is within every space."""
    face = np.s_[70:190, 170:290]
    assert far(a[face], b[face]) <= tolerance


# ------------------------------------------------------------------------------------- profiles


@pytest.mark.parametrize(("primaries", "gamma"), [(P3, None), (ADOBE, 563 / 256), (REC2020, 2.4)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "HEIF"])
def test_icc_profile(tmp_path: Path, astronaut: Pixels, kind: str, primaries: Any, gamma: Any) -> None:
    there, icc = stored(astronaut, primaries, gamma), profile(primaries, gamma)
    file = io.BytesIO()
    if kind == "HEIF":
        heif = pillow_heif.from_pillow(Image.fromarray(there))
        heif.save(file, quality=100, icc_profile=icc, chroma=444)
    else:
        exact = (
            {"lossless": True}
            if kind == "WEBP"
            else {"quality": 100, "subsampling": 0}
            if kind == "JPEG"
            else {}
        )
        Image.fromarray(there).save(file, kind, icc_profile=icc, **exact)
    assert_same_face(decoded(tmp_path / "a.jpg", file.getvalue()), astronaut, 5)
    face = np.s_[70:190, 170:290]
    assert far(there[face], astronaut[face]) >= 8


def test_every_decode_of_a_photo(tmp_path: Path, astronaut: Pixels) -> None:
    large = np.asarray(Image.fromarray(astronaut).resize((2048, 2048), Image.Resampling.BICUBIC))
    for progressive in (False, True):
        pairs = []
        for name, pixels, icc in (("p3", stored(large, P3), profile(P3)), ("srgb", large, None)):
            path = tmp_path / f"{name}.jpg"
            Image.fromarray(pixels).save(path, quality=95, icc_profile=icc, progressive=progressive)
            photo = read_photo(path, short_side=256)
            pairs.append([photo.finer(scale) for scale in (8, 4, 2, 1)])
        for p3, srgb in zip(*pairs, strict=True):
            assert p3.decode_scale == srgb.decode_scale
            side = len(srgb.pixels) / 512
            face = np.s_[int(70 * side) : int(190 * side), int(170 * side) : int(290 * side)]
            assert far(p3.pixels[face], srgb.pixels[face]) <= 6


def test_measurements(tmp_path: Path, astronaut: Pixels) -> None:
    found = []
    for pixels, icc in ((stored(astronaut, P3), profile(P3)), (astronaut, None)):
        path = tmp_path / "a.png"
        Image.fromarray(pixels).save(path, icc_profile=icc)
        found.append(anthropo.measure_face(anthropo.read_face(str(path)), read_photo(path), force=True))
    for one, other in zip(*found, strict=True):
        half = (other.hi - other.lo) / 2
        assert not half > 0 or abs(one.value - other.value) < half, one.id


def test_grey_profile(tmp_path: Path, astronaut: Pixels) -> None:
    grey = np.asarray(Image.fromarray(astronaut).convert("L"))
    icc = grey_profile(1.8)
    there = levels(linear(grey) ** (1 / 1.8))
    for pixels in (there, there.astype(np.uint16) * 257):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", icc_profile=icc)
        found = decoded(tmp_path / "a.png", file.getvalue())
        assert far(found, np.repeat(grey[:, :, None], 3, axis=2)) <= 2


def grey_profile(gamma: float) -> bytes:
    """Version 2, with nothing but a white and a curve."""
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv" + bytes(4) + struct.pack(">IHH", 1, round(256 * gamma), 0)
    return packed(b"mntrGRAYXYZ ", {b"wtpt": white, b"kTRC": curve})


def packed(kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile of version 2: class, colours and the colours that it leads to; its tags."""
    listed, at = struct.pack(">I", len(tags)), 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        listed += struct.pack(">4sII", name, at, len(tag))
        at += len(tag)
    head = struct.pack(">II", at, 0) + b"\x02\x40\0\0" + kind + bytes(12) + b"acsp" + bytes(28)
    return head + struct.pack(">3i", 63190, 65536, 54061) + bytes(48) + listed + b"".join(tags.values())


def test_cmyk_profile(tmp_path: Path) -> None:
    """A press profile made here, with a table of two steps per ink, against its own table."""
    inks = np.array([[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 0, 0], [0, 0, 255, 0], [0, 0, 0, 255]], np.uint8)
    there = np.repeat(np.repeat(inks[None], 32, axis=0), 32, axis=1)
    path = tmp_path / "a.tif"
    Image.fromarray(there, "CMYK").save(path, icc_profile=cmyk_profile())
    photo = read_photo(path)
    assert photo.remark == ""
    centres = photo.pixels[16, 16::32].astype(int)
    # of the table: L* = 100, 60, 50, 90, 0 and its a*, b*
    expected = [lab_to_srgb(lab) for lab in ((100, 0, 0), *INKS[:3], (0, 0, 0))]
    assert np.abs(centres - expected).max() <= 4
    plain = tmp_path / "plain.tif"
    Image.fromarray(there, "CMYK").save(plain)
    assert np.abs(read_photo(plain).pixels[16, 48].astype(int) - expected[1]).max() > 40


INKS = ((60, -20, -30), (50, 50, 0), (90, 0, 60), (0, 0, 0))


def lab_to_srgb(lab: tuple[float, float, float]) -> Pixels:
    fy = (lab[0] + 16) / 116
    f = np.array([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * (0.9642, 1, 0.8249)
    colorants = np.array(
        [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
    )
    return levels(encoded(np.linalg.solve(colorants, xyz)))


def cmyk_profile() -> bytes:
    """Version 2 with a table `A2B0` from four inks to CIELAB: the darkest of the inks that are there."""
    grid = b""
    for i in range(16):
        on = [INKS[k] for k in range(4) if i >> (3 - k) & 1] or [(100, 0, 0)]
        lightness, a, b = min(on)
        grid += bytes([round(2.55 * lightness), a + 128, b + 128])
    straight = bytes(range(256))
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * straight + grid + 3 * straight
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    return packed(b"prtrCMYKLab ", {b"wtpt": white, b"A2B0": table})


def test_palette_and_transparency(tmp_path: Path, astronaut: Pixels) -> None:
    there = Image.fromarray(stored(astronaut, P3))
    palette = there.quantize(256, dither=Image.Dither.NONE)
    file = io.BytesIO()
    palette.save(file, "PNG", icc_profile=profile(P3))
    found = decoded(tmp_path / "a.png", file.getvalue())
    expected = transformed(np.asarray(palette.convert("RGB")), profile(P3))
    assert np.array_equal(found, expected)

    clear = there.copy()
    mask = Image.new("L", there.size, 255)
    mask.paste(0, (0, 0, 512, 60))
    clear.putalpha(mask)
    file = io.BytesIO()
    clear.save(file, "PNG", icc_profile=profile(P3))
    found = decoded(tmp_path / "a.png", file.getvalue())
    assert (found[:60] == 255).all()
    assert np.array_equal(found[60:], transformed(np.asarray(there), profile(P3))[60:])


@pytest.mark.parametrize(
    ("name", "how", "doubt"),
    [
        ("a.png", {"palette": 256}, "the picture has a palette of 256 colours"),
        ("a.tif", {"palette": 64}, "the picture has a palette of 64 colours"),
        ("a.bmp", {"palette": 200}, "the picture has a palette of 200 colours"),
        ("a.jpg", {"quality": 10}, "the JPEG was compressed so strongly that its colours are rounded"),
        ("a.jpg", {"quality": 30}, ""),
        ("a.jpg", {"quality": 95, "mode": "CMYK"}, ""),
        ("a.jpg", {"quality": 10, "mode": "L"}, ""),
        ("a.png", {"mode": "P"}, ""),  # of greys alone
    ],
)
def test_rounded_colours_are_not_measured(
    tmp_path: Path, astronaut: Pixels, name: str, how: dict[str, Any], doubt: str
) -> None:
    image = Image.fromarray(astronaut)
    if colours := how.pop("palette", 0):
        image = image.quantize(colours, dither=Image.Dither.NONE)
    elif mode := how.pop("mode", ""):
        image = image.convert("L").convert("P") if mode == "P" else image.convert(mode)
    path = tmp_path / name
    image.save(path, **how)
    photo = read_photo(path)
    assert re.sub(r"of \d+ colours", "", photo.colour_doubt) == re.sub(r"of \d+ colours", "", doubt)
    assert photo.finer(1).colour_doubt == photo.colour_doubt
    if name == "a.tif":  # read in another process
        values = {v.id: v for v in anthropo.measure_face(anthropo.read_face(photo), photo, force=True)}
        assert values["lip_redness"].reason == photo.colour_doubt
        assert np.isnan(values["lip_redness"].value)
        assert values["intercanthal_width"].value > 0


def transformed(pixels: Pixels, icc: bytes) -> Pixels:
    made = ImageCms.profileToProfile(
        Image.fromarray(pixels),
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    return np.asarray(made)


def test_srgb_is_recognised() -> None:
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert is_srgb(made)
    assert is_srgb(profile(SRGB))
    for other in (
        profile(P3),
        profile(ADOBE, 2.2),
        profile(SRGB, 2.2),
        profile(SRGB, 1.8),
        grey_profile(2.2),
    ):
        assert not is_srgb(other)
    assert not is_srgb(b"")
    for length in range(0, len(made), 7):  # cut off anywhere: an answer, and never "yes" without a curve
        assert is_srgb(made[:length]) in (False, True)
    assert not is_srgb(made[:400])


def test_plain_photos_need_no_library(tmp_path: Path, astronaut: Pixels) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, about in (("a.jpg", {}), ("b.jpg", {"icc_profile": icc}), ("c.png", {"icc_profile": icc})):
        Image.fromarray(astronaut).save(tmp_path / name, **about)
    lines = (
        "import sys; from anthropo.photo import read_photo\n"
        "[read_photo(name) for name in sys.argv[1:]]\n"
        "print(sorted(m for m in sys.modules if m in ('PIL.ImageCms', 'anthropo.decoding.hdr')))"
    )
    names = [str(path) for path in sorted(tmp_path.iterdir())]
    run = subprocess.run([sys.executable, "-c", lines, *names], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_broken_profiles_are_a_remark(tmp_path: Path, astronaut: Pixels, invoke: Invoke) -> None:
    good, path = profile(P3), tmp_path / "a.png"
    assert good.count(b"rTRC") == 1
    for bad, remark in (
        (b"nothing of the kind", DAMAGED),
        (good[:200], DAMAGED),
        (good.replace(b"rTRC", b"xTRC"), DAMAGED),
        (good.replace(b"acsp", b"acsq"), DAMAGED),
        (good.replace(b"curv", b"abcd"), DAMAGED),
        (cmyk_profile(), OTHER_PIXELS),
        (grey_profile(1.8), OTHER_PIXELS),
    ):
        Image.fromarray(astronaut).save(path, icc_profile=bad)
        photo = read_photo(path)
        assert photo.remark == remark
        assert np.array_equal(photo.pixels, astronaut)
    rest = np.random.default_rng(0)
    for _ in range(100):  # whatever is broken, the photo is read
        bad = bytearray(good)
        for at in rest.integers(0, 700, 4):
            bad[at] = rest.integers(256)
        Image.fromarray(astronaut[:32, :32]).save(path, icc_profile=bytes(bad))
        assert read_photo(path).pixels.shape == (32, 32, 3)

    Image.fromarray(astronaut).save(path, icc_profile=good[:200])
    result = invoke("measure", str(path), "-o", str(tmp_path / "out.csv"))
    assert result.exit_code == 0
    assert f"{path}: {DAMAGED}" in result.stderr
    assert DAMAGED in (tmp_path / "out.csv").read_text()


# ------------------------------------------------------------------------- PNG's chunks, HEIC's code points


@pytest.mark.parametrize(
    ("codes", "primaries", "gamma"),
    [
        ((12, 13), P3, None),
        ((9, 1), REC2020, None),
        ((9, 13), REC2020, None),
        ((1, 4), SRGB, 2.2),
        ((9, 8), REC2020, 1.0),
        ((1, 13), SRGB, None),
    ],
)
def test_cicp(tmp_path: Path, astronaut: Pixels, codes: Any, primaries: Any, gamma: float | None) -> None:
    there = stored(astronaut, primaries, gamma)
    # the code points count, whatever stands beside them
    data = png(there, (b"cICP", bytes([*codes, 0, 1])), (b"gAMA", numbers(1.0)))
    # linear light has few levels in the darks
    assert_same_face(decoded(tmp_path / "a.png", data), astronaut, 10 if gamma == 1 else 3)


def test_narrow_range(tmp_path: Path, astronaut: Pixels) -> None:
    narrow = np.rint(16 + stored(astronaut, P3) * (219 / 255)).astype(np.uint8)
    found = decoded(tmp_path / "a.png", png(narrow, (b"cICP", bytes([12, 13, 0, 0]))))
    assert_same_face(found, astronaut, 4)


@pytest.mark.parametrize(
    ("codes", "what"), [((3, 13), "primaries"), ((1, 99), "curve"), ((200, 200), "primaries")]
)
def test_unknown_code_points(tmp_path: Path, astronaut: Pixels, codes: tuple[int, int], what: str) -> None:
    (tmp_path / "a.png").write_bytes(png(astronaut, (b"cICP", bytes([*codes, 0, 1]))))
    photo = read_photo(tmp_path / "a.png")
    assert what in photo.remark
    assert np.array_equal(photo.pixels, astronaut)


def test_gamma_and_chromaticities(tmp_path: Path, astronaut: Pixels) -> None:
    path, of_srgb = tmp_path / "a.png", (b"cHRM", numbers(*D65, *sum(SRGB, ())))
    adobe = (b"cHRM", numbers(*D65, *sum(ADOBE, ())))
    there = stored(astronaut, ADOBE, 2.2)
    assert_same_face(decoded(path, png(there, (b"gAMA", numbers(1 / 2.2)), adobe)), astronaut)
    assert_same_face(decoded(path, png(stored(astronaut, ADOBE), adobe)), astronaut)
    assert_same_face(decoded(path, png(stored(astronaut, SRGB, 1.8), (b"gAMA", numbers(1 / 1.8)))), astronaut)
    for plain in (
        [(b"gAMA", numbers(0.45455))],
        [(b"gAMA", numbers(0.45455)), of_srgb],
        [of_srgb],
        [(b"sRGB", b"\0"), (b"gAMA", numbers(1.0)), adobe],
    ):
        assert np.array_equal(decoded(path, png(astronaut, *plain)), astronaut)
    for odd in ([(b"gAMA", numbers(0))], [(b"cHRM", bytes(32))], [(b"cHRM", numbers(*D65, *(0.3, 0.3) * 3))]):
        path.write_bytes(png(astronaut, *odd))
        photo = read_photo(path)
        assert photo.remark
        assert np.array_equal(photo.pixels, astronaut)


def test_heic_code_points(tmp_path: Path, astronaut: Pixels) -> None:
    path = tmp_path / "a.heic"
    for there, codes in ((stored(astronaut, P3), (12, 13)), (astronaut, (1, 13))):
        heif = pillow_heif.from_pillow(Image.fromarray(there))
        heif.save(
            path,
            quality=100,
            chroma=444,
            color_primaries=codes[0],
            transfer_characteristics=codes[1],
            matrix_coefficients=6,
            full_range_flag=1,
            save_nclx_profile=True,
        )
        assert_same_face(read_photo(path).pixels, astronaut, 4)


def test_avif_profile_and_code_points(tmp_path: Path, astronaut: Pixels) -> None:
    """Pillow writes code points of sRGB; they are changed in the file."""
    path, there = tmp_path / "a.avif", Image.fromarray(stored(astronaut, P3))
    there.save(path, quality=100, subsampling="4:4:4", icc_profile=profile(P3))
    assert_same_face(read_photo(path).pixels, astronaut, 4)
    there.save(path, quality=100, subsampling="4:4:4")
    data = bytearray(path.read_bytes())
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", 12, 13)
    assert_same_face(decoded(path, bytes(data)), astronaut, 4)
    data[at : at + 4] = struct.pack(">HH", 12, 99)
    path.write_bytes(data)
    assert "code 99" in read_photo(path).remark


def bitmap(pixels: Pixels, kind: bytes, after: bytes = b"", calibration: bytes = bytes(48)) -> bytes:
    """A file of the header BITMAPV5HEADER, upside down as bitmaps are."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels[::-1, :, ::-1])
    header = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 24, 0, rows.nbytes, 2835, 2835, 0, 0)
    header += bytes(16) + kind[::-1] + calibration
    header += struct.pack("<4I", 4, 124 + rows.nbytes, len(after), 0)
    return (
        b"BM"
        + struct.pack("<IHHI", 138 + rows.nbytes + len(after), 0, 0, 138)
        + header
        + rows.tobytes()
        + after
    )


def test_bitmap_profile(tmp_path: Path, astronaut: Pixels) -> None:
    path = tmp_path / "a.bmp"
    there = stored(astronaut, P3)
    assert_same_face(decoded(path, bitmap(there, b"MBED", profile(P3))), astronaut)
    assert np.array_equal(decoded(path, bitmap(astronaut, b"sRGB")), astronaut)
    for kind, after, remark in (
        (b"MBED", b"", DAMAGED),
        (b"MBED", bytes(300), DAMAGED),
        (b"LINK", b"p3.icc\0", "Its colour profile is another file, which is not read"),
    ):
        path.write_bytes(bitmap(there, kind, after))
        photo = read_photo(path)
        assert photo.remark.startswith(remark)
        assert np.array_equal(photo.pixels, there)
    path.write_bytes(bitmap(there, bytes(4), calibration=b"\1" * 48))
    assert "calibrated" in read_photo(path).remark


def test_adobe_rgb_of_a_camera(tmp_path: Path, astronaut: Pixels) -> None:
    """DCF 2.0: no profile, an interoperability index and no colour space that Exif knows."""
    path, exif = tmp_path / "a.jpg", Image.Exif()
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    Image.fromarray(stored(astronaut, ADOBE, 563 / 256)).save(path, quality=98, subsampling=0, exif=exif)
    assert b"R03" in path.read_bytes()
    assert_same_face(read_photo(path).pixels, astronaut, 5)


# --------------------------------------------------------------------------------- high dynamic range


def pq(light: Floats) -> Floats:
    """Of cd/m²: SMPTE ST 2084."""
    power = (light / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(light: Floats) -> Floats:
    """Of cd/m² on a screen of 1,000 cd/m²: ITU-R BT.2100."""
    relative = light / 1000
    luminance = relative @ rgb_to_xyz(REC2020, D65)[1]
    scene = relative * np.maximum(luminance, 1e-9)[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


@pytest.mark.parametrize(("code", "curve"), [(16, pq), (18, hlg)])
def test_high_dynamic_range(tmp_path: Path, astronaut: Pixels, code: int, curve: Any) -> None:
    """Colours up to 80 % of white are those of sRGB, within what 8 bits of such a curve can tell."""
    path = tmp_path / "a.png"
    there = levels(curve(203 * light_in(astronaut, REC2020)))
    path.write_bytes(png(there, (b"cICP", bytes([9, code, 0, 1]))))
    photo = read_photo(path)
    assert photo.remark == "A picture of high dynamic range; its highlights are darkened to fit into sRGB."
    known = (linear(astronaut).max(axis=2) < 0.78) & (astronaut.min(axis=2) > 25)
    assert known.mean() > 0.4
    apart = np.abs(photo.pixels[known].astype(int) - astronaut[known])
    assert np.percentile(apart, 95) <= 8
    assert abs(float((photo.pixels[known].astype(int) - astronaut[known]).mean())) < 1
    # five times as bright as white: brighter than white paper, without a hue of its own
    path.write_bytes(png(levels(curve(np.full((8, 8, 3), 900.0))), (b"cICP", bytes([9, code, 0, 1]))))
    bright = read_photo(path).pixels
    assert bright.min() >= 250
