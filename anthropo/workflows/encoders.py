"""Which encoders look at photographs: named for training, or those that a model was trained with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.encoder.encoders import ONNX, TIMM, Encoder, load_encoder
from anthropo.encoder.regions import ALIGNMENTS, DEFAULT_REGIONS, HYBRID_REGIONS, IMAGE
from anthropo.encoder.several import AT, AnyEncoder, Encoders, each_of, plain_region
from anthropo.encoder.sidecar import sidecar_of
from anthropo.errors import InputError, ModelError, WeightsError, parameter
from anthropo.settings import Settings

if TYPE_CHECKING:
    from anthropo.learning.manifest import EncoderWeights
    from anthropo.learning.trained import Trained

FACE_ENCODER, TEXTURE_ENCODER = "face-resnet", "efficientnet-lite0"  # unless another one is named
#: What embeddings are averaged over, beside the picture itself.
TTA = ("mirror", "mirror+grey")


def is_network_file(encoder: str) -> bool:
    """Whether an encoder's name is that of a file which `anthropo finetune` wrote."""
    return encoder.endswith(".anthropo")


def _is_file(encoder: str) -> bool:
    """Whether an encoder's name says where its file is."""
    return is_network_file(encoder) or encoder.startswith(ONNX)


def _split(words: str, prefix: str = "") -> list[str]:
    """Words with commas between, of which one may be the name of a file that has commas itself."""
    if os.path.exists(words.removeprefix(prefix)):
        return [words]
    return [word.strip() for word in words.split(",")]


def encoder_files(names: str, folder: Path) -> list[str]:
    """What may be files of a folder among the names of encoders, with the sidecars that are beside them."""
    files = []
    for name in _split(names, ONNX):
        file = name.removeprefix(ONNX)
        files.append(file)
        if file.endswith(".onnx") and (sidecar := sidecar_of(folder / file)) is not None:
            files.append(os.fspath(Path(file).with_name(sidecar.name)))
    return files


def named_encoder(
    name: str | None, weights: str | None, align: str | None, tta: str | None, settings: Settings
) -> AnyEncoder:
    """The encoder of that name, or several with commas, aligned and averaged as asked for.

    Raises
    ------
    InputError, WeightsError
        If there is no such encoder, or it cannot see such photos.
    """
    names = [None] if name is None else _split(name, ONNX)
    if "" in names:
        raise InputError(f"{parameter('encoder', name)}: a name is empty. Leave out the comma.")
    if len(names) == 1:
        each = [_encoder(names[0], weights, settings)]
    else:
        files = _split(weights) if weights else []
        each = []
        for one in names:
            takes = bool(one and one.startswith(TIMM) and files)
            each.append(_encoder(one, files.pop(0) if takes else None, settings))
        if files:
            raise InputError(
                f"{parameter('encoder_weights', files[0])}: of several encoders only timm:NAME take weights. "
                "Leave it out."
            )
    each = [_aligned(one, align, len(names) > 1, settings) for one in each]
    if tta is not None and tta not in TTA:
        raise InputError(f"{parameter('tta', tta)}: unknown. Choose from {', '.join(TTA)}.")
    each = [replace(one, grey=tta == TTA[1]) for one in each]
    return each[0] if len(each) == 1 else Encoders(each=tuple(each))


def _aligned(encoder: Encoder, align: str | None, several: bool, settings: Settings) -> Encoder:
    """The encoder with the alignment asked for, which of several is for those that have a choice."""
    if align is None:
        return encoder
    if align not in ALIGNMENTS:
        raise InputError(f"{parameter('align', align)}: unknown. Choose from {', '.join(ALIGNMENTS)}.")
    if settings.no_face or (encoder.views and not several):
        what = "pictures without a face have none" if settings.no_face else f"{encoder.name} has its own"
        raise InputError(f"{parameter('align', align)}: {what}. Leave it out.")
    return encoder if encoder.views else replace(encoder, align=align)


def _encoder(name: str | None, weights: str | None, settings: Settings) -> Encoder:
    if name and _is_file(name):
        if weights:
            raise InputError(
                f"{parameter('encoder', name)}: a network holds its weights. Leave "
                f"{parameter('encoder_weights')} out."
            )
        network = _from_file(name)
        _check_sight(network, name, settings)
        return network
    if name or not settings.no_face:
        return load_encoder(name or FACE_ENCODER, weights=weights)
    try:
        return load_encoder(TEXTURE_ENCODER, weights=weights)
    except WeightsError as error:
        raise WeightsError(
            f"{error} Or name another with {parameter('encoder')}; {FACE_ENCODER} is always there."
        ) from None


def _from_file(name: str) -> Encoder:
    if name.startswith(ONNX):
        return load_encoder(name)
    from anthropo.networks.encoder import network_encoder

    return network_encoder(name)


def _check_sight(encoder: Encoder, name: str, settings: Settings) -> None:
    """Refuse a network that needs a face where there is none, or the other way round."""
    whole = encoder.views == (IMAGE,)
    if settings.no_face and encoder.views and not whole:
        raise InputError(
            f"{parameter('encoder', name)}: the network was trained on faces; leave "
            f"{parameter('no_face', True)} out, or choose another."
        )
    if not settings.no_face and whole and is_network_file(name):
        raise InputError(
            f"{parameter('encoder', name)}: the network was trained on whole photos; pass "
            f"{parameter('no_face', True)}, or choose another."
        )


