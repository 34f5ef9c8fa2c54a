"""Colours as a file means them, in sRGB: ICC profiles, and code points of PNG, HEIC and AVIF.

What counts if a file says several things is as PNG's specification has it (third edition, 4.3): code points
(cICP), then the ICC profile, then sRGB, then gAMA and cHRM. Colours that sRGB cannot show become the nearest
that it can, channel by channel. A picture whose colours are sRGB's already costs nothing.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from PIL import Image

from anthropo.decoding.icc import Pair, colours_of, is_srgb, matrix_profile, signalled, srgb_to_linear

#: Raise it when the same file's pixels change, or what may be measured of their colours.
COLOUR_VERSION = 3

_MOST_PROFILE = 16 << 20  # bytes; those of printing presses have up to 3 MB
_MOST_CHUNKS = 1000  # of a PNG before its picture
_MOST_BOXES = 1 << 20  # bytes of what an AVIF says before its picture
_BITMAP_V4, _BITMAP_V5 = 108, 124  # bytes of a bitmap's header
_AS_SRGB = "the colours are taken as sRGB's"
_PNG = b"\x89PNG\r\n"
_D65 = (0.3127, 0.3290)
_C = (0.310, 0.316)
_REC709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_ADOBE = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
_ADOBE_GAMMA = 563 / 256
# ITU-T H.273, table 2: x and y of red, green, blue and of white
PRIMARIES: dict[int, tuple[tuple[Pair, Pair, Pair], Pair]] = {
    1: (_REC709, _D65),
    2: (_REC709, _D65),  # not specified
    4: (((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), _C),
    5: (((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), _D65),
    6: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), _D65),
    7: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), _D65),
    8: (((0.681, 0.319), (0.243, 0.692), (0.145, 0.049)), _C),
    9: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), _D65),
    11: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), (0.314, 0.351)),
    12: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), _D65),
    22: (((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)), _D65),
}
# Table 3. Video's curves (1, 6, 14, 15) are shown as sRGB's by every program, and so are meant that way.
_LIKE_SRGB = frozenset((1, 2, 6, 13, 14, 15))
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
PQ, HLG = 16, 18
_GAMMA_OF_SRGB = (0.445, 0.465)  # gAMA that means sRGB: 1/2.2, as written with few digits

_GREY = 2  # levels: largest difference between the channels of a grey
# Step of chroma's mean over 8 × 8 pixels in a JPEG: 43 at quality 20, where colours of portraits move by up
# to half of their 95 % interval, 57 at quality 15 and 85 at quality 10, where they move by more than that.
_COARSE = 48

_EXIF, _INTEROPERABILITY, _SPACE, _INDEX = 0x8769, 0xA005, 0xA001, 1
_NO_CURVE = "Its colours have a curve that is not known (code {})"

Image_ = Image.Image


@dataclass(frozen=True, slots=True)
class Colours:
    """How a picture's pixels become sRGB's."""

    convert: Callable[[Image_], Image_] | None = None  # of mode RGB or L or CMYK to RGB; None: they are
    takes: str = "RGB"  # mode of the pixels that `convert` needs
    remark: str = ""  # where they are not quite what the file means, a sentence
    doubt: str = ""  # why they are not to be measured


SRGB = Colours()


def colours(image: Image_, data: bytes) -> Colours:
    """What is to be done with an opened picture's colours; a remark where what the file says is of no use."""
    info: dict[Any, Any] = image.info
    points = _png_code_points(data) if data.startswith(_PNG) else None
    if points:
        return of_code_points(*points[:2], full_range=points[3] != 0)
    if "icc_profile" in info:
        return _of_profile(info["icc_profile"], image.mode)
    if data.startswith(b"BM"):
        return _of_bmp(data, image.mode)
    nclx = info.get("nclx_profile") or _nclx(data)
    if nclx:  # its matrix and range are the decoder's matter
        return of_code_points(nclx["color_primaries"], nclx["transfer_characteristics"])
    if "srgb" not in info and ("gamma" in info or "chromaticity" in info):
        return _of_gamma(info.get("gamma"), info.get("chromaticity"))
    if b"R03" in (info.get("exif") or b"") and _is_adobe_rgb(image):
        return _of_space(_ADOBE, _D65, _ADOBE_GAMMA)
    return SRGB


