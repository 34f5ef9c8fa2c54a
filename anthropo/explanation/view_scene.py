"""What a fine-tuned network's encoder sees of a face, whose pixels can be kept or removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anthropo.encoder.regions import FACE_WINDOW, frame_to, hidden
from anthropo.encoder.views import View
from anthropo.explanation.heads import Head
from anthropo.explanation.maps import Floats, Masks, blurred, integral_rule, spread_over
from anthropo.face.landmarker import Face
from anthropo.networks.encoder import NetworkEncoder
from anthropo.photo import LUMA, Photo

_SIDES = (24, 150)  # px, of the map of a network with pictures of its own


@dataclass(frozen=True, slots=True, eq=False)
class ViewScene:
    """What a trained network sees of one face, and the same with nothing to be seen in it.

    Its pictures are cut and aligned in a way of their own. What is kept or removed is a square of the
    face's frame, as that of chips, which each picture is sampled from: maps come back the same way, as
    integrated gradients of what is kept.
    """

    encoder: NetworkEncoder
    heads: Sequence[Head]
    names: Sequence[str]
    masks: Masks  # (r, side, side), what of the square a region's picture shows
    places: Tensor  # (r, size, size, 2), where in the square each pixel lies, from -1 to 1
    chips: Tensor  # (r, size, size, 3)
    base: Tensor  # (r, size, size, 3)
    grid: tuple[int, int] = (1, 0)  # see `Scene`

    @classmethod
    def of(
        cls,
        encoder: NetworkEncoder,
        photo: Photo,
        face: Face | None,
        names: Sequence[str],
        heads: Sequence[Head],
    ) -> ViewScene:
        view = replace(encoder.network.view, names=tuple(names))
        chips, masks, places = views_of(view, photo, face)
        return cls(encoder, heads, names, masks, places, *chips)

    def randomised(self, seed: int) -> ViewScene:
        """See `Scene.randomised`."""
        return replace(self, encoder=self.encoder.randomised(seed))

    def embeddings(self, kept: Tensor) -> list[Tensor]:
        """Of each picture and its mirror image, the mean, with the share kept (r, side, side)."""
        seen = self.base + kept_share(kept, self.places)[..., None] * (self.chips - self.base)
        both = (torch.cat([picture[None], picture[None].flip(2)]) for picture in seen)
        if self.encoder.grey:
            luma = seen.new_tensor(LUMA)
            both = (torch.cat([one, (one @ luma)[..., None].expand(one.shape)]) for one in both)
        features = self.encoder.network.features
        return [features(name, pair).mean(0) for name, pair in zip(self.names, both, strict=True)]

    def log_odds(self, keeps: NDArray[np.float32]) -> Floats:
        """See `Scene.log_odds`."""
        with torch.inference_mode():
            every = [self.embeddings(kept) for kept in torch.from_numpy(keeps)]
        pairs = (zip(self.heads, embeddings, strict=True) for embeddings in every)
        return np.array([[head(e.numpy()[None])[0] for head, e in pair] for pair in pairs])

    def maps(self, steps: int) -> Floats:
        """See `Scene.maps`."""
        shape = self.masks.shape
        total = torch.zeros(shape)
        for node, weight in integral_rule(steps):
            at = torch.full(shape, node).requires_grad_()
            embeddings = self.embeddings(at)
            pairs = zip(self.heads, (e.detach().numpy()[None] for e in embeddings), strict=True)
            towards = [torch.from_numpy(head.gradient(e)[0]).to(torch.float32) for head, e in pairs]
            total += weight * torch.autograd.grad(embeddings, at, towards)[0]
        spread = spread_over(shape[1], shape[1], self.grid)
        maps: Floats = spread @ total.numpy().astype(np.float64) @ spread.T * self.masks
        return maps


def views_of(view: View, photo: Photo, face: Face | None) -> tuple[tuple[Tensor, Tensor], Masks, Tensor]:
    """A view's pictures and the same with nothing to be seen; what they show of a square, and where.

    The pictures are float32 (r, size, size, 3) each and the masks (r, side, side); the places (r, size,
    size, 2), from -1 to 1, are those of each pixel in the square.
    """
    names, size = view.names, view.size
    chips = view.cut(photo, None if face is None else view.frame(face))
    visible: Masks = np.ones((len(names), size, size), dtype=bool)
    if face is not None and view.crops == "in-place":
        visible = np.stack([~hidden(view.region(name), size) for name in names])
    places = np.stack([in_square(view, name, face) for name in names])
    # no finer than the coarsest picture, so that none of the square's pixels falls between its own
    apart = max(np.hypot(*(places[:, i, j] - places[:, 0, 0]).T).max() for i, j in ((0, 1), (1, 0)))
    side = int(np.clip(1 / apart, *_SIDES))
    grid = torch.from_numpy((2 * places - 1).astype(np.float32))
    kept = torch.zeros(len(names), side, side, requires_grad=True)
    seen = kept_share(kept, grid) * torch.from_numpy(visible)
    masks = (torch.autograd.grad(seen.sum(), kept)[0] > 0).numpy()
    there, base = (torch.from_numpy(c.astype(np.float32)) for c in (chips, blurred(chips, visible)))
    return (there, base), masks, grid


def in_square(view: View, region: str, face: Face | None) -> Floats:
    """Where a picture's pixels lie in the square of the maps, (size, size, 2), from 0 to 1."""
    across = (np.arange(view.size) + 0.5) / view.size
    places = np.stack(np.meshgrid(across, across), -1)
    if face is None:
        return places
    left, top, right, bottom = view.box(view.region(region))
    of_view, common = view.frame(face), frame_to(face.landmarks, face.concealed)
    in_photo = ((left, top) + places * (right - left, bottom - top)) @ of_view[:, :2].T + of_view[:, 2]
    in_frame = (in_photo - common[:, 2]) @ np.linalg.inv(common[:, :2]).T
    return np.asarray((in_frame - FACE_WINDOW[:2]) / FACE_WINDOW[2])


def kept_share(kept: Tensor, places: Tensor) -> Tensor:
    """A square's pixels (r, side, side) where pictures' pixels (r, size, size, 2) lie, (r, size, size)."""
    sampled: Tensor = torch.nn.functional.grid_sample(
        kept[:, None], places, padding_mode="border", align_corners=False
    )[:, 0]
    return sampled
