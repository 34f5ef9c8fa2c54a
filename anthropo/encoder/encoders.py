"""Networks that turn the chips of a region into embeddings: one interface, a registry, their licences.

torch is imported when a network is loaded, not before.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.checkpoint import INSTALL, fill_state, read_state
from anthropo.encoder.regions import ALIGNMENTS, crops, geometry_digest, middle_square
from anthropo.errors import InputError, WeightsError
from anthropo.face.weights import KNOWN, read_checked
from anthropo.files import read_regular
from anthropo.licensing import require_permitted

if TYPE_CHECKING:
    from torch import Tensor, nn

    from anthropo.face.landmarker import Face
    from anthropo.photo import Photo

_VERSION = 1  # raise it when embeddings change in another way than by what the digest lists
_TIMM = "timm:"


PerChannel = tuple[float, float, float]  # red, green, blue

SEEN = 16  # hexadecimal digits of a photo's SHA-256 that networks keep
UNKNOWN_LICENCE = "that of the weights, which anthropo does not know"

#: The encoders whose weights are packaged: dlib's face recognition ResNet, 128 numbers per region (default),
#: and EfficientNet-Lite0 trained on ImageNet, 1280 numbers per region: texture. Beside these, `timm:NAME` is
#: any network of the library timm with local weights.
ENCODERS = ("face-resnet", "efficientnet-lite0")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Encoder(ABC):
    """A network and everything that its embeddings depend on."""

    name: str
    digest: str  # SHA-256, hexadecimal, of weights, preprocessing and region geometry
    size: int  # px, side of a chip
    dimension: int  # numbers in an embedding
    parameters: int  # of the network
    licence: str
    commercial_use: bool
    data: str = UNKNOWN_LICENCE  # licence of what it was trained on
    permissive: bool = False  # code, weights and training data
    align: str = ALIGNMENTS[0]  # how a face is brought to the frame; a network has a way of its own
    weights: str = ""  # SHA-256, hexadecimal, of the file of weights; empty: of no such file
    views: tuple[str, ...] = ()  # the regions that it can encode; empty: every one
    seen: frozenset[str] = frozenset()  # beginnings of the SHA-256 of photos that it was trained on, as known

    def has_seen(self, digests: Iterable[str]) -> int:
        """How many photos with these SHA-256 (hexadecimal) are among those that it was trained on."""
        return count_seen(digests, self.seen)

    @abstractmethod
    def embed(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of regions of a face, each averaged with its mirror image; without one, of the picture.

        Parameters
        ----------
        photo : Photo
        face : Face or None
            Found in the photo. None: the photo's middle square is encoded.
        regions : sequence of str
            Names in `anthropo.encoder.regions.REGIONS`; one without a face.

        Returns
        -------
        ndarray of float32, (len(regions), dimension)

        Raises
        ------
        InputError
            If there is no such region.
        """


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ChipEncoder(Encoder):
    """One network for every region. Made by `load_encoder`."""

    _network: nn.Module = field(repr=False)
    _mean: PerChannel  # grey levels
    _scale: PerChannel

    def embed(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> NDArray[np.float32]:
        """See `Encoder.embed`."""
        if face is None:
            return self.encode(middle_square(photo, self.size)[None])
        return self.encode(crops(photo, face, regions, self.size, self.align))

    def encode(self, chips: NDArray[np.uint8], *, mirror: bool = True, batch: int = 8) -> NDArray[np.float32]:
        """Embeddings (n, dimension) of chips (n, size, size, 3) as `crops` makes them.

        With `mirror` those of each chip and its mirror image are averaged. More chips in a batch are no
        faster on a CPU, whose cache they overflow.
        """
        import torch

        shape = (self.size, self.size, 3)
        if chips.dtype != np.uint8 or chips.ndim != 4 or chips.shape[1:] != shape:
            raise ValueError(
                f"chips are {chips.dtype} of shape {chips.shape}; {self.name} needs uint8 of shape (n, "
                f"{self.size}, {self.size}, 3)"
            )
        if batch < 1:
            raise ValueError(f"batch={batch}: at least 1 is needed")
        out = np.empty((len(chips), self.dimension), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(chips), batch):
                part = torch.from_numpy(np.ascontiguousarray(chips[start : start + batch]))
                embedded = self.forward(part)
                if mirror:
                    embedded = (embedded + self.forward(part.flip(2))) / 2
                out[start : start + batch] = embedded.numpy()
        return out

    def forward(self, chips: Tensor) -> Tensor:
        """Embeddings (n, dimension) of chips (n, size, size, 3) of any number type, in torch's graph."""
        embedded: Tensor = self._network(self._prepared(chips))
        return embedded

    def early(self, chips: Tensor) -> Tensor:
        """Output (n, channels, h, w) of the network's first layers; the pixels if these are unknown."""
        x = self._prepared(chips)
        early: Tensor = getattr(self._network, "early", lambda pixels: pixels)(x)
        return early

    def late(self, seen: Tensor) -> Tensor:
        """Embeddings of what `early` gave."""
        embedded: Tensor = getattr(self._network, "late", self._network)(seen)
        return embedded

    @property
    def grid(self) -> tuple[int, int]:
        """Pixels of a chip from one place of `early` to the next, and the pixel of the first."""
        grid: tuple[int, int] = getattr(self._network, "grid", (1, 0))
        return grid

    def _prepared(self, chips: Tensor) -> Tensor:
        import torch

        x = (chips - torch.tensor(self._mean)) / torch.tensor(self._scale)
        return x.permute(0, 3, 1, 2)  # in memory it stays channels last

    def randomised(self, seed: int = 0) -> ChipEncoder:
        """The same network with the weights of each layer shuffled: it knows nothing any more."""
        import torch

        network = shuffled(self._network, seed)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return replace(self, name=f"{self.name}, shuffled", digest="", _network=network)


def count_seen(digests: Iterable[str], seen: frozenset[str]) -> int:
    """How many SHA-256 (hexadecimal) begin as one of `seen`, of `SEEN` digits each."""
    return sum(digest[:SEEN] in seen for digest in digests)


def shuffled(network: nn.Module, seed: int) -> nn.Module:
    """A copy with the weights of each layer in random order."""
    import torch

    network = copy.deepcopy(network)
    random = torch.Generator().manual_seed(seed)
    for weights in network.parameters():
        order = torch.randperm(weights.numel(), generator=random)
        weights.data = weights.data.flatten()[order].reshape(weights.shape)
    return network


def load_encoder(name: str = "face-resnet", *, weights: str | os.PathLike[str] | None = None) -> ChipEncoder:
    """An encoder, ready to encode.

    Parameters
    ----------
    name : str
        One of `ENCODERS`, or ``timm:NAME`` for a network of the library timm.
    weights : path, optional
        The network's weights: needed for timm (.safetensors, or .pth with tensors only), another file
        than the packaged one for the others. Nothing is ever downloaded, and no code in a file is run.

    Returns
    -------
    ChipEncoder

    Raises
    ------
    InputError
        If there is no such encoder, or timm's weights are not given.
    WeightsError
        If weights or the library they need are missing, or the file holds something else.

    Examples
    --------
    >>> import anthropo
    >>> encoder = load_encoder()
    >>> encoder.size, encoder.dimension
    (150, 128)
    >>> seen = anthropo.observe(anthropo.example_photo())
    >>> encoder.embed(seen.photo, seen.face, ["face", "eyes"]).shape
    (2, 128)
    """
    if weights is not None:
        require_permitted(os.fspath(weights))  # whose licence nobody has stated
    if name.startswith(_TIMM):
        return _timm_encoder(name, weights)
    if name not in ENCODERS:
        raise InputError(
            f"encoder {name!r}: unknown. Choose from {', '.join(ENCODERS)}, or timm:NAME with a weights file."
        )
    data = read_checked(name) if weights is None else _read(Path(weights))
    where = name if weights is None else os.fspath(weights)
    return (_face_resnet if name == "face-resnet" else _efficientnet_lite0)(data, where)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file.") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}).") from None


