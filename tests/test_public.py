"""What a Python user may rely on: every public name says what it takes, what it returns, and shows itself."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import pkgutil
import textwrap
from pathlib import Path
from typing import Any

import pytest
from numpydoc.docscrape import FunctionDoc, NumpyDocString
from numpydoc.validate import validate

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

#: Every error of anthropo by name, also of rooms that are not loaded.
ERRORS = {
    line.split("class ")[1].split("(")[0]
    for path in Path(anthropo.__file__).parent.rglob("*.py")
    for line in path.read_text(encoding="utf-8").splitlines()
    if line.startswith("class ") and "Error(" in line
}


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


#: Public functions that refuse nothing: they take what others of anthropo have made, or nothing at all.
REFUSE_NOTHING = {
    "call_traits", "compare_looks", "compare_maps", "displacement", "doctor", "effect", "effects",
    "example_photo", "figures_of", "find_same_people", "growth_curves", "head_pose", "healthy_sd",
    "licences", "mean_face", "measure_face", "measure_item", "models", "neighbours", "outer_canthal_distance",
    "pack", "paired", "permissive", "pool", "references_for", "read_upright", "score", "align",
    "build_reference", "by_chance",
}  # fmt: skip
#: Checks of numpydoc: sections in order, parameters that are there and described by their names, a summary.
CODES = {
    "GL03", "GL05", "GL07", "GL08", "PR01", "PR02", "PR05", "PR06", "PR09", "PR10", "RT01", "SS01", "SS02",
    "SS03", "SS04", "YD01",
}  # fmt: skip


def functions() -> list[tuple[str, str]]:
    """Rooms and names of public functions, each once."""
    found: dict[int, tuple[str, str]] = {}
    for room, name in PUBLIC:
        thing = inspect.unwrap(getattr(importlib.import_module(room), name))
        if inspect.isfunction(thing):
            found.setdefault(id(thing), (room, name))
    return list(found.values())


def methods() -> list[tuple[str, str, Any]]:
    """Public methods, which take something, of the classes that `anthropo` itself exports."""
    found = []
    for name in anthropo.__all__:
        thing = getattr(anthropo, name)
        for method, held in vars(thing).items() if inspect.isclass(thing) else ():
            function = getattr(held, "__func__", held)
            if method.startswith("_") or not inspect.isfunction(function):
                continue
            if len(inspect.signature(function).parameters) > 1:
                found.append((name, method, function))
    return found


def raised_types(doc: NumpyDocString) -> list[str]:
    return [name.strip() for entry in doc["Raises"] for name in (entry.type or entry.name).split(",")]


def refuses(function: Any) -> bool:
    """Whether a function's own lines raise something."""
    code = textwrap.dedent(inspect.getsource(function))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(ast.parse(code)))


@pytest.mark.parametrize(("room", "name"), functions(), ids=[f"{r}.{n}" for r, n in functions()])
def test_a_public_function_says_what_it_refuses(room: str, name: str) -> None:
    function = inspect.unwrap(getattr(importlib.import_module(room), name))
    doc = documented(function)
    if name in REFUSE_NOTHING and not doc["Raises"]:
        assert not refuses(function)
        return
    assert doc["Raises"], "no section Raises"
    known = vars(builtins) | vars(importlib.import_module(function.__module__))
    for error in raised_types(doc):
        assert error in ERRORS or issubclass(known.get(error, int), Exception), f"{error}: no such error"


@pytest.mark.parametrize(("room", "name"), functions(), ids=[f"{r}.{n}" for r, n in functions()])
def test_the_docstring_is_as_numpydoc_wants_it(room: str, name: str) -> None:
    faults = [f"{code}: {text}" for code, text in validate(f"{room}.{name}")["errors"] if code in CODES]
    assert faults == []


@pytest.mark.parametrize(("owner", "name", "method"), methods(), ids=[f"{o}.{m}" for o, m, _ in methods()])
def test_a_public_method_says_what_it_takes_gives_and_refuses(owner: str, name: str, method: Any) -> None:
    doc = documented(method)
    assert doc["Summary"]
    described = {part.strip(" *") for entry in doc["Parameters"] for part in entry.name.split(",")}
    first = next(iter(inspect.signature(method).parameters))
    assert described >= set(parameters(method)) - {first, "cls"}
    if inspect.signature(method).return_annotation not in ("None", "NoReturn", None):
        assert doc["Returns"] or doc["Yields"]
    assert doc["Raises"] or not refuses(method)


def test_what_refuses_nothing_is_public() -> None:
    assert {name for _, name in functions()} | {"align"} >= REFUSE_NOTHING


#: Functions whose files are those they write, or of whose photos each has its reason in the table.
WRITING = {"make_cohort", "measure_table", "patient_table", "write_example"}


def of_files() -> list[tuple[str, str, int]]:
    """Public functions that need files and nothing else, and how many."""
    found = []
    for room, name in functions():
        function = inspect.unwrap(getattr(importlib.import_module(room), name))
        needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        paths = all("PathLike" in str(p.annotation) and "dict" not in str(p.annotation) for p in needed)
        if needed and paths and name not in WRITING:
            found.append((room, name, len(needed)))
    return found


@pytest.mark.parametrize(("room", "name", "files"), of_files(), ids=[f"{r}.{n}" for r, n, _ in of_files()])
def test_a_file_that_is_gone_raises_an_error_that_is_documented(
    room: str, name: str, files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    function = getattr(importlib.import_module(room), name)
    with pytest.raises(anthropo.AnthropoError, match=r"gone\.jpg") as caught:
        function(*["gone.jpg"] * files)
    said = set(raised_types(documented(inspect.unwrap(function))))
    assert said & {kind.__name__ for kind in caught.type.__mro__}
