"""The reference of Python names, made from `__all__`, so that no public name can be missing.

`anthropo` itself has a page for each task, with a table of all of them before; each room of the package has a
page with a table at the top. The pages are not committed. Fields of records, which the sources describe in a
comment behind each, are listed as attributes.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import anthropo
from anthropo.report.meanings import meanings

FOLDER = Path(__file__).resolve().parents[1] / "api"
HIDDEN = ("anthropo.cli", "anthropo.decoding")  # of no use from outside
#: Tasks, and the modules (below `anthropo`) whose names are for them; the first that fits.
TASKS: dict[str, tuple[str, ...]] = {
    "All of one photograph": ("workflows.examining",),
    "Change between two states": ("workflows.change",),
    "Traits": ("workflows.trait", "reference"),
    "Explanations": ("workflows.explain", "explanation"),
    "Groups": ("workflows.composites", "workflows.map", "workflows.regions", "groups"),
    "Networks": (
        "networks", "workflows.network_model", "workflows.finetuning", "workflows.export",
        "workflows.bench", "workflows.comparison",
    ),
    "Landmark models": ("workflows.landmarks", "landmarks"),
    "Translation": ("workflows.translation", "translation"),
    "Workbench, runs and licences": (
        "workbench", "workflows.demonstration", "workflows.manifest", "workflows.weights",
        "workflows.inspection", "workflows.installation", "licensing",
    ),
    "Measurements": ("measurement", "workflows.measuring", "workflows.own_measurements"),
    "Photographs and faces": ("photo", "video", "face", "observation", "settings", "parallel"),
    "Cohorts and models": ("learning", "encoder", "workflows"),
}  # fmt: skip
ERRORS = "Errors"
AFTER = ("See Also", "Notes", "References", "Examples")  # sections of a docstring that come last
#: In the order of work.
ORDER = (
    "All of one photograph",
    "Photographs and faces", "Measurements", "Traits", "Cohorts and models", "Explanations", "Groups",
    "Change between two states", "Networks", "Landmark models", "Translation",
    "Workbench, runs and licences", ERRORS, "More",
)  # fmt: skip


def rooms() -> list[str]:
    found = [m.name for m in pkgutil.iter_modules(anthropo.__path__, "anthropo.") if m.ispkg]
    return ["anthropo", *(name for name in found if name not in HIDDEN)]


def task_of(thing: Any) -> str:
    """The task that a public name of `anthropo` is for."""
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        return ERRORS
    module = getattr(thing, "__module__", "").removeprefix("anthropo.")
    return next((task for task, starts in TASKS.items() if module.startswith(starts)), "More")


def summary(thing: object, room: str = "", name: str = "") -> str:
    """The first sentence of a docstring, or of the comment above a constant, as reStructuredText."""
    if not inspect.isclass(thing) and not inspect.isroutine(thing):
        own = type(thing).__module__.startswith("anthropo")
        return sentence(comment_above(room, name)) if not own else summary(type(thing))
    said = (inspect.getdoc(thing) or "").split("\n\n", 1)[0].replace("\n", " ")
    return re.sub(r"([|*_])", r"\\\1", re.sub(r"\s*\[\d+\]_", "", said))


def comment_above(room: str, name: str) -> str:
    """What ``#:`` says of a constant, where the room has it from."""
    folder = Path(importlib.import_module(room).__file__ or "").parent
    stub = (folder / "__init__.pyi").read_text(encoding="utf-8")
    module = re.search(rf"^from \.([\w.]+) import {name} as {name}$", stub, re.MULTILINE)
    assert module is not None, f"{room}.{name} is exported by no line of its own"
    source = (folder / f"{module[1].replace('.', '/')}.py").read_text(encoding="utf-8")
    found = re.search(rf"((?:^#: .*\n)+){name}\b", source, re.MULTILINE)
    assert found is not None, f"{room}.{name}: write a comment #: above it"
    return " ".join(line.removeprefix("#: ") for line in found[1].splitlines())


def sentence(comment: str) -> str:
    """A comment of the sources as a sentence."""
    begin = comment[:1].upper() + comment[1:] if re.match(r"[a-z]+[ ,;]", comment) else comment
    return begin if begin.endswith(".") else f"{begin}."


def kind_of(thing: object) -> str:
    if inspect.isclass(thing):
        return "exception" if issubclass(thing, BaseException) else "class"
    return "function" if inspect.isroutine(thing) else "data"


