"""What a Python user may rely on: every public name says what it takes, what it returns, and shows itself."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
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
    assert 1 <= len(names) <= (70 if room == "anthropo" else 20)


def records() -> list[type[Any]]:
    """Public dataclasses, and those that public functions and methods return."""
    classes: dict[str, list[type[Any]]] = defaultdict(list)
    for module in pkgutil.walk_packages(anthropo.__path__, "anthropo."):
        if not module.name.startswith("anthropo.cli") and not module.name.endswith("__main__"):
            for name, thing in vars(importlib.import_module(module.name)).items():
                if inspect.isclass(thing) and dataclasses.is_dataclass(thing):
                    classes[name].append(thing)
    wanted = []
    for room, name in PUBLIC:
        thing = getattr(importlib.import_module(room), name)
        methods = inspect.getmembers(thing, inspect.isfunction) if inspect.isclass(thing) else []
        functions = [thing] if inspect.isfunction(thing) else [function for _, function in methods]
        if inspect.isclass(thing) and dataclasses.is_dataclass(thing):
            wanted.append(thing)
        for function in functions:
            returned = re.findall(r"\w+", str(function.__annotations__.get("return", "")))
            wanted += [record for word in returned for record in classes[word]]
    return sorted(dict.fromkeys(wanted), key=lambda record: f"{record.__module__}.{record.__name__}")


RECORDS = records()


@pytest.mark.parametrize("record", RECORDS, ids=[f"{r.__module__}.{r.__name__}" for r in RECORDS])
def test_a_record_describes_its_fields(record: type[Any]) -> None:
    described = {}
    for one in record.__mro__:
        if dataclasses.is_dataclass(one):
            doc = NumpyDocString(inspect.cleandoc(one.__doc__ or ""))
            for entry in (*doc["Parameters"], *doc["Attributes"]):
                described |= {part.strip(): entry for part in entry.name.split(",")}
    for field in dataclasses.fields(record):
        if not field.name.startswith("_"):
            entry = described[field.name]
            assert entry.type or entry.desc, field.name


@pytest.mark.parametrize(("room", "name"), PUBLIC, ids=[f"{r}.{n}" for r, n in PUBLIC])
def test_a_public_name_explains_itself(room: str, name: str) -> None:
    thing = getattr(importlib.import_module(room), name)
    assert inspect.getdoc(thing), "no docstring"
    # `test_a_record_describes_its_fields` is about records; an error and a table of constants need no example
    if (
        not callable(thing)
        or dataclasses.is_dataclass(thing)
        or (inspect.isclass(thing) and issubclass(thing, Exception))
    ):
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
