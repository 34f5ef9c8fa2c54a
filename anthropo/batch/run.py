"""Photographs and videos, measured on several threads."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

from anthropo.batch.inputs import Item
from anthropo.batch.records import MeasuredFace, OnFace, Record, failed_record, person_of, record_of
from anthropo.errors import AnthropoError, FaceError, InputError
from anthropo.files import file_sha256
from anthropo.measurement.compute import Measurement, measure_face
from anthropo.measurement.pooling import pool
from anthropo.measurement.scale import IRIS_FROM, ScaleError, find_scale
from anthropo.observation import Observation, observe, observe_all
from anthropo.reference.tables import parse_age
from anthropo.settings import Settings
from anthropo.video import is_video, open_video, unreadable

if TYPE_CHECKING:
    pass


def run(
    items: Sequence[Item],
    settings: Settings,
    jobs: int = 1,
    on_face: OnFace | None = None,
) -> Iterator[list[Record]]:
    """Measure photographs on `jobs` threads; records come as photos finish.

    The heavy work runs outside Python's global lock. Closing the iterator (also by Ctrl-C) lets the
    photos that are under way finish and starts no other.
    """
    once = list({item.path: item for item in items}.values())
    if jobs <= 1:
        for item in once:
            yield measure_item(item, settings, on_face)
        return
    # plain threads and a queue: lighter than futures, which matters when a photo takes ten milliseconds
    todo = iter(once)
    taking = threading.Lock()
    stop = threading.Event()
    ahead = threading.Semaphore(2 * jobs)  # photos begun but not yet taken over by the caller
    results: SimpleQueue[list[Record] | BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            while True:
                ahead.acquire()
                with taking:
                    item = next(todo, None)
                if item is None or stop.is_set():
                    break
                results.put(measure_item(item, settings, on_face))
        except BaseException as error:
            results.put(error)
        results.put(None)

    threads = [threading.Thread(target=work) for _ in range(min(jobs, len(once)))]
    try:
        for thread in threads:
            thread.start()
        working = len(threads)
        while working:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                working -= 1
            else:
                yield result
            ahead.release()
    finally:
        stop.set()
        ahead.release(jobs)
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def measure_item(item: Item, settings: Settings, on_face: OnFace | None = None) -> list[Record]:
    """One record per face that was asked for, or a single failed one with its reason."""
    try:
        if is_video(item.path):
            return [_measure_video(item, settings, on_face)]
        faces = [measure_observation(item, one, settings) for one in observe_all(item.path, settings)]
        records = [record_of(face, settings) for face in faces]
        if on_face is not None:
            for face in faces:
                on_face(face)
    except AnthropoError as error:
        return [failed_record(item, str(error), settings)]
    except MemoryError:
        return [failed_record(item, f"{item.path}: not enough memory. Use fewer --jobs.", settings)]
    return records


def measure_observation(
    item: Item, observation: Observation, settings: Settings, digest: str | None = None
) -> MeasuredFace:
    """A face brought to scale and measured; `digest` is that of the file where it is not the photo's."""
    photo, face = observation.photo, observation.face
    scale, notes = None, []
    request = settings.scale_request()
    if request is not None:
        try:
            if request.kind == "iris" and request.assumed:
                _adult_iris(item, settings)
            scale = find_scale(request, photo, face.landmarks, face.samples)
        except AnthropoError as error:
            notes.append(str(error))
    return MeasuredFace(
        item=item,
        observation=observation,
        digest=observation.digest if digest is None else digest,
        scale=scale,
        values=measure_face(face, photo, scale=scale, force=settings.force),
        notes=notes,
    )


def _measure_video(item: Item, settings: Settings, on_face: OnFace | None) -> Record:
    """One record of a video: measurements pooled over its frames, landmarks of the best frame.

    Raises
    ------
    AnthropoError
        If the video cannot be read, or no frame of it can be measured.
    """
    if settings.face == "all":
        raise InputError(f"{item.path}: --face all is for photographs. Of a video, measure --face largest.")
    if settings.corrections and not settings.corrections.folder:
        raise InputError(f"{item.path}: --landmarks are those of a photograph, not of a video.")
    digest = file_sha256(item.path) if os.path.isfile(item.path) else ""
    video = open_video(item.path, max_megapixels=settings.max_megapixels)
    of_frames = replace(settings, corrections=None)
    values: list[Sequence[Measurement]] = []
    failed: list[FaceError] = []
    best: MeasuredFace | None = None
    unscaled: list[str] = []
    for photo in video.photos(settings.frames):
        try:
            observation = observe(photo, of_frames)
        except FaceError as error:
            failed.append(error)
            continue
        one = measure_observation(item, observation, settings, digest)
        values.append([m for m in one.values if isinstance(m, Measurement)])
        unscaled += one.notes
        if best is None or observation.doubt < best.observation.doubt:
            best = one
    if best is None:
        if not failed:
            raise unreadable(item.path)
        others = [error for error in failed if ": no face found." not in str(error)]
        if others:
            raise others[0]
        raise FaceError(
            f"{item.path}: no face found in any of {len(failed)} frames. Use a video in which the whole face "
            "is visible, upright and well lit."
        )
    notes = unscaled[:1] if len(unscaled) == len(values) else []
    record = record_of(replace(best, values=pool(values), notes=notes), settings)
    remarks = []
    if len(values) == 1:
        remarks.append("one frame measured: the intervals are those of one photo")
    if video.cut_off:
        ends = f"ends after {video.seconds:.1f} of {video.promised:.1f} s"
        remarks.append(f"{ends}: measured are the frames that are there")
    record["video"] = {
        "seconds": round(video.seconds, 3),
        "frames": len(values) + len(failed),
        "measured": len(values),
        "remarks": remarks,
    }
    if on_face is not None:
        on_face(best)
    return record


def _adult_iris(item: Item, settings: Settings) -> None:
    """Refuse the mean iris of adults for a child of known age."""
    with contextlib.suppress(InputError):
        age = parse_age(person_of(item, settings)["age"])
        if age < IRIS_FROM:
            raise ScaleError(
                f"{item.path}: --scale iris is for people of {IRIS_FROM:g} years and more; this one is "
                f"{age:g} years old. Give --scale iris=MM with the measured diameter, sticker=MM or ipd=MM."
            )
