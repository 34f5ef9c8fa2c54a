"""Displacements of a face's points that change chosen measurements, and the invented labels made of them.

Lengths here are in outer-canthal distances, on the face's own axes (x along the eye line towards the
subject's left, y down), as in `anthropo.face.frame.face_axes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from anthropo.errors import InputError
from anthropo.face.frame import Floats
from anthropo.face.scheme import MIRROR
from anthropo.face.shape import shapes
from anthropo.files import packaged_table
from anthropo.measurement.compute import evaluate, geometry
from anthropo.measurement.registry import registry
from anthropo.reference.tables import load_reference

#: The label of invented people whose faces are as they are.
CONTROL = "control"
PUPILS = (68, 69)  # the subject's right and left, after the 68 points
LIDS = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))
_MIRROR = np.array([*MIRROR, 69, 68])


@dataclass(frozen=True, slots=True)
class Morph:
    """A displacement of some landmarks that changes one measurement and what is made of it.

    Examples
    --------
    >>> from anthropo.synthetic import SINGLE_MORPHS
    >>> SINGLE_MORPHS["mouth_width"].description, SINGLE_MORPHS["mouth_width"].range
    ('a wider mouth', (-2.5, 3.0))
    """

    name: str
    description: str  # of a change upwards
    measurements: tuple[str, ...]  # meant, both sides
    moves: Mapping[int, tuple[float, float]]  # subject's right and midline; the left is mirrored
    gain: float  # how much further points have to move than anthropo then sees them moved
    lowest: float = -3.0  # SD, below which faces no longer follow

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest change, standard deviations, that pictures follow."""
        return self.lowest, 3.0

    @property
    def direction(self) -> Floats:
        """Displacement (70, 2) of the 68 points and both pupils for a strength of 1."""
        field = np.zeros((70, 2))
        for point, (x, y) in self.moves.items():
            field[point] = x, y
            field[_MIRROR[point]] = x if _MIRROR[point] == point else -x, y
        return field

    def displacement(self, amount: float) -> Floats:
        """Displacement (70, 2) after which anthropo measures a change by `amount` standard deviations.

        A predictor draws what it sees towards the faces it knows. Healthy standard deviations were
        measured with it as well, so that an amount means what it means between real people.
        """
        return self.gain * self.strength(amount) * self.direction

    def strength(self, amount: float) -> float:
        """Multiple of `direction` that by definition changes the meant measurements by `amount` SD."""
        ids = list(self.measurements)
        spread = np.array([healthy_sd()[i] for i in ids])

        def change(strength: float) -> float:
            return float((_values(strength * self.direction, ids) / spread).mean())

        # the measurements are all but linear in the strength: a few secant steps are exact
        last, strength = 0.0, 0.01
        before, now = 0.0, change(0.01)
        for _ in range(20):
            if abs(now - amount) < 1e-6 or now == before:
                break
            last, strength = strength, strength + (amount - now) * (strength - last) / (now - before)
            before, now = now, change(strength)
        return strength

    def family(self, amount: float = 2.5, least: float = 0.5) -> tuple[str, ...]:
        """Measurements, the meant ones included, that by definition change when those change by `amount`.

        Others belong to them from a change of `least`; both are in healthy standard deviations.
        """
        ids = [e.id for e in geometry() if e.id in healthy_sd() and not e.needs_mm]
        changes = _values(self.displacement(amount), ids)
        return tuple(
            i
            for i, change in zip(ids, changes, strict=True)
            if i in self.measurements or abs(change) >= least * healthy_sd()[i]
        )


def _values(displacement: Floats, ids: Sequence[str]) -> Floats:
    """Changes of measurements when the mean face's points are displaced by (70, 2)."""
    entries = [registry()[i] for i in ids]
    mean = shapes()[0]
    return np.asarray(evaluate(mean + displacement[:68], entries) - evaluate(mean, entries))


#: Morphs that change one measurement, with the moves of their points. In units of the outer-canthal
#: distance, wider-set inner canthi are shorter fissures: those two differ in whether the pupils move as
#: well. Small moves of neighbours undo what the predictor takes along; gains are what 12 faces needed at
#: 2.5 SD (development/morphs.py).
SINGLE_MORPHS: dict[str, Morph] = {
    row["name"]: Morph(
        row["name"],
        row["description"],
        tuple(row["measurements"].split()),
        {int(point): (float(x), float(y)) for point, x, y in map(str.split, row["moves"].split(";"))},
        float(row["gain"]),
        float(row["lowest"]),
    )
    for row in packaged_table("anthropo.synthetic", "morphs.csv")
}


@dataclass(frozen=True, slots=True)
class Syndrome:
    """An invented label and what it changes.

    Examples
    --------
    >>> from anthropo.synthetic import Syndrome
    >>> Syndrome("wide", "wide mouth", {"mouth_width": 2.0}).changes["mouth_width"]
    2.0
    """

    name: str
    description: str
    changes: Mapping[str, float]  # name of a morph -> healthy standard deviations


#: The labels of `make_cohort`. None of them is a disease.
SYNDROMES: dict[str, Syndrome] = {
    row["name"]: Syndrome(
        row["name"],
        row["description"],
        {morph: float(sd) for morph, sd in map(str.split, filter(None, row["changes"].split(";")))},
    )
    for row in packaged_table("anthropo.synthetic", "syndromes.csv")
}


@lru_cache(maxsize=1)
def healthy_sd() -> dict[str, float]:
    """Standard deviation of each measurement among healthy adults, in the reference frl-adults.

    Returns
    -------
    dict of str to float
        By the id of the measurement, in its unit.

    Examples
    --------
    >>> from anthropo.synthetic import healthy_sd
    >>> 0 < healthy_sd()["mouth_width"] < 0.1
    True
    """
    spread: dict[str, list[float]] = {}
    for row in load_reference("frl-adults").rows:
        if row.unit == registry()[row.measurement].unit:
            spread.setdefault(row.measurement, []).append(row.sd)
    return {i: float(np.mean(sds)) for i, sds in spread.items()}


def displacement_of(changes: Mapping[str, float]) -> Floats:
    """Displacement (70, 2) for changes by morph's name, in standard deviations."""
    for name, amount in changes.items():
        if name not in SINGLE_MORPHS:
            raise InputError(f"No morph is called {name!r}. Choose from {', '.join(SINGLE_MORPHS)}.")
        low, high = SINGLE_MORPHS[name].range
        if not low <= amount <= high:
            raise InputError(
                f"{name}: a change of {amount:g} SD. Choose one between {low:g} and {high:g} SD."
            )
    total = np.zeros((70, 2))
    for name, amount in changes.items():
        total += SINGLE_MORPHS[name].displacement(amount)
    return total


def identity(random: np.random.Generator) -> Floats:
    """A random person's deviation (70, 2) from the mean face."""
    modes = shapes()[1]
    points = np.tensordot(random.standard_normal(len(modes)).clip(-2, 2), modes, 1)
    # half of what is not symmetric is the head's turn and landmark error, which every picture has anyway
    points = 0.75 * points + 0.25 * points[MIRROR] * np.array([-1.0, 1.0])
    points[[61, 62, 63]] = points[[67, 66, 65]] = (points[[61, 62, 63]] + points[[67, 66, 65]]) / 2  # shut
    return np.concatenate([points, [points[list(lid)].mean(0) for lid in LIDS]])
