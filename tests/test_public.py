"""What a Python user may rely on: every public name says what it takes, what it returns, and shows itself."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import pytest
from numpydoc.docscrape import FunctionDoc, NumpyDocString

import anthropo

ROOMS = [
    "anthropo",
    *(
        m.name
        for m in pkgutil.iter_modules(anthropo.__path__, "anthropo.")
        if m.ispkg and m.name != "anthropo.cli"
    ),
]
PUBLIC = sorted(
    {(room, name) for room in ROOMS for name in getattr(importlib.import_module(room), "__all__", ())}
)


def documented(thing: Any) -> NumpyDocString:
    return FunctionDoc(thing) if inspect.isfunction(thing) else NumpyDocString(inspect.getdoc(thing) or "")


def parameters(thing: Any) -> list[str]:
    names = [n for n in inspect.signature(thing).parameters if n not in ("self", "args", "kwargs")]
    return [name for name in names if not name.startswith("_")]


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "anthropo.decoding"])  # for no user
def test_a_room_exports_a_few_names(room: str) -> None:
    names = importlib.import_module(room).__all__
    assert 1 <= len(names) <= (100 if room == "anthropo" else 24)


@pytest.mark.parametrize(("room", "name"), PUBLIC, ids=[f"{r}.{n}" for r, n in PUBLIC])
def test_a_public_name_explains_itself(room: str, name: str) -> None:
    thing = getattr(importlib.import_module(room), name)
    assert inspect.getdoc(thing), "no docstring"
    record = inspect.isclass(thing) and hasattr(thing, "__dataclass_fields__")
    # a record says beside each field what it holds; an error and a table of constants need no example
    if not callable(thing) or record or (inspect.isclass(thing) and issubclass(thing, Exception)):
        return
    doc = documented(thing)
    assert doc["Summary"]
    assert any(">>>" in line for line in doc["Examples"]), "no runnable example"
    assert not any("+SKIP" in line for line in doc["Examples"])
    described = {
        part.strip(" *")
        for entry in (*doc["Parameters"], *doc["Other Parameters"])
        for part in entry.name.split(",")
    }
    assert described >= set(parameters(thing))
    if inspect.isfunction(thing) and inspect.signature(thing).return_annotation not in ("None", None):
        assert doc["Returns"] or doc["Yields"]
