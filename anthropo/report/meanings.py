"""What the sources say of the fields of a dataclass, which is written nowhere else."""

from __future__ import annotations

import inspect
import re
from dataclasses import is_dataclass
from typing import Any

_COMMENTED = re.compile(r"^    (\w+): [^#]*?#(.*)$")


def meanings(kind: type[Any]) -> dict[str, str]:
    """What is said of each field, in the class or those that it inherits from."""
    of_fields: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        of_fields |= _in_class(one) if is_dataclass(one) else {}
    return of_fields


def _in_class(kind: type[Any]) -> dict[str, str]:
    """What a class says of its fields: behind each, in the lines before it, or in its Attributes."""
    meaning_of, before = {}, ""
    for line in inspect.getsource(kind).splitlines():
        comment, entry = re.match(r"    # (.*)", line), _COMMENTED.match(line)
        if comment:
            before = f"{before} {comment[1]}".strip()
        elif entry:
            meaning_of[entry[1]], before = entry[2].strip(), ""
        elif field := re.match(r"    (\w+): ", line):
            if before:
                meaning_of[field[1]] = before
            before = ""
    doc = inspect.getdoc(kind) or ""
    listed = re.findall(r"^([\w, ]+) : .*\n((?:    .*\n?)*)", doc, re.MULTILINE)
    for names, text in listed:
        for name in names.split(", "):
            meaning_of.setdefault(name, " ".join(text.split()))
    return meaning_of