def spoilt(image: Image_) -> str:
    """Why an opened picture's colours are not those of what was photographed; empty where they may be."""
    if image.mode in ("P", "PA"):
        levels = image.getpalette("RGB") or []
        if any(max(of) - min(of) > _GREY for of in zip(*[iter(levels)] * 3, strict=True)):
            return f"the picture has a palette of {len(levels) // 3} colours"
    tables = getattr(image, "quantization", {})
    if image.mode in ("RGB", "YCbCr") and len(tables) > 1 and tables[1][0] > _COARSE:
        return "the JPEG was compressed so strongly that its colours are rounded"
    return ""


def _of_profile(profile: bytes | None, mode: str) -> Colours:
    if profile == b"":
        return SRGB
    if not profile or len(profile) > _MOST_PROFILE or not colours_of(profile):
        return Colours(remark=f"Its colour profile is damaged; {_AS_SRGB}.")
    if is_srgb(profile):
        return SRGB
    points = signalled(profile)
    if points and points[1] in (PQ, HLG):
        return of_code_points(*points)
    space, grey = colours_of(profile), mode in ("1", "L", "LA", "La") or mode.startswith(("I", "F"))
    if space == b"RGB " and mode not in ("CMYK", "LAB"):
        takes = "RGB"
    elif space == b"GRAY" and grey:
        takes = "L"
    elif space == b"CMYK" and mode == "CMYK":
        takes = "CMYK"
    else:
        return Colours(remark=f"Its colour profile is for other pixels than it has; {_AS_SRGB}.")
    try:
        return Colours(_transform(profile, takes), takes)
    except Exception:  # a foreign library, which may raise anything
        return Colours(remark=f"Its colour profile is damaged; {_AS_SRGB}.")


@lru_cache(maxsize=8)
def _transform(profile: bytes, takes: str) -> Callable[[Image_], Image_]:
    """Pixels of a profile to sRGB, with relative colorimetry: white stays white, and so does black."""
    from PIL import ImageCms

    made = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        takes,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return made.apply


def of_code_points(primaries: int, transfer: int, *, full_range: bool = True) -> Colours:
    """What is to be done with colours of ITU-T H.273's codes for primaries and curve."""
    if primaries not in PRIMARIES:
        return Colours(
            remark=f"Its colours have primaries that are not known (code {primaries}); {_AS_SRGB}."
        )
    space = PRIMARIES[primaries]
    if transfer in (PQ, HLG):
        from anthropo.decoding.hdr import to_srgb

        colours = Colours(
            partial(to_srgb, transfer == PQ, space),
            remark="A picture of high dynamic range; its highlights are darkened to fit into sRGB.",
        )
    elif transfer in _LIKE_SRGB:
        colours = SRGB if space == PRIMARIES[1] else _of_space(*space, None)
    elif transfer in _GAMMAS:
        colours = _of_space(*space, _GAMMAS[transfer])
    else:
        return Colours(remark=f"{_NO_CURVE.format(transfer)}; {_AS_SRGB}.")
    if full_range:
        return colours
    return Colours(partial(_widened, colours.convert), remark=colours.remark)


def _widened(then: Callable[[Image_], Image_] | None, image: Image_) -> Image_:
    """Values from 16 to 235, as video has them, to 0 to 255."""
    levels = [min(255, max(0, round((i - 16) * 255 / 219))) for i in range(256)]
    wide = image.point(levels * len(image.getbands()))
    return then(wide) if then else wide


