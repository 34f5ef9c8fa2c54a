"""From a cohort to a trained and judged network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anthropo.encoder.encoders import SEEN
from anthropo.errors import InputError
from anthropo.face.weights import KNOWN
from anthropo.learning.attributes import ABSENT, PRESENT
from anthropo.learning.features import Features
from anthropo.learning.grades import judge_grades
from anthropo.learning.intervals import Interval
from anthropo.learning.judged import Judged
from anthropo.learning.metrics import judge, judge_labels
from anthropo.learning.training import describe_cohort
from anthropo.networks.architectures import BACKBONES
from anthropo.networks.checkpoints import Checkpoints, fingerprint
from anthropo.networks.chips import View
from anthropo.networks.network import Network, decided
from anthropo.networks.pictures import TEST, TRAIN, Pictures, Units, units_of
from anthropo.networks.recipes import Parameters, Recipe
from anthropo.networks.training_loop import Learned, Report, learn
from anthropo.settings import Settings

Figures = dict[str, dict[str, Interval]]  # by what they are of, then by metric

_BOOTSTRAP = 1000
_TOP = (1, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Finetuned:
    """A trained network and how good it is on patients that it has not seen."""

    network: Network
    judged: dict[str, Judged]  # "" for labels, grades and cases; by attribute else
    overall: dict[str, Interval]
    by_label: Figures  # recall is "sensitivity", precision "ppv"
    notes: tuple[str, ...]


def view_of(parameters: Parameters) -> View:
    """How a recipe cuts its pictures."""
    return View(parameters.views, parameters.size, parameters.alignment, parameters.crops)


def people_of(features: Features) -> Units:
    """Photos with the patient as the label, for the identity stage; people with one photo teach as well.

    Raises
    ------
    InputError
        If nobody has two photos.
    """
    patients, which = np.unique(features.patients, return_inverse=True)
    counts = np.bincount(which, minlength=len(patients))
    if len(patients) < 2 or counts.max() < 2:
        raise InputError(
            "identity stage: nobody has two photos, so that no face can be recognised. Name the patients in "
            "a column `patient`, give --pretrain COHORT, or pass --set identity=none."
        )
    n = len(features)
    return Units(
        tuple((i,) for i in range(n)), tuple(patients.tolist()), which, features.patients, np.full(n, TRAIN)
    )


def training_people(features: Features, units: Units) -> tuple[NDArray[np.int64], Features]:
    """The photos of the training part, for an identity stage that must not see the others."""
    from anthropo.learning.features import subset

    rows = np.array(sorted(r for i in units.chosen(TRAIN) for r in units.rows[i]), dtype=np.int64)
    return rows, subset(features, rows)


def finetune(
    recipe: Recipe,
    pictures: Pictures,
    features: Features,
    kinds: Mapping[str, str],
    *,
    folder: Path,
    device: torch.device,
    settings: Settings,
    identity: tuple[Pictures, Features] | None = None,
    source: Path | None = None,
    command: str = "",
    report: Report | None = None,
    restart: bool = False,
    begun: Callable[[Units], None] | None = None,
) -> Finetuned:
    """Train the networks of a recipe and judge them on the patients that were kept apart.

    Parameters
    ----------
    recipe : Recipe
    pictures, features
        Of `anthropo.networks.pictures.gather`.
    kinds : mapping
        Kinds of the metadata columns.
    folder : Path
        Where the checkpoints lie; a training that was interrupted goes on from there.
    device : torch.device
    settings : Settings
        That the photos were read with.
    identity : (Pictures, Features), optional
        A cohort whose patients are recognised first.
    source : Path, optional
        The cohort's table; its hash is kept.
    command : str
        That trained it, without folders.
    report : callable, optional
        Told after every step.
    restart : bool
        Forget the checkpoints.
    begun : callable, optional
        Told what is learned from before the first epoch.

    Raises
    ------
    AnthropoError
        If the cohort, an option, the warm start or the disk does not allow it; see `learn`.
    """
    own = recipe.parameters
    units = units_of(recipe.task, features, own, kinds)
    people: tuple[Pictures, Units] | None = None
    if identity is not None:
        people = identity[0], people_of(identity[1])
    elif own.identity == "patient":
        rows, seen = training_people(features, units)
        people = _some_pictures(pictures, rows), people_of(seen)
    digest = hashlib.sha256("".join(features.digests.tolist()).encode())
    if people is not None:
        digest.update(json.dumps(people[1].labels).encode())
    checkpoints = Checkpoints(folder, fingerprint(recipe, units, digest.hexdigest(), device))
    if restart:
        checkpoints.clear()
    if begun:
        begun(units)
    learned = learn(
        recipe, pictures, units, checkpoints=checkpoints, device=device, identity=people, report=report
    )
    made = describe(recipe, learned, units, features, settings, people, source, command)
    own_photos = [features.digests[i] for u in np.flatnonzero(units.part != TEST) for i in units.rows[u]]
    others = [] if identity is None else identity[1].digests.tolist()
    made["network"]["learned_from"] = sorted({str(digest)[:SEEN] for digest in (*own_photos, *others)})
    network = Network(made, tuple(m.to(device) for m in learned.modules))
    judged = judge_network(network, pictures, units, TEST)
    overall, by_label = figures(recipe.task, judged, own.seed)
    network.manifest["validation"] = {
        "method": "patients that were kept apart",
        "n_photos": int(sum(len(units.rows[i]) for i in units.chosen(TEST))),
        "n_patients": len(set(units.patients[units.chosen(TEST)].tolist())),
        "prevalence": None,
        "models": {
            "network": {name: _figure(f) for name, f in overall.items()},
            **{label: {name: _figure(f) for name, f in own.items()} for label, own in by_label.items()},
        },
    }
    return Finetuned(network, judged, overall, by_label, units.notes)


def _figure(figure: Interval) -> dict[str, Any]:
    made = figure.to_json()
    made.pop("n")
    return made


def _some_pictures(pictures: Pictures, rows: NDArray[np.int64]) -> Pictures:
    from dataclasses import replace

    return replace(
        pictures,
        photos=tuple(pictures.photos[i] for i in rows),
        frames=tuple(pictures.frames[i] for i in rows),
        pose=pictures.pose[rows],
        kept=None if pictures.kept is None else pictures.kept[rows],
    )


# --------------------------------------------------------------------------------------------- the manifest


def describe(
    recipe: Recipe,
    learned: Learned,
    units: Units,
    features: Features,
    settings: Settings,
    people: tuple[Pictures, Units] | None,
    source: Path | None,
    command: str,
) -> dict[str, Any]:
    """The manifest of a network, without its figures."""
    own, backbone = recipe.parameters, BACKBONES[recipe.parameters.backbone]
    view = view_of(own)
    tasks = {"attributes": "multilabel", "grades": "grades", "cases": "cases"}
    libraries = ["numpy", "torch"]
    if own.backbone not in ("deepgestalt", "face-resnet", "face-resnet-map"):
        libraries.append("efficientnet_lite_pytorch" if own.backbone == "efficientnet-lite0" else "timm")
    landmarks = [w for w in KNOWN if w.name in _landmark_weights(view, settings)]
    return {
        "title": f"network, recipe {recipe.name}",
        "task": tasks.get(recipe.task, "binary" if len(units.labels) == 2 else "multiclass"),
        "labels": list(units.labels),
        "balance": own.imbalance,
        "weights": [
            *learned.origins,
            *(
                {"name": w.name, "digest": w.sha256, "licence": w.licence, "commercial_use": w.commercial_use}
                for w in landmarks
            ),
        ],
        "regions": list(own.views) if view.needs_face else [],
        "metadata": list(units.columns or ()),
        "settings": {"no_face": True}
        if not view.needs_face
        else {"face": settings.face, "fine": settings.fine, "jitter": settings.jitter},
        "network": {
            "recipe": recipe.name,
            "parameters": {k: list(v) if isinstance(v, tuple) else v for k, v in _shareable(own).items()},
            "spec": learned.spec,
            "views": list(own.views),
            "size": own.size,
            "grey": own.grey,
            "mean": list(backbone.mean),
            "std": list(backbone.std),
            "alignment": own.alignment,
            "crops": own.crops,
            "dimension": _dimension(recipe, units),
            "metadata": units.columns,
            "warm_start": [origin["name"] for origin in learned.origins],
            "identities": None if people is None else len(people[1].labels),
            "history": learned.history,
        },
        "cohort": describe_cohort(
            features, features.labels, several=recipe.task == "attributes", source=source
        ),
        "command": command,
        "seed": own.seed,
        "libraries": {name: metadata.version(name) for name in libraries},
    }


def _landmark_weights(view: View, settings: Settings) -> set[str]:
    if not view.needs_face:
        return set()
    used = {"landmarks-68"} if settings.landmark_model is None else set()
    return used | ({"fine-landmarks"} if settings.fine else set())


def _shareable(own: Parameters) -> dict[str, Any]:
    """The options without the folder of a warm start's file."""
    made = asdict(own)
    made["warm_start"] = Path(own.warm_start).name
    return made


