"""Train the fine landmark stage, anthropo/face/fine.npz.

    python development/fine.py HELEN_CROPS FRL -o OUT [--folds 5] [--epochs 45] [--only eye]

HELEN_CROPS: photographs with 68 points each (index.csv: photo, landmarks). FRL: studio photographs
with 189 template points (landmarks189.csv: image, x0, y0 ...). Needs torch. Writes OUT/fine.npz,
trained on everybody, and for each fold OUT/fold0.npz ..., trained without a fifth of FRL's people,
with OUT/folds.csv naming them; figures of accuracy are measured on the people left out.

Each region (see REGIONS) has one small convolutional network on a 64 x 64 grey patch of the face brought
upright. It predicts about five landmarks of the 68-point scheme, learnt from HELEN_CROPS, and anatomical
landmarks that the 68 points lack or misplace, learnt from FRL. One network serves both sides; the left
side is mirrored for it.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from anthropo.errors import AnthropoError
from anthropo.face import _engine
from anthropo.face.frame import outer_canthal_distance, similarity
from anthropo.face.landmarker import FIRST_DECODE, Face, read_faces
from anthropo.face.scheme import MIRROR
from anthropo.face.weights import landmark_model
from anthropo.photo import read_photo

Floats = NDArray[np.float64]

UNIT = 256  # px of the outer-canthal distance in the upright face
FACE = 512  # px, side of the upright face
PATCH = 64  # px, side of a patch
CROP = 256  # px, side of the part of the upright face that patches of one region are taken from
WIDTHS = (12, 24, 48, 64)
HIDDEN = 64


@dataclass(frozen=True)
class Region:
    """The patch and the landmarks of one network, for the subject's right side."""

    scheme: tuple[int, ...]  # points of the 68-point scheme; the patch is centred on their mean
    codes: tuple[str, ...]  # anatomical landmarks
    template: tuple[int, ...]  # the same in the 189-point template
    opposite: tuple[int, ...]  # and on the subject's left
    pixel: float  # pixels of the upright face per patch pixel


REGIONS = {
    "eye": Region(
        (36, 37, 38, 39, 40, 41),
        ("ex", "en", "p", "ps", "pi"),
        (18, 22, 0, 20, 29),
        (27, 23, 1, 25, 32),
        1.75,
    ),
    "eye_wide": Region(
        (36, 37, 38, 39, 40, 41), ("ex", "en", "p", "ps", "pi"), (18, 22, 0, 20, 29), (27, 23, 1, 25, 32), 2.3
    ),
    "ala": Region((31, 32), ("al",), (63,), (68,), 1.75),
    "corner": Region((48, 49, 59, 60), ("ch",), (87,), (93,), 1.75),
    "lips": Region(
        (33, 50, 51, 52, 56, 57, 58, 61, 62, 63, 65, 66, 67),
        ("sn", "cph", "ls", "sts", "sti", "li"),
        (55, 89, 90, 96, 101, 106),
        (55, 91, 90, 96, 101, 106),
        2.2,
    ),
}


@dataclass
class Faces:
    """Upright faces with their known landmarks; the mirrored faces follow the plain ones."""

    upright: NDArray[np.uint8]  # (2 N, FACE, FACE)
    first_stage: Floats  # (2 N, 68, 2) first-stage landmarks
    scheme: Floats  # (2 N, 68, 2) hand-placed, NaN where unknown
    template: Floats  # (2 N, 189, 2) hand-placed, unmirrored indices; NaN where unknown
    people: list[str]  # (N)


def frame() -> Floats:
    """The mean face in the upright picture: 68 points, pixels."""
    mean = landmark_model().predictor.mean_shape
    return (mean - mean[17:].mean(0)) / outer_canthal_distance(mean) * UNIT + (FACE - 1) / 2


def flip(points: Floats) -> Floats:
    return points * [-1, 1] + [FACE - 1, 0]


