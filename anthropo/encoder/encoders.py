"""Networks that turn the chips of a region into embeddings: one interface, a registry, their licences.

Weights are read, and torch or ONNX Runtime are imported, when a network is needed, not before.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.backends import Backend, FaceBackend, PerChannel, TorchBackend
from anthropo.encoder.checkpoint import fill_state, read_state
from anthropo.encoder.regions import (
    ALIGNMENTS,
    IMAGE,
    crops,
    face_square,
    find_region,
    geometry_digest,
    hidden,
    middle_square,
    photo_square,
)
from anthropo.errors import InputError, WeightsError, not_installed, parameter
from anthropo.face.weights import KNOWN, known_weights, locate, read_checked
from anthropo.files import MOST, read_regular
from anthropo.licensing import require_permitted
from anthropo.photo import LUMA
from anthropo.showing import brief

if TYPE_CHECKING:
    from torch import Tensor, nn

    from anthropo.face.landmarker import Face
    from anthropo.photo import Photo

_VERSION = 1  # raise it when embeddings change in another way than by what the digest lists
TIMM = "timm:"
ONNX = "onnx:"  # start of the name of a network in an ONNX file

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
    grey: bool = False  # whether embeddings are averaged over the picture without its colours as well
    weights: str = ""  # SHA-256, hexadecimal, of the file of weights; empty: of no such file
    views: tuple[str, ...] = ()  # the regions that it can encode; empty: every one
    seen: frozenset[str] = frozenset()  # beginnings of the SHA-256 of photos that it was trained on, as known

    def __repr__(self) -> str:
        return brief(self, self.name, f"{self.dimension} numbers", self.licence)

    def has_seen(self, digests: Iterable[str]) -> int:
        """How many photos with these SHA-256 (hexadecimal) are among those that it was trained on."""
        return count_seen(digests, self.seen)

    @property
    def how(self) -> str:
        """Everything that an embedding depends on beside the photo, in a word."""
        words = [self.digest]  # alone, as before there was a choice
        words += [self.align] if self.align != ALIGNMENTS[0] else []
        return " ".join([*words, "grey"] if self.grey else words)

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


def digest_of(described: Mapping[str, Any]) -> str:
    """SHA-256 of everything that changes an embedding."""
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ChipEncoder(Encoder):
    """One network for every region. Made by `load_encoder`.

    It is pickled by the name of its weights, which are read again where it arrives, once a chip comes.
    """

    backend: Backend = field(repr=False)
    file: str | None = field(default="", repr=False)  # of the weights; None: packaged; empty: of no file

    __repr__ = Encoder.__repr__

    def embed(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> NDArray[np.float32]:
        """See `Encoder.embed`."""
        return self.encode(self.chips(photo, face, regions))

    def chips(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> NDArray[np.uint8]:
        """What the network sees of regions of a face, or of a photo without one, (r, size, size, 3)."""
        if face is None:
            return middle_square(photo, self.size)[None]
        return crops(photo, face, regions, self.size, self.align)

    def square(self, photo: Photo, face: Face | None, region: str) -> NDArray[np.float64]:
        """Where in the photo a region's chip lies: the map (2, 3) of the unit square to its pixels."""
        return photo_square(photo) if face is None else face_square(face, self.align)

    def shown(self, region: str) -> NDArray[np.bool_]:
        """Which of a chip's pixels (size, size) belong to its region."""
        if region == IMAGE:
            return np.ones((self.size, self.size), dtype=bool)
        return ~hidden(find_region(region), self.size)

    def backend_for(self, regions: Sequence[str]) -> Backend:
        """What embeds the chips of these regions, in this order, any number of times over."""
        return self.backend

    def encode(self, chips: NDArray[np.uint8], *, mirror: bool = True, batch: int = 8) -> NDArray[np.float32]:
        """Embeddings (n, dimension) of chips (n, size, size, 3) as `crops` makes them.

        With `mirror` those of each chip and its mirror image are averaged, and with `grey` those of the same
        without colours. More chips in a batch are no faster on a CPU, whose cache they overflow.
        """
        shape = (self.size, self.size, 3)
        if chips.dtype != np.uint8 or chips.ndim != 4 or chips.shape[1:] != shape:
            raise ValueError(
                f"chips are {chips.dtype} of shape {chips.shape}; {self.name} needs uint8 of shape (n, "
                f"{self.size}, {self.size}, 3)"
            )
        if batch < 1:
            raise ValueError(f"batch={batch}: at least 1 is needed")
        out = np.empty((len(chips), self.dimension), dtype=np.float32)
        for start in range(0, len(chips), batch):
            part = chips[start : start + batch]
            embedded = out[start : start + batch]
            if not mirror:
                embedded[:] = self.backend.embed(part)
                continue
            seen = copies(part, self.grey)
            embedded[:] = self.backend.embed(seen[0])
            for copy in seen[1:]:
                embedded += self.backend.embed(copy)
            embedded /= len(seen)
        return out

    @property
    def network(self) -> nn.Module:
        """The network in torch, of pictures (n, 3, size, size)."""
        return self.backend.network

    def forward(self, chips: Tensor) -> Tensor:
        """Embeddings (n, dimension) of chips (n, size, size, 3) of any number type, in torch's graph."""
        embedded: Tensor = self.network(self.backend.prepared(chips))
        return embedded

    def randomised(self, seed: int = 0) -> ChipEncoder:
        """The same network with the weights of each layer shuffled: it knows nothing any more."""
        backend = self.backend.randomised(seed)
        return replace(self, name=f"{self.name}, shuffled", digest="", backend=backend, file="")

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For pickle: how to load the encoder again."""
        if self.file == "":
            return object.__reduce_ex__(self, protocol)
        return _again, (self.name, self.file, self.align, self.digest, self.grey)


def _again(name: str, file: str | None, align: str, digest: str, grey: bool) -> ChipEncoder:
    """The encoder that was pickled."""
    encoder = load_encoder(name, weights=file)
    if encoder.digest != digest:
        raise WeightsError(
            f"{file or name}: other weights, or another version of anthropo, than where the run was begun. "
            "Give both the same."
        )
    return replace(encoder, align=align, grey=grey)


def copies(chips: NDArray[Any], grey: bool = False) -> list[NDArray[Any]]:
    """What embeddings are averaged over: chips, their mirror images, and with `grey` both without colours."""
    seen = [chips, chips[:, :, ::-1]]
    if grey:
        luma = (chips.astype(np.float32) @ np.array(LUMA, np.float32))[..., None].repeat(3, -1)
        seen += [luma, luma[:, :, ::-1]]
    return seen


def count_seen(digests: Iterable[str], seen: frozenset[str]) -> int:
    """How many SHA-256 (hexadecimal) begin as one of `seen`, of `SEEN` digits each."""
    return sum(digest[:SEEN] in seen for digest in digests)


def load_encoder(name: str = "face-resnet", *, weights: str | os.PathLike[str] | None = None) -> ChipEncoder:
    """An encoder, ready to encode.

    Parameters
    ----------
    name : str
        One of `ENCODERS`, ``timm:NAME`` for a network of the library timm, or ``onnx:FILE`` for a network of
        one's own with a sidecar, see docs/files.md.
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
    if name.startswith(ONNX):
        from anthropo.encoder.exported import load_onnx

        if weights is not None:
            raise InputError(f"encoder {name}: the file holds its weights. Leave {parameter('weights')} out.")
        return load_onnx(name.removeprefix(ONNX))
    if weights is not None:
        require_permitted(os.fspath(weights))  # whose licence nobody has stated
    if name.startswith(TIMM):
        return _timm_encoder(name, weights)
    if name not in ENCODERS:
        raise InputError(
            f"encoder {name!r}: unknown. Choose from {', '.join(ENCODERS)}, timm:NAME with a weights file, "
            "or onnx:FILE."
        )
    if name == "face-resnet":
        return _face_resnet(weights)
    data = read_checked(name) if weights is None else read_weights_file(Path(weights))
    return _efficientnet_lite0(data, weights)


