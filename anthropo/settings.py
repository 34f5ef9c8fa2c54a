"""What a result depends on, beside the photo."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache

from anthropo._version import __version__
from anthropo.errors import InputError
from anthropo.face import _engine
from anthropo.face.fine import fine_sha256
from anthropo.face.landmarker import DEFAULT_JITTER, Which, landmark_predictor
from anthropo.face.weights import landmark_model
from anthropo.measurement.landmark_file import Corrections
from anthropo.measurement.registry import registry
from anthropo.measurement.scale import ScaleRequest, parse_scale
from anthropo.photo import MAX_MEGAPIXELS
from anthropo.reference.tables import DEFAULT_REFERENCE, Reference, load_reference, parse_age, parse_sex
from anthropo.video import FRAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a result depends on, beside the photo."""

    face: Which = "one"
    jitter: int = DEFAULT_JITTER
    landmark_model: str | None = None
    max_megapixels: float | None = MAX_MEGAPIXELS
    fine: bool = True  # look at the landmarks a second time
    force: bool = False  # keep what the photo gate voids
    texture: bool = False  # local binary patterns as well
    scale: str | None = None  # as given to --scale
    references: tuple[str, ...] = ()  # names or files; the default one when sex or age is known
    sex: str | None = None  # of whoever has no column `sex`
    age: str | None = None

    corrections: Corrections | None = None  # landmarks from files; what a photo's say is no setting
    frames: int = FRAMES  # of a video
    no_face: bool = False  # a picture of something else, which can be learned from but not measured

    def fingerprint(self) -> str:
        """Changes whenever the same photo could give another result.

        Raises
        ------
        InputError, WeightsError
            If one of the settings cannot be used.
        """
        if self.no_face:
            raise InputError("Without a face there is nothing to measure. Leave no_face out.")
        return _fingerprint(self, tuple((r.name, r.sha256) for r in self.tables()))

    def tables(self) -> tuple[Reference, ...]:
        """The reference tables to score against."""
        return _references(self.references)

    def scale_request(self) -> ScaleRequest | None:
        """What gives millimetres, if they are asked for."""
        return _scale_request(self.scale)


@lru_cache(maxsize=16)
def _fingerprint(settings: Settings, tables: tuple[tuple[str, str], ...]) -> str:
    if settings.sex is not None:
        parse_sex(settings.sex)
    if settings.age is not None:
        parse_age(settings.age)
    landmark_predictor(settings.landmark_model)  # refuses one of other points
    _, weights = landmark_model(settings.landmark_model)
    definitions = [(e.id, e.unit, e.expression) for e in registry().values()]
    request = settings.scale_request()
    parts = [
        __version__, _engine.dlib_version, weights, settings.face, settings.jitter, definitions,
        fine_sha256() if settings.fine else "", settings.force, settings.texture, str(request), tables,
        settings.sex, settings.age, settings.frames,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _references(names: tuple[str, ...]) -> tuple[Reference, ...]:
    given = dict.fromkeys(names or (DEFAULT_REFERENCE,))
    found = {name: _reference(name, _stamp(name)) for name in given}
    called: dict[str, str] = {}
    for given_name, reference in found.items():
        if reference.name in called:
            raise InputError(
                f"--reference {called[reference.name]} and {given_name} are both named {reference.name}, and "
                "so would be their columns. Rename one of them."
            )
        called[reference.name] = given_name
    return tuple(found.values())


@lru_cache(maxsize=64)
def _reference(name: str, stamp: tuple[int, int] | None) -> Reference:
    return load_reference(name)


def _stamp(name: str) -> tuple[int, int] | None:
    """Changes with the file, so that a table edited between two calls is read again."""
    try:
        status = os.stat(name)
    except OSError:  # the name of a shipped table
        return None
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=16)
def _scale_request(text: str | None) -> ScaleRequest | None:
    return None if text is None else parse_scale(text)
