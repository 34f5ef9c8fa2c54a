"""Rows of features to predict from: a data frame, or the same without pandas, whose import takes longer than
a photo to be judged."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.judged import Floats

Words = Sequence[Any]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRows:
    """Features of photos by column, as `feature_frame` names them."""

    n: int  # rows
    numbers: Mapping[str, NDArray[np.floating]]  # (n,) each, NaN where missing
    words: Mapping[str, Words]  # (n,) each, None where missing

    def __len__(self) -> int:
        return self.n

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return [*self.numbers, *self.words]

    def assign(self, **numbers: Floats) -> FeatureRows:
        """With more columns of numbers."""
        return replace(self, numbers={**self.numbers, **numbers})


def is_frame(table: Any) -> bool:
    """Whether this is a data frame; nobody has one before pandas is imported."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(table, pandas.DataFrame)


def numbers_of(table: Any, names: Sequence[str]) -> Floats:
    """Columns of numbers, (n, len(names)), NaN where missing."""
    if isinstance(table, FeatureRows):
        out = np.empty((len(table), len(names)))
        for at, name in enumerate(names):
            out[:, at] = table.numbers[name]
        return out
    return np.asarray(table[list(names)].to_numpy(dtype=np.float64, na_value=np.nan))


def words_of(table: Any, name: str) -> list[Any]:
    """A column of words, with "" where one is missing."""
    if isinstance(table, FeatureRows):
        column = table.words[name] if name in table.words else table.numbers[name].tolist()
        return ["" if cell is None or cell != cell else cell for cell in column]
    column = table[name]
    return list(column.astype(object).where(column.notna(), ""))


def number_columns(table: Any) -> frozenset[str]:
    """Names of the columns that hold numbers, and need no parsing."""
    if isinstance(table, FeatureRows):
        return frozenset(table.numbers)
    return frozenset(
        str(name) for name, kind in zip(table.columns, table.dtypes, strict=True) if kind.kind in "fiub"
    )


def parsed(table: Any, name: str) -> Floats:
    """A column of words as numbers, (n,); NaN where one is none."""
    if isinstance(table, FeatureRows):
        return np.array([_number(cell) for cell in table.words[name]], dtype=np.float64)
    import pandas as pd

    numbers = pd.to_numeric(table[name], errors="coerce")
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))


def _number(cell: Any) -> float:
    try:
        return np.nan if "_" in str(cell) else float(cell)  # 1_000 is no number to pandas
    except (TypeError, ValueError):
        return np.nan
