"""Where a person's measurement stands among the people that a model was trained with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from anthropo.learning.model import LabelModel
from anthropo.learning.trained import Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A value among the people of one label, in the measurement's unit."""

    p5: float  # 5 % of the label's people measure less
    p50: float
    p95: float
    below: float | None  # share of the label's people who measure less; None without a value


def training_z(trained: Trained, measurement: str, value: float) -> float | None:
    """Distance to the mean of those the model standardises by, in their standard deviations."""
    if math.isnan(value) or not isinstance(trained.model, LabelModel):
        return None
    scaler = trained.model.classifier.scaler_
    if measurement not in scaler.names:
        return None
    at = scaler.names.index(measurement)
    return float((value - scaler.mean[at]) / scaler.spread[at])


def standing(trained: Trained, measurement: str, value: float) -> dict[str, Standing]:
    """By label; without labels of which too few people have the measurement."""
    standings: dict[str, Standing] = {}
    profile = trained.profile
    if profile is None:
        return standings
    for label in profile.labels:
        ends = profile.range(label, measurement)
        if ends is not None:
            below = None if math.isnan(value) else profile.share_below(label, measurement, value)
            standings[label] = Standing(p5=ends[0], p50=ends[1], p95=ends[2], below=below)
    return standings
