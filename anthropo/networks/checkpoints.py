"""Where a training stands, kept after every epoch, so that an interrupted one can continue.

No generator's state is kept: what is random in an epoch comes from the seed and the epoch's number, see
`anthropo.networks.training_loop`.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anthropo.container import MAX_BYTES, plain_array
from anthropo.errors import ModelError, parameter
from anthropo.files import open_regular, write_atomically
from anthropo.learning.manifest import WeightsRecord
from anthropo.learning.model_readers import as_written, record
from anthropo.learning.schema import Range
from anthropo.networks.description import Epoch
from anthropo.networks.training_set import TrainingSet

_PLAIN = ("stage", "epoch", "done", "best_epoch", "scaler", "origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointHeader:
    """What a checkpoint says in JSON; its arrays are the module's weights and the optimiser's moments."""

    fingerprint: Mapping[str, Any]  # what has to be the same for the training to continue
    stage: Annotated[int, Range(0, 3)]
    epoch: Annotated[int, Range(0, 1_000_000)]  # that are done in the stage
    done: bool
    best: float | None  # validation loss
    best_epoch: Annotated[int, Range(0, 1_000_000)]
    history: tuple[Epoch, ...]
    scaler: Mapping[str, float] | None  # of mixed precision
    origin: WeightsRecord | None  # what training began with


@dataclass(slots=True, eq=False)
class ViewState:
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
    origin: WeightsRecord | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoints:
    """A folder with one file per view, written after every epoch, whole or not at all; no pickle."""

    folder: Path
    fingerprint: dict[str, Any]  # what has to be the same to continue

    def save(self, view: str, state: ViewState) -> None:
        """Write where a view stands."""
        kept = {"module": state.module, "best_module": state.best_module}
        arrays: dict[str, NDArray[Any]] = {name: a for name, a in kept.items() if a is not None}
        for index, moments in (state.optimiser or {}).get("state", {}).items():
            for key, value in moments.items():
                if value is not None:
                    arrays[f"optimiser/{index}/{key}"] = torch.as_tensor(value).cpu().numpy()
        meta = {
            "fingerprint": self.fingerprint,
            **{name: getattr(state, name) for name in _PLAIN},
            "history": as_written(tuple(state.history)),
            "origin": as_written(state.origin),
            "best": state.best if math.isfinite(state.best) else None,
        }
        write_arrays(self.folder / f"{view}.npz", arrays, meta)

    def damaged(self, view: str) -> ModelError:
        """What is said of a checkpoint that cannot be used."""
        return damaged_checkpoint(self.folder / f"{view}.npz")

    def load(self, view: str) -> ViewState:
        """Where a view stands; at the beginning if there is no checkpoint."""
        path = self.folder / f"{view}.npz"
        if not path.exists():
            return ViewState()
        try:
            arrays = read_arrays(path)
            kept = record(CheckpointHeader, json.loads(bytes(arrays.pop("meta"))), "meta")
            state = ViewState(
                **{name: getattr(kept, name) for name in _PLAIN},
                history=list(kept.history),
                best=math.inf if kept.best is None else kept.best,
                module=arrays.get("module"),
                best_module=arrays.get("best_module"),
            )
            moments: dict[int, dict[str, Tensor]] = {}
            for name, array in arrays.items():
                if name.startswith("optimiser/"):
                    _, index, key = name.split("/")
                    moments.setdefault(int(index), {})[key] = torch.from_numpy(array)
            state.optimiser = {"state": moments} if moments else None
        except Exception:  # whatever a damaged file makes zipfile, numpy and json raise
            raise self.damaged(view) from None
        refuse_other_training(path, kept.fingerprint, self.fingerprint)
        return state


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all: arrays, and what JSON says beside them."""
    file = io.BytesIO()
    described = {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}
    np.savez(file, **{**arrays, **described})  # type: ignore[arg-type]
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, file.getvalue())
    except OSError as error:
        last = "; the last one is kept" if path.exists() else ""
        raise ModelError(
            f"{path.parent}: the checkpoint cannot be written ({error.strerror or error}){last}. Free space "
            "there and run the same command again."
        ) from None


def damaged_checkpoint(path: Path) -> ModelError:
    """What is said of a checkpoint that cannot be used."""
    return ModelError(f"{path}: the checkpoint is damaged. Start again with {parameter('resume', False)}.")


def refuse_other_training(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Refuse to continue a training with something else than it was begun with."""
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise ModelError(
                f"{path}: the checkpoint belongs to a training with another {key.replace('_', ' ')} "
                f"({_short(theirs.get(key))}, not {_short(value)}). Repeat the earlier options, or "
                f"start again with {parameter('resume', False)}."
            )


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file that `write_arrays` wrote, which are no larger than the file."""
    with open_regular(path, most=MAX_BYTES) as stored, zipfile.ZipFile(stored) as archive:
        members = archive.infolist()
        plain = all(m.compress_type == zipfile.ZIP_STORED and m.compress_size == m.file_size for m in members)
        within = sum(m.file_size for m in members) <= os.fstat(stored.fileno()).st_size
        if not plain or not within or len({m.filename for m in members}) < len(members):
            raise ValueError("an archive of something else")
        return {m.filename.removesuffix(".npy"): plain_array(m.filename, archive.read(m)) for m in members}


def restore(optimiser: torch.optim.Optimizer, moments: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Put the moments of a checkpoint into an optimiser, which keeps its own options.

    Raises
    ------
    ValueError
        If they are those of another one.
    """
    learning = [p for group in optimiser.param_groups for p in group["params"]]
    wanted = (
        {"momentum_buffer"} if isinstance(optimiser, torch.optim.SGD) else {"step", "exp_avg", "exp_avg_sq"}
    )
    for index, kept in moments.items():
        shape = learning[index].shape if 0 <= index < len(learning) else None
        fits = all(value.shape == (() if key == "step" else shape) for key, value in kept.items())
        if {*kept} != wanted or not fits or any(value.dtype != torch.float32 for value in kept.values()):
            raise ValueError(f"moments of weight {index}")
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:12]


def fingerprint(material: TrainingSet, device: torch.device) -> dict[str, Any]:
    """What has to be the same for a training to continue: recipe, options, photos, labels and parts."""
    recipe, units = material.recipe, material.units
    described = hashlib.sha256("".join(material.photos.features.digests.tolist()).encode())
    if (identity := material.identity) is not None:
        described.update(json.dumps([identity.units.labels, identity.digests]).encode())
    if (target := material.target) is not None:
        described.update(json.dumps(target.digests).encode())
    described.update(json.dumps([units.rows, units.labels]).encode())
    for array in (units.target, units.part, units.metadata, units.states):
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
