"""Photographs and videos, measured by whoever works on many."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from anthropo.batch.inputs import Item
from anthropo.batch.records import FacePlace, Record, VideoSummary
from anthropo.batch.scores import (
    column_named,
    declared_scale,
    diagnostics_of,
    person_of,
    scores_of,
    settings_of,
)
from anthropo.decoding.kinds import unreadable
from anthropo.decoding.provenance import synthetic_sentence
from anthropo.errors import AnthropoError, FaceError, InputError, parameter
from anthropo.face.candidates import NO_FACE
from anthropo.face.landmarker import Face
from anthropo.face.lens import Distance
from anthropo.measurement.compute import Measurement, measure_face
from anthropo.measurement.registry import registry
from anthropo.measurement.texture import lbp
from anthropo.memory import memory
from anthropo.observation import Observation, observe, observe_all
from anthropo.parallel.runner import Lost, Runner, choose
from anthropo.photo import example_photo
from anthropo.reference.person import parse_age
from anthropo.reference.suited import is_studio_like
from anthropo.settings import Settings
from anthropo.video import is_video, open_video

# What scales, scores and several frames need is imported where there are some: one photo rarely has any.
if TYPE_CHECKING:
    from anthropo.measurement.scale import Scale, ScaleRequest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredFace:
    """One face of one photo, or of a video's best frame, measured."""

    item: Item
    observation: Observation
    digest: str  # SHA-256 of the photo's or video's file
    scale: Scale | None
    values: Sequence[Measurement]
    notes: list[str]  # why there is no scale

    @property
    def face(self) -> Face:
        return self.observation.face


OnFace = Callable[[MeasuredFace], object]
F = TypeVar("F")


class Beside(Protocol):
    """Something that is made of every face beside its record; it may be sent to another process."""

    def missing(self, item: Item) -> bool:
        """Whether it lacks a photo, which is measured again for that."""
        ...

    def __call__(self, seen: MeasuredFace) -> object:
        """Make it, where the photo is worked on."""
        ...

    def take(self, item: Item, face: int, made: object) -> None:
        """Take what was made of one of the photo's faces, where the records are collected."""
        ...


@dataclass(frozen=True, slots=True)
class _Measured:
    """What becomes of a photo."""

    records: Any  # or what is made of them
    made: list[tuple[int, list[object]]]  # index of a face, and what is beside it


@dataclass(frozen=True, slots=True)
class _Measure:
    """The work on one photo."""

    settings: Settings
    beside: tuple[Beside, ...]
    finish: Callable[[list[Record]], Any] | None

    def prepare(self) -> None:
        """Read what every photo needs."""
        measure_item(Item(example_photo()), replace(self.settings, face="largest", corrections=None))

    def __call__(self, item: Item) -> _Measured:
        made: list[tuple[int, list[object]]] = []

        def on_face(seen: MeasuredFace) -> None:
            made.append((seen.observation.index, [one(seen) for one in self.beside]))

        records = measure_item(item, self.settings, on_face if self.beside else None)
        return _Measured(self.finish(records) if self.finish else records, made)


@overload
def run(
    items: Sequence[Item],
    settings: Settings,
    jobs: int = 1,
    runner: Runner | None = None,
    beside: Sequence[Beside] = (),
    finish: None = None,
) -> Iterator[list[Record]]: ...
@overload
def run(
    items: Sequence[Item],
    settings: Settings,
    jobs: int = 1,
    runner: Runner | None = None,
    beside: Sequence[Beside] = (),
    *,
    finish: Callable[[list[Record]], F],
) -> Iterator[F]: ...
def run(
    items: Sequence[Item],
    settings: Settings,
    jobs: int = 1,
    runner: Runner | None = None,
    beside: Sequence[Beside] = (),
    finish: Callable[[list[Record]], Any] | None = None,
) -> Iterator[Any]:
    """Records of photographs, as these finish; each photo is measured once.

    With `finish`, what that makes of each photo's records, where the photo is worked on: who collects many
    has little time for each. Closing the iterator (also by Ctrl-C) lets the photos that are under way finish,
    for some seconds, and starts no other.
    """
    once = list({item.path: item for item in items}.values())
    work = _Measure(settings, tuple(beside), finish)
    with contextlib.closing(choose(jobs, len(once), runner).completed(work, once)) as finished:
        for index, result in finished:
            item = once[index]
            reason = result.reason(item.path) if isinstance(result, Lost) else _taken(item, result, beside)
            if reason or isinstance(result, Lost):
                failed = [_failed(item, settings, reason)]
                yield finish(failed) if finish else failed
            else:
                yield result.records


