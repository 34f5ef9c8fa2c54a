"""Make the shipped reference of all ages, anthropo/reference/norms/web-all-ages.csv.

    python development/web_reference.py TABLE.csv [MORE.csv...] --beyond BEYOND.csv
        -o anthropo/reference/norms/web-all-ages.csv

TABLE is what `anthropo measure` wrote of photographs of people of all ages, with the columns age, sex and
race (the shipped one: UTKFace, non-commercial research); BEYOND is what `development/beyond.py` made of it,
since many of these photographs cut chin or cheeks. Only fitted numbers are written. Left out is what
such photographs do not carry: absolute colours, what half of the photographs and more have no value of, and
what they tell more of themselves than of people.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from anthropo._version import __version__
from anthropo.face.fine import fine_sha256
from anthropo.face.weights import landmark_model
from anthropo.measurement.registry import PIXELS, registry
from anthropo.reference.curve_building import is_carried, tabulated, with_both_sides
from anthropo.reference.curve_fitting import fit_curves
from anthropo.reference.curves import as_csv
from anthropo.reference.tables import instrument_name

sys.path.insert(0, str(Path(__file__).resolve().parent))
from people_of_all_ages import GROUPS, often_measured, read_faces

SOURCE = (
    "UTKFace (Zhang, Song & Qi 2017): portraits from the web, labels partly by algorithm; for non-commercial "
    "research"
)
OLDEST = 80.0  # years


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--beyond", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    faces = read_faces(arguments.tables, arguments.beyond)
    instrument = instrument_name(__version__, landmark_model(None).sha256, fine_sha256())
    fits = {
        name: fit_curves(faces.people(name, limits=True)[1], len(GROUPS)) for name in often_measured(faces)
    }
    told = with_both_sides([name for name, fit in fits.items() if is_carried(fit, registry()[name])])
    curves, left_out = [], []
    for name, fit in fits.items():
        if name not in told:
            left_out.append(name)
            continue
        grade = "C" if registry()[name].kind in PIXELS else "B"
        curves += tabulated(fit, registry()[name], GROUPS, OLDEST, grade, SOURCE, instrument)
    arguments.output.write_text(as_csv(curves, GROUPS))
    print(f"{arguments.output}: {len(faces)} people, {len(curves) // 2} measurements")
    print("left out:", ", ".join(left_out))


if __name__ == "__main__":
    main()
