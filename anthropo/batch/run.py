"""Photographs and videos, measured on several threads."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

from anthropo.batch.inputs import Item, collect
from anthropo.batch.output import data_frame
from anthropo.batch.records import OnFace, Record, Seen, failed_record, flatten, person_of, record_of
from anthropo.errors import AnthropoError, FaceError, InputError
from anthropo.face.fine import refine
from anthropo.face.landmarker import DEFAULT_JITTER, FIRST_DECODE, Face, Which, read_faces
from anthropo.files import file_sha256
from anthropo.measurement.compute import Measurement, measure_face
from anthropo.measurement.landmark_file import Corrections
from anthropo.measurement.pooling import pool
from anthropo.measurement.scale import IRIS_FROM, ScaleError, find_scale
from anthropo.photo import MAX_MEGAPIXELS, Photo, read_photo
from anthropo.reference.tables import parse_age
from anthropo.settings import Settings
from anthropo.video import FRAMES, is_video, open_video, unreadable

if TYPE_CHECKING:
    import pandas as pd


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
        photo = read_photo(item.path, short_side=FIRST_DECODE, max_megapixels=settings.max_megapixels)
        digest = photo.sha256
        seen = [_see(item, photo, first, settings, digest) for first in _faces(photo, settings)]
        records = [record_of(item, i, one, photo, digest, settings) for i, one in enumerate(seen)]
        if on_face is not None:
            for index, one in enumerate(seen):
                on_face(item, index, one.face, one.scale, digest, None)
    except AnthropoError as error:
        return [failed_record(item, str(error), settings)]
    except MemoryError:
        return [failed_record(item, f"{item.path}: not enough memory. Use fewer --jobs.", settings)]
    return records


def _faces(photo: Photo, settings: Settings) -> list[Face]:
    return read_faces(
        photo, face=settings.face, jitter=settings.jitter, landmark_model=settings.landmark_model
    )


def _see(item: Item, photo: Photo, first: Face, settings: Settings, digest: str) -> Seen:
    """A face that was found, looked at a second time, brought to scale and measured."""
    face = refine(photo, first) if settings.fine else first
    file = None
    if settings.corrections and not is_video(item.path):
        face, file = settings.corrections.correct(face, first, item.path, digest)
    scale, notes = None, []
    request = settings.scale_request()
    if request is not None:
        try:
            if request.kind == "iris" and request.assumed:
                _adult_iris(item, settings)
            scale = find_scale(request, photo, face.landmarks, face.samples)
        except AnthropoError as error:
            notes.append(str(error))
    return Seen(face, scale, measure_face(face, photo, scale=scale, force=settings.force), notes, file)


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
    values: list[Sequence[Measurement]] = []
    failed: list[FaceError] = []
    best: Seen | None = None
    unscaled: list[str] = []
    for photo in video.photos(settings.frames):
        try:
            (first,) = _faces(photo, settings)
        except FaceError as error:
            failed.append(error)
            continue
        one = _see(item, photo, first, settings, digest)
        values.append([m for m in one.values if isinstance(m, Measurement)])
        unscaled += one.notes
        if best is None or _doubt(one.face) < _doubt(best.face):
            best = replace(one, photo=photo)
    if best is None or best.photo is None:
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
    pooled = replace(best, values=pool(values), notes=notes)
    record = record_of(item, 0, pooled, best.photo, digest, settings)
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
        on_face(item, 0, best.face, best.scale, digest, best.photo)
    return record


def _doubt(face: Face) -> tuple[int, float]:
    """By which one of two frames is the better one to show."""
    return sum(not check.ok for check in face.gate), face.unsteadiness


def _adult_iris(item: Item, settings: Settings) -> None:
    """Refuse the mean iris of adults for a child of known age."""
    with contextlib.suppress(InputError):
        age = parse_age(person_of(item, settings)["age"])
        if age < IRIS_FROM:
            raise ScaleError(
                f"{item.path}: --scale iris is for people of {IRIS_FROM:g} years and more; this one is "
                f"{age:g} years old. Give --scale iris=MM with the measured diameter, sticker=MM or ipd=MM."
            )


def measure_table(
    photos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    jobs: int = 1,
    face: Which = "one",
    jitter: int = DEFAULT_JITTER,
    landmark_model: str | None = None,
    max_megapixels: float | None = MAX_MEGAPIXELS,
    fine: bool = True,
    force: bool = False,
    texture: bool = False,
    scale: str | None = None,
    references: Sequence[str] = (),
    sex: str | None = None,
    age: float | None = None,
    landmarks: str | os.PathLike[str] | None = None,
    frames: int = FRAMES,
) -> pd.DataFrame:
    """Measure many photographs and videos.

    Parameters
    ----------
    photos : path or sequence of paths
        Files, folders, patterns, or CSV files with a `photo` column. Videos are measured where they are
        named, a row each; in folders they are passed over.
    jobs : int
        Threads.
    face, jitter, landmark_model, max_megapixels
        As for `anthropo.read_faces`.
    fine : bool
        Look at landmarks a second time in high-resolution patches.
    force : bool
        Keep values that the photo gate voids, with the reason.
    texture : bool
        Local binary patterns as well (columns ``lbp_*``).
    scale : str, optional
        ``"sticker=20"``, ``"ipd=62"``, ``"iris"`` or ``"mm-per-px=0.21"``: millimetres as well.
    references : sequence of str
        Reference tables, by name or file. When left out the shipped one, if sex and age are known.
    sex : {"female", "male"}, optional
    age : float, optional
        Years; both of whoever has no column `sex` or `age`.
    landmarks : path, optional
        Landmark file of the photo, or a folder of such files: measure from these, corrected by hand.
    frames : int
        Frames of a video that are measured.

    Returns
    -------
    pandas.DataFrame
        One row per photograph (per face with ``face="all"``), in the order given, with the columns
        of the CSV output: ``photo``, ``status``, ``reason``, then numbers; failed photographs have
        a reason and no numbers.

    Raises
    ------
    InputError
        If there is nothing to measure, or the scale, a reference, sex, age or landmarks cannot be used.
    """
    settings = Settings(
        face=face,
        jitter=jitter,
        landmark_model=landmark_model,
        max_megapixels=max_megapixels,
        fine=fine,
        force=force,
        texture=texture,
        scale=scale,
        references=(references,) if isinstance(references, str) else tuple(references),
        sex=sex,
        age=None if age is None else str(age),
        corrections=None if landmarks is None else Corrections(os.fspath(landmarks)),
        frames=frames,
    )
    settings.fingerprint()  # a missing model is one error, not one per photo
    given = [photos] if isinstance(photos, (str, os.PathLike)) else photos
    items = collect([os.fspath(p) for p in given])
    if not items:
        raise InputError("No photograph was named.")
    results = {records[0]["photo"]: records for records in run(items, settings, jobs)}
    return data_frame(
        [flatten({**record, "columns": item.columns}) for item in items for record in results[item.path]]
    )