def _dimension(recipe: Recipe, units: Units) -> int:
    separate = recipe.task == "attributes" and recipe.parameters.separate
    return BACKBONES[recipe.parameters.backbone].dimension * (len(units.labels) if separate else 1)


# --------------------------------------------------------------------------------------------------- judging


def probabilities(
    network: Network, pictures: Pictures, units: Units, chosen: NDArray[np.int64], views: tuple[str, ...] = ()
) -> NDArray[np.float64]:
    """What a network says of some units, (n, k), averaged over all of its views or the given ones."""
    own = network.about["parameters"]
    batch, out = int(own["batch"]), []
    for start in range(0, len(chosen), batch):
        some = chosen[start : start + batch]
        known = None if units.metadata is None else units.metadata[some]
        chips = {name: chips_of(network, pictures, units, some, name) for name in views or network.views}
        out.append(network.probabilities(chips, known, batch=batch))
    return np.concatenate(out)


def chips_of(
    network: Network, pictures: Pictures, units: Units, chosen: NDArray[np.int64], name: str
) -> NDArray[np.uint8]:
    """One view's pictures of some units, (n, size, size, 3), of cases (n, m, size, size, 3)."""
    if network.task != "cases":
        return pictures.of([units.rows[i][0] for i in chosen], name)
    most = int(network.about["parameters"]["images"])
    rows = [units.rows[i][:most] for i in chosen]
    chips = np.zeros((len(rows), max(map(len, rows)), network.size, network.size, 3), np.uint8)
    for i, own in enumerate(rows):
        chips[i, : len(own)] = pictures.of(own, name)
    return chips