def upright_faces(photos: list[tuple[Path, Floats, Floats]]) -> Faces:
    """Photos with hand-placed points (68, 2) and (189, 2), either all NaN."""
    mean = frame()
    pictures, first_stage, scheme, template, people = [], [], [], [], []
    for path, points, others in photos:
        photo = read_photo(path, short_side=FIRST_DECODE)
        try:
            faces = read_faces(photo, face="all")
        except AnthropoError as error:
            print(error)
            continue
        known = points if np.isfinite(points).all() else others
        centre = known.mean(0)

        def far(face: Face, centre: Floats = centre) -> float:
            return float(np.linalg.norm(face.landmarks.mean(0) - centre))

        face = min(faces, key=far)
        if far(face) > outer_canthal_distance(face.landmarks) / 2:
            print(f"{path}: another face than the annotated one was found")
            continue
        # trained on the full resolution; blurred copies are made on the way
        there = similarity(face.landmarks[17:], mean[17:])
        back = np.linalg.inv(there[:, :2])
        matrix = np.column_stack([back, -back @ there[:, 2]])
        pictures.append(_engine.warp(photo.finer(1).pixels, matrix, FACE, FACE))
        for target, values in ((first_stage, face.landmarks), (scheme, points), (template, others)):
            target.append(values @ there[:, :2].T + there[:, 2])
        people.append(path.name.split("_")[0])
    plain = np.array(pictures)
    first, sixty_eight, rest = np.array(first_stage), np.array(scheme), np.array(template)
    return Faces(
        np.concatenate([plain, plain[:, :, ::-1]]),
        np.concatenate([first, flip(first)[:, MIRROR]]),
        np.concatenate([sixty_eight, flip(sixty_eight)[:, MIRROR]]),
        np.concatenate([rest, flip(rest)]),
        people,
    )


