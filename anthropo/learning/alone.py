"""Which of several encoders does better, each by its regions alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anthropo.encoder.several import encoder_of
from anthropo.learning.intervals import Interval
from anthropo.learning.judged import Judged
from anthropo.learning.metrics import compare

_ALONE = "encoder:"  # before the encoder's name, in that of a model of its regions alone


def regions_by_encoder(regions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The regions of each encoder, by the name of the model that sees these alone; empty with one encoder."""
    names = dict.fromkeys(map(encoder_of, regions))
    if len(names) < 2:
        return {}
    return {_ALONE + name: tuple(r for r in regions if encoder_of(r) == name) for name in names}


def encoder_alone(model: str) -> str | None:
    """The encoder that a model sees the regions of, and nothing else; None of another model."""
    return model.removeprefix(_ALONE) if model.startswith(_ALONE) else None


def best_encoder(models: Mapping[str, Mapping[str, Interval]]) -> str | None:
    """The model of one encoder alone with the greatest AUROC; None with fewer than two of known AUROC."""
    known = {
        name: figures["auroc"].value
        for name, figures in models.items()
        if encoder_alone(name) is not None and "auroc" in figures and figures["auroc"].known
    }
    return max(known, key=lambda name: known[name]) if len(known) > 1 else None


def encoders_compared(
    models: Mapping[str, Judged],
    figures: Mapping[str, Mapping[str, Interval]],
    positive: str | None,
    **options: Any,
) -> dict[str, dict[str, Interval]]:
    """Differences of the encoder of the greatest AUROC from each other one, by that one's name."""
    best = best_encoder(figures)
    if best is None:
        return {}
    return {
        other: compare(models[best], models[name], positive, **options)
        for name in models
        if name != best and (other := encoder_alone(name)) is not None
    }
