"""A translation and the file that it is kept in.

A container (`anthropo.container`) with these parts, all of them checked before a layer is made:

===================  ========================================================================
manifest.json        ``translation``: options, domains in counts, the history of the training,
                     figures on people kept apart, licences of the weights it was trained with
arrays/to-B.npy      (N,) float32: the weights of the generator from A to B
arrays/to-A.npy      (N,) float32: those of the generator from B to A
===================  ========================================================================

Neither names of people nor names or paths of photographs may enter it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.container import Kind, completed, fault_of, read_container, shown, write_container
from anthropo.encoder.encoders import SEEN
from anthropo.errors import ModelError
from anthropo.learning.bundle import FORMAT as MODEL
from anthropo.learning.bundle import LANDMARKS
from anthropo.learning.manifest import Count, PhotoSettings, WeightsRecord
from anthropo.learning.model_readers import as_written, record
from anthropo.learning.schema import Hex, Range, Size
from anthropo.licensing import is_permissive_run, refuse_faces
from anthropo.translation.checkpoints import TranslationEpoch
from anthropo.translation.options import TranslationParameters, limit_of, size_fault
from anthropo.translation.pictures import DOMAINS, Pixels

if TYPE_CHECKING:
    from anthropo.translation.networks import Generator

FORMAT, FORMAT_VERSION = "anthropo-translation", 1
_GET_ANOTHER = "Copy it again from where it was made, or train it again."
_BATCH = 16  # pictures that a generator sees at once
_MOST_PIXELS = 1 << 19

Finite = Annotated[float, Range(-1e9, 1e9)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A domain in counts."""

    photos: Count
    people: Count
    held_out_photos: Count
    held_out_people: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the file says of a translation.

    Attributes
    ----------
    parameters : TranslationParameters
        Every option that it was trained with.
    domains : mapping of str to Side
        A and B in counts.
    settings : PhotoSettings
        How photographs have to be read for it.
    history : tuple of TranslationEpoch
    figures : mapping of str to float
        On people who were kept apart; see `anthropo.translation.judging.TranslationJudgement.figures`.
    weights : tuple of WeightsRecord
        Those that its landmarks come from, with licences.
    licence : str
        Terms of the photographs, as whoever trained it stated them.
    learned_from : tuple of str
        Beginnings of the SHA-256 of photos that it was trained on.
    command : str or None
    libraries : mapping of str to str
        Version of each.
    """

    parameters: TranslationParameters
    domains: Mapping[str, Side]
    settings: PhotoSettings = field(default_factory=PhotoSettings)
    history: Annotated[tuple[TranslationEpoch, ...], Size(0, 200_000)] = ()
    figures: Mapping[str, Finite] = field(default_factory=dict)
    weights: Annotated[tuple[WeightsRecord, ...], Size(0, 100)] = ()
    licence: Annotated[str, Size(0, 2000)] = ""
    learned_from: Annotated[tuple[Annotated[str, Hex(SEEN)], ...], Size(0, 1_000_000)] = ()
    command: str | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Any) -> About:
        """Read from JSON that may come from anywhere; a ModelError says what in it is impossible."""
        about = record(cls, value, "translation")
        for name, stated in about.parameters.to_json().items():
            limit = limit_of(name)
            if limit is not None and (fault := limit.fault(stated, {})):
                raise ModelError(f"translation > parameters > {name} {fault}")
        if fault := size_fault(about.parameters):
            raise ModelError(fault)
        if {*about.domains} != {*DOMAINS}:
            raise ModelError("its domains are not A and B")
        return about


KIND = Kind(
    format=FORMAT,
    version=FORMAT_VERSION,
    name="translation of anthropo",
    give="Give what `anthropo translate train` wrote (.anthropo).",
    error=ModelError,
    fault=fault_of(lambda manifest: About.from_json(manifest.get("translation")), ModelError),
    others={
        MODEL: "a classifier or a network, which translates nothing.",
        "anthropo-landmarks": LANDMARKS.replace("classifies", "translates"),
    },
)


@dataclass(frozen=True, slots=True, eq=False)
class Translation:
    """A trained translation between two domains, A and B.

    Attributes
    ----------
    about : About
        What it was trained on and how, and how good it is.
    generators : tuple of Generator
        To B, and to A.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.translation import load_parameters
    >>> from anthropo.translation.networks import Generator
    >>> parameters = load_parameters(size=32, channels=2, blocks=1)
    >>> side = Side(photos=9, people=9, held_out_photos=2, held_out_people=2)
    >>> about = About(parameters=parameters, domains={"A": side, "B": side})
    >>> made = Translation(about, (Generator(2, 1, "resize", True), Generator(2, 1, "resize", True)))
    >>> made.translate(np.zeros((1, 32, 32, 3), np.uint8), to="B").shape
    (1, 32, 32, 3)
    """

    about: About
    generators: tuple[Generator, Generator]

    @property
    def size(self) -> int:
        """Side of its pictures, px."""
        return self.about.parameters.size

    @property
    def seen(self) -> frozenset[str]:
        """Beginnings of the SHA-256 of the photos that it was trained on."""
        return frozenset(self.about.learned_from)

    @property
    def digest(self) -> str:
        """SHA-256 of its weights."""
        from anthropo.networks.network import flat

        digest = hashlib.sha256()
        for generator in self.generators:
            digest.update(flat(generator).tobytes())
        return digest.hexdigest()

    def translate(self, pictures: Pixels, to: str) -> Pixels:
        """Aligned faces (n, size, size, 3) in the other domain, the same shape.

        Parameters
        ----------
        pictures : (n, size, size, 3) uint8 array
            As `anthropo.translation.pictures.cut` makes them.
        to : {"A", "B"}

        Returns
        -------
        (n, size, size, 3) uint8 array
        """
        import torch

        from anthropo.translation.landmarking import as_tensor

        shape = (self.size, self.size, 3)
        if pictures.dtype != np.uint8 or pictures.shape[1:] != shape or to not in DOMAINS:
            given = f"pictures {pictures.dtype} {pictures.shape} to {to!r}"
            raise ValueError(f"{given}; uint8 (n, {shape}) to A or B are needed")
        generator = self.generators[0 if to == "B" else 1]
        batch = max(1, min(_BATCH, _MOST_PIXELS // self.size**2))
        out = np.empty_like(pictures)
        with torch.inference_mode():
            for start in range(0, len(pictures), batch):
                part = generator(as_tensor(pictures[start : start + batch]))
                levels = ((part + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
                out[start : start + batch] = levels.permute(0, 2, 3, 1).numpy()
        return out

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the translation, whole or not at all; no pickle."""
        from anthropo.networks.network import flat

        manifest = completed(KIND, {"translation": as_written(self.about)})
        arrays = {f"to-{to}": flat(g) for to, g in zip(reversed(DOMAINS), self.generators, strict=True)}
        write_container(path, KIND, manifest, arrays, {}, smaller="Train it with fewer channels or blocks.")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Translation:
        """As `load_translation`."""
        return load_translation(path)


