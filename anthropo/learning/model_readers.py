"""JSON objects of a model file as dataclasses, every entry checked against its type and limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from anthropo.container import shown
from anthropo.errors import ModelError
from anthropo.learning.schema import LONGEST_TEXT, NOTHING, Arrays, Names

T = TypeVar("T")

LARGEST_INTEGER = 1 << 53  # the last of which JSON readers are sure


def part(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def prefixed(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays under longer names."""
    return {prefix + name: a for name, a in arrays.items()}


def record(kind: type[T], value: Any, where: str, names: Names = NOTHING) -> T:
    """A dataclass from a JSON object, every field of which has the type of the field and keeps its limits.

    A field that is missing or null has its default; a number without default and limits is then NaN,
    and other fields without a default are required. Keys that are no field are ignored.

    Parameters
    ----------
    kind : type
        A dataclass of texts, numbers, truth values, tuples, mappings of text and other such dataclasses; in
        `Annotated` with limits of `anthropo.learning.schema`.
    value : object
        What JSON held; a dataclass of this kind is returned as it is.
    where : str
        What `value` is called in messages.
    names : mapping of str to frozenset of str
        What `Among` refers to beside fields of the same object.

    Raises
    ------
    ModelError
        If a value is of another type or outside its limits, or a required one is missing.
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, dict):
        raise ModelError(f"{where} is not an object")
    made: dict[str, Any] = {}
    shape: Any = kind
    known = dict(names)
    for name, hint in _hints(shape).items():
        if value.get(name) is not None:
            made[name] = _read_as(hint, value[name], f"{where} > {name}", known)
        elif name not in _defaults(shape):
            bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
            if hint is not float and NoneType not in get_args(bare):
                raise ModelError(f"{where} > {name} is missing")
            made[name] = math.nan if hint is float else None
        if isinstance(entries := made.get(name), (tuple, Mapping)):  # which later fields may refer to
            known[name] = frozenset(v for v in entries if isinstance(v, str))
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
    return get_type_hints(kind, include_extras=True)


@lru_cache(maxsize=64)
def _defaults(kind: type[Any]) -> dict[str, Any]:
    return {
        f.name: f.default if f.default_factory is MISSING else f.default_factory()
        for f in fields(kind)
        if f.default is not MISSING or f.default_factory is not MISSING
    }


def _read_as(hint: Any, value: Any, where: str, names: Names) -> Any:
    """A JSON value other than null as the type of a field."""
    if hint is Any:
        return value
    if isinstance(hint, type) and is_dataclass(hint):
        return record(hint, value, where, names)
    inner = get_args(hint)
    if get_origin(hint) is Annotated:
        read = _read_as(inner[0], value, where, names)
        if fault := next((f for limit in inner[1:] if (f := limit.fault(read, names))), None):
            raise ModelError(f"{where} {fault}")
        return read
    if NoneType in inner:
        return _read_as(next(kind for kind in inner if kind is not NoneType), value, where, names)
    if get_origin(hint) is tuple:
        nulls = NoneType in get_args(inner[0])
        if not isinstance(value, list) or (not nulls and None in value):
            raise ModelError(f"{where} is not a list")
        return tuple(None if v is None else _read_as(inner[0], v, where, names) for v in value)
    if get_origin(hint) is Mapping:
        if not isinstance(value, dict):
            raise ModelError(f"{where} is not an object")
        empty: Any = {} if is_dataclass(inner[1]) or get_origin(inner[1]) is Mapping else None
        filled = {name: empty if v is None else v for name, v in value.items()}
        return {
            n: _read_as(inner[1], v, f"{where} > {shown(n, bare=True)}", names)
            for n, v in filled.items()
            if v is not None
        }
    if type(value) is not hint and not (hint is float and type(value) is int):
        raise ModelError(f"{where} is not of the type {hint.__name__}")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise ModelError(f"{where} has more than {LONGEST_TEXT:,} characters")
    if type(value) is int and abs(value) > LARGEST_INTEGER:
        raise ModelError(f"{where} is an integer out of range")
    return value
