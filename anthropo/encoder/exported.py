"""Networks that `anthropo export` wrote as encoders: the file itself says what its pictures are."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.backends import Backend, Chips, Floats
from anthropo.encoder.encoders import ONNX, UNKNOWN_LICENCE, ChipEncoder, digest_of
from anthropo.encoder.onnx_file import FLOAT, UINT8, OnnxFile, look_through, shuffled_weights
from anthropo.encoder.onnx_trial import try_out
from anthropo.encoder.own import OnnxEncoder, finite, read_onnx, with_sidecar
from anthropo.encoder.regions import (
    HYBRID_REGIONS,
    IMAGE,
    Pixels,
    geometry_digest,
    hidden,
    photo_square,
)
from anthropo.encoder.runtime import LateSession
from anthropo.encoder.views import ALIGNMENTS, CROPS, View
from anthropo.errors import InputError, WeightsError
from anthropo.face.landmarker import Face
from anthropo.licensing import LicenceError, is_permissive_run, licence_of
from anthropo.photo import Photo
from anthropo.plain import visible

#: Names of inputs and outputs, see `anthropo.networks.export`.
PICTURES, METADATA, EMBEDDING = "pictures", "metadata", "embedding"
_VERSION = 1  # raise it when embeddings change in another way than by what the digest lists
_SIZES = (32, 1024)  # px
_MOST_METADATA = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stated:
    """What an exported file says of itself."""

    view: View
    cases: bool  # photos of a case take the place of views
    dimension: int  # numbers in one view's embedding
    metadata: int  # numbers of a case's metadata that it takes
    licence: str
    data: str
    commercial_use: bool
    permissive: bool


class ExportedBackend(Backend):
    """An exported network, which looks at all of its views at once; for the chips of some of them in turn."""

    differentiable = False
    mean, scale = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(self, data: bytes, file: OnnxFile, stated: _Stated, regions: Sequence[str] = ()) -> None:
        self._data, self._file, self._stated = data, file, stated
        self._places = [stated.view.names.index(region) for region in regions or stated.view.names]
        self._session = LateSession(data)

    def of(self, regions: Sequence[str]) -> ExportedBackend:
        """The same for chips of these regions."""
        return ExportedBackend(self._data, self._file, self._stated, regions)

    @property
    def network(self) -> Any:
        """An ONNX file has no network in torch."""
        raise InputError("An ONNX file is run as it is; it has no network in torch.")

    def randomised(self, seed: int) -> ExportedBackend:
        """See `Backend.randomised`."""
        made = ExportedBackend(shuffled_weights(self._data, self._file, seed), self._file, self._stated)
        made._places = self._places
        return made

    def feeds(self, pictures: Pixels) -> dict[str, NDArray[Any]]:
        """The file's inputs: pictures (n, views, size, size, 3), and metadata that are all missing."""
        given: dict[str, NDArray[Any]] = {PICTURES: pictures}
        if self._stated.metadata:
            given[METADATA] = np.zeros((len(pictures), self._stated.metadata), np.float32)
            given[METADATA][:, 1::2] = 1
        return given

    def embed(self, chips: Chips) -> Floats:
        """See `Backend.embed`; the chips are of the regions in their order, any number of times over."""
        stated, r = self._stated, len(self._places)
        pictures = np.clip(np.rint(chips), 0, 255).astype(np.uint8)
        depth, size = 1 if stated.cases else len(stated.view.names), stated.view.size
        faces = np.zeros((len(chips) // r, depth, size, size, 3), np.uint8)
        faces[:, self._places] = pictures.reshape(-1, r, size, size, 3)
        out = self._run(faces).reshape(len(faces), depth, stated.dimension)[:, self._places]
        return np.ascontiguousarray(out).reshape(len(chips), stated.dimension)

    def _run(self, faces: Pixels) -> Floats:
        return cast("Floats", self._session.run([EMBEDDING], self.feeds(faces))[0])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ExportedEncoder(ChipEncoder):
    """A network that `anthropo export` wrote. Made by `load_onnx`; pickled by the name of its file."""

    view: View = field(repr=False)

    __repr__ = ChipEncoder.__repr__

    def chips(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> Pixels:
        """See `ChipEncoder.chips`."""
        wanted = (IMAGE,) if face is None else tuple(regions)
        for region in wanted:
            if region not in self.views:
                raise InputError(f"{self.name}: sees {', '.join(self.views)} alone, and no region {region}.")
        view = replace(self.view, names=wanted)
        return view.cut(photo, view.frame(face) if face is not None and view.needs_face else None)

    def square(self, photo: Photo, face: Face | None, region: str) -> NDArray[np.float64]:
        """See `ChipEncoder.square`."""
        if face is None or region == IMAGE:
            return photo_square(photo)
        left, top, right, bottom = self.view.box(self.view.region(region))
        frame = self.view.frame(face)
        return np.column_stack(
            [frame[:, :2] * (right - left, bottom - top), frame[:, :2] @ (left, top) + frame[:, 2]]
        )

    def shown(self, region: str) -> NDArray[np.bool_]:
        """See `ChipEncoder.shown`."""
        if region == IMAGE or self.view.crops == "scaled":
            return np.ones((self.size, self.size), dtype=bool)
        return ~hidden(self.view.region(region), self.size)

    def backend_for(self, regions: Sequence[str]) -> ExportedBackend:
        """See `ChipEncoder.backend_for`."""
        assert isinstance(self.backend, ExportedBackend)
        return self.backend.of(regions)

    def embed(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> NDArray[np.float32]:
        """See `Encoder.embed`; a PhotoError where the network gives no numbers."""
        wanted = (IMAGE,) if face is None else tuple(regions)
        encoder = replace(self, backend=self.backend_for(wanted))
        chips = self.chips(photo, face, wanted)
        return finite(encoder.encode(chips, batch=max(1, len(chips))), photo, self.name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For pickle: how to load the encoder again."""
        if self.file == "":
            return object.__reduce_ex__(self, protocol)
        return _again, (self.file, self.digest, self.grey)


def _again(file: str, digest: str, grey: bool) -> ExportedEncoder:
    """The encoder that was pickled, which has been tried where the run was begun."""
    encoder = load_onnx(file, tried=True)
    if encoder.digest != digest or not isinstance(encoder, ExportedEncoder):
        raise WeightsError(
            f"{file}: another file, or another version of anthropo, than where the run was begun. Give both "
            "the same."
        )
    return replace(encoder, grey=grey)


def load_onnx(path: str | os.PathLike[str], *, tried: bool = False) -> OnnxEncoder | ExportedEncoder:
    """A network in an ONNX file: with a sidecar, or as `anthropo export` wrote it.

    Parameters
    ----------
    path : path
    tried : bool
        Whether it has been run once already, which takes about a second.

    Raises
    ------
    InputError
        If it needs a sidecar and there is none, or that does not fit.
    WeightsError
        If the file is no ONNX file, asks for what no network of pictures needs, or cannot be run.
    """
    path = Path(path)
    where = os.fspath(path)
    data = read_onnx(path)
    file = look_through(data, where)
    pictures = next((one for one in file.inputs if one.name == PICTURES and one.kind == UINT8), None)
    if pictures is None or "anthropo" not in file.metadata:
        return with_sidecar(path, data, file, tried=tried)
    try:
        stated = _stated_in(file)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WeightsError(
            f"{where}: says that anthropo export wrote it, and what it says of its pictures cannot be "
            f"({' '.join(str(error).split())[:100]}). Export the network again."
        ) from None
    if is_permissive_run() and not stated.permissive:
        terms = visible(f"{stated.licence}; trained on {stated.data}")
        raise LicenceError(f"A permissive run cannot use {where}: {terms}.")
    backend, depth, size = (
        ExportedBackend(data, file, stated),
        1 if stated.cases else len(stated.view.names),
        stated.view.size,
    )
    if not tried:
        noise = np.random.default_rng(0).integers(0, 256, (2, depth, size, size, 3), dtype=np.uint8)
        noise[0] = 128
        shape = try_out(data, backend.feeds(noise), EMBEDDING, where)
        if shape != (2, depth * stated.dimension):
            raise WeightsError(
                f"{where}: says that an embedding of its {depth} views has {depth * stated.dimension} "
                f"numbers, and gives {shape[1:]}. Export the network again."
            )
    sha256 = hashlib.sha256(data).hexdigest()
    described = {"version": _VERSION, "weights": sha256, "geometry": geometry_digest()}
    return ExportedEncoder(
        name=f"{ONNX}{path.name}",
        digest=digest_of(described),
        size=size,
        dimension=stated.dimension,
        parameters=file.parameters,
        licence=stated.licence,
        commercial_use=stated.commercial_use,
        data=stated.data,
        permissive=stated.permissive,
        weights=sha256,
        views=stated.view.names,
        backend=backend,
        file=os.path.abspath(path),
        view=stated.view,
    )


def _stated_in(file: OnnxFile) -> _Stated:
    """What a file says of itself, each entry checked; one of several errors where it cannot be."""
    text = file.metadata
    views, size, dimension = (json.loads(text[name]) for name in ("views", "size", "dimension"))
    lo, hi = _SIZES
    if type(size) is not int or not lo <= size <= hi:
        raise ValueError(f"size {size!r}")
    if type(dimension) is not int or not 1 <= dimension <= 1 << 15:
        raise ValueError(f"dimension {dimension!r}")
    known = isinstance(views, list) and all(isinstance(v, str) for v in views) and len({*views}) == len(views)
    if not known or not views or not (views == [IMAGE] or {*views} <= {*HYBRID_REGIONS}):
        raise ValueError(f"views {views!r}")
    alignment, crops = (text[name] for name in ("alignment", "crops"))
    if alignment not in ALIGNMENTS or crops not in CROPS:
        raise ValueError(f"alignment {alignment!r}, crops {crops!r}")
    others = [one for one in file.inputs if one.name != PICTURES]
    if any(one.name != METADATA or one.kind != FLOAT or len(one.shape) != 2 for one in others):
        raise ValueError(f"input {others[0]}")
    metadata = (others[0].shape[1] or 0) if others else 0
    if EMBEDDING not in [one.name for one in file.outputs] or metadata > _MOST_METADATA:
        raise ValueError("no output embedding")
    weights = json.loads(text.get("weights", "[]"))
    if not isinstance(weights, list) or not all(isinstance(one, Mapping) for one in weights):
        raise ValueError("weights")
    stated = {
        name: list(dict.fromkeys(str(one[name])[:500] for one in weights if one.get(name)))
        for name in ("licence", "data")
    }
    return _Stated(
        view=View(tuple(views), size, alignment, crops),
        cases=text.get("task") == "cases",
        dimension=dimension,
        metadata=metadata,
        licence="; ".join(stated["licence"]) or UNKNOWN_LICENCE,
        data="; ".join([*stated["data"], "that of its training photographs"]),
        commercial_use=all(one.get("commercial_use") is True for one in weights),
        permissive=views == [IMAGE] and all(_allowed(one) for one in weights),
    )


def _allowed(weights: Mapping[str, Any]) -> bool:
    """Whether a permissive run may use weights that a network began with."""
    name = weights.get("name")
    known = licence_of(name if isinstance(name, str) else None)
    return known.permissive if known else weights.get("permissive") is True