def _encoder(
    name: str, network: nn.Module, data: bytes, size: int, mean: PerChannel, scale: PerChannel
) -> ChipEncoder:
    import torch

    packaged = next((weights for weights in KNOWN if weights.name == name), None)
    network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = hashlib.sha256(data).hexdigest()
    described = {
        "version": _VERSION,
        "name": name,
        "weights": weights,
        "size": size,
        "mean": mean,
        "scale": scale,
        "geometry": geometry_digest(),
    }
    with torch.inference_mode():
        trial = network(torch.zeros(1, 3, size, size))
    if trial.ndim != 2 or not torch.isfinite(trial).all():
        raise WeightsError(f"{name}: gives no embedding with these weights. Give weights trained for it.")
    return ChipEncoder(
        name=name,
        digest=hashlib.sha256(json.dumps(described).encode()).hexdigest(),
        size=size,
        dimension=trial.shape[1],
        parameters=sum(p.numel() for p in network.parameters()),
        licence=packaged.licence if packaged else UNKNOWN_LICENCE,
        commercial_use=packaged is not None and packaged.commercial_use,
        data=packaged.data if packaged else UNKNOWN_LICENCE,
        permissive=packaged is not None and packaged.permissive,
        weights=weights,
        _network=network,
        _mean=mean,
        _scale=scale,
    )


