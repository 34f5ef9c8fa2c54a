"""What a training works on: a recipe, a cohort's pictures, and the patients dealt to its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anthropo.networks.chips import View
from anthropo.networks.pictures import CohortPictures, Pictures
from anthropo.networks.recipes import Parameters, Recipe
from anthropo.networks.units import TRAIN, Units, identity_units, units_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingSet:
    """What a network is trained on, stopped by and judged by; made by `training_set`."""

    recipe: Recipe
    photos: CohortPictures
    units: Units
    people: Units | None = None  # of the identity stage
    faces: Pictures | None = None  # of the identity stage
    pretrained_on: tuple[str, ...] = ()  # SHA-256 of the photos of another cohort for the identity stage


def view_of(parameters: Parameters) -> View:
    """How a recipe cuts its pictures."""
    return View(parameters.views, parameters.size, parameters.alignment, parameters.crops)


def training_set(
    recipe: Recipe, photos: CohortPictures, identity: CohortPictures | None = None
) -> TrainingSet:
    """Deal a cohort's patients to the parts of a training.

    Parameters
    ----------
    recipe : Recipe
    photos : CohortPictures
        Of `anthropo.networks.pictures.read_pictures`, with the recipe's view.
    identity : CohortPictures, optional
        A cohort whose patients are recognised first. Without it a recipe whose ``identity`` is "patient"
        takes the training part, which does not show the patients that are kept apart.

    Raises
    ------
    InputError
        If the cohort or an option does not allow it.
    """
    units = units_of(recipe.task, photos.features, recipe.parameters, photos.kinds)
    pretrained_on: tuple[str, ...] = ()
    if identity is not None:
        pretrained_on = tuple(identity.features.digests.tolist())
    elif recipe.parameters.identity == "patient":
        identity = photos.subset(np.array(sorted(r for i in units.chosen(TRAIN) for r in units.rows[i])))
    if identity is None:
        return TrainingSet(recipe=recipe, photos=photos, units=units)
    return TrainingSet(
        recipe=recipe,
        photos=photos,
        units=units,
        people=identity_units(identity.features),
        faces=identity.pictures,
        pretrained_on=pretrained_on,
    )
