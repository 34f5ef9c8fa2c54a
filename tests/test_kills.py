"""A command that was killed and started again ends as if it had not been: a slice of benchmarks/kills.py."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

if not hasattr(signal, "SIGKILL"):
    pytest.skip("Windows has no SIGKILL", allow_module_level=True)

import kills


def test_killed_once_each_command_ends_as_undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in kills.THREADS:
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    results = kills.killed(list(kills.COMMANDS), kills=1, seed=3, people=5)
    assert {name: result.faults for name, result in results.items()} == {name: [] for name in kills.COMMANDS}
    assert all(result.kills == 1 for result in results.values())


def test_what_differs_is_found(tmp_path: Path) -> None:
    class Again(kills.Place):  # type: ignore[misc]
        """A second run that writes something else and leaves something behind."""

        def run(self, words: object) -> tuple[float, int, str]:
            (self.folder / "faces.csv").write_text("other")
            (self.cache / ".anthropo-1.tmp").write_text("")
            return 0.0, 0, ""

    fault = kills.faults_of(Again(tmp_path, None), ["measure"], {"faces.csv": "0", "gone.csv": "0"})
    assert fault == "differs: faces.csv, gone.csv; left: .anthropo-1.tmp"
