"""Which of the shipped tables can score somebody."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from anthropo.face.gate import Check
from anthropo.reference.shipped import REFERENCE_OF_ALL_AGES, STUDIO_REFERENCE, shipped_references

if TYPE_CHECKING:
    from anthropo.reference.tables import ReferenceRow

_YOUNG_ADULTS = (19.0, 41.0)  # years, the ages of the studio's people
_LARGE = 100.0  # px between the outer canthi: the studio's photographs have 250, web portraits 80


def references_for(age: float, unit: str | None = None) -> dict[str, tuple[ReferenceRow, ...]]:
    """The shipped tables that have rows for an age.

    Parameters
    ----------
    age : float
        Years.
    unit : str, optional
        Only rows in this unit, such as ``"mm"``.

    Returns
    -------
    dict of str to tuple of ReferenceRow
        The rows that hold the age, by the name of their table; empty if no table has one.

    Examples
    --------
    >>> from anthropo.reference import references_for
    >>> sorted(references_for(1 / 365.25, "mm"))
    ['chinese-newborns', 'korean-newborns']
    """
    from anthropo.reference.tables import load_reference  # here, since most photos are not scored

    fit = {
        name: tuple(row for row in load_reference(name).at_age(age) if unit in (None, row.unit))
        for name in shipped_references()
    }
    return {name: of for name, of in fit.items() if of}


def is_studio_like(gate: Collection[Check], but: Collection[str] = ()) -> bool:
    """Whether a photo is large and passes every check of the photo gate, as those from a studio do.

    Checks that are named in `but` do not count.
    """
    pixels = [check.value for check in gate if check.name == "eye_pixels"]
    passed = all(check.ok or check.name in but for check in gate)
    return bool(pixels) and pixels[0] >= _LARGE and passed


def best_reference(age: float | None, ancestry: str | None, studio: bool) -> str:
    """The name of the shipped table that covers a person best.

    Parameters
    ----------
    age : float or None
        Years.
    ancestry : str or None
        A table that tells groups apart comes first where one is named.
    studio : bool
        Whether the photos are large, frontal, sharp and neutral.

    Examples
    --------
    >>> from anthropo.reference.suited import best_reference
    >>> best_reference(31, None, True), best_reference(6, None, True)
    ('frl-adults', 'web-all-ages')
    """
    young = age is not None and _YOUNG_ADULTS[0] <= age < _YOUNG_ADULTS[1]
    return STUDIO_REFERENCE if studio and young and not ancestry else REFERENCE_OF_ALL_AGES
