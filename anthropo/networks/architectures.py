"""The networks, each built from a description in JSON, so that reading one never needs pickle.

A *body* turns pictures (n, channels, height, width) into a map of features (n, d, h, w). What stands on it
depends on the task: `Classifier` (labels and grades), `Attributes`, `Cases`. All of them share `features`,
the embedding (n, d), and `forward`, the outputs that a loss is taken of (n, outputs).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from anthropo.encoder.encoders import empty_efficientnet, import_timm
from anthropo.errors import InputError, ModelError
from anthropo.learning.schema import MOST_LABELS, OneOf, Range
from anthropo.quiet import hushed

#: What a recipe learns; of pairs comes a network of labels, whose embedding was trained on pairs.
Task = Literal["labels", "grades", "attributes", "cases", "pairs"]

#: timm's networks of the published recipes, and their names there.
TIMM = {
    "resnet50": "resnet50",
    "inception_v3": "inception_v3",
    "densenet121": "densenet121",
    "xception": "legacy_xception",
    "inception_resnet_v2": "inception_resnet_v2",
    "inception_v4": "inception_v4",
}
_HALF = (127.5, 127.5, 127.5)
_DLIB = (122.782, 117.001, 104.298)  # as dlib's input layer has it
_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


#: Weights of a network's modules together; they take 800 MB.
MOST_WEIGHTS = 200_000_000
#: Numbers that attributes' attention makes of one picture: outputs by places.
MOST_PLACES = 1 << 24
_STRIDE = 16  # px from one place to the next in DeepGestalt's map; the others' maps are coarser


@dataclass(frozen=True, slots=True)
class Backbone:
    """A body before it is built."""

    size: int  # px, side of the pictures that it was published with
    mean: tuple[float, float, float]  # grey levels, per channel
    std: tuple[float, float, float]
    dimension: int  # channels of its last map
    weights: int  # of its layers, with their statistics
    least: int = 32  # px, below which nothing is left of a picture


#: The bodies by name. ImageNet means and spreads as each was published with.
BACKBONES: MappingProxyType[str, Backbone] = MappingProxyType(
    {
        "deepgestalt": Backbone(100, _HALF, _HALF, 320, 1_756_384),
        "resnet50": Backbone(224, *_IMAGENET, 2048, 23_561_152),
        "inception_v3": Backbone(299, _HALF, _HALF, 2048, 21_820_000, 75),
        "densenet121": Backbone(224, *_IMAGENET, 1024, 7_037_504),
        "xception": Backbone(299, _HALF, _HALF, 2048, 20_861_480),
        "inception_resnet_v2": Backbone(299, _HALF, _HALF, 1536, 54_367_008, 75),
        "inception_v4": Backbone(299, _HALF, _HALF, 1536, 41_205_984, 75),
        "face-resnet": Backbone(150, _DLIB, (256.0,) * 3, 256, 5_574_720, 103),
        # without its last block: 4 × 4 places are left of 150 px
        "face-resnet-map": Backbone(150, _DLIB, (256.0,) * 3, 256, 4_394_560, 64),
        "efficientnet-lite0": Backbone(224, (127.0,) * 3, (128.0,) * 3, 1280, 3_413_024),
    }
)

#: The bodies that the packaged weights are for.
FITTING = {
    "face-resnet": ("face-resnet", "face-resnet-map"),
    "efficientnet-lite0": ("efficientnet-lite0",),
}


# ------------------------------------------------------------------------------------------- the bodies


def channels_of(backbone: str, grey: bool) -> int:
    """Channels of the pictures that a body takes: only DeepGestalt's takes grey ones as they are."""
    return 1 if grey and backbone == "deepgestalt" else 3


#: Output channels of the ten convolutions, in pairs; pooled after each of the first four pairs.
DEEPGESTALT_PAIRS = ((32, 64), (64, 128), (96, 192), (128, 256), (160, 320))


class DeepGestaltBody(nn.Sequential):
    """Ten 3 × 3 convolutions in five pairs, without biases.

    Batch normalisation and ReLU after each but the last, 2 × 2 max pooling after the first four pairs, so
    that 100 pixels become 50, 25, 13 and 7.

    References
    ----------
    .. [1] D. Yi, Z. Lei, S. Liao, S. Z. Li, "Learning face representation from scratch", arXiv:1411.7923
       (2014), table 2.
    .. [2] Y. Gurovich et al., "Identifying facial phenotypes of genetic disorders using deep learning",
       Nature Medicine 25 (2019) 60-64.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        before = channels
        for at, pair in enumerate(DEEPGESTALT_PAIRS, start=1):
            for part, filters in enumerate(pair, start=1):
                self.add_module(f"conv{at}{part}", nn.Conv2d(before, filters, 3, padding=1, bias=False))
                if (at, part) != (5, 2):
                    self.add_module(f"norm{at}{part}", nn.BatchNorm2d(filters))
                    self.add_module(f"relu{at}{part}", nn.ReLU(inplace=True))
                before = filters
            if at < 5:
                self.add_module(f"pool{at}", nn.MaxPool2d(2, ceil_mode=True))


class _Features(nn.Module):
    """A library's classifier up to the last map before its pooling."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network = network
        self._method = method

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = getattr(self.network, self._method)(x)
        return features


