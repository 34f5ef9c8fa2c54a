"""Train what tells hidden parts of a face from seen ones, anthropo/face/visibility.npz.

    python development/visibility.py HELEN_CROPS AGES -o OUT [--draws 4] [--epochs 14] [--threads 2]

HELEN_CROPS, AGES: folders of portraits (index.csv or labels.csv with a column photo). On them occluders are
drawn (anthropo.synthetic.occluders, those of TRAINED only). What some photographs show by themselves stands
in visibility_real.csv beside this file, as read off contact sheets: dark glasses hide both eyes; photographs
with something else before the face are left out. Of those who wear clear glasses, found by the line across
the nasal root, nothing is known about the eyes but that the eyeballs are seen.
The shipped weights: --draws 7 --epochs 24 --batch 128, 3,367 faces, 22,890 pictures; 39 s of drawing on 16
cores and 33 s of training on an NVIDIA H200. On the twelfth of the faces that was left out, 94.3 % of hidden
points are found and 99.1 % of seen ones kept at the threshold of 0.5 (0.6: 95.6 and 98.7 %).
Needs torch. OUT keeps the upright faces (faces.npz), so that a second run starts sooner and needs no photos.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import nn
from torch.nn import functional

from anthropo.errors import AnthropoError
from anthropo.synthetic.occluders import TRAINED, covered, occlude

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

SIDE = 96  # px of the network's picture, and of its map
DRAWN = 256  # px of the picture that is drawn on
KEPT = 160  # px of the picture that is kept, of which the network's is a jittered part
MARGIN = 1.2  # how much more of the face these show
DOWN, UP = (16, 32, 48, 48, 48), (48, 32, 32)
MIDDLE = 48
LABELS = Path(__file__).with_name("visibility_real.csv")
BRIDGE = 0.11  # of the face's contrast, from which on a line is spectacles' (half of those above wear none)
LINE = np.array([(x * x - 1) * np.exp(-x * x / 2) for x in range(-3, 4)])
LINE = (LINE - LINE.mean()) / np.abs(LINE - LINE.mean()).sum()
PASTED = 0.08  # share on which a piece of another face is pasted
PLAIN = 0.25  # share of the pictures on which nothing is drawn
SEED = 20140623
MOST = 2600  # photographs of a folder


@dataclass
class Pictures:
    """Upright faces with what is hidden in them."""

    pixels: Pixels  # (N, KEPT, KEPT, 3)
    cover: Pixels  # (N, KEPT, KEPT), 0 to 255
    known: Pixels  # (N, KEPT, KEPT), where `cover` is known, 0 or 1
    points: NDArray[np.float32]  # (N, 68, 2), pixels
    whose: NDArray[np.intp]  # (N,) number of the photograph


@dataclass
class Faces:
    """Upright faces as they were found."""

    chips: list[bytes]  # JPEG, DRAWN px square
    points: Floats  # (N, 68, 2), pixels
    names: list[str]
    frame: Floats  # (68, 2), the mean face that they are laid on

    def chip(self, i: int) -> Pixels:
        return np.asarray(Image.open(io.BytesIO(self.chips[i])))


def upright(photo: str) -> tuple[bytes, Floats] | None:
    """The upright face of a photograph, and its landmarks in it."""
    import anthropo
    from anthropo.face.visibility import EXTENT, chip_of

    try:
        settings = anthropo.Settings(face="largest", jitter=4, fine=False)
        seen = anthropo.observe(photo, settings)
    except AnthropoError:
        return None
    points = seen.face.landmarks
    chip, there = chip_of(seen.photo, points, DRAWN, EXTENT * MARGIN)
    data = io.BytesIO()
    Image.fromarray(chip).save(data, "JPEG", quality=92)
    return data.getvalue(), points @ there[:, :2].T + there[:, 2]


def photographs(folder: Path) -> list[str]:
    """Names of at most MOST photographs of a folder, at random."""
    table = next(folder / name for name in ("index.csv", "labels.csv") if (folder / name).exists())
    with open(table, newline="") as file:
        names = sorted(str(folder / row["photo"]) for row in csv.DictReader(file))
    return [str(name) for name in np.random.default_rng(SEED).permutation(names)[:MOST]]


def find_faces(folders: Iterable[Path], workers: int) -> Faces:
    from anthropo.face.visibility import frame_points

    names = [name for folder in folders for name in photographs(folder)]
    with ProcessPoolExecutor(workers) as pool:
        found = list(pool.map(upright, names, chunksize=16))
    kept = [(Path(name).name, *one) for name, one in zip(names, found, strict=True) if one is not None]
    labels, chips, points = zip(*kept, strict=True)
    return Faces(list(chips), np.stack(points), list(labels), frame_points())


def keep(faces: Faces, path: Path) -> None:
    ends = np.cumsum([len(c) for c in faces.chips])
    data = np.frombuffer(b"".join(faces.chips), np.uint8)
    np.savez(path, data=data, ends=ends, points=faces.points, names=faces.names, frame=faces.frame)


def kept(path: Path) -> Faces:
    with np.load(path) as stored:
        data, ends = stored["data"].tobytes(), stored["ends"].tolist()
        chips = [data[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        return Faces(chips, stored["points"], [str(n) for n in stored["names"]], stored["frame"])


def real_labels() -> dict[str, str]:
    """What photographs show by themselves, by name: dark or else."""
    with open(LABELS, newline="") as file:
        return {row["photo"]: row["shows"] for row in csv.DictReader(file)}


def wears_glasses(chip: Pixels, points: Floats) -> bool:
    """Whether a line crosses the nasal root, as `anthropo.face.gate.bridge_line` looks for it."""
    grey, unit = chip.mean(2), np.hypot(*(points[45] - points[36]))
    left, right = int(points[39, 0] + 0.06 * unit), int(points[42, 0] - 0.06 * unit)
    root = grey[int(points[27, 1] - 0.12 * unit) : int(points[29, 1]), left:right]
    face = grey[int(points[19, 1]) : int(points[57, 1]), int(points[36, 0]) : int(points[45, 0])]
    if root.shape[0] < len(LINE) or root.shape[1] < 1:
        return False
    return bool(np.abs(np.convolve(root.mean(1), LINE, "valid")).max() > BRIDGE * max(face.std(), 1))


def hull(points: Floats, grow: float, side: int) -> Pixels:
    """The face (side, side), 0 or 1: the outline and brows, grown from the middle by a share."""
    outline = np.concatenate([points[:17], points[26:16:-1]])
    middle = outline.mean(0)
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).polygon([tuple(p) for p in (middle + (1 + grow) * (outline - middle))], fill=1)
    return np.asarray(image)


def shrunk(plane: NDArray[np.generic]) -> Pixels:
    return np.asarray(Image.fromarray(plane).resize((KEPT, KEPT), Image.Resampling.BOX))


def near_eyes(points: Floats) -> NDArray[np.float32]:
    """Ellipses about both eyes (DRAWN, DRAWN), 0 or 1."""
    y, x = np.mgrid[:DRAWN, :DRAWN]
    unit = np.hypot(*(points[45] - points[36]))
    inside = np.zeros((DRAWN, DRAWN), bool)
    for eye in (points[36:42], points[42:48]):
        a, b = eye.mean(0)
        inside |= np.hypot((x - a) / 0.21, (y - b) / 0.12) < unit
    return inside.astype(np.float32)


def eyeballs(points: Floats) -> NDArray[np.float32]:
    image = Image.new("L", (DRAWN, DRAWN))
    for eye in (points[36:42], points[42:48]):
        ImageDraw.Draw(image).polygon([tuple(p) for p in eye], fill=1)
    return np.asarray(image, dtype=np.float32)


@dataclass
class Job:
    chip: bytes
    other: bytes  # another face, to paste pieces of
    points: Floats
    shows: str
    seed: int


def draw(job: Job) -> tuple[Pixels, Pixels, Pixels, Floats]:
    """One picture: pixels, cover and where it is known (KEPT, KEPT), landmarks in it."""
    chip, points = np.asarray(Image.open(io.BytesIO(job.chip))), job.points
    random = np.random.default_rng([SEED, job.seed])
    face = hull(points, 0.12, DRAWN).astype(np.float32)
    known, cover = face, np.zeros(chip.shape[:2], np.float32)
    shows = job.shows or ("clear" if wears_glasses(chip, points) else "")
    if shows:
        eyes = near_eyes(points) if shows == "dark" else eyeballs(points)
        cover = eyes if shows == "dark" else cover
        about = np.abs(np.arange(DRAWN) - points[36:48, 1].mean()) < 0.35 * np.hypot(
            *(points[45] - points[36])
        )
        known = np.where(about[:, None], eyes, known)  # where the frame runs is not known
    kinds = [] if random.random() < PLAIN else [str(random.choice(list(TRAINED)))]
    if kinds and random.random() < 0.15:
        kinds.append(str(random.choice(list(TRAINED))))
    for kind in kinds:
        done = occlude(chip, points, kind, int(random.integers(1 << 30)))
        chip, cover = done.pixels, np.maximum(cover, done.cover)
    if random.random() < PASTED:
        done = occlude(chip, points, "blob", int(random.integers(1 << 30)))
        other = np.roll(np.asarray(Image.open(io.BytesIO(job.other))), random.integers(-90, 90, 2), (0, 1))
        chip = np.rint(chip + done.cover[..., None] * (other[:, ::-1].astype(float) - chip)).astype(np.uint8)
        cover = np.maximum(cover, done.cover)
    known = np.maximum(known, (cover > 0.5) * face)
    scale = KEPT / DRAWN
    return (
        shrunk(chip),
        shrunk(np.rint(255 * cover).astype(np.uint8)),
        (shrunk(np.rint(255 * known).astype(np.uint8)) > 127).astype(np.uint8),
        (points + 0.5) * scale - 0.5,
    )


def pictures(faces: Faces, each: int, workers: int) -> Pictures:
    shown = real_labels()
    random = np.random.default_rng(SEED)
    jobs = []
    for i, name in enumerate(faces.names):
        shows = shown.get(name, "")
        if shows != "else":
            for k in range(each * (4 if shows == "dark" else 1)):
                other = faces.chips[int(random.integers(len(faces.chips)))]
                jobs.append(Job(faces.chips[i], other, faces.points[i], shows, 1000 * i + k))
    with ProcessPoolExecutor(workers) as pool:
        made = list(pool.map(draw, jobs, chunksize=32))
    pixels, cover, known, at = (np.stack(part) for part in zip(*made, strict=True))
    whose = np.array([job.seed // 1000 for job in jobs])
    return Pictures(pixels, cover, known, at.astype(np.float32), whose)


# ------------------------------------------------------------------------------------- network


def block(into: int, out: int, side: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(into, out, side, stride=stride, padding=side // 2, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


class Network(nn.Module):
    """Down to 3 × 3, once across that, and up again to a quarter of the picture; 4 × 4 logits a place."""

    def __init__(self) -> None:
        super().__init__()
        into = (3, *DOWN)
        self.down = nn.ModuleList(block(into[i], out, 5 if i == 0 else 3, 2) for i, out in enumerate(DOWN))
        self.middle = block(DOWN[-1], MIDDLE, 3, 1)
        before = (MIDDLE, *UP)
        skip = DOWN[-2 : -2 - len(UP) : -1]
        self.up = nn.ModuleList(block(before[i] + skip[i], out, 3, 1) for i, out in enumerate(UP))
        self.out = nn.Conv2d(UP[-1], 16, 3, padding=1)

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
        return functional.pixel_shuffle(self.out(x), 4)[:, 0]

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


def jittered(batch: int, device: torch.device) -> torch.Tensor:
    """Maps (N, 2, 3) from the network's picture to the kept one, both from -1 to 1; some are mirrored."""

    def normal(spread: float) -> torch.Tensor:
        # now and then landmarks go astray
        wide = torch.where(torch.rand(batch, device=device) < 0.2, 2.0, 1.0)
        return torch.randn(batch, device=device) * spread * wide

    size, turn = torch.exp(normal(0.05)) / MARGIN, normal(0.05)
    flip = torch.where(torch.rand(batch, device=device) < 0.5, -1.0, 1.0)
    a, b = size * torch.cos(turn), size * torch.sin(turn)
    across = torch.stack([a * flip, -b, normal(0.035)], -1)
    down = torch.stack([b * flip, a, normal(0.035)], -1)
    return torch.stack([across, down], -2)


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

    gain = torch.exp(some(1, 1, 1) * 0.2 + some(3, 1, 1) * 0.08 * ~grey)
    x = 255 * ((x.clamp(0, 255) / 255 + 1e-3) ** torch.exp(some(1, 1, 1) * 0.25) * gain).clamp(0, 1)
    return x + torch.randn_like(x) * torch.rand(n, 1, 1, 1, device=device) * 6


