"""Pictures of coloured noise that tell their label, for networks that learn in seconds."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from anthropo.learning.cohort import read_cohort
from anthropo.learning.features import Features
from anthropo.networks.pictures import CohortPictures, read_pictures
from anthropo.networks.recipes import Recipe, load_recipe
from anthropo.networks.training_set import view_of
from anthropo.settings import Settings

SIDE = 40  # px
#: What makes any recipe small enough for a test.
SMALL = (
    *(
        "backbone=deepgestalt",
        "views=image",
        "size=32",
        "warm_start=none",
        "batch=8",
        "epochs=2",
        "rate=0.01",
    ),
    *("grey=false", "optimiser=sgd", "pose=0", "mirror=false"),
)


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


def look(table: Path, recipe: Recipe, **more: Any) -> CohortPictures:
    """The cohort's photos as the recipe's network sees them."""
    cohort = read_cohort(table, multilabel=recipe.task == "attributes")
    settings = Settings(no_face=True)
    given = {"memory": recipe.parameters.memory, **more}
    return read_pictures(cohort, view_of(recipe.parameters), settings, **given)


def small(name: str, *settings: str) -> Recipe:
    """A recipe with `SMALL` and these options."""
    return load_recipe(name, None, (*SMALL, *settings))


def with_labels(features: Features, labels: Sequence[str]) -> Features:
    """The same photos under other labels."""
    return replace(features, labels=np.array(labels, dtype=np.str_))
