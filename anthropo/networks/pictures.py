"""Photographs as the material of training: pictures, targets, parts by patient, augmentation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anthropo.errors import FaceError, InputError, PhotoError
from anthropo.face.landmarker import FIRST_DECODE
from anthropo.learning.cohort import Case, Cohort, some, typed
from anthropo.learning.duplicates import PRINT_SIDE, face_print, image_print
from anthropo.learning.features import Features
from anthropo.learning.splits import split
from anthropo.networks.architectures import Task
from anthropo.networks.chips import View
from anthropo.networks.recipes import ALL, Parameters
from anthropo.observation import observe
from anthropo.photo import read_photo
from anthropo.settings import Settings
from anthropo.threads import in_order

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

TRAIN, VALIDATION, TEST = 0, 1, 2
_POSE_UNIT = 30.0  # degrees
_LEAST = 3  # patients of a label: to train on, to stop by, to judge by


# ------------------------------------------------------------------------------------------- pictures


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """The pictures of a cohort's photos: kept, or cut again from the files whenever they are wanted."""

    view: View
    photos: tuple[str, ...]  # n
    frames: tuple[Floats | None, ...]  # of each photo's face
    pose: NDArray[np.float32]  # (n, 3) yaw, pitch and roll, 30 degrees are 1; 0 without a face
    kept: Pixels | None  # (n, views, size, size, 3)
    max_megapixels: float | None

    def of(self, rows: Sequence[int], name: str) -> Pixels:
        """Some photos' pictures of one view, (len(rows), size, size, 3).

        Raises
        ------
        PhotoError
            If a photo has to be read again and no longer can be.
        """
        at = self.view.names.index(name)
        if self.kept is not None:
            chosen: Pixels = self.kept[np.asarray(rows, dtype=np.int64), at]
            return chosen
        alone = replace(self.view, names=(name,))
        out = np.empty((len(rows), self.view.size, self.view.size, 3), np.uint8)
        for i, row in enumerate(rows):
            out[i] = alone.cut(_read(self.photos[row], self.view, self.max_megapixels), self.frames[row])[0]
        return out


def _read(path: str, view: View, max_megapixels: float | None) -> Any:
    short_side = FIRST_DECODE if view.needs_face else view.size
    return read_photo(path, short_side=short_side, max_megapixels=max_megapixels)


