"""A slice of the fuzzers for pictures, videos, texts and caches; `make fuzz` runs them for longer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz_caches
import fuzz_pictures
import fuzz_texts
import fuzzing
import pytest

_CHEAP = (
    "annotated faces, COCO",
    "annotated faces, imglab",
    "earlier results, CSV",
    "earlier results, JSON",
    "landmark files",
    "options",
    "parameters, YAML",
    "rules",
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def damaged_rows_may_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A continued run keeps the rows of other photos as they are: no schema is asked of damaged ones."""
    monkeypatch.setattr("json_files.check_outputs", lambda *_: 0)


def findings(kinds: Any, use: fuzzing.Use, count: int) -> list[str]:
    """In this process: what ends it is the end of the tests."""

    def became(path: Path) -> dict[str, Any]:
        sentence = use(path)
        return {"finding": fuzzing.flaw(sentence), "sentence": sentence, "memory": 0, "seconds": 0.0}

    tallies = {kind: fuzzing.Tally() for kind in kinds}
    fuzzing.campaign(kinds, became, range(count), 7, tallies)
    assert sum(tally.tried for tally in tallies.values()) == count
    assert any(tally.refused for tally in tallies.values())
    return [finding for tally in tallies.values() for finding in tally.findings]


def test_pictures_and_videos() -> None:
    kinds = {kind: make for kind, make in fuzz_pictures.KINDS.items() if kind != "bombs"}
    assert findings(kinds, fuzz_pictures.use, 150) == []


def test_texts() -> None:
    assert findings({kind: fuzz_texts.KINDS[kind] for kind in _CHEAP}, fuzz_texts.use, 32) == []


def test_caches() -> None:
    names = ("weights of the face detector", "crashes that are remembered")
    assert findings({kind: fuzz_caches.KINDS[kind] for kind in names}, fuzz_caches.use, 40) == []


FAULTS: dict[str, Callable[[Path], str]] = {
    "ValueError": lambda path: str(int("x")),
    "control characters": lambda path: "\x1b[2J",
    "printed": lambda path: str(__import__("os").write(2, b"from a library"))[:0],
    "the process ended": lambda path: str(__import__("os")._exit(3)),
    "more than": lambda path: str([None for _ in iter(int, 1)]),
    " GB": lambda path: str(bytearray(300 << 20)[:0])[:0],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_kind_of_fault_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A fuzzer that finds nothing must be one that would find something."""
    if fault == "more than":  # the others may take as long as importing does on a slow machine
        monkeypatch.setattr(fuzzing, "SECONDS", 1.0)
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path[:0] = {sys.path!r}\nimport fuzzing, test_fuzz\n"
        "fuzzing.MEMORY = 100 << 20\n"
        f"fuzzing.main(__file__, '', {{}}, test_fuzz.FAULTS[{fault!r}])"
    )
    (tmp_path / "case").write_bytes(b"x")
    user = fuzzing.User(str(script))
    try:
        assert fault in user.use(tmp_path / "case")["finding"]
    finally:
        user.end()
