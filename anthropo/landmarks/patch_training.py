"""Training of the fine landmark stage's networks on upright faces with known points; needs torch.

One network sees a 64 x 64 grey patch of an upright face, centred where the first stage has the points of
its region, and predicts those points and anatomical landmarks. It is trained on the subject's right
side; the left side is mirrored for it. What comes out is packed as `anthropo.face.fine.read_fine_model`
reads it.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from anthropo.face.fine import FACE, MIDLINE, PATCH
from anthropo.face.frame import Floats
from anthropo.landmarks.augmentation import Augmentation, Bend, affine, photographic
from anthropo.landmarks.upright import UprightFaces

_BATCH = 64
_RATE = 2e-3

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Form:
    """How large a network is."""

    patch: int = PATCH  # px, side of what it sees
    widths: tuple[int, ...] = (16, 32, 48, 64)  # of its convolutions; the engine computes in sixteens
    hidden: int = 64


@dataclass(frozen=True, slots=True)
class PatchRegion:
    """What one network sees and predicts, on the subject's right."""

    scheme: tuple[int, ...]  # points of the first stage's scheme; the patch is centred on their mean
    codes: tuple[str, ...]  # anatomical landmarks, without their side
    pixel: float  # pixels of the upright face per patch pixel
    #: Anatomical landmarks that are learnt along, for what they teach, and not predicted.
    aside: tuple[str, ...] = ()


