"""A trained network: what it needs to look at a photograph, its modules, and the file it is kept in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anthropo.encoder.views import View
from anthropo.errors import AnthropoError, ModelError
from anthropo.learning.bundle import Bundle, read_bundle, write_bundle
from anthropo.learning.manifest import Manifest
from anthropo.networks.architectures import Cases, build
from anthropo.networks.description import Description
from anthropo.photo import LUMA
from anthropo.showing import brief, listed

Pixels = NDArray[np.uint8]
Metadata = NDArray[np.float32]

_WEIGHTS = "weights/"
_MOST_PIXELS = 1 << 21  # that a module sees at once, whose layers take up to 600 bytes for each

OWN_PHOTOGRAPHS = "that of its training photographs"


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A trained network: one module per view of a photograph, whose answers are averaged.

    Attributes
    ----------
    manifest : Manifest
        What it was trained on and needs.
    about : Description
        Its layers, its pictures and how it was trained.
    modules : tuple of Module
        One per view, in the order of `views`.

    Examples
    --------
    >>> from anthropo.learning.manifest import Manifest
    >>> from anthropo.networks import load_recipe
    >>> from anthropo.networks.architectures import Spec, build
    >>> spec = Spec(task="labels", backbone="deepgestalt", channels=1, outputs=2, dropout=0.5, head="linear")
    >>> about = Description(
    ...     recipe="deepgestalt", parameters=load_recipe("deepgestalt").parameters, spec=spec, size=32,
    ...     views=("image",), mean=(127.5,) * 3, std=(127.5,) * 3, grey=True, alignment="mean-face",
    ...     crops="scaled", dimension=320, metadata=None,
    ... )
    >>> network = Network(Manifest(labels=("a", "b")), about, (build(spec),))
    >>> network.probabilities({"image": np.zeros((1, 32, 32, 3), np.uint8)}).shape
    (1, 2)
    """

    manifest: Manifest
    about: Description
    modules: tuple[nn.Module, ...]

    def __repr__(self) -> str:
        return brief(self, self.recipe, listed(self.labels), f"{self.parameters:,} weights")

    # ------------------------------------------------------------------------------ what it is

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        return self.about.recipe

    @property
    def task(self) -> str:
        """labels, grades (ordered, lowest first), attributes or cases."""
        return self.about.spec.task

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels, grades or attributes, in the order of `probabilities`."""
        return self.manifest.labels

    @property
    def view(self) -> View:
        """How pictures are cut from a photograph."""
        return self.about.view

    @property
    def views(self) -> tuple[str, ...]:
        """Regions of the face, or ("image",)."""
        return self.about.views

    @property
    def size(self) -> int:
        """Side of the pictures, px."""
        return self.about.size

    @property
    def dimension(self) -> int:
        """Numbers in one view's embedding."""
        return self.about.dimension

    @property
    def seen(self) -> frozenset[str]:
        """Beginnings of the SHA-256 of the photos that it was trained on or stopped by."""
        return frozenset(self.about.learned_from)

    @property
    def parameters(self) -> int:
        """Trained weights of all modules."""
        return sum(p.numel() for module in self.modules for p in module.parameters())

    @property
    def licence(self) -> str:
        """Licences of the weights that it was trained from."""
        licences = dict.fromkeys(w.licence for w in self.manifest.weights if w.licence)
        return "; ".join(licences) or OWN_PHOTOGRAPHS

    @property
    def data_licence(self) -> str:
        """Licences of what these weights were trained on, and the photographs' own."""
        licences = dict.fromkeys(w.data for w in self.manifest.weights if w.data)
        return "; ".join([*licences, OWN_PHOTOGRAPHS])

    @property
    def commercial_use(self) -> bool:
        """Whether all these weights may be used commercially; the photographs are their owner's matter."""
        return all(w.commercial_use is True for w in self.manifest.weights)

    # ------------------------------------------------------------------------------ what it says

    def inputs(self, chips: Pixels) -> Tensor:
        """Pictures (…, size, size, 3) as a module takes them, (…, channels, size, size), where it is.

        Parameters
        ----------
        chips : (..., size, size, 3) uint8 array

        Returns
        -------
        torch.Tensor

        Raises
        ------
        ValueError
            If the pictures have another type or shape.
        """
        shape = (self.size, self.size, 3)
        if chips.dtype != np.uint8 or chips.ndim not in (4, 5) or chips.shape[-3:] != shape:
            raise ValueError(
                f"pictures are {chips.dtype} of shape {chips.shape}; uint8 (n, {shape}) are needed"
            )
        device = next(self.modules[0].parameters()).device
        return self.normalised(torch.from_numpy(np.ascontiguousarray(chips)).to(device))

    def by_view(self, pictures: Pixels) -> dict[str, Pixels]:
        """Pictures (n, views, size, size, 3), of cases (n, photos, size, size, 3), by view.

        Parameters
        ----------
        pictures : uint8 array

        Returns
        -------
        dict of str to uint8 array
        """
        if self.task == "cases":
            return {self.views[0]: pictures}
        return {name: pictures[:, i] for i, name in enumerate(self.views)}

    def logits(
        self, views: Mapping[str, Pixels], metadata: NDArray[np.float32] | None = None, *, batch: int = 16
    ) -> Tensor:
        """The raw outputs of each view's module, (len(views), n, outputs) on the CPU; see `probabilities`.

        Parameters
        ----------
        views, metadata, batch
            As for `probabilities`.

        Returns
        -------
        torch.Tensor

        Raises
        ------
        ValueError
            If the pictures have another type or shape, or the network has no such view.
        """
        return torch.stack([self._run(name, chips, batch, metadata) for name, chips in views.items()])

    def embed(self, views: Mapping[str, Pixels], *, batch: int = 16) -> NDArray[np.float32]:
        """Embeddings (n, d) of pictures, the given views' one after the other; see `probabilities`.

        Parameters
        ----------
        views, batch
            As for `probabilities`.

        Returns
        -------
        (n, d) float32 array

        Raises
        ------
        ValueError
            If the pictures have another type or shape, or the network has no such view.
        """
        rows = [self._run(name, chips, batch, embed=True) for name, chips in views.items()]
        embedded: NDArray[np.float32] = torch.cat(rows, 1).numpy()
        return embedded

    def features(self, view: str, chips: Tensor) -> Tensor:
        """Embeddings (n, dimension) of pictures (n, size, size, 3) of one view, in torch's graph.

        Parameters
        ----------
        view : str
        chips : torch.Tensor

        Returns
        -------
        torch.Tensor

        Raises
        ------
        ValueError
            If the network has no such view.
        """
        embedded: Tensor = self._module(view).features(self.normalised(chips))
        return embedded

    def _module(self, name: str) -> Any:
        if name not in self.views:
            raise ValueError(f"view {name!r}: this network looks at {', '.join(self.views)}")
        return self.modules[self.views.index(name)].eval()

    def normalised(self, chips: Tensor) -> Tensor:
        """Pictures (…, size, size, 3) in grey levels as a module takes them, (…, channels, size, size).

        Parameters
        ----------
        chips : torch.Tensor

        Returns
        -------
        torch.Tensor
        """
        about = self.about
        return normalised(chips, about.grey, about.spec.channels, about.mean, about.std)

    def _run(
        self, name: str, chips: Pixels, batch: int, metadata: Metadata | None = None, *, embed: bool = False
    ) -> Tensor:
        """Outputs, or embeddings, of one view's pictures, on the CPU."""
        module, parts = self._module(name), []
        pictures_each = chips.shape[1] if chips.ndim == 5 else 1
        batch = max(1, min(batch, _MOST_PIXELS // (self.size**2 * pictures_each)))
        with torch.inference_mode():
            for start in range(0, len(chips), batch):
                pictures = chips[start : start + batch]
                x, more = self.inputs(pictures), {}
                if isinstance(module, Cases) and pictures.ndim == 5 and not embed:
                    more["present"] = torch.from_numpy(pictures.any((-3, -2, -1))).to(x.device)
                if isinstance(module, Cases) and metadata is not None:
                    known = torch.from_numpy(metadata[start : start + batch])
                    more["metadata"] = known.to(x.device, torch.float32)
                parts.append((module.features(x) if embed else module(x, **more)).cpu())
        width = self.dimension if embed else self.about.spec.outputs
        return torch.cat(parts) if parts else torch.empty(0, width)

    def try_out(self) -> None:
        """Refuse weights that give no numbers, as negative variances do.

        Raises
        ------
        ModelError
            If an answer to a picture of noise is not finite.
        """
        noise = np.random.RandomState(0).randint(0, 256, (1, self.size, self.size, 3)).astype(np.uint8)
        for name in self.views:
            rows = [self._run(name, noise, 1, embed=True), self._run(name, noise, 1)]
            if not all(torch.isfinite(row).all() for row in rows):
                raise ModelError("its weights give answers that are no numbers")

    def probabilities(
        self, views: Mapping[str, Pixels], metadata: NDArray[np.float32] | None = None, *, batch: int = 16
    ) -> NDArray[np.float64]:
        """Probabilities averaged over the given views.

        Parameters
        ----------
        views : mapping of str to ndarray of uint8, (n, size, size, 3)
            Pictures by view, of all the network's views or of some. Of cases also (n, m, size, size, 3),
            where a picture that is black throughout does not exist.
        metadata : ndarray, (n, q), optional
            Of cases; left out: all of it is missing.
        batch : int
            Pictures, or cases, that a module sees at once.

        Returns
        -------
        ndarray of float64, (n, k)
            Of labels, grades and cases rows sum to 1; of attributes each is the probability of being present.

        Raises
        ------
        ValueError
            If the pictures have another type or shape, or the network has no such view.
        """
        head, loss = self.about.spec.head, self.about.parameters.loss
        each = as_probabilities(self.logits(views, metadata, batch=batch), self.task, head, loss)
        averaged: NDArray[np.float64] = each.mean(0).double().numpy()
        return averaged

    # ------------------------------------------------------------------------------ its file

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network, whole or not at all; no pickle.

        Parameters
        ----------
        path : path

        Raises
        ------
        ModelError
            If it cannot be written.
        """
        arrays = {
            f"{_WEIGHTS}{name}": flat(module) for name, module in zip(self.views, self.modules, strict=True)
        }
        about = replace(self.about, layout=layout(self.modules[0]), weights=self.parameters)
        write_bundle(path, Bundle({**self.manifest.to_json(), "network": about.to_json()}, arrays))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Network:
        """Read a network that may come from anywhere; nothing in it is executed.

        Parameters
        ----------
        path : path

        Returns
        -------
        Network

        Raises
        ------
        ModelError
            If it is no network, is damaged, or was made by a newer anthropo.
        WeightsError
            If the library that its architecture comes from is not installed.
        """
        return cls.of_file(read_bundle(path), path)

    @classmethod
    def of_file(cls, bundle: Bundle, path: str | os.PathLike[str]) -> Network:
        """The network in a file that was read; see `load`.

        Parameters
        ----------
        bundle : Bundle
        path : path
            Of the file, for messages.

        Returns
        -------
        Network

        Raises
        ------
        ModelError
            If it is no network, or does not fit together.
        WeightsError
            If the library that its architecture comes from is not installed.
        """
        where = os.fspath(path)
        if "network" not in bundle.manifest:
            raise ModelError(
                f"{where}: a model of measurements and embeddings, not a network. Give the file of a network "
                "that was fine-tuned."
            )
        manifest = replace(Manifest.from_json(bundle.manifest), files={})
        try:
            about = Description.from_json(bundle.manifest["network"])
            about.check_fit(manifest)
            for name in about.views:  # before any layer is made
                check_weights(bundle.arrays.get(f"{_WEIGHTS}{name}"))
            modules = []
            for name in about.views:
                module = build(about.spec)
                if layout(module) != about.layout:
                    raise ModelError(
                        "its layers are named otherwise by the libraries that are installed here"
                    )
                _put(module, bundle.arrays.pop(f"{_WEIGHTS}{name}"))
                modules.append(module.eval().requires_grad_(False))
            network = cls(manifest, about, tuple(modules))
            if about.weights not in (None, network.parameters):
                raise ModelError(f"it has {network.parameters:,} weights, and states {about.weights:,}")
            network.try_out()
        except ModelError as error:
            raise ModelError(
                f"{where}: the network does not fit together ({error}). Copy it again from where it was "
                "made, or train it again."
            ) from None
        except AnthropoError as error:
            raise type(error)(f"{where}: {error}") from None
        return network


def normalised(x: Tensor, grey: bool, channels: int, mean: Any, std: Any) -> Tensor:
    """Pictures (…, h, w, 3) in grey levels as modules take them, (…, channels, h, w)."""
    x = x.to(torch.float32).movedim(x.ndim - 1, x.ndim - 3)  # counted from the front, as ONNX wants it
    if grey:
        x = (x * x.new_tensor(LUMA).view(3, 1, 1)).sum(-3, keepdim=True)
    mean, std = (x.new_tensor(numbers[:channels]).view(-1, 1, 1) for numbers in (mean, std))
    scaled: Tensor = (x[..., :channels, :, :] - mean) / std
    return scaled


def as_probabilities(outputs: Tensor, task: str, head: str | None, loss: str) -> Tensor:
    """Outputs (…, o) as probabilities (…, k)."""
    if task == "attributes":
        # trained on -1 and +1, or on 0 and 1
        return ((outputs + 1) / 2).clamp(0, 1) if loss == "mse" else outputs.sigmoid()
    if head == "thresholds":
        above = outputs.sigmoid()
        one, nothing = torch.ones_like(above[..., :1]), torch.zeros_like(above[..., :1])
        return torch.cat([one, above], -1) - torch.cat([above, nothing], -1)
    return outputs.softmax(-1)


def decided(probabilities: NDArray[np.float64], head: str | None) -> NDArray[np.int64]:
    """Which label (n,) is decided on, of probabilities (n, k): the most probable one.

    Of grades with thresholds it is the middle one, which as many are above as below: a grade between two
    near thresholds is never the most probable one of all, and still the best guess.
    """
    if head == "thresholds":
        above = 1 - probabilities.cumsum(1)[:, :-1]
        return np.asarray((above > 0.5).sum(1), dtype=np.int64)
    return np.asarray(probabilities.argmax(1), dtype=np.int64)


# ------------------------------------------------------------------------------------- weights as one array


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Weights and statistics; counters, of which nothing depends, are left out."""
    return {name: t for name, t in module.state_dict().items() if t.is_floating_point()}


def layout(module: nn.Module) -> str:
    """SHA-256 of the names and shapes of a module's tensors, in their order."""
    described = [(name, list(t.shape)) for name, t in _tensors(module).items()]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def flat(module: nn.Module) -> NDArray[np.float32]:
    """All tensors of a module, one after the other."""
    parts = [t.detach().cpu().to(torch.float32).reshape(-1) for t in _tensors(module).values()]
    return torch.cat(parts).numpy()


def check_weights(weights: NDArray[Any] | None) -> NDArray[np.float32]:
    """The weights; refuse what `flat` cannot have given."""
    if weights is None or weights.ndim != 1 or weights.dtype != np.float32:
        raise ModelError("its weights are missing or of another number")
    if not np.isfinite(weights).all():
        raise ModelError("its weights are not finite")
    return weights


def fill(module: nn.Module, weights: NDArray[Any] | None) -> None:
    """Put what `flat` gave back into a module of the same layout."""
    _put(module, check_weights(weights))


def _put(module: nn.Module, weights: NDArray[np.float32]) -> None:
    """As `fill`, of weights that are checked but for their number."""
    tensors = _tensors(module)
    if len(weights) != sum(t.numel() for t in tensors.values()):
        raise ModelError("its weights are missing or of another number")
    parts = np.split(weights, np.cumsum([t.numel() for t in tensors.values()])[:-1])
    with torch.no_grad():
        for t, part in zip(tensors.values(), parts, strict=True):
            t.copy_(torch.from_numpy(part.copy()).view(t.shape))