def web_faces(folder: Path) -> Faces:
    with open(folder / "index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    none = np.full((189, 2), np.nan)
    return upright_faces([(folder / r["photo"], np.loadtxt(folder / r["landmarks"]), none) for r in rows])


def studio_faces(folder: Path) -> Faces:
    photos = []
    none = np.full((68, 2), np.nan)
    with open(folder / "landmarks189.csv", newline="") as file:
        for r in csv.DictReader(file):
            name = r["image"] if r["image"].endswith(".jpg") else r["image"] + ".jpg"
            points = np.array([[float(r[f"x{k}"]), float(r[f"y{k}"])] for k in range(189)])
            photos.append((folder / name, none, points))
    return upright_faces(photos)


class Network(nn.Module):
    def __init__(self, points: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for i, width in enumerate(WIDTHS):
            side = 5 if i == 0 else 3
            layers += [nn.Conv2d(before, width, side, stride=2, padding=side // 2, bias=False)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        self.body = nn.Sequential(*layers)
        flat = before * (PATCH // 2 ** len(WIDTHS)) ** 2
        self.hidden = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.1), nn.Linear(flat, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU()
        )
        self.out = nn.Linear(HIDDEN, 2 * points)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((2, 3), keepdim=True)
        x = (x - mean) / (x.std((2, 3), keepdim=True, correction=0) + 8)
        y: torch.Tensor = self.out(self.hidden(self.body(x)))
        return y.reshape(len(x), -1, 2)

    def folded(self) -> dict[str, NDArray[np.float32]]:
        """Weights and biases with the batch normalisation folded in."""
        result = {}
        body = list(self.body)
        for i in range(0, len(body), 3):
            conv, norm = body[i], body[i + 1]
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            # (out, in, y, x) -> (y, x, in, out): the innermost loop runs over the outputs
            result[f"conv{i // 3}"] = (conv.weight * scale[:, None, None, None]).permute(2, 3, 1, 0)
            result[f"conv{i // 3}_bias"] = norm.bias - norm.running_mean * scale
        linear, norm = self.hidden[2], self.hidden[3]
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        side = PATCH // 2 ** len(WIDTHS)
        # inputs (channel, y, x) -> (y, x, channel)
        weight = (linear.weight * scale[:, None]).reshape(HIDDEN, WIDTHS[-1], side, side)
        result["hidden"] = weight.permute(2, 3, 1, 0).reshape(-1, HIDDEN)
        result["hidden_bias"] = (linear.bias - norm.running_mean) * scale + norm.bias
        result["out"] = self.out.weight.T
        result["out_bias"] = self.out.bias
        return {k: v.detach().contiguous().numpy() for k, v in result.items()}


def crops(faces: Faces, region: Region) -> tuple[torch.Tensor, torch.Tensor, Floats]:
    """Parts of the upright faces (N, 1, CROP, CROP), where patches are centred in them, their origins."""
    centres = faces.first_stage[:, region.scheme].mean(1)
    origins = np.floor(centres - (CROP - 1) / 2)
    parts = np.empty((len(centres), CROP, CROP), np.uint8)
    for part, picture, (x, y) in zip(parts, faces.upright, origins, strict=True):
        matrix = np.array([[1, 0, x], [0, 1, y]])
        part[:] = _engine.warp(np.ascontiguousarray(picture), matrix, CROP, CROP)
    return torch.tensor(parts)[:, None], torch.tensor(centres - origins).float(), origins


def patches(
    parts: torch.Tensor, centres: torch.Tensor, pixel: float, jitter: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Patches and the affine maps, patch pixel to part pixel. jitter: dx, dy (px), log size, turn (rad)."""
    size = pixel * torch.exp(jitter[:, 2])
    a, b = size * torch.cos(jitter[:, 3]), size * torch.sin(jitter[:, 3])
    turn = torch.stack([torch.stack([a, -b], -1), torch.stack([b, a], -1)], -2)
    shift = centres + jitter[:, :2] - turn @ torch.full((2,), (PATCH - 1) / 2)
    steps = torch.arange(PATCH).float()
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(-1, 2)
    at = torch.einsum("nij,kj->nki", turn, grid) + shift[:, None]
    at = (at / (CROP - 1) * 2 - 1).reshape(len(parts), PATCH, PATCH, 2)
    return functional.grid_sample(parts.float(), at, align_corners=True), turn, shift


def photographic(x: torch.Tensor) -> torch.Tensor:
    """Patches as other cameras would have taken them: with blur, gamma and noise."""
    if torch.rand(1) < 0.4:
        factor = float(torch.rand(1) * 0.6 + 0.35)
        small = functional.interpolate(x, scale_factor=factor, mode="area")
        x = functional.interpolate(small, size=(PATCH, PATCH), mode="bilinear", align_corners=False)
    n = len(x)
    x = 255 * (x.clamp(0, 255) / 255 + 1e-3) ** torch.exp(torch.randn(n, 1, 1, 1) * 0.2)
    return x + torch.randn_like(x) * torch.rand(n, 1, 1, 1) * 6


def train(
    region: Region, web: Faces, studio: Faces, keep: NDArray[np.intp], epochs: int
) -> dict[str, NDArray[np.float32]]:
    """One network; `keep`: which of the studio's people it may see."""
    torch.manual_seed(20140623)
    batch, from_studio = 64, 16
    keep = np.concatenate([keep, keep + len(studio.people)])
    n, k = len(region.scheme), len(region.codes)
    half = len(studio.people)
    anatomy = studio.template[:, region.template].copy()
    anatomy[half:] = studio.template[half:][:, region.opposite]

    web_parts, web_centres, origins = crops(web, region)
    web_target = np.full((len(origins), n + k, 2), np.nan)
    web_target[:, :n] = web.scheme[:, region.scheme] - origins[:, None]
    parts, centres, origins = crops(studio, region)
    target = np.full((len(origins), n + k, 2), np.nan)
    target[:, n:] = anatomy - origins[:, None]
    parts, centres, target = parts[keep], centres[keep], target[keep]

    def relative(values: Floats, middle: torch.Tensor) -> Floats:
        return np.asarray((values - middle.numpy()[:, None]).mean(0))

    middle = (
        np.concatenate([relative(web_target[:, :n], web_centres), relative(target[:, n:], centres)])
        / region.pixel
        + (PATCH - 1) / 2
    )
    start = torch.tensor(middle).float()
    web_y, y = torch.tensor(web_target).float(), torch.tensor(target).float()

    network = Network(n + k)
    steps = len(web_y) // (batch - from_studio)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, epochs * steps, pct_start=0.1)
    spread = torch.tensor([4.0, 4.0, 0.06, 0.06])
    began = time.time()
    for _ in range(epochs):
        order = torch.randperm(len(web_y))
        errors = []
        for step in range(steps):
            i = order[step * (batch - from_studio) : (step + 1) * (batch - from_studio)]
            j = torch.randint(len(y), (from_studio,))
            image = torch.cat([web_parts[i], parts[j]])
            middle_of = torch.cat([web_centres[i], centres[j]])
            x, turn, shift = patches(image, middle_of, region.pixel, torch.randn(batch, 4) * spread)
            want = torch.cat([web_y[i], y[j]])
            want = torch.einsum("nij,nkj->nki", torch.linalg.inv(turn), want - shift[:, None])
            known = ~torch.isnan(want).any(-1)
            miss = network(photographic(x)) + start - torch.nan_to_num(want)
            d = torch.sqrt((miss**2).sum(2) + 1e-6) * known
            cost = torch.log1p(d) + 0.1 * d
            web_part, studio_part = slice(None, len(i)), slice(len(i), None)
            loss = cost[web_part].sum() / known[web_part].sum()
            loss = loss + from_studio / len(i) * cost[studio_part].sum() / known[studio_part].sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            errors.append(
                [
                    float(d[q].detach().sum() / known[q].sum()) * region.pixel / UNIT
                    for q in (web_part, studio_part)
                ]
            )
    a, b = np.mean(errors, 0)
    print(
        f"  error in training: 68 points {a:.4f}, anatomical {b:.4f} ex-ex; {time.time() - began:.0f} s",
        flush=True,
    )
    network.eval()
    weights = network.folded()
    weights["out_bias"] = weights["out_bias"] + start.numpy().ravel()
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("web", type=Path, metavar="HELEN_CROPS")
    parser.add_argument("studio", type=Path, metavar="FRL")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=45)
    parser.add_argument("--only", nargs="*", default=list(REGIONS), choices=list(REGIONS))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    web, studio = web_faces(arguments.web), studio_faces(arguments.studio)
    everybody = np.arange(len(studio.people))
    order = np.random.default_rng(5).permutation(everybody)
    left_out = [np.sort(order[i :: arguments.folds]) for i in range(arguments.folds)]
    with open(arguments.output / "folds.csv", "w", newline="") as file:
        rows = [(studio.people[i], k) for k, people in enumerate(left_out) for i in people]
        csv.writer(file).writerows([("patient", "fold"), *sorted(rows)])
    jobs = [("fine", everybody)] + [(f"fold{k}", np.setdiff1d(everybody, p)) for k, p in enumerate(left_out)]
    for name, keep in jobs:
        path = arguments.output / f"{name}.npz"
        with np.load(path) if path.exists() else _nothing() as old:
            arrays = dict(old)
        arrays["frame"] = frame().astype(np.float32)
        for key in arguments.only:
            region = REGIONS[key]
            print(name, key, flush=True)
            for part, values in train(region, web, studio, keep, arguments.epochs).items():
                arrays[f"{key}.{part}"] = values.astype(np.float16 if values.ndim > 1 else np.float32)
            arrays[f"{key}.scheme"] = np.array(region.scheme, np.int32)
            arrays[f"{key}.codes"] = np.array(region.codes)
            arrays[f"{key}.pixel"] = np.array(region.pixel, np.float32)
            np.savez_compressed(path, **arrays)


class _nothing(dict):  # type: ignore[type-arg]
    def __enter__(self) -> dict[str, NDArray[np.float32]]:
        return {}

    def __exit__(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    main()