def _face_resnet(data: bytes, where: str) -> ChipEncoder:
    from anthropo.encoder.resnet import SIZE, ResNet, read_weights

    weights = read_weights(data, where)
    red, green, blue = (float(m) for m in weights.mean)
    return _encoder("face-resnet", ResNet(weights), data, SIZE, (red, green, blue), (256.0,) * 3)


def empty_efficientnet() -> Any:
    """EfficientNet-Lite0 with random weights, without its classifying layer."""
    name = "efficientnet-lite0"
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise WeightsError(f"{name}: the package efficientnet_lite_pytorch is missing. {INSTALL}") from None
    from torch import nn

    network = EfficientNet.from_name(name)
    network._fc = nn.Identity()
    return network


def _efficientnet_lite0(data: bytes, where: str) -> ChipEncoder:
    name = "efficientnet-lite0"
    from torch import nn

    class Features(nn.Module):
        """The network up to its last pooling."""

        def __init__(self) -> None:
            super().__init__()
            self.network = empty_efficientnet()
            fill_state(self.network, read_state(data, where), where, name, dropped=("_fc",))

        def forward(self, x: Tensor) -> Tensor:
            return self.network.extract_features(x).mean((2, 3))  # type: ignore[no-any-return]

    # as its TensorFlow original was trained
    return _encoder(name, Features(), data, 224, (127.0,) * 3, (128.0,) * 3)


def _timm_encoder(name: str, weights: str | os.PathLike[str] | None) -> ChipEncoder:
    backbone = name[len(_TIMM) :]
    if weights is None:
        raise InputError(
            f"encoder {name}: its weights are needed, as a local .safetensors or .pth file; nothing is "
            "downloaded."
        )
    data = _read(Path(weights))
    timm = import_timm()
    # also keeps out timm's names that mean a download, such as hf-hub:...
    if not timm.is_model(backbone):
        raise InputError(
            f"encoder {name}: timm {timm.__version__} has no network {backbone!r}. Its names are listed by "
            "timm.list_models(); a frequent one is timm:resnet18."
        )
    try:
        network = timm.create_model(backbone, pretrained=False, num_classes=0)
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"encoder {name}: timm cannot make it ({error}). Choose another network.") from None
    settings, where = network.pretrained_cfg, os.fspath(weights)
    fill_state(network, read_state(data, where), where, name, classifying_layers(network))
    red, green, blue = (255.0 * v for v in settings["mean"])
    scale = tuple(255.0 * v for v in settings["std"])
    return _encoder(name, network, data, settings["input_size"][1], (red, green, blue), scale)


def classifying_layers(network: Any) -> tuple[str, ...]:
    """Names of the layers of one of timm's networks that an embedding does not need."""
    head = network.pretrained_cfg.get("classifier") or ()
    return (head,) if isinstance(head, str) else tuple(head)


def import_timm() -> Any:
    """The library timm, also beside a torchvision that was built for another torch."""
    try:
        import timm
    except ImportError as error:
        raise WeightsError(f"timm cannot be used ({error}). {INSTALL}") from None
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        # torchvision was built for another torch, commonly a CUDA build beside a CPU-only torch, and its
        # compiled operators do not load. timm's networks need none of them; once they are declared,
        # torchvision's Python part, which timm does need, can be imported.
        import torch

        declare: Any = torch.library.Library
        library = declare("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):  # which torchvision declares when its compiled part loads
            library.define(f"{operator}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        _declared.append(library)
        try:
            import timm
        except (ImportError, RuntimeError) as still:
            raise WeightsError(
                f"timm cannot be used ({still}). Install the torchvision that was built for this torch."
            ) from None
    return timm


_declared: list[Any] = []  # a declaration lasts as long as its library
