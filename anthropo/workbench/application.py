"""The workbench's web application: what each address answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import secrets
import tempfile
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from anthropo._version import __version__
from anthropo.batch.inputs import Item
from anthropo.errors import AnthropoError, InputError
from anthropo.measurement.landmark_file import SUFFIX
from anthropo.measurement.registry import registry
from anthropo.photo import read_photo
from anthropo.plain import visible
from anthropo.report.clinical import write_clinical
from anthropo.report.measure import Page
from anthropo.report.rendering import as_csv
from anthropo.report.traits import write_traits
from anthropo.video import is_video, open_video
from anthropo.workbench import persons, views
from anthropo.workbench.desk import Desk, Listed, UnkeptError
from anthropo.workbench.guard import REPORT_POLICY, Guard
from anthropo.workbench.models import Shelf
from anthropo.workbench.sitting import Sitting, StaleError
from anthropo.workbench.survey import TABLE, Survey

T = TypeVar("T")

MOST_UPLOAD = 200 << 20  # bytes of a photo
_MOST_WORDS = 1 << 20  # bytes of any other request
_OPEN = 16  # photos whose decodes and faces are kept
_AT_ONCE = 2  # photos that are searched for faces at the same time
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Bench:
    """The photos that are open, and how they are answered for."""

    def __init__(self, desk: Desk, shelf: Shelf) -> None:
        self.desk = desk
        self.shelf = shelf
        self.survey = Survey(desk)
        self._open: OrderedDict[str, Sitting] = OrderedDict()
        self._lock = Lock()
        self._opening: dict[str, Lock] = {}
        self.turns = asyncio.Semaphore(_AT_ONCE)

    def listed(self, key: str) -> Listed:
        """A photo by its id; an InputError where there is none."""
        photo = self.desk.photos().get(key)
        if photo is None:
            raise LookupError(key)
        return photo

    def sitting(self, key: str) -> Sitting:
        """The photo at work, opened where it is not, and again where its file is another one."""
        with self._lock:
            if (known := self._open.get(key)) and known.is_current:
                self._open.move_to_end(key)
                return known
            opening = self._opening.setdefault(key, Lock())
        with opening:  # two windows that open it wait for one another
            with self._lock:
                if (known := self._open.get(key)) and known.is_current:
                    return known
            photo = self.listed(key)
            try:
                made = Sitting(self.desk, photo, revision=known.revision + 1 if known else 0)
            except AnthropoError as error:  # the page knows it by its name
                raise type(error)(str(error).replace(str(photo.path), visible(photo.name))) from None
            with self._lock:
                self._open[key] = made
                self._opening.pop(key, None)
                while len(self._open) > _OPEN:
                    self._open.popitem(last=False)
            return made

    # -------------------------------------------------------------------------------- answers

    async def photos(self, request: Request) -> Response:
        """The list of photos."""
        photos = await run_in_threadpool(self.desk.photos)
        return _Json(
            {
                "folder": str(self.desk.folder),
                "version": __version__,
                "photos": views.listing([*photos.values()]),
                "models": self.shelf.listing(),
            }
        )

    async def add(self, request: Request) -> Response:
        """A photo that was dropped: kept, searched for a face, measured."""
        name = request.query_params.get("name", "")
        data = await _body(request, MOST_UPLOAD, "The photo")
        async with self.turns:
            return _Json(await run_in_threadpool(partial(self._added, name, data)))

    def _added(self, name: str, data: bytes) -> Any:
        path = self.desk.add(name, data)
        try:
            return views.document(self.sitting(self.desk.at(path).id))
        except AnthropoError as error:
            names = str(path), self.desk.at(path).name
            if not _is_photo(path):
                self.desk.remove(path)
            message = str(error)
            for known in names:
                message = message.replace(known, name.rpartition("/")[2][:80])
            raise type(error)(message) from None

    async def measure_all(self, request: Request) -> Response:
        """Begin to measure the folder, or ask how far that is."""
        if request.method == "POST":
            await run_in_threadpool(self.survey.begin)
        elif request.method == "DELETE":
            await run_in_threadpool(self.survey.end)
        since = request.query_params.get("since", "0")
        return _Json(self.survey.told(int(since) if since.isdecimal() else 0))

    async def table(self, request: Request) -> Response:
        """The table of the folder."""
        path = self.desk.folder / TABLE
        if not path.is_file():
            raise InputError("The photos have not been measured yet. Use “Measure all”.")
        data = await run_in_threadpool(path.read_bytes)
        headers = {"content-disposition": f'attachment; filename="{TABLE}"'}
        return Response(data, media_type="text/csv", headers=headers)

    async def photo(self, request: Request) -> Response:
        """Everything about one photo."""
        sitting = await self._sitting(request)

        def made() -> Any:
            sitting.renew(self.listed(sitting.photo.id))
            sitting.settle()
            return views.document(sitting)

        return _Json(await run_in_threadpool(made))

    async def _sitting(self, request: Request) -> Sitting:
        async with self.turns:
            return await run_in_threadpool(partial(self.sitting, request.path_params["photo"]))

    async def picture(self, request: Request) -> Response:
        """The photo's pixels."""
        sitting = await self._sitting(request)
        size = request.query_params.get("size", "preview")
        data = await run_in_threadpool(partial(views.picture, sitting, size))
        return Response(data, media_type="image/jpeg")

    async def thumbnail(self, request: Request) -> Response:
        """A small picture of a photo that need not be open."""

        def made() -> bytes:
            photo = self.listed(request.path_params["photo"])
            with self._lock:
                known = self._open.get(photo.id)
            if known and known.is_current:  # decoded already
                return views.thumbnail(known.observation.photo.pixels)
            if is_video(photo.path):
                return views.thumbnail(next(open_video(photo.path).photos(1)).pixels)
            return views.thumbnail(read_photo(photo.path, short_side=200).pixels)

        return Response(await run_in_threadpool(made), media_type="image/jpeg")

    async def points(self, request: Request) -> Response:
        """Points that a hand has placed."""
        told = await _told(request)
        points = _places(told.get("points"))
        revision, keep = told.get("revision"), told.get("keep", True) is True
        if not isinstance(revision, int):
            raise InputError("revision: a whole number is needed, as the photo's document has it.")
        sitting = await self._sitting(request)

        def placed() -> Any:
            with sitting.lock:
                sitting.place(points, revision, keep=keep)
                made = views.document(sitting)
                shown = [
                    name for name in told.get("show", []) if isinstance(name, str) and name in registry()
                ]
                made["lines"] = {name: views.lines(sitting, name) for name in shown[:8]}
                return made

        return _Json(await run_in_threadpool(placed))

    async def frame(self, request: Request) -> Response:
        """The frame of a video that is shown, as a photo whose points can be moved."""
        sitting = await self._sitting(request)

        def made() -> Any:
            return views.document(self.sitting(sitting.frame().id))

        async with self.turns:
            return _Json(await run_in_threadpool(made))

    async def person(self, request: Request) -> Response:
        """What is known of the person."""
        told = await _told(request)
        cells = told.get("person")
        if not isinstance(cells, dict) or not all(isinstance(v, str) for v in cells.values()):
            raise InputError("person: an object of texts is needed.")
        sitting = await self._sitting(request)

        def described() -> Any:
            sitting.describe(cells)
            return views.document(sitting)

        return _Json(await run_in_threadpool(described))

    async def together(self, request: Request) -> Response:
        """All photos of the photo's person, as rows or as the clinical report."""
        is_report = request.url.path.endswith("/clinical")
        photo = await run_in_threadpool(partial(self.listed, request.path_params["photo"]))

        def made() -> Any:
            photos = persons.photos_of(self.desk, photo)
            sittings, left_out = [], []
            for one in photos[: persons.MOST]:
                try:
                    sitting = self.sitting(one.id)
                    sitting.renew(one)
                    sittings.append(sitting)
                except AnthropoError as error:
                    left_out.append(f"{one.name}: {str(error).removeprefix(f'{one.name}: ')}")
            if (more := len(photos) - persons.MOST) > 0:
                left_out.append(f"{more} more photos: {persons.MOST} are shown together.")
            return (
                persons.clinical(photo, sittings)
                if is_report
                else persons.pooled_beside_photos(photo, sittings, left_out)
            )

        async with self.turns:
            told = await run_in_threadpool(made)
        if is_report:
            return Response(told, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})
        return _Json(told)

    async def change(self, request: Request) -> Response:
        """What changed between two photos."""
        before, after, what = (request.path_params[name] for name in ("photo", "other", "what"))
        if what not in ("rows", "page"):
            raise LookupError(what)

        def made() -> Any:
            photos = self.listed(before), self.listed(after)
            result = persons.changed(self.desk, *photos)
            if what == "page":
                return persons.page(result)
            return persons.change_words(result, [one.name for one in photos])

        async with self.turns:
            told = await run_in_threadpool(made)
        if what == "rows":
            return _Json(told)
        return Response(told, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})

    async def faces(self, request: Request) -> Response:
        """Every face of the photo, those in the background included."""
        sitting = await self._sitting(request)

        def boxes() -> Any:
            sitting.all_boxes()
            return views.boxes(sitting)

        async with self.turns:
            return _Json(await run_in_threadpool(boxes))

    async def lines(self, request: Request) -> Response:
        """What a measurement runs along."""
        name = request.path_params["measurement"]
        if name not in registry():
            raise LookupError(name)
        sitting = await self._sitting(request)
        return _Json(await run_in_threadpool(partial(views.lines, sitting, name)))

    async def lengths(self, request: Request) -> Response:
        """What every length runs along."""
        sitting = await self._sitting(request)

        def drawn() -> Any:
            return {
                entry.id: views.lines(sitting, entry.id)
                for entry in registry().values()
                if entry.kind == "distance"
            }

        return _Json(await run_in_threadpool(drawn))

    async def traits(self, request: Request) -> Response:
        """HPO traits."""
        sitting = await self._sitting(request)
        return _Json(await run_in_threadpool(partial(views.traits, sitting)))

    async def sticker(self, request: Request) -> Response:
        """The scale by a sticker that was pointed at."""
        try:
            mm, *ends = (float(request.query_params.get(name, "")) for name in ("mm", "x", "y", "x2", "y2"))
        except ValueError:
            mm, ends = math.nan, []
        if not 4 <= mm <= 60 or not all(map(math.isfinite, ends)):
            raise InputError("A sticker is 4 to 60 mm wide. Give its diameter or side in mm.")
        sitting = await self._sitting(request)
        told = partial(views.sticker, sitting, mm, (ends[0], ends[1]), (ends[2], ends[3]))
        return _Json(await run_in_threadpool(told))

    async def growth(self, request: Request) -> Response:
        """Sizes of the form on growth charts."""
        sitting = await self._sitting(request)
        return _Json(await run_in_threadpool(partial(views.growth, sitting)))

    async def model(self, request: Request) -> Response:
        """What a model says: its answer, its heatmap, or the page with everything."""
        sitting = await self._sitting(request)
        key, what = request.path_params["model"], request.path_params["what"]
        if what == "answer":
            return _Json(await run_in_threadpool(partial(self.shelf.answer, key, sitting)))
        if what == "following":
            return _Json(await run_in_threadpool(partial(self.shelf.following, key, sitting)))
        if what == "heat":
            data = await run_in_threadpool(partial(self.shelf.heat, key, sitting))
            return Response(data, media_type="image/jpeg")
        if what != "explanation":
            raise LookupError(what)
        data = await run_in_threadpool(partial(self.shelf.page, key, sitting))
        return Response(data, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})

    async def result(self, request: Request) -> Response:
        """A file to keep: report, traits, phenopacket, table, landmarks."""
        sitting = await self._sitting(request)
        kind = request.path_params["kind"]
        if kind not in _RESULTS:
            raise LookupError(kind)
        suffix, media = _RESULTS[kind]
        data = await run_in_threadpool(partial(_result, sitting, kind))
        if request.method == "POST":  # beside the photos, for later
            path = await run_in_threadpool(partial(self.desk.report, sitting.photo, suffix))
            await run_in_threadpool(partial(_write, path, data))
            return _Json({"path": str(path)})
        name = f"{sitting.photo.path.stem}{suffix}".encode("ascii", "replace").decode().replace("?", "_")
        name = "".join(c if c.isalnum() or c in "-_. " else "_" for c in name)
        headers = {}
        if media == "text/html":
            headers["content-security-policy"] = REPORT_POLICY
        else:
            headers["content-disposition"] = f'attachment; filename="{name}"'
        return Response(data, media_type=media, headers=headers)


