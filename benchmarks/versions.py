"""Two installations of anthropo side by side: time and peak memory of the commands, whole processes.

    python benchmarks/versions.py OLD/bin/anthropo NEW/bin/anthropo PHOTO COHORT [--rounds 5] [--rows measure]

OLD and NEW are anything that runs as the command does. Each classifies with a model that it trained on
COHORT, since models of one version may not be read by another. The two take turns, so that what else the
machine does meets both; a first round, which warms caches, is not counted, unless it is the only one
(--rounds 0). Shown are medians of seconds on the clock and, in brackets, of all cores together, which other
work hardly changes; the ratio of the latter with its quartiles over the rounds; and the largest resident set.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def run(command: list[str], cache: str) -> tuple[float, float, float]:
    """Seconds on the clock and of all cores, and peak memory in MiB, of one process and those it starts."""
    # with it, each run would compile all of the source that it loads
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**environment, "ANTHROPO_CACHE": cache},
    ) as process:
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{errors}")
    size = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, size


def commands_of(photo: str, cohort: str, folder: Path) -> dict[str, list[str]]:
    """The words of each command, by the name of its row; models and tables are in the folder."""
    model, page = str(folder / "known.anthropo"), str(folder / "why.html")
    classify, explain = ["classify", "--model", model, photo], ["explain", "--model", model, photo]
    explain += ["--force", "-o", page]
    train = [
        "train",
        cohort,
        "-o",
        str(folder / "m.anthropo"),
        "--allow-duplicates",
        "--jitter",
        "2",
        "--no-fine",
    ]
    anew = ["--cache", "none"]
    return {
        "measure, one photo": ["measure", photo],
        "measure, the cohort": ["measure", cohort, "-o", str(folder / "faces.csv")],
        "classify": classify,
        "classify, no cache": [*classify, *anew],
        "explain": explain,
        "explain, no cache": [*explain, *anew],
        "train": train,
        "train, no cache": [*train, *anew],
        "train as by default, no cache": [*train[:5], "--face", "largest", *anew],
        "anthropo --help": ["--help"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("old", "new", "photo", "cohort"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these, or what begins like them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        of = {}
        for which in ("old", "new"):
            own = Path(folder) / which
            own.mkdir()
            of[which] = commands_of(asked.photo, asked.cohort, own)
        wanted = [name for name in of["old"] if not asked.rows or name.startswith(tuple(asked.rows))]
        if any(name.startswith(("classify", "explain")) for name in wanted):
            for which in ("old", "new"):
                known = Path(folder) / which / "known.anthropo"
                train = ["train", asked.cohort, "-o", str(known), "--allow-duplicates", "--no-judge"]
                run([getattr(asked, which), *train], str(known.parent / "cache"))
        print("| command | old, s | new, s | new / old, cores (quartiles) | old, MiB | new, MiB |")
        print("|---|---|---|---|---|---|")
        for name in wanted:
            seconds: dict[str, list[float]] = {"old": [], "new": []}
            cores: dict[str, list[float]] = {"old": [], "new": []}
            memory = {"old": 0.0, "new": 0.0}
            for number in range(asked.rounds + 1):  # with none the first one counts
                for which in ("old", "new"):
                    own = Path(folder) / which
                    (own / "faces.csv").unlink(missing_ok=True)
                    spent, all_, size = run([getattr(asked, which), *of[which][name]], str(own / "cache"))
                    if number or asked.rounds == 0:
                        seconds[which].append(spent)
                        cores[which].append(all_)
                        memory[which] = max(memory[which], size)
            half, low, high = np.percentile(np.divide(cores["new"], cores["old"]), (50, 25, 75))
            times = " | ".join(
                f"{np.median(seconds[which]):.2f} ({np.median(cores[which]):.2f})" for which in ("old", "new")
            )
            sizes = " | ".join(f"{memory[which]:.0f}" for which in ("old", "new"))
            print(f"| {name} | {times} | {half:.2f} ({low:.2f} to {high:.2f}) | {sizes} |", flush=True)


if __name__ == "__main__":
    main()
