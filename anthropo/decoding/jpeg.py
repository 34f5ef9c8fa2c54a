"""The structure of JPEG files, read before anything is decoded."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from anthropo.errors import PhotoError

_MOST_SCANS = 200  # programs write about ten, by hand-made scripts some dozens
_FEW_SCANS = 24  # up to this number they are only counted roughly
_MOST_SEGMENTS = 10_000
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NO_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
_RUN = 1 << 14  # blocks, the shortest run that the symbol 0xE0 codes for
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not a stuffed byte, not a restart


class Frame(NamedTuple):
    """What a JPEG file says of its picture."""

    kind: int  # second byte of the frame's marker: 0xC0 to 0xC2 are the usual kinds
    bits: int
    width: int
    height: int
    components: int
    scans: int  # that a decoder reads; at most a few are counted too many

    @property
    def common(self) -> bool:
        """Whether it is of the kinds that cameras and programs write: 8 bits, grey or colour."""
        return self.kind <= 0xC2 and self.bits == 8 and self.components in (1, 3) and self.height > 0

    @property
    def progressive(self) -> bool:
        """Whether the scans refine the whole picture one after the other."""
        return self.kind in (0xC2, 0xCA)


def read_frame(data: bytes, where: str) -> Frame | None:
    """The picture's frame; None where the header is damaged or odd. PhotoError for endless scans."""
    frame: Frame | None = None
    at, exif = 2, 0
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            return None
        code = data[at + 1]
        if code == 0xFF or code in _NO_LENGTH:
            at += 1 if code == 0xFF else 2  # a fill byte
            continue
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        exif += code == 0xE1 and data[at + 4 : at + 8] == b"Exif"
        if size < 2 or exif > 1:
            return None
        if code in _FRAMES:
            if frame is not None or size < 8 or at + 10 > len(data):
                return None
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            frame = Frame(code, data[at + 4], width, height, data[at + 9], 1)
        elif code == 0xDA:
            if frame is None or at + 5 > len(data):
                return None
            # a sequential picture whose first scan holds all components ends with it
            if not frame.progressive and data[at + 4] == frame.components:
                return frame
            return frame._replace(scans=_scans(data, at, where))
        at += 2 + size
    return None


def _scans(data: bytes, at: int, where: str) -> int:
    """The number of scans from `at` on; those of a second picture behind the first count as long as few."""
    number = data.count(b"\xff\xda", at)
    if number <= _FEW_SCANS:
        return number
    number = 0
    for _ in range(_MOST_SEGMENTS):
        code = data[at + 1 : at + 2]
        number += code == b"\xda"
        marker = _MARKER.search(data, at + 2 + int.from_bytes(data[at + 2 : at + 4], "big"))
        if marker is None or code == b"\xd9":
            return number
        if number > _MOST_SCANS:
            break
        at = marker.start()
    raise PhotoError(
        f"{where}: a JPEG of more than {_MOST_SCANS} scans, which takes very long to decode. Save it again."
    )


def without_luma_detail(data: bytes) -> bytes:
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
