"""Throughput of measuring by a local cluster of Dask against processes, in the same number.

    python benchmarks/cluster.py FOLDER... [--photos 1000] [--workers 2] [--repeat 3]

Each run is a process of its own, start-up and table included; runs take turns. If a folder has fewer photos,
copies under other names are taken as well. The fastest repetition counts. "without start" is the difference
between all and 100 photos. CPU time is that of all processes together; it says more where others use the
machine. The tables are compared byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scaling import FEW, Bench

from anthropo.parallel.worker import ONE_THREAD

RUN = """
import json, resource, sys
from anthropo.cli import main
usage = sys.argv.pop()
try:
    main()
finally:
    seconds = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    with open(usage, "w") as file:
        json.dump(sum(one.ru_utime + one.ru_stime for one in seconds), file)
"""


def run(folder: Path, options: list[str]) -> tuple[float, float, bytes]:
    """Seconds by the clock and of computing, and the table."""
    output, usage = folder.with_suffix(".csv"), folder.with_suffix(".json")
    output.unlink(missing_ok=True)
    words = ["measure", str(folder), "-o", str(output), "--face", "largest", *options, str(usage)]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words], env={**os.environ, **ONE_THREAD}, capture_output=True, text=True
    )
    clock = time.perf_counter() - began
    if done.returncode not in (0, 3):
        sys.exit(done.stderr)
    return clock, json.loads(usage.read_text()), output.read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    ways = {
        "processes": ["-j", str(args.workers)],
        "Dask": ["--cluster", f"local:{args.workers}"],
    }
    print("| folder | photos | by | s | CPU s | photos/s | without start, photos/s | CPU ms/photo |")
    print("|---|---|---|---|---|---|---|---|")
    ratios = []
    with tempfile.TemporaryDirectory() as work:
        for source in args.folders:
            bench = Bench(source, Path(work), args.photos)
            folders = [bench.links(f"{source.name}-{n}", bench.photos[:n]) for n in (FEW, args.photos)]
            best: dict[str, list[tuple[float, float]]] = {}
            tables = set()
            for _ in range(args.repeat):
                for way, options in ways.items():
                    times = []
                    for folder in folders:
                        clock, cpu, table = run(folder, options)
                        times.append((clock, cpu))
                        tables.add((folder.name, table))
                    best.setdefault(way, times)
                    best[way] = [min(pair) for pair in zip(best[way], times, strict=True)]
            speeds = {}
            for way, ((few, few_cpu), (clock, cpu)) in best.items():
                more = args.photos - FEW
                speeds[way] = args.photos / clock, more / (clock - few), more / (cpu - few_cpu)
                figures = [f"{args.photos / clock:.1f}", f"{more / (clock - few):.1f}"]
                figures.append(f"{1000 * (cpu - few_cpu) / more:.1f}")
                cells = [source.name, str(args.photos), way, f"{clock:.1f}", f"{cpu:.1f}", *figures]
                print(f"| {' | '.join(cells)} |")
            shares = [d / p for d, p in zip(speeds["Dask"], speeds["processes"], strict=True)]
            same = "the same table" if len(tables) == len(folders) else "DIFFERENT TABLES"
            ratios.append(
                f"{source.name}: Dask has {shares[0]:.2f} of the processes' throughput, {shares[1]:.2f} "
                f"without start, {shares[2]:.2f} by CPU time; {same}"
            )
    print()
    print("\n".join(ratios))


if __name__ == "__main__":
    main()