@dataclass
class OnDevice:
    """Pictures where they are trained on."""

    pixels: torch.Tensor  # (N, 3, KEPT, KEPT) uint8
    planes: torch.Tensor  # (N, 2, KEPT, KEPT) uint8, cover and where it is known, 0 to 255
    points: torch.Tensor  # (N, 68, 2), -1 to 1


def cost_of(logits: torch.Tensor, cover: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy where it counts."""
    each = functional.binary_cross_entropy_with_logits(logits, 1 - cover, reduction="none")
    return (each * counts).sum() / counts.sum().clamp(min=1)


def losses(network: Network, data: OnDevice, which: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over the face, and at the landmarks."""
    maps = jittered(len(which), which.device)
    grid = functional.affine_grid(maps, [len(which), 3, SIDE, SIDE], align_corners=False)
    x = photographic(functional.grid_sample(data.pixels[which].float(), grid, align_corners=False))
    planes = functional.grid_sample(data.planes[which].float() / 255, grid, align_corners=False).clamp(0, 1)
    logits = network(x)
    loss = cost_of(logits, planes[:, 0], (planes[:, 1] > 0.5).float())
    # landmarks, through the inverse map
    at = torch.linalg.solve(maps[:, None, :, :2], (data.points[which] - maps[:, None, :, 2])[..., None])
    sites = at[..., 0][:, :, None]
    there = functional.grid_sample(logits[:, None], sites, align_corners=False)[:, 0, :, 0]
    want = functional.grid_sample(planes, sites, align_corners=False)[:, :, :, 0]
    sure = (want[:, 1] > 0.5).float() * ((want[:, 0] - 0.5).abs() > 0.2)
    return loss + cost_of(there, want[:, 0], sure)


def train(data: Pictures, epochs: int, batch: int, held: NDArray[np.bool_]) -> Network:
    torch.manual_seed(SEED)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = Network().to(device)
    where = OnDevice(
        torch.tensor(data.pixels).permute(0, 3, 1, 2).contiguous().to(device),
        torch.tensor(np.stack([data.cover, 255 * data.known], 1)).to(device),
        torch.tensor((data.points + 0.5) / KEPT * 2 - 1).float().to(device),
    )
    rows = torch.tensor(np.flatnonzero(~held)).to(device)
    steps = len(rows) // batch
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, epochs * steps, pct_start=0.1)
    began = time.time()
    for epoch in range(epochs):
        network.train()
        mixed, total = rows[torch.randperm(len(rows), device=device)], 0.0
        for step in range(steps):
            loss = losses(network, where, mixed[step * batch : (step + 1) * batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.detach()
        print(f"epoch {epoch + 1}: loss {float(total) / steps:.4f}; {time.time() - began:.0f} s", flush=True)
    return network.cpu()


def seen_of(network: Network, data: Pictures, which: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """Probability of being seen, drawn cover and whether that is known, (N, 68) each, unjittered."""
    network.eval()
    low = round(KEPT * (1 - 1 / MARGIN) / 2)
    result = []
    with torch.no_grad():
        for part in np.array_split(which, max(1, len(which) // 100)):
            x = torch.tensor(data.pixels[part]).permute(0, 3, 1, 2).float()
            x = functional.interpolate(
                x[:, :, low : KEPT - low, low : KEPT - low],
                size=(SIDE, SIDE),
                mode="bilinear",
                align_corners=False,
            )
            maps = torch.sigmoid(network(x)).numpy()
            scale = SIDE / (KEPT - 2 * low)
            for row, found in zip(part, maps, strict=True):
                at = (data.points[row] - low + 0.5) * scale - 0.5
                result.append(
                    [
                        covered(found, at.astype(float)),
                        covered(data.cover[row] / 255, data.points[row].astype(float)),
                        covered(data.known[row].astype(float), data.points[row].astype(float)),
                    ]
                )
    probability, cover, known = np.array(result).swapaxes(0, 1)
    return probability, cover, known


def judged(network: Network, data: Pictures, which: NDArray[np.intp]) -> None:
    """Print the shares of hidden points found and of seen points kept."""
    probability, cover, known = seen_of(network, data, which)
    hidden, seen = (known > 0.5) & (cover > 0.5), (known > 0.5) & (cover <= 0.5)
    print("threshold: share of hidden points found and of seen ones kept, on faces left out")
    for threshold in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        found, kept = (probability[hidden] < threshold).mean(), (probability[seen] >= threshold).mean()
        print(f"{threshold}: {found:.4f} {kept:.4f}")


def save(network: Network, threshold: float, frame: Floats, path: Path) -> None:
    network.eval()
    arrays: dict[str, NDArray[np.generic]] = {}
    for i, (weight, bias) in enumerate(network.folded()):
        arrays[f"weights{i}"], arrays[f"biases{i}"] = weight.astype(np.float16), bias.astype(np.float32)
    arrays["down"], arrays["side"] = np.array(len(DOWN), np.int32), np.array(SIDE, np.int32)
    arrays["frame"] = frame.astype(np.float32)
    arrays["threshold"] = np.array(threshold, np.float32)
    np.savez_compressed(path, **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=4, help="pictures of each face")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument(
        "--threshold", type=float, default=0.5, help="probability from which on a point is seen"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--faces", action="store_true", help="only find the upright faces")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    stored = arguments.output / "faces.npz"
    if not stored.exists():
        keep(find_faces(arguments.folders, arguments.threads), stored)
    if arguments.faces:
        return
    faces, began = kept(stored), time.time()
    data = pictures(faces, arguments.draws, arguments.threads)
    print(f"{len(faces.names)} faces, {len(data.whose)} pictures, {time.time() - began:.0f} s", flush=True)
    held = data.whose % 12 == 0
    network = train(data, arguments.epochs, arguments.batch, held)
    save(network, arguments.threshold, faces.frame, arguments.output / "visibility.npz")
    torch.save(network.state_dict(), arguments.output / "visibility.pt")
    judged(network, data, np.flatnonzero(held))


if __name__ == "__main__":
    main()
