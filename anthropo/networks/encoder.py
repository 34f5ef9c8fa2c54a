"""A trained network as an encoder of the hybrid classifier."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.backends import shuffled
from anthropo.encoder.encoders import Encoder, copies, digest_of
from anthropo.encoder.regions import IMAGE, geometry_digest
from anthropo.errors import InputError, WeightsError
from anthropo.face.landmarker import Face
from anthropo.files import file_sha256
from anthropo.networks.network import Network
from anthropo.photo import Photo

_VERSION = 1  # raise it when embeddings change in another way than by what the digest lists


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NetworkEncoder(Encoder):
    """A module for each region, with the network's own alignment, crops and colours.

    It is pickled by the name of its file, which is read again where it arrives.
    """

    network: Network = field(repr=False)
    file: str = field(default="", repr=False)  # empty: of no file

    __repr__ = Encoder.__repr__

    def embed(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> NDArray[np.float32]:
        """See `Encoder.embed`."""
        wanted = (IMAGE,) if face is None else tuple(regions)
        for region in wanted:
            if region not in self.views:
                raise InputError(
                    f"{self.name}: not trained on the region {region}. It was "
                    f"trained on {', '.join(self.views)}."
                )
        chips = self.pictures(photo, face, wanted)
        both = [np.rint(np.concatenate(copies(chip[None], self.grey))).astype(np.uint8) for chip in chips]
        rows = [self.network.embed({name: pair}).mean(0) for name, pair in zip(wanted, both, strict=True)]
        return np.array(rows, dtype=np.float32).reshape(len(wanted), self.dimension)

    def pictures(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> NDArray[np.uint8]:
        """Pictures of regions as the network sees them, (len(regions), size, size, 3) RGB."""
        view = replace(self.network.view, names=tuple(regions))
        return view.cut(photo, None if face is None else view.frame(face))

    def randomised(self, seed: int = 0) -> NetworkEncoder:
        """The same network with the weights of each layer shuffled: it knows nothing any more."""
        modules = tuple(shuffled(module, seed) for module in self.network.modules)
        network = replace(self.network, modules=modules)
        return replace(self, name=f"{self.name}, shuffled", digest="", network=network, file="")

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For pickle: how to load the encoder again."""
        if not self.file:
            return object.__reduce_ex__(self, protocol)
        return _again, (self.file, self.digest, self.grey)


def _again(path: str, digest: str, grey: bool) -> NetworkEncoder:
    """The encoder that was pickled."""
    encoder = network_encoder(path)
    if encoder.digest != digest:
        raise WeightsError(
            f"{path}: another network, or another version of anthropo, than where the run was begun. Give "
            "both the same."
        )
    return replace(encoder, grey=grey)


def network_encoder(path: str | os.PathLike[str]) -> NetworkEncoder:
    """A network that `anthropo finetune` wrote, ready to encode.

    Parameters
    ----------
    path : path
        Its file. The encoder's name is the file's, its digest that of the contents.

    Returns
    -------
    NetworkEncoder

    Raises
    ------
    ModelError
        If the file is no network.
    WeightsError
        If a library that the network needs is not installed.

    Examples
    --------
    >>> network_encoder("none.anthropo")  # else it embeds as that of `load_encoder` does
    Traceback (most recent call last):
    anthropo.errors.ModelError: none.anthropo: no such model file. Give the file of ...
    """
    network = Network.load(path)
    network.manifest.require_permitted(path)
    described = {"version": _VERSION, "file": file_sha256(path), "geometry": geometry_digest()}
    return NetworkEncoder(
        name=Path(path).name,
        digest=digest_of(described),
        size=network.size,
        dimension=network.dimension,
        parameters=network.parameters,
        licence=network.licence,
        commercial_use=network.commercial_use,
        data=network.data_licence,
        permissive=not network.manifest.barred,
        views=network.views,
        seen=network.seen,
        network=network,
        file=os.path.abspath(path),
    )
