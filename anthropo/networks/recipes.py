"""Recipes: everything that decides how a network is trained, as data that a user's file may change."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

from anthropo.encoder.regions import HYBRID_REGIONS, IMAGE
from anthropo.encoder.views import ALIGNMENTS, CROPS
from anthropo.errors import InputError
from anthropo.networks.architectures import BACKBONES, FITTING, Task
from anthropo.networks.option_sheet import OptionSheet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = (
    *("deepgestalt", "skin-five", "risk-grading", "differential", "attributes"),
    *("contrastive", "dann", "deep-coral"),
)
#: Every column that can be learned from.
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Every choice of a recipe; recipes/deepgestalt.toml and its neighbours explain each."""

    # the network
    backbone: str
    views: tuple[str, ...]
    size: int
    grey: bool
    alignment: str
    crops: str
    head: str
    dropout: float
    own: int
    attention: bool
    separate: bool
    pose: float
    images: int
    metadata: tuple[str, ...]
    grades: tuple[str, ...]
    # where it starts
    warm_start: str
    body_init: str
    head_init: str
    head_scale: float
    frozen_epochs: int
    frozen_norm: bool
    # identity stage
    identity: str
    identity_epochs: int
    identity_rate: float
    identity_settling_epochs: int
    identity_settling_rate: float
    # training
    optimiser: str
    rate: float
    momentum: float
    weight_decay: float
    epochs: int
    batch: int
    patience: int
    loss: str
    imbalance: str
    focal_gamma: float
    contrastive: float
    contrastive_margin: float
    contrastive_pairs: str
    # pairs; here and below, networks of 0.1.0 lack the option
    positives: str = "patient"
    temperature: float = 0.1
    mining: str = "hard"
    together: int = 2
    projection: int = 0
    # adaptation to other photographs
    adaptation: str = "none"
    adaptation_weight: float = 1.0
    adaptation_gamma: float = 10.0
    adaptation_layer: str = "embedding"
    adaptation_hidden: int = 256
    targets: tuple[str, ...] = ()
    anneal: bool = False
    keep: str = "best"
    # augmentation
    mirror: bool
    flip: bool
    rotation: float
    shift: float
    shear: float
    zoom: float
    crop: float
    # the run
    precision: str
    folds: int
    fold: int
    seed: int
    memory: float
    threads: int = 0  # 0: a network of 0.1.0, where it was the number of jobs

    def to_json(self) -> dict[str, Any]:
        """The options as JSON has them, without tuples."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network of the literature is trained; made by `load_recipe`."""

    name: str
    task: Task
    summary: str
    source: str
    parameters: Parameters
    changed: frozenset[str] = field(default=frozenset(), compare=False)  # options that the user set


_KINDS = get_type_hints(Parameters)
_TEXTS = resources.files("anthropo.networks")
_POSSIBLE: dict[str, dict[str, list[Any]]] = tomllib.loads(_TEXTS.joinpath("options.toml").read_text("utf-8"))
_CHOICES: dict[str, Sequence[str]] = {"backbone": [*BACKBONES], "alignment": ALIGNMENTS, "crops": CROPS}
_CHOICES |= _POSSIBLE["words"]


_SHEET = OptionSheet(_KINDS, _CHOICES, _POSSIBLE["numbers"])
limit_of = _SHEET.limit_of


def load_recipe(name: str, file: Path | None = None, changes: Sequence[str] = (), **options: Any) -> Recipe:
    """A recipe with the changes that a user makes.

    Parameters
    ----------
    name : str
        One of `RECIPES`.
    file : Path, optional
        TOML or YAML with options of `Parameters`.
    changes : sequence of str
        ``option=value`` each, which outrank the file.
    **options
        Options that outrank both.

    Returns
    -------
    Recipe
        Checked. With a packaged warm start the backbone is the one that it is for, unless it is set.

    Raises
    ------
    InputError
        If there is no such recipe, file or option, or a value does not fit.

    Examples
    --------
    >>> recipe = load_recipe("deepgestalt", changes=["epochs=20"], batch=16)
    >>> recipe.parameters.views, recipe.parameters.epochs, recipe.parameters.batch
    (('face', 'upper', 'middle', 'lower'), 20, 16)
    """
    if name not in RECIPES:
        raise InputError(f"recipe {name!r}: unknown. Choose from {', '.join(RECIPES)}.")
    preset = tomllib.loads(_preset(name))
    head = {key: preset.pop(key) for key in ("task", "summary", "source")}
    parameters = Parameters(**{key: _SHEET.typed(key, value, name) for key, value in preset.items()})
    changed = _SHEET.changed(file, changes, options, name)
    warm = changed.get("warm_start", parameters.warm_start)
    if warm in FITTING and "backbone" not in changed and parameters.backbone not in FITTING[warm]:
        # packaged weights choose the body that they are for
        changed = {"size": BACKBONES[warm].size, **changed, "backbone": warm}
    recipe = Recipe(name=name, **head, parameters=replace(parameters, **changed), changed=frozenset(changed))
    _check(recipe)
    return recipe


