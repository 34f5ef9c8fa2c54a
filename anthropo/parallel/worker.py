"""What runs in the processes that work on photographs.

The first of them reads the work once, with the weights that it needs, and is then forked for every worker:
these share its memory, and a worker that ends is replaced at once. Where processes cannot be forked safely,
each worker is started by itself. A worker has one thread of each library, ignores the signals that are for
the process that started it, and ends with that.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import pickle
import queue
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from anthropo import errors
from anthropo.definitions import Definition, define, definitions, forget
from anthropo.memory import memory
from anthropo.parallel.link import Link
from anthropo.parallel.threads import network_threads

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

#: What a worker is told beside items.
STOP = b""
#: What the process that is forked is told: fork, with a worker's end of a link; wait for a process to end.
FORK, WAIT = b"f", b"w"
NUMBER = 8  # bytes of a whole number
#: What sets the threads of libraries; each is read when its library is loaded.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

_BEHIND = 10  # niceness

Work = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Context:
    """What messages and limits depend on beside the work; the environment is inherited."""

    spelling: Callable[[str, object], str]  # of parameters in messages
    memory: int  # bytes that the photos of one worker may take
    lock: int | None  # descriptor of a file that the photo locks which takes more
    definitions: tuple[Definition, ...] = ()  # measurements of one's own


def serve_in_copy(connection: socket.socket, kept: set[int]) -> NoReturn:
    """Serve in a copy of the process that wants the work done, without its files, and end."""
    try:
        os.setsid()  # Ctrl-C is for the original alone
        _ignore_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nowhere, standard)
        for name in os.listdir("/proc/self/fd"):
            if (number := int(name)) > 2 and number not in kept:
                with contextlib.suppress(OSError):
                    os.close(number)
        serve(connection, forks=True)
    finally:
        os._exit(0)


def _ignore_signals() -> None:
    for number in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, number):
            signal.signal(getattr(signal, number), signal.SIG_IGN)


def serve(connection: socket.socket, forks: bool) -> None:
    """Receive the work, and then fork workers when asked to, or be one."""
    _ignore_signals()
    if resource is not None:  # a photo of a patient is not left behind in a core file
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)  # nobody sees what a library says here
    warnings.simplefilter("ignore")
    warnings.showwarning = lambda *_, **__: None  # some libraries switch their warnings on again
    link = Link(connection)
    setup, data = link.receive(), link.receive()
    if setup is None or data is None:
        return
    try:
        context: Context = pickle.loads(setup)
        errors.spell_parameters(context.spelling)
        forget(one.id for one in definitions())  # a copy of the process has those of its beginning
        define(context.definitions)
        memory.share(context.memory, context.lock)
        work: Work = pickle.loads(data)
        prepare(work)
    except Exception as error:
        link.send(pickle.dumps(f"{type(error).__name__}: {error}"))
        return
    gc.collect()
    gc.freeze()  # what workers share is not written to by looking for rubbish
    link.send(pickle.dumps(""))
    if forks:
        _fork_when_asked(connection, work)
    else:
        _answer(link, work)


def _fork_when_asked(control: socket.socket, work: Work) -> None:
    """Fork workers, and end after them."""
    while True:
        command, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if command == FORK:
            try:
                pid = os.fork()
            except OSError:
                pid = -1
            if pid == 0:
                control.close()
                _answer(Link(socket.socket(fileno=descriptors[0])), work)
            os.close(descriptors[0])
            control.sendall(pid.to_bytes(NUMBER, "little", signed=True))
        elif command == WAIT:
            pid = int.from_bytes(control.recv(NUMBER, socket.MSG_WAITALL), "little", signed=True)
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            control.sendall(code.to_bytes(NUMBER, "little", signed=True))
        else:  # the other end is closed, and so are the workers'
            break
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _answer(link: Link, work: Work) -> None:
    """Work on items as they come, and end the process when it is told to."""
    items: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(link, items), daemon=True).start()
    while (item := items.get()) != STOP:
        try:
            answer = pickle.dumps((True, alone(work, pickle.loads(item))), pickle.HIGHEST_PROTOCOL)
        except BaseException as error:
            answer = pickle.dumps((False, (portable(error), traceback.format_exc())))
        try:
            link.send(answer)
        except OSError:  # nobody waits for it
            break
    os._exit(0)


def prepare(work: Work) -> None:
    """Let the work read what it needs for every item."""
    with network_threads(1), memory.one_photo():
        getattr(work, "prepare", lambda: None)()


def alone(work: Work, item: Any) -> Any:
    """Work on one item, by one thread of each library and within the memory for photos."""
    with network_threads(1), memory.one_photo():
        return work(item)


def _listen(link: Link, items: queue.SimpleQueue[bytes]) -> None:
    """Take items in, so that there is one to go on with; end when the other end does."""
    while (data := link.receive()) is not None:
        if data == STOP:
            with contextlib.suppress(queue.Empty):
                while True:
                    items.get_nowait()
        items.put(bytes(data))
    os._exit(0)


def portable(error: BaseException) -> BaseException:
    """The error, or one of a base class that says the same and can be sent to another process."""
    text = str(error)
    for kind in type(error).__mro__:
        made = error if kind is type(error) else _made(kind, text)
        with contextlib.suppress(Exception):
            again = pickle.loads(pickle.dumps(made))
            if type(again) is type(made) and str(again) == text:
                return again
    return RuntimeError(f"{type(error).__name__}: {text}")


def _made(kind: type, text: str) -> Any:
    try:
        return kind(text)
    except Exception:
        return None


def give_way() -> None:
    """Take a tenth of a core that others want as well, and all that they leave.

    Less would be nothing at all on a busy machine. On Windows whoever starts this process sees to it.
    """
    if hasattr(os, "nice"):
        os.nice(_BEHIND)
    with contextlib.suppress(OSError):
        # on a desktop a session counts as one program, however nice the processes are that it has
        Path("/proc/self/autogroup").write_text(str(_BEHIND))


def connected(descriptor: int | None) -> socket.socket:
    """The socket that a process was started with: its descriptor, or what it is told of it (Windows)."""
    if descriptor is not None:
        return socket.socket(fileno=descriptor)
    size = int.from_bytes(sys.stdin.buffer.read(NUMBER), "little")
    return socket.fromshare(sys.stdin.buffer.read(size))  # type: ignore[attr-defined, no-any-return]
