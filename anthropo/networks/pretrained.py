"""Warm starts: weights that were learned elsewhere, put into a body. Nothing is ever downloaded."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from anthropo.encoder.checkpoint import fill_state, read_state
from anthropo.encoder.encoders import UNKNOWN_LICENCE, classifying_layers, import_timm
from anthropo.encoder.resnet import ResNet
from anthropo.encoder.resnet_weights import read_weights
from anthropo.errors import AnthropoError, InputError, WeightsError, parameter
from anthropo.face.weights import KNOWN, read_checked
from anthropo.files import file_sha256, read_regular
from anthropo.learning.bundle import SUFFIX
from anthropo.learning.manifest import WeightsRecord
from anthropo.learning.training import weights_entry
from anthropo.licensing import licence_of, require_permitted
from anthropo.networks.architectures import FITTING, TIMM
from anthropo.networks.network import Network

#: Warm starts that are no file.
NAMED = ("none", "imagenet", *FITTING)


def warm_start(body: nn.Module, backbone: str, view: str, source: str) -> WeightsRecord | None:
    """Put learned weights into a body, and tell where they come from; None if `source` is ``none``.

    `source` is else ``face-resnet`` or ``efficientnet-lite0``, which come with anthropo; ``imagenet``, the
    weights that timm keeps in its cache; or a file: another network (.anthropo), of whose modules that of
    `view` is taken, or a state_dict (.safetensors, .pth with tensors only).
    """
    require_source(backbone, source)
    if source == "none":
        return None
    try:
        if source in FITTING:
            return _packaged(body, backbone, source)
        if source == "imagenet":
            return _cached(body, backbone)
        return _file(body, backbone, view, Path(source))
    except InputError as error:
        raise WeightsError(f"warm start {source}: {error}") from None


def require_source(backbone: str, source: str) -> None:
    """Refuse weights that are not there, or are of another backbone by their name: before photos are read."""
    if source in FITTING and backbone not in FITTING[source]:
        raise WeightsError(
            f"warm start {source}: weights of another network than the backbone {backbone}. Pass "
            f"{parameter('changes', f'backbone={source}')}, or another warm start."
        )
    if source == "imagenet":
        _cache_of(backbone)
    if source not in NAMED and not Path(source).is_file():
        raise WeightsError(
            f"warm start {source}: no such file. Choose from none, {', '.join(FITTING)}, imagenet, or give a "
            "file of weights."
        )


# Layers in a file of weights that a body does not have.
_UNUSED = {
    "deepgestalt": ("fc",),
    "efficientnet-lite0": ("_fc",),
    "face-resnet": ("projection",),
    "face-resnet-map": ("projection", "blocks.13"),
}


def _packaged(body: Any, backbone: str, source: str) -> WeightsRecord:
    data = read_checked(source)
    face_resnet = source == "face-resnet"
    tables = [ResNet(read_weights(data)).state_dict()] if face_resnet else read_state(data, source)
    fill_state(body.network, tables, source, source, _UNUSED[backbone])
    packaged = next(weights for weights in KNOWN if weights.name == source)
    return weights_entry(packaged)


def _cache_of(backbone: str) -> tuple[Path, Any]:
    """Where timm keeps the ImageNet weights of a backbone, and what it knows of them."""
    if backbone not in TIMM:
        instead = backbone if backbone in FITTING else "none"
        raise WeightsError(
            f"warm start imagenet: only timm's networks have it, not {backbone}. Pass "
            f"{parameter('warm_start', instead)}."
        )
    require_permitted("imagenet")
    timm, name = import_timm(), TIMM[backbone]
    settings = timm.models.get_pretrained_cfg(name)
    if (path := _in_cache(settings)) is None:
        raise WeightsError(
            f"warm start imagenet: the weights of {backbone} are not in timm's cache, and nothing is "
            f"downloaded. On a machine with internet access, run `python -c "
            f"\"import timm; timm.create_model('{name}', "
            f'pretrained=True)"` once, or give {parameter("warm_start", "FILE")}, or '
            f"{parameter('warm_start', 'none')}."
        )
    return path, settings


def _cached(body: nn.Module, backbone: str) -> WeightsRecord:
    path, settings = _cache_of(backbone)
    network: Any = body.network
    tables = read_state(read_regular(path), str(path))
    fill_state(network, tables, str(path), backbone, classifying_layers(network))
    known = licence_of("imagenet")
    return WeightsRecord(
        name=f"{settings.architecture or TIMM[backbone]}.{settings.tag} (ImageNet)",
        digest=file_sha256(path),
        licence=settings.license or UNKNOWN_LICENCE,
        commercial_use=False,
        data=known.data if known else UNKNOWN_LICENCE,
        permissive=False,
    )


def _in_cache(settings: Any) -> Path | None:
    """Where timm keeps what it downloaded: the hub's cache, or torch's."""
    if settings.hf_hub_id:
        from huggingface_hub import try_to_load_from_cache

        for name in ("model.safetensors", "pytorch_model.bin"):
            cached = try_to_load_from_cache(settings.hf_hub_id, name)
            if isinstance(cached, str):
                return Path(cached)
    if settings.url:
        path = Path(str(torch.hub.get_dir())) / "checkpoints" / os.path.basename(str(settings.url))
        if path.is_file():
            return path
    return None


def _file(body: nn.Module, backbone: str, view: str, path: Path) -> WeightsRecord:
    if path.suffix == SUFFIX or _is_network(path):
        return _of_network(body, backbone, view, path)
    require_permitted(str(path))  # whose licences nobody has stated
    network: Any = body if backbone == "deepgestalt" else body.network
    tables = read_state(read_regular(path), str(path))
    fill_state(network, tables, str(path), backbone, _UNUSED.get(backbone) or classifying_layers(network))
    return _of_file(
        path, licence=UNKNOWN_LICENCE, commercial_use=False, data=UNKNOWN_LICENCE, permissive=False
    )


def _of_file(path: Path, **licences: Any) -> WeightsRecord:
    """Weights of a user's file, whose own name may be a person's."""
    digest = file_sha256(path)
    return WeightsRecord(name=f"file-{digest[:12]}", digest=digest, **licences)


def _is_network(path: Path) -> bool:
    """Whether a file is a zip as anthropo writes them, and not one of torch.save, whatever their names."""
    try:
        with zipfile.ZipFile(path) as file:
            return not any(name.endswith("data.pkl") for name in file.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _of_network(body: nn.Module, backbone: str, view: str, path: Path) -> WeightsRecord:
    try:
        other = Network.load(path)
        other.manifest.require_permitted(path)
    except AnthropoError as error:
        raise WeightsError(f"warm start {error}") from None
    theirs = other.about.spec.backbone
    module: Any = other.modules[other.views.index(view) if view in other.views else 0]
    if theirs == backbone and hasattr(module, "networks"):
        module = module.networks[0]
    try:
        if theirs != backbone:
            raise RuntimeError
        body.load_state_dict(module.body.state_dict())
    except RuntimeError:
        raise WeightsError(
            f"warm start {path}: weights of another network ({theirs}) than the backbone {backbone} of this "
            f"recipe. Pass {parameter('changes', f'backbone={theirs}')}, or another warm start."
        ) from None
    return _of_file(
        path,
        licence=other.licence,
        commercial_use=other.commercial_use,
        data=other.data_licence,
        permissive=not other.manifest.barred,
    )