# -------------------------------------------------------------------------------------------- its regions


def chosen_regions(encoder: AnyEncoder, wanted: Sequence[str], no_face: bool) -> tuple[str, ...]:
    """The regions that are encoded: those that are wanted, else what the encoder sees.

    Raises
    ------
    InputError
        If there is no such region, or an encoder does not see it.
    """
    wanted = tuple(dict.fromkeys(wanted))
    if no_face and wanted:
        raise InputError(
            f"{parameter('regions')} are of a face, {parameter('no_face', True)} has none. Leave one of them "
            "out."
        )
    for region in wanted:
        if plain_region(region) not in (*HYBRID_REGIONS, *((IMAGE,) if IMAGE in _all_views(encoder) else ())):
            raise InputError(
                f"{parameter('regions', region)}: unknown. Choose from {', '.join(HYBRID_REGIONS)}."
            )
    otherwise = (IMAGE,) if no_face else DEFAULT_REGIONS
    if isinstance(encoder, Encoders):
        by_name = {one.name: _of_several(one, encoder, wanted, otherwise) for one in encoder.each}
        return encoder.named(by_name)
    for region in wanted:
        if AT in region or (encoder.views and region not in encoder.views):
            raise InputError(
                f"{parameter('regions', region)}: {encoder.name} was not trained on it. Its regions are "
                f"{', '.join(encoder.views or HYBRID_REGIONS)}."
            )
    return wanted or encoder.views or otherwise


def _all_views(encoder: AnyEncoder) -> set[str]:
    return {view for one in each_of(encoder) for view in one.views}


def _of_several(
    one: Encoder, encoders: Encoders, wanted: Sequence[str], otherwise: Sequence[str]
) -> tuple[str, ...]:
    """What one of several encoders sees of the wanted regions; of those that name no encoder what it can."""
    names = [each.name for each in encoders.each]
    sees = one.views
    visible_regions = []
    for region in wanted:
        plain, at, name = region.partition(AT)
        if at and name not in names:
            raise InputError(f"{parameter('regions', region)}: no such encoder. They are {', '.join(names)}.")
        if name == one.name and sees and plain not in sees:
            raise InputError(
                f"{parameter('regions', region)}: {name} was not trained on it. Its regions are "
                f"{', '.join(sees)}."
            )
        if name == one.name or (not at and (not sees or plain in sees)):
            visible_regions.append(plain)
    if wanted and not visible_regions:
        raise InputError(
            f"{parameter('regions')}: {one.name} sees none of {', '.join(wanted)}. Its regions are "
            f"{', '.join(sees or HYBRID_REGIONS)}; leave the encoder out, or name one of them."
        )
    return tuple(dict.fromkeys(visible_regions)) or sees or tuple(otherwise)


# ------------------------------------------------------------------------------------- those of a model


def encoder_for(trained: Trained, path: str, weights: str | None, settings: Settings) -> AnyEncoder:
    """The encoders that a model was trained with.

    The files of networks are looked for beside the model, unless `weights` says where they are: one file, or
    several with commas, which are told apart by their names.

    Raises
    ------
    InputError, ModelError, WeightsError
        If one is missing, or another than in training.
    """
    encoders = trained.manifest.encoders
    if not encoders[0].name:
        raise ModelError(f"{path}: the model does not say which encoder it needs. Train it again.")
    given = _split(weights) if weights else []
    each = []
    for one in encoders:
        encoder = _again(one, path, given, alone=len(encoders) == 1)
        each.append(replace(encoder, align=one.align, grey=one.grey))
    if given and len(encoders) > 1:
        raise InputError(
            f"{parameter('encoder_weights', given[0])}: not the name of an encoder of {path}, which are "
            f"{', '.join(Path(str(one.name).removeprefix(ONNX)).name for one in encoders)}."
        )
    together: AnyEncoder = each[0] if len(each) == 1 else Encoders(each=tuple(each))
    trained.check_instrument(together, settings, path)
    return together


def _again(of: EncoderWeights, path: str, given: list[str], *, alone: bool) -> Encoder:
    """One encoder of a model; of the files that are `given` it takes its own out."""
    name = str(of.name)
    if not _is_file(name):
        if alone:
            return load_encoder(name, weights=given[0] if given else None)
        return load_encoder(name, weights=given.pop(0) if name.startswith(TIMM) and given else None)
    start = ONNX if name.startswith(ONNX) else ""
    file = Path(name.removeprefix(start)).name
    place = next((place for place in given if alone or Path(place).name == file), None)
    if place is not None:
        given.remove(place)
    elif not (beside := Path(path).parent / file).is_file():
        raise InputError(
            f"{path}: its encoder is the network {file}, which is not beside it. Copy it "
            f"there, or give its place with {parameter('encoder_weights')}."
        )
    else:
        place = os.fspath(beside)
    return _from_file(start + place)
