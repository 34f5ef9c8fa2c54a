"""Messages between processes: bytes, each with its length before it, through a socket."""

from __future__ import annotations

import socket

_HEAD = 8  # bytes of a length


class Link:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

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
