"""The pictures that networks see of a cohort's photographs: kept, or cut again when they are wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from anthropo.decoding.limits import Limits
from anthropo.encoder.views import View
from anthropo.errors import FaceError, PhotoError
from anthropo.face.gate import CHECKS
from anthropo.face.landmarker import FIRST_DECODE
from anthropo.learning.cohort import Case, Cohort, Kind, typed
from anthropo.learning.duplicates import PRINT_SIDE, face_print, image_print
from anthropo.learning.features import Features, subset
from anthropo.learning.identity import IDENTITY, SamePeople, face_identity
from anthropo.observation import observe
from anthropo.parallel.runner import Lost, Runner, choose
from anthropo.parallel.threads import Threads
from anthropo.photo import Photo, example_photo, read_photo
from anthropo.settings import Settings

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Advance = Callable[[], None]  # called after each photo

_POSE_UNIT = 30.0  # degrees


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """The pictures of a cohort's photos: kept, or cut again from the files whenever they are wanted."""

    view: View
    photos: tuple[str, ...]  # n
    frames: tuple[Floats | None, ...]  # of each photo's face
    pose: NDArray[np.float32]  # (n, 3) yaw, pitch and roll, 30 degrees are 1; 0 without a face
    kept: Pixels | None  # (n, views, size, size, 3)
    limits: Limits
    jobs: int = 1  # photos that are cut again at once

    def of(self, rows: Sequence[int], name: str) -> Pixels:
        """Some photos' pictures of one view, (len(rows), size, size, 3)."""
        if self.kept is not None:
            chosen: Pixels = self.kept[np.asarray(rows, dtype=np.int64), self.view.names.index(name)]
            return chosen

        out = np.empty((len(rows), self.view.size, self.view.size, 3), np.uint8)
        asked = [(self.photos[row], self.frames[row]) for row in rows]
        cut = _Cut(self.view, replace(self.view, names=(name,)), self.limits)
        threads = Threads(
            max(1, min(self.jobs, len(asked)))
        )  # for each batch, whatever starts must start at once
        with contextlib.closing(threads.in_order(cut, asked)) as pictures:
            for i, picture in enumerate(pictures):
                out[i] = picture
        return out

    def subset(self, rows: NDArray[np.int64]) -> Pictures:
        """The pictures of some of the photos."""
        return replace(
            self,
            photos=tuple(self.photos[i] for i in rows),
            frames=tuple(self.frames[i] for i in rows),
            pose=self.pose[rows],
            kept=None if self.kept is None else self.kept[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CohortPictures:
    """The photos of a cohort that networks can use: their pictures, and what is known of each photo."""

    pictures: Pictures
    features: Features  # without measurements and embeddings; unusable photos are in `left_out`
    kinds: Mapping[str, Kind]  # of the metadata columns
    settings: Settings  # that the photos were read with
    source: str  # the cohort's table or folder
    people: SamePeople = field(default_factory=SamePeople)  # those under several names
    cells: tuple[Mapping[str, str], ...] = ()  # of each photo, all other columns as they stand

    def subset(self, rows: NDArray[np.int64]) -> CohortPictures:
        """Some of the photos; nothing counts as left out."""
        return replace(
            self,
            pictures=self.pictures.subset(rows),
            features=subset(self.features, rows.tolist()),
            cells=tuple(self.cells[i] for i in rows) if self.cells else (),
        )


@dataclass(frozen=True, slots=True)
class _Cut:
    """The work on one photo whose picture is cut again."""

    view: View
    alone: View  # with the wanted picture's name alone
    limits: Limits

    def __call__(self, asked: tuple[str, Floats | None]) -> Pixels:
        path, frame = asked
        picture: Pixels = self.alone.cut(_read(path, self.view, self.limits), frame)[0]
        return picture


def _read(path: str, view: View, limits: Limits) -> Photo:
    short_side = FIRST_DECODE if view.needs_face else view.size
    return read_photo(
        path, short_side=short_side, max_megapixels=limits.max_megapixels, deadline=limits.deadline
    )


def read_pictures(
    cohort: Cohort,
    view: View,
    settings: Settings,
    *,
    memory: float = float("inf"),
    jobs: int = 1,
    runner: Runner | None = None,
    identify: bool = False,
    gate: bool = False,
    advance: Advance | None = None,
) -> CohortPictures:
    """Read every photo of a cohort once, so many at a time, and cut its pictures.

    With `identify`, its features hold what faces are compared by to find a person under two names, and with
    `gate` what the photo gate says of each.
    Pictures that would take more than `memory` GiB are cut from the files again when they are wanted.
    """
    keep = len(view.names) * view.size**2 * 3 * len(cohort.cases) <= memory * (1 << 30)
    usable: list[tuple[Case, _Looked]] = []
    left_out: list[tuple[str, str]] = []
    look = _Look(view, settings, keep, identify)
    runner = choose(jobs, len(cohort.cases), runner)
    with contextlib.closing(runner.in_order(look, cohort.cases)) as results:
        for case, looked in zip(cohort.cases, results, strict=True):
            if isinstance(looked, Lost):
                left_out.append((case.photo, looked.reason(case.photo)))
            elif isinstance(looked, str):
                left_out.append((case.photo, looked))
            else:
                usable.append((case, looked))
            if advance:
                advance()
    cases, n = [case for case, _ in usable], len(usable)
    chips = [looked.chips for _, looked in usable if looked.chips is not None]
    gated = gate and view.needs_face
    features = Features(
        photos=np.array([case.photo for case in cases], dtype=np.str_),
        labels=np.array([case.label for case in cases], dtype=np.str_),
        patients=np.array([case.patient for case in cases], dtype=np.str_),
        measurements=np.empty((n, 0)),
        measurement_ids=(),
        regions={},
        metadata={
            name: typed([case.metadata.get(name, "") for case in cases], kind)
            for name, kind in cohort.metadata.items()
        },
        digests=np.array([looked.digest for _, looked in usable], dtype=np.str_),
        prints=np.array([looked.print for _, looked in usable], np.float32).reshape(n, PRINT_SIDE**2),
        identities=np.array([looked.identity for _, looked in usable], np.float32).reshape(n, IDENTITY)
        if identify and view.needs_face
        else None,
        gate=np.array([looked.gate for _, looked in usable], np.bool_).reshape(n, len(CHECKS))
        if gated
        else None,
        hidden=np.array([looked.hidden for _, looked in usable], np.bool_).reshape(n, 68) if gated else None,
        left_out=tuple(left_out),
    )
    pictures = Pictures(
        view=view,
        photos=tuple(case.photo for case in cases),
        frames=tuple(looked.frame for _, looked in usable),
        pose=(np.array([looked.pose for _, looked in usable]).reshape(n, 3) / _POSE_UNIT).astype(np.float32),
        kept=np.stack(chips) if chips else None,
        limits=settings.limits,
        jobs=jobs,
    )
    return CohortPictures(
        pictures=pictures,
        features=features,
        kinds=cohort.metadata,
        settings=settings,
        source=cohort.source,
        cells=tuple(case.metadata for case in cases),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Looked:
    """A photo that was read: its pictures, and where its face is."""

    digest: str
    frame: Floats | None = None
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    print: NDArray[np.float32]
    identity: NDArray[np.float32] | None = None
    gate: tuple[bool, ...] = ()  # whether each of `anthropo.face.gate.CHECKS` failed
    hidden: NDArray[np.bool_] | None = None
    chips: Pixels | None


@dataclass(frozen=True, slots=True)
class _Look:
    """The work on one photo."""

    view: View
    settings: Settings
    keep: bool
    identify: bool

    def prepare(self) -> None:
        """Read what every photo needs."""
        self(Case(example_photo(), "", ""))

    def __call__(self, case: Case) -> _Looked | str:
        """What a photo gives, or why it gives nothing."""
        view, settings = self.view, self.settings
        try:
            if not view.needs_face:
                photo = _read(case.photo, view, settings.limits)
                chips = view.cut(photo, None) if self.keep else None
                return _Looked(digest=photo.sha256, print=image_print(photo), chips=chips)
            observation = observe(case.photo, settings.at_face(case.face_at))
            photo, face = observation.photo, observation.face
            frame, failed = view.frame(face), {check.name for check in face.gate if not check.ok}
            return _Looked(
                digest=observation.digest,
                frame=frame,
                pose=(face.yaw, face.pitch, face.roll),
                print=face_print(photo, face),
                identity=face_identity(photo, face) if self.identify else None,
                gate=tuple(name in failed for name in CHECKS),
                hidden=face.hidden,
                chips=view.cut(photo, frame) if self.keep else None,
            )
        except (PhotoError, FaceError) as error:
            return str(error)
