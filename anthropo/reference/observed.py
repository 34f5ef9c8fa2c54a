"""HPO terms that somebody has judged by eye, as a cell of a table lists them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from anthropo.errors import InputError
from anthropo.reference.rules import SUBJECTIVE, Rule

COLUMN = "observed"
_ENTRY = re.compile(r"(HP:\d{7})(?::([RL]))?\s*=\s*(yes|no|present|absent)", re.ASCII | re.IGNORECASE)
_YES = ("yes", "present")

#: Whether a term is there, by its identifier and side.
Observed = Mapping[tuple[str, str], bool]


def read_observed(text: str, rules: Iterable[Rule]) -> dict[tuple[str, str], bool]:
    """Terms that were judged by eye.

    Parameters
    ----------
    text : str
        ``HP:0000508:R=yes; HP:0000319=no``: a side only of terms that are called for each; without it both
        are meant. What was not looked at is left out.
    rules : iterable of Rule
        Only terms of theirs that are left to the eye can be answered so.

    Returns
    -------
    dict
        From identifier and side (R, L or mid) to whether the term is there.

    Raises
    ------
    InputError
        If an entry is none, names no such term, or one that is measured, or contradicts another.

    Examples
    --------
    >>> from anthropo.reference import read_rules
    >>> read_observed("HP:0000319=yes", read_rules())
    {('HP:0000319', 'mid'): True}
    """
    by_id = {rule.hpo_id: rule for rule in rules}
    answers: dict[tuple[str, str], bool] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = _ENTRY.fullmatch(part)
        if match is None:
            raise InputError(f"Column `{COLUMN}`: {part!r} is no answer. Write HP:0000319=yes, or =no.")
        term, side, answer = match[1].upper(), (match[2] or "").upper(), match[3].lower() in _YES
        rule = by_id.get(term)
        if rule is None:
            raise InputError(f"Column `{COLUMN}`: {term} is none of the terms of the rules.")
        if rule.kind != SUBJECTIVE:
            raise InputError(
                f"Column `{COLUMN}`: {term} ({rule.label}) is measured; only terms that are left to the eye "
                "are answered by it."
            )
        sides = ("R", "L") if rule.side == "each" else ("mid",)
        if side and side not in sides:
            raise InputError(f"Column `{COLUMN}`: {term} ({rule.label}) has no sides. Leave :{side} out.")
        for one in (side,) if side else sides:
            if answers.setdefault((term, one), answer) != answer:
                raise InputError(
                    f"Column `{COLUMN}`: {term} is there with yes and with no. Keep one of them."
                )
    return answers
