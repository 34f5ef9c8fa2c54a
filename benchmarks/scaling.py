"""Throughput of measuring and of embeddings on many photos, and what of it more cores cannot speed up.

    python benchmarks/scaling.py FOLDER... [--photos 400] [--repeat 3] [--only measure|embeddings]

Each run is a process of its own, start-up and table included, and runs take turns: one job, two threads, two
processes, and two commands at once with half of the photos each, which is the most that this machine gives.
If a folder has fewer photos, copies under other names are taken as well. The fastest repetition counts.

What more cores cannot speed up is what the main process computes for each photo: the slope of its CPU time
over 100 and all photos. With share s of a photo's CPU time, N cores are 1 / (s + (1 - s) / N) times as fast.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from anthropo.parallel.worker import ONE_THREAD
from anthropo.photo import SUFFIXES

CORES = (8, 32, 64, 128)
FEW = 100  # photos of the short run that the slope needs
NEVER = 10**9  # photos, from which on there are processes

RUN = """
import json, resource, sys
from anthropo.parallel import runner
what, folder, output, jobs, enough, usage = sys.argv[1:]
runner.ENOUGH = int(enough)
try:
    if what == "measure":
        from anthropo.cli import main
        sys.argv = ["anthropo", "measure", folder, "-o", output, "-j", jobs, "--face", "largest"]
        main()
    else:
        import glob
        import anthropo
        from anthropo.learning.cohort import Case, Cohort
        photos = sorted(glob.glob(folder + "/*"))
        cohort = Cohort(tuple(Case(photo, "a", photo) for photo in photos), folder)
        settings = anthropo.Settings(face="largest")
        anthropo.extract(cohort, settings, anthropo.load_encoder(), jobs=int(jobs))
finally:
    seconds = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    with open(usage, "w") as file:
        json.dump([one.ru_utime + one.ru_stime for one in seconds], file)
"""


@dataclass(frozen=True)
class Times:
    """Of a run, seconds."""

    clock: float
    main: float  # CPU time of the main process
    workers: float  # CPU time of the processes that it started


class Bench:
    """Runs on links to the photos of a folder."""

    def __init__(self, folder: Path, work: Path, count: int) -> None:
        self.work = work
        self.name = folder.name
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        self.photos = list(itertools.islice(itertools.cycle(found), count))

    def links(self, name: str, photos: list[Path]) -> Path:
        """A folder of links to some photos."""
        folder = self.work / name
        folder.mkdir(exist_ok=True)
        for i, path in enumerate(photos):
            link = folder / f"{i:05d}{path.suffix}"
            if not link.is_symlink():
                link.symlink_to(path.resolve())
        return folder

    def start(self, what: str, folder: Path, jobs: int, enough: int) -> tuple[subprocess.Popen[str], Path]:
        """A run that has begun, and where its usage will be."""
        output = self.work / f"{folder.name}.csv"
        output.unlink(missing_ok=True)
        usage = self.work / f"{folder.name}.json"
        usage.unlink(missing_ok=True)
        words = [what, str(folder), str(output), str(jobs), str(enough), str(usage)]
        command = [sys.executable, "-c", RUN, *words]
        environment = {**os.environ, **ONE_THREAD}
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True), usage

    def times(self, what: str, photos: list[Path], jobs: int, enough: int) -> Times:
        """One run."""
        folder = self.links(f"{self.name}-{len(photos)}", photos)
        began = time.perf_counter()
        process, usage = self.start(what, folder, jobs, enough)
        _, said = process.communicate()
        clock = time.perf_counter() - began
        if process.returncode not in (0, 3):
            sys.exit(said)
        return Times(clock, *json.loads(usage.read_text()))

    def beside(self, what: str, photos: list[Path]) -> float:
        """Seconds of two runs at once, each of one job with half of the photos."""
        folders = [self.links(f"{self.name}-half{i}", photos[i::2]) for i in range(2)]
        began = time.perf_counter()
        for process, _ in [self.start(what, folder, 1, NEVER) for folder in folders]:
            process.communicate()
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", choices=("measure", "embeddings"))
    arguments = parser.parse_args()
    wanted = [arguments.only] if arguments.only else ["measure", "embeddings"]
    speeds, shares = [], []
    for folder, what in itertools.product(arguments.folders, wanted):
        with tempfile.TemporaryDirectory() as work:
            bench = Bench(folder, Path(work), arguments.photos)
            n = len(bench.photos)
            kinds = {"one": (1, NEVER), "threads": (2, NEVER), "processes": (2, 2)}
            times: dict[str, list[Times]] = {kind: [] for kind in kinds}
            few: list[Times] = []
            beside: list[float] = []
            for _ in range(arguments.repeat):
                for kind, (jobs, enough) in kinds.items():
                    times[kind].append(bench.times(what, bench.photos, jobs, enough))
                few.append(bench.times(what, bench.photos[:FEW], 2, 2))
                beside.append(bench.beside(what, bench.photos))
            clock = {kind: min(one.clock for one in all_of) for kind, all_of in times.items()}
            row = [f"{n / clock[kind]:.1f}" for kind in kinds] + [f"{n / min(beside):.1f}"]
            row += [f"{clock['one'] / clock[kind]:.2f}" for kind in ("threads", "processes")]
            row += [f"{clock['one'] / min(beside):.2f}"]
            speeds.append([what, bench.name, str(n), *row])
            whole = min(times["processes"], key=lambda one: one.main)
            slope = (whole.main - min(one.main for one in few)) / (n - FEW)
            work_of_one = min(one.workers for one in times["processes"]) / n
            share = slope / (slope + work_of_one)
            bounds = [f"{1 / (share + (1 - share) / cores):.0f}" for cores in CORES]
            figures = [f"{1000 * slope:.2f}", f"{1000 * work_of_one:.1f}", f"{100 * share:.1f} %"]
            shares.append([what, bench.name, *figures, *bounds])
    head = ["", "folder", "photos", "one job, photos/s", "2 threads", "2 processes", "2 commands"]
    table([*head, "threads ×", "processes ×", "commands ×"], speeds)
    cores = [f"× at {n} cores" for n in CORES]
    table(["", "folder", "main process, ms/photo", "workers, ms/photo", "serial share", *cores], shares)


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    print()
    for cells in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
