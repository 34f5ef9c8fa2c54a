"""What cannot be measured because something hides it."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from anthropo.face.frame import OUTER_CANTHI
from anthropo.face.parts import hidden_words
from anthropo.measurement.appearance import regions_of
from anthropo.measurement.registry import PIXELS, Entry, resolve
from anthropo.measurement.sampling import regions, weights

Bools = NDArray[np.bool_]


def hidden_reason(entry: Entry, hidden: Bools, by_hand: Collection[str] = (), *, in_mm: bool = False) -> str:
    """Which hidden landmarks (68,) an entry is measured from, in words; empty when it needs none of them.

    A length without a scale needs the outer canthi, whose distance is its unit; `in_mm` it does not. A
    landmark that was placed by hand, such as the pupil, is there whatever happens to the points that it
    would else be the mean of.

    Examples
    --------
    >>> import numpy as np
    >>> import anthropo
    >>> from anthropo.measurement.hidden import hidden_reason
    >>> hidden = np.arange(68) == 36
    >>> hidden_reason(anthropo.registry()["mouth_width"], hidden)
    "the right eye's outer corner is hidden"
    >>> hidden_reason(anthropo.registry()["mouth_width"], hidden, in_mm=True)
    ''
    """
    if not hidden.any():
        return ""
    points = set(entry.points) if len(entry.points) == len(hidden) else set()  # of the whole face
    points.update(*(resolve(name) or () for name in entry.landmarks if name not in by_hand))
    if entry.along_axes or (entry.power and not in_mm):
        points.update(OUTER_CANTHI)
    return hidden_words(sorted(points.intersection(np.flatnonzero(hidden).tolist())))


def hidden_measurement(entry: Entry, hidden: Bools) -> bool:
    """Whether hidden landmarks (68,) leave an entry without a value, as far as landmarks alone can tell.

    A region of skin counts as hidden with half of what it lies between.
    """
    if entry.kind not in PIXELS or not hidden.any():
        return bool(hidden_reason(entry, hidden))
    region = regions()[regions_of(entry.id)[0]]
    return bool((weights()[region] @ hidden).mean() > 0.5)
