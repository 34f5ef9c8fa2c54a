"""File to Photo: upright RGB pixels, decoded no finer than needed."""

from __future__ import annotations

import hashlib
import io
import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.errors import PhotoError, parameter
from anthropo.files import GIB, IrregularError, read_regular

#: Photographs with more pixels than this are refused before they are decoded.
MAX_MEGAPIXELS = 200

_MOST_BYTES = GIB  # of a file
#: What a folder is searched for.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".heic", ".heif"}
)

#: Shares of R, G and B in luma, ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)

# Only these decoders are tried, whatever the file calls itself: Pillow also knows formats that run
# other programs.
_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
)
_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 0x0102
_COMPRESSION = 0x0103
_PLANES = 0x011C
_open_lock = threading.Lock()
# what Pillow's decoders raise on damaged files
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, struct.error)


@dataclass(slots=True, eq=False)
class _Kept:
    """What is computed of a file once, for all the decodes of it that are in use."""

    sha256: str = ""
    decodes: dict[int, Photo] = field(default_factory=dict)  # by scale


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph, upright.

    Examples
    --------
    >>> import numpy as np
    >>> import anthropo
    >>> photo = anthropo.Photo.from_array(np.zeros((30, 40), dtype=np.uint8))
    >>> photo.pixels.shape, photo.full_size, photo.finer() is photo
    ((30, 40, 3), (40, 30), True)
    """

    pixels: NDArray[np.uint8]  # (H, W, 3) RGB
    source: str  # path as given, or "array"
    full_size: tuple[int, int]  # width, height of the upright photo before any reduction, pixels
    decode_scale: int = 1  # photo pixels per decoded pixel: 1, 2, 4 or 8
    data: bytes | None = field(default=None, repr=False)  # the file, for a finer decode; None: an array
    colour_doubt: str = ""  # why its colours cannot be measured
    _kept: _Kept = field(default_factory=_Kept, repr=False, compare=False)

    @property
    def sha256(self) -> str:
        """Hash of the file, or of an array's pixels; computed when first asked for."""
        if not self._kept.sha256:
            content = self.pixels.tobytes() if self.data is None else self.data
            self._kept.sha256 = hashlib.sha256(content).hexdigest()
        return self._kept.sha256

    def to_full(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decoded-pixel coordinates (..., 2) as full-photo pixels; (0, 0) is a pixel's centre."""
        return np.asarray((points + 0.5) * self.decode_scale - 0.5)

    def to_decoded(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Full-photo coordinates (..., 2) as decoded pixels."""
        return np.asarray((points + 0.5) / self.decode_scale - 0.5)

    def finer(self, scale: int = 1) -> Photo:
        """The same photo decoded at `scale` photo pixels per pixel, or itself when it is that fine.

        A decode is made once, and kept as long as one of the photo's decodes is in use.
        """
        if self.decode_scale <= scale:
            return self
        assert self.data is not None  # an array is as fine as it gets
        if scale not in self._kept.decodes:
            short_side = max(1, min(self.full_size) // scale)
            self._kept.decodes[scale] = _decode(self.data, self.source, short_side, None)
        return replace(self._kept.decodes[scale], _kept=self._kept)

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
        return cls(a, source, (a.shape[1], a.shape[0]))


def example_photo() -> str:
    """Path of a portrait that is on every machine where anthropo is installed.

    Returns
    -------
    str
        scikit-image's astronaut: Eileen Collins, NASA, public domain; 512 × 512 pixels, PNG.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.read_photo(anthropo.example_photo()).full_size
    (512, 512)
    """
    package = find_spec("skimage")  # without importing it, which takes long
    assert package is not None
    assert package.origin is not None
    return str(Path(package.origin).parent / "data" / "astronaut.png")


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
    >>> import anthropo
    >>> anthropo.read_photo(anthropo.example_photo()).pixels.shape
    (512, 512, 3)
    """
    where = os.fspath(path)
    with opening(where, "a photograph"):
        data = read_regular(path, most=_MOST_BYTES)
    if not data:
        raise PhotoError(f"{where}: the file is empty (0 bytes).")
    return _decode(data, where, short_side, max_megapixels)


@contextmanager
def opening(path: str, what: str) -> Iterator[None]:
    """Around the opening of a file: what goes wrong is a PhotoError."""
    try:
        yield
    except (FileNotFoundError, ValueError):  # ValueError: a NUL character in the name
        raise PhotoError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise PhotoError(f"{path}: a folder, not {what}.") from None
    except IrregularError as error:
        raise PhotoError(f"{path}: {error.strerror}.") from None
    except OSError as error:
        raise PhotoError(f"{path}: cannot be read ({error.strerror}).") from None


def _decode(data: bytes, where: str, short_side: int | None, max_megapixels: float | None) -> Photo:
    image = _open(data, where)
    width, height = image.size
    if max_megapixels is not None and width * height > max_megapixels * 1e6:
        raise PhotoError(
            f"{where}: {width} × {height} pixels are {width * height / 1e6:.0f} MP, more than the limit of "
            f"{max_megapixels:g} MP. Reduce the photo, or raise the limit with {parameter('max_megapixels')}."
        )
    if short_side is not None and image.format in ("JPEG", "MPO"):
        factor = next((f for f in (8, 4, 2) if min(width, height) // f >= short_side), 1)
        if factor == 8 and image.info.get("progressive"):
            image = _open(_without_luma_detail(data), where)
        if factor > 1:
            image.draft(None, (width // factor, height // factor))
    try:
        _refuse_wide_planes(image, where)
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
    # a decoder rounds up
    scale = next((s for s in (1, 2, 4, 8) if image.size == (-(-width // s), -(-height // s))), 1)
    pixels = _upright(pixels, orientation)
    if scale == 1:
        full = (pixels.shape[1], pixels.shape[0])
    else:  # a reduced JPEG: its reduced shape may be square where the photo is not
        full = (height, width) if orientation in (5, 6, 7, 8) else (width, height)
    return Photo(pixels, where, full, scale, data)


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
        kind = _kind(data)
        if kind:
            raise PhotoError(
                f"{where}: begins like a {kind} file, but is damaged or of a rare kind. "
                "Copy the photo again, or export it as JPEG or 8-bit PNG."
            ) from None
        raise PhotoError(
            f"{where}: not a photograph that can be read; JPEG, PNG, TIFF, WebP, BMP and HEIC can."
        ) from None


def _kind(data: bytes) -> str | None:
    """What the first bytes say that the file is."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "HEIC"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)


def _refuse_wide_planes(image: Image.Image, where: str) -> None:
    """Pillow reads uncompressed 16-bit planes that are stored one after the other as if they had 8 bits."""
    if image.format != "TIFF" or len(image.getbands()) == 1:
        return
    tags = image.getexif()
    bits = tags.get(_BITS_PER_SAMPLE, 8)
    widest = max(bits) if isinstance(bits, tuple) else bits
    if tags.get(_PLANES) == 2 and tags.get(_COMPRESSION, 1) == 1 and widest > 8:
        raise PhotoError(
            f"{where}: a TIFF of {widest} bits with its colours in separate planes is not read. "
            "Export it with 8 bits, or with interleaved colours."
        )


_RUN = 1 << 14  # blocks, the shortest run that the symbol 0xE0 codes for
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not a stuffed byte, not a restart


def _without_luma_detail(data: bytes) -> bytes:
    """A progressive JPEG without the scans that a decode at one eighth of the size does not use.

    Such a decode takes nothing but the mean of each 8 × 8 block from the components that are not
    subsampled, yet a decoder first reads all their scans, which takes most of its time. Here they
    are replaced by one scan each that says "all zero": the pixels stay the same. A file of another
    structure comes back as it is.
    """
    full: dict[int, int] = {}  # component that is not subsampled -> its blocks
    dropped: set[int] = set()
    kept = [data[:2]]
    at = 2
    try:
        while data[at : at + 2] != b"\xff\xd9":
            code, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
            if data[at] != 0xFF or size < 2:
                return data
            end = at + 2 + size
            if code == 0xC2:  # the frame: size in pixels, then id, sampling and table per component
                height, width = struct.unpack(">HH", data[at + 5 : at + 9])
                parts = [data[i : i + 2] for i in range(at + 10, at + 10 + 3 * data[at + 9], 3)]
                finest = max(p[1] for p in parts)
                full = {p[0]: -(-height // 8) * -(-width // 8) for p in parts if p[1] == finest}
            keep = True
            if code == 0xDA:  # a scan: components and tables, first and last coefficient, bits; then data
                count, component = data[at + 4], data[at + 5]
                if data[at + 5 + 2 * count] > 0 and component in full:
                    keep = False
                    dropped.add(component)
                marker = _MARKER.search(data, end)
                if marker is None:  # cut off: the decoder shall find out
                    return data
                end = marker.start()
            if keep:
                kept.append(data[at:end])
            at = end
    except (IndexError, struct.error):
        return data
    if any(full[component] < _RUN for component in dropped):
        return data
    # no restarts; table 0: the code "0" starts a run of blocks that end at once
    kept.append(b"\xff\xdd\x00\x04\x00\x00\xff\xc4\x00\x14\x10\x01" + bytes(15) + b"\xe0")
    for component in sorted(dropped):
        runs = -(-full[component] // (2 * _RUN - 1))
        bits = "".join(f"0{(full[component] + i) // runs - _RUN:014b}" for i in range(runs))
        bits += "1" * (-len(bits) % 8)
        coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
        kept.append(b"\xff\xda\x00\x08\x01" + bytes([component]) + b"\x00\x01\x3f\x00" + coded)
    return b"".join(kept) + b"\xff\xd9"


def _rgb(image: Image.Image, where: str) -> NDArray[np.uint8]:
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        values = np.asarray(image).astype(np.float64)
        if image.mode == "F":
            if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
                raise PhotoError(
                    f"{where}: floating-point pixels outside 0 to 1. Export it with 8 or 16 bits."
                )
            values *= 255
        elif image.mode == "I" and (values.min() < 0 or values.max() > 65535):
            raise PhotoError(f"{where}: more than 16 bits per pixel. Export it with 8 or 16 bits.")
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
