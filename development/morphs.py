"""How much further points have to move than anthropo then sees them moved: gains of synthetic/morphs.csv.

    python development/morphs.py

Prints, for each single change, how much of an intended change of 2.5 SD is measured on 12 faces with the gain
that is in the table, and the gain that would bring all of it. To be run when landmarks or the default
reference change.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from anthropo.face.fine import refine
from anthropo.face.landmarker import read_face
from anthropo.measurement.compute import measure_face
from anthropo.photo import Photo
from anthropo.synthetic import SINGLE_MORPHS, healthy_sd
from anthropo.synthetic.picture import person_of, photograph

PEOPLE = 12
AMOUNT = 2.5


def measured(seed: int, changes: Mapping[str, float]) -> dict[str, float]:
    """Every value of a synthetic person, also those that the gate would void."""
    picture = photograph(person_of(np.random.default_rng(seed), changes), np.random.default_rng(seed))
    photo = Photo.from_array(np.asarray(Image.open(io.BytesIO(picture))))
    face = refine(photo, read_face(photo))
    return {m.id: m.value for m in measure_face(face, force=True)}


def main() -> None:
    plain = [measured(seed, {}) for seed in range(PEOPLE)]
    print("| change | gain | of the intended change | gain needed |")
    print("|---|---|---|---|")
    for name, one in SINGLE_MORPHS.items():
        low, high = one.range
        amount = AMOUNT if high >= AMOUNT else high if high > -low else low
        seen = []
        for seed, before in enumerate(plain):
            after = measured(seed, {name: amount})
            seen += [(after[i] - before[i]) / healthy_sd()[i] / amount for i in one.measurements]
        share = float(np.median(seen))
        print(f"| {name} | {one.gain:g} | {share:.0%} | {one.gain / share:.2f} |", flush=True)


if __name__ == "__main__":
    main()
