"""Decoding by Pillow, in this process or in a decoder's: a file's bytes to rows of RGB pixels.

Starts quickly: nothing is imported here that a file does not need.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from PIL import Image

from anthropo.decoding.colour import SRGB, Colours, colours, spoilt
from anthropo.decoding.exif import Optics
from anthropo.decoding.jpeg import without_luma_detail
from anthropo.decoding.kinds import AVIF, BMP, HEIC, JPEG, PNG, TIFF, WEBP
from anthropo.decoding.limits import Limits
from anthropo.errors import PhotoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ORIENTATION = 0x0112
_BITS_PER_SAMPLE, _SAMPLES = 0x0102, 0x0115
_COMPRESSION = 0x0103
_PLANES = 0x011C
_ROWS_PER_STRIP = 0x0116

_STRIP = 1 << 20  # pixels that are converted at once
_RGB = 3  # bytes of a pixel in the end
# bytes of a pixel in Pillow's memory, and those that decoders need besides (measured)
_IN_PILLOW = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_BESIDE = {WEBP: 13, HEIC: 8, AVIF: 12}
_GREY16 = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(slots=True)
class Picture:
    """An opened file: its header is read; `load` decodes it.

    `rows` gives its colours as sRGB has them, whatever the file has.
    """

    image: Image.Image
    kind: str
    where: str
    full: tuple[int, int]  # width and height as stored, before any reduction
    needed: int  # bytes for decoding and for the pixels, about
    data: bytes
    orientation: int = 1  # of EXIF, still to be undone; known once the picture is loaded, as is the rest
    colours: Colours = SRGB
    optics: Optics = Optics()  # noqa: RUF009 (frozen)

    @property
    def kept(self) -> int:
        """Bytes of the pixels alone."""
        return self.image.width * self.image.height * _RGB

    def load(self) -> None:
        """Decode; a PhotoError or MemoryError says why that cannot be done."""
        try:
            _refuse_wide_planes(self)
            self.image.load()
            # only now: some of Pillow's decoders turn the pixels themselves and drop the tag
            self.orientation = self.image.getexif().get(_ORIENTATION, 1)
            self.optics = Optics.of(self.image)
            self.colours = replace(colours(self.image, self.data), doubt=spoilt(self.image))
        except (PhotoError, MemoryError):
            raise
        except Exception as error:  # a foreign decoder, which may raise anything
            reason = "the file ends too early" if "truncated" in str(error) else "the picture data is damaged"
            raise PhotoError(f"{self.where}: {reason}. Copy or export the photo again.") from None

    @property
    def is_plain(self) -> bool:
        """Whether its pixels are sRGB's as they are stored."""
        image = self.image
        return image.mode == "RGB" and not has_transparency(image) and self.colours.convert is None

    def rows(self) -> Iterator[bytes]:
        """RGB pixels as stored, some rows at a time, so that a large picture is not in memory twice."""
        image = self.image
        grey = _grey_range(image, self.where)
        width, height = image.size
        step = max(1, _STRIP // width)
        for top in range(0, height, step):
            strip = image.crop((0, top, width, min(top + step, height)))
            if grey is not None:
                strip = _grey(strip, *grey)
            yield _rgb(strip, self.colours)


def open_picture(
    data: bytes, kind: str, where: str, *, short_side: int | None = None, limits: Limits
) -> Picture:
    """Read a file's header, and choose the reduction at which a JPEG is decoded.

    A PhotoError says that it is damaged, and an ExcessError that it is too large.
    """
    image = _opened(data, kind, where)
    width, height = image.size
    limits.check_pixels(width, height)
    if short_side is not None and kind == JPEG:
        factor = next((f for f in (8, 4, 2) if min(width, height) // f >= short_side), 1)
        if factor == 8 and image.info.get("progressive"):
            image = _opened(without_luma_detail(data), kind, where)
        if factor > 1:
            image.draft(None, (width // factor, height // factor))
    needed = _needed(image, kind, width * height)
    limits.check_memory(width, height, needed)
    return Picture(image, kind, where, (width, height), needed, data)


def _opened(data: bytes, kind: str, where: str) -> Image.Image:
    # not by Image.open, which would import every format and has a limit of its own
    file = io.BytesIO(data)
    try:
        if kind == JPEG:
            from PIL.JpegImagePlugin import JpegImageFile

            return JpegImageFile(file)
        if kind == PNG:
            from PIL.PngImagePlugin import PngImageFile

            return PngImageFile(file)
        if kind == TIFF:
            from PIL.TiffImagePlugin import TiffImageFile

            return TiffImageFile(file)
        if kind == WEBP:
            from PIL.WebPImagePlugin import WebPImageFile

            return WebPImageFile(file)
        if kind == BMP:
            from PIL.BmpImagePlugin import BmpImageFile

            return BmpImageFile(file)
        if kind == AVIF:
            from PIL.AvifImagePlugin import AvifImageFile

            return AvifImageFile(file)
        from pi_heif import HeifImageFile

        heif: Image.Image = HeifImageFile(file)
        return heif
    except MemoryError:
        raise
    except Exception:  # a foreign decoder, which may raise anything
        raise PhotoError(
            f"{where}: begins like a {kind} file, but is damaged or of a rare kind. "
            "Copy the photo again, or export it as JPEG or 8-bit PNG."
        ) from None


def _needed(image: Image.Image, kind: str, full: int) -> int:
    """Bytes for decoding a picture of so many pixels when full, about."""
    width, height = image.size
    needed = width * height * (_IN_PILLOW.get(image.mode, 4) + _BESIDE.get(kind, 0) + _RGB)
    if kind == JPEG and image.info.get("progressive"):
        needed += 2 * full * len(image.getbands())  # all coefficients, whatever the reduction
    if kind == TIFF:
        needed += _strip_of(image)
    return needed


def _strip_of(image: Image.Image) -> int:
    """Bytes of a TIFF's packed strip, which is unpacked at once and may be the whole picture."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(_COMPRESSION, 1) == 1:
        return 0
    bits, rows = tags.get(_BITS_PER_SAMPLE, (8,)), tags.get(_ROWS_PER_STRIP, image.height)
    deep = max(bits) if isinstance(bits, tuple) else bits
    return image.width * min(int(rows), image.height) * int(deep) * int(tags.get(_SAMPLES, 1)) // 8


def _refuse_wide_planes(picture: Picture) -> None:
    """Pillow reads uncompressed 16-bit planes that are stored one after the other as if they had 8 bits."""
    if picture.kind != TIFF or len(picture.image.getbands()) == 1:
        return
    tags = picture.image.getexif()
    bits = tags.get(_BITS_PER_SAMPLE, 8)
    widest = max(bits) if isinstance(bits, tuple) else bits
    if tags.get(_PLANES) == 2 and tags.get(_COMPRESSION, 1) == 1 and widest > 8:
        raise PhotoError(
            f"{picture.where}: a TIFF of {widest} bits with its colours in separate planes is not read. "
            "Export it with 8 bits, or with interleaved colours."
        )


def _grey_range(image: Image.Image, where: str) -> tuple[float, float] | None:
    """What grey values of more than 8 bits are multiplied with and divided by; None for other pictures."""
    if image.mode in _GREY16:
        return 1, 257  # 65535 becomes 255
    if image.mode == "I":
        low, high = cast("tuple[float, float]", image.getextrema())
        if low < 0 or high > 65535:
            raise PhotoError(f"{where}: more than 16 bits per pixel. Export it with 8 or 16 bits.")
        return 1, 257 if high > 255 else 1
    if image.mode == "F":
        import numpy as np

        values = np.asarray(image)
        if not (values.min() >= 0 and values.max() <= 1):  # not so, either, with a NaN
            raise PhotoError(f"{where}: floating-point pixels outside 0 to 1. Export it with 8 or 16 bits.")
        return 255, 1
    return None


def _grey(strip: Image.Image, times: float, by: float) -> Image.Image:
    import numpy as np

    values = np.asarray(strip).astype(np.float64) * times / by
    grey: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return Image.fromarray(grey)


def _rgb(image: Image.Image, colours: Colours) -> bytes:
    """Transparent pixels become white."""
    alpha = None
    if has_transparency(image):
        rgba = image.convert("RGBA")
        alpha = rgba.getchannel("A")
        image = rgba.convert("L" if colours.takes == "L" else "RGB")
    if colours.convert is not None:
        image = colours.convert(image if image.mode == colours.takes else image.convert(colours.takes))
    if alpha is not None:
        image.putalpha(alpha)
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return (image if image.mode == "RGB" else image.convert("RGB")).tobytes()


def has_transparency(image: Image.Image) -> bool:
    """Whether some of the pixels may be transparent."""
    return "A" in image.getbands() or "transparency" in image.info
