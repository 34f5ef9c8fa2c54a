"""Networks of one's own in ONNX files as encoders: any that turns a picture into an embedding.

How its pictures are made is said by a sidecar (`anthropo.encoder.sidecar`), or by the file itself if
`anthropo export` wrote it. The file may come from anywhere: see `anthropo.encoder.onnx_file`.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.arcface import FACE, arcface_square
from anthropo.encoder.backends import Backend, Chips, Floats
from anthropo.encoder.encoders import ONNX, ChipEncoder, digest_of, read_weights_file
from anthropo.encoder.onnx_file import FLOAT, MOST_BYTES, OnnxFile, Value, look_through, shuffled_weights
from anthropo.encoder.onnx_trial import try_out
from anthropo.encoder.regions import IMAGE, Pixels, geometry_digest, middle_square, photo_square, warped
from anthropo.encoder.runtime import LateSession, has_runtime
from anthropo.encoder.sidecar import ARCFACE, CHIP, PHOTO, Sidecar, read_sidecar
from anthropo.errors import InputError, PhotoError, WeightsError, not_installed
from anthropo.face.detection import power_of_two
from anthropo.face.landmarker import Face
from anthropo.licensing import LicenceError, is_permissive_run
from anthropo.photo import LUMA, Photo
from anthropo.plain import visible

_VERSION = 1  # raise it when embeddings change in another way than by what the digest lists
_MOST_NUMBERS = 1 << 15  # in an embedding


class OnnxBackend(Backend):
    """A network in an ONNX file, which ONNX Runtime reads when the first chip comes. It has no gradients."""

    differentiable = False

    def __init__(self, data: bytes, file: OnnxFile, sidecar: Sidecar, taken: Value, given: Value) -> None:
        self.mean, self.scale = sidecar.mean, sidecar.scale
        self._data, self._file, self._about, self._taken, self._given = data, file, sidecar, taken, given
        self._session = LateSession(data)

    @property
    def network(self) -> Any:
        """An ONNX file has no network in torch."""
        raise InputError("An ONNX file is run as it is; it has no network in torch.")

    def randomised(self, seed: int) -> OnnxBackend:
        """See `Backend.randomised`."""
        data = shuffled_weights(self._data, self._file, seed)
        return OnnxBackend(data, self._file, self._about, self._taken, self._given)

    def inputs(self, chips: Chips) -> Floats:
        """What the network takes, of chips (n, size, size, 3) in red, green and blue."""
        colour = self._about.colour
        x: NDArray[Any] = chips.astype(np.float32)
        if colour == "grey":
            x = (x @ np.array(LUMA, np.float32))[..., None]
        elif colour == "BGR":
            x = x[..., ::-1]
        channels = x.shape[-1]
        x = (x - np.array(self.mean[:channels], np.float32)) / np.array(self.scale[:channels], np.float32)
        return np.ascontiguousarray(
            x if layout_of(self._taken, self._about) == "NHWC" else x.transpose(0, 3, 1, 2)
        )

    def embed(self, chips: Chips) -> Floats:
        """See `Backend.embed`."""
        x = self.inputs(chips)
        together = len(x) if self._taken.shape[0] is None else 1
        parts = [self._run(x[at : at + together]) for at in range(0, len(x), max(1, together))]
        return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)

    def _run(self, x: Floats) -> Floats:
        out = self._session.run([self._given.name], {self._taken.name: x})[0]
        return cast("Floats", np.asarray(out, dtype=np.float32).reshape(len(x), -1))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OnnxEncoder(ChipEncoder):
    """A network of one's own. Made by `onnx_encoder`; pickled by the name of its file."""

    about: Sidecar = field(repr=False)

    __repr__ = ChipEncoder.__repr__

    def chips(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> Pixels:
        """See `ChipEncoder.chips`."""
        size = self.size
        if self.about.alignment == CHIP:
            return ChipEncoder.chips(self, photo, face, regions)
        for region in regions:
            if region not in self.views:
                raise InputError(f"{self.name}: sees {', '.join(self.views)} alone, and no region {region}.")
        if self.about.alignment == PHOTO:
            finer = photo.finer(power_of_two(min(photo.full_size) / size))
            return np.repeat(middle_square(finer, size)[None], len(regions), 0)
        if face is None:
            raise InputError(f"{self.name}: is laid on five points of a face, and there is none.")
        chip = warped(photo, arcface_square(face.landmarks, size), (0, 0, 1, 1), size)
        return np.repeat(chip[None], len(regions), 0)

    def square(self, photo: Photo, face: Face | None, region: str) -> NDArray[np.float64]:
        """See `ChipEncoder.square`."""
        if self.about.alignment == PHOTO or face is None:
            return photo_square(photo)
        if self.about.alignment == ARCFACE:
            return arcface_square(face.landmarks, self.size)
        return ChipEncoder.square(self, photo, face, region)

    def embed(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> NDArray[np.float32]:
        """See `Encoder.embed`; a PhotoError where a network gives no numbers."""
        return finite(ChipEncoder.embed(self, photo, face, regions), photo, self.name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For pickle: how to load the encoder again."""
        if self.file == "":
            return object.__reduce_ex__(self, protocol)
        return _again, (self.file, self.digest, self.align, self.grey)


def finite(embeddings: NDArray[np.float32], photo: Photo, name: str) -> NDArray[np.float32]:
    """Embeddings, if they are numbers; a PhotoError if not."""
    if not np.isfinite(embeddings).all():
        raise PhotoError(f"{photo.source}: the encoder {name} gives no finite numbers for it.")
    return embeddings


def _again(file: str, digest: str, align: str, grey: bool) -> OnnxEncoder:
    """The encoder that was pickled, which has been tried where the run was begun."""
    encoder = onnx_encoder(file, tried=True)
    if encoder.digest != digest:
        raise WeightsError(
            f"{file}: another file or sidecar, or another version of anthropo, than where the run was begun. "
            "Give both the same."
        )
    return replace(encoder, align=align, grey=grey)


def onnx_encoder(path: str | os.PathLike[str], *, tried: bool = False) -> OnnxEncoder:
    """A network in an ONNX file with a sidecar, ready to encode.

    Parameters
    ----------
    path : path
        Of the ONNX file; FILE.onnx.toml or FILE.toml beside it says how its pictures are made.
    tried : bool
        Whether it has been run once already, which takes about a second.

    Returns
    -------
    OnnxEncoder

    Raises
    ------
    InputError
        If there is no sidecar, or it does not fit the file.
    WeightsError
        If the file is no ONNX file, asks for what no network of pictures needs, or cannot be run.

    Examples
    --------
    >>> from anthropo.encoder.onnx_graph import Graph
    >>> graph = Graph()  # the mean colour of a picture
    >>> mean = graph.node("GlobalAveragePool", graph.input("picture", ("n", 3, 32, 32)))
    >>> graph.output(graph.node("Flatten", mean), "embedding", ("n", 3))
    >>> _ = Path("colour.onnx").write_bytes(graph.to_bytes())
    >>> says = 'size = 32\\nmean = 0\\nscale = 255\\ncolour = "RGB"\\nalignment = "photo"'
    >>> _ = Path("colour.toml").write_text(says)
    >>> encoder = onnx_encoder("colour.onnx")
    >>> encoder.name, encoder.dimension, encoder.views
    ('onnx:colour.onnx', 3, ('image',))
    """
    path = Path(path)
    data = read_onnx(path)
    return with_sidecar(path, data, look_through(data, os.fspath(path)), tried=tried)


def with_sidecar(path: Path, data: bytes, file: OnnxFile, *, tried: bool = False) -> OnnxEncoder:
    """The encoder in a file that was read and looked through; see `onnx_encoder`."""
    where, about = os.fspath(path), read_sidecar(path)
    if is_permissive_run() and not about.permissive:
        raise LicenceError(
            f"A permissive run cannot use {where}: its sidecar does not state that code, weights and "
            "training data are permissive (permissive = true, with licence and data)."
        )
    taken, given = _picture(file, about, where), _embedding(file, about, where)
    backend = OnnxBackend(data, file, about, taken, given)
    dimension = about.dimension or _stated(given)
    if not tried or dimension is None:
        noise = np.random.default_rng(0).integers(0, 256, (1, about.size, about.size, 3), dtype=np.uint8)
        trial = backend.inputs(np.concatenate([np.full_like(noise, 128), noise]))
        if taken.shape[0] is not None:
            trial = trial[1:]
        shape = try_out(data, {taken.name: trial}, given.name, where)
        if len(shape) < 2 or shape[0] != len(trial) or math.prod(shape[1:]) != max(shape[1:]):
            raise WeightsError(
                f"{where}: its output {given.name!r} has the shape {shape} for {len(trial)} picture(s), and "
                "an embedding has (pictures, numbers). Name another one as `output` in the sidecar."
            )
        length = math.prod(shape[1:])
        if about.dimension not in (None, length):
            raise InputError(
                f"{where}: its sidecar states dimension = {about.dimension}, and it gives {length}."
            )
        dimension = length
    if not 1 <= dimension <= _MOST_NUMBERS:
        raise WeightsError(
            f"{where}: its embedding has {dimension:,} numbers, and {_MOST_NUMBERS:,} is the most."
        )
    sha256 = hashlib.sha256(data).hexdigest()
    described = {
        "version": _VERSION,
        "weights": sha256,
        "picture": [about.size, about.mean, about.scale, about.colour, about.alignment, about.layout],
        "output": given.name,
        "geometry": geometry_digest(),
    }
    return OnnxEncoder(
        name=f"{ONNX}{path.name}",
        digest=digest_of(described),
        size=about.size,
        dimension=dimension,
        parameters=file.parameters,
        licence=about.licence,
        commercial_use=about.commercial_use,
        data=about.data,
        permissive=about.permissive,
        weights=sha256,
        views={CHIP: (), ARCFACE: (FACE,), PHOTO: (IMAGE,)}[about.alignment],
        backend=backend,
        file=os.path.abspath(path),
        about=about,
    )


def read_onnx(path: Path) -> bytes:
    """The bytes of an ONNX file, where it can be run."""
    if not has_runtime():
        raise WeightsError(not_installed(str(path), "onnxruntime"))
    return read_weights_file(path, most=MOST_BYTES)


def layout_of(taken: Value, about: Sidecar) -> str:
    """Order of the axes of the picture that a network takes."""
    if about.layout is not None:
        return about.layout
    channels = 1 if about.colour == "grey" else 3
    return "NHWC" if taken.shape[-1] == channels and taken.shape[1] != channels else "NCHW"


def _picture(file: OnnxFile, about: Sidecar, where: str) -> Value:
    """The one input, which has to be a picture of the sidecar's size."""
    if len(file.inputs) != 1:
        names = "; ".join(map(str, file.inputs[:4])) or "none"
        raise WeightsError(f"{where}: needs {len(file.inputs)} inputs ({names}), and one picture is given.")
    (taken,) = file.inputs
    if taken.kind != FLOAT or len(taken.shape) != 4:
        raise WeightsError(f"{where}: takes {taken}, and a picture is float32 with four axes.")
    if taken.shape[0] not in (None, 1):
        raise WeightsError(
            f"{where}: takes {taken.shape[0]} pictures at a time. Export it for one, or for any number."
        )
    channels, size = 1 if about.colour == "grey" else 3, about.size
    wanted = (channels, size, size) if layout_of(taken, about) == "NCHW" else (size, size, channels)
    if any(have not in (None, want) for have, want in zip(taken.shape[1:], wanted, strict=True)):
        raise InputError(
            f"{where}: takes {taken}; its sidecar says pictures {wanted} (size = {size}, colour = "
            f"{about.colour}). Correct the sidecar."
        )
    return taken


def _embedding(file: OnnxFile, about: Sidecar, where: str) -> Value:
    """The output that is the embedding."""
    names = ", ".join(visible(one.name) for one in file.outputs[:8])
    if about.output is not None:
        chosen = next((one for one in file.outputs if one.name == about.output), None)
        if chosen is None:
            raise InputError(
                f"{where}: no output {about.output!r}, which its sidecar names. There are {names}."
            )
    elif len(file.outputs) == 1:
        (chosen,) = file.outputs
    else:
        raise InputError(
            f"{where}: has {len(file.outputs)} outputs ({names}). Name the embedding as `output` in its "
            "sidecar."
        )
    stated = _stated(chosen)
    if about.dimension is not None and stated not in (None, about.dimension):
        raise InputError(
            f"{where}: its sidecar states dimension = {about.dimension}, and the file states {stated}."
        )
    return chosen


def _stated(given: Value) -> int | None:
    """How many numbers an embedding has, if the file says so."""
    sizes = given.shape[1:]
    return math.prod(sizes) if sizes and None not in sizes else None  # type: ignore[arg-type]