def judge_network(
    network: Network, pictures: Pictures, units: Units, part: int, views: tuple[str, ...] = ()
) -> dict[str, Judged]:
    """A network's answers on a part of the units: one `Judged`, or one for each attribute."""
    chosen = units.chosen(part)
    return judged_of(network, units, chosen, probabilities(network, pictures, units, chosen, views))


def judged_of(
    network: Network, units: Units, chosen: NDArray[np.int64], p: NDArray[np.float64]
) -> dict[str, Judged]:
    """Probabilities (n, k) of some units beside the truth: one `Judged`, or one for each attribute."""
    groups, target = units.patients[chosen], units.target[chosen]
    if network.task != "attributes":
        p = p / p.sum(1, keepdims=True)
        decision = decided(p, network.about["spec"].get("head", ""))
        return {"": Judged(units.labels, target, p, groups, decision)}
    return {
        name: Judged(
            (ABSENT, PRESENT),
            (target[:, c] > 0).astype(np.int64),
            np.column_stack([1 - p[:, c], p[:, c]]),
            groups,
            (p[:, c] >= 0.5).astype(np.int64),
        )
        for c, name in enumerate(units.labels)
    }


def figures(task: str, judged: Mapping[str, Judged], seed: int = 0) -> tuple[dict[str, Interval], Figures]:
    """The figures over all labels, and recall, precision and AUROC of each label or attribute."""
    wanted = ("sensitivity", "ppv", "specificity", "auroc")
    if task == "attributes":
        return {}, {
            name: {
                k: v for k, v in judge(own, PRESENT, bootstrap=_BOOTSTRAP, seed=seed).items() if k in wanted
            }
            for name, own in judged.items()
        }
    own = judged[""]
    every = judge(own, top=_TOP, bootstrap=_BOOTSTRAP, seed=seed)
    names = ("balanced_accuracy", "accuracy", "auroc", "top_1", "top_3")
    overall = {name: every[name] for name in names[: 3 if task == "grades" else None]}
    if task == "grades":
        overall |= judge_grades(own, bootstrap=_BOOTSTRAP, seed=seed)
    each = judge_labels(own, bootstrap=_BOOTSTRAP, seed=seed)
    return overall, {label: {k: v for k, v in f.items() if k in wanted} for label, f in each.items()}
