"""From a cohort to a trained and judged network."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from anthropo.encoder.encoders import SEEN
from anthropo.learning.manifest import Manifest, PhotoSettings, Validation
from anthropo.learning.training import describe_cohort, landmark_weights
from anthropo.networks.architectures import BACKBONES
from anthropo.networks.checkpoints import Checkpoints, fingerprint
from anthropo.networks.description import CALLED, Description
from anthropo.networks.judging import Figures, NetworkAnswers, chips_of, flat_figures, judge_network
from anthropo.networks.network import Network
from anthropo.networks.pretrained import NAMED
from anthropo.networks.training_loop import Report, TrainedViews, beginning, exact, train_views
from anthropo.networks.training_set import TrainingSet, view_of
from anthropo.networks.units import TEST
from anthropo.networks.verification import (
    Floats,
    PairVerification,
    auroc_of_pairs,
    cosine,
    pairs_between,
    verification_figures,
)
from anthropo.parallel.threads import network_threads
from anthropo.showing import draw, fielded, html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """How good a network is on people of another source than its labels are from."""

    answers: NetworkAnswers
    overall: Figures
    by_label: dict[str, Figures]
    photos: int
    patients: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finetuned:
    """A trained network and how good it is on patients that it has not seen."""

    network: Network
    answers: NetworkAnswers
    overall: Figures
    by_label: dict[str, Figures]  # recall is "sensitivity", precision "ppv"
    notes: tuple[str, ...] = ()
    target: Judgement | None = None  # of people of the target, where they have labels
    verification: PairVerification | None = None  # of pairs

    __repr__ = fielded

    def _repr_html_(self) -> str:
        return html(self, "finetuned")

    def plot(self, kind: str = "loss", ax: Axes | None = None) -> Axes:
        """Draw how the training went over its epochs.

        Parameters
        ----------
        kind : {"loss", "metric"}
            The loss, or what is watched on people who are not trained on.
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "finetuned", ax, kind=kind)

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

    An interrupted training continues from the checkpoints in `folder`, unless `restart` is true; `command` is
    the command that trained it, without folders.
    """
    recipe, units = material.recipe, material.units
    if restart:
        shutil.rmtree(folder, ignore_errors=True)
    checkpoints = Checkpoints(folder, fingerprint(material, device))
    with exact(device), network_threads(recipe.parameters.threads):
        learned = train_views(material, checkpoints=checkpoints, device=device, report=report)
        manifest, about = _manifest(material, learned, command), _description(material, learned)
        network = Network(manifest, about, learned.modules)
        for module in network.modules:
            module.to(device)
        answers = judge_network(network, material.photos.pictures, units, TEST)
        target = _judged_in_target(network, material)
        verification = _verified(network, material, device) if recipe.task == "pairs" else None
        for module in network.modules:
            module.cpu()  # where everything else that takes a network has its pictures
    overall, by_label = answers.overall(recipe.parameters.seed), answers.by_label(recipe.parameters.seed)
    models = {"network": overall}
    if target is not None:
        models["target"] = target.overall
    if verification is not None:
        models |= {"pairs": verification.figures(), "pairs, warm start": verification.figures_began()}
    validation = Validation(
        method="patients that were kept apart",
        n_photos=int(sum(len(units.rows[i]) for i in units.chosen(TEST))),
        n_patients=len(set(units.patients[units.chosen(TEST)].tolist())),
        models=models,
        by_label=by_label,
    )
    network = replace(network, manifest=replace(network.manifest, validation=validation))
    return Finetuned(
        network=network,
        answers=answers,
        overall=overall,
        by_label=by_label,
        notes=units.notes,
        target=target,
        verification=verification,
    )


def _judged_in_target(network: Network, material: TrainingSet) -> Judgement | None:
    """The network's figures on people of the target who were kept apart."""
    target, seed = material.target, material.recipe.parameters.seed
    if target is None or target.judged is None:
        return None
    answers = judge_network(network, target.pictures, target.judged, TEST)
    return Judgement(
        answers=answers,
        overall=answers.overall(seed),
        by_label=answers.by_label(seed),
        photos=len(target.judged),
        patients=len(set(target.judged.patients.tolist())),
    )


