"""What a file is, by its bytes and never by its name."""

from __future__ import annotations

import struct

from anthropo.decoding.jpeg import read_frame
from anthropo.errors import PhotoError

JPEG, PNG, TIFF, BMP, WEBP, HEIC, AVIF = "JPEG", "PNG", "TIFF", "BMP", "WebP", "HEIC", "AVIF"
VIDEO = "video"
PARQUET = "Parquet"  # a table

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
# where the bytes stand, which ones, and what they tell
_MAGIC = (
    (0, b"\xff\xd8\xff", JPEG),
    (0, b"\x89PNG\r\n", PNG),
    (0, b"II*\0", TIFF),
    (0, b"MM\0*", TIFF),
    (0, b"II+\0", TIFF),
    (0, b"MM\0+", TIFF),
    (0, b"BM", BMP),
    (8, b"WEBP", WEBP),
    (4, b"ftypavif", AVIF),
    (4, b"ftypavis", AVIF),
    *((4, b"ftyp" + brand, HEIC) for brand in _HEIF_BRANDS),
)
# camera raw that is no TIFF, or is one with a mark of its own
_RAW = (
    (4, b"ftypcrx ", "Canon CR3"),
    (8, b"CR\x02", "Canon CR2"),
    (6, b"HEAPCCDR", "Canon CRW"),
    (0, b"FUJIFILMCCD-RAW", "Fujifilm RAF"),
    (0, b"IIRO", "Olympus ORF"),
    (0, b"IIRS", "Olympus ORF"),
    (0, b"MMOR", "Olympus ORF"),
    (0, b"IIU\0", "Panasonic RW2"),
    (0, b"FOVb", "Sigma X3F"),
    (0, b"\0MRM", "Minolta MRW"),
    (8, b"IIII", "Phase One IIQ"),
    (8, b"MMMM", "Phase One IIQ"),
)

# other pictures that people have, in formats that are not read
_OTHERS = (
    (0, b"GIF8", "a GIF"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 file"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL file"),
    (0, b"\xff\x0a", "a JPEG XL file"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (128, b"DICM", "a DICOM file"),
)

#: Pixels times scans that are decoded in this process: seconds, whatever the file holds.
_QUICK = 600_000_000
_MOST_CHUNKS = 100_000  # of a PNG
_LONGEST_EXIF = 1 << 16  # bytes


def kind_of(data: bytes, where: str) -> str:
    """The kind of a picture file.

    A PhotoError says that it is camera raw, or another file that cannot be read.
    """
    raw = next((name for at, magic, name in _RAW if data.startswith(magic, at)), None)
    if raw:
        raise camera_raw(where, raw)
    for at, magic, kind in _MAGIC:
        if data.startswith(magic, at) and (kind != WEBP or data.startswith(b"RIFF")):
            # of the brands that both have, those that a file is compatible with tell
            return AVIF if kind == HEIC and b"avif" in data[16 : min(data[3], 64)] else kind
    for at, magic, name in _OTHERS:
        if data.startswith(magic, at):
            raise PhotoError(f"{where}: {name}, which is not read. Export the photo as JPEG or PNG.")
    raise PhotoError(f"{where}: not a photo that can be read; JPEG, PNG, TIFF, WebP, BMP, HEIC and AVIF can.")


def camera_raw(where: str, name: str) -> PhotoError:
    """The error of a file that holds what the sensor saw, and at most a preview of the photo."""
    return PhotoError(
        f"{where}: camera raw ({name}), which needs to be developed. Export the photo as JPEG or 8-bit TIFF "
        "with the camera's program or another raw converter."
    )


def unreadable(where: str) -> PhotoError:
    """The error of a video without a frame that can be decoded."""
    return PhotoError(f"{where}: no frame of this video can be decoded. Copy or export it again.")


def is_quick(data: bytes, kind: str, where: str) -> bool:
    """Whether a file is a plain JPEG or PNG, whose decoding takes seconds at most.

    A PhotoError says that a JPEG has too many scans.
    """
    if kind == JPEG:
        frame = read_frame(data, where)
        return bool(frame and frame.common and frame.width * frame.height * frame.scans <= _QUICK)
    if kind == PNG:
        return _is_plain_png(data)
    return False


def _is_plain_png(data: bytes) -> bool:
    """Whether a PNG is no larger than usual, and what it says beside its picture is short."""
    if len(data) < 33:
        return False
    width, height = struct.unpack(">II", data[16:24])
    if width * height > _QUICK:
        return False
    at = 8
    for _ in range(_MOST_CHUNKS):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name in (b"", b"IEND"):
            return True
        if name == b"eXIf" and size > _LONGEST_EXIF:
            return False
        # Exif that is hidden in a text, which may be packed
        if name in (b"tEXt", b"zTXt", b"iTXt") and data.startswith(b"Raw profile type exif", at + 8):
            return False
        at += 12 + size
    return False
