"""The process in which foreign decoders run: it may crash, and take neither too much memory nor too long.

It reads requests from its standard input and answers on its standard output, a message each: the length of
a JSON text, the text, and what that says follows. It ends when its input does.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from dataclasses import astuple
from typing import IO, Any

from anthropo.decoding.kinds import PARQUET, VIDEO
from anthropo.decoding.limits import ExcessError, Limits
from anthropo.errors import PhotoError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

#: Exit status of a process whose memory did not suffice.
OUT_OF_MEMORY = 77
# bytes of addresses beyond the memory that is really used, such as for the decoder's threads
_SPACE = 1 << 29
ENDLESS = 1e6  # seconds, from which on a deadline is none

Message = dict[str, Any]


def send(file: IO[bytes], message: Message) -> None:
    """Write a message."""
    text = json.dumps(message).encode()
    write(file, len(text).to_bytes(4, "big") + text)


def write(file: IO[bytes], data: bytes | memoryview) -> None:
    """Write all of the bytes to a file without a buffer."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def receive(file: IO[bytes]) -> Message | None:
    """The next message; None at the end."""
    head = read(file, 4)
    text = read(file, int.from_bytes(head, "big")) if len(head) == 4 else b""
    return dict(json.loads(text)) if text else None


def read(file: IO[bytes], size: int) -> bytearray:
    """So many bytes of a file without a buffer; fewer at the end."""
    data = bytearray(size)
    return data[: fill(file, memoryview(data))]


def fill(file: Any, view: memoryview) -> int:
    """Read bytes into memory; the number of them, fewer than fit in only at the end."""
    at = 0
    while at < len(view):
        got = file.readinto(view[at:])
        if not got:
            break
        at += got
    return at


def serve(lifeline: int | None) -> None:
    """Answer requests until there are no more; called in a process of its own."""
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints is no answer
    if lifeline is not None:
        _end_with(lifeline)
    if resource is not None:  # a photo of a patient is not left behind in a core file
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (request := receive(requests)) is not None:
        try:
            _answer(request, requests, replies)
        except PhotoError as error:
            send(replies, {"refused": str(error)})
        except ExcessError as error:
            send(replies, {"excess": error.args})
        except MemoryError:
            os._exit(OUT_OF_MEMORY)


def _answer(request: Message, requests: IO[bytes], replies: IO[bytes]) -> None:
    data = bytes(read(requests, request["bytes"]))
    if request["kind"] == VIDEO:
        from anthropo.decoding.movie import deliver, survey

        (deliver if "plan" in request else survey)(request, data, replies)
        return
    if request["kind"] == PARQUET:
        from anthropo.decoding import parquet

        parquet.deliver(request, replies)
        return
    limits = Limits(request["max_megapixels"], request["deadline"])
    began = restrict(limits)
    from PIL import Image

    from anthropo.decoding.picture import open_picture

    Image.MAX_IMAGE_PIXELS = None  # there are limits of our own
    picture = open_picture(
        data, request["kind"], request["where"], short_side=request["short_side"], limits=limits
    )
    send(replies, {"needed": picture.needed, "kept": picture.kept})
    if not read(requests, 1):  # the other side waits until there is memory
        return
    picture.load()
    rows = picture.rows()
    first = next(rows)  # whatever is refused is so before the answer
    answer = {"size": picture.image.size, "full": picture.full, "orientation": picture.orientation}
    remark, doubt = picture.colours.remark, picture.colours.doubt
    answer |= {"optics": astuple(picture.optics), "remark": remark, "doubt": doubt}
    send(replies, {**answer, "seconds": time.process_time() - began})
    write(replies, first)
    for strip in rows:
        write(replies, strip)


def restrict(limits: Limits) -> float:
    """Limit this process's time and memory from now on; how long it has computed so far, seconds."""
    now = time.process_time()
    if resource is not None:
        if limits.deadline is not None and limits.deadline < ENDLESS:
            _limit(resource.RLIMIT_CPU, int(now + limits.deadline) + 1)
        else:
            _limit(resource.RLIMIT_CPU, resource.RLIM_INFINITY)
        with contextlib.suppress(OSError):  # elsewhere than on Linux
            with open("/proc/self/statm") as file:
                in_use = int(file.read().split()[0]) * resource.getpagesize()
            most = resource.RLIM_INFINITY if limits.memory is None else in_use + limits.memory + _SPACE
            _limit(resource.RLIMIT_AS, most)
    return now


def _limit(kind: int, value: int) -> None:
    """Set a limit, as far as the one that the process was started with allows."""
    highest = resource.getrlimit(kind)[1]
    if highest != resource.RLIM_INFINITY:
        value = highest if value == resource.RLIM_INFINITY else min(value, highest)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (value, highest))


def _end_with(lifeline: int) -> None:
    """Let the system end this process, whatever it does, when the other end of a pipe is closed."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        # Linux sends SIGIO then, which ends a process; elsewhere it ends with its input or its time
        if sys.platform == "linux":
            fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