def body(name: str, channels: int = 3) -> nn.Module:
    """One of `BACKBONES`, with random weights."""
    if name not in BACKBONES:
        raise InputError(f"backbone {name!r}: unknown. Choose from {', '.join(BACKBONES)}.")
    if name == "deepgestalt":
        return DeepGestaltBody(channels)
    if channels != 3:
        raise InputError(f"backbone {name}: takes 3 channels, not {channels}. Grey pictures are repeated.")
    if name.startswith("face-resnet"):
        from anthropo.encoder.resnet import ResNet
        from anthropo.encoder.resnet_weights import blank_weights

        resnet = ResNet(blank_weights()).requires_grad_(True)
        resnet.projection = nn.Identity()  # type: ignore[assignment]
        if name == "face-resnet-map":  # the last block leaves a single place
            resnet.blocks = nn.Sequential(*list(resnet.blocks)[:-1])
        return _Features(resnet, "map")
    if name == "efficientnet-lite0":
        return _Features(empty_efficientnet(), "extract_features")
    with hushed():  # what is said of inception_v3's initialisation, which is replaced
        network = import_timm().create_model(TIMM[name], pretrained=False, num_classes=0)
    return _Features(network, "forward_features")


# -------------------------------------------------------------------------------------- what stands on it


class _Thresholds(nn.Module):
    """One score and ordered thresholds: the log-odds that a grade is above each but the highest.

    Cumulative logits (McCullagh 1980) trained as the binary questions of CORAL (Cao et al. 2020). The
    thresholds are a first one plus positive steps, so that they cannot cross.
    """

    def __init__(self, dimension: int, grades: int) -> None:
        super().__init__()
        self.score = nn.Linear(dimension, 1, bias=False)
        self.first = nn.Parameter(torch.tensor([(grades - 2) / 2]))
        self.steps = nn.Parameter(torch.full((grades - 2,), 0.5413))  # softplus of it is 1

    def forward(self, x: Tensor) -> Tensor:
        steps = functional.softplus(self.steps).cumsum(0)
        thresholds = torch.cat([self.first, self.first - steps])
        logits: Tensor = self.score(x) + thresholds
        return logits


def _head(kind: str, dimension: int, outputs: int) -> nn.Module:
    """The last layer: linear (without bias, as DeepGestalt's), a 1 × 1 convolution, or thresholds."""
    if kind == "thresholds":
        return _Thresholds(dimension, outputs + 1)
    if kind == "linear":
        return nn.Linear(dimension, outputs, bias=False)
    pixel, one = nn.Unflatten(1, (dimension, 1, 1)), nn.Conv2d(dimension, outputs, 1)
    return nn.Sequential(OrderedDict(pixel=pixel, one=one, flat=nn.Flatten()))


class _OnBody(nn.Module):
    """A body, global average pooling and dropout, on which the layers of a task stand."""

    def __init__(self, body: nn.Module, dropout: float) -> None:
        super().__init__()
        self.body = body
        self.dropout = nn.Dropout(dropout)

    def features(self, x: Tensor) -> Tensor:
        """The embedding (n, d) of pictures (n, channels, height, width)."""
        seen: Tensor = self.body(x)
        return seen.mean((2, 3))


class Classifier(_OnBody):
    """A body, global average pooling, dropout and a head.

    `forward` gives the logits of labels (softmax), or with the head "thresholds" those of being above each
    grade but the highest (sigmoid).
    """

    def __init__(self, body: nn.Module, dimension: int, outputs: int, head: str, dropout: float) -> None:
        super().__init__(body, dropout)
        self.head = _head(head, dimension, outputs)

    def judge(self, features: Tensor) -> Tensor:
        """The outputs (n, k) for embeddings (n, d)."""
        y: Tensor = self.head(self.dropout(features))
        return y

    def forward(self, x: Tensor) -> Tensor:
        return self.judge(self.features(x))


