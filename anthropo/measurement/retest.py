"""A face measured so that another photograph of the person can be compared with it.

The photo gate judges whether a value tells what a face is like. Where two photographs are compared, what
it says of expression is no doubt but what may have changed, and a turned head makes an error that is known:
both are kept here. What a photograph cannot show (blurred, too small, hidden, behind glasses, distorted by a
near camera) stays void.

Two errors are kept apart:

repeatability
    How far other photographs of the person in the same state differ, unwitting changes of expression
    included (`Measurement.repeat_sd`).
still
    How far they would differ if the face had neither moved nor turned: the noise of landmarks and files.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from anthropo.face.frame import Floats, outer_canthal_distance
from anthropo.face.gate import Check
from anthropo.face.landmarker import Face
from anthropo.face.pose import generic_face, rotation
from anthropo.measurement import anatomy
from anthropo.measurement.compute import Measurement, error_growth, evaluate, measure_face
from anthropo.measurement.registry import PIXELS, Entry, registry
from anthropo.measurement.repeatability import PITCH, YAW
from anthropo.photo import Photo

#: Checks of the photo gate that say something of the expression.
EXPRESSION = ("smile", "mouth_open", "eyes_closed")
#: Checks of it that say something of the head's pose.
POSE = ("yaw", "pitch")
# SD of the difference of two photos' yaw or pitch, degrees, for one head: 0.35 and 0.24 with other light and
# files of a photo, and something for the expression.
_POSE_ERROR = 0.5


@dataclass(frozen=True, slots=True)
class Retest:
    """One measurement of a photograph as another photograph is compared with it."""

    measurement: Measurement  # NaN, with the reason, where it cannot be compared
    still: float  # SD between photos of a face that does not move; NaN where it is not known
    doubts: tuple[Check, ...]  # checks that void it where it is to tell what a face is like


def moved_by_expression(entry: Entry) -> bool:
    """Whether an expression moves what is measured: mouth, lids, alae, brows, and heights of the face."""
    return entry.region == "brow" or not {"smile", "mouth_open"}.isdisjoint(entry.voids)


def is_lid(entry: Entry) -> bool:
    """Whether an entry says how far an eye is open."""
    return entry.region == "eye" and "smile" in entry.voids


def retests(face: Face, photo: Photo | None = None) -> dict[str, Retest]:
    """Every measurement that needs no scale, by id, in the registry's order.

    Parameters
    ----------
    face : Face
    photo : Photo, optional
        Needed for what is read from pixels, which has no value without it.

    Returns
    -------
    dict of str to Retest

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.measurement.retest import retests
    >>> seen = anthropo.observe(anthropo.example_photo())  # of a smiling face
    >>> width = retests(seen.face)["mouth_width"]
    >>> [check.name for check in width.doubts], round(width.measurement.value, 2)
    (['mouth_open', 'smile'], 0.7)
    >>> width.still < width.measurement.repeat_sd
    True
    """
    failed = {check.name: check for check in face.gate if not check.ok}
    values = _measured(face, photo, (*EXPRESSION, *POSE))
    if "eyes_closed" in failed:  # a closed eye tells of its lids, and hides the canthi and the pupil
        shut = _measured(face, photo, (*(n for n in EXPRESSION if n != "eyes_closed"), *POSE))
        for name, entry in registry().items():
            if "eyes_closed" in entry.voids and (entry.needs_fine or not is_lid(entry)) and name in shut:
                values[name] = shut[name]
    # a photo whose face was only allowed to move is no snapshot
    snapshot = not failed.keys() <= set(EXPRESSION)
    counted = snapshot and failed.keys() - {*EXPRESSION, *POSE}
    instrument = anatomy.instrument(anatomy.stage_of(face))
    growth, pixels = error_growth(face), outer_canthal_distance(face.landmarks)
    stage, posed = anatomy.stage_of(face), not counted
    pairs = {}
    for name, value in values.items():
        entry, row = registry()[name], instrument.repeat.get(registry()[name].known_as)
        still = math.nan
        if row:
            grown = 1.0 if entry.kind in PIXELS else growth
            if entry.kind not in PIXELS and stage == "fine":
                within = grown * row.within(stage, pixels, posed=posed)
                # the rest: distance of the camera, and a head that is turned further than usual
                rest = max(0.0, value.repeat_sd**2 - within**2)
                still = math.sqrt((grown * row.still(pixels)) ** 2 + rest)
            if snapshot and not counted:
                value = replace(value, repeat_sd=math.hypot(value.repeat_sd, grown * row.snapshot))
        doubts = tuple(failed[check] for check in entry.voids if check in failed)
        pairs[name] = Retest(value, still, doubts)
    return pairs


def _measured(face: Face, photo: Photo | None, passed: Collection[str]) -> dict[str, Measurement]:
    """The measurements that need no scale, where these checks of the gate count as passed."""
    gate = tuple(replace(check, ok=True) if check.name in passed else check for check in face.gate)
    return {m.id: m for m in measure_face(replace(face, gate=gate), photo) if not registry()[m.id].needs_mm}


def pose_variance(
    entries: Sequence[Entry], before: tuple[float, float], after: tuple[float, float]
) -> tuple[Floats, Floats]:
    """What differs between photos of a head in two poses (yaw and pitch, degrees), as variances (M,).

    Returns
    -------
    whole : (M,) array
        By all that the poses differ, for `Retest.still`.
    more : (M,) array
        By what they differ beyond two photos of a sitting, which the repeatability holds already.

    Notes
    -----
    From the generic head, so that a turn is not taken off but counts as error.
    """
    whole, more = np.zeros(len(entries)), np.zeros(len(entries))
    middle = np.mean([before, after], axis=0)
    for axis, spread in enumerate((YAW, PITCH)):
        apart = after[axis] - before[axis]
        step = np.eye(2)[axis] * max(abs(apart), 1.0) / 2
        turns = (middle - step, middle + step)
        heads = np.stack([(generic_face() @ rotation(turn[0], turn[1], 0.0).T)[:, :2] for turn in turns])
        low, high = evaluate(heads, entries)
        slope = np.nan_to_num((high - low) / (2 * step[axis]))
        whole += slope**2 * (apart**2 + _POSE_ERROR**2)
        more += slope**2 * max(0.0, apart**2 - 2 * spread**2)
    return whole, more
