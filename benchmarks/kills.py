"""Commands that are killed (SIGKILL) and started again must end as if nothing had happened.

    cd tests; python ../benchmarks/kills.py [COMMAND ...] [--kills 60] [--seed 0]

Each command works on a cohort of synthetic people in a folder and with a cache of its own, is killed at a
random moment of the time that it takes undisturbed, and is run again. Every second moment lies in the last
third, where most files are written. Then the folder must hold the same files as after an undisturbed run,
byte for byte but for the date in a phenopacket, and neither the folder nor the cache a temporary file.
Processes are forked from one that has imported the libraries, so that moments fall into the work.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import multiprocessing.process
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anthropo.cli import THREADS
from anthropo.files import write_atomically
from anthropo.landmarks import write_example
from anthropo.synthetic import make_cohort

_FAST = ("--jitter", "2", "--no-fine", "-j", "1")
_LEARN = (*_FAST, "--allow-duplicates", "--folds", "2", "--min-patients", "3", "--regions", "face")
_SMALL = (
    *("--recipe", "deepgestalt", "--no-face", "-j", "1", "--allow-duplicates", "--set", "size=32"),
    *("--set", "batch=4", "--set", "warm_start=none", "--set", "epochs=3", "--set", "optimiser=sgd"),
    *("--set", "threads=1"),
)
_TREES = (
    *("--cascades", "2", "--trees", "5", "--depth", "2", "--copies", "2", "--pool", "50"),
    *("--candidates", "5", "--fine-epochs", "1", "-j", "1"),
)
#: Command -> what it is called with, in turn; COHORT stands for the table, FACES for annotated faces.
COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "measure": (
        ("measure", "COHORT", "-o", "faces.csv", "--overlay", "drawn", "--save-landmarks", "points", *_FAST),
        ("measure", "COHORT", "-o", "faces.json", *_FAST),
        ("measure", "COHORT", "-o", "faces.html", *_FAST),
    ),
    "train": (("train", "COHORT", "-o", "model.anthropo", *_LEARN),),
    "evaluate": (
        ("evaluate", "COHORT", "-o", "report.html", *_LEARN),
        ("evaluate", "COHORT", "-o", "report.json", *_LEARN),
    ),
    "finetune": (("finetune", "COHORT", "-o", "net.anthropo", *_SMALL),),
    "landmarks": (
        ("landmarks", "train", "FACES", "-o", "mine.anthropo", *_TREES),
        ("landmarks", "evaluate", "FACES", "-o", "error.html", "-j", "1"),
    ),
    "traits": (("traits", "COHORT", "-o", "cases/", "-j", "1"),),
}
_DONE = (0, 1, 3)  # exit codes of a command that did its work; some photos may have been unfit
#: When a phenopacket was made, which its schema wants, and the hashes of such files in a run's manifest.
_DATED = re.compile(rb'"created": "[^"]*"|(?s:"outputs": \{.*?\})')


#: Imported once; a killed process had not begun its work while it imported them.
_IMPORTED = (
    *("anthropo.cli.measure", "anthropo.cli.train", "anthropo.cli.evaluate", "anthropo.cli.finetune"),
    *("anthropo.cli.traits", "anthropo.cli.landmarks", "anthropo.landmarks.training", "xgboost"),
    *("anthropo.learning.training", "anthropo.networks.finetuning"),
    *("anthropo.report.measure", "anthropo.report.evaluation", "matplotlib.pyplot", "skimage.transform"),
)
_FORKS = multiprocessing.get_context("forkserver")


def _command(words: tuple[str, ...], folder: str, cache: str, said: str) -> None:
    """Run a command as `anthropo` does, in this process."""
    with open(said, "wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.chdir(folder)
    os.environ["ANTHROPO_CACHE"] = cache
    sys.argv = ["anthropo", *words]
    from anthropo.cli import main

    main()


@dataclass(slots=True)
class Result:
    """How often a command was killed, and what was wrong afterwards."""

    kills: int = 0
    with_files: int = 0  # kills after which files lay in the folder
    seconds: float = 0.0  # of an undisturbed run
    faults: list[str] = field(default_factory=list)


class Place:
    """A folder to work in, with a cache of its own that holds the converted weights and nothing else."""

    def __init__(self, root: Path, weights: Path | None) -> None:
        self.folder, self.cache = root / "work", root / "cache"
        for made in (self.folder, self.cache):
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(parents=True)
        for file in weights.glob("*.bin") if weights else ():
            os.link(file, self.cache / file.name)

    def start(self, words: Sequence[str]) -> multiprocessing.process.BaseProcess:
        """The command in a process of its own, working in the folder."""
        said = str(self.cache.parent / "stderr")
        process = _FORKS.Process(
            target=_command, args=(tuple(words), str(self.folder), str(self.cache), said)
        )
        process.start()
        return process

    def run(self, words: Sequence[str]) -> tuple[float, int, str]:
        """Seconds, exit code and the end of what the command said."""
        start = time.perf_counter()
        process = self.start(words)
        process.join()
        said = (self.cache.parent / "stderr").read_text(errors="replace").strip()
        return time.perf_counter() - start, process.exitcode or 0, said[-300:]

    def kill(self, words: Sequence[str], after: float) -> bool:
        """Kill the command after some seconds; False where it had ended before."""
        process = self.start(words)
        process.join(after)
        process.kill()  # SIGKILL
        process.join()
        return process.exitcode == -signal.SIGKILL

    def files(self) -> dict[str, str]:
        """What lies in the folder: name and SHA-256."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(_DATED.sub(b"", path.read_bytes())).hexdigest()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    def temporary(self) -> list[str]:
        """What only an unfinished run has; a folder of the cache is swept when it is next written to."""
        for folder in (path for path in self.cache.rglob("*") if path.is_dir()):
            write_atomically(folder / "probe", b"")
        return [
            path.name
            for root in (self.folder, self.cache)
            for path in root.rglob("*")
            if path.name.endswith((".tmp", ".lock", ".partial", ".checkpoint"))
        ]


