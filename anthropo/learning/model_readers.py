"""Reading the parts of a model file with a check of every shape and type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import ModelError

Arrays = dict[str, NDArray[Any]]
T = TypeVar("T")

_MOST_NUMBERS = 1 << 18  # of all embeddings of a photo together


class Meta:
    """Typed access to a model's JSON."""

    def __init__(self, meta: Any) -> None:
        if not isinstance(meta, dict):
            raise ModelError("its description is missing")
        self._meta = meta

    def _of(self, key: str, kind: type[Any]) -> Any:
        value = self._meta.get(key)
        if not isinstance(value, kind):
            raise ModelError(f"`{key}` is missing or of another type")
        return value

    def text(self, key: str) -> str:
        """A text."""
        return str(self._of(key, str))

    def number(self, key: str) -> float:
        """A number."""
        return float(self._of(key, (int, float)))  # type: ignore[arg-type]

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        texts = self._of(key, list)
        if not all(isinstance(v, str) for v in texts):
            raise ModelError(f"`{key}` holds something else than text")
        return list(texts)

    def numbers(self, key: str) -> list[float]:
        """A list of numbers."""
        numbers = self._of(key, list)
        if not all(type(v) in (int, float) for v in numbers):
            raise ModelError(f"`{key}` holds something else than numbers")
        return [float(v) for v in numbers]

    def flag(self, key: str) -> bool:
        """True or false."""
        return bool(self._of(key, bool))

    def mapping(self, key: str) -> dict[str, Any]:
        """A JSON object."""
        return dict(self._of(key, dict))

    def sizes(self, key: str) -> dict[str, int]:
        """A JSON object of the lengths of embeddings, which together are no more than memory allows."""
        sizes = self.mapping(key)
        if not all(type(d) is int and d > 0 for d in sizes.values()) or sum(sizes.values()) > _MOST_NUMBERS:
            raise ModelError(f"`{key}` holds an embedding of an impossible size")
        return sizes


class Take:
    """Arrays by name, each of the shape that is asked for."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def __call__(self, name: str, *shape: int | None) -> NDArray[np.float64]:
        """An array as float64; refused if missing or of another shape, where None is any length."""
        array = self._arrays.get(name)
        if (
            array is None
            or array.ndim != len(shape)
            or any(want not in (None, have) for have, want in zip(array.shape, shape, strict=True))
        ):
            raise ModelError(f"array {name} is missing or of another shape")
        numbers: NDArray[np.float64] = array.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise ModelError(f"array {name} holds infinity or NaN")
        return numbers


def part(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def prefixed(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays under longer names."""
    return {prefix + name: a for name, a in arrays.items()}


# ------------------------------------------------------------------- JSON objects as dataclasses


def record(kind: type[T], value: Any, where: str) -> T:
    """A dataclass from a JSON object, every field of which has the type of the field.

    A field that is missing or null has its default; a number without a default is then NaN, and other fields
    without a default are required. Keys that are no field are ignored.

    Parameters
    ----------
    kind : type
        A dataclass of texts, numbers, truth values, tuples, mappings of text and other such dataclasses.
    value : object
        What JSON held.
    where : str
        What `value` is called in messages.

    Raises
    ------
    ModelError
        If a value is of another type, or a required one is missing.
    """
    if not isinstance(value, dict):
        raise ModelError(f"{where} is not an object")
    made: dict[str, Any] = {}
    shape: Any = kind
    for name, hint in _hints(shape).items():
        if value.get(name) is not None:
            made[name] = _read_as(hint, value[name], f"{where} > {name}")
        elif name not in _defaults(shape):
            if hint is not float and NoneType not in get_args(hint):
                raise ModelError(f"{where} > {name} is missing")
            made[name] = math.nan if hint is float else None
    return kind(**made)


def as_written(value: Any) -> Any:
    """What `record` reads, as JSON: fields that have their default are left out, and NaN is null."""
    if is_dataclass(value):
        kind: Any = type(value)
        kept, defaults = {name: getattr(value, name) for name in _hints(kind)}, _defaults(kind)
        return {
            name: as_written(v) for name, v in kept.items() if name not in defaults or v != defaults[name]
        }
    if isinstance(value, Mapping):
        return {str(name): as_written(v) for name, v in value.items()}
    if isinstance(value, tuple):
        return [as_written(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@lru_cache(maxsize=64)
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


@lru_cache(maxsize=64)
def _defaults(kind: type[Any]) -> dict[str, Any]:
    return {
        f.name: f.default if f.default_factory is MISSING else f.default_factory()
        for f in fields(kind)
        if f.default is not MISSING or f.default_factory is not MISSING
    }


def _read_as(hint: Any, value: Any, where: str) -> Any:
    """A JSON value other than null as the type of a field."""
    if hint is Any:
        return value
    if isinstance(hint, type) and is_dataclass(hint):
        return record(hint, value, where)
    inner = get_args(hint)
    if NoneType in inner:
        return _read_as(next(kind for kind in inner if kind is not NoneType), value, where)
    if get_origin(hint) is tuple:
        if not isinstance(value, list) or any(v is None for v in value):
            raise ModelError(f"{where} is not a list")
        return tuple(_read_as(inner[0], v, where) for v in value)
    if get_origin(hint) is Mapping:
        if not isinstance(value, dict):
            raise ModelError(f"{where} is not an object")
        empty: Any = {} if is_dataclass(inner[1]) or get_origin(inner[1]) is Mapping else None
        filled = {name: empty if v is None else v for name, v in value.items()}
        return {n: _read_as(inner[1], v, f"{where} > {n}") for n, v in filled.items() if v is not None}
    if type(value) is hint or (hint is float and type(value) is int):
        return value
    raise ModelError(f"{where} is not of the type {hint.__name__}")