def read_weights_file(path: Path, *, most: int = MOST) -> bytes:
    """A file of weights, at most so many bytes."""
    try:
        return read_regular(path, most=most)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file.") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}).") from None


def _encoder(
    name: str, backend: Backend, sha256: str, size: int, dimension: int, parameters: int, file: str | None
) -> ChipEncoder:
    packaged = next((weights for weights in KNOWN if weights.name == name), None)
    described = {
        "version": _VERSION,
        "name": name,
        "weights": sha256,
        "size": size,
        "mean": backend.mean,
        "scale": backend.scale,
        "geometry": geometry_digest(),
    }
    return ChipEncoder(
        name=name,
        digest=digest_of(described),
        size=size,
        dimension=dimension,
        parameters=parameters,
        licence=packaged.licence if packaged else UNKNOWN_LICENCE,
        commercial_use=packaged is not None and packaged.commercial_use,
        data=packaged.data if packaged else UNKNOWN_LICENCE,
        permissive=packaged is not None and packaged.permissive,
        weights=sha256,
        backend=backend,
        file=file,
    )


def _tried(name: str, backend: Backend, size: int) -> int:
    """How many numbers an embedding of the network has, once it gives one."""
    trial = backend.embed(np.zeros((1, size, size, 3), np.uint8))
    if trial.ndim != 2 or not np.isfinite(trial).all():
        raise WeightsError(f"{name}: gives no embedding with these weights. Give weights trained for it.")
    return int(trial.shape[1])


