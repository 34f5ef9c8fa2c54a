"""A harness for hostile files: seeded cases, used in a process of its own whose end is noticed.

A script names its kinds of cases and how a case is used, and calls `main`:

    python benchmarks/fuzz_pictures.py --count 10000 --seed 1 [--keep FOLDER] [--only NUMBER]

A use returns "" where a file was accepted, or the sentence with which it was refused. A finding is
anything else: what is raised, the end of the process, more than 20 s of computing or 2 GiB of memory,
control characters in a sentence, and whatever a library writes to the terminal. Case NUMBER of a seed is
the same file on every machine, as far as the libraries that encode it are the same, but for the dates and
random names that some of them write.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

SECONDS = 20.0  # of computing
CLOCK = 6 * SECONDS  # after which a process that does not even compute is stuck
MEMORY = 2 << 30  # bytes beyond what the process has before the case
_CEILING = 8 << 30  # bytes of addresses: a bomb is to be a finding, and not the end of the machine
_NEW_PROCESS = 500  # cases that one process uses

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")

Rng = np.random.Generator
T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """A file to be used: what it is called, and what is in it."""

    name: str
    data: bytes


Make = Callable[[Rng], Case]
Use = Callable[[Path], str]


@dataclass
class Tally:
    """What became of the cases of a kind."""

    tried: int = 0
    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    most: int = 0  # bytes
    findings: list[str] = field(default_factory=list)


def rng_of(seed: int, number: int) -> Rng:
    """The chance of a case."""
    return np.random.default_rng([seed, number])


def pick(choices: Sequence[T], rng: Rng) -> T:
    """One of them."""
    return choices[int(rng.integers(len(choices)))]


def flaw(sentence: str) -> str:
    """What is wrong with a sentence that is meant for the terminal; empty if nothing is."""
    if "Traceback" in sentence:
        return "a traceback"
    odd = {c for c in sentence if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _TURNING}
    odd -= {"\n", "\t"}
    return f"control characters {sorted(odd)!a}" if odd else ""


def command(*arguments: object) -> str:
    """What the terminal says of a command that refuses something; empty where it does not.

    As `anthropo ARGUMENTS`, but in this process: what libraries print is kept off the terminal there.
    """
    from click.testing import CliRunner

    from anthropo.cli import cli
    from anthropo.quiet import hushed

    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with hushed():
            result = CliRunner().invoke(cli, [str(a) for a in arguments], prog_name="anthropo")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code not in (0, 1, 2, 3):
        raise AssertionError(f"exit code {result.exit_code}: {result.output[-300:]}")
    if wrong := flaw(result.output):
        raise AssertionError(f"{wrong} in {result.output[:300]!a}")
    return result.output if result.exit_code else ""


# --------------------------------------------------------------------------- in the process of its own


def serve(use: Use) -> None:
    """Use the files that are named on the standard input, and say what became of them."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_CEILING, _CEILING))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 1)
        os.dup2(noise.fileno(), 2)
        for line in sys.stdin:
            before = _peak(reset=True)
            began = time.process_time() + _children_time()
            try:
                sentence = use(Path(line.rstrip("\n")))
                finding = flaw(sentence)
            except Exception:
                lines = traceback.format_exc().splitlines()[-6:]
                sentence, finding = "", "\n".join(line[:200] for line in lines)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            if os.fstat(noise.fileno()).st_size:
                noise.seek(0)
                printed = noise.read(400).decode(errors="replace")
                finding = finding or f"printed: {printed!a}"
                noise.truncate(0)
                noise.seek(0)
            more = _peak() - before
            if more > MEMORY:
                finding = finding or f"{more / 1e9:.1f} GB"
            seconds = time.process_time() + _children_time() - began
            answer = {"sentence": sentence, "finding": finding, "memory": more, "seconds": seconds}
            print(json.dumps(answer), file=replies)


def _tree(pid: int | str = "self") -> Iterator[str]:
    """This process and the decoders' that it has started."""
    yield str(pid)
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from _tree(child)


def _peak(reset: bool = False) -> int:
    """Bytes that the processes have used at most since the last reset; what they use now if reset."""
    total = 0
    for pid in _tree():
        with contextlib.suppress(OSError):
            if reset:
                Path(f"/proc/{pid}/clear_refs").write_text("5")
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += 1024 * int(line.split()[1])
    return total


def _children_time() -> float:
    return sum(_computed(pid) for pid in list(_tree())[1:])


