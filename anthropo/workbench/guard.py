"""Who may talk to the workbench: whoever has its token, from its own page, on this machine.

A page on another site can make a browser send requests to 127.0.0.1, and by DNS rebinding under a name of its
own. So every request needs the token, names this server as its host, and comes from its own page if it says
where it comes from.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: What the page may load: its own scripts, styles and pictures. Nothing from elsewhere, nothing inline.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: Reports are whole pages without scripts, with styles and pictures of their own.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-modals; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": PAGE_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
}
_SAFE = ("GET", "HEAD")
_BEARER = re.compile(r"Bearer (\S+)")


class Guard:
    """Answers in place of the application what must not reach it.

    Parameters
    ----------
    app : ASGI application
    token : str
        What a request has to know: in a cookie, or as ``Authorization: Bearer TOKEN``.
    hosts : collection of str
        ``HOST:PORT`` that a request may name this server by.
    cookie : str
        The cookie's name; browsers share cookies between the ports of a machine.
    read_only : bool
        Refuse whatever changes something.
    """

    def __init__(
        self, app: App, *, token: str, hosts: frozenset[str], cookie: str, read_only: bool = False
    ) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts
        self._cookie = cookie
        self._read_only = read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on, one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page uses no WebSocket
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

        async def sealed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                more = [(name, value) for name, value in _HEADERS.items() if name not in given]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        why = self._objection(scope["method"], headers)
        if not why and scope["path"] == "/":
            query = scope["query_string"].decode("latin-1")
            if query.startswith("token=") and self._is_token(query.removeprefix("token=")):
                await self._welcome(sealed)
                return
        if not why and not self._knows_token(headers):
            why = (403, "This page needs the whole address that `anthropo serve` printed, with its token.")
        if why:
            await _answer(sealed, why[0], why[1])
            return
        await self._app(scope, receive, sealed)

    def _objection(self, method: str, headers: dict[str, str]) -> tuple[int, str] | None:
        """Why a request is refused whoever it is from."""
        host = headers.get("host", "")
        if host not in self._hosts:
            return 421, "The workbench does not answer under this name. Use the address that was printed."
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{name}" for name in self._hosts}:
            return 403, "This request comes from another site's page, and is refused."
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "This request comes from another site's page, and is refused."
        if method not in _SAFE and self._read_only:
            return 403, "The workbench was started to be looked at only (read-only): nothing can be changed."
        return None

    def _knows_token(self, headers: dict[str, str]) -> bool:
        if match := _BEARER.fullmatch(headers.get("authorization", "")):
            return self._is_token(match[1])
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return False
        return self._cookie in cookies and self._is_token(cookies[self._cookie].value)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())

    async def _welcome(self, send: Send) -> None:
        """The cookie, and from there on to the page.

        By a page of its own and not a redirection: after one that began on another site, such as a web mail,
        browsers withhold a strict cookie. The token leaves the address bar this way.
        """
        cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        body = (
            b'<!doctype html><html lang="en"><title>anthropo</title><link rel="icon" href="/icon.svg">'
            b'<meta http-equiv="refresh" content="0;url=/"><p><a href="/">Open the workbench</a></p></html>'
        )
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"set-cookie", cookie.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _answer(send: Send, status: int, sentence: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{sentence}\n".encode()})
