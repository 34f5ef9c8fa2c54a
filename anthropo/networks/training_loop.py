"""The training loop: seeded, on any device, with a checkpoint after every epoch.

Everything random of an epoch (order, augmentation, dropout) comes from the seed, the view, the stage and the
epoch's number. A run that continues from a checkpoint therefore ends where an uninterrupted one does, and no
generator's state has to be kept.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from anthropo.errors import InputError, ModelError, PhotoError, parameter
from anthropo.learning.manifest import WeightsRecord
from anthropo.networks.adaptation import AdaptingObjective, domain_head
from anthropo.networks.architectures import Separate, Spec, build, channels_of, check_size
from anthropo.networks.checkpoints import Checkpoints, ViewState, restore
from anthropo.networks.description import Epoch
from anthropo.networks.network import fill, flat
from anthropo.networks.objective import MONITORED, Objective
from anthropo.networks.pair_losses import PAIR_LOSSES
from anthropo.networks.pairs import PairObjective, fit_head, projection_head
from anthropo.networks.pretrained import warm_start
from anthropo.networks.recipes import Parameters, Recipe
from anthropo.networks.training_set import TrainingSet
from anthropo.networks.units import TRAIN, Units


@dataclass(frozen=True, slots=True)
class Step:
    """Where the loop stands."""

    view: str
    stage: str
    epoch: int  # from 1
    epochs: int
    step: int  # from 1; equal to steps: the epoch is done
    steps: int
    loss: float  # mean of the epoch so far
    validation: float  # loss on the validation patients; NaN while the epoch runs
    metric: float  # on the validation patients; NaN while the epoch runs
    watched: str  # what the metric is called


Report = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class _Stage:
    """A part of the training with an optimiser of its own."""

    name: str
    epochs: int
    optimiser: str
    rate: float
    frozen: bool = False
    identity: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class TrainedViews:
    """Trained modules, and how they came about."""

    modules: tuple[nn.Module, ...]  # one per view
    spec: Spec
    history: dict[str, tuple[Epoch, ...]]
    origins: tuple[WeightsRecord, ...]


def device_of(name: str = "auto") -> torch.device:
    """The device of that name; "auto": a GPU where there is one."""
    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there[:0] = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name == "auto":
        name = there[0]
    if name not in there:
        raise InputError(f"device {name}: not on this computer. Choose from {', '.join(there)}.")
    return torch.device(name)


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """On a GPU, convolutions that repeat themselves and round as float32 does, while it lasts.

    Otherwise the fastest convolution of the moment is taken, which is not always the same, and what is not
    computed in half precision is rounded to ten bits (TF32): other answers than the network's file gives.
    """
    if device.type != "cuda":
        yield
        return
    flags: Any = torch.backends.cudnn
    before = flags.deterministic, flags.benchmark, flags.allow_tf32
    flags.deterministic, flags.benchmark, flags.allow_tf32 = True, False, False
    try:
        yield
    finally:
        flags.deterministic, flags.benchmark, flags.allow_tf32 = before


def spec_of(recipe: Recipe, outputs: int, metadata: int = 0) -> Spec:
    """The layers of a recipe's network.

    `outputs` counts labels, grades or attributes, `metadata` the numbers that a case's metadata became.
    """
    parameters, task = recipe.parameters, "labels" if recipe.task == "pairs" else recipe.task
    ordinal = task in ("labels", "grades") and parameters.loss == "ordinal"
    spec = Spec(
        task=task,
        backbone=parameters.backbone,
        channels=channels_of(parameters.backbone, parameters.grey),
        outputs=outputs - ordinal,
        dropout=parameters.dropout,
    )
    if task == "attributes":
        own, attention, separate = parameters.own, parameters.attention, parameters.separate
        return replace(spec, own=own, attention=attention, separate=separate, pose=parameters.pose > 0)
    if task == "cases":
        return replace(spec, metadata=metadata)
    return replace(spec, head="thresholds" if ordinal else parameters.head)


# --------------------------------------------------------------------------------------------- the loop


def train_views(
    material: TrainingSet, *, checkpoints: Checkpoints, device: torch.device, report: Report | None = None
) -> TrainedViews:
    """Train one module per view, from the checkpoints on, which are written after every epoch."""
    units, parameters = material.units, material.recipe.parameters
    _refuse_small(units, parameters, "")
    if material.identity is not None:
        _refuse_small(material.identity.units, parameters, "identity stage: ")
    metadata = 0 if units.metadata is None else units.metadata.shape[1]
    spec = spec_of(material.recipe, len(units.labels), metadata)
    try:
        check_size(spec, len(parameters.views), parameters.size)
    except ModelError as error:
        raise InputError(
            f"{error}. Choose a smaller backbone, fewer views, labels or attributes, or separate=false."
        ) from None
    modules, histories, origins = [], {}, []
    for view in parameters.views:
        state = _Trainer(material, view, spec, checkpoints, device, report).run()
        module = extended(build(spec), parameters)
        try:
            fill(module, state.best_module)
        except ModelError:
            raise checkpoints.damaged(view) from None
        without_extensions(module)
        if material.recipe.task == "pairs":
            fit_head(module, view, material, device)
        modules.append(module.eval().requires_grad_(False))
        histories[view] = tuple(state.history)
        if state.origin is not None and state.origin not in origins:
            origins.append(state.origin)
    return TrainedViews(tuple(modules), spec, histories, tuple(origins))


def beginning(material: TrainingSet, spec: Spec, device: torch.device) -> tuple[nn.Module, ...]:
    """The modules as their training begins, one per view."""
    modules = []
    for view in material.recipe.parameters.views:
        trainer = _Trainer(material, view, spec, Checkpoints(Path(), {}), device, None)
        module = trainer.module(ViewState(), trainer.stages[-1])
        without_extensions(module)
        modules.append(module.eval().requires_grad_(False))
    return tuple(modules)


def _refuse_small(units: Units, parameters: Parameters, what: str) -> None:
    n = len(units.chosen(TRAIN))
    if n < parameters.batch:
        fitting = parameter("changes", f"batch={max(2, n // 4)}")
        raise InputError(
            f"{what}{n} to train on, fewer than a batch of {parameters.batch}. Pass {fitting}, or add photos."
        )


def _seed(*what: Any) -> int:
    digest = hashlib.sha256(json.dumps(what).encode()).digest()
    return int.from_bytes(digest[:7], "little")


def _mixed(parameters: Parameters, device: torch.device) -> bool:
    return parameters.precision == "mixed" and device.type == "cuda"  # only a GPU is faster with it


class _Trainer:
    """Trains the module of one view."""

    def __init__(
        self,
        material: TrainingSet,
        view: str,
        spec: Spec,
        checkpoints: Checkpoints,
        device: torch.device,
        report: Report | None,
    ) -> None:
        self.material, self.view, self.spec = material, view, spec
        self.parameters = material.recipe.parameters
        self.checkpoints, self.device, self.report = checkpoints, device, report
        self.stages = _stages(self.parameters, material.identity is not None)
        self.mixed = _mixed(self.parameters, device)

    def run(self) -> ViewState:
        """From the checkpoint, or the beginning, to the end."""
        state = self.checkpoints.load(self.view)
        if state.stage >= len(self.stages) or (state.done and state.best_module is None):
            raise self.checkpoints.damaged(self.view)
        while not state.done:
            stage = self.stages[state.stage]
            self._train(stage, self._restored(state, stage), state)
            state.done = state.stage == len(self.stages) - 1
            state.optimiser = state.scaler = None
            state.epoch = 0
            state.stage += not state.done
            if state.done:
                state.module = None
            self.checkpoints.save(self.view, state)
        return state

    # ----------------------------------------------------------------------------- its module

    def _restored(self, state: ViewState, stage: _Stage) -> nn.Module:
        try:
            return self.module(state, stage)
        except ModelError as error:
            raise (self.checkpoints.damaged(self.view) if state.module is not None else error) from None

    def module(self, state: ViewState, stage: _Stage) -> nn.Module:
        """The module of a stage: as the checkpoint has it, or new, with the body of the stage before."""
        torch.manual_seed(_seed(self.parameters.seed, self.view, stage.name, "init"))
        spec = self.spec
        if stage.identity and self.material.identity:
            spec = Spec(
                task="labels",
                backbone=spec.backbone,
                channels=spec.channels,
                outputs=len(self.material.identity.units.labels),
                dropout=spec.dropout,
                head=self.parameters.head,
            )
        module = build(spec)
        if not stage.identity:
            extended(module, self.parameters)
        before = self.stages[state.stage - 1] if state.stage else None
        if state.epoch or (before is not None and before.identity == stage.identity):
            fill(module, state.module)
        else:
            self._initialise(module, identity=stage.identity)
            for body in _bodies(module):
                if state.module is not None:  # the identity stage's body is kept: its numbers come first
                    fill(body, state.module[: len(flat(body))])
                else:
                    state.origin = warm_start(
                        body, self.parameters.backbone, self.view, self.parameters.warm_start
                    )
        return module.to(self.device)

    def _initialise(self, module: nn.Module, *, identity: bool) -> None:
        parameters = self.parameters
        # head_init is of the head that is new in fine-tuning; that of the identity stage begins as the body
        head_init = parameters.body_init if identity else parameters.head_init
        for layer in (layer for body in _bodies(module) for layer in body.modules()):
            if parameters.body_init == "he" and isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            elif parameters.backbone.startswith("face-resnet") and isinstance(layer, nn.Conv2d):
                layer.reset_parameters()  # the library of this body is a file of weights
        for name, layer in module.named_modules():
            outside = not {"body", "attention"} & {*name.split(".")}
            if head_init == "library" or not (outside and isinstance(layer, (nn.Conv2d, nn.Linear))):
                continue
            if head_init == "he":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_normal_(layer.weight, math.sqrt(parameters.head_scale))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    # ----------------------------------------------------------------------------- a stage

    def _train(self, stage: _Stage, module: nn.Module, state: ViewState) -> None:
        material = self.material
        objective = objective_of(stage, material, self.view, self.device)
        last = not stage.identity and not stage.frozen
        if last and state.epoch == 0:
            state.best, state.best_epoch, state.best_module = math.inf, 0, None
            if material.recipe.task == "pairs":  # the warm start is an embedding already
                state.best, _ = objective.validate(module, self.mixed)
                state.best_module = flat(module)
        learning = [p for name, p in module.named_parameters() if not (stage.frozen and "body." in name)]
        module.requires_grad_(False)
        for p in learning:
            p.requires_grad_(True)
        decay = self.parameters.weight_decay
        optimiser: torch.optim.Optimizer = (
            torch.optim.Adam(learning, stage.rate, weight_decay=decay)
            if stage.optimiser == "adam"
            else torch.optim.SGD(learning, stage.rate, self.parameters.momentum, weight_decay=decay)
        )
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.mixed)
        if state.optimiser is not None:
            try:
                restore(optimiser, state.optimiser["state"])
            except ValueError:
                raise self.checkpoints.damaged(self.view) from None
        if state.scaler:
            if {*state.scaler} != {*scaler.state_dict()} or min(state.scaler.values()) < 0:
                raise self.checkpoints.damaged(self.view)
            scaler.load_state_dict(state.scaler)
        while state.epoch < stage.epochs:
            epoch, patience = state.epoch, self.parameters.patience
            if last and patience and epoch - state.best_epoch >= patience:
                break
            try:
                loss = self._epoch(stage, epoch, module, objective, optimiser, scaler)
                validation, metric = objective.validate(module, self.mixed)
            except PhotoError as error:
                raise PhotoError(
                    f"{error} It could be read before; epoch {epoch + 1} of {self.view} needed it again. The "
                    "checkpoint is kept: put the photo back and run the same command again."
                ) from None
            except torch.cuda.OutOfMemoryError:
                smaller = parameter("changes", f"batch={max(2, self.parameters.batch // 2)}")
                raise InputError(
                    f"{self.view}: the memory of the device {self.device} is not enough for a batch of "
                    f"{self.parameters.batch} in epoch {epoch + 1} ({stage.name}). Pass {smaller} with "
                    f"{parameter('resume', False)}, or {parameter('device', 'cpu')}."
                ) from None
            state.epoch = epoch + 1
            figures = [value if math.isfinite(value) else None for value in (loss, validation, metric)]
            state.history.append(
                Epoch(
                    stage=stage.name,
                    epoch=epoch + 1,
                    loss=figures[0],
                    validation=figures[1],
                    metric=figures[2],
                )
            )
            state.module = flat(module)
            latest = self.parameters.keep == "last"
            if last and (latest or validation < state.best or state.best_module is None):
                state.best, state.best_epoch, state.best_module = validation, epoch + 1, state.module
            state.optimiser, state.scaler = optimiser.state_dict(), scaler.state_dict()
            self.checkpoints.save(self.view, state)
            self._tell(stage, epoch, objective.steps, objective.steps, loss, validation, metric)

    def _epoch(
        self,
        stage: _Stage,
        epoch: int,
        module: nn.Module,
        objective: Objective,
        optimiser: torch.optim.Optimizer,
        scaler: Any,
    ) -> float:
        """One pass through the training units; the mean loss."""
        seed = _seed(self.parameters.seed, self.view, stage.name, epoch)
        torch.manual_seed(seed)
        module.train()
        for layer in (layer for body in _bodies(module) for layer in body.modules()):
            if stage.frozen or (self.parameters.frozen_norm and isinstance(layer, nn.BatchNorm2d)):
                layer.eval()
        total, batches = 0.0, 0
        for batch in objective.batches(seed, epoch / stage.epochs, 1 / stage.epochs):
            if self.parameters.anneal and not stage.identity:  # Ganin et al. 2016, section 5.2.2
                for group in optimiser.param_groups:
                    group["lr"] = stage.rate / (1 + 10 * batch.progress) ** 0.75
            with torch.autocast(self.device.type, enabled=self.mixed):
                loss = objective.loss(module, batch)
            value = loss.item()  # waits for the device: only once in a step
            if not math.isfinite(value):
                other = f", or {parameter('changes', 'precision=full')}" if self.mixed else ""
                raise InputError(
                    f"{self.view}: the loss is no longer a number in epoch {epoch + 1} ({stage.name}). Pass "
                    f"a smaller rate, such as {parameter('changes', f'rate={stage.rate / 10:g}')}{other}; "
                    f"with {parameter('resume', False)}."
                )
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimiser)
            scaler.update()
            total, batches = total + value, batches + 1
            self._tell(stage, epoch, batches, objective.steps + 1, total / batches, math.nan, math.nan)
        return total / batches

    def _tell(
        self, stage: _Stage, epoch: int, step: int, steps: int, loss: float, validation: float, metric: float
    ) -> None:
        if self.report:
            watched = MONITORED[self.material.recipe.task]
            now = (self.view, stage.name, epoch + 1, stage.epochs, step, steps, loss, validation, metric)
            self.report(Step(*now, watched))


def objective_of(stage: _Stage, material: TrainingSet, view: str, device: torch.device) -> Objective:
    """What a stage of a training minimises."""
    parameters, pictures, units = material.recipe.parameters, material.photos.pictures, material.units
    task = material.recipe.task
    if stage.identity and material.identity:
        known = material.identity
        return Objective(parameters, view, "labels", known.pictures, known.units, device, plain=True)
    if task == "pairs":
        return PairObjective(parameters, view, pictures, units, device)
    if material.target is not None and not stage.frozen:
        return AdaptingObjective(parameters, view, pictures, units, device, target=material.target)
    return Objective(parameters, view, task, pictures, units, device)


def extended(module: nn.Module, parameters: Parameters) -> nn.Module:
    """A module with the layers that only its training needs, after its own."""
    if parameters.loss in PAIR_LOSSES and parameters.projection:
        module.add_module("projection", projection_head(parameters))
    if parameters.adaptation == "dann":
        module.add_module("domains", domain_head(parameters))
    return module


def without_extensions(module: nn.Module) -> None:
    """Take away what `extended` added."""
    for name in ("projection", "domains"):
        if hasattr(module, name):
            delattr(module, name)


def _stages(parameters: Parameters, identity: bool) -> list[_Stage]:
    first, settling = parameters.identity_epochs, parameters.identity_settling_epochs
    stages = [
        _Stage("identity", first * identity, "adam", parameters.identity_rate, identity=True),
        _Stage(
            "identity, settling", settling * identity, "sgd", parameters.identity_settling_rate, identity=True
        ),
        _Stage("head", parameters.frozen_epochs, "adam", 1e-3, frozen=True),
        _Stage("training", parameters.epochs, parameters.optimiser, parameters.rate),
    ]
    return [stage for stage in stages if stage.epochs]


def _bodies(module: nn.Module) -> list[nn.Module]:
    networks = list(module.networks) if isinstance(module, Separate) else [module]
    return [network.body for network in networks]  # type: ignore[misc]
