"""Instruments (correction and error of landmarks) made from studio photographs with hand-placed points."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from landmark_error import annotated, nearest
from numpy.typing import NDArray
from template189 import placed

from anthropo.errors import AnthropoError
from anthropo.face.fine import FineModel, read_fine_model, refine
from anthropo.face.frame import face_axes, outer_canthal_distance
from anthropo.face.landmarker import FIRST_DECODE, Face, read_face, read_faces
from anthropo.face.lens import AT_REFERENCE
from anthropo.measurement import anatomy
from anthropo.measurement.anatomy import BETWEEN, Correction, Instrument
from anthropo.measurement.compute import error_growth
from anthropo.photo import read_photo

Floats = NDArray[np.float64]

STUDIOS = ("frl", "canada")
WEB = "helen"  # 68 points each; in no training set


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One photo with its landmarks, and the same placed by hand."""

    patient: str
    sex: str
    age: float | None
    face: Face
    points: Floats  # (68, 2) hand-placed, NaN where unknown
    between: Floats  # (6, 2)

    @property
    def unit(self) -> float:
        return outer_canthal_distance(self.points)


# by name of a choice of networks: the one for a patient, or None for the first stage alone
Choices = Mapping[str, Callable[[str], FineModel | None]]


def people(folder: Path, choices: Choices) -> dict[str, list[Person]]:
    """Everybody of a studio, as each choice of networks sees them."""
    result: dict[str, list[Person]] = {name: [] for name in choices}
    for one in placed(folder):
        photo = read_photo(one.path, short_side=FIRST_DECODE)
        first = read_face(photo)
        known = one.landmarks()
        between = np.array([known[code] for code in BETWEEN])
        age = float(one.label["age"]) if one.label["age"].replace(".", "").isdigit() else None
        for name, choose in choices.items():
            model = choose(one.label["patient"])
            face = first if model is None else refine(photo, first, model)
            face = replace(face, distance=AT_REFERENCE)  # the hand-placed points are on the same photo
            person = Person(one.label["patient"], one.label["sex"], age, face, one.points, between)
            result[name].append(person)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """The output folder of development/fine.py."""

    fine: FineModel
    without: dict[str, FineModel]  # by the studio that they were trained without
    folds: tuple[FineModel, ...]
    fold_of: dict[tuple[str, str], int]  # by studio and patient

    @classmethod
    def read(cls, folder: Path) -> Networks:
        def model(name: str) -> FineModel:
            return read_fine_model((folder / f"{name}.npz").read_bytes())

        with open(folder / "folds.csv", newline="") as file:
            fold_of = {(r["studio"], r["patient"]): int(r["fold"]) for r in csv.DictReader(file)}
        return cls(
            model("fine"),
            {studio: model(f"without-{studio}") for studio in STUDIOS},
            tuple(model(f"fold{k}") for k in range(max(fold_of.values()) + 1)),
            fold_of,
        )

    def of_others(self, studio: str, patient: str) -> FineModel:
        """Networks that were not trained on this person."""
        return self.folds[self.fold_of[studio, patient]]


def web_errors(folder: Path, model: FineModel | None) -> Floats:
    """Errors of web portraits in the face's frame (N, 68, 2), mean removed, as on a steady face."""
    photos, _, _ = annotated(folder)
    errors = []
    for path, truth in photos:
        photo = read_photo(path, short_side=FIRST_DECODE)
        unit = outer_canthal_distance(truth)
        try:
            faces = read_faces(photo)
        except AnthropoError:
            continue
        if nearest([f.landmarks for f in faces], truth, unit) is None:
            continue
        face = min(faces, key=lambda f: float(np.linalg.norm(f.landmarks - truth)))
        if model is not None:
            face = refine(photo, face, model)
        axes = face_axes(face.landmarks) * error_growth(face)
        errors.append((face.landmarks - truth) @ np.linalg.inv(axes))
    return np.array(errors) - np.mean(errors, 0)


def symmetric(points: Floats, between: Floats) -> tuple[Floats, Floats]:
    """Values of faces (N, 68, 2) and (N, 6, 2), with those of their mirror images after them."""
    other = anatomy.mirror(points, between)
    return np.concatenate([points, other[0]]), np.concatenate([between, other[1]])


def fit(studios: Sequence[Sequence[Person]]) -> Correction:
    """Mean offsets, the same on both sides; each studio counts the same."""
    means = []
    for members in studios:
        points, between = [], []
        for p in members:
            to_frame = np.linalg.inv(face_axes(p.face.landmarks))
            points.append((p.points - p.face.landmarks) @ to_frame)
            between.append((p.between - anatomy.between(p.face.landmarks)) @ to_frame)
        both = symmetric(np.array(points), np.array(between))
        means.append(np.concatenate([values.mean(0) for values in both]))
    mean = np.mean(means, 0)
    known = frozenset(np.flatnonzero(np.isfinite(mean[:68]).all(1)).tolist())
    return Correction(np.nan_to_num(mean[:68]), mean[68:], known)


def residuals(members: Sequence[Person], correction: Correction) -> tuple[Floats, Floats]:
    """What is left after the correction, (N, 68, 2) and (N, 6, 2) in the face's frame; NaN where unknown."""
    left = []
    for p in members:
        points, between = anatomy.apply(correction, p.face.landmarks, p.face.anatomy)
        to_frame = np.linalg.inv(face_axes(p.face.landmarks) * error_growth(p.face))
        left.append(((points - p.points) @ to_frame, (between - p.between) @ to_frame))
    return np.array([points for points, _ in left]), np.array([between for _, between in left])


def instrument(correction: Correction, left: Sequence[tuple[Floats, Floats]], web: Floats) -> Instrument:
    """A correction with the error that residuals of several studios show.

    The mean of each studio's residuals stays in: it is how studios differ. A studio has mirror images of all
    its people, or, if it is much larger than another, of every second one instead of the person, so that
    studios count about the same.
    """
    least = min(len(points) for points, _ in left)
    parts = []
    for points, between in left:
        both = symmetric(points, between)
        n = len(points)
        chosen = np.arange(2 * n) if n < 1.5 * least else np.arange(n) + n * (np.arange(n) % 2)
        parts.append((both[0][chosen], both[1][chosen]))
    points, between = (np.concatenate(values) for values in zip(*parts, strict=True))
    # points without a counterpart err as on the web portraits
    elsewhere = np.concatenate([web, anatomy.mirror(web, np.zeros((len(web), 6, 2)))[0]])
    order = np.random.default_rng(1).permutation(len(elsewhere))
    elsewhere = np.resize(elsewhere[order][: len(points)], points.shape)
    return Instrument(correction, np.where(np.isfinite(points), points, elsewhere), between)
