"""Which of the shipped tables can score somebody."""

from __future__ import annotations

from anthropo.reference.tables import ReferenceRow, load_reference, shipped_references


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
    fit = {
        name: tuple(row for row in load_reference(name).at_age(age) if unit in (None, row.unit))
        for name in shipped_references()
    }
    return {name: of for name, of in fit.items() if of}
