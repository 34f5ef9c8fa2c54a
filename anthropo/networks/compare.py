"""The networks of a recipe on one cohort, trained alike and judged on the same patients."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anthropo.networks.bench import BenchPhotos, answer_apart
from anthropo.networks.finetuning import Finetuned
from anthropo.networks.judging import flat_figures, pictures_to_answer
from anthropo.networks.training_set import TrainingSet
from anthropo.networks.units import TEST

#: The five of the published comparison on facial skin disease.
FIVE = ("resnet50", "inception_v3", "densenet121", "xception", "inception_resnet_v2")
#: Figures over all labels that are put side by side, where there are any.
OVERALL = ("balanced_accuracy", "auroc", "top_3", "quadratic_kappa", "off_by_one")
_TIMED = 20  # photos


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """One network of the comparison."""

    backbone: str
    finetuned: Finetuned
    file_bytes: int
    ms: float  # per photo or case, torch, from the cut views; see `anthropo.networks.bench.Run`

    def rows(self) -> list[dict[str, Any]]:
        """Columns of a table, for each label; the figures over all labels are repeated."""
        overall = {name: self.finetuned.overall[name] for name in OVERALL if name in self.finetuned.overall}
        weights = self.finetuned.network.parameters
        costs = {"parameters": weights, "file_bytes": self.file_bytes, "ms": self.ms}
        rows = []
        for label, figures in self.finetuned.by_label.items():
            rates = {"recall": figures["sensitivity"], "precision": figures["ppv"]}
            row = {"network": self.backbone, "label": label, **rates, **overall, **costs}
            rows.append(flat_figures(row))
        return rows


def with_costs(finetuned: Finetuned, material: TrainingSet, path: Path, *, threads: int = 1) -> Compared:
    """A network that was trained on `material` and is the file `path`, with its size and its time."""
    network, units = finetuned.network, material.units
    timed = units.chosen(TEST)[:_TIMED]
    pictures = pictures_to_answer(network, material.photos.pictures, units, timed)
    metadata = None if units.metadata is None else units.metadata[timed]
    photos = BenchPhotos(pictures=pictures, units=replace(units, metadata=metadata))
    with tempfile.TemporaryDirectory() as folder:
        ms = answer_apart("torch", path, network.task, photos, threads, Path(folder)).ms
    backbone = material.recipe.parameters.backbone
    return Compared(backbone=backbone, finetuned=finetuned, file_bytes=path.stat().st_size, ms=ms)
