"""Every answer that an evaluation's figures are made of, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.cohort import SEPARATOR, hashed
from anthropo.learning.judged import Judged
from anthropo.learning.model import NONE_OF_THESE
from anthropo.plain import column_name

if TYPE_CHECKING:
    import pandas as pd


def predictions_of(
    judged: Mapping[Any, Mapping[str, Judged]],
    salt: str,
    sites: Sequence[str] = (),
    *,
    names: bool = False,
) -> pd.DataFrame:
    """A row for each model, dealing of the folds and photo.

    Parameters
    ----------
    judged : mapping of str or None to mapping of str to Judged
        Answers by attribute, or None where the question is which label, and by model.
    salt : str
        What names are hashed with.
    sites : sequence of str
        The site of each fold, where sites were left out one by one.
    names : bool, default False
        Show photos and patients by name, in place of a hash.

    Returns
    -------
    pandas.DataFrame
        ``attribute`` (of several), ``model``, ``repeat``, ``fold``, ``site`` (where sites were left out),
        ``patient``, ``photo``, ``true_label``, ``decision``, ``set``, ``typicality``, then
        ``probability__LABEL`` and ``log_odds__LABEL`` of each label; of a distance to normal, which is no
        probability, ``distance``.
    """
    import pandas as pd

    tables = []
    for attribute, models in judged.items():
        for model, answers in models.items():
            for repeat, one in enumerate(answers.dealt, 1):
                table = _table(one, salt, sites, names)
                table.insert(0, "repeat", repeat)
                table.insert(0, "model", model)
                if attribute is not None:
                    table.insert(0, "attribute", attribute)
                tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _table(judged: Judged, salt: str, sites: Sequence[str], names: bool) -> pd.DataFrame:
    """The answers of one model in one dealing."""
    import pandas as pd

    n, labels = len(judged.truth), judged.labels
    fold = np.zeros(n, dtype=np.int64) if judged.fold is None else judged.fold + 1
    columns: dict[str, Any] = {"fold": fold}
    if sites:
        columns["site"] = np.array(sites, dtype=object)[fold - 1]
    photos = [""] * n if judged.photos is None else judged.photos.tolist()
    patients = [str(name) for name in judged.groups.tolist()]
    columns["patient"] = patients if names else _hashed(patients, salt)
    columns["photo"] = photos if names else _hashed(photos, salt)
    answers = np.array([*labels, NONE_OF_THESE], dtype=object)  # -1 is the last
    columns["true_label"], columns["decision"] = answers[judged.truth], answers[judged.decision]
    if judged.sets is not None:
        columns["set"] = [
            f"{SEPARATOR} ".join(label for label, inside in zip(labels, row, strict=True) if inside)
            for row in judged.sets.tolist()
        ]
    if judged.typicality is not None:
        columns["typicality"] = judged.typicality
    if judged.ranks_only:
        columns["distance"] = judged.proba[:, 1] / judged.proba[:, 0]  # as `NormalityModel.answer` made it
        return pd.DataFrame(columns)
    for title, numbers in (("probability", judged.proba), ("log_odds", _log_odds(judged.proba))):
        for label, column in zip(labels, numbers.T, strict=True):
            name = column_name(f"{title}:{label}")
            while name in columns:  # of two labels that differ in punctuation only
                name += "_"
            columns[name] = column
    return pd.DataFrame(columns)


def _hashed(names: Sequence[str], salt: str) -> list[str]:
    known = {name: hashed(name, salt) if name else "" for name in dict.fromkeys(names)}
    return [known[name] for name in names]


def _log_odds(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each label against all others together, from probabilities (n, k)."""
    others = np.column_stack([np.delete(proba, c, 1).sum(1) for c in range(proba.shape[1])])
    with np.errstate(divide="ignore"):  # of a probability of 0 or 1 it is infinite
        return np.asarray(np.log(proba) - np.log(others))
