"""Augmentation: training pictures moved at random, so that a network learns what a photo's framing is not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from anthropo.networks.recipes import Parameters


def augment(x: Tensor, parameters: Parameters, generator: torch.Generator) -> Tensor:
    """Pictures (n, c, h, w), each moved by an affine map of its own; what comes in repeats the border.

    Rotation, shifts, shear, zoom and mirroring as the recipe says, and with ``crop`` a window of random
    size and place that is scaled to the whole picture.
    """
    n = len(x)
    draw = torch.rand(n, 9, generator=generator)

    def either_way(column: int, most: float) -> Tensor:
        return (2 * draw[:, column] - 1) * most

    turn = torch.deg2rad(either_way(0, parameters.rotation))
    shear = torch.deg2rad(either_way(1, parameters.shear))
    room = draw[:, 3] * parameters.crop  # beside the window
    side = (1 + either_way(2, parameters.zoom)) * (1 - room)
    mirrored = torch.where(draw[:, 4] < 0.5 * parameters.flip, -1.0, 1.0)
    across = either_way(5, 2 * parameters.shift) + either_way(6, 1) * room
    down = either_way(7, 2 * parameters.shift) + either_way(8, 1) * room
    theta = torch.empty(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = mirrored * side * turn.cos(), -side * (turn + shear).sin()
    theta[:, 1, 0], theta[:, 1, 1] = mirrored * side * turn.sin(), side * (turn + shear).cos()
    theta[:, 0, 2], theta[:, 1, 2] = across, down
    grid = functional.affine_grid(theta.to(x.device), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