def load_translation(path: str | os.PathLike[str]) -> Translation:
    """Read a translation that may come from anywhere; nothing in it is executed.

    Parameters
    ----------
    path : path
        What `anthropo.train_translation` wrote.

    Returns
    -------
    Translation

    Raises
    ------
    ModelError
        If it is none, is damaged or altered, or was made by a newer anthropo.

    Examples
    --------
    >>> load_translation("m.anthropo")
    Traceback (most recent call last):
    anthropo.errors.ModelError: m.anthropo: a classifier or a network, which translates nothing. Give what ...
    """
    if is_permissive_run():
        refuse_faces()
    where = os.fspath(path)
    manifest, arrays = read_container(path, KIND)
    about = About.from_json(manifest["translation"])
    try:
        generators = [_generator(about.parameters, arrays.pop(f"to-{to}", None)) for to in reversed(DOMAINS)]
        if arrays:
            raise ModelError(f"{shown(sorted(arrays)[0], bare=True)} is no part of a translation")
        made = Translation(about, (generators[0], generators[1]))
        for to in DOMAINS:
            _try_out(made, to)
    except ModelError as error:
        raise ModelError(
            f"{where}: the translation does not fit together ({error}). {_GET_ANOTHER}"
        ) from None
    return made


def _generator(parameters: TranslationParameters, weights: NDArray[Any] | None) -> Generator:
    """A generator with weights that may be anything; their number is checked before memory is taken."""
    import torch

    from anthropo.networks.network import check_weights, fill
    from anthropo.translation.networks import Generator

    sizes = parameters.channels, parameters.blocks, parameters.upsampling, parameters.skip
    given = check_weights(weights)
    with torch.device("meta"):
        wanted = sum(t.numel() for t in Generator(*sizes).parameters())
    if len(given) != wanted:
        raise ModelError(f"its generators have {len(given):,} weights, and {wanted:,} are needed")
    generator = Generator(*sizes)
    fill(generator, given)
    return generator.eval().requires_grad_(False)


def _try_out(made: Translation, to: str) -> None:
    import torch

    size = made.size
    noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        if not torch.isfinite(made.generators[0 if to == "B" else 1](noise)).all():
            raise ModelError("its weights give pictures that are no numbers")
