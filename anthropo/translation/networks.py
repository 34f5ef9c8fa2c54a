"""The networks of a translation: generators and discriminators of CycleGAN, and one that places landmarks.

Generators and discriminators are those of Zhu et al. 2017 (ICCV, "Unpaired image-to-image translation using
cycle-consistent adversarial networks", section 7.2); their widths are options. Pictures are (n, 3, s, s),
from -1 to 1.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

POINTS = 68
_SLOPE = 0.2  # of the discriminator's leaky rectifiers
_WIDEST = 8  # times the discriminator's first width
_DOWN = 2  # convolutions of stride 2 in a generator
_WHITE = 0.97  # the lightest level that a picture is taken for, of 1: tanh has none
#: SD of the normal distribution that weights begin with.
INITIAL_SD = 0.02


class Residual(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        added: Tensor = x + self.layers(x)
        return added


class Generator(nn.Module):
    """c7s1-k, d2k, d4k, residual blocks, u2k, uk, c7s1-3 with k channels; a picture of the same size.

    `upsampling` is "transposed", as published, or "resize": the nearest pixel and a convolution, which leaves
    no checkerboard. With `skip`, which is not published, the layers say what is to change in a picture, so
    that a generator begins with pictures as they are and stays sharp however short its training is.
    """

    def __init__(self, channels: int, blocks: int, upsampling: str, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        widths = [channels * 2**i for i in range(_DOWN + 1)]
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, channels, 7), *_normed(channels)]
        for narrow, wide in pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 3, 2, 1), *_normed(wide)]
        layers += [Residual(widths[-1]) for _ in range(blocks)]
        for wide, narrow in pairwise(widths[::-1]):
            if upsampling == "transposed":
                layers.append(nn.ConvTranspose2d(wide, narrow, 3, 2, 1, output_padding=1))
            else:
                layers += [nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(wide, narrow, 3)]
            layers += _normed(narrow)
        self.layers = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(channels, 3, 7))

    def forward(self, x: Tensor) -> Tensor:
        """A picture in the other domain."""
        made: Tensor = self.layers(x).float()  # bfloat16 has fewer levels than a picture
        return torch.tanh(made + x.clamp(-_WHITE, _WHITE).atanh() if self.skip else made)


class Discriminator(nn.Module):
    """PatchGAN: whether each patch of a picture is real, (n, 1, h, w).

    With three `layers` of stride 2 a patch has 70 × 70 pixels, as published.
    """

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        widths = [min(channels * 2**i, channels * _WIDEST) for i in range(layers + 1)]
        parts: list[nn.Module] = [nn.Conv2d(3, channels, 4, 2, 1), nn.LeakyReLU(_SLOPE, True)]
        for i, (narrow, wide) in enumerate(pairwise(widths)):
            stride = 2 if i < layers - 1 else 1
            parts += [nn.Conv2d(narrow, wide, 4, stride, 1), nn.InstanceNorm2d(wide)]
            parts.append(nn.LeakyReLU(_SLOPE, True))
        self.layers = nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """High where a patch looks real."""
        answer: Tensor = self.layers(x)
        return answer


def least_size(layers: int) -> int:
    """The smallest picture that a discriminator of so many layers gives an answer on, px."""
    size = 32
    while size // 2**layers < 4:  # two convolutions of four pixels follow, each of which takes one off
        size *= 2
    return size


class Landmarker(nn.Module):
    """Places the 68 landmarks of a face in an aligned picture, so that gradients flow back to the picture.

    Heat maps at half the picture's size, from an encoder and a decoder with skips; each point is the mean of
    its map (soft-argmax). Normalised per group, so that pictures of a batch do not depend on each other.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        a, b, c = channels, 2 * channels, 3 * channels
        self.first = _convolved(3, a, 2)  # s / 2
        self.second = _convolved(a, b, 2)
        self.third = _convolved(b, c, 2)
        self.fourth = nn.Sequential(_convolved(c, c, 2), _convolved(c, c, 1))  # s / 16
        self.up = nn.ModuleList([_convolved(c + c, c, 1), _convolved(c + b, b, 1), _convolved(b + a, b, 1)])
        self.maps = nn.Conv2d(b, POINTS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Points (n, 68, 2) as shares of the picture's width and height, from 0 to 1."""
        return self.points(self.heat(x))

    def heat(self, x: Tensor) -> Tensor:
        """A map of each point (n, 68, s / 2, s / 2), whose softmax is where it may be."""
        skips = [self.first(x)]
        skips.append(self.second(skips[-1]))
        skips.append(self.third(skips[-1]))
        x = self.fourth(skips[-1])
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            x = layer(torch.cat([functional.interpolate(x, size=skip.shape[-2:]), skip], 1))
        maps: Tensor = self.maps(x)
        return maps

    @staticmethod
    def points(maps: Tensor) -> Tensor:
        """The mean place (n, 68, 2) of each map."""
        share = maps.flatten(2).softmax(-1).view_as(maps)
        across, down = places(maps)
        return torch.stack([(share.sum(2) * across).sum(-1), (share.sum(3) * down).sum(-1)], -1)


def places(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Where the columns and rows of heat maps lie, shares of a picture's side.

    A little beyond its border, too, where landmarks of a tilted face may be.
    """
    height, width = maps.shape[-2:]
    across, down = (torch.linspace(-0.05, 1.05, n, device=maps.device) for n in (width, height))
    return across, down


def initialise(module: nn.Module) -> None:
    """Weights of generators and discriminators as published: normal, SD 0.02; biases 0."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0, INITIAL_SD)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _normed(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU(True)]


def _convolved(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1), nn.GroupNorm(4 if after % 4 == 0 else 1, after), nn.SiLU(True)
    )
