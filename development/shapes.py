"""Make anthropo/face/shapes.npz: how the 68 points lie and vary between people.

    python development/shapes.py FRL anthropo/face/shapes.npz

FRL is a folder with labels.csv (photo, expression) and the photographs: the Face Research Lab London
Set (DeBruine & Jones, CC BY 4.0), neutral faces. Points are laid on the eye line, exocanthion to
exocanthion 1; the mean is made symmetric, principal components of the rest are kept, each as long as
its standard deviation.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import numpy as np

from anthropo.face.frame import in_face_frame
from anthropo.face.scheme import MIRROR
from anthropo.files import write_atomically
from anthropo.observation import observe

MODES = 24


def main(folder: Path, output: Path) -> None:
    """Landmark every neutral photograph and write mean and components."""
    shapes = []
    with open(folder / "labels.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["expression"] == "neutral":
                shapes.append(in_face_frame(observe(folder / row["photo"]).face.landmarks))
    faces = np.stack(shapes)
    mean = faces.mean(0)
    mean = (mean + mean[MIRROR] * np.array([-1.0, 1.0])) / 2
    deviations = (faces - faces.mean(0)).reshape(len(faces), -1)
    _, spread, modes = np.linalg.svd(deviations / np.sqrt(len(faces) - 1), full_matrices=False)
    kept = (spread[:MODES, None] * modes[:MODES]).reshape(MODES, 68, 2)
    print(
        f"{len(faces)} faces; {MODES} components hold {(spread[:MODES] ** 2).sum() / (spread**2).sum():.1%}"
    )
    buffer = io.BytesIO()
    np.savez_compressed(buffer, mean=mean.astype(np.float32), modes=kept.astype(np.float32))
    write_atomically(output, buffer.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
