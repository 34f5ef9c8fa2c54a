"""Make the shipped default reference, anthropo/reference/norms/frl-adults.csv.

    python development/reference.py FACES --networks DIR -o anthropo/reference/norms/frl-adults.csv

FACES/frl: neutral photographs of the Face Research Lab London Set, labels.csv (photo, patient, expression,
age, sex). DIR: the output folder of development/fine.py; each person is measured with networks that were
not trained on that person, as a user's patients are. Absolute colours are left out, since another camera
gives other values. Colours that are relative within the photo are kept, with grade B, since tone curves
still affect them.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from anthropo._version import __version__
from anthropo.face.fine import fine_sha256, refine
from anthropo.face.landmarker import FIRST_DECODE, read_face
from anthropo.face.weights import landmark_model
from anthropo.measurement.compute import measure_face
from anthropo.measurement.registry import PIXELS, registry
from anthropo.photo import read_photo
from anthropo.reference.build import build_reference, subject
from anthropo.reference.tables import instrument_name, write_reference

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from instruments import Networks

SOURCE = "Face Research Lab London Set, DeBruine & Jones 2017, CC BY 4.0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", type=Path, metavar="FACES")
    parser.add_argument("--networks", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    folder = arguments.faces / "frl"
    with open(folder / "labels.csv", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["expression"] == "neutral" and r["age"] != "NA"]
    networks = Networks.read(arguments.networks)
    measured = []
    for row in rows:
        photo = read_photo(folder / row["photo"], short_side=FIRST_DECODE)
        face = refine(photo, read_face(photo), networks.of_others("frl", row["patient"]))
        values = {m.id: m.value for m in measure_face(face, photo) if np.isfinite(m.value)}
        measured.append((subject(row["photo"], row, "sex"), values))
    built = build_reference(
        measured,
        source=SOURCE,
        instrument=instrument_name(__version__, landmark_model(None).sha256, fine_sha256()),
    )
    for sentence in (*built.refused, *built.notes):
        print(sentence)
    kept = []
    for made in built.rows:
        entry = registry()[made.measurement]
        if entry.kind in PIXELS and (entry.unit == "CIELAB" or entry.kind == "eye"):
            continue
        kept.append(replace(made, grade="B") if entry.kind in PIXELS else made)
    write_reference(arguments.output, kept)
    print(f"{arguments.output}: {len(kept)} rows, {len({r.measurement for r in kept})} measurements")


if __name__ == "__main__":
    main()