def gather(
    cohort: Cohort,
    view: View,
    settings: Settings,
    *,
    memory: float,
    jobs: int = 1,
    on_progress: Callable[[], None] | None = None,
) -> tuple[Pictures, Features]:
    """Look at every photo of a cohort once: is there a face, and where.

    Parameters
    ----------
    cohort : Cohort
    view : View
    settings : Settings
        How photos are read.
    memory : float
        GiB that pictures may take; if they would take more, they are cut from the files again when wanted.
    jobs : int
        Threads.
    on_progress : callable, optional
        Called once for each photo.

    Returns
    -------
    pictures : Pictures
        Of the photos that can be used.
    features : Features
        The same photos without measurements and embeddings, as `anthropo.learning.features.validate`
        wants them; the others are in ``left_out``.
    """
    bytes_each = len(view.names) * view.size**2 * 3
    keep = bytes_each * len(cohort.cases) <= memory * (1 << 30)
    found: list[tuple[Case, _Seen]] = []
    left_out: list[tuple[str, str]] = []

    def look(case: Case) -> _Seen | str:
        try:
            return _look(case.photo, view, settings, keep)
        except (PhotoError, FaceError) as error:
            return str(error)

    for case, seen in zip(cohort.cases, in_order(look, cohort.cases, jobs), strict=True):
        if isinstance(seen, str):
            left_out.append((case.photo, seen))
        else:
            found.append((case, seen))
        if on_progress:
            on_progress()
    cases = [case for case, _ in found]
    n = len(cases)
    shape = (n, len(view.names), view.size, view.size, 3)
    pictures = Pictures(
        view=view,
        photos=tuple(case.photo for case in cases),
        frames=tuple(seen.frame for _, seen in found),
        pose=np.array([seen.pose for _, seen in found], np.float32).reshape(n, 3),
        kept=np.stack([s.chips for _, s in found]).reshape(shape) if keep and n else None,  # type: ignore[misc]
        max_megapixels=settings.max_megapixels,
    )
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
        digests=np.array([seen.digest for _, seen in found], dtype=np.str_),
        prints=np.array([seen.print for _, seen in found], np.float32).reshape(n, PRINT_SIDE**2),
        left_out=tuple(left_out),
    )
    return pictures, features


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What a photo gave."""

    digest: str
    frame: Floats | None
    pose: tuple[float, float, float]
    print: NDArray[np.float32]
    chips: Pixels | None


def _look(path: str, view: View, settings: Settings, keep: bool) -> _Seen:
    if not view.needs_face:
        photo = _read(path, view, settings.max_megapixels)
        chips = view.cut(photo, None) if keep else None
        return _Seen(photo.sha256, None, (0.0, 0.0, 0.0), image_print(photo), chips)
    seen = observe(path, settings)
    photo, face = seen.photo, seen.face
    frame = view.frame(face)
    return _Seen(
        seen.digest,
        frame,
        (face.yaw / _POSE_UNIT, face.pitch / _POSE_UNIT, face.roll / _POSE_UNIT),
        face_print(photo, face),
        view.cut(photo, frame) if keep else None,
    )


# ------------------------------------------------------------------------------------- what is learned


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What is learned from: photos, or cases of several photos."""

    rows: tuple[tuple[int, ...], ...]  # n: which pictures belong to each
    labels: tuple[str, ...]  # k: labels, grades (lowest first) or attributes
    target: NDArray[Any]  # (n,) index of the label, or (n, k) 0 and 1 of attributes
    patients: NDArray[np.str_]  # (n,)
    part: NDArray[np.int64]  # (n,) TRAIN, VALIDATION or TEST
    metadata: NDArray[np.float32] | None = None  # (n, q) of cases
    columns: dict[str, Any] | None = None  # how the metadata became numbers
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def chosen(self, part: int) -> NDArray[np.int64]:
        """Which units are in a part."""
        return np.flatnonzero(self.part == part)


def units_of(task: Task, features: Features, parameters: Parameters, kinds: Mapping[str, str]) -> Units:
    """Photos as what a task learns from.

    Parameters
    ----------
    task : {"labels", "grades", "attributes", "cases"}
    features : Features
        Of `gather`.
    parameters : Parameters
        ``folds``, ``seed``, ``grades`` and ``metadata`` are used.
    kinds : mapping
        Kinds of the metadata columns, as in a cohort.

    Raises
    ------
    InputError
        If labels have too few patients, are not the grades, or a column does not exist.
    """
    if not len(features):
        raise InputError("No photo of the cohort can be used.")
    labels, patients = features.labels.tolist(), features.patients.tolist()
    if task == "cases":
        return _cases(features, parameters, kinds)
    rows = tuple((i,) for i in range(len(features)))
    if task == "attributes":
        said = [tuple(own for own in label.split("; ") if own) for label in labels]
        names, notes = _attributes(said, patients)
        target = np.array([[name in own for name in names] for own in said], np.float32)
        usable = [tuple(own for own in given if own in names) for given in said]
        part = parts(usable, patients, parameters)
        return Units(rows, names, target, features.patients, part, notes=notes)
    names = tuple(sorted(set(labels)))
    if task == "grades":
        names = _grades(names, parameters.grades)
    _enough(labels, patients)
    target = np.array([names.index(label) for label in labels])
    part = parts(labels, patients, parameters)
    return Units(rows, names, target, features.patients, part)


def parts(
    labels: Sequence[str] | Sequence[tuple[str, ...]], patients: Sequence[str], parameters: Parameters
) -> NDArray[np.int64]:
    """Which part each photo belongs to; no patient is in two.

    One fold of `anthropo.learning.splits.split` is for judging (TEST), the next one for stopping
    (VALIDATION), the others are trained on. The same cohort, ``folds``, ``fold`` and ``seed`` give the same
    parts.
    """
    dealt = split(labels, patients, parameters.folds, parameters.seed)
    if dealt.number < _LEAST:
        raise InputError(
            f"Too few patients: {_LEAST} of at least two labels are needed, to train on, to stop by and to "
            "judge by. Add patients."
        )
    if parameters.fold >= dealt.number:
        raise InputError(f"fold {parameters.fold}: too few patients for more than {dealt.number} folds.")
    part = np.full(len(dealt.index), TRAIN)
    part[dealt.index == parameters.fold] = TEST
    part[dealt.index == (parameters.fold + 1) % dealt.number] = VALIDATION
    return part