def table(room: str, names: Iterable[str]) -> Iterator[str]:
    """Names with a line each, as links."""
    yield from (".. list-table::", "   :widths: 30 70", "   :class: names", "")
    for name in names:
        thing = getattr(importlib.import_module(room), name)
        home = "anthropo" if _also_at_the_top(name, thing) else room
        yield f"   * - :py:obj:`{name} <{home}.{name}>`"
        yield f"     - {summary(thing, room, name)}"
    yield ""


def entry(room: str, name: str) -> Iterator[str]:
    """The directive that documents a name; where it is at home elsewhere, nothing points here."""
    thing = getattr(importlib.import_module(room), name)
    kind = kind_of(thing)
    yield f".. auto{kind}:: {room}.{name}"
    if kind == "class":
        yield "   :members:"
    yield from (["   :no-value:"] if kind == "data" else [])
    yield ""
    if kind == "data" and not type(thing).__module__.startswith("anthropo"):
        yield from (f"   {summary(thing, room, name)}", "")


def titled(text: str, sign: str = "=") -> list[str]:
    return [text, sign * len(text), ""]


def page(room: str) -> str:
    """A room's page: what is at home in it in full, and in the table also what `anthropo` has."""
    module = importlib.import_module(room)
    names = sorted(module.__all__, key=str.lower)
    lines = [*titled(room), (inspect.getdoc(module) or "").strip(), "", *table(room, names)]
    for name in names:
        if not _also_at_the_top(name, getattr(module, name)):
            lines += entry(room, name)
    return "\n".join(lines)


def slug(task: str) -> str:
    return "anthropo-" + re.sub(r"[^a-z]+", "-", task.lower())


def pages_of_tasks() -> dict[str, str]:
    """The pages of `anthropo`: the tables of all tasks, and a page for each."""
    by_task: dict[str, list[str]] = {}
    for name in sorted(anthropo.__all__, key=str.lower):
        by_task.setdefault(task_of(getattr(anthropo, name)), []).append(name)
    tasks = [task for task in ORDER if task in by_task]
    lines = [*titled("anthropo"), (inspect.getdoc(anthropo) or "").strip(), ""]
    lines += [".. toctree::", "   :hidden:", "", *(f"   {slug(task)}" for task in tasks), ""]
    made = {}
    for task in tasks:
        shown = list(table("anthropo", by_task[task]))
        lines += [*titled(task, "-"), *shown]
        whole = [line for name in by_task[task] for line in entry("anthropo", name)]
        made[f"{slug(task)}.rst"] = "\n".join([*titled(task), *shown, *whole])
    return {"anthropo.rst": "\n".join(lines), **made}


def _also_at_the_top(name: str, thing: object) -> bool:
    return name in anthropo.__all__ and getattr(anthropo, name) is thing


def write(app: Any) -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = {f"{room}.rst": page(room) for room in rooms() if room != "anthropo"} | pages_of_tasks()
    for old in FOLDER.glob("*.rst"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        file = FOLDER / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def left_out(app: Any, what: str, name: str, thing: object, skip: bool, options: Any) -> bool | None:
    """scikit-learn gives its estimators methods whose docstrings refer to its own pages."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def with_fields(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Before numpydoc reads it: fields of a record that the docstring leaves to the source's comments."""
    if what not in ("class", "exception") or not is_dataclass(thing):
        return
    text = "\n".join(lines)
    listed = set(re.findall(r"^(\w+(?:, \w+)*)(?: :|$)", text, re.MULTILINE))
    known = {one for names in listed for one in names.split(", ")}
    told = meanings(thing)
    more = [one for one in fields(thing) if one.name not in known and not one.name.startswith("_")]
    if not more:
        return
    made = []
    for one in more:
        kind = one.type if isinstance(one.type, str) else getattr(one.type, "__name__", str(one.type))
        made += [
            f"{one.name} : {kind.replace('_', chr(92) + '_')}",
            *([f"    {told[one.name]}"] if one.name in told else []),
        ]
    heads = [i for i, (line, below) in enumerate(pairwise(lines)) if line in AFTER and set(below) == {"-"}]
    if "Attributes" in lines:  # what is left goes to its end
        begin = lines.index("Attributes")
        end = next((i for i in heads if i > begin), len(lines))
        lines[end:end] = [*made, ""]
    else:
        at = heads[0] if heads else len(lines)
        lines[at:at] = ["", "Attributes", "----------", *made, ""]


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-skip-member", left_out)
    app.connect("autodoc-process-docstring", with_fields, priority=100)
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
