"""`anthropo inspect`: what a model or network is, was trained on and can do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anthropo.learning.bundle import read_bundle
from anthropo.learning.card import card, describe

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.learning.attributes import AttributeModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inspection:
    """What a model's file says of it.

    Attributes
    ----------
    rows : tuple of (str, str)
        Names and values: task, labels, cohort, figures, decision, licences, size.
    card : str
        The whole model card, as Markdown.
    attributes : AttributeModel or None
        The model, if it is one of several attributes, whose relations it knows.
    """

    rows: tuple[tuple[str, str], ...]
    card: str
    attributes: AttributeModel | None = None

    def to_frame(self) -> pd.DataFrame:
        """A row per entry: name, value."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=["name", "value"])


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Describe a model or network; nothing in the file is executed.

    Parameters
    ----------
    path : path
        A model, or a network that `anthropo finetune` wrote.

    Returns
    -------
    Inspection

    Raises
    ------
    ModelError
        If the file is no model, or is damaged, foreign or altered.

    Examples
    --------
    >>> import anthropo
    >>> dict(anthropo.inspect("m.anthropo").rows)["labels"]
    'control, synthetic-A'
    """
    from anthropo.learning.attributes import AttributeModel
    from anthropo.learning.trained import Trained

    manifest = read_bundle(path).manifest
    size = ("file", f"{os.path.getsize(path) / 1e6:.2f} MB")
    if "network" in manifest:
        from anthropo.networks.network import Network

        return Inspection(rows=(*describe(Network.load(path).manifest), size), card=card(manifest))
    trained = Trained.load(path)
    rows = [*describe(trained.manifest), size]
    parameters = (trained.manifest.get("encoder") or {}).get("parameters")
    if parameters is not None:
        rows.append(("encoder parameters", f"{parameters:,}"))
    attributes = trained.model if isinstance(trained.model, AttributeModel) else None
    return Inspection(rows=tuple(rows), card=card(manifest), attributes=attributes)