def _enough(labels: Sequence[str], patients: Sequence[str]) -> None:
    people: dict[str, set[str]] = defaultdict(set)
    for label, patient in zip(labels, patients, strict=True):
        people[label].add(patient)
    few = [f"{label} ({len(own)})" for label, own in sorted(people.items()) if len(own) < _LEAST]
    if few:
        raise InputError(
            f"Too few patients with {some(few)}: each label needs {_LEAST}, to train on, to stop by and to "
            "judge by. Add patients, or leave the label out."
        )
    if len(people) < 2:
        raise InputError(f"One label only, {next(iter(people))}. Add photos with another.")


def _attributes(
    said: Sequence[tuple[str, ...]], patients: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Attributes that enough patients have and lack; a sentence on the others."""
    everybody = set(patients)
    having: dict[str, set[str]] = defaultdict(set)
    for own, patient in zip(said, patients, strict=True):
        for name in own:
            having[name].add(patient)
    usable = tuple(
        sorted(n for n, own in having.items() if min(len(own), len(everybody) - len(own)) >= _LEAST)
    )
    if not usable:
        raise InputError(
            f"No attribute is present in {_LEAST} patients and absent from {_LEAST}. Cells of the column "
            "`label` are lists (ptosis; long philtrum)."
        )
    rare = sorted(having.keys() - set(usable))
    note = f"not learned, for fewer than {_LEAST} patients with or without it: {some(rare)}."
    return usable, (note,) if rare else ()


def _grades(found: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    listed = ", ".join(found)
    if not given:
        raise InputError(
            "grades: which label is lowest? Pass --set grades=… with the labels from the lowest to the "
            f"highest; there are {listed}."
        )
    if set(given) != set(found):
        raise InputError(f"grades {', '.join(given)}: not the labels of the cohort, which are {listed}.")
    return given


def _cases(features: Features, parameters: Parameters, kinds: Mapping[str, str]) -> Units:
    """Photos of one patient under one label are a case."""
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, key in enumerate(zip(features.patients.tolist(), features.labels.tolist(), strict=True)):
        members[key].append(i)
    patients, labels = [patient for patient, _ in members], [label for _, label in members]
    _enough(labels, patients)
    names = tuple(sorted(set(labels)))
    part = parts(labels, patients, parameters)
    rows = tuple(tuple(own) for own in members.values())
    wanted = tuple(kinds) if parameters.metadata == (ALL,) else parameters.metadata
    for name in wanted:
        if name not in kinds:
            raise InputError(
                f"metadata {name}: no such column to learn from. There are {', '.join(kinds) or 'none'}."
            )
    values = {name: of_cases(features.metadata[name], rows) for name in wanted}
    columns = {
        name: _column([v for v, p in zip(values[name], part, strict=True) if p == TRAIN]) for name in wanted
    }
    many = sum(len(own) > parameters.images for own in rows)
    notes: tuple[str, ...] = ()
    if many:
        notes = (f"{many} cases have more than {parameters.images} photos: the first are judged by.",)
    for name in wanted:
        torn = sum(len(_said(features.metadata[name], own)) > 1 for own in rows)
        if torn:
            notes += (f"{name}: {torn} cases whose photos differ in it: the first value is learned from.",)
    return Units(
        rows,
        names,
        np.array([names.index(label) for label in labels]),
        np.array(patients, dtype=np.str_),
        part,
        encode_metadata(columns, values, len(rows)) if wanted else None,
        columns,
        notes,
    )


def _said(values: Sequence[Any], rows: Sequence[int]) -> list[Any]:
    """What photos say, without what is missing, each once."""
    return list(dict.fromkeys(values[i] for i in rows if values[i] is not None and values[i] == values[i]))


def of_cases(values: Sequence[Any], rows: Sequence[Sequence[int]]) -> list[Any]:
    """Of each case the first photo's value that is known; else None."""
    return [next(iter(_said(values, own)), None) for own in rows]


def _column(values: Sequence[Any]) -> dict[str, Any]:
    """How a column becomes numbers, learned from the training cases."""
    known = [v for v in values if v is not None and v == v]
    if known and all(isinstance(v, str) for v in known):
        return {"values": sorted(set(known))}
    numbers = np.array([float(v) for v in known] or [0.0])
    return {"mean": float(numbers.mean()), "sd": float(numbers.std()) or 1.0}


def encode_metadata(
    columns: Mapping[str, Mapping[str, Any]], values: Mapping[str, Sequence[Any]], n: int
) -> NDArray[np.float32]:
    """Metadata as numbers, each followed by whether it is missing.

    Parameters
    ----------
    columns : mapping
        Of a network's manifest: ``{"mean", "sd"}`` of a number, ``{"values"}`` of categories.
    values : mapping of str to sequence
        Of each column that is known; None and NaN are missing, so is a category that training had not.
    n : int
        Cases.

    Returns
    -------
    ndarray of float32, (n, q)
    """
    out: list[NDArray[np.float32]] = []
    for name, how in columns.items():
        own = list(values.get(name, [None] * n))
        if "values" in how:
            unknown = np.array([v not in how["values"] for v in own], np.float32)
            out += [
                x
                for value in how["values"]
                for x in (np.array([v == value for v in own], np.float32), unknown)
            ]
        else:
            numbers = np.array([np.nan if v is None else float(v) for v in own])
            missing = np.isnan(numbers)
            out += [
                np.where(missing, 0, (numbers - how["mean"]) / how["sd"]).astype(np.float32),
                missing.astype(np.float32),
            ]
    return np.stack(out, 1) if out else np.empty((n, 0), np.float32)


def balancing(target: NDArray[Any]) -> NDArray[np.float32]:
    """Weights that make every label weigh the same: (n,) of labels, (n, a) of attributes; their mean is 1."""
    if target.ndim == 1:
        counts = Counter(target.tolist())
        return np.array([len(target) / (len(counts) * counts[t]) for t in target.tolist()], np.float32)
    share = np.clip(target.mean(0, keepdims=True), 1 / len(target), 1 - 1 / len(target))
    weights: NDArray[np.float32] = np.where(target > 0, 0.5 / share, 0.5 / (1 - share)).astype(np.float32)
    return weights


# ------------------------------------------------------------------------------------------ augmentation


def augment(x: Tensor, parameters: Parameters, generator: torch.Generator) -> Tensor:
    """Pictures (n, c, h, w), each moved by an affine map of its own; what comes in repeats the border.

    Rotation, shifts, shear, zoom and mirroring as the recipe says, and with ``crop`` a window of random
    size and place that is scaled to the whole picture.
    """
    n = len(x)
    draw = torch.rand(n, 9, generator=generator)

    def either_way(column: int, most: float) -> Tensor:
        return (2 * draw[:, column] - 1) * most

    turn, shear = (
        torch.deg2rad(either_way(0, parameters.rotation)),
        torch.deg2rad(either_way(1, parameters.shear)),
    )
    room = draw[:, 3] * parameters.crop  # beside the window
    side = (1 + either_way(2, parameters.zoom)) * (1 - room)
    mirrored = torch.where(draw[:, 4] < 0.5 * parameters.flip, -1.0, 1.0)
    across = either_way(5, 2 * parameters.shift) + either_way(6, 1) * room
    down = either_way(7, 2 * parameters.shift) + either_way(8, 1) * room
    theta = torch.empty(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = mirrored * side * turn.cos(), -side * (turn + shear).sin()
    theta[:, 1, 0], theta[:, 1, 1] = mirrored * side * turn.sin(), side * (turn + shear).cos()
    theta[:, 0, 2], theta[:, 1, 2] = across, down
    grid = functional.affine_grid(theta.to(x.device), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
