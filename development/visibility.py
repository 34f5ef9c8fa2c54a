"""Train what tells hidden parts of a face from seen ones, anthropo/face/visibility.npz.

    python development/visibility.py HELEN_CROPS AGES -o OUT [--pictures 40000] [--seconds 600] [--workers 2]

HELEN_CROPS, AGES: folders of portraits (index.csv or labels.csv with a column photo). On them is drawn what
hides parts of a face (anthropo.synthetic: those of TRAINED and everyday.HIDING only) and what changes it
without hiding it (everyday.SEEN), by visibility_pictures.py; while training, things of one picture are put
before the face of another, and shapes and textures that nobody drew are laid over both. Drawing and training
run at the same time, by `--seconds` in all. One face in ten is left out, on which the result is judged, also
with kinds that are drawn nowhere else (everyday.CHOSEN_WITH). OUT keeps the upright faces (faces.npz), so
that a second run starts sooner and needs no photos. Needs torch, and takes a GPU where torch finds one:
--pictures 60000 --seconds 265 --workers 10 --recipes a b c d is meant for it (31 GB of its memory), and has
not been run on one. Recipes c and d have one more step up, for thin things; their networks take 1.3 times as
long. --recipes on0 --start anthropo/face/visibility.npz goes on from the packaged weights instead.
--shapes anthropo/face/visibility.npz trains nothing: it writes into that file how the landmarks of the
upright faces differ, by which hidden ones are found (anthropo.face.completion). Every training does so, too.

The packaged weights are of the former state of this script, with TRAINED alone: 3,367 faces, 22,890 pictures,
24 epochs in batches of 128; 39 s of drawing on 16 cores and 33 s of training on an NVIDIA H200. Their shapes
are of the 3,742 faces of these folders that are not left out.
"""

from __future__ import annotations

import argparse
import copy
import math
import multiprocessing
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from visibility_pictures import DRAWN, KEPT, MARGIN, SEED, Drawing, Faces, Pictures, find_faces, keep, kept

from anthropo.face.scheme import MIRROR
from anthropo.face.visibility import EXTENT
from anthropo.synthetic.occluders import covered

Floats = NDArray[np.float64]

SIDE = 96  # px of the network's picture, and of its map
DOWN = (16, 32, 48, 48, 48)
MIDDLE = 48
PRINTED = 100  # steps between two lines
# Below this probability a landmark is hidden: chosen on things drawn before faces of ages that no network saw
# and of helen_crops, as 97 % of what is seen there is kept (docs/benchmarks/landmarks.md).
THRESHOLD = 0.6
MODES = 20  # components of the shapes of faces
AVERAGED = 0.999  # of the weights that are kept, a step


# ------------------------------------------------------------------------------------- network


