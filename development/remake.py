"""Make again everything that was measured with the landmarks, in the order in which one needs the other.

    python development/remake.py FACES --work DIR --facts FACTS [--from STEP] [--device cpu]

FACES holds the folders helen_crops, helen, frl, canada, ages and utkface; FACTS published figures. To be run
whenever landmarks change: the fine stage's training, its shares, the first stage, or what brings points to
their anatomical place.

    networks     DIR/*.npz by development/fine.py; anthropo/face/fine.npz and its hash in weights.csv
    instrument   anthropo/measurement/correction.csv and errors.npy
    lag          anthropo/measurement/lag.csv, on helen and canada
    reference    anthropo/reference/norms/frl-adults.csv
    ages         DIR/ages.csv and DIR/posed.csv, what `anthropo measure` writes of ages and utkface;
                 anthropo/measurement/snapshots.csv, anthropo/reference/norms/web-all-ages.csv, and
                 docs/references.md with its pictures
    shapes       anthropo/face/shapes.npz (drawings, plausibility of landmark files, synthetic people), and
                 the drawings of docs/atlas
    figures      prints docs/benchmarks.md, "Anatomical landmarks", and the errors on helen

Twelve networks for each of eight sets of people take about two hours on a processor; `--from instrument`
keeps those of DIR. Steps that stand in code as constants have their own scripts, and are to be looked at
after this: limits of the photo gate (benchmarks/photo_gate.py) and the growth of the error with
unsteadiness (both of the first stage alone, which this does not change), the share of pixels' errors
(development/appearance.py), calibration of traits (benchmarks/traits.py), gains of synthetic changes
(development/morphs.py), the error of an interpupillary distance (anthropo/measurement/scale.py), the generic
3D face (development/face3d.py, from hand-placed points).
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anthropo.reference.person import parse_sex

ROOT = Path(__file__).resolve().parents[1]
STEPS = ("networks", "instrument", "lag", "reference", "ages", "shapes", "figures")


def script(*arguments: str | Path, output: Path | None = None, ends: Sequence[int] = (0,)) -> None:
    """Run one of the project's scripts on these sources; stops at the first that ends with another code."""
    print("$ python", *arguments, flush=True)
    path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    command = [sys.executable, *map(str, arguments)]

    def run(**options: Any) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(command, cwd=ROOT, **options)
        if done.returncode not in ends:
            done.check_returncode()
        return done

    if output is None:
        run(env=os.environ | {"PYTHONPATH": path})
    else:
        # written when it is whole: the scripts themselves may read what was there before
        output.write_bytes(run(env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE).stdout)


def ship(networks: Path) -> None:
    """Make the networks of everybody the packaged ones."""
    data = (networks / "fine.npz").read_bytes()
    (ROOT / "anthropo/face/fine.npz").write_bytes(data)
    table = ROOT / "anthropo/face/weights.csv"
    row = r"(fine-landmarks,fine\.npz,)[0-9a-f]{64}"
    table.write_text(re.sub(row, rf"\g<1>{hashlib.sha256(data).hexdigest()}", table.read_text()))


def ages(faces: Path, work: Path, facts: Path) -> None:
    """The reference of all ages. People are measured twice: it keeps their spread without the whole error."""
    people, posed, measured = work / "people.csv", work / "posed.csv", work / "ages.csv"
    with open(people, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("photo", "age", "sex", "race"))
        for folder in (faces / "ages", faces / "utkface"):
            with open(folder / "labels.csv", newline="") as labels:
                for row in csv.DictReader(labels):
                    photo = folder / (row.get("photo") or row["image"])
                    writer.writerow((photo, row["age"], parse_sex(row["sex"]), row["race"]))
    for table in (posed, measured):
        table.unlink(missing_ok=True)  # else rows of another instrument would stay
    snapshots = ROOT / "anthropo/measurement/snapshots.csv"
    # what snapshots add is sought, so that stated errors must not hold it yet
    snapshots.write_text("measurement,sd,pairs,share\n")
    some_without_a_face = 3
    measure = functools.partial(script, "-m", "anthropo", "measure", people, ends=(0, some_without_a_face))
    measure("-o", posed)
    script("development/snapshots.py", posed, "-o", snapshots)
    measure("-o", measured)
    beyond = work / "beyond.csv"
    script("development/beyond.py", measured, "-o", beyond)
    table = ROOT / "anthropo/reference/norms/web-all-ages.csv"
    script("development/web_reference.py", measured, "--beyond", beyond, "-o", table)
    script("development/curves_page.py", facts, "docs", beyond, measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", type=Path, metavar="FACES")
    parser.add_argument("--from", dest="first", choices=STEPS, default=STEPS[0])
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--facts", type=Path, metavar="FACTS", help="needed for the step `ages`")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    faces, work = arguments.faces.resolve(), arguments.work.resolve()
    steps = STEPS[STEPS.index(arguments.first) :]
    if "ages" in steps and not arguments.facts:
        parser.error("--facts is needed for docs/references.md")
    if "networks" in steps:
        script("development/fine.py", faces, "-o", work, "--device", arguments.device)
    if {"networks", "instrument"} & set(steps):
        ship(work)
        script("development/instrument.py", faces, "--networks", work, "-o", ROOT / "anthropo/measurement")
    if "lag" in steps:
        table = ROOT / "anthropo/measurement/lag.csv"
        script("development/lag.py", faces / "helen", faces / "canada", output=table)
    if "reference" in steps:
        table = ROOT / "anthropo/reference/norms/frl-adults.csv"
        script("development/reference.py", faces, "--networks", work, "-o", table)
    if "ages" in steps:
        ages(faces, work, arguments.facts.resolve())
    if "shapes" in steps:
        script("development/shapes.py", faces / "frl", ROOT / "anthropo/face/shapes.npz")
        script("-m", "anthropo.measurement.atlas", "docs")
    plot = ROOT / "docs/images/calibration.png"
    script("benchmarks/anatomy.py", faces, "--networks", work, "--by-measurement", "--plot", plot)
    script("benchmarks/anatomy.py", faces, "--networks", work, "--no-fine")
    script("benchmarks/landmark_error.py", faces / "helen", "--fine")


if __name__ == "__main__":
    main()
