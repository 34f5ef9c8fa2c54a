"""File to upright RGB pixels: plain JPEG and PNG here, everything else in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anthropo.decoding.exif import Optics
from anthropo.decoding.kinds import HEIC, TIFF, is_quick, kind_of
from anthropo.decoding.limits import ExcessError, Limits
from anthropo.decoding.picture import Picture, open_picture
from anthropo.errors import PhotoError, parameter
from anthropo.licensing import require_permitted
from anthropo.memory import memory

if TYPE_CHECKING:
    from anthropo.decoding.pool import Worker

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A decoded picture.

    Attributes
    ----------
    pixels : ndarray of uint8
        Shape (height, width, 3), RGB, upright.
    stored : (int, int)
        Width and height before turning, as decoded.
    full : (int, int)
        The same before any reduction.
    orientation : int
        The EXIF orientation that was undone.
    seconds : float
        Time of computing in another process.
    remark : str
        A sentence, where the colours are not quite what the file means; else empty.
    doubt : str
        Why the colours cannot be measured; empty when they can.
    optics : Optics
        What EXIF says of the lens.
    """

    pixels: Pixels
    stored: tuple[int, int]
    full: tuple[int, int]
    orientation: int
    seconds: float
    remark: str
    doubt: str
    optics: Optics


def decode(
    data: bytes,
    where: str,
    *,
    digest: Callable[[], str],
    short_side: int | None = None,
    limits: Limits,
    spent: float = 0.0,
) -> Decoded:
    """Decode a file no finer than needed.

    Parameters
    ----------
    data : bytes
        The file.
    where : str
        What it is called in messages.
    digest : callable
        Its SHA-256, hexadecimal.
    short_side : int, optional
        The shorter side may be reduced down to this many pixels.
    limits : Limits
    spent : float
        Seconds of computing that earlier decodes of the same photo took.

    Returns
    -------
    Decoded

    Raises
    ------
    PhotoError
        If it is no photograph, is damaged, or costs more than it may.

    Examples
    --------
    >>> import hashlib
    >>> from pathlib import Path
    >>> import anthropo
    >>> from anthropo.decoding import Limits, decode
    >>> data = Path(anthropo.example_photo()).read_bytes()
    >>> decode(data, "a.png", digest=hashlib.sha256(data).hexdigest, limits=Limits()).pixels.shape
    (512, 512, 3)
    """
    kind = kind_of(data, where)
    if kind == HEIC:
        require_permitted("heic", PhotoError, where)
    if kind == TIFF:
        from anthropo.decoding.tiff import refuse_raw_and_several

        refuse_raw_and_several(data, where)
    if not is_quick(data, kind, where):
        return _elsewhere(data, kind, where, digest, short_side, limits, spent)
    try:
        picture = open_picture(data, kind, where, short_side=short_side, limits=limits)
        with memory.taken(picture.needed, keep=picture.kept):
            picture.load()
            return _here(picture)
    except ExcessError as error:
        raise error.refusal(where, limits) from None
    except MemoryError:
        raise PhotoError(f"{where}: not enough memory to decode it. Use fewer {parameter('jobs')}.") from None


def _here(picture: Picture) -> Decoded:
    image = picture.image
    if picture.is_plain:
        pixels = _upright(np.asarray(image), picture.orientation)
    else:
        pixels = _assembled(picture.rows(), image.size, picture.orientation)
    remark, doubt = picture.colours.remark, picture.colours.doubt
    return Decoded(pixels, image.size, picture.full, picture.orientation, 0.0, remark, doubt, picture.optics)


def _assembled(rows: Iterable[bytes], size: tuple[int, int], orientation: int) -> Pixels:
    """Upright pixels from strips of the stored picture."""
    pixels, stored = _room(size, orientation)
    top = 0
    for strip in rows:
        part = np.frombuffer(strip, np.uint8).reshape(-1, size[0], 3)
        stored[top : top + len(part)] = part
        top += len(part)
    return pixels


def _room(size: tuple[int, int], orientation: int) -> tuple[Pixels, Pixels]:
    """Memory for upright pixels, and the same as it is filled with the stored ones."""
    width, height = size
    pixels = np.empty((width, height, 3) if orientation in (5, 6, 7, 8) else (height, width, 3), np.uint8)
    stored = pixels
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    return pixels, stored.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else stored


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo the eight EXIF orientations (EXIF 2.3, tag 274)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


# ------------------------------------------------------------------------------ in another process


def _elsewhere(
    data: bytes,
    kind: str,
    where: str,
    digest: Callable[[], str],
    short_side: int | None,
    limits: Limits,
    spent: float,
) -> Decoded:
    # only where it is needed: plain photos start no process
    from anthropo.decoding.guarded import checked, guarded
    from anthropo.decoding.undecodable import key_of

    left = limits
    if limits.deadline is not None:
        left = replace(limits, deadline=max(0.0, limits.deadline - spent))
    request = {
        "bytes": len(data),
        "kind": kind,
        "where": where,
        "short_side": short_side,
        "max_megapixels": limits.max_megapixels,
        "deadline": left.deadline,
    }

    def work(one: Worker) -> Decoded:
        one.ask(request, data)
        costs = checked(one.answer(left), where, limits)
        with memory.taken(costs["needed"], keep=costs["kept"]):
            one.go()
            answer = checked(one.answer(left), where, limits)
            size = tuple(answer["size"])
            pixels = _received(one, size, answer["orientation"], left)
        full, turned = tuple(answer["full"]), answer["orientation"]
        optics, colours = Optics(*answer["optics"]), (answer["remark"], answer["doubt"])
        return Decoded(pixels, size, full, turned, answer["seconds"], *colours, optics)

    return guarded(work, where, kind, key_of(digest()), limits)


def _received(one: Worker, size: tuple[int, int], orientation: int, limits: Limits) -> Pixels:
    """Upright pixels that a process sends as they are stored."""
    pixels, stored = _room(size, orientation)
    if stored.flags.c_contiguous:
        one.fill(stored.data.cast("B"), limits)
        return pixels
    step = max(1, (1 << 20) // size[0])
    strip = np.empty((step, size[0], 3), np.uint8)
    for top in range(0, size[1], step):
        part = strip[: min(step, size[1] - top)]
        one.fill(part.data.cast("B"), limits)
        stored[top : top + step] = part
    return pixels
