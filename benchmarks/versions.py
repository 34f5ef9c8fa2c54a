"""Two installations of anthropo side by side: time and peak memory of the commands, whole processes.

    python benchmarks/versions.py OLD/bin/anthropo NEW/bin/anthropo PHOTO COHORT MODEL [--rounds 5]

MODEL is one that both read. The two take turns, so that what else the machine does meets both; a first round,
which warms caches, is not counted. Shown are medians, the ratio's quartiles over the rounds, and the largest
resident set.
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


def run(command: list[str], cache: str) -> tuple[float, float]:
    """Seconds and peak memory in MiB of one process."""
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "ANTHROPO_CACHE": cache},
    ) as process:
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{errors}")
    return time.perf_counter() - start, usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("old", "new", "photo", "cohort", "model"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    photo, cohort, model = arguments.photo, arguments.cohort, arguments.model
    with tempfile.TemporaryDirectory() as folder:
        page, trained = str(Path(folder) / "why.html"), str(Path(folder) / "m.anthropo")
        table = str(Path(folder) / "faces.csv")
        cohort_options = ["--allow-duplicates", "--jitter", "2", "--no-fine"]
        commands = {
            "measure, one photo": ["measure", photo],
            "measure, the cohort": ["measure", cohort, "-o", table],
            "classify": ["classify", "--model", model, photo],
            "classify, no cache": ["classify", "--model", model, photo, "--cache", "none"],
            "explain": ["explain", "--model", model, photo, "--force", "-o", page],
            "explain, no cache": [
                "explain",
                "--model",
                model,
                photo,
                "--force",
                "-o",
                page,
                "--cache",
                "none",
            ],
            "train": ["train", cohort, "-o", trained, *cohort_options],
            "train, no cache": ["train", cohort, "-o", trained, *cohort_options, "--cache", "none"],
            "--help": ["--help"],
        }
        print("| command | old, s | new, s | new / old (quartiles) | old, MiB | new, MiB |")
        print("|---|---|---|---|---|---|")
        for name, words in commands.items():
            seconds: dict[str, list[float]] = {"old": [], "new": []}
            memory = {"old": 0.0, "new": 0.0}
            for number in range(arguments.rounds + 1):
                for which in ("old", "new"):
                    Path(table).unlink(missing_ok=True)
                    cache = str(Path(folder) / which)
                    spent, size = run([getattr(arguments, which), *words], cache)
                    if number:
                        seconds[which].append(spent)
                        memory[which] = max(memory[which], size)
            half, low, high = np.percentile(np.divide(seconds["new"], seconds["old"]), (50, 25, 75))
            times = " | ".join(f"{np.median(seconds[which]):.2f}" for which in ("old", "new"))
            sizes = " | ".join(f"{memory[which]:.0f}" for which in ("old", "new"))
            print(f"| {name} | {times} | {half:.2f} ({low:.2f} to {high:.2f}) | {sizes} |", flush=True)


if __name__ == "__main__":
    main()
