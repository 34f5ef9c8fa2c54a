"""The workbench's server, on this machine."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from anthropo.errors import InputError, in_python, not_installed, parameter, parameters_spelled
from anthropo.workbench.desk import Desk

HOST, PORT = "127.0.0.1", 8765
_LOCAL = ("127.0.0.1", "localhost", "::1")


class Workbench:
    """A server that is ready to begin.

    Parameters
    ----------
    folder : path, optional
        Where photos and results lie; one in the user's data folder when left out.
    host : str
        The address to listen on. Anything but this machine's own lets others reach it who have the token.
    port : int
        0: any that is free.
    read_only : bool
        Show the folder, and change nothing.
    models : sequence of path
        Models that the page can ask, beside those that lie in the folder.

    Attributes
    ----------
    address : str
        The page's address, with the token.

    Raises
    ------
    InputError
        If the libraries are missing, the folder cannot be used, or the port is taken.
    ModelError
        If one of the models is none.

    Examples
    --------
    >>> import anthropo
    >>> with anthropo.serve("work", port=0, browser=False) as bench:
    ...     print(bench.address.startswith("http://127.0.0.1:"))
    True
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        host: str = HOST,
        port: int = PORT,
        read_only: bool = False,
        models: Sequence[str | os.PathLike[str]] = (),
    ) -> None:
        if find_spec("starlette") is None or find_spec("uvicorn") is None:
            raise InputError(not_installed("The workbench", "starlette and uvicorn", "serve"))
        self.folder = Path(folder) if folder is not None else _own_folder()
        self.desk = Desk(self.folder, read_only=read_only)
        from anthropo.workbench.models import Shelf

        self.shelf = Shelf(self.folder, models)
        self._socket = _listening(host, port)
        self.port = int(self._socket.getsockname()[1])
        self.host = host
        shown = f"[{host}]" if ":" in host else host
        names = {shown, "localhost"} if host in _LOCAL else {shown}
        if host in ("0.0.0.0", "::"):  # every address of this machine
            names |= {"127.0.0.1", "localhost", socket.gethostname(), socket.getfqdn()}
            shown = socket.gethostname()
        token = secrets.token_urlsafe(32)
        self.address = f"http://{shown}:{self.port}/?token={token}"
        self._server = self._made(token, frozenset(f"{name}:{self.port}" for name in names), read_only)
        self._thread: threading.Thread | None = None

    def _made(self, token: str, hosts: frozenset[str], read_only: bool) -> Any:
        import uvicorn

        from anthropo.workbench.application import application

        app = application(
            self.desk,
            self.shelf,
            token=token,
            hosts=hosts,
            cookie=f"anthropo-{self.port}",
            read_only=read_only,
        )
        config = uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=3,
            limit_concurrency=64,
        )
        return uvicorn.Server(config)

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in _LOCAL

    def run(self) -> None:
        """Serve until Ctrl-C."""
        self._get_ready()
        with contextlib.suppress(KeyboardInterrupt), parameters_spelled(_on_the_page):
            self._server.run(sockets=[self._socket])
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(10)
        self._socket.close()

    def _get_ready(self) -> None:
        """Read what the first photo needs, while the browser opens."""
        from anthropo.workbench.views import get_ready

        threading.Thread(target=get_ready, daemon=True).start()

    def __enter__(self) -> Workbench:
        self._get_ready()
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.01)
        return self

    def __exit__(self, *ending: object) -> None:
        self.close()


def serve(
    folder: str | os.PathLike[str] | None = None,
    *,
    host: str = HOST,
    port: int = PORT,
    browser: bool = True,
    read_only: bool = False,
    models: Sequence[str | os.PathLike[str]] = (),
) -> Workbench:
    """A page, on this machine alone, on which faces are measured and landmarks corrected.

    Parameters
    ----------
    folder, host, port, read_only, models
        As for `Workbench`.
    browser : bool
        Open the page in the browser once the server runs.

    Returns
    -------
    Workbench
        ``run()`` serves until it is interrupted; in a ``with`` block it serves beside the program.

    Raises
    ------
    InputError, ModelError
        As `Workbench`.

    Examples
    --------
    >>> import anthropo
    >>> bench = anthropo.serve("work", port=0, browser=False, read_only=False)
    >>> bench.desk.folder.name, bench.is_local
    ('work', True)
    >>> bench.close()
    """
    bench = Workbench(folder, host=host, port=port, read_only=read_only, models=models)
    if browser:
        import webbrowser

        timer = threading.Timer(0.5, webbrowser.open, [bench.address])
        timer.daemon = True
        timer.start()
    return bench


_WORDS = {
    "scale": "a scale, under “Person”",
    "max_megapixels": "anthropo measure --max-megapixels, in a terminal",
}


def _on_the_page(name: str, value: object) -> str:
    """A parameter as the page's reader knows it."""
    return _WORDS.get(name) or in_python(name, value)


def _own_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("anthropo", appauthor=False)) / "workbench"


def _listening(host: str, port: int) -> socket.socket:
    """A socket that nobody else can share."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"{host}: no address of this machine ({error.strerror or error}).") from None
    try:
        if os.name != "nt":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"Port {port} is in use, perhaps by another workbench. Give another {parameter('port')}, or "
                "0 for any that is free."
            ) from None
        raise InputError(f"{host}:{port} cannot be listened on ({error.strerror}).") from None
    return listening