def _of_gamma(gamma: float | None, chromaticity: tuple[float, ...] | None) -> Colours:
    """PNG's gAMA and cHRM."""
    primaries, white = _REC709, _D65
    if chromaticity:
        if len(chromaticity) != 8:
            return Colours(remark=f"Its chromaticities are damaged; {_AS_SRGB}.")
        x, y, *rest = chromaticity
        red, green, blue = zip(rest[::2], rest[1::2], strict=True)
        if all(abs(a - b) < 0.002 for a, b in zip(chromaticity, (*_D65, *sum(_REC709, ())), strict=True)):
            chromaticity = None
        else:
            primaries, white = (red, green, blue), (x, y)
    if gamma is not None and not 0.05 <= gamma <= 5:
        return Colours(remark=f"Its gamma of {gamma:g} is none; {_AS_SRGB}.")
    if gamma is None or (chromaticity is None and _GAMMA_OF_SRGB[0] <= gamma <= _GAMMA_OF_SRGB[1]):
        return _of_space(primaries, white, None) if chromaticity else SRGB
    return _of_space(primaries, white, 1 / gamma)


def _of_space(primaries: tuple[Pair, Pair, Pair], white: Pair, gamma: float | None) -> Colours:
    """Pixels of an RGB space with a power curve, or with sRGB's."""
    try:
        return Colours(_transform(_profile(primaries, white, gamma), "RGB"))
    except Exception:  # of numbers that a file states, which a library may refuse
        return Colours(remark=f"Its colours have primaries that span none; {_AS_SRGB}.")


@lru_cache(maxsize=8)
def _profile(primaries: tuple[Pair, Pair, Pair], white: Pair, gamma: float | None) -> bytes:
    return matrix_profile(primaries, white, srgb_to_linear if gamma is None else lambda x: x**gamma)


def _png_code_points(data: bytes) -> bytes | None:
    """The chunk cICP of a PNG: primaries, transfer, matrix, full range."""
    at = 8
    for _ in range(_MOST_CHUNKS):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name == b"cICP" and size == 4 and data[at + 10 : at + 11] == b"\0":
            return data[at + 8 : at + 12]
        if name in (b"", b"IDAT", b"PLTE", b"IEND"):
            return None
        at += 12 + size
    return None


def _nclx(data: bytes) -> dict[str, int] | None:
    """The code points of an AVIF file, which Pillow keeps to itself."""
    at = data.find(b"colrnclx", 0, _MOST_BOXES) if data[4:8] == b"ftyp" else -1
    if at < 0 or len(data) < at + 12:
        return None
    primaries, transfer = struct.unpack_from(">HH", data, at + 8)
    return {"color_primaries": primaries, "transfer_characteristics": transfer}


def _of_bmp(data: bytes, mode: str) -> Colours:
    """What the header of a bitmap says, version 4 or 5: a profile, or primaries and a gamma."""
    size = int.from_bytes(data[14:18], "little")
    if size < _BITMAP_V4:
        return SRGB
    kind = data[70:74][::-1]
    if kind == b"MBED":
        start, length = struct.unpack_from("<II", data, 126) if size >= _BITMAP_V5 else (0, 0)
        profile = data[14 + start : 14 + start + min(length, _MOST_PROFILE + 1)]
        return _of_profile(profile if start and profile else None, mode)
    if kind == b"LINK":
        return Colours(remark=f"Its colour profile is another file, which is not read; {_AS_SRGB}.")
    if kind == bytes(4) and any(data[74:122]):
        return Colours(remark=f"Its colours are calibrated in a way that is not read; {_AS_SRGB}.")
    return SRGB


def _is_adobe_rgb(image: Image_) -> bool:
    """Whether a camera says, by DCF 2.0, that it wrote Adobe RGB without a profile."""
    try:
        exif = image.getexif()
        index = exif.get_ifd(_INTEROPERABILITY).get(_INDEX, "")
        space = exif.get_ifd(_EXIF).get(_SPACE)
    except Exception:  # damaged Exif
        return False
    return str(index).startswith("R03") and space != 1
