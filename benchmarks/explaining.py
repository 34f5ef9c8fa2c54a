"""Cost of an explanation: `anthropo explain` beside `anthropo classify` of the same photo, whole processes.

    python benchmarks/explaining.py MODEL PHOTO... [--rounds 5]

Both read the photo's features from a cache that a first, untimed round has filled. Shown are medians, the
difference of each pair, the largest difference of a label's log-odds from its sum, and the size of the page.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def run(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "anthropo", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {"classify": [], "explain": []}
    apart, sizes = 0.0, []
    with tempfile.TemporaryDirectory() as folder:
        cache, page, data = (str(Path(folder) / name) for name in ("cache", "why.html", "why.json"))
        for round_ in range(-1, arguments.rounds):
            for photo in arguments.photos:
                common = ("--model", arguments.model, photo, "--cache", cache, "--face", "largest")
                classified = run("classify", *common)
                explained = run("explain", *common, "-o", page, "--age", "30", "--sex", "female")
                if round_ >= 0:
                    times["classify"].append(classified)
                    times["explain"].append(explained)
                run("explain", *common, "-o", data)
                sizes.append(Path(page).stat().st_size / 1e6)
                for own in json.loads(Path(data).read_text(encoding="utf-8"))["labels"]:
                    total = own["bias"] + own["residual"] + sum(c["log_odds"] for c in own["contributions"])
                    apart = max(apart, abs(total - own["log_odds"]))
    added = np.array(times["explain"]) - np.array(times["classify"])
    print(
        "| photos | classify, s | explain as a page, s | added, s | sum less log-odds, largest | page, MB |"
    )
    print("|---|---|---|---|---|---|")
    classify, explain = (np.median(times[name]) for name in ("classify", "explain"))
    print(
        f"| {len(arguments.photos)} | {classify:.2f} | {explain:.2f} | {np.median(added):.2f} | "
        f"{apart:.1e} | {max(sizes):.2f} |"
    )


if __name__ == "__main__":
    main()
