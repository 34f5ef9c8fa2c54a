"""Messages between processes: bytes, each with its length before it, through a socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator

_HEAD = 8  # bytes of a length
_PIECE = 1 << 18  # bytes that are taken at once of what has arrived


class Link:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._part = bytearray()  # of a message that has not arrived whole

    def fileno(self) -> int:
        """For who waits for several links."""
        return self.socket.fileno()

    def send(self, data: bytes) -> None:
        """Send a message; an OSError where the other end is gone."""
        head = len(data).to_bytes(_HEAD, "little")
        if len(data) < 1 << 16:
            self.socket.sendall(head + data)
        else:
            self.socket.sendall(head)
            self.socket.sendall(data)

    def receive(self) -> bytes | bytearray | None:
        """The next message; None where the other end is gone."""
        head = self._read(_HEAD)
        return None if head is None else self._read(int.from_bytes(head, "little"))

    def arrived(self) -> Iterator[bytes | None]:
        """The messages that are here by now, and None where the other end is gone.

        For a link of which something can be read: one message that comes in pieces keeps nobody waiting.
        """
        try:
            piece = self.socket.recv(_PIECE)
        except ConnectionError:
            piece = b""
        self._part += piece
        while len(self._part) >= _HEAD:
            end = _HEAD + int.from_bytes(self._part[:_HEAD], "little")
            if len(self._part) < end:
                break
            message = bytes(memoryview(self._part)[_HEAD:end])
            del self._part[:end]
            yield message
        if not piece:
            yield None

    def _read(self, size: int) -> bytearray | None:
        data = bytearray(size)
        view, at = memoryview(data), 0
        while at < size:
            try:
                got = self.socket.recv_into(view[at:])
            except ConnectionError:
                return None
            if not got:
                return None
            at += got
        return data

    def close(self) -> None:
        """Let the other end know that this one is gone."""
        self.socket.close()
