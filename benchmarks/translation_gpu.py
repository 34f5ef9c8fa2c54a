"""A translation at its published sizes on a GPU: speed, memory, half precision, and whether it continues.

    python benchmarks/translation_gpu.py OUT [--device cuda] [--steps 200] [--tiny]

The pictures are windows of scikit-image's astronaut with patterns, as in gpu.py. Each size is trained for two
epochs of so many steps, with half precision and without; what is stated is the second one's. Then a small
training is repeated, and one is stopped in its second epoch and continued: how far their weights are apart.
OUT gets translation.json, written after every step. `--tiny` makes everything small enough for a CPU.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu import Stopped, drawn, patterns

from anthropo.face.shape import shapes
from anthropo.networks.network import flat
from anthropo.networks.training_loop import Step, device_of, exact
from anthropo.translation.checkpoints import TRANSLATION, Checkpoint, fingerprint
from anthropo.translation.options import TranslationParameters, load_parameters
from anthropo.translation.pictures import Faces, TranslationDomains
from anthropo.translation.training import LearnedTranslation, Report, learn_translation

PUBLISHED = ("channels=64", "discriminator_channels=64", "skip=false", "upsampling=transposed")
SIZES: dict[str, tuple[str, ...]] = {
    "64 px, as shipped": (),
    "64 px, as shipped, batch 16": ("batch=16",),
    "128 px, published": (*PUBLISHED, "size=128", "blocks=6"),
    "128 px, published, batch 8": (*PUBLISHED, "size=128", "blocks=6", "batch=8"),
    "256 px, published": (*PUBLISHED, "size=256", "blocks=9"),
}
TINY = ("size=32", "channels=2", "blocks=1", "discriminator_channels=2", "discriminator_layers=2", "batch=2")
PEOPLE = 40


def faces(size: int, side: int) -> Faces:
    """Faces of one domain; the other one's have other patterns."""
    random = np.random.default_rng(side)
    points = 0.5 + 0.42 * (shapes()[0] - (0, 0.35)) + random.normal(0, 0.02, (PEOPLE, 68, 2))
    return Faces(
        source=f"drawn {side}",
        photos=tuple(f"{side}-{i}.png" for i in range(PEOPLE)),
        digests=tuple(f"{side:032x}{i:032x}" for i in range(PEOPLE)),
        people=np.array([f"{side}-{i}" for i in range(PEOPLE)]),
        labels=None,
        pictures=drawn(patterns(1, random).repeat(PEOPLE, 0), size, 1, random)[:, 0],
        points=points.astype(np.float32),
        shown=np.ones((PEOPLE, size, size), bool),
    )


def train(
    parameters: TranslationParameters, path: Path, device: torch.device, report: Report | None = None
) -> LearnedTranslation:
    """A translation between drawn domains, from its checkpoint on."""
    both = [faces(parameters.size, side) for side in (0, 1)]
    kept = [one.subset(np.arange(PEOPLE // 5)) for one in both]
    rest = [one.subset(np.arange(PEOPLE // 5, PEOPLE)) for one in both]
    domains = TranslationDomains(train=(rest[0], rest[1]), held_out=(kept[0], kept[1]))
    checkpoint = Checkpoint(path, fingerprint(domains, parameters, device))
    with exact(device):
        return learn_translation(domains, parameters, checkpoint=checkpoint, device=device, report=report)


def speed(settings: tuple[str, ...], precision: str, device: torch.device, path: Path) -> dict[str, Any]:
    """Steps per second of the second epoch, and memory."""
    parameters = load_parameters(changes=[*settings, f"precision={precision}"])
    times: list[tuple[float, int]] = []

    def report(now: Step) -> None:
        if now.stage == TRANSLATION and now.epoch == 2:
            times.append((time.perf_counter(), now.step))

    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    learned = train(parameters, path, device, report)
    path.unlink(missing_ok=True)
    first, last = times[0], times[-1]  # losses are read for several steps at once
    done = sum(t > first[0] + 1e-3 for t, _ in times)
    rate = done / (last[0] - first[0]) if done else float("nan")
    return {
        "precision": precision,
        "steps per second": rate,
        "pictures per second": rate * parameters.batch,
        "peak GiB": torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None,
        "generators' loss": learned.history[-1].generators,
    }


def apart(one: LearnedTranslation, other: LearnedTranslation) -> float:
    """The largest difference between two translations' weights."""
    pairs = zip(one.generators, other.generators, strict=True)
    return max(float(np.abs(flat(a) - flat(b)).max()) for a, b in pairs)


def continued(settings: tuple[str, ...], device: torch.device, folder: Path) -> dict[str, Any]:
    """How far a repeated training, and one that was stopped, are from the first."""
    parameters = load_parameters(changes=[*settings, "epochs=2", "decay_epochs=1", "steps=8"])

    def stop(now: Step) -> None:
        if (now.stage, now.epoch, now.step) == (TRANSLATION, 2, 4):
            raise Stopped

    first, again = (train(parameters, folder / f"{name}.npz", device) for name in "ab")
    try:
        train(parameters, folder / "c.npz", device, stop)
    except Stopped:
        torch.manual_seed(7)  # what chance stands at now must not matter
    resumed = train(parameters, folder / "c.npz", device)
    for name in "abc":
        (folder / f"{name}.npz").unlink(missing_ok=True)
    return {"repeated": apart(first, again), "stopped and continued": apart(first, resumed)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    device = device_of(asked.device)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    found: list[dict[str, Any]] = [{"card": card, "torch": torch.__version__}]
    short = ("landmark_epochs=1", "epochs=2", "decay_epochs=0", f"steps={asked.steps}")

    def tell(row: dict[str, Any]) -> None:
        print(", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
        found.append(row)
        (asked.out / "translation.json").write_text(json.dumps(found, indent=1), "utf-8")

    for name, settings in {"tiny": TINY}.items() if asked.tiny else SIZES.items():
        for precision in ("mixed", "full"):
            try:
                tell(
                    {
                        "what": name,
                        **speed((*settings, *short), precision, device, asked.out / "checkpoint.npz"),
                    }
                )
            except Exception as error:  # the other sizes are worth having
                tell({"what": name, "precision": precision, "failed": repr(error)})
    small = ("landmark_epochs=1", *(TINY if asked.tiny else ()))
    tell({"what": "largest difference of weights", **continued(small, device, asked.out)})


if __name__ == "__main__":
    main()