class Attributes(_OnBody):
    """Several attributes of one picture: shared layers, then layers of each attribute's own.

    Each attribute looks at the shared map through an attention of its own, a weight for each place that
    sums to 1, or without `attention` at all places alike. `pose` adds yaw, pitch and roll as a further task
    of the shared layers, in units of 30 degrees.

    References
    ----------
    .. [1] R. Ranjan et al., "HyperFace", IEEE TPAMI 41 (2019) 121-135: pose learned beside other face tasks.
    """

    def __init__(
        self,
        body: nn.Module,
        dimension: int,
        outputs: int,
        *,
        own: int,
        dropout: float,
        attention: bool,
        pose: bool,
    ) -> None:
        super().__init__(body, dropout)
        self.attention = nn.Conv2d(dimension, outputs, 1) if attention else None
        self.own = nn.Parameter(torch.empty(outputs, dimension, own))
        self.own_bias = nn.Parameter(torch.zeros(outputs, own))
        self.last = nn.Parameter(torch.empty(outputs, own))
        self.last_bias = nn.Parameter(torch.zeros(outputs))
        self.pose = nn.Linear(dimension, 3) if pose else None
        nn.init.normal_(self.own, std=(2 / dimension) ** 0.5)
        nn.init.normal_(self.last, std=(1 / own) ** 0.5)
        if self.attention is not None:
            nn.init.zeros_(self.attention.weight)  # everywhere alike, until something is learned
            nn.init.zeros_(self.attention.bias)  # type: ignore[arg-type]

    def everything(self, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Outputs (n, a), pose (n, 3) or None, and where each attribute looked (n, a, h, w)."""
        seen: Tensor = self.body(x)
        n, _, h, w = seen.shape
        pooled = seen.mean((2, 3))
        if self.attention is None:
            places = seen.new_full((n, len(self.last), h, w), 1 / (h * w))
        else:
            places = self.attention(seen).flatten(2).softmax(2).unflatten(2, (h, w))
        looked = self.dropout(torch.einsum("nahw,ndhw->nad", places, seen))
        hidden = functional.relu(torch.einsum("nad,ado->nao", looked, self.own) + self.own_bias)
        outputs = (hidden * self.last).sum(2) + self.last_bias
        return outputs, None if self.pose is None else self.pose(pooled), places

    def forward(self, x: Tensor) -> Tensor:
        return self.everything(x)[0]


class Separate(nn.Module):
    """One network per attribute, side by side: what the multi-task network is compared with."""

    def __init__(self, networks: list[Attributes]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def features(self, x: Tensor) -> Tensor:
        """The embeddings of all networks, one after the other."""
        return torch.cat([network.features(x) for network in self.networks], 1)  # type: ignore[operator]

    def everything(self, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """As `Attributes.everything`; the pose is the networks' mean."""
        outputs, poses, places = zip(*(network.everything(x) for network in self.networks), strict=True)  # type: ignore[operator]
        pose = None if poses[0] is None else torch.stack(poses).mean(0)
        return torch.cat(outputs, 1), pose, torch.cat(places, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.everything(x)[0]


_KNOWN = 32  # numbers that a case's metadata become before they are joined with the embedding


class Cases(_OnBody):
    """One to several pictures of a case and its metadata: embeddings averaged over the pictures that exist.

    Metadata are numbers of which each has its own indicator of being missing (`anthropo.networks.units`
    makes them so), and pass through a small layer before they are joined with the mean embedding.

    References
    ----------
    .. [1] Y. Liu et al., "A deep learning system for differential diagnosis of skin diseases", Nature
       Medicine 26 (2020) 900-908.
    """

    def __init__(
        self, body: nn.Module, dimension: int, outputs: int, *, metadata: int, dropout: float
    ) -> None:
        super().__init__(body, dropout)
        self.metadata = metadata
        self.known = nn.Sequential(nn.Linear(metadata, _KNOWN), nn.ReLU()) if metadata else None
        self.head = nn.Linear(dimension + (_KNOWN if metadata else 0), outputs)

    def features(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """The mean embedding (n, d) of cases (n, m, c, h, w), or of single pictures (n, c, h, w).

        `present` (n, m) is true where there is a picture; left out: everywhere.
        """
        if x.ndim == 4:
            return super().features(x)
        n, m = x.shape[:2]
        if present is None:
            present = torch.ones(n, m, dtype=torch.bool, device=x.device)
        single = super().features(x[present])  # those that are missing are not computed
        placed = single.new_zeros(n, m, single.shape[1])
        placed[present] = single  # and not index_add, whose sums a GPU rounds in another order each time
        mean: Tensor = placed.sum(1) / present.sum(1, keepdim=True).clamp(min=1)
        return mean

    def judge(self, features: Tensor, metadata: Tensor | None = None) -> Tensor:
        """The logits (n, k) for embeddings (n, d) and metadata (n, q); without: all of it is missing."""
        if self.known is not None:
            if metadata is None:
                metadata = features.new_zeros(len(features), self.metadata)
                metadata[:, 1::2] = 1
            features = torch.cat([features, self.known(metadata)], 1)
        y: Tensor = self.head(self.dropout(features))
        return y

    def forward(self, x: Tensor, present: Tensor | None = None, metadata: Tensor | None = None) -> Tensor:
        return self.judge(self.features(x, present), metadata)


# ------------------------------------------------------------------------------------------ from and to JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The layers of a network, see `build`; what a task does not have is None."""

    task: Annotated[str, OneOf(("labels", "grades", "attributes", "cases"))]
    backbone: Annotated[str, OneOf((*BACKBONES,))]
    channels: Annotated[int, Range(1, 3)]  # 1 or 3
    outputs: Annotated[int, Range(1, MOST_LABELS)]
    dropout: Annotated[float, Range(0, 0.95)]
    head: Annotated[str, OneOf(("linear", "convolution", "thresholds"))] | None = None  # of labels and grades
    own: Annotated[int, Range(1, 4096)] | None = None  # of attributes: layer that each has of its own
    attention: bool | None = None  # of attributes
    pose: bool | None = None  # of attributes
    separate: bool | None = None  # of attributes: a network for each
    metadata: Annotated[int, Range(0, 1 << 14)] | None = None  # of cases: numbers

    @property
    def dimension(self) -> int:
        """Numbers in an embedding."""
        return BACKBONES[self.backbone].dimension * (self.outputs if self.separate else 1)


#: What the layers of a task have beside those of every task.
_PARTS: dict[str, tuple[str, ...]] = {
    "labels": ("head",),
    "grades": ("head",),
    "attributes": ("own", "attention", "pose", "separate"),
    "cases": ("metadata",),
}


def check_spec(spec: Spec) -> None:
    """Refuse layers that a task does not have.

    Raises
    ------
    ModelError
        If there cannot be such a network.
    """
    parts = _PARTS.get(spec.task, ())
    having = [name for names in _PARTS.values() for name in names if getattr(spec, name) is not None]
    if spec.task not in _PARTS or {*having} != {*parts}:
        raise ModelError("its description of the network is damaged")
    if spec.channels not in ((1, 3) if spec.backbone == "deepgestalt" else (3,)):
        raise ModelError(f"its description of the network has {spec.channels} channels")


def check_size(spec: Spec, views: int, size: int) -> None:
    """Refuse layers for which no memory is meant, before any is made.

    Raises
    ------
    ModelError
        If so many views of pictures of that size are too much.
    """
    body, own = BACKBONES[spec.backbone], spec.own or 1
    if size < body.least:
        raise ModelError(f"pictures of {size} px are too small for {spec.backbone}, which needs {body.least}")
    each = {"attributes": body.dimension * (own + 1) + 2 * own + 1, "cases": body.dimension + _KNOWN + 1}
    bodies = spec.outputs if spec.separate else 1
    weights = bodies * body.weights + spec.outputs * each.get(spec.task, body.dimension + 1)
    if (weights := weights * views) > MOST_WEIGHTS:
        raise ModelError(f"{weights:,} weights are too many, {MOST_WEIGHTS:,} is the most")
    if spec.task == "attributes" and spec.outputs * (size // _STRIDE + 1) ** 2 > MOST_PLACES:
        raise ModelError(f"{spec.outputs:,} outputs are too many for pictures of {size} px")


def build(spec: Spec) -> nn.Module:
    """A network with these layers and random weights.

    Raises
    ------
    ModelError
        If there cannot be such a network.
    """
    check_spec(spec)

    def trunk() -> nn.Module:
        return body(spec.backbone, spec.channels)

    def attributes(outputs: int) -> Attributes:
        return Attributes(
            trunk(),
            dimension,
            outputs,
            own=spec.own or 1,
            dropout=spec.dropout,
            attention=spec.attention is True,
            pose=spec.pose is True,
        )

    dimension = BACKBONES[spec.backbone].dimension
    if spec.task == "cases":
        return Cases(trunk(), dimension, spec.outputs, metadata=spec.metadata or 0, dropout=spec.dropout)
    if spec.head is not None:
        return Classifier(trunk(), dimension, spec.outputs, spec.head, spec.dropout)
    if not spec.separate:
        return attributes(spec.outputs)
    return Separate([attributes(1) for _ in range(spec.outputs)])