def _verified(network: Network, material: TrainingSet, device: torch.device) -> PairVerification:
    """How well pairs of people who were kept apart are told, beside what training began with."""
    parameters, units = material.recipe.parameters, material.units
    chosen = units.chosen(TEST)
    pairs = pairs_between(units, chosen, parameters.positives, parameters.seed)
    began = replace(network, modules=beginning(material, network.about.spec, device))
    similar: dict[str, list[Floats]] = {"after": [], "before": []}
    by_view = []
    for view in network.views:
        chips = chips_of(network, material.photos.pictures, units, chosen, view)
        for when, of in (("after", network), ("before", began)):
            # as `NetworkEncoder` embeds
            embedded = of.embed({view: chips}) + of.embed({view: chips[:, :, ::-1]})
            similar[when].append(cosine(embedded, pairs))
        by_view.append(
            (view, auroc_of_pairs(similar["after"][-1], pairs), auroc_of_pairs(similar["before"][-1], pairs))
        )
    after, before = (np.mean(of, 0) for of in similar.values())
    start = parameters.warm_start if parameters.warm_start in NAMED else "a file"
    return verification_figures(
        after, before, pairs, start=start, by_view=tuple(by_view), seed=parameters.seed
    )


def _manifest(material: TrainingSet, learned: TrainedViews, command: str) -> Manifest:
    """The manifest of a network, without its figures."""
    recipe, units, features = material.recipe, material.units, material.photos.features
    parameters, settings = recipe.parameters, material.photos.settings
    tasks = CALLED[learned.spec.task]
    libraries = ["numpy", "torch"]
    if parameters.backbone not in ("deepgestalt", "face-resnet", "face-resnet-map"):
        lite = parameters.backbone == "efficientnet-lite0"
        libraries.append("efficientnet_lite_pytorch" if lite else "timm")
    if view_of(parameters).needs_face:
        measured = PhotoSettings(face=settings.face, fine=settings.fine, jitter=settings.jitter)
        regions, landmarks = parameters.views, landmark_weights(settings)
    else:
        measured, regions, landmarks = PhotoSettings(no_face=True), (), ()
    return Manifest(
        title=f"network, recipe {recipe.name}",
        task=tasks[0] if len(units.labels) == 2 else tasks[-1],
        labels=tuple(units.labels),
        balance=parameters.imbalance,
        weights=(*learned.origins, *landmarks),
        regions=regions,
        metadata=tuple(units.columns or ()),
        settings=measured,
        cohort=describe_cohort(
            features,
            features.labels,
            several=recipe.task == "attributes",
            source=Path(material.photos.source),
            people=material.photos.people,
        ),
        command=command,
        seed=parameters.seed,
        libraries={name: metadata.version(name) for name in libraries},
    )


def began_with(warm_start: str, learned: TrainedViews) -> str:
    """The warm start as a network keeps it: of a file what its weights are called, and not its name."""
    return warm_start if warm_start in NAMED else str(learned.origins[0].name)


def _description(material: TrainingSet, learned: TrainedViews) -> Description:
    """What the network's file says of its layers, pictures and training."""
    recipe, units, identity = material.recipe, material.units, material.identity
    parameters, backbone = recipe.parameters, BACKBONES[recipe.parameters.backbone]
    # the photos that it is trained on or stopped by
    rows = [row for i in np.flatnonzero(units.part != TEST) for row in units.rows[i]]
    digests = {*material.photos.features.digests[rows].tolist(), *(identity.digests if identity else ())}
    digests |= {*(material.target.digests if material.target else ())}
    return Description(
        recipe=recipe.name,
        parameters=replace(parameters, warm_start=began_with(parameters.warm_start, learned)),
        spec=learned.spec,
        views=parameters.views,
        mean=backbone.mean,
        std=backbone.std,
        size=parameters.size,
        grey=parameters.grey,
        alignment=parameters.alignment,
        crops=parameters.crops,
        dimension=learned.spec.dimension,
        metadata=units.columns,
        warm_start=tuple(str(origin.name) for origin in learned.origins),
        identities=len(identity.units.labels) if identity else None,
        adapted=len(material.target.rows) if material.target else None,
        history=learned.history,
        learned_from=tuple(sorted({digest[:SEEN] for digest in digests})),
    )
