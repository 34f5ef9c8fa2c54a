"""Does a network that learns from translated photos do better in the other source? Trained from nothing.

    python benchmarks/translated_training.py AB.anthropo STUDIO WEB [--device cuda] [--seeds 5] [--steps 350]
        [--side 64]

AB.anthropo is what translation.py or `anthropo translate train` made of these two folders (see
translation.py), whose people who were kept apart are judged. A classifier on the packaged embeddings, as the
translation's report has it, hardly loses anything between sources, so that little is left to gain. This
network of eight convolutions knows no other faces than those it is shown: as they are, translated, both, or
those of the target itself, which is as much as could be gained. Mean AUROC over seeds, with 95 % intervals
from a bootstrap of the judged people.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from domains import aurocs, resamples
from torch import Tensor, nn
from torch.nn import functional
from translation import studio, table, web

from anthropo.networks.training_loop import device_of
from anthropo.settings import Settings
from anthropo.translation import load_translation
from anthropo.translation.pictures import DOMAINS, Faces, TranslationDomains, read_domains

WIDTHS = (32, 64, 128, 256)
RATE, DECAY, BATCH = 1e-3, 0.05, 64
WAYS = ("as they are", "translated", "both", "of the target")


def network() -> nn.Module:
    """Convolutions, each normalised per group: what the sources differ by is not in any running mean."""
    layers: list[nn.Module] = []
    for before, after in zip((3, *WIDTHS), WIDTHS, strict=False):
        for width, stride in ((before, 2), (after, 1)):
            layers += [nn.Conv2d(width, after, 3, stride, 1), nn.GroupNorm(8, after), nn.ReLU(True)]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(WIDTHS[-1], 1)
    )


def varied(x: Tensor) -> Tensor:
    """Pictures mirrored, turned, scaled and moved, with other contrast and light."""
    n, device = len(x), x.device

    def either_way(most: float, *shape: int) -> Tensor:
        return (2 * torch.rand(n, *shape, device=device) - 1) * most

    x = torch.where(either_way(1, 1, 1, 1) < 0, x.flip(-1), x)
    scale, turn = 1 + either_way(0.1), either_way(0.15)
    rows = [
        torch.stack([scale * turn.cos(), -scale * turn.sin(), either_way(0.08)], -1),
        torch.stack([scale * turn.sin(), scale * turn.cos(), either_way(0.08)], -1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (1 + either_way(0.3, 1, 1, 1)) + either_way(0.15, 3, 1, 1)


def taught(x: Tensor, y: Tensor, test: Tensor, seed: int, steps: int) -> np.ndarray:
    """What a new network says of `test` after it has learned from pictures `x` of labels `y`."""
    torch.manual_seed(seed)
    net = network().to(x.device)
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    weight = torch.where(y > 0, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 20) * 0.5 * (1 + math.cos(math.pi * step / steps))
        chosen = torch.multinomial(weight, BATCH, replacement=True)
        loss = functional.binary_cross_entropy_with_logits(net(varied(x[chosen]))[:, 0], y[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    net.eval()
    with torch.inference_mode():
        return torch.cat([(net(t) + net(t.flip(-1)))[:, 0] for t in test.split(256)]).cpu().numpy()


def seen(pictures: np.ndarray, side: int, device: torch.device) -> Tensor:
    x = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float() / 255
    return functional.adaptive_avg_pool2d(x, side) - 0.5


def judge(
    path: Path, domains: TranslationDomains, device: torch.device, seeds: int, steps: int, side: int
) -> None:
    """Rows of each direction and way to learn."""
    made = load_translation(path)

    def known(faces: Faces) -> tuple[Tensor, Tensor]:
        y = torch.tensor([float(label == "male") for label in faces.labels or ()], device=device)
        return seen(faces.pictures, side, device), y

    print("| to | learned from | AUROC | less as they are |\n|---|---|---|---|")
    for source, target in ((0, 1), (1, 0)):
        train, held = domains.train[source], domains.held_out[target]
        (x, y), (test, truth) = known(train), known(held)
        translated = seen(made.translate(train.pictures, DOMAINS[target]), side, device)
        sets = {
            "as they are": (x, y),
            "translated": (translated, y),
            "both": (torch.cat([x, translated]), torch.cat([y, y])),
            "of the target": known(domains.train[target]),
        }
        weights = resamples(held.people, 1000)
        labels = truth.cpu().numpy()
        found = {}
        for way in WAYS:
            said = [taught(*sets[way], test, seed, steps) for seed in range(seeds)]
            found[way] = np.mean([aurocs(labels, one, weights) for one in said], axis=0)
            less = "" if way == WAYS[0] else shown(found[way] - found[WAYS[0]], "+")
            print(f"| {DOMAINS[target]} | {way} | {shown(found[way])} | {less} |", flush=True)


def shown(values: np.ndarray, sign: str = "") -> str:
    """The first, with the middle 95 % of the others."""
    lo, hi = np.nanpercentile(values[1:], [2.5, 97.5])
    return f"{values[0]:{sign}.3f} ({lo:{sign}.3f} to {hi:{sign}.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("translation", type=Path)
    parser.add_argument("studio", type=Path)
    parser.add_argument("web", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=350)
    parser.add_argument("--side", type=int, default=64, help="px of the pictures that the network sees")
    parser.add_argument("--photos", type=int, help="of each folder, as given to translation.py")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    device = device_of(asked.device)
    parameters = load_translation(asked.translation).about.parameters
    tables = [
        table(rows[: asked.photos], asked.translation.with_suffix(f".{name}.csv"))
        for name, rows in (("studio", studio(asked.studio)), ("web", web(asked.web)))
    ]
    domains = read_domains(
        (tables[0], tables[1]),
        parameters.size,
        Settings(face="largest"),
        label="sex",
        held_out=parameters.held_out,
        seed=parameters.seed,
        jobs=asked.jobs,
    )
    judge(asked.translation, domains, device, asked.seeds, asked.steps, asked.side)


if __name__ == "__main__":
    main()
