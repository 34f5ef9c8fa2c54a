"""Options that a user may change one by one or by a file: their types, limits, and what is said of others."""

from __future__ import annotations

import contextlib
import difflib
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anthropo.errors import InputError, parameter
from anthropo.files import read_text
from anthropo.learning.schema import Limit, OneOf, Range
from anthropo.yaml_text import parse_yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LONGEST = 100_000  # characters of a parameter file


@dataclass(frozen=True, slots=True)
class OptionSheet:
    """What options there are: the type of each, and what it may be where not everything of it makes sense."""

    kinds: Mapping[str, Any]
    choices: Mapping[str, Sequence[str]]
    numbers: Mapping[str, Sequence[float]]  # the smallest and the largest

    def limit_of(self, option: str) -> Limit | None:
        """What an option may be, where not everything of its type makes sense."""
        if option in self.choices:
            return OneOf(tuple(self.choices[option]))
        return Range(*self.numbers[option]) if option in self.numbers else None

    def changed(
        self, file: Path | None, changes: Sequence[str], options: Mapping[str, Any], where: str
    ) -> dict[str, Any]:
        """The options that are set: by a file, by `changes` that outrank it, by `options` that outrank both.

        Raises
        ------
        InputError
            If there is no such file or option, or a value does not fit; `where` is what `options` are of.
        """
        stated = [(key, value, str(file)) for key, value in (_read(file) if file else {}).items()]
        for change in changes:
            key, equals, value = (part.strip() for part in change.partition("="))
            if not equals:
                raise InputError(
                    f"{parameter('changes', change)}: not of the form option=value, such as "
                    f"{parameter('changes', 'rate=0.001')}."
                )
            stated.append((key, self.parsed(key, value), parameter("changes")))
        stated += [(key, list(v) if isinstance(v, tuple) else v, where) for key, v in options.items()]
        return {key: self.typed(key, value, place) for key, value, place in stated}

    def parsed(self, key: str, text: str) -> Any:
        """A value of the command line: as in TOML, or a word, or words with commas."""
        if self.kinds.get(key) == tuple[str, ...] and not text.startswith("["):
            return [part.strip() for part in text.split(",") if part.strip()]
        if self.kinds.get(key) is str:
            return text.strip("\"'")
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):  # also of a number with thousands of digits
            return text

    def typed(self, key: str, value: Any, where: str) -> Any:
        """The value as the option's type and within its range; an InputError says why it cannot be."""
        if key not in self.kinds:
            near = difflib.get_close_matches(key, self.kinds, 1, 0.6)
            hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(self.kinds)}."
            raise InputError(f"{where}: no option {key!r}. {hint}")
        kind = self.kinds[key]
        if kind == tuple[str, ...]:
            if isinstance(value, list) and all(isinstance(v, str) for v in value):
                return tuple(value)
            raise InputError(f'{where}: {key} is a list of texts, such as ["a", "b"], not {value!r}.')
        if kind is float and type(value) is int:
            value = float(value)
        if kind is float and isinstance(value, str):  # YAML takes 1e-4 for a text
            with contextlib.suppress(ValueError):
                value = float(value)
        if type(value) is not kind:
            wanted = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[kind]
            raise InputError(f"{where}: {key} is {wanted}, not {value!r}.")
        if key in self.choices and value not in self.choices[key]:
            near = difflib.get_close_matches(value, self.choices[key], 1, 0.5)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise InputError(f"{where}: {key} {value!r}: {hint}Choose from {', '.join(self.choices[key])}.")
        lo, hi = self.numbers.get(key, (-math.inf, math.inf))
        if kind in (int, float) and not lo <= value <= hi:
            raise InputError(f"{where}: {key} {value:g}: needs to be between {lo:g} and {hi:g}.")
        return value


def _read(path: Path) -> Mapping[str, Any]:
    text, suffix = read_text(path), path.suffix.lower()
    if len(text) > _LONGEST:
        raise InputError(f"{path}: too long for a parameter file ({len(text):,} characters).")
    if suffix == ".toml":
        try:
            return dict(tomllib.loads(text))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: not valid TOML ({_why(error)}).") from None
    if suffix not in (".yaml", ".yml"):
        raise InputError(f"{path}: a parameter file is .toml or .yaml.")
    return parse_yaml(path, text, example="rate: 0.001")


def _why(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
