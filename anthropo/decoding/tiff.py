"""The pictures in a TIFF file, by its tags: camera raw, previews and further pages."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from anthropo.decoding.kinds import camera_raw
from anthropo.errors import PhotoError

_SUBFILE, _WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _SUB_IFDS = 254, 256, 257, 259, 262, 330
_DNG = 50706
_WANTED = frozenset((_SUBFILE, _WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _SUB_IFDS, _DNG))
_SIZES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}  # of whole numbers, bytes by type
_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_REDUCED, _MASK = 1, 4  # bits of the tag NewSubfileType
_SENSOR = frozenset((32803, 34892))  # colour filter array, and linear raw
# Nikon, Sony, Pentax, Kodak, Samsung and packed raw
_SENSOR_COMPRESSION = frozenset((34713, 32767, 65535, 65000, 32867, 32769, 32770, 34892))
_MOST = 64  # pictures that are looked at
_THUMBNAIL = 0.25  # a further picture with fewer of the first one's pixels is one


@dataclass(frozen=True, slots=True)
class _Page:
    """One picture of the file, as its directory describes it."""

    tags: dict[int, tuple[int, ...]]

    def get(self, tag: int, missing: int = 0) -> int:
        return self.tags[tag][0] if self.tags.get(tag) else missing

    @property
    def pixels(self) -> int:
        return self.get(_WIDTH) * self.get(_HEIGHT)

    @property
    def raw(self) -> bool:
        return (
            self.get(_PHOTOMETRIC) in _SENSOR
            or self.get(_COMPRESSION) in _SENSOR_COMPRESSION
            or _DNG in self.tags
        )

    def __str__(self) -> str:
        return f"{self.get(_WIDTH)} × {self.get(_HEIGHT)}"


def refuse_raw_and_several(data: bytes, where: str) -> None:
    """Raise a PhotoError for camera raw, for a preview before the picture, and for several pictures."""
    pages = list(_pages(data))
    if any(page.raw for page in pages):
        raise camera_raw(where, "DNG" if _DNG in pages[0].tags else "of a TIFF kind, such as NEF or ARW")
    pages = [page for page in pages if page.pixels and not page.get(_SUBFILE) & _MASK]
    if len(pages) < 2:
        return
    first, *others = pages
    largest = max(others, key=lambda page: page.pixels)
    if largest.pixels > first.pixels:
        raise PhotoError(
            f"{where}: its first picture ({first}) may be the preview of a larger one ({largest}). Export "
            "the photo as JPEG, or as a TIFF of one picture."
        )
    alike = [
        page
        for page in others
        if page.pixels > _THUMBNAIL * first.pixels and not page.get(_SUBFILE) & _REDUCED
    ]
    if alike:
        raise PhotoError(
            f"{where}: a TIFF of {1 + len(alike)} pictures. Save the one that is meant in a file of its own."
        )


def _pages(data: bytes) -> Iterator[_Page]:
    """The pictures, the first one first; a damaged file has fewer."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    first = _number(data, 8, 8, order) if big else _number(data, 4, 4, order)
    ahead, seen = [first], {0}
    while ahead and len(seen) < _MOST:
        at = ahead.pop(0)
        if at in seen:
            continue
        seen.add(at)
        tags, following = _directory(data, at, order, big)
        yield _Page(tags)
        ahead += [following, *tags.get(_SUB_IFDS, ())[:_MOST]]


def _directory(data: bytes, at: int, order: str, big: bool) -> tuple[dict[int, tuple[int, ...]], int]:
    """The wanted tags of one picture, and where the next picture is described."""
    head, size, word = (8, 20, 8) if big else (2, 12, 4)
    count = min(_number(data, at, head, order), 0xFFFF)
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(at + head, at + head + count * size, size):
        tag, kind = _number(data, entry, 2, order), _number(data, entry + 2, 2, order)
        if tag not in _WANTED or kind not in _SIZES:
            continue
        width = _SIZES[kind]
        number = min(_number(data, entry + 4, word, order), _MOST)
        place = entry + 4 + word
        if number * width > word:
            place = _number(data, place, word, order)
        tags[tag] = tuple(_number(data, place + i * width, width, order) for i in range(number))
    return tags, _number(data, at + head + count * size, word, order)


def _number(data: bytes, at: int, width: int, order: str) -> int:
    """An unsigned number of the file; 0 beyond its end."""
    if at + width > len(data):
        return 0
    return int(struct.unpack_from(order + _FORMATS[width], data, at)[0])