def tried(
    words: Sequence[str], root: Path, weights: Path, kills: int, draw: random.Random, result: Result
) -> None:
    """Kill one command `kills` times."""
    whole = Place(root, weights)
    seconds, code, said = whole.run(words)
    if code not in _DONE:
        raise SystemExit(f"{' '.join(words)}: exit code {code}\n{said}")
    wanted = whole.files()
    result.seconds = max(result.seconds, seconds)
    while kills and not _stopped.is_set():
        share = draw.random()
        after = seconds * (share if kills % 2 else 1 - share / 3)
        place = Place(root, weights)
        if not place.kill(words, after):
            seconds = min(seconds, after)  # it is quicker than thought: the first run met a busy machine
            continue
        kills -= 1
        result.kills += 1
        if sys.stderr.isatty():
            print(f"{words[0]}: {result.kills}", file=sys.stderr, flush=True)
        result.with_files += bool(place.files())
        fault = faults_of(place, words, wanted)
        if fault:
            result.faults.append(f"{words[0]} killed after {after:.2f} s: {fault}")


def faults_of(place: Place, words: Sequence[str], wanted: dict[str, str]) -> str:
    """Run the killed command again; what is not as it should be."""
    _, code, said = place.run(words)
    if code not in _DONE:
        return f"exit code {code}: {said}"
    found = place.files()
    wrong = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    left = place.temporary()
    parts = [f"differs: {', '.join(wrong[:5])}"] * bool(wrong) + [f"left: {', '.join(left[:5])}"] * bool(left)
    return "; ".join(parts)


_stopped = threading.Event()  # by Ctrl-C or SIGTERM: the table is of what was tried by then


def killed(commands: Sequence[str], kills: int, seed: int, people: int = 6) -> dict[str, Result]:
    """Kill each command `kills` times, on a cohort of so many people of two labels."""
    results: dict[str, Result] = {}
    # as the command itself has it, whose libraries are loaded before it runs: by the server of forks, which
    # starts with the first process and keeps this environment
    os.environ.update(dict.fromkeys(THREADS, "1"))
    _FORKS.set_forkserver_preload(list(_IMPORTED))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cohort = str(make_cohort(root / "cohort", people, seed=1))
        write_example(root / "faces", people)
        files = {"COHORT": cohort, "FACES": str(root / "faces")}
        first = Place(root / "first", None)
        first.run(["measure", str(root / "cohort" / "synthetic-0001-1.jpg"), "--no-fine"])
        for name in commands:
            draw = random.Random(f"{seed} {name}")
            result = results[name] = Result()
            variants = COMMANDS[name]
            for i, variant in enumerate(variants):
                words = [files.get(word, word) for word in variant]
                share = kills // len(variants) + (i < kills % len(variants))
                if share:
                    tried(words, root / "place", first.cache, share, draw, result)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    unknown = [name for name in arguments.commands if name not in COMMANDS]
    if unknown:
        parser.error(f"no command {unknown[0]}; there are {', '.join(COMMANDS)}")
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda *_: _stopped.set())
    print("| command | undisturbed, s | kills | files were there | as undisturbed |")
    print("|---|---|---|---|---|")
    faults = []
    for name in arguments.commands or list(COMMANDS):
        result = killed([name], arguments.kills, arguments.seed)[name]
        same = result.kills - len(result.faults)
        print(
            f"| {name} | {result.seconds:.1f} | {result.kills} | {result.with_files} | {same} |", flush=True
        )
        faults += result.faults
    for fault in faults:
        print(fault)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