_EYE = (36, 37, 38, 39, 40, 41)
_LIPS = (33, 50, 51, 52, 56, 57, 58, 61, 62, 63, 65, 66, 67)
_LIP_CODES = ("sn", "cph", "ls", "sts", "sti", "li")
_CORNER = (48, 49, 59, 60)
#: The packaged fine stage: two networks for each region, which take turns in where they look from.
REGIONS = {
    "eye": PatchRegion(_EYE, ("p", "ps", "pi"), 1.4, ("ex", "en")),
    "eye_wide": PatchRegion(_EYE, ("p", "ps", "pi"), 2.3, ("ex", "en")),
    "inner": PatchRegion((38, 39, 40), ("en",), 1.1),
    "inner2": PatchRegion((38, 39, 40), ("en",), 1.1),
    "outer": PatchRegion((36, 37, 41), ("ex",), 1.1),
    "outer2": PatchRegion((36, 37, 41), ("ex",), 1.1),
    "ala": PatchRegion((31, 32), ("al",), 1.75),
    "ala_wide": PatchRegion((31, 32), ("al",), 2.5),
    "corner": PatchRegion(_CORNER, ("ch",), 1.75),
    "corner_wide": PatchRegion(_CORNER, ("ch",), 2.5),
    "lips": PatchRegion(_LIPS, _LIP_CODES, 2.2),
    "lips_wide": PatchRegion(_LIPS, _LIP_CODES, 2.7),
}


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One network to train."""

    region: PatchRegion
    keep: NDArray[np.intp]  # the faces that it may see


def train_patches(
    faces: UprightFaces,
    jobs: Sequence[Job],
    *,
    epochs: int = 45,
    shares: Sequence[float] = (1.0,),
    augmentation: Augmentation | None = None,
    form: Form | None = None,
    seed: int = 20140623,
    threads: int = 1,
    device: str = "cpu",
    report: Callable[[str], None] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[Arrays]:
    """Train patch networks, side by side.

    Parameters
    ----------
    faces : UprightFaces
    jobs : sequence of Job
        One for each network. All are trained in the same steps; on an accelerator it takes hardly longer
        than one, on a processor up to twice as long as one call for each.
    epochs : int
        An epoch sees as many faces and mirror images as the set with the most faces for its share has.
    shares : sequence of float
        Share of each batch, and weight, that every set of faces has (`UprightFaces.source`).
    augmentation : Augmentation, optional
    form : Form, optional
        That of the packaged stage's networks when left out.
    seed, threads : int
    device : str
        As torch names it.
    report : callable, optional
        Is told the error in training now and then.
    progress : callable, optional
        Is told after every step how many are done, of how many; what it raises ends the training.

    Returns
    -------
    list of dict
        Arrays of each network, by layer, as `pack` takes them.

    Raises
    ------
    ValueError
        A set of which a job keeps no face, or a region of whose points nothing is known.

    Examples
    --------
    >>> import anthropo, numpy as np
    >>> from anthropo.face.weights import landmark_model
    >>> from anthropo.landmarks import Annotated, Job, PatchRegion, mean_face, pack, read_upright
    >>> from anthropo.landmarks import train_patches
    >>> path = anthropo.example_photo()
    >>> points = anthropo.read_face(path).landmarks
    >>> frame = mean_face(landmark_model().predictor.mean_shape)
    >>> faces, _ = read_upright([Annotated(path, "E.C.", points, {})], frame)
    >>> mouth = PatchRegion((48, 54), (), 2.0)
    >>> networks = train_patches(faces, [Job(mouth, np.array([0]))], epochs=1)
    >>> networks[0]["out"].shape
    (64, 4)
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    by = augmentation or Augmentation()
    where = torch.device(device)
    form = form or Form()
    material = _Material.of(faces, jobs, shares, form.patch, where)
    networks = _Networks(len(jobs), material.points, form).to(where)
    if len(jobs) == 1:  # halves the time that a processor takes
        networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(networks.parameters(), lr=_RATE, weight_decay=1e-3)
    steps = epochs * material.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, steps, pct_start=0.1)
    began = time.monotonic()
    for step in range(steps):
        x, want = material.batch(by)
        miss = networks(x) + material.start[:, None] - torch.nan_to_num(want)
        known = ~torch.isnan(want).any(-1)
        d = torch.sqrt((miss**2).sum(-1) + 1e-6) * known
        cost = torch.log1p(d) + 0.1 * d
        loss = sum(
            weight * (cost[:, part].sum((1, 2)) / known[:, part].sum((1, 2)).clamp(1)).sum()
            for part, weight in material.parts
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimiser.step()
        schedule.step()
        if progress:
            progress(step + 1, steps)
        if report and (step + 1) % max(1, steps // 4) == 0:
            errors = [float((d[:, p].sum() / known[:, p].sum().clamp(1)).item()) for p, _ in material.parts]
            told = ", ".join(f"{e:.2f}" for e in errors)
            report(f"step {step + 1} of {steps}: off by {told} patch px; {time.monotonic() - began:.0f} s")
    networks.eval()
    return networks.folded(material.start, [len(j.region.scheme) + len(j.region.codes) for j in jobs])


def pack(frame: Floats, regions: Mapping[str, PatchRegion], networks: Mapping[str, Arrays]) -> bytes:
    """The file of a fine stage.

    Parameters
    ----------
    frame : (68, 2) array
        The mean face that the networks' faces were laid on.
    regions : mapping of str to PatchRegion
    networks : mapping of str to dict
        From `train_patches`, by the same names.

    Returns
    -------
    bytes
        An .npz file, as `anthropo.face.fine.read_fine_model` reads it.

    Examples
    --------
    >>> import anthropo, numpy as np
    >>> from anthropo.face.weights import landmark_model
    >>> from anthropo.landmarks import Annotated, Job, PatchRegion, mean_face, pack, read_upright
    >>> from anthropo.landmarks import train_patches
    >>> path = anthropo.example_photo()
    >>> points = anthropo.read_face(path).landmarks
    >>> frame = mean_face(landmark_model().predictor.mean_shape)
    >>> faces, _ = read_upright([Annotated(path, "E.C.", points, {})], frame)
    >>> mouth = PatchRegion((48, 54), (), 2.0)
    >>> networks = train_patches(faces, [Job(mouth, np.array([0]))], epochs=1)
    >>> file = pack(frame, {"mouth": mouth}, {"mouth": networks[0]})
    >>> anthropo.face.fine.read_fine_model(file).regions[0].scheme.tolist()
    [48, 54]
    """
    arrays: dict[str, NDArray[np.generic]] = {"frame": frame.astype(np.float32)}
    for name, region in regions.items():
        for part, values in networks[name].items():
            arrays[f"{name}.{part}"] = values.astype(np.float16 if values.ndim > 1 else np.float32)
        arrays[f"{name}.scheme"] = np.array(region.scheme, np.int32)
        arrays[f"{name}.codes"] = np.array(region.codes)
        arrays[f"{name}.pixel"] = np.array(region.pixel, np.float32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


@dataclass(slots=True, eq=False)
class _Material:
    """What the networks see, on the device; faces N.. are the mirror images of 0..N-1."""

    pixels: torch.Tensor  # (N * FACE * FACE) uint8
    faces: int
    centres: torch.Tensor  # (M, 2 N, 2)
    target: torch.Tensor  # (M, 2 N, K, 2) NaN where unknown
    pixel: torch.Tensor  # (M)
    patch: int
    start: torch.Tensor  # (M, K, 2) mean place in the patch
    pools: list[tuple[torch.Tensor, torch.Tensor, int]]  # of each set: faces (M, _), how many (M), quota
    parts: list[tuple[slice, float]]  # of a batch: the faces of each set, and their weight
    steps: int  # in an epoch
    points: int  # K

    @classmethod
    def of(
        cls,
        faces: UprightFaces,
        jobs: Sequence[Job],
        shares: Sequence[float],
        patch: int,
        device: torch.device,
    ) -> _Material:
        n = len(faces.pixels)
        points = max(len(j.region.scheme) + len(_learnt(j.region)) for j in jobs)
        source = faces.source if len(faces.source) else np.zeros(n, np.intp)
        quotas = [max(1, round(_BATCH * s / sum(shares))) for s in shares]
        centres = np.empty((len(jobs), 2 * n, 2))
        target = np.full((len(jobs), 2 * n, points, 2), np.nan)
        start = np.zeros((len(jobs), points, 2))
        members: list[list[NDArray[np.intp]]] = [[] for _ in shares]
        for i, job in enumerate(jobs):
            centres[i], known = _known(faces, job.region)
            target[i, :, : known.shape[1]] = known
            for s, group in enumerate(members):
                keep = job.keep[source[job.keep] == s]
                if len(keep) == 0:
                    raise ValueError(f"set {s} has no face that this network may see")
                group.append(np.concatenate([keep, keep + n]))
            seen = np.concatenate([job.keep, job.keep + n])
            relative = known[seen] - centres[i][seen, None]
            if not np.isfinite(relative).any((0, 2)).all():
                raise ValueError("a point of this region is known on no face")
            start[i, : known.shape[1]] = np.nanmean(relative, 0) / job.region.pixel + (patch - 1) / 2
        pools, parts, first = [], [], 0
        for group, quota in zip(members, quotas, strict=True):
            padded = np.stack([np.resize(g, max(map(len, group))) for g in group])
            sizes = torch.tensor([len(g) for g in group], device=device)
            pools.append((torch.tensor(padded, device=device), sizes, quota))
            parts.append((slice(first, first + quota), quota / max(quotas)))
            first += quota
        steps = max(max(map(len, g)) // q for g, q in zip(members, quotas, strict=True))
        return cls(
            torch.tensor(faces.pixels, device=device).reshape(-1),
            n,
            torch.tensor(centres, dtype=torch.float32, device=device),
            torch.tensor(target, dtype=torch.float32, device=device),
            torch.tensor([j.region.pixel for j in jobs], dtype=torch.float32, device=device),
            patch,
            torch.tensor(start, dtype=torch.float32, device=device),
            pools,
            parts,
            max(1, steps),
            points,
        )

    def batch(self, by: Augmentation) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches (M, B, PATCH, PATCH), and where the points lie in them (M, B, K, 2)."""
        device, m = self.pixels.device, len(self.pixel)
        chosen = [
            pool.gather(1, (torch.rand(m, quota, device=device) * sizes[:, None]).long())
            for pool, sizes, quota in self.pools
        ]
        index = torch.cat(chosen, 1)
        row = torch.arange(m, device=device)[:, None]
        turn = affine(tuple(index.shape), 1.0, by, device) * self.pixel[:, None, None, None]
        middle = self.centres[row, index] + torch.randn(*index.shape, 2, device=device) * by.shift
        shift = middle - turn.sum(-1) * ((self.patch - 1) / 2)
        bend = Bend(tuple(index.shape), by.bend, self.patch, device) if by.bend else None
        x = self._seen(index, turn, shift, bend)
        there = self.target[row, index] - shift[:, :, None]
        back = torch.linalg.inv(turn)
        want = torch.einsum("mbij,mbkj->mbki", back, there)
        if bend is not None:
            for _ in range(3):  # where the bent face shows the point: bends are slight, so that this settles
                want = torch.einsum("mbij,mbkj->mbki", back, there - bend(want))
        return photographic(x.flatten(0, 1), by).reshape(x.shape), want

    def _seen(
        self, index: torch.Tensor, turn: torch.Tensor, shift: torch.Tensor, bend: Bend | None
    ) -> torch.Tensor:
        """The faces at each pixel of the patches, interpolated as the engine does."""
        steps = torch.arange(self.patch, device=index.device, dtype=torch.float32)
        column = turn[..., :, 0, None, None] * steps
        line = turn[..., :, 1, None, None] * steps[:, None]
        x, y = (column + line + shift[..., None, None]).unbind(2)
        if bend is not None:
            grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(1, 1, -1, 2)
            moved = bend(grid).reshape(*index.shape, self.patch, self.patch, 2)
            x, y = x + moved[..., 0], y + moved[..., 1]
        mirrored = (index >= self.faces)[..., None, None]
        x = torch.where(mirrored, FACE - 1 - x, x).clamp(0, FACE - 1.001)
        y = y.clamp(0, FACE - 1.001)
        x0, y0 = x.floor(), y.floor()
        u, v = x - x0, y - y0
        at = ((index % self.faces)[..., None, None] * FACE + y0.long()) * FACE + x0.long()
        a, b, c, d = (self.pixels[at + step].float() for step in (0, 1, FACE, FACE + 1))
        top = a + (b - a) * u
        return top + (c + (d - c) * u - top) * v


def _learnt(region: PatchRegion) -> tuple[str, ...]:
    return region.codes + region.aside


def _known(faces: UprightFaces, region: PatchRegion) -> tuple[Floats, Floats]:
    """Patch centres (2 N, 2) and known points (2 N, K, 2), the mirror images' last."""
    scheme = list(region.scheme)
    unknown = np.full((len(faces.pixels), 2), np.nan)

    def there(points: Floats, side: str) -> Floats:
        named = [faces.anatomy.get(c if c in MIDLINE else c + side, unknown) for c in _learnt(region)]
        return np.concatenate([points[:, scheme], *(p[:, None] for p in named)], 1)

    def flip(points: Floats) -> Floats:
        return np.asarray(points * [-1, 1] + [FACE - 1, 0])

    # the subject's left lies on the right of a mirrored face
    other = list(faces.mirror[scheme])
    mirrored = flip(there(faces.scheme[:, faces.mirror], "L"))
    first = faces.first_stage
    centres = np.concatenate([first[:, scheme].mean(1), flip(first[:, other].mean(1))])
    return centres, np.concatenate([there(faces.scheme, "R"), mirrored])


class _Networks(nn.Module):
    """M networks of the same form side by side, each a group of the convolutions."""

    def __init__(self, m: int, points: int, form: Form) -> None:
        super().__init__()
        self.m = m
        self.form = form
        layers: list[nn.Module] = []
        before = 1
        for i, width in enumerate(form.widths):
            side = 5 if i == 0 else 3
            layers.append(nn.Conv2d(m * before, m * width, side, 2, padding=side // 2, bias=False, groups=m))
            layers += [nn.BatchNorm2d(m * width), nn.ReLU()]
            before = width
        self.body = nn.Sequential(*layers)
        self.flat = before * (form.patch // 2 ** len(form.widths)) ** 2
        self.dropout = nn.Dropout(0.1)
        self.hidden = nn.Conv1d(m * self.flat, m * form.hidden, 1, groups=m)
        self.norm = nn.BatchNorm1d(m * form.hidden)
        self.out = nn.Conv1d(m * form.hidden, m * 2 * points, 1, groups=m)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Points (M, B, K, 2) relative to their mean place, of patches (M, B, PATCH, PATCH)."""
        mean = x.mean((2, 3), keepdim=True)
        x = (x - mean) / (x.std((2, 3), keepdim=True, correction=0) + 8)
        y = self.body(x.transpose(0, 1))  # (B, M * width, side, side)
        y = self.dropout(y.reshape(len(y), self.m * self.flat, 1))
        y = self.out(torch.relu(self.norm(self.hidden(y))))
        return torch.as_tensor(y.reshape(len(y), self.m, -1, 2).transpose(0, 1))

    @torch.no_grad()
    def folded(self, start: torch.Tensor, counts: Sequence[int]) -> list[Arrays]:
        """Each network's weights and biases, with the batch normalisation folded in."""
        result: list[Arrays] = [{} for _ in range(self.m)]

        def keep(name: str, weight: torch.Tensor, bias: torch.Tensor) -> None:
            for arrays, w, b in zip(result, weight.chunk(self.m), bias.chunk(self.m), strict=True):
                # inputs (channel, y, x) -> (y, x, channel), outputs last: the innermost loop runs over them
                w = w.permute(2, 3, 1, 0) if w.ndim == 4 else w.T
                arrays[name] = w.contiguous().cpu().numpy().copy()
                arrays[f"{name}_bias"] = b.cpu().numpy().copy()

        body = list(self.body)
        for i in range(0, len(body), 3):
            weight, bias = _without_norm(body[i], body[i + 1])
            keep(f"conv{i // 3}", weight, bias)
        weight, bias = _without_norm(self.hidden, self.norm)
        side = self.form.patch // 2 ** len(self.form.widths)
        square = weight.reshape(-1, self.form.widths[-1], side, side).permute(0, 2, 3, 1)
        keep("hidden", square.reshape(len(square), -1), bias)
        assert self.out.bias is not None
        keep("out", self.out.weight[:, :, 0], self.out.bias + start.reshape(-1))
        for arrays, count in zip(result, counts, strict=True):
            arrays["out"] = arrays["out"][:, : 2 * count]
            arrays["out_bias"] = arrays["out_bias"][: 2 * count]
        return result


def _without_norm(layer: nn.Module, norm: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and biases of a layer and the batch normalisation after it as one layer."""
    assert isinstance(layer, (nn.Conv2d, nn.Conv1d))
    assert isinstance(norm, (nn.BatchNorm2d, nn.BatchNorm1d))
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = layer.bias if layer.bias is not None else torch.zeros_like(norm.bias)
    weight = layer.weight * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    return weight, (bias - norm.running_mean) * scale + norm.bias
