"""How long the workbench lets one wait: from a drop to the measured face, from a drag to its numbers.

    python benchmarks/workbench.py FOLDER [--photos 6] [--moves 60]

FOLDER holds photographs, such as portraits of 12 megapixels. A headless Chromium drops each on the page and
drags a point of its face. Times are the browser's own: from the drop to the page with points and numbers,
painted; from a pointer's move to the table with the new numbers, for every move that was sent. The first
photo, the astronaut, does not count. What other programs on the machine add is told as well.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

import anthropo
from anthropo.batch.inputs import photographs_in

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
TOOK = "(name) => performance.getEntriesByName(name).map((entry) => entry.duration)"


def percentiles(seconds: list[float]) -> str:
    ms = 1000 * np.array(seconds)
    return f"{np.median(ms):.0f} / {np.percentile(ms, 95):.0f} / {ms.max():.0f}"


@contextmanager
def served(folder: str) -> Iterator[str]:
    """The address of a workbench in a process of its own, as people start it."""
    program = "from anthropo.cli import main; main()"
    command = [sys.executable, "-uc", program, "serve", folder, "--port", "0", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        yield next(line.split()[1] for line in server.stdout if line.startswith("Open "))
    finally:
        server.terminate()
        server.wait()


def busyness() -> float:
    """How many times as long as its computing a computation takes here and now: 1 on an idle machine."""
    begun, computed = time.perf_counter(), time.process_time()
    for seed in range(8):
        np.sort(np.random.default_rng(seed).random(1_000_000))
    return (time.perf_counter() - begun) / (time.process_time() - computed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=6)
    parser.add_argument("--moves", type=int, default=60)
    asked = parser.parse_args()
    photos = [Path(name) for name in photographs_in(asked.folder)][: asked.photos]
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    drops: list[float] = []
    drags: list[float] = []
    busy: list[float] = []
    with tempfile.TemporaryDirectory() as work, served(work) as address, sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        page.wait_for_timeout(3000)  # what it reads before the first photo
        for at, photo in enumerate([Path(anthropo.example_photo()), *photos]):
            busy.append(busyness())
            page.set_input_files("#files", photo)
            while not (took := page.evaluate(TOOK, "photo-to-face")):
                page.wait_for_timeout(50)
            (ms,) = took
            spent = ms / 1000
            size = anthropo.read_photo(photo).full_size
            print(f"{photo.name}: {size[0] * size[1] / 1e6:.1f} MP, on the page after {ms:.0f} ms")
            if at:
                drops.append(spent)
            page.wait_for_timeout(1500)  # pictures load
            page.evaluate("performance.clearMeasures()")
            box = page.locator("circle.dot").nth(39).bounding_box()
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            page.mouse.move(x, y)
            page.mouse.down()
            for step in range(asked.moves):
                page.mouse.move(x + 10 * np.sin(step / 5), y + 6 * np.cos(step / 7))
                page.wait_for_timeout(30)
            page.mouse.up()
            page.wait_for_selector("#results:not([aria-busy])")
            took = page.evaluate(TOOK, "point-to-numbers")
            if at:
                drags += [ms / 1000 for ms in took]
            page.click("#reset-all")
            page.wait_for_selector("#results:not([aria-busy])")
            page.evaluate("performance.clearMeasures()")
        chromium.close()
    print(
        f"computing took {np.median(busy):.1f} times as long as on an idle machine ({max(busy):.1f} at most)"
    )
    print(f"drop to measured face, ms, median / 95th percentile / most of {len(drops)}: {percentiles(drops)}")
    print(f"drag to new numbers, ms, median / 95th percentile / most of {len(drags)}: {percentiles(drags)}")


if __name__ == "__main__":
    main()
