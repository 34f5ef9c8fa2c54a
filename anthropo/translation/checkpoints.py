"""What an interrupted translation continues from: all that the next epoch depends on, without pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anthropo.errors import ModelError
from anthropo.learning.model_readers import as_written, part, prefixed, record
from anthropo.learning.schema import Range
from anthropo.networks.checkpoints import damaged_checkpoint, read_arrays, refuse_other_training, write_arrays
from anthropo.translation.options import TranslationParameters
from anthropo.translation.pictures import TranslationDomains

Moments = dict[int, dict[str, Tensor]]  # of an optimiser, by the number of the weight
Arrays = dict[str, NDArray[Any]]

LANDMARKS, TRANSLATION = "landmark network", "translation"
STAGES = (LANDMARKS, TRANSLATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationEpoch:
    """An epoch of a training: the mean of every loss over its steps, before they are weighed.

    Of the landmark network `landmarks` is the loss and `held_out` its mean distance from anthropo's landmarks
    on the people who are kept apart; both in outer-canthal distances. The other losses are of a translation,
    for both directions together.
    """

    stage: str
    epoch: Annotated[int, Range(1, 1_000_000)]  # of the stage, from 1
    landmarks: float | None = None
    held_out: float | None = None
    adversarial: float | None = None
    discriminator: float | None = None
    cycle: float | None = None
    identity: float | None = None
    generators: float | None = None  # what they are trained by: all of theirs, weighed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What a checkpoint says in JSON."""

    fingerprint: Mapping[str, Any]
    stage: Annotated[int, Range(0, len(STAGES) - 1)]
    epoch: Annotated[int, Range(0, 1_000_000)]
    history: tuple[TranslationEpoch, ...]


@dataclass(slots=True, eq=False)
class TranslationState:
    """Where a training stands."""

    stage: int = 0
    epoch: int = 0  # that are done in the stage
    history: list[TranslationEpoch] = field(default_factory=list)
    modules: Arrays = field(default_factory=dict)  # weights, by name
    optimisers: dict[str, Moments] = field(default_factory=dict)
    buffers: dict[str, list[Tensor]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """One file, written after every epoch, whole or not at all."""

    path: Path
    fingerprint: dict[str, Any]  # what has to be the same to continue

    def save(self, state: TranslationState) -> None:
        """Write where the training stands."""
        arrays = prefixed(state.modules, "module/")
        for name, moments in state.optimisers.items():
            for index, kept in moments.items():
                for key, value in kept.items():
                    arrays[f"optimiser/{name}/{index}/{key}"] = torch.as_tensor(value).cpu().numpy()
        for name, pictures in state.buffers.items():
            if pictures:
                arrays[f"buffer/{name}"] = torch.stack(pictures).cpu().numpy()
        meta = {"stage": state.stage, "epoch": state.epoch, "history": as_written(tuple(state.history))}
        write_arrays(self.path, arrays, {"fingerprint": self.fingerprint, **meta})

    def load(self) -> TranslationState:
        """Where the training stands; at the beginning if there is no checkpoint."""
        if not self.path.exists():
            return TranslationState()
        try:
            arrays = read_arrays(self.path)
            kept = record(_Kept, json.loads(bytes(arrays.pop("meta"))), "meta")
            state = TranslationState(kept.stage, kept.epoch, list(kept.history), part(arrays, "module/"))
            for name, array in part(arrays, "optimiser/").items():
                optimiser, index, key = name.split("/")
                moments = state.optimisers.setdefault(optimiser, {}).setdefault(int(index), {})
                moments[key] = torch.from_numpy(array)
            for name, array in part(arrays, "buffer/").items():
                state.buffers[name] = [*torch.from_numpy(array).float()]
        except Exception:  # whatever a damaged file makes zipfile, numpy and json raise
            raise self.damaged() from None
        refuse_other_training(self.path, kept.fingerprint, self.fingerprint)
        return state

    def damaged(self) -> ModelError:
        """What is said of a checkpoint that cannot be used."""
        return damaged_checkpoint(self.path)


def fingerprint(
    domains: TranslationDomains, parameters: TranslationParameters, device: torch.device
) -> dict[str, Any]:
    """What has to be the same for a training to continue: photos, people, options, device."""
    parts = (*domains.train, *domains.held_out)
    described = hashlib.sha256(json.dumps([faces.digests for faces in parts]).encode())
    for faces in parts:
        for array in (faces.pictures, faces.points, faces.shown):
            described.update(np.ascontiguousarray(array).tobytes())
    return {
        "cohort": described.hexdigest(),
        **parameters.to_json(),
        "device": device.type,
        "torch": torch.__version__,
    }
