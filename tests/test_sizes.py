"""Files and functions stay as short as they can be read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("anthropo", "cli", "tests", "benchmarks", "development", "docs")
LONGEST_FILE = 600  # lines
LONGEST_FUNCTION = 80  # lines, its docstring not counted


def sources() -> list[Path]:
    return [p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.py"))]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None and first.end_lineno is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def test_what_counts_as_a_function_s_length() -> None:
    (function,) = ast.parse('def f(\n    x,\n):\n    """One.\n\n    Two.\n    """\n    return x\n').body
    assert isinstance(function, ast.FunctionDef)
    assert length(function) == 4


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_and_no_function_is_too_long(folder: str) -> None:
    own = [p for p in sources() if p.relative_to(ROOT).parts[0] == folder]
    assert own
    long = []
    for path in own:
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        if text.count("\n") > LONGEST_FILE:
            long.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and length(node) > LONGEST_FUNCTION:
                long.append(f"{name}: {node.name} has {length(node)} lines")
    assert not long
