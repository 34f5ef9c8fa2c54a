"""Throughput of `anthropo measure -o` on a folder: -j 2 against -j 1, each run in a fresh process.

    python benchmarks/throughput.py FOLDER [--photos 200] [--repeat 3]

Photos are taken in order of their names; if a folder has fewer, copies under other names are added. The time
is that of the whole command, start-up and table included; the fastest repetition of each counts.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from anthropo.photo import SUFFIXES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    found = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    with tempfile.TemporaryDirectory() as work:
        links = Path(work) / "photos"
        links.mkdir()
        for i, path in zip(range(arguments.photos), itertools.cycle(found), strict=False):
            (links / f"{i:04d}{path.suffix}").symlink_to(path.resolve())
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(arguments.repeat):
            for jobs, times in seconds.items():
                output = Path(work) / "out.csv"
                output.unlink(missing_ok=True)
                command = [sys.executable, "-m", "anthropo", "measure", str(links), "-o", str(output)]
                command += ["-j", str(jobs), "--face", "largest"]
                start = time.perf_counter()
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                times.append(time.perf_counter() - start)
                if not output.exists():
                    sys.exit(done.stderr)
    one, two = min(seconds[1]), min(seconds[2])
    print("| folder | photos | -j 1, photos/s | -j 2, photos/s | ratio |")
    print("|---|---|---|---|---|")
    n = arguments.photos
    print(f"| {arguments.folder.name} | {n} | {n / one:.1f} | {n / two:.1f} | {one / two:.2f} |")


if __name__ == "__main__":
    main()
