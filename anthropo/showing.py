"""How results show themselves: in one line, in a notebook, and as a picture.

A line names neither photos nor patients, since notebooks are passed on. What draws is in `anthropo.report`,
which sees everything and which nothing here may import; it is found by its name when something is to be
drawn.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from anthropo.plain import minus, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST = 200  # characters of a line
_WORD = 40  # characters of a name in it
_LISTED = 4  # names


def brief(thing: object, *facts: str) -> str:
    """An object in one line: its type and what matters of it; facts that are empty are left out.

    Examples
    --------
    >>> from anthropo.showing import brief
    >>> brief({}, "2 labels", "", "24 photos")
    '<dict: 2 labels, 24 photos>'
    """
    text = " ".join(", ".join(filter(None, facts)).split())
    head = f"<{type(thing).__name__}"
    room = _LONGEST - len(head) - 3
    text = text if len(text) <= room else text[: room - 1] + "…"
    return f"{head}: {text}>" if text else f"{head}>"


def facts_of(thing: object) -> str:
    """What an object's line says of it, for the line of another that has it."""
    return repr(thing).rstrip(">").partition(": ")[2]


def word(name: object) -> str:
    """A name, not too long for a line."""
    text = visible(" ".join(str(name).split()))
    return text if len(text) <= _WORD else text[: _WORD - 1] + "…"


def listed(names: Iterable[object]) -> str:
    """The first few names, and how many more there are."""
    words = [word(name) for name in names]
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return ", ".join(words[:_LISTED]) + more


def count(n: int, what: str) -> str:
    """Such as ``1 photo``, ``3 people``, ``2,000 photos``."""
    plural = {"person": "people"}.get(what, f"{what[:-1]}ies" if what.endswith("y") else f"{what}s")
    return f"{n:,} {what if n == 1 else plural}"


def counts(numbers: Mapping[str, int]) -> str:
    """Such as ``control 12, Noonan 8``, the first few."""
    return listed(f"{word(name)} {n}" for name, n in numbers.items())


def with_interval(value: float, lo: float, hi: float, sign: str = "") -> str:
    """A value with its interval, three digits each."""
    text = f"{value:{sign}.3g}"
    return minus(text if lo != lo else f"{text} ({lo:{sign}.3g} to {hi:{sign}.3g})")


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign; one that rounds to zero has none."""
    return f"{0:.{digits}f}" if abs(value) < 0.5 * 10**-digits else minus(f"{value:+.{digits}f}")


def fielded(thing: Any) -> str:
    """A record in one line, by its fields: of collections, how many items; of arrays, the shape.

    To be a class's ``__repr__``. Fields of text that may be a name or a path are left out.
    """
    facts = []
    for field in _shown(thing):
        value = getattr(thing, field.name)
        name = field.name.replace("_", " ")
        if isinstance(value, (str, bytes)) or value is None or hasattr(value, "__fspath__"):
            continue
        if hasattr(value, "shape"):
            facts.append(f"{name} {' × '.join(map(str, value.shape))}")
        elif isinstance(value, (bool, int, float)):
            facts.append(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}")
        elif isinstance(value, Collection):
            facts.append(f"{len(value)} {name}")
    return brief(thing, *facts)


def given(thing: Any) -> str:
    """Options in one line: those that differ from their defaults. To be a class's ``__repr__``."""
    changed = [
        f"{field.name}={getattr(thing, field.name)!r}"
        for field in _shown(thing)
        if getattr(thing, field.name) != _default(field)
    ]
    return f"{type(thing).__name__}({', '.join(changed)})"


def _shown(thing: Any) -> list[Field[Any]]:
    assert is_dataclass(thing)
    return [field for field in fields(thing) if field.repr and not field.name.startswith("_")]


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def html(thing: object, drawn_by: str) -> str:
    """An object as part of a notebook's page, by a function of `anthropo.report.notebook`."""
    room = importlib.import_module("anthropo.report.notebook")
    if not hasattr(room, drawn_by):
        room = importlib.import_module("anthropo.report.notebook_of_groups")
    return str(getattr(room, drawn_by)(thing))


def draw(thing: object, drawn_by: str, ax: Axes | None, **how: Any) -> Axes:
    """An object as a picture, by a function of `anthropo.report.plots`, on axes or in a figure of its own."""
    axes: Axes = importlib.import_module("anthropo.report.plots").on_axes(drawn_by, thing, ax, **how)
    return axes
