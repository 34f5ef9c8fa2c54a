"""Measurements of photos, of tables of photos, and of people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from anthropo.batch.inputs import collect
from anthropo.batch.output import data_frame
from anthropo.batch.patients import patients, pool_patient
from anthropo.batch.run import run
from anthropo.errors import InputError
from anthropo.face.landmarker import DEFAULT_JITTER, Which
from anthropo.measurement.compute import Measurement, measure_face
from anthropo.measurement.landmark_file import Corrections
from anthropo.measurement.scale import ScaleRequest, find_scale, parse_scale
from anthropo.observation import observe
from anthropo.photo import MAX_MEGAPIXELS, Photo
from anthropo.settings import Settings
from anthropo.video import FRAMES

if TYPE_CHECKING:
    import pandas as pd


def measure(
    photo: str | os.PathLike[str] | Photo,
    *,
    scale: ScaleRequest | str | None = None,
    face: Which = "one",
    jitter: int = DEFAULT_JITTER,
    landmark_model: str | None = None,
    fine: bool = True,
    force: bool = False,
    max_megapixels: float | None = MAX_MEGAPIXELS,
) -> list[Measurement]:
    """Measure the face of one photograph.

    Parameters
    ----------
    photo : path or Photo
    scale : ScaleRequest or str, optional
        Such as ``"sticker=20"``; gives millimetres.
    face, jitter, landmark_model, max_megapixels
        As for `anthropo.read_face`.
    fine : bool
        Look at landmarks a second time in high-resolution patches.
    force : bool
        Keep values that the photo gate voids.

    Returns
    -------
    list of Measurement

    Raises
    ------
    PhotoError, FaceError, WeightsError
        As `anthropo.observe`.
    ScaleError
        If the scale is not found in the photo.

    Examples
    --------
    >>> import anthropo
    >>> values = {m.id: m for m in anthropo.measure(anthropo.example_photo())}
    >>> round(values["intercanthal_width"].value, 2), values["intercanthal_width"].unit
    (0.37, 'ex-ex')
    """
    settings = Settings(
        face=face, jitter=jitter, landmark_model=landmark_model, fine=fine, max_megapixels=max_megapixels
    )
    seen = observe(photo, settings)
    request = parse_scale(scale) if isinstance(scale, str) else scale
    found = find_scale(request, seen.photo, seen.face.landmarks, seen.face.samples) if request else None
    return measure_face(seen.face, seen.photo, scale=found, force=force)


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
    results = {records[0].photo: records for records in run(items, settings, jobs)}
    return data_frame(
        [replace(record, columns=item.columns).to_row() for item in items for record in results[item.path]]
    )


def patient_table(
    photos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    jobs: int = 1,
    settings: Settings | None = None,
) -> pd.DataFrame:
    """Measure people of whom there are several photographs or videos.

    Parameters
    ----------
    photos : path or sequence of paths
        As for `anthropo.measure_table`. Photos that share a name in the column `patient` of a CSV are of one
        person; where there is no such column, all are.
    jobs : int
        Threads.
    settings : Settings, optional
        How photos are measured.

    Returns
    -------
    pandas.DataFrame
        One row per person, with the columns of ``anthropo measure --patient``.

    Raises
    ------
    InputError
        As `anthropo.measure_table`, and if the table contradicts itself about a person.
    """
    chosen = Settings() if settings is None else settings
    chosen.fingerprint()  # a missing model is one error, not one per photo
    given = [photos] if isinstance(photos, (str, os.PathLike)) else photos
    items = collect([os.fspath(p) for p in given])
    people = patients(items)
    records = {of_photo[0].photo: of_photo for of_photo in run(items, chosen, jobs)}
    return data_frame([pool_patient(who, records, chosen).to_row() for who in people])