def _taken(item: Item, measured: _Measured, beside: Sequence[Beside]) -> str:
    """Take what was made beside a photo's records; why it cannot be, such as for a name that is too long."""
    try:
        for face, made in measured.made:
            for one, of_face in zip(beside, made, strict=True):
                one.take(item, face, of_face)
    except AnthropoError as error:
        return str(error)
    return ""


def measure_item(item: Item, settings: Settings, on_face: OnFace | None = None) -> list[Record]:
    """Measure one photograph or video.

    Parameters
    ----------
    item : Item
    settings : Settings
    on_face : callable, optional
        Called with every `MeasuredFace`.

    Returns
    -------
    list of Record
        One for each face that was asked for, or a single failed one with its reason.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.batch import Item, measure_item
    >>> (record,) = measure_item(Item("gone.jpg"), anthropo.Settings())
    >>> record.status, record.reason
    ('failed', 'gone.jpg: no such file.')
    """
    try:
        with memory.one_photo():
            return _records_of(item, settings, on_face)
    except AnthropoError as error:
        reason = str(error)
    except MemoryError:
        reason = f"{item.path}: not enough memory. Use fewer {parameter('jobs')}."
    return [_failed(item, settings, reason)]


def _failed(item: Item, settings: Settings, reason: str) -> Record:
    """What is written of a photo that nothing was measured on."""
    diagnostics = diagnostics_of(item, settings)
    return Record(photo=item.path, reason=reason, columns=item.columns, diagnostics=diagnostics)


def _records_of(item: Item, settings: Settings, on_face: OnFace | None) -> list[Record]:
    if is_video(item.path):
        return [_measure_video(item, settings, on_face)]
    observed = observe_all(item.path, settings_of(item, settings))
    faces = [measure_observation(item, one, settings) for one in observed]
    records = [record_of(face, settings) for face in faces]
    if on_face is not None:
        for face in faces:
            on_face(face)
    return records


def measure_observation(
    item: Item, observation: Observation, settings: Settings, digest: str | None = None
) -> MeasuredFace:
    """A face brought to scale and measured; `digest` is that of the file where it is not the photo's."""
    photo, face = observation.photo, observation.face
    scale, notes = None, []
    if declared := declared_scale(item, settings):
        from anthropo.measurement.scale import find_scale

        try:
            request = _scale_request(item, declared)
            if request.kind == "iris" and request.assumed:
                _adult_iris(item, settings)
            scale = find_scale(request, photo, face.landmarks, face.samples, face.hidden)
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


def record_of(seen: MeasuredFace, settings: Settings) -> Record:
    """What is written of a measured face."""
    item, face, landmarks = seen.item, seen.face, seen.observation.landmarks
    scores = scores_of(item, seen.values, settings, studio=is_studio_like(face.gate))
    disagreements: Sequence[str] = ()
    if scores.scores:
        from anthropo.reference import zscore

        disagreements = zscore.disagreements(scores.scores)
    texture = lbp(seen.observation.photo, face.landmarks, face.cover) if settings.texture else None
    stamped = settings.corrections if landmarks else None
    return Record(
        photo=item.path,
        index=seen.observation.index,
        face=FacePlace.of(face, landmarks),
        scale=seen.scale,
        measurements=tuple(_without_scale(value, seen.notes) for value in seen.values),
        scores=scores.scores,
        texture=texture,
        disagreements=tuple(disagreements),
        notes=(*seen.notes, *scores.notes, *_without_texture(item, texture or {})),
        age_basis=scores.age_basis,
        remark=_remark(seen),
        columns=item.columns,
        diagnostics=replace(
            diagnostics_of(item, settings),
            sha256=seen.digest,
            landmarks=stamped.stamp(item.path, seen.digest) if stamped else "",
            score=round(face.score, 4),
            second_try=face.second_try,
            detector=face.detector,
            turned=round(face.turned, 1),
            synthetic=seen.observation.photo.synthetic or None,
            **_distance(face.distance),
        ),
    )