#: What can be kept of a photo, with the file's ending.
_RESULTS = {
    "report": (".html", "text/html"),
    "clinical": (".clinical.html", "text/html"),
    "traits": (".traits.html", "text/html"),
    "phenopacket": (".phenopacket.json", "application/json"),
    "table": (".csv", "text/csv"),
    "landmarks": (SUFFIX, "application/json"),
}


def _result(sitting: Sitting, kind: str) -> bytes:
    if kind == "landmarks" and sitting.is_video:
        raise InputError("A video has no landmark file: every frame has its own points.")
    if kind == "landmarks":
        return sitting.landmark_text().encode()
    if kind == "table":
        import pandas as pd

        return as_csv(pd.DataFrame([sitting.record.to_row()])).encode()
    with tempfile.TemporaryDirectory(prefix="anthropo-") as folder:
        path = Path(folder) / f"x{'.json' if kind == 'phenopacket' else '.html'}"
        if kind == "report":
            page = Page(path)
            with sitting.lock:
                item = Item(sitting.record.photo, dict(sitting.photo.columns))
                page.take(item, sitting.record.index, page(sitting.measured))
                page.write([sitting.record])
        else:
            person = sitting.traits()
            if not person.record.ok:
                raise InputError(person.record.reason.removeprefix(f"{sitting.photo.path}: "))
            if kind == "clinical":
                write_clinical(path, person, seen=sitting.measured)
            else:
                write_traits(path, person)
        return path.read_bytes()


