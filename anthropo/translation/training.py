"""Training a translation: seeded, on any device, with a checkpoint after every epoch.

Everything random of an epoch (order, augmentation, what the buffers give back) comes from the seed, the stage
and the epoch's number; the buffers themselves are in the checkpoint. A run that continues from one therefore
ends where an uninterrupted one does, bit for bit, and no generator's state has to be kept.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anthropo.errors import InputError, ModelError, parameter
from anthropo.face.scheme import MIRROR
from anthropo.networks.checkpoints import restore
from anthropo.networks.network import fill, flat
from anthropo.networks.training_loop import Step
from anthropo.translation.buffer import PictureBuffer
from anthropo.translation.checkpoints import (
    LANDMARKS,
    STAGES,
    TRANSLATION,
    Checkpoint,
    TranslationEpoch,
    TranslationState,
)
from anthropo.translation.landmarking import as_tensor, coloured, falling, half_cosine, jittered, same_view
from anthropo.translation.losses import (
    adversarial_loss,
    discriminator_loss,
    heat_loss,
    landmark_loss,
    picture_loss,
)
from anthropo.translation.networks import Discriminator, Generator, Landmarker, initialise
from anthropo.translation.options import TranslationParameters
from anthropo.translation.pictures import DOMAINS, UNIT, Faces, Pixels, TranslationDomains

Report = Callable[[Step], None]
Shown = tuple[Tensor, Tensor]  # of A and B: (n, 1, s, s), 1 where a picture shows the photograph, else 0

_VIEW = " ↔ ".join(DOMAINS)
_HEAT = 0.05  # weight of the heat maps' cross-entropy, beside the distance in outer-canthal distances
_BATCH = 64  # of pictures that are only looked at
_UNREAD = 16  # steps that a GPU is ahead of what is read of their losses: reading waits for it


@dataclass(frozen=True, slots=True, eq=False)
class LearnedTranslation:
    """A trained translation."""

    generators: tuple[Generator, Generator]  # to B, to A
    landmarker: Landmarker | None  # None where landmarks are not held
    history: tuple[TranslationEpoch, ...]


def learn_translation(
    domains: TranslationDomains,
    parameters: TranslationParameters,
    *,
    checkpoint: Checkpoint,
    device: torch.device,
    report: Report | None = None,
) -> LearnedTranslation:
    """Train the landmark network, then the generators, from the checkpoint on.

    Raises
    ------
    ModelError
        If the checkpoint is damaged, or of another training.
    InputError
        If there are fewer pictures than a batch has, or a loss is no longer a number.
    """
    for faces in domains.train:
        if len(faces) < parameters.batch:
            raise InputError(
                f"{faces.source}: {len(faces)} photos to train on, fewer than a batch of {parameters.batch}. "
                f"Pass {parameter('changes', f'batch={max(1, len(faces) // 4)}')}, or add photos."
            )
    state = checkpoint.load()
    training = _Training(domains, parameters, checkpoint, device, report)
    try:
        landmarker = training.landmarker(state) if parameters.landmarks else None
        generators = training.translation(state, landmarker)
    except torch.cuda.OutOfMemoryError:
        smaller = parameter("changes", f"batch={max(1, parameters.batch // 2)}")
        raise InputError(
            f"The memory of the device {device} is not enough for a batch of {parameters.batch}. Pass "
            f"{smaller} with {parameter('resume', False)}, or {parameter('device', 'cpu')}."
        ) from None
    for module in (*generators, *filter(None, [landmarker])):
        module.cpu().eval().requires_grad_(False)
    return LearnedTranslation(generators, landmarker, tuple(state.history))


def mixed_precision(parameters: TranslationParameters, device: torch.device) -> bool:
    """Whether generators and discriminators compute in bfloat16: only a GPU that has it is faster with it."""
    if parameters.precision != "mixed" or device.type != "cuda":
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)  # older ones only imitate it


class _Training:
    """The stages of a training, which share its pictures."""

    def __init__(
        self,
        domains: TranslationDomains,
        parameters: TranslationParameters,
        checkpoint: Checkpoint,
        device: torch.device,
        report: Report | None,
    ) -> None:
        self.domains, self.parameters = domains, parameters
        self.checkpoint, self.device, self.report = checkpoint, device, report
        # the layout that a GPU's convolutions are fastest in
        self.layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
        self.unread = 1 if device.type == "cpu" else _UNREAD

    def begin(self, stage: str, *more: int | str) -> int:
        """Seed everything random of an epoch, or of what a stage begins with."""
        what = json.dumps([self.parameters.seed, stage, *more])
        seed = int.from_bytes(hashlib.sha256(what.encode()).digest()[:7], "little")
        torch.manual_seed(seed)
        return seed

    def tell(
        self,
        stage: str,
        epoch: int,
        epochs: int,
        step: int,
        steps: int,
        loss: float,
        watched: float,
        name: str,
    ) -> None:
        """Report a step."""
        if self.report:
            self.report(Step(_VIEW, stage, epoch + 1, epochs, step, steps, loss, math.nan, watched, name))

    def pictures(self, faces: Faces, rows: NDArray[np.int64]) -> Tensor:
        """Some pictures of a domain, where they are trained on."""
        return self.on_device(faces.pictures[rows])

    def on_device(self, pictures: Pixels) -> Tensor:
        """Pictures (n, s, s, 3) of bytes as networks see them; the device is sent the bytes."""
        return as_tensor(torch.from_numpy(pictures).to(self.device))

    # ------------------------------------------------------------------------- the landmark network

    def landmarker(self, state: TranslationState) -> Landmarker:
        """The landmark network, frozen: of the checkpoint, or trained."""
        parameters = self.parameters
        self.begin(LANDMARKS, "init")
        module = Landmarker(parameters.landmark_channels).to(self.device)
        optimiser = torch.optim.Adam(module.parameters(), parameters.landmark_rate)
        optimisers: dict[str, torch.optim.Optimizer] = {"landmarker": optimiser}
        self.restored(state, {"landmarker": module}, optimisers if state.stage == 0 else {})
        while state.stage == STAGES.index(LANDMARKS):
            if state.epoch >= parameters.landmark_epochs:
                state.stage, state.epoch, state.optimisers = state.stage + 1, 0, {}
                break
            rate = half_cosine(state.epoch, parameters.landmark_epochs)
            _set_rate(optimiser, parameters.landmark_rate * rate)
            loss, held_out = self.landmark_epoch(module, optimiser, state.epoch)
            state.epoch += 1
            state.history.append(
                TranslationEpoch(stage=LANDMARKS, epoch=state.epoch, landmarks=loss, held_out=held_out)
            )
            state.modules = {"landmarker": flat(module)}
            state.optimisers = {"landmarker": optimiser.state_dict()["state"]}
            self.checkpoint.save(state)
        return module.eval().requires_grad_(False)

    def landmark_epoch(
        self, module: Landmarker, optimiser: torch.optim.Optimizer, epoch: int
    ) -> tuple[float, float]:
        """One pass over the photos of both domains: the mean loss, and the error on people kept apart."""
        parameters, epochs = self.parameters, self.parameters.landmark_epochs
        seed = self.begin(LANDMARKS, epoch)
        both = np.array([(k, i) for k, faces in enumerate(self.domains.train) for i in range(len(faces))])
        random = np.random.default_rng(seed)
        order = random.permutation(both)
        batches = np.array_split(order, max(1, round(len(order) / parameters.landmark_batch)))
        total = 0.0
        module.train()
        for step, batch in enumerate(batches, 1):
            x, points = jittered(*self.annotated(batch, random))
            maps = module.heat(coloured(x))
            distance = landmark_loss(points, module.points(maps), UNIT)
            loss = distance + _HEAT * heat_loss(maps, points)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += self.finite(distance.item(), LANDMARKS, epoch, "landmark_rate", parameters.landmark_rate)
            self.tell(LANDMARKS, epoch, epochs, step, len(batches) + 1, total / step, math.nan, "")
        error = self.landmark_error(module)
        n = len(batches)
        self.tell(LANDMARKS, epoch, epochs, n + 1, n + 1, total / n, error, "error on people kept apart")
        return total / n, error

    def annotated(self, batch: NDArray[np.int64], random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Pictures and points of rows (domain, number) to train on, half of them mirrored."""
        domains = self.domains.train
        pictures = np.stack([domains[k].pictures[i] for k, i in batch])
        points = np.stack([domains[k].points[i] for k, i in batch])
        if self.parameters.flip:
            mirrored = random.random(len(batch)) < 0.5
            pictures[mirrored] = pictures[mirrored][:, :, ::-1]
            points[mirrored] = (points[mirrored] * (-1, 1) + (1, 0))[:, MIRROR]
        return self.on_device(pictures), torch.from_numpy(points).to(self.device)

    def landmark_error(self, module: Landmarker) -> float:
        """Mean distance from anthropo's landmarks on people who are kept apart, outer-canthal distances."""
        module.eval()
        errors = []
        with torch.no_grad():
            for faces in self.domains.held_out:
                for start in range(0, len(faces), _BATCH):
                    rows = np.arange(start, min(start + _BATCH, len(faces)))
                    placed = module(self.pictures(faces, rows)).cpu().numpy()
                    errors.append(np.linalg.norm(placed - faces.points[rows], axis=-1).mean(1) / UNIT)
        return float(np.concatenate(errors).mean())

    # ------------------------------------------------------------------------------- the translation

    def translation(
        self, state: TranslationState, landmarker: Landmarker | None
    ) -> tuple[Generator, Generator]:
        """The generators to B and to A: of the checkpoint, or trained."""
        parameters = self.parameters
        self.begin(TRANSLATION, "init")
        sizes = parameters.channels, parameters.blocks, parameters.upsampling, parameters.skip
        to = tuple(Generator(*sizes) for _ in DOMAINS)
        of = tuple(
            Discriminator(parameters.discriminator_channels, parameters.discriminator_layers) for _ in DOMAINS
        )
        modules: dict[str, nn.Module] = {"to-B": to[0], "to-A": to[1], "of-A": of[0], "of-B": of[1]}
        for module in modules.values():
            initialise(module)
            module.to(self.device).to(memory_format=self.layout)  # type: ignore[call-overload]
        mixed = mixed_precision(parameters, self.device)
        step = Adversaries((to[0], to[1]), (of[0], of[1]), landmarker, parameters, mixed=mixed)
        begun = state.stage == STAGES.index(TRANSLATION) and state.epoch > 0
        if not begun:  # the stage before is not there where landmarks are not held
            state.stage, state.epoch = STAGES.index(TRANSLATION), 0
        else:
            self.restored(state, modules, step.optimisers)
            for name, buffer in step.buffers.items():
                buffer.pictures = self.buffered(state.buffers.get(name, []))
        epochs = parameters.epochs + parameters.decay_epochs
        while state.epoch < epochs:
            step.set_rate(parameters.rate * falling(state.epoch, parameters.epochs, parameters.decay_epochs))
            losses = self.translation_epoch(step, state.epoch, epochs)
            state.epoch += 1
            state.history.append(TranslationEpoch(stage=TRANSLATION, epoch=state.epoch, **losses))
            state.modules = {name: flat(module) for name, module in modules.items()}
            if landmarker is not None:
                state.modules["landmarker"] = flat(landmarker)
            state.optimisers = {name: o.state_dict()["state"] for name, o in step.optimisers.items()}
            state.buffers = {name: buffer.pictures for name, buffer in step.buffers.items()}
            self.checkpoint.save(state)
        return to[0], to[1]

    def translation_epoch(self, step: Adversaries, epoch: int, epochs: int) -> dict[str, float]:
        """One pass over the larger domain: the mean of each loss."""
        parameters = self.parameters
        seed = self.begin(TRANSLATION, epoch)
        draw = torch.Generator().manual_seed(seed)
        random = np.random.default_rng(seed)
        largest = max(map(len, self.domains.train))
        steps = parameters.steps or math.ceil(largest / parameters.batch)
        batches = [self.batches(faces, steps, random) for faces in self.domains.train]
        sums: Counter[str] = Counter()
        number = 0
        waiting: list[dict[str, Tensor]] = []
        for taken, ((a, shown_a), (b, shown_b)) in enumerate(zip(*batches, strict=True), 1):
            masks = (shown_a, shown_b) if parameters.mask_borders else None
            waiting.append(step.take(a, b, draw, masks))
            if len(waiting) < self.unread and taken < steps:
                continue
            values = torch.stack([torch.stack([*losses.values()]) for losses in waiting]).tolist()
            for losses in (dict(zip(waiting[0], one, strict=True)) for one in values):
                number += 1
                both = losses["generators"] + losses["discriminator"]
                self.finite(both, TRANSLATION, epoch, "rate", parameters.rate)
                sums.update(losses)
                means = {name: value / number for name, value in sums.items()}
                shown = means.get("landmarks", math.nan) if number == steps else math.nan
                name = "landmarks moved, ex-ex" if shown == shown else ""
                self.tell(TRANSLATION, epoch, epochs, number, steps, means["generators"], shown, name)
            waiting.clear()
        return {name: value / steps for name, value in sums.items()}

    def batches(
        self, faces: Faces, steps: int, random: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented pictures in random order, as often through the domain as the steps need.

        With each (n, 3, s, s) comes where it shows the photograph (n, 1, s, s): 1, elsewhere 0.
        """
        parameters = self.parameters
        rows = chain.from_iterable(random.permutation(len(faces)) for _ in iter(int, 1))
        for _ in range(steps):
            chosen = np.array([next(rows) for _ in range(parameters.batch)])
            # the mask is a fourth channel, so that what moves the picture moves it as well
            mask = faces.shown[chosen, ..., None].astype(np.uint8)
            pictures = np.concatenate([faces.pictures[chosen], mask], -1)
            if parameters.flip:
                mirrored = random.random(len(chosen)) < 0.5
                pictures = np.where(mirrored[:, None, None, None], pictures[:, :, ::-1], pictures)
            if most := round(parameters.shift * parameters.size):
                padded = np.pad(pictures, ((0, 0), (most, most), (most, most), (0, 0)), "reflect")
                side, corners = parameters.size, random.integers(0, 2 * most + 1, (len(chosen), 2))
                pictures = np.stack(
                    [one[y : y + side, x : x + side] for one, (y, x) in zip(padded, corners, strict=True)]
                )
            seen = self.on_device(np.ascontiguousarray(pictures[..., :3]))
            shown = torch.from_numpy(np.ascontiguousarray(pictures[..., 3:])).to(self.device)
            yield seen.contiguous(memory_format=self.layout), shown.permute(0, 3, 1, 2).float()

    # --------------------------------------------------------------------------------- checkpoints

    def restored(
        self,
        state: TranslationState,
        modules: dict[str, nn.Module],
        optimisers: dict[str, torch.optim.Optimizer],
    ) -> None:
        """Put what a checkpoint has into modules and optimisers; at the beginning nothing."""
        if not state.modules:
            return
        try:
            for name, module in modules.items():
                fill(module, state.modules.get(name))
            for name, optimiser in optimisers.items():
                restore(optimiser, state.optimisers.get(name, {}))
        except (ModelError, ValueError):
            raise self.checkpoint.damaged() from None

    def buffered(self, pictures: list[Tensor]) -> list[Tensor]:
        """A checkpoint's pictures of a buffer, if they can be such."""
        size = self.parameters.size
        fits = all(one.shape == (3, size, size) and bool(torch.isfinite(one).all()) for one in pictures)
        if not fits or len(pictures) > self.parameters.buffer:
            raise self.checkpoint.damaged()
        return [one.to(self.device) for one in pictures]

    def finite(self, loss: float, stage: str, epoch: int, option: str, rate: float) -> float:
        """The loss, unless it is no number."""
        if not math.isfinite(loss):
            raise InputError(
                f"The loss of the {stage} is no longer a number in epoch {epoch + 1}. Pass a smaller rate, "
                f"such as {parameter('changes', f'{option}={rate / 10:g}')}, with "
                f"{parameter('resume', False)}."
            )
        return loss


class Adversaries:
    """Generators and discriminators with what trains them.

    Parameters
    ----------
    to : pair of Generator
        To B, and to A.
    of : pair of Discriminator
        Of A, and of B.
    landmarker : Landmarker or None
        Frozen.
    parameters : TranslationParameters
    mixed : bool
        Whether generators and discriminators compute in bfloat16. Losses and the landmark network do not.
    """

    def __init__(
        self,
        to: tuple[Generator, Generator],
        of: tuple[Discriminator, Discriminator],
        landmarker: Landmarker | None,
        parameters: TranslationParameters,
        *,
        mixed: bool = False,
    ) -> None:
        self.mixed = mixed
        self.to_b, self.to_a = to
        self.of_a, self.of_b = of
        self.landmarker, self.parameters = landmarker, parameters
        learning = {"generators": (self.to_b, self.to_a), "discriminators": (self.of_a, self.of_b)}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(
                [p for module in modules for p in module.parameters()],
                parameters.rate,
                (parameters.beta, 0.999),
            )
            for name, modules in learning.items()
        }
        self.buffers = {name: PictureBuffer(parameters.buffer) for name in DOMAINS}

    def set_rate(self, rate: float) -> None:
        """Of both optimisers."""
        for optimiser in self.optimisers.values():
            _set_rate(optimiser, rate)

    def generator_losses(
        self, a: Tensor, b: Tensor, shown: Shown | None = None
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The generators' losses before they are weighed, and the translations to B and to A.

        What `shown` says is not of a photograph has no part in them. The discriminators see of all pictures
        what both photographs show, so that how photographs end tells nothing of where they come from.
        """
        kind = self.parameters.adversarial
        in_b, in_a = self.to_b(a), self.to_a(b)
        shown_a, shown_b = shown or (None, None)
        seen_b, seen_a = (_masked(x, shown) for x in (in_b, in_a))
        losses = {
            "adversarial": adversarial_loss(self.of_b(seen_b), True, kind)
            + adversarial_loss(self.of_a(seen_a), True, kind),
            "cycle": picture_loss(self.to_a(in_b), a, shown_a) + picture_loss(self.to_b(in_a), b, shown_b),
        }
        if self.parameters.identity:
            losses["identity"] = picture_loss(self.to_b(b), b, shown_b) + picture_loss(
                self.to_a(a), a, shown_a
            )
        if self.landmarker is not None:
            losses["landmarks"] = self.displacement(a, in_b) + self.displacement(b, in_a)
        return losses, in_b, in_a

    def displacement(self, before: Tensor, after: Tensor) -> Tensor:
        """How far the landmark network says that landmarks have moved, outer-canthal distances."""
        assert self.landmarker is not None
        with torch.autocast(before.device.type, enabled=False):  # places need more digits than bfloat16 has
            before, after = same_view([before.contiguous(), after.float().contiguous()])
            with torch.no_grad():
                points = self.landmarker(before)
            return landmark_loss(points, self.landmarker(after), UNIT)

    def weighed(self, losses: dict[str, Tensor]) -> Tensor:
        """What the generators are trained by."""
        parameters = self.parameters
        weights = {
            "adversarial": 1.0,
            "cycle": parameters.cycle,
            "identity": parameters.cycle * parameters.identity,
            "landmarks": parameters.landmarks,
        }
        return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()

    def take(
        self, a: Tensor, b: Tensor, draw: torch.Generator, shown: Shown | None = None
    ) -> dict[str, Tensor]:
        """A step of the generators, then of the discriminators: the losses before they are weighed."""
        for discriminator in (self.of_a, self.of_b):
            discriminator.requires_grad_(False)  # they answer, and do not learn from it
        with self.precision(a):
            losses, in_b, in_a = self.generator_losses(a, b, shown)
        total = self.weighed(losses)
        self.optimisers["generators"].zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        self.optimisers["generators"].step()
        for discriminator in (self.of_a, self.of_b):
            discriminator.requires_grad_(True)
        with self.precision(a):
            # buffers hold pictures as they were masked, since their masks are gone later
            a, b, in_a, in_b = (_masked(x, shown) for x in (a, b, in_a, in_b))
            wrong = self.discriminator_loss(a, b, in_a, in_b, draw)
        self.optimisers["discriminators"].zero_grad(set_to_none=True)
        wrong.backward()  # type: ignore[no-untyped-call]
        self.optimisers["discriminators"].step()
        losses |= {"generators": total, "discriminator": wrong}
        return {name: loss.detach() for name, loss in losses.items()}

    def precision(self, x: Tensor) -> torch.autocast:
        """What generators and discriminators compute in."""
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.mixed)

    def discriminator_loss(
        self, a: Tensor, b: Tensor, in_a: Tensor, in_b: Tensor, draw: torch.Generator
    ) -> Tensor:
        """Of both discriminators, which see earlier translations again."""
        kind = self.parameters.adversarial
        seen_a, seen_b = self.buffers["A"].exchanged(in_a, draw), self.buffers["B"].exchanged(in_b, draw)
        return discriminator_loss(self.of_a(a), self.of_a(seen_a), kind) + discriminator_loss(
            self.of_b(b), self.of_b(seen_b), kind
        )


def _masked(pictures: Tensor, shown: Shown | None) -> Tensor:
    """Pictures (n, 3, s, s) that are grey where one of both photographs shows nothing."""
    return pictures if shown is None else pictures * (shown[0] * shown[1])


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