def _remark(seen: MeasuredFace) -> str:
    """What should be known of the photo, and keeps nothing from being measured."""
    photo = seen.observation.photo
    made = synthetic_sentence(photo.synthetic) if photo.synthetic else ""
    return " ".join(filter(None, (photo.remark, seen.face.distance.reason, made)))


def _distance(distance: Distance) -> dict[str, Any]:
    """What diagnostics say of the camera's distance; where it is not known, what is assumed of it."""
    return {
        "distance": round(distance.cm, 1) if distance.known else None,
        "distance_lo": round(distance.lo, 1),
        "distance_hi": round(distance.hi, 1),
        "distance_source": distance.source,
    }


def _without_scale(value: Measurement, notes: Sequence[str]) -> Measurement:
    """A measurement with the reason why there is no scale, if it needs one that was asked for."""
    return replace(value, reason=notes[0]) if notes and registry()[value.id].needs_mm else value


def _without_texture(item: Item, texture: Mapping[str, float]) -> list[str]:
    """A note on the places where local binary patterns could not be computed."""
    missing = [name for name, value in texture.items() if math.isnan(value)]
    where = ", ".join(dict.fromkeys(name.removeprefix("lbp_").rsplit("_r", 1)[0] for name in missing))
    why = "the face is too small, cut by the photo's border, or something hides it there"
    return [f"{item.path}: no texture patterns at {where}: {why}."] if missing else []


def _measure_video(item: Item, settings: Settings, on_face: OnFace | None) -> Record:
    """One record of a video: measurements pooled over its frames, landmarks of the best frame."""
    from anthropo.measurement.pooling import pool

    if settings.face == "all":
        all_faces, largest = parameter("face", "all"), parameter("face", "largest")
        raise InputError(f"{item.path}: {all_faces} is for photos. Of a video, measure {largest}.")
    if settings.corrections and not settings.corrections.folder:
        raise InputError(f"{item.path}: {parameter('landmarks')} are those of a photo, not of a video.")
    video = open_video(item.path, max_megapixels=settings.max_megapixels, deadline=settings.deadline)
    of_frames = replace(settings_of(item, settings), corrections=None)
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
        one = measure_observation(item, observation, settings, video.sha256)
        values.append(one.values)
        unscaled += one.notes
        if best is None or observation.doubt < best.observation.doubt:
            best = one
    if best is None:
        if not failed:
            raise unreadable(item.path)
        others = [error for error in failed if NO_FACE not in str(error)]
        if others:
            raise others[0]
        raise FaceError(
            f"{item.path}: no face found in any of {len(failed)} frames. Use a video in which the whole face "
            "is visible, upright and well lit."
        )
    notes = unscaled[:1] if len(unscaled) == len(values) else []
    remarks = []
    if len(values) == 1:
        remarks.append("one frame measured: the intervals are those of one photo")
    if video.cut_off:
        ends = f"ends after {video.seconds:.1f} of {video.promised:.1f} s"
        remarks.append(f"{ends}: measured are the frames that are there")
    if best.observation.photo.colour_doubt:
        remarks.append(f"no colours measured, {best.observation.photo.colour_doubt}")
    summary = VideoSummary(
        seconds=round(video.seconds, 3),
        frames=len(values) + len(failed),
        measured=len(values),
        remarks=remarks,
    )
    record = record_of(replace(best, values=pool(values), notes=notes), settings)
    if on_face is not None:
        on_face(best)
    return replace(record, video=summary)


def _scale_request(item: Item, declared: str) -> ScaleRequest:
    """What gives millimetres; an InputError names the photo, whose column may be wrong."""
    from anthropo.measurement.scale import parse_scale

    try:
        return parse_scale(declared, named=column_named(item, "scale"))
    except InputError as error:
        raise InputError(f"{item.path}: {error}") from None


def _adult_iris(item: Item, settings: Settings) -> None:
    """Refuse the mean iris of adults for a child of known age."""
    from anthropo.measurement.scale import IRIS_FROM, ScaleError

    with contextlib.suppress(InputError):
        age = parse_age(person_of(item, settings).age)
        if age < IRIS_FROM:
            raise ScaleError(
                f"{item.path}: the scale iris is for people of {IRIS_FROM:g} years and more; "
                f"this one is {age:g} years old. Give the scale iris=MM with the measured diameter, "
                "sticker=MM or ipd=MM."
            )
