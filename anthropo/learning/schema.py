"""What may stand in a model file, as data beside the fields: limits of JSON entries, and shapes of arrays.

A field of a dataclass that `anthropo.learning.model_readers.record` reads carries its limits in `Annotated`;
arrays have an `Array` each. Files are checked against them before anything is made of a file, and
docs/files.md is written from them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.container import shown
from anthropo.errors import ModelError

#: Numbers in all arrays of a model together; as float64 they take half a GiB.
MOST_NUMBERS = 1 << 26
#: Labels of a model. A cost matrix of all pairs takes 200 MB.
MOST_LABELS = 5000
LONGEST_TEXT = 4000  # characters, of any text in a file
LARGEST = 1e15  # of any number in an array without limits of its own
LEAST = 1e-12  # of what is divided by

Arrays = dict[str, NDArray[Any]]
Names = Mapping[str, frozenset[str]]  # what there is, by what it is called in `Among`
NOTHING: Names = MappingProxyType({})


# ------------------------------------------------------------------------------- limits of fields


@dataclass(frozen=True, slots=True)
class Range:
    """A number within limits."""

    lo: float = -math.inf
    hi: float = math.inf

    def fault(self, value: Any, names: Names) -> str | None:
        """What is wrong with a value; None when nothing is."""
        return None if self.lo <= value <= self.hi else f"is {shown(value)}, not {self}"

    def __str__(self) -> str:
        if self.hi == math.inf:
            return f"{self.lo:,} or more"
        return f"{_number(self.lo)} to {_number(self.hi)}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some words, or of what starts or ends like them: ``timm:*``."""

    words: tuple[str, ...]

    def fault(self, value: Any, names: Names) -> str | None:
        """What is wrong with a value; None when nothing is."""
        pattern = "|".join(re.escape(word).replace(r"\*", ".+") for word in self.words)
        return None if re.fullmatch(pattern, value) else f"is {shown(value)}, not {self}"

    def __str__(self) -> str:
        return ", ".join(self.words[:-1]) + " or " + self.words[-1] if len(self.words) > 1 else self.words[0]


@dataclass(frozen=True, slots=True)
class Hex:
    """Hexadecimal digits, so many or none."""

    digits: int = 64

    def fault(self, value: Any, names: Names) -> str | None:
        """What is wrong with a value; None when nothing is."""
        fits = re.fullmatch(f"([0-9a-f]{{{self.digits}}})?", value)
        return None if fits else f"is {shown(value)}, not {self}"

    def __str__(self) -> str:
        return f"{self.digits} hexadecimal digits or none"


@dataclass(frozen=True, slots=True)
class Size:
    """A text, list or object of so many characters or entries."""

    lo: int = 0
    hi: int = MOST_LABELS

    def fault(self, value: Any, names: Names) -> str | None:
        """What is wrong with a value; None when nothing is."""
        what = "characters" if isinstance(value, str) else "entries"
        return None if self.lo <= len(value) <= self.hi else f"has {len(value):,} {what}, not {self}"

    def __str__(self) -> str:
        return f"{self.lo:,} to {self.hi:,}" if self.lo < self.hi else f"{self.lo:,}"


@dataclass(frozen=True, slots=True)
class Distinct:
    """A list in which nothing is twice."""

    def fault(self, value: Any, names: Names) -> str | None:
        """What is wrong with a value; None when nothing is."""
        twice = next((v for v, n in Counter(value).items() if n > 1), None)
        return None if twice is None else f"has {shown(twice)} twice"

    def __str__(self) -> str:
        return "each once"


@dataclass(frozen=True, slots=True)
class Among:
    """Texts, or keys of an object, that occur in other fields of the same object, or in what is known."""

    places: tuple[str, ...]

    def fault(self, value: Any, names: Names) -> str | None:
        """What is wrong with a value; None when nothing is, or nothing is known of the places."""
        if not any(place in names for place in self.places):
            return None
        there = frozenset().union(*(names.get(place, frozenset()) for place in self.places))
        unknown = next((v for v in ([value] if isinstance(value, str) else value) if v not in there), None)
        return None if unknown is None else f"names {shown(unknown)}, which is none of the {self}"

    def __str__(self) -> str:
        return " or ".join(self.places)


Limit = Range | OneOf | Hex | Size | Distinct | Among


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) or 1e-3 <= abs(value) < 1e6 else f"{value:g}"


# --------------------------------------------------------------------------------- arrays of numbers


@dataclass(frozen=True, slots=True)
class Array:
    """An array of a model file.

    Its shape is written in letters, each a length that is given or that the first array with it sets, as in
    ``k m``; ``2f`` is twice f. `most` limits lengths that an array sets.
    """

    name: str
    shape: str
    what: str
    lo: float = -LARGEST
    hi: float = LARGEST
    kinds: str = "f"  # of numpy: f floats, i and u integers, b truth values
    most: Mapping[str, int] = field(default_factory=dict)
    least: int = 0  # numbers of a length that the array sets


def taken(arrays: Arrays, wanted: Sequence[Array], lengths: Mapping[str, int], prefix: str = "") -> Arrays:
    """The arrays that are wanted, floats as float64, after a check of kind, shape and numbers of each.

    In `arrays` their names begin with `prefix`.

    Raises
    ------
    ModelError
        If an array is missing, or is another than it must be.
    """
    known = dict(lengths)
    for one in wanted:
        name = prefix + one.name
        array = arrays.get(name)
        if array is None or array.ndim != len(one.shape.split()):
            raise ModelError(f"array {name} is missing or of another shape than ({one.shape})")
        if array.dtype.kind not in one.kinds:
            raise ModelError(f"array {name} holds {array.dtype}, which is another kind of number")
        for have, (times, letter) in zip(array.shape, _lengths(one.shape), strict=True):
            if not letter:
                want = times
            elif letter in known:
                want = times * known[letter]
            else:
                if not one.least <= have <= one.most.get(letter, MOST_NUMBERS):
                    raise ModelError(f"array {name} has an impossible length ({have:,})")
                want, known[letter] = have, have
            if have != want:
                raise ModelError(
                    f"array {name} is missing or of another shape than ({one.shape}): {have:,} where "
                    f"{want:,} are needed"
                )
    fields = {}
    for one in wanted:  # after all shapes, so that nothing is turned into float64 for nothing
        name = prefix + one.name
        array = arrays[name]
        if array.size and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError(f"array {name} holds infinity or NaN")
        if array.size and not one.lo <= array.min().item() <= array.max().item() <= one.hi:
            raise ModelError(f"array {name} holds a number that is not {Range(one.lo, one.hi)}")
        fields[one.name] = array.astype(np.float64, copy=False) if one.kinds == "f" else array
    return fields


def _lengths(shape: str) -> Iterator[tuple[int, str]]:
    for word in shape.split():
        digits, letter = re.fullmatch(r"(\d*)([a-z]*)", word).groups()  # type: ignore[union-attr]
        yield int(digits or 1), letter


def check_budget(arrays: Arrays) -> None:
    """Refuse arrays that hold more numbers together than any model.

    Raises
    ------
    ModelError
        If they do.
    """
    numbers = sum(array.size for array in arrays.values() if array.dtype != np.uint8)
    if numbers > MOST_NUMBERS:
        raise ModelError(f"its arrays hold {numbers:,} numbers, and {MOST_NUMBERS:,} is the most")
