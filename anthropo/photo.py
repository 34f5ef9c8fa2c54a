"""File to Photo: upright RGB pixels, decoded no finer than needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anthropo.decoding.decoder import decode
from anthropo.decoding.exif import Optics
from anthropo.decoding.limits import DEADLINE, MAX_MEGAPIXELS, Limits
from anthropo.decoding.provenance import synthetic_source
from anthropo.errors import PhotoError
from anthropo.files import GIB, IrregularError, read_regular
from anthropo.quiet import never_warned_by
from anthropo.showing import brief, html

never_warned_by("PIL")  # of odd EXIF entries, which nothing is read from but orientation and lens

_MOST_BYTES = GIB  # of a file
#: What a folder is searched for.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".heic", ".heif", ".avif"}
)

#: Shares of R, G and B in luma, ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)


@dataclass(slots=True, eq=False)
class _Kept:
    """What is computed of a file once, for all the decodes of it that are in use."""

    sha256: str = ""
    limits: Limits = field(default_factory=Limits)
    seconds: float = 0.0  # that other processes have computed for its decodes
    decodes: dict[int, Photo] = field(default_factory=dict)  # by scale


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph, upright.

    Attributes
    ----------
    pixels : ndarray of uint8
        Shape (height, width, 3), RGB.
    source : str
        Path as given, or "array".
    full_size : (int, int)
        Width and height of the upright photo before any reduction, px.
    decode_scale : int
        Photo pixels per decoded pixel: 1, 2, 4 or 8.
    data : bytes or None
        The contents of the file, for a finer decode; None: an array was given.
    remark : str
        A sentence, where the colours are not quite what the file means; else empty.
    colour_doubt : str
        Why the colours cannot be measured; empty when they can.
    optics : Optics
        What EXIF says of the lens.

    Examples
    --------
    >>> import numpy as np
    >>> import anthropo
    >>> photo = anthropo.Photo.from_array(np.zeros((30, 40), dtype=np.uint8))
    >>> photo.pixels.shape, photo.full_size, photo.finer() is photo
    ((30, 40, 3), (40, 30), True)
    """

    pixels: NDArray[np.uint8]
    source: str
    full_size: tuple[int, int]
    decode_scale: int = 1
    data: bytes | None = field(default=None, repr=False)
    remark: str = ""
    colour_doubt: str = ""
    optics: Optics = Optics()  # noqa: RUF009 (frozen)
    _kept: _Kept = field(default_factory=_Kept, repr=False, compare=False)

    def _repr_html_(self) -> str:
        return html(self, "photo")

    def __repr__(self) -> str:
        return brief(
            self,
            f"{self.full_size[0]} × {self.full_size[1]} px",
            f"read at 1/{self.decode_scale}" if self.decode_scale > 1 else "",
            f"sha256 {self.sha256[:8]}",
        )

    @property
    def sha256(self) -> str:
        """Hash of the file, or of an array's pixels; computed when first asked for."""
        if not self._kept.sha256:
            content = self.pixels.tobytes() if self.data is None else self.data
            self._kept.sha256 = hashlib.sha256(content).hexdigest()
        return self._kept.sha256

    @property
    def synthetic(self) -> str:
        """The kind of synthetic picture that the file says it is ("trainedAlgorithmicMedia"); else empty."""
        return "" if self.data is None else synthetic_source(self.data)

    def to_full(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decoded-pixel coordinates (..., 2) as full-photo pixels; (0, 0) is a pixel's centre.

        Parameters
        ----------
        points : (..., 2) array

        Returns
        -------
        (..., 2) array
        """
        return np.asarray((points + 0.5) * self.decode_scale - 0.5)

    def to_decoded(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Full-photo coordinates (..., 2) as decoded pixels.

        Parameters
        ----------
        points : (..., 2) array

        Returns
        -------
        (..., 2) array
        """
        return np.asarray((points + 0.5) / self.decode_scale - 0.5)

    def finer(self, scale: int = 1) -> Photo:
        """The same photo decoded at `scale` photo pixels per pixel, or itself when it is that fine.

        A decode is made once, and kept as long as one of the photo's decodes is in use.

        Parameters
        ----------
        scale : int
            A power of two; 1 is the photo at its full size.

        Returns
        -------
        Photo

        Raises
        ------
        PhotoError
            If decoding it takes longer, or more memory, than it may.
        """
        if self.decode_scale <= scale:
            return self
        assert self.data is not None  # an array is as fine as it gets
        if scale not in self._kept.decodes:
            short_side = max(1, min(self.full_size) // scale)
            self._kept.decodes[scale] = _decode(self.data, self.source, short_side, self._kept)
        return replace(self._kept.decodes[scale], _kept=self._kept)

    @classmethod
    def from_array(cls, pixels: NDArray[np.uint8], source: str = "array") -> Photo:
        """A photo from upright pixels, (H, W, 3) RGB or (H, W) grey, uint8.

        Parameters
        ----------
        pixels : uint8 array
        source : str
            What messages call it.

        Returns
        -------
        Photo

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
    deadline: float | None = DEADLINE,
) -> Photo:
    """Read a photograph file.

    Parameters
    ----------
    path : path
        JPEG, PNG, TIFF, WebP, BMP, HEIC or AVIF; 8 or 16 bits; grey, palette, RGB(A) or CMYK. The EXIF
        orientation is applied; of other EXIF fields only what it says of the lens is read. Colours are
        brought to sRGB from what the file says of them (an ICC profile, PNG's cICP, gAMA and cHRM, HEIC's and
        AVIF's nclx); transparent pixels become white.
    short_side : int, optional
        The shorter side may be reduced down to this many pixels, which a JPEG's decoder does
        almost for free (factors 2, 4 and 8). Left out: full size.
    max_megapixels : float or None
        Refuse larger photos before decoding them; None: no limit. Decoding may take 2 GiB of memory, and
        more in proportion with a limit above 200.
    deadline : float or None
        Seconds of computing that decoding may take; None: no limit.

    Returns
    -------
    Photo

    Raises
    ------
    PhotoError
        If there is no such file, it is no photograph, is damaged, costs more than it may, or crashes its
        decoder, which is remembered in anthropo's cache folder.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.read_photo(anthropo.example_photo()).pixels.shape
    (512, 512, 3)
    """
    where = os.fspath(path)
    with opening(where, "a photo"):
        data = read_regular(path, most=_MOST_BYTES)
    if not data:
        raise PhotoError(f"{where}: the file is empty (0 bytes).")
    kept = _Kept(limits=Limits(max_megapixels, deadline))
    return replace(_decode(data, where, short_side, kept), _kept=kept)


@contextmanager
def opening(path: str, what: str) -> Iterator[None]:
    """Around the opening of a file: what goes wrong is a PhotoError."""
    try:
        yield
    except (FileNotFoundError, ValueError):  # ValueError: a NUL character in the name
        raise PhotoError(f"{os.fspath(path) or 'An empty name'}: no such file.") from None
    except IsADirectoryError:
        raise PhotoError(f"{path}: a folder, not {what}.") from None
    except IrregularError as error:
        raise PhotoError(f"{path}: {error.strerror}.") from None
    except OSError as error:
        raise PhotoError(f"{path}: cannot be read ({error.strerror}).") from None


def _decode(data: bytes, where: str, short_side: int | None, kept: _Kept) -> Photo:
    def digest() -> str:
        kept.sha256 = kept.sha256 or hashlib.sha256(data).hexdigest()
        return kept.sha256

    decoded = decode(
        data, where, digest=digest, short_side=short_side, limits=kept.limits, spent=kept.seconds
    )
    kept.seconds += decoded.seconds
    width, height = decoded.full
    # a decoder rounds up
    scale = next((s for s in (1, 2, 4, 8) if decoded.stored == (-(-width // s), -(-height // s))), 1)
    if scale == 1:
        full = (decoded.pixels.shape[1], decoded.pixels.shape[0])
    else:  # a reduced JPEG: its reduced shape may be square where the photo is not
        full = (height, width) if decoded.orientation in (5, 6, 7, 8) else (width, height)
    remark, doubt = decoded.remark, decoded.doubt
    return Photo(decoded.pixels, where, full, scale, data, remark, doubt, decoded.optics)