def as_toml(recipe: Recipe) -> str:
    """All options of a recipe as a parameter file."""
    lines = [f"# recipe {recipe.name}: {recipe.summary}"]
    meanings = {**_meanings("deepgestalt"), **_meanings(recipe.name)}  # the first has that of every option
    for key, value in asdict(recipe.parameters).items():
        notes = [meanings[key]] if key in meanings else []
        if key in _CHOICES and key != "backbone" and '"' not in "".join(notes):
            notes.append("one of " + ", ".join(_CHOICES[key]))
        text = json.dumps(value, ensure_ascii=False)  # which TOML writes alike
        lines.append(f"{key} = {text}" + (f"  # {'; '.join(notes)}" if notes else ""))
    return "\n".join(lines) + "\n"


def _meanings(name: str) -> dict[str, str]:
    """The comments on each option in a recipe's own file."""
    comments = re.findall(r"^(\w+) = .*?\s# ?(.*)$", _preset(name), re.MULTILINE)
    return {key: comment for key, comment in comments if comment}


def _preset(name: str) -> str:
    """A recipe's own parameter file, with what each option means."""
    return _TEXTS.joinpath(f"recipes/{name}.toml").read_text("utf-8")


def _check(recipe: Recipe) -> None:
    """Refuse options that contradict each other or the recipe's task."""
    options, task = recipe.parameters, recipe.task
    if options.size < (least := BACKBONES[options.backbone].least):
        raise InputError(
            f"size {options.size}: the backbone {options.backbone} needs {least} pixels or more."
        )
    losses = _POSSIBLE["losses"][task]
    if options.loss not in losses:
        raise InputError(
            f"loss {options.loss}: not for the recipe {recipe.name}. Choose from {', '.join(losses)}."
        )
    if options.imbalance == "focal" and options.loss == "mse":
        raise InputError(
            "imbalance focal: needs probabilities, which the loss mse does not give. Choose bce."
        )
    for view in options.views:
        if view not in (*HYBRID_REGIONS, IMAGE):
            raise InputError(f"views {view}: unknown. Choose from {', '.join((*HYBRID_REGIONS, IMAGE))}.")
    if not options.views or len(set(options.views)) < len(options.views):
        raise InputError("views: one or more, each once, are needed.")
    if IMAGE in options.views and len(options.views) > 1:
        raise InputError(f"views: {IMAGE} is the whole photo and cannot be combined with other views.")
    if options.pose and task != "attributes":
        raise InputError(f"pose: only the recipe attributes learns it. Set it to 0 for {recipe.name}.")
    if options.pose and options.views == (IMAGE,):
        raise InputError("pose: a photo without a face has none. Set it to 0.")
    if options.contrastive and (task not in ("labels", "grades")):
        raise InputError(f"contrastive: not for the recipe {recipe.name}. Set it to 0.")
    _check_pairs(recipe)
    _check_adaptation(recipe)
    if options.fold >= options.folds:
        raise InputError(f"fold {options.fold}: they are numbered from 0 to {options.folds - 1}.")
    if len(set(options.grades)) < len(options.grades):
        raise InputError("grades: each once, the lowest first.")
    if (options.frozen_epochs or options.frozen_norm) and options.warm_start == "none":
        name = "frozen_epochs" if options.frozen_epochs else "frozen_norm"
        raise InputError(f"{name}: needs a body that has learned something before. Give a warm_start.")


_MOST_TRIPLETS = 256  # photos of a batch of which all triplets are looked at


def _check_pairs(recipe: Recipe) -> None:
    options = recipe.parameters
    if recipe.task != "pairs":
        return
    if options.together > options.batch:
        raise InputError(f"together {options.together}: more than a batch of {options.batch}. Choose fewer.")
    if options.loss == "triplet" and options.mining != "hard" and options.batch > _MOST_TRIPLETS:
        raise InputError(
            f"mining {options.mining}: looks at all triplets of a batch, which may have {_MOST_TRIPLETS} "
            f"photos, not {options.batch}. Choose hard, or a smaller batch."
        )
    if options.frozen_epochs:
        raise InputError("frozen_epochs: pairs are learned by the body itself. Set it to 0 for contrastive.")
    if options.imbalance != "none":
        raise InputError("imbalance: pairs have no labels to balance. Set it to none for contrastive.")
    if options.head != "convolution":
        raise InputError("head: contrastive fits one with a bias, convolution.")


def _check_adaptation(recipe: Recipe) -> None:
    options = recipe.parameters
    if options.adaptation != "none" and recipe.task != "labels":
        raise InputError(f"adaptation: not for the recipe {recipe.name}. Choose none.")
    if options.targets and options.adaptation == "none":
        raise InputError(f"targets: the recipe {recipe.name} adapts to nothing. Choose dann or deep-coral.")
    if options.keep == "last" and options.patience:
        raise InputError(
            "keep last: and stopping at the best epoch contradict each other. Set patience to 0, or keep to "
            "best."
        )