def _in_torch(
    name: str,
    network: nn.Module,
    data: bytes,
    size: int,
    mean: PerChannel,
    scale: PerChannel,
    file: str | os.PathLike[str] | None,
) -> ChipEncoder:
    backend = TorchBackend(network, mean, scale)
    return _encoder(
        name,
        backend,
        hashlib.sha256(data).hexdigest(),
        size,
        _tried(name, backend, size),
        sum(p.numel() for p in network.parameters()),
        None if file is None else os.path.abspath(file),
    )


def _face_resnet(file: str | os.PathLike[str] | None) -> ChipEncoder:
    from anthropo.encoder.resnet_weights import DIMENSION, SIZE, parameter_count, read_weights

    name = "face-resnet"
    if file is None:
        require_permitted(name)
        backend, sha256 = _packaged_face(locate(name)), known_weights(name).sha256
        return _encoder(name, backend, sha256, SIZE, DIMENSION, parameter_count(), None)
    data = read_weights_file(Path(file))
    weights = read_weights(data, os.fspath(file))
    red, green, blue = (float(m) for m in weights.mean)
    packaged = FaceBackend(lambda: weights, (red, green, blue))
    _tried(name, packaged, SIZE)
    sha256 = hashlib.sha256(data).hexdigest()
    return _encoder(name, packaged, sha256, SIZE, DIMENSION, parameter_count(), os.path.abspath(file))


@lru_cache(maxsize=1)
def _packaged_face(path: Path) -> FaceBackend:
    """One for all that use it, since it holds the weights; `path` is where these lie."""
    from anthropo.encoder.resnet_weights import MEAN, read_weights

    return FaceBackend(lambda: read_weights(read_checked("face-resnet")), MEAN)


def empty_efficientnet() -> Any:
    """EfficientNet-Lite0 with random weights, without its classifying layer."""
    name = "efficientnet-lite0"
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise WeightsError(not_installed(name, "efficientnet_lite_pytorch", "cnn", error=error)) from None
    from torch import nn

    network = EfficientNet.from_name(name)
    network._fc = nn.Identity()
    return network


def _efficientnet_lite0(data: bytes, file: str | os.PathLike[str] | None) -> ChipEncoder:
    name = "efficientnet-lite0"
    where = name if file is None else os.fspath(file)
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
    return _in_torch(name, Features(), data, 224, (127.0,) * 3, (128.0,) * 3, file)


def _timm_encoder(name: str, weights: str | os.PathLike[str] | None) -> ChipEncoder:
    backbone = name[len(TIMM) :]
    if weights is None:
        raise InputError(
            f"encoder {name}: its weights are needed, as a local .safetensors or .pth file; nothing is "
            "downloaded."
        )
    data = read_weights_file(Path(weights))
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
    return _in_torch(name, network, data, settings["input_size"][1], (red, green, blue), scale, weights)


def classifying_layers(network: Any) -> tuple[str, ...]:
    """Names of the layers of one of timm's networks that an embedding does not need."""
    head = network.pretrained_cfg.get("classifier") or ()
    return (head,) if isinstance(head, str) else tuple(head)


def import_timm() -> Any:
    """The library timm, also beside a torchvision that was built for another torch."""
    try:
        import timm
    except ImportError as error:
        raise WeightsError(not_installed("The network", "timm", "cnn", error=error)) from None
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