def _write(path: Path, data: bytes) -> None:
    from anthropo.files import write

    write(path, data, what="the report")


def _is_photo(path: Path) -> bool:
    """Whether a file can be read as a photo, with or without a face."""
    with contextlib.suppress(AnthropoError):
        if is_video(path):
            open_video(path)
        else:
            read_photo(path, short_side=100)
        return True
    return False


def _places(given: Any) -> dict[str, tuple[float, float]]:
    if not isinstance(given, dict):
        raise InputError(
            "points: an object is needed, with the x and y of each point that was placed by hand."
        )
    for name, place in given.items():
        pair = isinstance(place, list) and len(place) == 2
        if not pair or not all(type(v) in (int, float) and math.isfinite(v) for v in place):
            raise InputError(f"{str(name)[:20]}: x and y are needed, in pixels of the photo.")
    return {name: (float(x), float(y)) for name, (x, y) in given.items()}


async def _body(request: Request, most: int, what: str) -> bytes:
    """The content of a request, which is not read further than it may be long."""
    stated = request.headers.get("content-length", "0")
    chunks, size = [], 0
    if stated.isdecimal() and int(stated) > most:
        raise HTTPException(413, f"{what} has {int(stated) / 1e6:.0f} MB, {most / 1e6:.0f} MB at most.")
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise HTTPException(413, f"{what} has more than {most / 1e6:.0f} MB.")
        chunks.append(chunk)
    return b"".join(chunks)


