"""`anthropo map`: the faces of a cohort on a plane, and whether its groups lie apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.portrait import reshaped
from anthropo.errors import InputError, parameter
from anthropo.groups.map import (
    FaceMap,
    Grouping,
    Neighbours,
    Source,
    draw_map,
    group_by,
    neighbours,
    numbers_of,
)
from anthropo.learning.cohort import Cohort, Finding, Kind, hashed, read_cohort, salt_of, some
from anthropo.learning.duplicates import find_duplicates
from anthropo.learning.features import Features
from anthropo.showing import brief, count, draw, given, html, listed, word
from anthropo.workflows.cohort import EncodingRequest, check_photos
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRequest(EncodingRequest):
    """What is drawn of a cohort, and how.

    Parameters
    ----------
    by : str
        The column that groups are made of.
    source : {"embeddings", "measurements"}
        What faces are compared by.
    perplexity : float, optional
        How many neighbours t-SNE looks at, about; None: 30, or a third of the other photos.
    thumbnails : bool
        Whether the faces themselves are drawn.
    names : bool
        Whether photos and patients keep their names, in place of numbers.
    encoder : str
        "face-resnet", "efficientnet-lite0" or "timm:NAME".
    encoder_weights : path, optional
    seed : int
    reading : PhotoReading
    """

    by: str = "label"
    source: Source = "embeddings"
    perplexity: float | None = None
    thumbnails: bool = False
    names: bool = False

    __repr__ = given


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnMap:
    """Everything that is shown of a map."""

    title: str
    by: str
    made: FaceMap
    groups: Grouping
    neighbours: Neighbours
    ids: tuple[str, ...]  # (n,) of the photos, as they may be shown
    patients: NDArray[np.str_]  # (n,)
    settings: dict[str, str]
    thumbnails: tuple[Pixels, ...] = ()  # none, or one for each photo

    def __repr__(self) -> str:
        return brief(
            self, f"{count(len(self.ids), 'photo')} by {word(self.by)}", f"groups {listed(self.groups.names)}"
        )

    def group_of(self, row: int) -> str:
        """The name of a photo's group; empty where it is not given."""
        at = self.groups.index[row]
        return self.groups.names[at] if at >= 0 else ""

    def _repr_html_(self) -> str:
        return html(self, "drawn_map")

    def plot(self, view: str = "tsne", ax: Axes | None = None) -> Axes:
        """Draw one of both maps, with its legend.

        Parameters
        ----------
        view : {"tsne", "pca"}
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "drawn_map", ax, view=view)

    def to_frame(self) -> pd.DataFrame:
        """A row for each photo: its id, its group, and its places on both maps."""
        import pandas as pd

        return pd.DataFrame(
            {
                "id": self.ids,
                self.by if self.by != "id" else "by": [self.group_of(i) for i in range(len(self.ids))],
                **dict(zip(("tsne_x", "tsne_y"), self.made.tsne.T, strict=True)),
                **dict(zip(("pca_1", "pca_2"), self.made.pca.T, strict=True)),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapResult:
    """A map of a cohort's faces, and what could not be drawn."""

    drawn: DrawnMap | None  # None: no photo has a face
    left_out: tuple[tuple[str, str], ...]  # photos, each with the reason
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        left_out = f"{len(self.left_out)} left out" if self.left_out else ""
        return brief(self, repr(self.drawn)[1:-1] if self.drawn else "no photo with a face", left_out)

    def _repr_html_(self) -> str:
        return html(self, "map_result")

    def plot(self, view: str = "tsne", ax: Axes | None = None) -> Axes:
        """Draw one of both maps, with its legend.

        Parameters
        ----------
        view : {"tsne", "pca"}
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "map_result", ax, view=view)

    def to_frame(self) -> pd.DataFrame:
        """The frame of the map; empty without one."""
        import pandas as pd

        if self.drawn is None:
            return pd.DataFrame(columns=["id", "by", "tsne_x", "tsne_y", "pca_1", "pca_2"])
        return self.drawn.to_frame()


def map_faces(
    cohort: str | os.PathLike[str], request: MapRequest | None = None, *, progress: Progress = silent
) -> MapResult:
    """Draw the faces of a cohort on a plane, with similar faces near each other.

    Parameters
    ----------
    cohort : path
        A table or folder of photos, as for `anthropo.train`; a table with the column that makes the groups.
    request : MapRequest, optional
    progress : Progress

    Returns
    -------
    MapResult

    Raises
    ------
    InputError
        If the cohort or the column cannot be used, or there are too few photos.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.map_faces("cohort.csv", anthropo.MapRequest(by="clinic"))
    Traceback (most recent call last):
    anthropo.errors.InputError: cohort.csv: no such file.
    """
    request = request or MapRequest()
    people = read_cohort(cohort)
    kind = _kind(people, request.by)
    findings = check_photos(people)
    encoded = request.encode(people, progress)
    features = encoded.features
    left_out = features.left_out
    findings += tuple(Finding("warning", "photo", reason) for _, reason in left_out)
    if not len(features):
        return MapResult(drawn=None, left_out=left_out, findings=findings)
    cells = {
        case.photo: case.label if request.by == "label" else case.metadata[request.by]
        for case in people.cases
    }
    groups = group_by([cells[photo] for photo in features.photos.tolist()], kind)
    numbers = numbers_of(features, request.source)
    made = draw_map(numbers.values, perplexity=request.perplexity, seed=request.seed)
    drawn = DrawnMap(
        title=f"Map of {Path(cohort).name} by {request.by}",
        by=request.by,
        made=made,
        groups=groups,
        neighbours=neighbours(numbers.values, groups, features.patients, seed=request.seed),
        ids=_ids(features, named=request.names),
        patients=features.patients,
        settings={
            "faces compared by": numbers.described,
            **({"encoder": encoded.encoder.name} if request.source == "embeddings" else {}),
            "t-SNE": f"perplexity {made.perplexity:.3g}, seed {made.seed}, started from the components",
            "marks": f"{request.by}, in bands" if groups.ordered else request.by,
            "photos left out": str(len(left_out)),
            "people": "by name" if request.names else "as numbers (a keyed hash), not by name",
        },
        thumbnails=_thumbnails(features) if request.thumbnails else (),
    )
    return MapResult(drawn=drawn, left_out=left_out, findings=(*findings, *_of_duplicates(features)))


def _of_duplicates(features: Features) -> list[Finding]:
    """A warning of photographs that are neighbours because they are one."""
    pairs = [f"{p.first} = {p.second}" for p in find_duplicates(features) if not p.same_patient]
    text = (
        f"one photo under different patients: {some(pairs)}. They are neighbours for that alone; give "
        "them the same patient."
    )
    return [Finding("warning", "duplicate", text)] if pairs else []


def _kind(cohort: Cohort, by: str) -> Kind:
    """What the cells of a column are; refuses one that names people, is empty or is not there."""
    choices, why = ["label", *cohort.cases[0].metadata], ""
    if by == "label":
        return "category"
    if by in ("photo", "patient"):
        why = "names single people"
    elif by not in choices:
        why = "no such column"
    elif not any(case.metadata[by].strip() for case in cohort.cases):
        why = "the column is empty"
    if why:
        raise InputError(f"{parameter('by', by)}: {why}. Choose from {', '.join(choices)}.")
    return cohort.metadata.get(by, "category")


def _ids(features: Features, *, named: bool) -> tuple[str, ...]:
    """The name of each photo, or a number that only who has the photos can trace back."""
    patients: Sequence[str] = features.patients.tolist()
    if named:
        pairs = zip(features.photos.tolist(), patients, strict=True)
        names = ((Path(photo).name, Path(patient).name) for photo, patient in pairs)
        return tuple(photo if photo == patient else f"{photo} ({patient})" for photo, patient in names)
    salt = salt_of(features.digests.tolist())
    return tuple(hashed(patient, salt) for patient in patients)


def _thumbnails(features: Features) -> tuple[Pixels, ...]:
    """Small pictures of the faces, in their own shape."""
    assert features.portraits is not None  # whoever was looked at has them
    assert features.shapes is not None
    return tuple(
        reshaped(portrait, shape.astype(float))
        for portrait, shape in zip(features.portraits, features.shapes, strict=True)
    )
