"""Every photo of the folder measured, while the page is used, into a table that the commands go on with."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple, cast

from anthropo.batch.inputs import Item
from anthropo.batch.output import Output
from anthropo.batch.run import run
from anthropo.batch.summaries import Finished, Summary, finish
from anthropo.errors import AnthropoError, InputError
from anthropo.measurement.landmark_file import Corrections
from anthropo.parallel import Processes
from anthropo.parallel.runner import available_cores
from anthropo.settings import Settings
from anthropo.workbench.desk import Desk, Listed

TABLE = "faces.csv"
_PATIENCE = 3.0  # seconds that whoever stops it waits for the photos under way
_ENOUGH = 8  # photos from which on processes are worth their start


class Stand(NamedTuple):
    """What is known of a photo."""

    photo: str  # id
    status: str  # ok or failed
    gate: Sequence[str]  # checks of the photo gate that it fails
    reason: str  # why it failed


class Survey:
    """Measures the folder in the background, by processes that leave the page what it needs.

    What an earlier survey, or ``anthropo measure FOLDER/cohort.csv -o FOLDER/faces.csv``, has finished is
    not measured again.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._stands: list[Stand] = []
        self._total = 0
        self._error = ""

    def begin(self) -> None:
        """Start, unless it runs."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._stands, self._error = [], ""
            self._stop.clear()
            photos = [*self._desk.photos().values()]
            self._total = len(photos)
            if not photos:
                raise InputError("There is no photo to measure. Add some.")
            self._thread = threading.Thread(target=self._work, args=(photos,), daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop after the photos that are under way; what is finished stays."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def told(self, since: int) -> dict[str, Any]:
        """How far it has come, and what is known of photos from the `since`-th on."""
        stands = self._stands
        running = self._thread is not None and self._thread.is_alive()
        return {
            "running": running,
            "stopping": running and self._stop.is_set(),
            "total": self._total,
            "done": len(stands),
            "error": self._error,
            "stands": [one._asdict() for one in stands[max(0, since) :]],
            "table": (self._desk.folder / TABLE).is_file(),
        }

    def _work(self, photos: Sequence[Listed]) -> None:
        try:
            self._measure(photos)
        except AnthropoError as error:
            self._error = str(error).replace("run the same command to continue", "use “Measure all” again")
        except OSError as error:
            self._error = f"The table cannot be written ({error.strerror or error})."

    def _measure(self, photos: Sequence[Listed]) -> None:
        ids = {str(photo.path): photo.id for photo in photos}
        items = [photo.item for photo in photos]
        corrected = self._desk.corrections
        corrections = Corrections(str(corrected), [item.path for item in items]) if corrected else None
        settings = Settings(face="largest", corrections=corrections)
        table = Output(str(self._desk.folder / TABLE), settings)
        try:
            todo: list[Item] = []
            for item in items:
                if table.finished(item):
                    gate = [name for face in table.gate_failed(item.path) for name in face]
                    self._stands.append(Stand(ids[item.path], "ok", gate, ""))
                else:
                    todo.append(item)
            if todo:
                runner = Processes(available_cores(), behind=True) if len(todo) >= _ENOUGH else None
                made = run(todo, settings, runner=runner, finish=partial(finish, suffix=".csv"))
                with closing(cast("Generator[Finished, None, None]", made)) as finished:
                    for one in finished:
                        self._stands.append(_stand(ids[one.photo], one.photo, table.add_finished(one)))
                        if self._stop.is_set():
                            break
            table.close(items)
        except BaseException:
            table.release()
            raise


def _stand(key: str, photo: str, of: Summary) -> Stand:
    gate = [name for face in of.gate for name in face]
    reason = " ".join(of.reasons(photo)).removeprefix(f"{photo}: ")
    return Stand(key, "ok" if of.ok else "failed", gate, reason)