def _computed(pid: str) -> float:
    """Seconds that a process has computed."""
    with contextlib.suppress(OSError, IndexError):
        parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


# ------------------------------------------------------------------------------------ around it


class User:
    """The process in which files are used, started anew when it ends."""

    def __init__(self, script: str, *words: str) -> None:
        self._words = (script, *words)
        self._process: subprocess.Popen[str] | None = None
        self._used = 0

    def use(self, path: Path) -> dict[str, Any]:
        """What became of a file."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        before = self._seconds()
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        began = time.monotonic()
        while not select.select([process.stdout], [], [], 0.5)[0]:
            if self._seconds() - before > SECONDS or time.monotonic() - began > CLOCK:
                self.end()
                return _ended(f"more than {SECONDS:g} s", SECONDS)
        line = process.stdout.readline()
        if line:
            return dict(json.loads(line))
        code = process.wait()
        self.end()
        return _ended(f"the process ended ({code})")

    def _running(self) -> subprocess.Popen[str]:
        self._used += 1
        if self._process is not None and self._used % _NEW_PROCESS == 0:
            self.end()
        if self._process is None:
            command = [sys.executable, *self._words, "--serve"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
        return self._process

    def _seconds(self) -> float:
        return sum(map(_computed, _tree(self._process.pid))) if self._process else 0.0

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        self._process = None


def _ended(finding: str, seconds: float = 0.0) -> dict[str, Any]:
    return {"finding": finding, "sentence": "", "memory": 0, "seconds": seconds}


def campaign(
    kinds: Mapping[str, Make],
    use: Callable[[Path], dict[str, Any]],
    numbers: Iterator[int] | range,
    seed: int,
    tallies: dict[str, Tally],
    keep: Path | None = None,
) -> None:
    """Use so many cases of the kinds in turn, and count what became of them."""
    order = list(kinds)
    for number in numbers:
        kind = order[number % len(order)]
        case, tally = kinds[kind](rng_of(seed, number)), tallies[kind]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / case.name
            path.write_bytes(case.data)
            became = use(path)
        tally.tried += 1
        tally.slowest = max(tally.slowest, became["seconds"])
        tally.most = max(tally.most, became["memory"])
        if became["finding"]:
            tally.findings.append(f"{kind}, case {number}: {became['finding']}")
            print(tally.findings[-1], file=sys.stderr, flush=True)
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{seed}-{number}-{case.name}").write_bytes(case.data)
        elif became["sentence"]:
            tally.refused += 1
        else:
            tally.accepted += 1


def table(tallies: Mapping[str, Tally]) -> str:
    """The table of a campaign, in Markdown."""
    lines = ["| what | tried | refused | accepted | slowest, s | most memory, MB | findings |"]
    lines.append("|---|---|---|---|---|---|---|")
    for kind, t in tallies.items():
        cells = (t.tried, t.refused, t.accepted, f"{t.slowest:.1f}", round(t.most / 1e6), len(t.findings))
        lines.append(f"| {kind} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main(script: str, about: str, kinds: Mapping[str, Make], use: Use) -> None:
    """The command of a script."""
    parser = parser_of(about)
    parser.add_argument(
        "--kinds", default="", help="only kinds with this in their name; they are numbered anew"
    )
    options = parser.parse_args()
    run(options, {kind: make for kind, make in kinds.items() if options.kinds in kind}, use, script)


def parser_of(about: str) -> argparse.ArgumentParser:
    """The options that every script has."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--count", type=int, default=1000, help="cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    parser.add_argument("--only", type=int, help="the number of a single case")
    parser.add_argument("--from", type=int, default=0, dest="first", help="number of the first case")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser


def run(options: argparse.Namespace, kinds: Mapping[str, Make], use: Use, script: str, *words: str) -> None:
    """What the options ask for; `words` are those that the script needs besides."""
    if options.serve:
        serve(use)
        return
    numbers = range(options.first, options.first + options.count)
    if options.only is not None:
        numbers = range(options.only, options.only + 1)
    tallies = {kind: Tally() for kind in kinds}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["ANTHROPO_CACHE"] = cache
        user = User(script, *words)
        try:
            campaign(kinds, user.use, numbers, options.seed, tallies, options.keep)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
        finally:
            user.end()
    print(f"seed {options.seed}, cases from {numbers[0]}\n\n{table(tallies)}")
    sys.exit(any(tally.findings for tally in tallies.values()))
