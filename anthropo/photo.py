"""File to Photo: upright RGB pixels, decoded no finer than needed."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.errors import PhotoError

#: Photographs with more pixels than this are refused before they are decoded.
MAX_MEGAPIXELS = 200

#: What a folder is searched for.
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".webp", ".bmp", ".heic", ".heif"})

# Only these decoders are tried, whatever the file calls itself: Pillow also knows formats that run
# other programs.
_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_ORIENTATION = 0x0112
_open_lock = threading.Lock()
# what Pillow's decoders raise on damaged files
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, struct.error)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph, upright."""

    pixels: NDArray[np.uint8]  # (H, W, 3) RGB
    source: str  # path as given, or "array"
    sha256: str  # of the file, or of the pixels of an array
    full_size: tuple[int, int]  # width, height of the upright photo before any reduction, pixels
    decode_scale: int = 1  # photo pixels per decoded pixel: 1, 2, 4 or 8

    def to_full(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decoded-pixel coordinates (..., 2) as full-photo pixels; (0, 0) is a pixel's centre."""
        full: NDArray[np.float64] = (points + 0.5) * self.decode_scale - 0.5
        return full

    def to_decoded(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Full-photo coordinates (..., 2) as decoded pixels."""
        decoded: NDArray[np.float64] = (points + 0.5) / self.decode_scale - 0.5
        return decoded

    def finer(self, scale: int = 1) -> Photo:
        """The same photo decoded at `scale` photo pixels per pixel, or itself when it is that fine."""
        if self.decode_scale <= scale:
            return self
        again = read_photo(self.source, short_side=max(1, min(self.full_size) // scale), max_megapixels=None)
        return replace(again, sha256=self.sha256)

    @classmethod
    def from_array(cls, pixels: NDArray[np.uint8], source: str = "array") -> Photo:
        """A photo from upright pixels, (H, W, 3) RGB or (H, W) grey, uint8.

        Raises
        ------
        PhotoError
            If the array has another shape or type.
        """
        a = np.asarray(pixels)
        if a.dtype != np.uint8 or not (a.ndim == 2 or (a.ndim == 3 and a.shape[2] == 3)) or a.size == 0:
            raise PhotoError(
                f"{source}: a photo must be a uint8 array of shape (H, W, 3) or (H, W), "
                f"not {a.dtype} of shape {a.shape}."
            )
        if a.ndim == 2:
            a = np.repeat(a[:, :, None], 3, axis=2)
        a = np.ascontiguousarray(a)
        return cls(a, source, hashlib.sha256(a.tobytes()).hexdigest(), (a.shape[1], a.shape[0]))


def read_photo(
    path: str | os.PathLike[str],
    *,
    short_side: int | None = None,
    max_megapixels: float | None = MAX_MEGAPIXELS,
) -> Photo:
    """Read a photograph file.

    Parameters
    ----------
    path : path
        JPEG, PNG, TIFF, WebP, BMP or HEIC; 8 or 16 bits; grey, palette, RGB(A) or CMYK. The EXIF
        orientation is applied; no other EXIF field is kept. Transparent pixels become white.
    short_side : int, optional
        The shorter side may be reduced down to this many pixels, which a JPEG's decoder does
        almost for free (factors 2, 4 and 8). Left out: full size.
    max_megapixels : float or None
        Refuse larger photographs before decoding them; None: no limit.

    Returns
    -------
    Photo

    Raises
    ------
    PhotoError
        If there is no such file, it is no photograph, is damaged, or is too large.

    Examples
    --------
    >>> photo = read_photo("portrait.jpg")  # doctest: +SKIP
    >>> photo.pixels.shape  # doctest: +SKIP
    (4434, 3162, 3)
    """
    where = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise PhotoError(f"{where}: no such file.") from None
    except IsADirectoryError:
        raise PhotoError(f"{where}: a folder, not a photograph.") from None
    except OSError as error:
        raise PhotoError(f"{where}: cannot be read ({error.strerror}).") from None
    if not data:
        raise PhotoError(f"{where}: the file is empty (0 bytes).")

    image = _open(data, where)
    width, height = image.size
    if max_megapixels is not None and width * height > max_megapixels * 1e6:
        raise PhotoError(
            f"{where}: {width} × {height} pixels are {width * height / 1e6:.0f} MP, more than the limit of "
            f"{max_megapixels:g} MP. Reduce the photo, or raise the limit with --max-megapixels."
        )
    if short_side is not None and image.format in ("JPEG", "MPO"):
        for factor in (8, 4, 2):
            if min(width, height) // factor >= short_side:
                image.draft(None, (width // factor, height // factor))
                break
    try:
        image.load()
        # read after load: some of Pillow's decoders turn the pixels themselves and drop the tag
        orientation = image.getexif().get(_ORIENTATION, 1)
        pixels = _rgb(image, where)
    except PhotoError:
        raise
    except MemoryError:
        raise PhotoError(f"{where}: not enough memory for {width} × {height} pixels.") from None
    except _DECODER_ERRORS as error:
        reason = "the file ends too early" if "truncated" in str(error) else "the picture data is damaged"
        raise PhotoError(f"{where}: {reason}. Copy or export the photo again.") from None
    decoded = image.size
    scale = max(1, round(max(width, height) / max(decoded)))
    if decoded in ((width, height), (height, width)):
        scale = 1
    pixels = _upright(pixels, orientation)
    turned = (pixels.shape[0] > pixels.shape[1]) != (height > width) and width != height
    full = (height, width) if turned else (width, height)
    return Photo(pixels, where, hashlib.sha256(data).hexdigest(), full, scale)


def _open(data: bytes, where: str) -> Image.Image:
    formats: tuple[str, ...] = _FORMATS
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        import pi_heif

        pi_heif.register_heif_opener()
        formats = (*_FORMATS, "HEIF")
    try:
        with _open_lock:
            # Pillow's own limit is lower than ours and shared by the whole process
            theirs, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                return Image.open(io.BytesIO(data), formats=formats)
            finally:
                Image.MAX_IMAGE_PIXELS = theirs
    except _DECODER_ERRORS:
        raise PhotoError(
            f"{where}: not a photograph that can be read; JPEG, PNG, TIFF, WebP, BMP and HEIC can."
        ) from None


def _rgb(image: Image.Image, where: str) -> NDArray[np.uint8]:
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        values = np.asarray(image).astype(np.float64)
        if image.mode == "F":
            if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
                raise PhotoError(
                    f"{where}: floating-point pixels outside 0 to 1. Export it with 8 or 16 bits."
                )
            values *= 255
        elif image.mode != "I" or values.max() > 255:
            values /= 257  # 65535 becomes 255
        grey = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(white, rgba)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo the eight EXIF orientations (EXIF 2.3, tag 274)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
