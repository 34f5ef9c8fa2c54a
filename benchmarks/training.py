"""Time: photographs to a judged and trained model, with nothing cached and with everything cached.

    python benchmarks/training.py FOLDER [--jobs 2]

FOLDER as for benchmarks/hybrid.py; the task is age up to 12. Embedding: file to measurements and
embeddings of all regions with the background. Judging: 5 folds of the hybrid and of its baselines.
"""

from __future__ import annotations

import argparse
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    print(
        "| | embedding, s | 5 folds of the hybrid, s | and of four baselines, s | training, s | model, MB |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as cache:
        for state in ("cold", "cached"):
            times = [time.perf_counter()]
            features, rows = read(arguments.folder, arguments.jobs, Path(cache))
            times.append(time.perf_counter())
            (positive,) = [v for k, v in tasks(rows).items() if k in ("age ≤ 12", "smiling")]
            features.labels[:] = np.where(positive, "yes", "no")
            options = Options(positive="yes")
            cross_validate(features, options, baselines=False, jobs=arguments.jobs)
            times.append(time.perf_counter())
            cross_validate(features, options, jobs=arguments.jobs)
            times.append(time.perf_counter())
            trained = make_trained(features, options, "labels", load_encoder(), Settings(face="largest"))
            trained.save(Path(cache) / "model.anthropo")
            times.append(time.perf_counter())
            spent = np.diff(times)
            size = (Path(cache) / "model.anthropo").stat().st_size / 1e6
            print(
                f"| {len(features)} photos, {state} | {spent[0]:.1f} | {spent[1]:.1f} | "
                f"{spent[2] - spent[1]:.1f} | {spent[3]:.1f} | {size:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
