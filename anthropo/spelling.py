"""Names that differ in nothing a reader would see or mean."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

_APOSTROPHES = "'`\u00b4\u2018\u2019\u201b\u02b9\u02bb\u02bc\u2032\uff07"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*", re.ASCII)
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")
_POINTED = ("LATIN", "ARABIC", "HEBREW")  # scripts that are often written without their marks
_NAMED = 5  # in a sentence


def skeleton(name: str) -> str:
    """What is left of a name without capitals, accents, separators and ways of writing numbers.

    Examples
    --------
    >>> skeleton("Type II") == skeleton("type 2"), skeleton("007") == skeleton("7.0")
    (True, True)
    >>> skeleton("P-01") == skeleton("p_1") == skeleton("P1"), skeleton("1-2") == skeleton("12")
    (True, False)
    """
    while (plain := _plainer(name)) != name:
        name = plain
    return name


def _plainer(name: str) -> str:
    letters = _letters(unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold()))
    words = re.split(r"[\s_-]+", letters)
    plain = [str(_ROMAN.index(word) + 1) if word in _ROMAN else word for word in words if word]
    # between two digits a separator says something, elsewhere it is a habit
    joined = re.sub(r"(?<!\d)-|-(?!\d)", "", "-".join(plain))
    return unicodedata.normalize("NFC", _NUMBER.sub(lambda number: _shortest(number[0]), joined))


def _letters(text: str) -> str:
    """A decomposed text without its invisible characters and accents, and with one kind of dash."""
    kept, pointed = [], False
    for c in text:
        kind = unicodedata.category(c)
        if kind in ("Cf", "Cc") and not c.isspace():
            continue
        if kind == "Mn":
            if not (pointed or unicodedata.name(c, "").startswith("VARIATION")):
                kept.append(c)
            continue
        pointed = unicodedata.name(c, "").startswith(_POINTED)
        kept.append("'" if c in _APOSTROPHES else "-" if kind == "Pd" or c == "\u2212" else c)
    return "".join(kept)


def _shortest(number: str) -> str:
    """A number without the zeros that say nothing; a version or date, 1.0.0, as it is."""
    whole, *rest = number.replace(",", ".").split(".")
    if len(rest) > 1:
        return number
    return f"{whole.lstrip('0') or '0'}.{''.join(rest).rstrip('0')}".removesuffix(".")


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The names that are spelled alike, in groups of two and more.

    Examples
    --------
    >>> alike(["p1", "p2", "P1", "p-01"])
    [('p1', 'P1', 'p-01')]
    """
    spellings: dict[str, dict[str, None]] = defaultdict(dict)
    for name in names:
        spellings[skeleton(name)][name] = None
    return [tuple(same) for same in spellings.values() if len(same) > 1]


def look_alikes(what: str, places: Mapping[str, Sequence[str]]) -> str:
    """A sentence on names that are spelled alike; empty where there are none.

    Parameters
    ----------
    what : str
        What the names are of, such as "patients".
    places : mapping of str to sequence of str
        Where each name stands, such as its rows.
    """
    groups = alike(places)
    if not groups:
        return ""
    named = [" and ".join(f"{name!r}{_at(places[name])}" for name in group) for group in groups]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return (
        f"{', '.join(named[:_NAMED])}{more}: these {what} differ only in capitals, accents, spaces, dashes, "
        "apostrophes, invisible characters or the way a number is written, and count as different. Write "
        "them alike if one is meant."
    )


def _at(places: Sequence[str]) -> str:
    """ " (row 2, row 7)"."""
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return f" ({', '.join(places[:_NAMED])}{more})" if places else ""
