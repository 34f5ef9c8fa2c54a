"""Make the landmarks' correction and error, anthropo/measurement/correction.csv and errors.npy.

    python development/instrument.py FACES --networks DIR -o anthropo/measurement

FACES holds frl and canada (189 hand-placed points each) and helen (68 points each). DIR is the output folder
of development/fine.py. The correction is the mean offset of both studios, of people that the networks were
not trained on. The error is what remains on each studio with networks and correction made without that
studio: what people of a third studio may expect.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from anthropo.measurement.anatomy import BETWEEN, STAGES, Instrument

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from instruments import STUDIOS, WEB, Networks, fit, instrument, people, residuals, web_errors

SOURCE = (
    "Face Research Lab London Set (figshare 5047666) and Young Adult White Faces (figshare 4220517), "
    "DeBruine & Jones, CC BY 4.0"
)


def make(faces: Path, networks: Networks) -> tuple[dict[str, Instrument], int]:
    """The instruments of the first stage and of both, and how many people made each."""
    seen = {}
    for studio in STUDIOS:
        (other,) = set(STUDIOS) - {studio}
        seen[studio] = people(
            faces / studio,
            {
                "first": lambda _: None,
                "unseen": lambda _, studio=studio: networks.without[studio],
                "fitted": lambda _, other=other: networks.without[other],
                "fold": lambda patient, studio=studio: networks.of_others(studio, patient),
            },
        )
    made = {}
    for stage, (fold, fitted, unseen), model in (
        ("first", ("first", "first", "first"), None),
        ("fine", ("fold", "fitted", "unseen"), networks.fine),
    ):
        left = []
        for studio in STUDIOS:
            elsewhere = fit([seen[other][fitted] for other in STUDIOS if other != studio])
            left.append(residuals(seen[studio][unseen], elsewhere))
        correction = fit([seen[studio][fold] for studio in STUDIOS])
        made[stage] = instrument(correction, left, web_errors(faces / WEB, model))
    return made, sum(len(choices["first"]) for choices in seen.values())


def write(folder: Path, made: dict[str, Instrument], number: int) -> None:
    """correction.csv and errors.npy."""
    with open(folder / "correction.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("stage", "landmark", "dx", "dy", "error_x", "error_y", "n", "source"))
        for stage, one in made.items():
            points = sorted(one.correction.corrected)
            offsets = np.concatenate([one.correction.points[points], one.correction.between])
            errors = np.concatenate([one.point_errors[:, points], one.between_errors], 1)
            names = [f"p{i}" for i in points] + list(BETWEEN)
            for name, (dx, dy), (ex, ey) in zip(names, offsets, np.sqrt((errors**2).mean(0)), strict=True):
                numbers = (f"{v:.5f}" for v in (dx, dy, ex, ey))
                writer.writerow((stage, name, *numbers, number, SOURCE))
    banks = [np.concatenate([made[stage].point_errors, made[stage].between_errors], 1) for stage in STAGES]
    np.save(folder / "errors.npy", np.stack(banks).astype(np.float16))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", type=Path, metavar="FACES")
    parser.add_argument("--networks", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    made, number = make(arguments.faces, Networks.read(arguments.networks))
    write(arguments.output, made, number)
    for stage, one in made.items():
        corrected = len(one.correction.corrected)
        print(f"{stage}: {number} people, {corrected} points corrected, {len(one.point_errors)} residuals")


if __name__ == "__main__":
    main()
