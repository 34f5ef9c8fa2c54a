"""A client of a workbench, as a browser or a stranger would speak to it."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import numpy as np
from conftest import Pixels
from PIL import Image


def png(pixels: Pixels) -> bytes:
    """A photo as a file."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def write_clip(path: Path, pixels: Pixels, frames: int = 3) -> Path:
    """A video of a face that moves a little."""
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for k in range(frames):
            frame = np.ascontiguousarray(np.roll(pixels, 2 * k, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode().strip()

    @property
    def json(self) -> Any:
        assert self.status == 200, self.text
        return json.loads(self.body)


class Client:
    """Knows the token, unless it is told otherwise."""

    def __init__(self, bench: Any) -> None:  # a Workbench, or what there is of one in another process
        self.bench = bench
        self.token = bench.address.partition("token=")[2]
        self.own = f"127.0.0.1:{bench.port}"

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        told: Any = None,
        **headers: str | None,
    ) -> Answer:
        """One request; a header that is None is left out."""
        sent: dict[str, str | None] = {"Host": self.own, "Authorization": f"Bearer {self.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(told).encode() if told is not None else body
        connection = http.client.HTTPConnection("127.0.0.1", self.bench.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if body is not None and "Content-Length" not in sent:
            sent["Content-Length"] = str(len(body))
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders()
        if body:
            connection.send(body)
        answer = connection.getresponse()
        made = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return made

    def add(self, name: str, data: bytes) -> Answer:
        """Drop a photo on the page."""
        return self.ask(f"/api/photos?name={quote(name)}", "POST", data)

    def place(self, doc: Any, points: Any, *, keep: bool = True, show: Any = ()) -> Answer:
        """Move points of a photo."""
        told = {"points": points, "revision": doc["revision"], "keep": keep, "show": list(show)}
        return self.ask(f"/api/photos/{doc['id']}/points", "PUT", told=told)

    def describe(self, doc: Any, **cells: str) -> Answer:
        """Say who the person is."""
        return self.ask(f"/api/photos/{doc['id']}/person", "PUT", told={"person": cells})
