"""Work in a decoder's process, whatever becomes of it: its end is the file's reason, and is remembered."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

from anthropo.decoding.kinds import PARQUET, VIDEO
from anthropo.decoding.limits import ExcessError, Limits
from anthropo.decoding.pool import DiedError, Worker, worker
from anthropo.decoding.undecodable import Death, recall, remember
from anthropo.decoding.worker import Message
from anthropo.errors import PhotoError, parameter

T = TypeVar("T")


def guarded(work: Callable[[Worker], T], where: str, kind: str, key: str, limits: Limits) -> T:
    """What `work` makes of a file of this kind, with a decoder's process of its own.

    The file is remembered by its `key` if it ends the process. A PhotoError says so, now and in later runs.
    """
    (made,) = streamed(lambda one: iter((work(one),)), where, kind, key, limits)
    return made


def streamed(
    work: Callable[[Worker], Iterator[T]], where: str, kind: str, key: str, limits: Limits
) -> Iterator[T]:
    """The same of `work` that makes several things, which goes on where it was if it is called again."""
    death = recall(key)
    if death and not death.again(limits.seconds):
        raise _refusal(where, kind, death, limits, "not tried, since decoding this", " before")
    for _ in range(2):
        try:
            with worker() as one:
                yield from work(one)
                return
        except DiedError as error:
            ended = error
            if ended.guilty:
                break
    death = Death(ended.how, limits.seconds if ended.late else None)
    if not ended.of_memory:
        remember(key, death)
    raise _refusal(where, kind, death, limits, "decoding this")


def checked(answer: Message, where: str, limits: Limits, what: str = "photo") -> Message:
    """The answer of a decoder's process; a PhotoError where it is a refusal."""
    if "refused" in answer:
        raise PhotoError(answer["refused"])
    if "excess" in answer:
        raise ExcessError(*answer["excess"]).refusal(where, limits, what)
    return answer


def _refusal(where: str, kind: str, death: Death, limits: Limits, begin: str, end: str = "") -> PhotoError:
    how, what, fix = death.how, f"{kind} file", "Export the photo as JPEG"
    if kind == VIDEO:
        what, fix = kind, "Export it again as MP4"
    if kind == PARQUET:
        fix = "Save the table as CSV"
    if death.deadline is not None:
        how = f"took more than {death.deadline:g} s"
        enough = math.ceil(4 * death.deadline / limits.times)
        fix += f", or allow more time with {parameter('deadline', enough)}"
    return PhotoError(f"{where}: {begin} {what} {how}{end}. {fix}.")
