"""The networks of a recipe on one cohort, trained alike and judged on the same patients."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anthropo.learning.features import Features
from anthropo.networks.bench import Photos, run
from anthropo.networks.checkpoints import folder_of
from anthropo.networks.finetuning import Finetuned, chips_of, finetune
from anthropo.networks.pictures import TEST, Pictures, Units
from anthropo.networks.recipes import Recipe
from anthropo.networks.training_loop import Report
from anthropo.settings import Settings

#: The five of the published comparison on facial skin disease.
FIVE = ("resnet50", "inception_v3", "densenet121", "xception", "inception_resnet_v2")
_TIMED = 20  # photos


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """One network of the comparison."""

    backbone: str
    made: Finetuned
    file_bytes: int
    ms: float  # per photo or case, torch, from the cut views; see anthropo.networks.bench


def train_one(
    recipe: Recipe,
    path: Path,
    pictures: Pictures,
    features: Features,
    kinds: Mapping[str, Any],
    *,
    device: torch.device,
    settings: Settings,
    source: Path,
    command: str = "",
    report: Report | None = None,
    restart: bool = False,
    threads: int = 1,
) -> Compared:
    """Train a network, keep it and measure it; one that an interrupted comparison has finished is taken over.

    Parameters
    ----------
    recipe : Recipe
        With the backbone that is wanted.
    path : Path
        The network's file. Its checkpoints lie beside it and stay.
    pictures, features, kinds, device, settings, source, command, report, restart
        As for `anthropo.networks.finetuning.finetune`.
    threads : int
        For the timing.

    Raises
    ------
    AnthropoError
        As of `finetune`.
    """
    seen: list[Units] = []
    made = finetune(
        recipe,
        pictures,
        features,
        kinds,
        folder=folder_of(path),
        device=device,
        settings=settings,
        source=source,
        command=command,
        report=report,
        restart=restart,
        begun=seen.append,
    )
    made.network.save(path)
    units, network = seen[0], made.network
    some = units.chosen(TEST)[:_TIMED]
    views = [chips_of(network, pictures, units, some, name) for name in network.views]
    shown = Photos(
        views[0] if network.task == "cases" else np.stack(views, 1),
        None if units.metadata is None else units.metadata[some],
        units,
        (),
    )
    with tempfile.TemporaryDirectory() as folder:
        _, ms, _ = run("torch", path, network.task, shown, threads, Path(folder))
    return Compared(recipe.parameters.backbone, made, path.stat().st_size, ms)