def block(into: int, out: int, side: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(into, out, side, stride=stride, padding=side // 2, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


class Network(nn.Module):
    """Down to 3 × 3, once across that, and up again, to a quarter of the picture or half of it.

    At each place of the last step up it gives as many logits as the map has places there.
    """

    def __init__(self, up: tuple[int, ...]) -> None:
        super().__init__()
        into = (3, *DOWN)
        self.down = nn.ModuleList(block(into[i], out, 5 if i == 0 else 3, 2) for i, out in enumerate(DOWN))
        self.middle = block(DOWN[-1], MIDDLE, 3, 1)
        before = (MIDDLE, *up)
        skip = DOWN[-2::-1]
        self.up = nn.ModuleList(block(before[i] + skip[i], out, 3, 1) for i, out in enumerate(up))
        self.block = 2 ** (len(DOWN) - len(up))
        self.out = nn.Conv2d(up[-1], self.block**2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((1, 2, 3), keepdim=True)
        x = (x - mean) / (x.std((1, 2, 3), keepdim=True, correction=0) + 8)
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        x = self.middle(x)
        for layer, skip in zip(self.up, kept[-2::-1], strict=False):
            x = layer(torch.cat([functional.interpolate(x, scale_factor=2.0), skip], 1))
        return functional.pixel_shuffle(self.out(x), self.block)[:, 0]

    def start_from(self, path: Path) -> None:
        """Take the weights of a file; the statistics of batches no longer count from here on."""
        with np.load(path) as arrays, torch.no_grad():
            for i, layer in enumerate((*self.down, self.middle, *self.up, self.out)):
                conv = layer[0] if isinstance(layer, nn.Sequential) else layer
                conv.weight.copy_(torch.tensor(arrays[f"weights{i}"].astype(np.float32)).permute(3, 2, 0, 1))
                bias = torch.tensor(arrays[f"biases{i}"])
                if conv is layer:
                    conv.bias.copy_(bias)
                else:
                    norm = layer[1]
                    norm.bias.copy_(bias)
                    norm.running_var.fill_(1 - norm.eps)

    def folded(self) -> Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Weights (y, x, in, out) and biases of every convolution, batch normalisation folded in."""
        for layer in (*self.down, self.middle, *self.up):
            conv, norm = layer[0], layer[1]
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            weight = (conv.weight * scale[:, None, None, None]).permute(2, 3, 1, 0)
            bias = norm.bias - norm.running_mean * scale
            yield weight.detach().contiguous().numpy(), bias.detach().numpy()
        yield (
            self.out.weight.permute(2, 3, 1, 0).detach().contiguous().numpy(),
            self.out.bias.detach().numpy(),
        )


@dataclass(frozen=True)
class Recipe:
    """How one network is trained."""

    name: str
    seed: int = 0
    batch: int = 256
    transplanted: float = 0.4  # share before which something of another picture is put
    invented: float = 0.3  # share over which shapes that nobody drew are laid
    bent: float = 0.4  # share of faces whose shape is changed
    astray: float = 1.0  # how far landmarks go astray, by which the face is laid upright
    points: float = 1.0  # weight of landmarks beside the whole face
    up: tuple[int, ...] = (48, 32, 32)
    rate: float = 4e-3
    further: bool = False  # from a network that is there, the statistics of batches left as they are


RECIPES = (
    Recipe("a"),
    Recipe("b", seed=1, astray=1.6, points=2.0),
    Recipe("c", up=(48, 32, 16, 16)),
    Recipe("d", seed=1, astray=1.6, points=2.0, up=(48, 32, 16, 16)),
    *(Recipe(f"on{k}", seed=k, batch=32, astray=1.3, points=1.5, rate=8e-4, further=True) for k in range(4)),
)


def jittered(n: int, astray: float, device: torch.device) -> torch.Tensor:
    """Maps (N, 2, 3) from the network's picture to the kept one, both from -1 to 1; some are mirrored."""
    # now and then landmarks go astray, all of them at once
    u = torch.rand(n, device=device)
    wide = astray * torch.where(u < 0.04, 3.5, torch.where(u < 0.24, 2.0, 1.0))

    def normal(spread: float) -> torch.Tensor:
        return torch.randn(n, device=device) * spread * wide

    size, turn = torch.exp(normal(0.05).clamp(-0.4, 0.4)) / MARGIN, normal(0.05)
    flip = torch.where(torch.rand(n, device=device) < 0.5, -1.0, 1.0)
    a, b = size * torch.cos(turn), size * torch.sin(turn)
    across = torch.stack([a * flip, -b, normal(0.035)], -1)
    down = torch.stack([b * flip, a, normal(0.035)], -1)
    return torch.stack([across, down], -2)


def noise(n: int, channels: int, coarse: int, device: torch.device) -> torch.Tensor:
    """Smooth noise (N, channels, SIDE, SIDE) of about `coarse` grains across."""
    z = torch.randn(n, channels, coarse + 2, coarse + 2, device=device)
    return functional.interpolate(z, size=(SIDE, SIDE), mode="bicubic", align_corners=False)


def bends(n: int, share: float, device: torch.device) -> torch.Tensor:
    """Smooth displacements (N, 2, SIDE, SIDE) of faces in the network's picture, from -1 to 1."""
    coarse = int(torch.randint(2, 7, ()))
    strength = torch.rand(n, 1, 1, 1, device=device) * 0.12 / coarse
    return noise(n, 2, coarse, device) * strength * (torch.rand(n, 1, 1, 1, device=device) < share)


def photographic(x: torch.Tensor) -> torch.Tensor:
    """Pictures (N, 3, H, W) as other cameras would have taken them."""
    n, device = len(x), x.device
    if float(torch.rand(1)) < 0.35:
        factor = float(torch.rand(1)) * 0.6 + 0.35
        small = functional.interpolate(x, scale_factor=factor, mode="area")
        x = functional.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=False)
    grey = torch.rand(n, 1, 1, 1, device=device) < 0.15
    x = torch.where(grey, x.mean(1, keepdim=True), x)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(n, *shape, device=device)

    gain = torch.exp(some(1, 1, 1) * 0.22 + some(3, 1, 1) * 0.1 * ~grey)
    x = 255 * ((x.clamp(0, 255) / 255 + 1e-3) ** torch.exp(some(1, 1, 1) * 0.3) * gain).clamp(0, 1)
    return x + torch.randn_like(x) * torch.rand(n, 1, 1, 1, device=device) * 7


def invented(x: torch.Tensor, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (N, 3, H, W) over some of which lies what nobody drew, and where it lies (N, 1, H, W).

    Blotches of every size or the lines around them, straight edges and stripes; of smooth colours, or of a
    part of another picture, moved, turned, made larger or smaller.
    """
    n, device = len(x), x.device

    def per(low: float, high: float) -> torch.Tensor:
        return torch.rand(n, 1, 1, 1, device=device) * (high - low) + low

    field = noise(n, 1, int(torch.randint(1, 9, ())), device)
    field = field / field.std((1, 2, 3), keepdim=True).clamp(min=1e-3)
    if float(torch.rand(1)) < 0.5:  # straighter
        line = torch.linspace(-1, 1, SIDE, device=device)
        turn = per(0, 2 * math.pi)
        slope = torch.cos(turn) * line[None, None, None] + torch.sin(turn) * line[None, None, :, None]
        field = 0.15 * per(0, 1) * field + 2 * slope
    thin = torch.rand(n, 1, 1, 1, device=device) < 0.3
    band = per(0.04, 0.25) - (field - per(-1, 1)).abs()
    shape = torch.sigmoid(torch.where(thin, band, field - per(0.3, 2.0)) * per(15, 60))
    shape = shape * (torch.rand(n, 1, 1, 1, device=device) < share)

    size, turn = torch.exp(torch.randn(n, device=device) * 0.6), torch.rand(n, device=device) * 2 * math.pi
    shift = torch.rand(n, 2, device=device) - 0.5
    a, b = size * torch.cos(turn), size * torch.sin(turn)
    maps = torch.stack([torch.stack([a, -b, shift[:, 0]], -1), torch.stack([b, a, shift[:, 1]], -1)], -2)
    grid = functional.affine_grid(maps, [n, 3, SIDE, SIDE], align_corners=False)
    piece = functional.grid_sample(x.roll(1, 0), grid, padding_mode="reflection", align_corners=False)
    piece = piece * torch.exp(torch.randn(n, 3, 1, 1, device=device) * 0.25)
    colour = torch.rand(n, 3, 1, 1, device=device) * 255
    smooth = colour + per(0, 50) * noise(n, 3, int(torch.randint(1, 30, ())), device)
    surface = torch.where(torch.rand(n, 1, 1, 1, device=device) < 0.5, piece, smooth).clamp(0, 255)
    return x + shape * (surface - x), shape


@dataclass
class OnDevice:
    """Pictures where they are trained on."""

    pixels: torch.Tensor  # (N, 3, KEPT, KEPT) uint8
    planes: torch.Tensor  # (N, 2, KEPT, KEPT) uint8, cover and where it is known
    points: torch.Tensor  # (N, 68, 2), -1 to 1
    rows: torch.Tensor  # (M,) those that there are

    @classmethod
    def room_for(cls, n: int, device: torch.device) -> OnDevice:
        square = (KEPT, KEPT)
        pixels = torch.zeros((n, 3, *square), dtype=torch.uint8, device=device)
        planes = torch.zeros((n, 2, *square), dtype=torch.uint8, device=device)
        points = torch.zeros((n, 68, 2), device=device)
        return cls(pixels, planes, points, torch.zeros(0, dtype=torch.long, device=device))

    def fill(self, data: Pictures, first: int) -> None:
        """What was drawn since, from a picture's number on."""
        device = self.pixels.device
        there = np.flatnonzero(data.done[first:])
        fresh = there[~np.isin(there, self.rows.cpu().numpy())]
        for part in np.array_split(fresh, max(1, len(fresh) // 1000)):
            if len(part):
                to = torch.tensor(part).to(device)
                pixels = torch.tensor(data.pixels[first + part]).to(device)
                self.pixels[to] = pixels.permute(0, 3, 1, 2)
                self.planes[to] = torch.tensor(data.planes[first + part]).to(device)
                places = (data.points[first + part] + 0.5) / KEPT * 2 - 1
                self.points[to] = torch.tensor(places).float().to(device)
        self.rows = torch.tensor(there).to(device)


def cost_of(logits: torch.Tensor, cover: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy where it counts."""
    each = functional.binary_cross_entropy_with_logits(logits, 1 - cover, reduction="none")
    return (each * counts).sum() / counts.sum().clamp(min=1)


def losses(network: nn.Module, data: OnDevice, which: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Cross-entropy over the face, and at the landmarks."""
    n, device = len(which), which.device
    maps, bend = jittered(n, recipe.astray, device), bends(n, recipe.bent, device)
    grid = functional.affine_grid(maps, [n, 3, SIDE, SIDE], align_corners=False)
    grid = grid + (maps[:, None, None, :, :2] @ bend.permute(0, 2, 3, 1)[..., None])[..., 0]
    pixels = data.pixels[which].float()
    x = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    planes = data.planes[which].float() / 255
    cover = functional.grid_sample(planes[:, :1], grid, align_corners=False).clamp(0, 1)
    known = functional.grid_sample(planes[:, 1:], grid, mode="nearest", align_corners=False)
    face, known = known > 0.2, known > 0.7
    # what lies before the next face lies before this one, too
    part = cover.roll(1, 0) * (torch.rand(n, 1, 1, 1, device=device) < recipe.transplanted)
    x = x + part * (x.roll(1, 0) - x)
    x, shape = invented(x, recipe.invented)
    cover = torch.maximum(cover, torch.maximum(part, shape))
    known = known | (face & (torch.maximum(part, shape) > 0.5))

    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits = network(photographic(x))
    logits = logits.float()
    loss = cost_of(logits, cover[:, 0], known[:, 0].float())
    # landmarks, through the inverse map
    (a, b), (c, d) = maps[:, 0, :2].unbind(1), maps[:, 1, :2].unbind(1)
    back = torch.stack([d, -b, -c, a], -1).reshape(n, 2, 2) / (a * d - b * c)[:, None, None]
    at = (data.points[which] - maps[:, None, :, 2]) @ back.transpose(1, 2)
    at = at - functional.grid_sample(bend, at[:, :, None], align_corners=False)[..., 0].transpose(1, 2)
    sites = at[:, :, None]
    there = functional.grid_sample(logits[:, None], sites, align_corners=False)[:, 0, :, 0]
    both = torch.cat([cover, known.float()], 1)
    want = functional.grid_sample(both, sites, align_corners=False)[:, :, :, 0]
    sure = (want[:, 1] > 0.5).float() * ((want[:, 0] - 0.5).abs() > 0.2)
    return loss + recipe.points * cost_of(there, want[:, 0], sure)


def train(drawing: Drawing, recipe: Recipe, until: float, path: Path, start: Path | None = None) -> None:
    """Train until it is so late, on what is drawn in the meantime."""
    torch.manual_seed(SEED + recipe.seed)
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    network = Network(recipe.up)
    if start is not None:
        network.start_from(start)
    network.to(device)
    average = copy.deepcopy(network)
    old, new = ([v for v in one.state_dict().values() if v.is_floating_point()] for one in (average, network))
    data = OnDevice.room_for(len(drawing.into.done) - drawing.first, device)
    enough = min(2 * recipe.batch, len(data.pixels))
    while drawing.into.done[drawing.first :].sum() < enough and time.time() < until:
        time.sleep(0.2)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=1e-3)
    began, step, total, filled = time.time(), 0, torch.zeros((), device=device), 0.0
    while (now := time.time()) < until:
        if now - filled > 4:
            data.fill(drawing.into, drawing.first)
            filled = time.time()
        if step % PRINTED == 0:
            mean = float(total) / PRINTED
            print(
                f"{recipe.name} {step}: {len(data.rows)} pictures, loss {mean:.4f}, {now - began:.0f} s",
                flush=True,
            )
            total.zero_()
        gone = (now - began) / (until - began)
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * gone))
        network.train(not recipe.further)
        which = data.rows[torch.randint(len(data.rows), (recipe.batch,), device=device)]
        loss = losses(network, data, which, recipe)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += loss.detach()
        step += 1
        share = min(AVERAGED, step / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(old, new, 1 - share)
    print(f"{recipe.name}: {step} steps of {recipe.batch}, {time.time() - began:.0f} s", flush=True)
    average = average.cpu().eval()
    save(average, drawing.faces, path.with_name(f"visibility-{recipe.name}.npz"))
    torch.save(average.state_dict(), path.with_name(f"visibility-{recipe.name}.pt"))
    print(judged(average.to(device), drawing, recipe.name, device), flush=True)


def seen_of(
    network: Network, data: Pictures, which: NDArray[np.intp], astray: float, device: torch.device
) -> tuple[Floats, Floats, Floats]:
    """Probability of being seen, drawn cover and whether that is known, (N, 68) each."""
    result = []
    torch.manual_seed(SEED)
    for part in np.array_split(which, max(1, len(which) // 200)):
        maps = jittered(len(part), astray, device)
        grid = functional.affine_grid(maps, [len(part), 3, SIDE, SIDE], align_corners=False)
        x = torch.tensor(data.pixels[part]).to(device).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
            seen = torch.sigmoid(network(x)).cpu().numpy()
        there = maps.cpu().numpy().astype(np.float64)
        places = (data.points[part].astype(np.float64) + 0.5) / KEPT * 2 - 1
        at = np.linalg.solve(there[:, None, :, :2], (places - there[:, None, :, 2])[..., None])[..., 0]
        for row, found, points in zip(part, seen, (at + 1) / 2 * SIDE - 0.5, strict=True):
            own = data.points[row].astype(np.float64)
            cover, known = data.planes[row] / 255
            result.append([covered(found, points), covered(cover, own), covered(known, own)])
    probability, cover, known = np.array(result).swapaxes(0, 1)
    return probability, cover, known


def judged(network: Network, drawing: Drawing, name: str, device: torch.device) -> str:
    """The shares of hidden points found and of seen points kept, by kind, on faces left out."""
    lines = []
    for astray in (0.0, 1.0):
        rows = np.flatnonzero(drawing.into.done[: drawing.first])
        if not len(rows):
            return "nothing to judge with"
        probability, cover, known = seen_of(network, drawing.into, rows, astray, device)
        inner = np.arange(68) >= 17
        sure = (known > 0.9) & inner
        hidden, seen = sure & (cover > 0.75), sure & (cover < 0.25)
        for threshold in (0.3, 0.4, 0.5, 0.6, 0.7):
            found, left = (probability[hidden] < threshold).mean(), (probability[seen] >= threshold).mean()
            lines.append(f"{name} astray {astray} threshold {threshold}: {found:.4f} {left:.4f}")
        for k, kind in enumerate(drawing.judged):
            of = rows // drawing.each == k
            found = (probability[of][hidden[of]] < 0.5).mean() if hidden[of].any() else math.nan
            left = (probability[of][seen[of]] >= 0.5).mean() if seen[of].any() else math.nan
            lines.append(
                f"{name} astray {astray} {kind or 'nothing'}: {found:.4f} of {hidden[of].sum()} {left:.4f}"
            )
    return "\n".join(lines)


def shapes_of(faces: Faces) -> dict[str, NDArray[np.float32]]:
    """Mean and principal components, each as long as its SD, of landmarks and of their mirror images.

    Unit: the outer-canthal distance, about the middle of the upright face. Shift, size and turn are no part
    of a shape; the hundredth of the faces with a landmark farthest from the median is left out.
    """
    apart = (faces.points[~faces.held].astype(np.float64) - (DRAWN - 1) / 2) * (EXTENT * MARGIN / DRAWN)
    apart = np.concatenate([apart, apart[:, MIRROR] * (-1.0, 1.0)])
    farthest = np.linalg.norm(apart - np.median(apart, 0), axis=2).max(1)
    apart = apart[farthest < np.quantile(farthest, 0.99)]
    mean = apart.mean(0)
    x, y = np.eye(2)
    laid = [np.tile(x, (68, 1)), np.tile(y, (68, 1)), mean, mean[:, ::-1] * (-1.0, 1.0)]
    basis, _ = np.linalg.qr(np.reshape(laid, (4, -1)).T)
    apart = (apart - mean).reshape(len(apart), -1)
    apart -= apart @ basis @ basis.T
    _, spread, modes = np.linalg.svd(apart / math.sqrt(len(apart)), full_matrices=False)
    modes = (spread[:MODES, None] * modes[:MODES]).reshape(MODES, 68, 2)
    return {"shape_mean": mean.astype(np.float32), "shape_modes": modes.astype(np.float32)}


def add_shapes(faces: Faces, path: Path) -> None:
    """Write the shapes of faces, and the threshold, into a network's file."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays |= shapes_of(faces) | {"threshold": np.array(THRESHOLD, np.float32)}
    np.savez_compressed(path, **arrays)


def save(network: Network, faces: Faces, path: Path) -> None:
    network.eval()
    arrays: dict[str, NDArray[np.generic]] = {}
    for i, (weight, bias) in enumerate(network.folded()):
        arrays[f"weights{i}"], arrays[f"biases{i}"] = weight.astype(np.float16), bias.astype(np.float32)
    arrays["down"], arrays["side"] = np.array(len(DOWN), np.int32), np.array(SIDE, np.int32)
    arrays["frame"] = faces.frame.astype(np.float32)
    arrays["threshold"] = np.array(THRESHOLD, np.float32)
    np.savez_compressed(path, **arrays, **shapes_of(faces))


def run(
    drawing: Drawing, recipes: list[Recipe], seconds: float, workers: int, path: Path, start: Path | None
) -> None:
    """Draw and train at the same time, each network in a process of its own."""
    began = time.time()
    crew = drawing.start(workers, began + 0.7 * seconds)
    fork = multiprocessing.get_context("fork")
    parts = [(drawing, recipe, began + seconds, path, start) for recipe in recipes]
    crew += [fork.Process(target=train, args=part) for part in parts]
    for one in crew[workers:]:
        one.start()
    for one in crew:
        one.join()
    print(f"{int(drawing.into.done.sum())} of {len(drawing.into.done)} pictures, {time.time() - began:.0f} s")
    if start is not None and len(recipes) > 1:  # from one start, so that their weights can be averaged
        states = [torch.load(path.with_name(f"visibility-{r.name}.pt")) for r in recipes]
        together = Network(recipes[0].up).eval()
        together.load_state_dict({k: torch.stack([s[k].float() for s in states]).mean(0) for k in states[0]})
        save(together, drawing.faces, path.with_name("visibility-together.npz"))
        print(judged(together, drawing, "together", torch.device("cpu")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=40000, help="pictures to train on, at most")
    parser.add_argument("--each", type=int, default=60, help="pictures of each kind to judge with")
    parser.add_argument("--seconds", type=float, default=600, help="time for drawing and training")
    parser.add_argument("--recipes", nargs="*", default=["a"], choices=[r.name for r in RECIPES])
    parser.add_argument("--workers", type=int, default=1, help="processes that draw")
    parser.add_argument(
        "--start", type=Path, metavar="FILE.npz", help="the network to go on from, for on0 to on3"
    )
    parser.add_argument("--batch", type=int, help="in place of the recipe's")
    parser.add_argument("--faces", action="store_true", help="only find the upright faces")
    parser.add_argument(
        "--shapes", type=Path, metavar="FILE.npz", help="only write their shapes into a network's file"
    )
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    stored = arguments.output / "faces.npz"
    if not stored.exists():
        keep(find_faces(arguments.folders, arguments.workers), stored)
    if arguments.shapes:
        add_shapes(kept(stored), arguments.shapes)
    elif not arguments.faces:
        recipes = [r for r in RECIPES if r.name in arguments.recipes]
        if arguments.batch:
            recipes = [replace(r, batch=arguments.batch) for r in recipes]
        drawing = Drawing.of(kept(stored), arguments.pictures, arguments.each)
        path = arguments.output / "visibility.npz"
        run(drawing, recipes, arguments.seconds, arguments.workers, path, arguments.start)


if __name__ == "__main__":
    main()
