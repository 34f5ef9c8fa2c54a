"""List the model weights that anthropo uses: where they lie, and whether they are the right ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.errors import WeightsError
from anthropo.face.weights import KNOWN, Weights, locate
from anthropo.files import file_sha256
from anthropo.showing import brief, count, html

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledWeights:
    """One file of weights on this machine."""

    weights: Weights
    path: Path | None  # None: not installed
    missing: str = ""  # why there is no path
    intact: bool | None = None  # None: not checked

    def __repr__(self) -> str:
        state = {True: "intact", False: "damaged", None: "there" if self.path else "missing"}[self.intact]
        return brief(self, self.weights.name, state)

    @property
    def usable(self) -> bool:
        """Whether nothing is known to be wrong; a file may be missing that is optional or of some systems."""
        return bool(self.path or self.weights.extra or self.weights.platform) and self.intact is not False


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The weights, in the order in which `anthropo models` lists them."""

    installed: tuple[InstalledWeights, ...]

    def __repr__(self) -> str:
        there = sum(one.path is not None for one in self.installed)
        return brief(self, f"{there} of {count(len(self.installed), 'model')} there")

    def _repr_html_(self) -> str:
        return html(self, "table_of")

    def to_frame(self) -> pd.DataFrame:
        """A row for each file of weights."""
        import pandas as pd

        rows = [
            {**asdict(one.weights), "path": one.path and str(one.path), "intact": one.intact}
            for one in self.installed
        ]
        return pd.DataFrame(rows)


def models(*, check: bool = False) -> Models:
    """The model weights, found where they are installed; nothing is downloaded.

    Parameters
    ----------
    check : bool
        Whether every file is read and its SHA-256 compared.

    Returns
    -------
    Models

    Examples
    --------
    >>> [one.weights.name for one in models().installed if not one.weights.extra and not one.weights.platform]
    ['landmarks-68', 'fine-landmarks', 'visibility', 'face-resnet']
    """
    return Models(installed=tuple(_installed(weights, check) for weights in KNOWN))


def _installed(weights: Weights, check: bool) -> InstalledWeights:
    try:
        path = locate(weights.name)
    except WeightsError as error:
        return InstalledWeights(weights=weights, path=None, missing=str(error))
    intact = file_sha256(path) == weights.sha256 if check else None
    return InstalledWeights(weights=weights, path=path, intact=intact)
