"""One page of the reference for each room of the package, with every name that it exports.

The pages are made from `__all__`, so that a public name cannot be missing; they are not committed.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import anthropo

FOLDER = Path(__file__).resolve().parents[1] / "api"
HIDDEN = ("anthropo.cli", "anthropo.decoding")  # of no use from outside


def rooms() -> list[str]:
    found = [m.name for m in pkgutil.iter_modules(anthropo.__path__, "anthropo.") if m.ispkg]
    return ["anthropo", *(name for name in found if name not in HIDDEN)]


def page(room: str) -> str:
    module = importlib.import_module(room)
    summary = (inspect.getdoc(module) or "").strip()
    lines = [room, "=" * len(room), "", summary, ""]
    for name in sorted(module.__all__, key=str.lower):
        thing = getattr(module, name)
        kind = "class" if inspect.isclass(thing) else "function" if inspect.isroutine(thing) else "data"
        if kind == "class" and issubclass(thing, BaseException):
            kind = "exception"
        lines += [name, "-" * len(name), "", f".. auto{kind}:: {room}.{name}"]
        if kind == "class":
            lines += ["   :members:"]
        lines += ["   :no-index:" if room != "anthropo" and _also_at_the_top(name, thing) else "", ""]
    return "\n".join(lines)


def _also_at_the_top(name: str, thing: object) -> bool:
    return name in anthropo.__all__ and getattr(anthropo, name) is thing


def write(app: Any) -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = {f"{room}.rst": page(room) for room in rooms()}
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


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-skip-member", left_out)
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
