"""Where a training stands, kept after every epoch, so that an interrupted one can go on.

No generator's state is kept: what is random in an epoch comes from the seed and the epoch's number, see
`anthropo.networks.training_loop`.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anthropo.errors import ModelError, parameter
from anthropo.files import open_regular, write_atomically
from anthropo.networks.pretrained import Origin
from anthropo.networks.training_set import TrainingSet

Epoch = dict[str, Any]  # stage, epoch, loss, validation (loss), metric

_PLAIN = ("stage", "epoch", "done", "history", "best_epoch", "scaler", "origin")


@dataclass(slots=True, eq=False)
class State:
    """Where the training of a view stands."""

    stage: int = 0
    epoch: int = 0  # that are done in the stage
    done: bool = False
    history: list[Epoch] = field(default_factory=list)
    best: float = math.inf  # validation loss
    best_epoch: int = 0
    module: NDArray[np.float32] | None = None
    best_module: NDArray[np.float32] | None = None
    optimiser: dict[str, Any] | None = None
    scaler: dict[str, Any] | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoints:
    """A folder with one file per view, written after every epoch, whole or not at all; no pickle."""

    folder: Path
    fingerprint: dict[str, Any]  # what has to be the same to go on

    def save(self, view: str, state: State) -> None:
        """Write where a view stands."""
        kept = {"module": state.module, "best_module": state.best_module}
        arrays: dict[str, NDArray[Any]] = {name: a for name, a in kept.items() if a is not None}
        groups = None
        if state.optimiser is not None:
            groups = state.optimiser["param_groups"]
            for index, moments in state.optimiser["state"].items():
                for key, value in moments.items():
                    if value is not None:
                        arrays[f"optimiser/{index}/{key}"] = torch.as_tensor(value).cpu().numpy()
        meta = {
            "fingerprint": self.fingerprint,
            "groups": groups,
            **{name: getattr(state, name) for name in _PLAIN},
            "best": state.best if math.isfinite(state.best) else None,
        }
        arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        file = io.BytesIO()
        np.savez(file, **arrays)  # type: ignore[arg-type]
        try:
            self.folder.mkdir(exist_ok=True)
            write_atomically(self.folder / f"{view}.npz", file.getvalue())
        except OSError as error:
            last = "; the last one is kept" if (self.folder / f"{view}.npz").exists() else ""
            raise ModelError(
                f"{self.folder}: the checkpoint cannot be written ({error.strerror or error}){last}. Free "
                "space there and run the same command again."
            ) from None

    def load(self, view: str) -> State:
        """Where a view stands; at the beginning if there is no checkpoint."""
        path = self.folder / f"{view}.npz"
        if not path.exists():
            return State()
        try:
            with open_regular(path) as stored, np.load(stored, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            meta = json.loads(bytes(arrays.pop("meta")))
            theirs = meta["fingerprint"]
            state = State(
                **{name: meta[name] for name in _PLAIN},
                best=math.inf if meta["best"] is None else float(meta["best"]),
                module=arrays.get("module"),
                best_module=arrays.get("best_module"),
            )
            if meta["groups"] is not None:
                moments: dict[int, dict[str, Tensor]] = {}
                for name, array in arrays.items():
                    if name.startswith("optimiser/"):
                        _, index, key = name.split("/")
                        moments.setdefault(int(index), {})[key] = torch.from_numpy(array)
                state.optimiser = {"state": moments, "param_groups": meta["groups"]}
        except Exception:  # whatever a damaged file makes numpy raise
            raise ModelError(
                f"{path}: the checkpoint is damaged. Start again with {parameter('resume', False)}."
            ) from None
        for key, value in self.fingerprint.items():
            if theirs.get(key) != value:
                raise ModelError(
                    f"{path}: the checkpoint belongs to a training with another {key.replace('_', ' ')} "
                    f"({_short(theirs.get(key))}, not {_short(value)}). Repeat the earlier options, or "
                    f"start again with {parameter('resume', False)}."
                )
        return state


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:12]


def fingerprint(material: TrainingSet, device: torch.device) -> dict[str, Any]:
    """Everything that has to be the same for a training to go on: recipe, options, photos, labels, parts."""
    recipe, units = material.recipe, material.units
    described = hashlib.sha256("".join(material.photos.features.digests.tolist()).encode())
    if (identity := material.identity) is not None:
        described.update(json.dumps([identity.units.labels, identity.digests]).encode())
    described.update(json.dumps([units.rows, units.labels]).encode())
    for array in (units.target, units.part, units.metadata):
        if array is not None:
            described.update(np.ascontiguousarray(array).tobytes())
    return {
        "recipe": recipe.name,
        "cohort": described.hexdigest(),
        **recipe.parameters.to_json(),
        "device": device.type,
        "torch": torch.__version__,
    }


def folder_of(output: Path) -> Path:
    """Where the checkpoints of a network's file lie."""
    return output.with_name(output.name + ".checkpoint")
