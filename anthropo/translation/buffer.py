"""Earlier translations, some of which a discriminator sees again (Shrivastava et al. 2017, CVPR)."""

from __future__ import annotations

import torch
from torch import Tensor


class PictureBuffer:
    """Holds up to `size` translated pictures.

    Until it is full, every picture goes in and comes out. Then each new one comes out by a chance of one
    half, and else takes the place of a random earlier one, which comes out instead.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.pictures: list[Tensor] = []  # (3, s, s) each

    def exchanged(self, new: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures (n, 3, s, s) for the discriminator, in place of these new ones."""
        if self.size == 0:
            return new.detach()
        out = []
        for picture in new.detach():
            if len(self.pictures) < self.size:
                self.pictures.append(picture.clone())
                out.append(picture)
                continue
            old, place = torch.rand(2, generator=generator).tolist()
            if old < 0.5:
                out.append(picture)
                continue
            at = min(int(place * self.size), self.size - 1)
            out.append(self.pictures[at])
            self.pictures[at] = picture.clone()
        return torch.stack(out)
