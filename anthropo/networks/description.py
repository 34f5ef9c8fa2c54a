"""What a network's file says of it beside the manifest: its layers, its pictures and how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from anthropo.encoder.encoders import SEEN
from anthropo.encoder.regions import IMAGE, REGIONS
from anthropo.encoder.views import ALIGNMENTS, CROPS, View
from anthropo.errors import ModelError
from anthropo.learning.card import Row
from anthropo.learning.manifest import Manifest
from anthropo.learning.model_readers import as_written, record
from anthropo.learning.schema import LARGEST, LEAST, MOST_LABELS, Among, Distinct, Hex, OneOf, Range, Size
from anthropo.networks.architectures import Spec, channels_of, check_size, check_spec
from anthropo.networks.recipes import Parameters, limit_of
from anthropo.showing import fielded

#: What the manifest calls the tasks; of labels two, or more than two.
CALLED = {
    "labels": ("binary", "multiclass"),
    "grades": ("grades",),
    "attributes": ("multilabel",),
    "cases": ("cases",),
}

Finite = Annotated[float, Range(-LARGEST, LARGEST)]
Levels = Annotated[tuple[Annotated[float, Range(-1e4, 1e4)], ...], Size(3, 3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataColumn:
    """How a column of metadata becomes numbers, learned from the training cases."""

    mean: Finite | None = None  # of numbers
    sd: Annotated[float, Range(LEAST, LARGEST)] | None = None
    values: Annotated[tuple[str, ...], Size(1, MOST_LABELS), Distinct()] | None = None  # of categories


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """An epoch of a training."""

    stage: str
    epoch: Annotated[int, Range(1, 1_000_000)]  # of the stage, from 1
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
        See `anthropo.encoder.views.View`.
    dimension : int
        Numbers in one view's embedding.
    metadata : mapping of str to MetadataColumn, or None
        How columns become numbers; None but of cases.
    warm_start : tuple of str
        What training began with.
    history : mapping of str to tuple of Epoch
        By view.
    identities : int or None
        People who were told apart before the labels.
    adapted : int or None
        Photos of another source that it was adapted to.
    learned_from : tuple of str
        Beginnings of the SHA-256 of photos that it was trained on or stopped by.
    layout : str
        SHA-256 of the names and shapes of a module's tensors; filled when the file is written, and so is
        `weights`, the number of trained weights of all views.
    """

    recipe: str
    parameters: Parameters
    spec: Spec
    views: Annotated[tuple[Annotated[str, OneOf((*REGIONS, IMAGE))], ...], Size(1, len(REGIONS)), Distinct()]
    mean: Levels
    std: Annotated[tuple[Annotated[float, Range(1e-3, 1e4)], ...], Size(3, 3)]
    size: Annotated[int, Range(32, 1024)]
    grey: bool
    alignment: Annotated[str, OneOf(ALIGNMENTS)]
    crops: Annotated[str, OneOf(CROPS)]
    dimension: Annotated[int, Range(1)]
    metadata: Mapping[str, MetadataColumn] | None
    warm_start: tuple[str, ...] = ()
    identities: Annotated[int, Range(0)] | None = None
    adapted: Annotated[int, Range(0)] | None = None
    history: Annotated[Mapping[str, tuple[Epoch, ...]], Among(("views",))] = field(default_factory=dict)
    learned_from: tuple[Annotated[str, Hex(SEEN)], ...] = ()
    layout: Annotated[str, Hex()] = ""
    weights: Annotated[int, Range(0)] | None = None

    __repr__ = fielded

    @classmethod
    def from_json(cls, value: Any) -> Description:
        """Read from JSON that may come from anywhere.

        Raises
        ------
        ModelError
            If an entry is missing, of another type or impossible.
        """
        about = record(cls, value, "network")
        for name, stated in asdict(about.parameters).items():
            limit = limit_of(name)
            # 0.1.0 had no threads
            if limit is not None and (name, stated) != ("threads", 0) and (fault := limit.fault(stated, {})):
                raise ModelError(f"network > parameters > {name} {fault}")
        if IMAGE in about.views and len(about.views) > 1:
            raise ModelError(f"it looks at {IMAGE} and at regions of a face")
        for name, column in (about.metadata or {}).items():
            if column.values is None and (column.mean is None or column.sd is None):
                raise ModelError(f"it does not say how {name} becomes a number")
        check_spec(about.spec)
        about.check_layers()
        return about

    def check_layers(self) -> None:
        """Refuse layers that do not fit the pictures or each other, or that are too many.

        Raises
        ------
        ModelError
            If they are such.
        """
        spec = self.spec
        if spec.channels != channels_of(spec.backbone, self.grey):
            raise ModelError(f"its layers take {spec.channels} channels, its pictures have another number")
        if self.dimension != spec.dimension:
            raise ModelError("its embedding has another dimension than its layers")
        numbers = sum(2 * len(column.values or "1") for column in (self.metadata or {}).values())
        if spec.task == "cases" and (numbers != spec.metadata or len(self.views) > 1):
            raise ModelError("its columns of metadata are not as many numbers as its layers take")
        check_size(spec, len(self.views), self.size)

    def check_fit(self, manifest: Manifest) -> None:
        """Refuse a manifest that says something else than this.

        Raises
        ------
        ModelError
            If it does.
        """
        spec = self.spec
        if spec.outputs != len(manifest.labels) - (spec.head == "thresholds"):
            raise ModelError("it has not one output for each label")
        if manifest.task is not None and manifest.task not in CALLED[spec.task]:
            raise ModelError(f"its layers are of the task {spec.task}, its manifest of {manifest.task}")
        if manifest.settings.no_face != (self.views == (IMAGE,)):
            raise ModelError("its views need a face where its settings do not, or the other way round")
        if manifest.regions not in ((), self.views):
            raise ModelError("its regions are others in its manifest than in its description")
        if manifest.metadata != tuple(self.metadata or ()):
            raise ModelError("its metadata are others in its manifest than in its description")

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
            *([("adapted to", f"{self.adapted:,} photos of another source")] if self.adapted else []),
            ("parameters", "not stated" if self.weights is None else f"{self.weights:,}"),
        ]
