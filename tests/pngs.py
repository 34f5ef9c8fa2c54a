"""PNG files that are put together by their chunks."""

from __future__ import annotations

import struct
import zlib


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and sum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_file(header: tuple[int, ...], rows: bytes, *more: bytes, level: int = 9) -> bytes:
    """A file of a header's seven numbers, rows with their filters, and other chunks before these."""
    chunks = (png_chunk(b"IHDR", struct.pack(">IIBBBBB", *header)), *more)
    chunks += (png_chunk(b"IDAT", zlib.compress(rows, level)), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
