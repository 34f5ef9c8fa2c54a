"""Cohorts of pictures of coloured noise that tell their label, for networks that learn in seconds."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 40  # px


def noise(label: int, random: np.random.Generator) -> np.ndarray:
    """(SIDE, SIDE, 3), red, green or blue by its label."""
    pixels = random.integers(0, 120, (SIDE, SIDE, 3))
    pixels[:, :, label % 3] += 100
    return pixels.astype(np.uint8)


def write_cohort(
    folder: Path, labels: Sequence[str], patients: Sequence[str] | None = None, **columns: Sequence[Any]
) -> Path:
    """cohort.csv with a picture per label; the colour is that of the label's place among all."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    known = sorted(set(labels))
    table = folder / "cohort.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["photo", "label", "patient", *columns])
        for i, label in enumerate(labels):
            Image.fromarray(noise(known.index(label), random)).save(folder / f"{i}.png")
            patient = patients[i] if patients else f"p{i}"
            writer.writerow([f"{i}.png", label, patient, *(values[i] for values in columns.values())])
    return table
