"""What a network's file says of it beside the manifest: its layers, its pictures and how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anthropo.encoder.regions import IMAGE, REGIONS
from anthropo.errors import ModelError
from anthropo.learning.card import Row
from anthropo.learning.model_readers import as_written, record
from anthropo.networks.architectures import Spec
from anthropo.networks.chips import ALIGNMENTS, CROPS, View
from anthropo.networks.recipes import Parameters

_LARGEST = 2048  # px


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How a column of metadata becomes numbers, learned from the training cases."""

    mean: float | None = None  # of numbers
    sd: float | None = None
    values: tuple[str, ...] | None = None  # of categories


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """An epoch of a training."""

    stage: str
    epoch: int  # of the stage, from 1
    loss: float | None  # None: not finite
    validation: float | None  # loss on the validation patients
    metric: float | None  # on the validation patients


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A network's layers, its pictures and how it was trained.

    Attributes
    ----------
    recipe : str
    parameters : Parameters
        Every option that it was trained with.
    spec : Spec
        The layers, alike for all views.
    views : tuple of str
        Regions of the face, or ("image",) for the whole photograph.
    size : int
        Side of the pictures that the modules see, px.
    grey : bool
        Whether pictures are turned grey.
    mean, std : tuple of float
        Of the training pictures' channels, grey levels, three each.
    alignment, crops : str
        See `anthropo.networks.chips.View`.
    dimension : int
        Numbers in one view's embedding.
    metadata : mapping of str to Column, or None
        How columns become numbers; None but of cases.
    warm_start : tuple of str
        What training began with.
    history : mapping of str to tuple of Epoch
        By view.
    identities : int or None
        People who were told apart before the labels.
    learned_from : tuple of str
        Beginnings of the SHA-256 of photos that it was trained on or stopped by.
    layout : str
        SHA-256 of the names and shapes of a module's tensors; filled when the file is written, and so is
        `weights`, the number of trained weights of all views.
    """

    recipe: str
    parameters: Parameters
    spec: Spec
    views: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    grey: bool
    alignment: str
    crops: str
    dimension: int
    metadata: Mapping[str, Column] | None
    warm_start: tuple[str, ...] = ()
    identities: int | None = None
    history: Mapping[str, tuple[Epoch, ...]] = field(default_factory=dict)
    learned_from: tuple[str, ...] = ()
    layout: str = ""
    weights: int | None = None

    @classmethod
    def from_json(cls, value: Any) -> Description:
        """Read from JSON that may come from anywhere.

        Raises
        ------
        ModelError
            If an entry is missing, of another type or impossible.
        """
        about = record(cls, value, "network")
        views = about.views
        if not views or len(set(views)) < len(views) or not (set(views) <= {*REGIONS} or views == (IMAGE,)):
            raise ModelError("its views are none")
        if not 1 <= about.size <= _LARGEST:
            raise ModelError("its pictures have an impossible size")
        if about.alignment not in ALIGNMENTS or about.crops not in CROPS:
            raise ModelError("it cuts pictures in an unknown way")
        if len(about.mean) != 3 or len(about.std) != 3 or min(about.std) <= 0:
            raise ModelError("its mean or std is not one number for each channel")
        if about.dimension < 1:
            raise ModelError("its embedding has no numbers")
        if about.parameters.batch < 1 or about.parameters.images < 1:
            raise ModelError("it sees no picture at once")
        for name, column in (about.metadata or {}).items():
            if column.values is None and (column.mean is None or not column.sd):
                raise ModelError(f"it does not say how {name} becomes a number")
        return about

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        written: dict[str, Any] = as_written(self)
        return written

    @property
    def view(self) -> View:
        """How pictures are cut from a photograph."""
        return View(self.views, self.size, self.alignment, self.crops)

    def rows(self) -> list[Row]:
        """Names and values for `anthropo inspect`."""
        return [
            ("recipe", self.recipe),
            ("backbone", self.spec.backbone),
            ("pictures", f"{', '.join(self.views)}; {self.size} px"),
            ("began with", ", ".join(self.warm_start) or "random weights"),
            ("parameters", "not stated" if self.weights is None else f"{self.weights:,}"),
        ]
