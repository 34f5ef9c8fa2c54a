"""From a cohort to a trained and judged network."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from anthropo.encoder.encoders import SEEN
from anthropo.learning.training import describe_cohort, landmark_weights
from anthropo.networks.architectures import BACKBONES
from anthropo.networks.checkpoints import Checkpoints, fingerprint
from anthropo.networks.judging import Answers, Figures, flat_figures, judge_network
from anthropo.networks.network import Network
from anthropo.networks.training_loop import Learned, Report, exact, learn
from anthropo.networks.training_set import TrainingSet, view_of
from anthropo.networks.units import TEST

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finetuned:
    """A trained network and how good it is on patients that it has not seen."""

    network: Network
    answers: Answers
    overall: Figures
    by_label: dict[str, Figures]  # recall is "sensitivity", precision "ppv"
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """A row for each label or attribute: every figure with its interval."""
        import pandas as pd

        rows = [flat_figures({"label": label, **figures}) for label, figures in self.by_label.items()]
        return pd.DataFrame(rows)


def finetune(
    material: TrainingSet,
    *,
    folder: Path,
    device: torch.device,
    command: str = "",
    report: Report | None = None,
    restart: bool = False,
) -> Finetuned:
    """Train the networks of a recipe and judge them on the patients that were kept apart.

    A training that was interrupted goes on from the checkpoints in `folder`, but for `restart`; `command` is
    what trained it, without folders.
    """
    recipe, units = material.recipe, material.units
    if restart:
        shutil.rmtree(folder, ignore_errors=True)
    checkpoints = Checkpoints(folder, fingerprint(material, device))
    with exact(device):
        learned = learn(material, checkpoints=checkpoints, device=device, report=report)
        network = Network(_manifest(material, learned, command), learned.modules)
        for module in network.modules:
            module.to(device)
        answers = judge_network(network, material.photos.pictures, units, TEST)
        for module in network.modules:
            module.cpu()  # where everything else that takes a network has its pictures
    overall, by_label = answers.overall(recipe.parameters.seed), answers.by_label(recipe.parameters.seed)
    network.manifest["validation"] = {
        "method": "patients that were kept apart",
        "n_photos": int(sum(len(units.rows[i]) for i in units.chosen(TEST))),
        "n_patients": len(set(units.patients[units.chosen(TEST)].tolist())),
        "prevalence": None,
        "models": {"network": _figures(overall)},
        "by_label": {label: _figures(figures) for label, figures in by_label.items()},
    }
    return Finetuned(network=network, answers=answers, overall=overall, by_label=by_label, notes=units.notes)


def _figures(figures: Figures) -> dict[str, dict[str, Any]]:
    return {
        name: {key: value for key, value in figure.to_json().items() if key != "n"}
        for name, figure in figures.items()
    }


def _manifest(material: TrainingSet, learned: Learned, command: str) -> dict[str, Any]:
    """The manifest of a network, without its figures."""
    recipe, units, features = material.recipe, material.units, material.photos.features
    parameters, backbone = recipe.parameters, BACKBONES[recipe.parameters.backbone]
    view, settings = view_of(parameters), material.photos.settings
    # the photos that it is trained on or stopped by
    rows = [row for i in np.flatnonzero(units.part != TEST) for row in units.rows[i]]
    digests, others = features.digests, material.identity.digests if material.identity else ()
    tasks = {"attributes": "multilabel", "grades": "grades", "cases": "cases"}
    libraries = ["numpy", "torch"]
    if parameters.backbone not in ("deepgestalt", "face-resnet", "face-resnet-map"):
        lite = parameters.backbone == "efficientnet-lite0"
        libraries.append("efficientnet_lite_pytorch" if lite else "timm")
    return {
        "title": f"network, recipe {recipe.name}",
        "task": tasks.get(recipe.task, "binary" if len(units.labels) == 2 else "multiclass"),
        "labels": list(units.labels),
        "balance": parameters.imbalance,
        "weights": [*learned.origins, *(landmark_weights(settings) if view.needs_face else ())],
        "regions": list(parameters.views) if view.needs_face else [],
        "metadata": list(units.columns or ()),
        "settings": {"face": settings.face, "fine": settings.fine, "jitter": settings.jitter}
        if view.needs_face
        else {"no_face": True},
        "network": {
            "recipe": recipe.name,
            "parameters": {**parameters.to_json(), "warm_start": Path(parameters.warm_start).name},
            "spec": learned.spec,
            "views": list(parameters.views),
            "mean": list(backbone.mean),
            "std": list(backbone.std),
            **{name: getattr(parameters, name) for name in ("size", "grey", "alignment", "crops")},
            "dimension": backbone.dimension * (len(units.labels) if learned.spec.get("separate") else 1),
            "metadata": units.columns,
            "warm_start": [origin["name"] for origin in learned.origins],
            "identities": len(material.identity.units.labels) if material.identity else None,
            "history": learned.history,
            "learned_from": sorted({digest[:SEEN] for digest in [*digests[rows].tolist(), *others]}),
        },
        "cohort": describe_cohort(
            features,
            features.labels,
            several=recipe.task == "attributes",
            source=Path(material.photos.source),
        ),
        "command": command,
        "seed": parameters.seed,
        "libraries": {name: metadata.version(name) for name in libraries},
    }