async def _told(request: Request) -> Mapping[str, Any]:
    try:
        told = json.loads(await _body(request, _MOST_WORDS, "The request"))
    except (ValueError, RecursionError):
        raise InputError("The request is not readable as JSON.") from None
    if not isinstance(told, dict):
        raise InputError("The request is no JSON object.")
    return told


class _Json(JSONResponse):
    """JSON of names that may be no text at all: such as those of an old Windows disk, in another encoding."""

    def render(self, content: Any) -> bytes:
        """The content as bytes; what is no character becomes a question mark."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def _sentence(text: str, status: int) -> Response:
    return PlainTextResponse(text.encode("utf-8", "replace"), status)


async def _nothing_there(request: Request, error: Exception) -> Response:
    """For an address that the workbench does not have, in place of a server's two words."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _sentence("The workbench has nothing at this address. Open the one that was printed.", status)


def _answering(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """An answer whose errors are one sentence."""

    async def answered(request: Request) -> Response:
        try:
            return await answer(request)
        except StaleError as error:
            return _sentence(str(error), 409)
        except UnkeptError as error:
            return _sentence(str(error), 507)
        except AnthropoError as error:
            return _sentence(str(error), 422)
        except LookupError:
            return _sentence(
                "There is no such photo, measurement or file in this workbench. If it was removed, "
                "reload the page.",
                404,
            )
        except HTTPException as error:
            return _sentence(error.detail, error.status_code)
        except ClientDisconnect:
            return _sentence("The upload was broken off.", 400)
        except OSError as error:
            return _sentence(f"A file cannot be read or written ({error.strerror or error}).", 507)
        except Exception as error:
            traceback.print_exc()
            return _sentence(
                f"The workbench failed at this ({type(error).__name__}), which is a fault of the program. "
                "What was changed before is kept. Report it, with what stands in the terminal.",
                500,
            )

    return answered


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    path = resources.files("anthropo.workbench").joinpath(f"page/{name}")

    async def answer(request: Request) -> Response:
        return Response(path.read_bytes(), media_type=_KINDS[os.path.splitext(name)[1]])

    return answer


PAGE = (
    "index.html",
    "icon.svg",
    "style.css",
    "workbench.js",
    "face.js",
    "tables.js",
    "model.js",
    "survey.js",
    "patient.js",
)


def application(
    desk: Desk,
    shelf: Shelf,
    *,
    token: str | None = None,
    hosts: frozenset[str],
    cookie: str = "anthropo",
    read_only: bool = False,
) -> Guard:
    """The ASGI application of a workbench, behind its guard."""
    bench = Bench(desk, shelf)
    at = "/api/photos/{photo}"
    answers = [
        ("/api/photos", ["GET"], bench.photos),
        ("/api/photos", ["POST"], bench.add),
        ("/api/survey", ["GET", "POST", "DELETE"], bench.measure_all),
        ("/api/table", ["GET"], bench.table),
        (at, ["GET"], bench.photo),
        (f"{at}/picture", ["GET"], bench.picture),
        (f"{at}/thumbnail", ["GET"], bench.thumbnail),
        (f"{at}/points", ["PUT"], bench.points),
        (f"{at}/frame", ["POST"], bench.frame),
        (f"{at}/person", ["PUT"], bench.person),
        (f"{at}/faces", ["GET"], bench.faces),
        (f"{at}/together", ["GET"], bench.together),
        (f"{at}/together/clinical", ["GET"], bench.together),
        (f"{at}/change/{{other}}/{{what}}", ["GET"], bench.change),
        (f"{at}/lines", ["GET"], bench.lengths),
        (f"{at}/lines/{{measurement}}", ["GET"], bench.lines),
        (f"{at}/traits", ["GET"], bench.traits),
        (f"{at}/sticker", ["GET"], bench.sticker),
        (f"{at}/growth", ["GET"], bench.growth),
        (f"{at}/models/{{model}}/{{what}}", ["GET"], bench.model),
        (f"{at}/results/{{kind}}", ["GET", "POST"], bench.result),
    ]
    routes = [Route(path, _answering(answer), methods=methods) for path, methods, answer in answers]
    routes += [
        Route("/" if name == "index.html" else f"/{name}", _file(name), methods=["GET"]) for name in PAGE
    ]
    app = Starlette(routes=routes, exception_handlers={404: _nothing_there, 405: _nothing_there})
    return Guard(
        app, token=token or secrets.token_urlsafe(32), hosts=hosts, cookie=cookie, read_only=read_only
    )
