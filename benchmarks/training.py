"""Time: photographs to a judged and trained model, with nothing cached and with everything cached.

    python benchmarks/training.py FOLDER [--jobs 2]

FOLDER as for benchmarks/hybrid.py; the task is age up to 12. Reading: file to measurements and embeddings of
all regions with the background. Judging: 5 folds of the hybrid, dealt as often as by default. Seconds on the
clock, and in brackets those of all cores together, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from hybrid import read, tasks

from anthropo.encoder.encoders import load_encoder
from anthropo.learning.judging import cross_validate
from anthropo.learning.model import Options
from anthropo.learning.training import make_trained
from anthropo.settings import Settings


class Clock:
    """Seconds since it was last asked."""

    def __init__(self) -> None:
        self.last = self.now()

    @staticmethod
    def now() -> tuple[float, float]:
        spent = os.times()
        cores = spent.user + spent.system + spent.children_user + spent.children_system
        return time.perf_counter(), cores

    def told(self) -> str:
        before, self.last = self.last, self.now()
        clock, cores = (b - a for a, b in zip(before, self.last, strict=True))
        return f"{clock:.1f} ({cores:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    print("| photos | reading, s | cached, s | judging, s | with baselines, s | training, s | model, MB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as cache:
        encoder, clock = load_encoder(), Clock()
        features, rows = read(arguments.folder, arguments.jobs, Path(cache))
        cells = [clock.told()]
        read(arguments.folder, arguments.jobs, Path(cache))
        cells.append(clock.told())
        (positive,) = [v for k, v in tasks(rows).items() if k in ("age ≤ 12", "smiling")]
        features.labels[:] = np.where(positive, "yes", "no")
        options = Options(positive="yes")
        for baselines in (False, True):
            cross_validate(features, options, baselines=baselines, jobs=arguments.jobs)
            cells.append(clock.told())
        trained = make_trained(features, options, "labels", encoder, Settings(face="largest"))
        trained.save(Path(cache) / "model.anthropo")
        cells.append(clock.told())
        size = (Path(cache) / "model.anthropo").stat().st_size / 1e6
        print(f"| {len(features)} | {' | '.join(cells)} | {size:.1f} |")


if __name__ == "__main__":
    main()
