"""The material of a training: a recipe, a cohort's pictures, and the patients dealt to its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anthropo.encoder.views import View
from anthropo.networks.pictures import CohortPictures, Pictures
from anthropo.networks.recipes import Parameters, Recipe
from anthropo.networks.sources import AdaptationTarget, units_of_pairs, with_target
from anthropo.networks.units import TRAIN, Units, identity_units, units_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IdentityStage:
    """Photos whose people are told apart before the labels are learned."""

    pictures: Pictures
    units: Units
    digests: tuple[str, ...] = ()  # SHA-256 of the photos, where they are another cohort's


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingSet:
    """The photos that a network is trained on, stopped by and judged by."""

    recipe: Recipe
    photos: CohortPictures
    units: Units
    identity: IdentityStage | None = None
    target: AdaptationTarget | None = None  # photos of another source that are adapted to


def view_of(parameters: Parameters) -> View:
    """How a recipe cuts its pictures."""
    return View(parameters.views, parameters.size, parameters.alignment, parameters.crops)


def training_set(
    recipe: Recipe,
    photos: CohortPictures,
    others: CohortPictures | None = None,
    *,
    target: CohortPictures | None = None,
    state: str | None = None,
) -> TrainingSet:
    """Deal a cohort's patients to the parts of a training.

    `target` are photos of another source, which are adapted to, and `state` is the column of pairs that tells
    a person's photos apart; see `anthropo.networks.sources`.

    In the identity stage the patients of `others` are told apart; without these, if the recipe's ``identity``
    is "patient", those of the training part, so that nobody who is kept apart is seen.
    """
    adapted: AdaptationTarget | None = None
    if recipe.task == "pairs":
        units = units_of_pairs(photos, recipe.parameters, state)
    else:
        units = units_of(recipe.task, photos.features, recipe.parameters, photos.kinds)
    if target is not None:
        units, adapted = with_target(units, target, recipe.parameters)
    digests: tuple[str, ...] = ()
    if others is not None:
        digests = tuple(others.features.digests.tolist())
    elif recipe.parameters.identity == "patient":
        others = photos.subset(np.array(sorted(r for i in units.chosen(TRAIN) for r in units.rows[i])))
    identity = None
    if others is not None:
        identity = IdentityStage(
            pictures=others.pictures, units=identity_units(others.features), digests=digests
        )
    return TrainingSet(recipe=recipe, photos=photos, units=units, identity=identity, target=adapted)
