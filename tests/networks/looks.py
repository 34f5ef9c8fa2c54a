"""Recipes small enough for a test, and what their networks see of a cohort."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from anthropo.learning.cohort import read_cohort
from anthropo.learning.features import Features
from anthropo.networks.pictures import CohortPictures, read_pictures
from anthropo.networks.recipes import Recipe, load_recipe
from anthropo.networks.training_loop import Step
from anthropo.networks.training_set import view_of
from anthropo.settings import Settings

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
    *("grey=false", "optimiser=sgd", "pose=0", "mirror=false", "threads=1"),
)


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


class Stopped(Exception):
    """In place of a crash."""


def stop_at(epoch: int, *, step: int | None = None, stage: str = "training") -> Callable[[Step], None]:
    """Interrupt in that epoch: when it is done, or after a step."""

    def report(now: Step) -> None:
        if now.stage == stage and now.epoch == epoch and now.step == (now.steps if step is None else step):
            raise Stopped

    return report
