"""Columns of a feature table: measurements, regions and metadata, and their standardised numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.judged import Floats
from anthropo.learning.rows import number_columns, numbers_of, parsed, words_of

METADATA = "meta:"  # start of a metadata column's name; embeddings are called REGION/0, REGION/1, …
_EMBEDDING = re.compile(r"(.+)/(\d+)")
_CLIP = 5.0  # standard deviations, so that no single outlier decides

#: In place of a category, of a number that is 1 where a measurement has no value, else 0.
VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of a feature table's columns, by kind."""

    measurements: tuple[str, ...]
    regions: dict[str, tuple[str, ...]]
    metadata: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> Columns:
        """Columns of these names: ``REGION/i`` of an embedding, ``meta:NAME``, every other a measurement."""
        return _sorted_out(tuple(map(str, names)))

    @classmethod
    def sized(
        cls, measurements: Sequence[str], regions: Mapping[str, int], metadata: Sequence[str] = ()
    ) -> Columns:
        """Columns of regions whose embeddings have these lengths."""
        numbered = {region: tuple(f"{region}/{i}" for i in range(d)) for region, d in regions.items()}
        return cls(tuple(measurements), numbered, tuple(metadata))

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, measurements first."""
        return (*self.measurements, *chain.from_iterable(self.regions.values()), *self.metadata)


@lru_cache(maxsize=64)
def _sorted_out(names: tuple[str, ...]) -> Columns:
    regions: dict[str, list[str]] = {}
    measurements, metadata = [], []
    for name in names:
        embedding = _EMBEDDING.fullmatch(name)
        if name.startswith(METADATA):
            metadata.append(name)
        elif embedding:
            regions.setdefault(embedding[1], []).append(name)
        else:
            measurements.append(name)
    return Columns(tuple(measurements), {k: tuple(v) for k, v in regions.items()}, tuple(metadata))


@dataclass(frozen=True, slots=True)
class Scaler:
    """Measurements and metadata as standardised numbers; what is missing stays NaN.

    A number is 0 for the mean of everybody, not of the controls: a missing one counts as that and must not
    stand for either side.
    """

    names: tuple[str, ...]  # of the numbers
    origin: tuple[str, ...]  # the column each number comes from
    # the number is 1 where the column has this text, else 0; of a measurement `VOIDED` where it has no value
    category: tuple[str | None, ...]
    mean: Floats  # of those who are the standard: the controls, if there are any
    spread: Floats  # their SD, 1 where there is none
    centre: Floats  # mean of everybody, which is 0 among the numbers

    @classmethod
    def fit(
        cls, table: Any, columns: Columns, rows: NDArray[np.bool_] | None = None, *, voided: bool = False
    ) -> Scaler:
        """Learn means and spreads; of measurements from `rows` only (the controls), when given.

        With `voided` there is another number for each measurement that some photos lack: whether it is so.
        """
        pairs: list[tuple[str, str | None]] = []  # of origin and category
        measurements, numeric = frozenset(columns.measurements), number_columns(table)
        for name in (*columns.measurements, *columns.metadata):
            if name in measurements or name in numeric or (column := table[name]).isna().all():
                pairs.append((name, None))
            else:
                pairs += [(name, text) for text in sorted({str(v) for v in column.dropna()} - {""})]
        if voided:
            lacking = _lacking(table, columns.measurements).mean(0)
            some = zip(columns.measurements, lacking, strict=True)
            pairs += [(name, VOIDED) for name, share in some if 0 < share < 1]
        names = tuple(name if text is None else f"{name}={text}" for name, text in pairs)
        origin, category = tuple(name for name, _ in pairs), tuple(text for _, text in pairs)
        blank = cls(names, origin, category, np.zeros(len(names)), np.ones(len(names)), np.zeros(len(names)))
        raw = blank.transform(table, clip=False)
        measured = np.isin(origin, columns.measurements) & ~blank.voided
        mean, spread, centre = np.zeros(len(names)), np.ones(len(names)), np.zeros(len(names))
        for at in range(len(names)):
            values = raw[:, at]
            if np.isfinite(values).any():
                centre[at] = values[np.isfinite(values)].mean()
            if rows is not None and measured[at] and np.isfinite(values[rows]).sum() > 1:
                values = values[rows]
            values = values[np.isfinite(values)]
            if len(values):
                mean[at] = values.mean()
            if len(values) > 1 and values.std(ddof=1) > 1e-12 * max(1.0, abs(mean[at])):
                spread[at] = values.std(ddof=1)
        return replace(blank, mean=mean, spread=spread, centre=centre)

    @property
    def voided(self) -> NDArray[np.bool_]:
        """Which numbers (m,) say whether a measurement has no value."""
        pairs = zip(self.origin, self.category, strict=True)
        return np.array(
            [text == VOIDED and not name.startswith(METADATA) for name, text in pairs], dtype=bool
        )

    def transform(self, table: Any, clip: bool = True) -> Floats:
        """Standardised numbers (n, m) around the mean of everybody, clipped to ±5."""
        out: NDArray[np.float64] = np.empty((len(table), len(self.names)))
        numbers_in = number_columns(table)
        plain = [
            at for at, text in enumerate(self.category) if text is None and self.origin[at] in numbers_in
        ]
        # all at once: column by column takes longer than to learn from them
        out[:, plain] = numbers_of(table, [self.origin[at] for at in plain])
        voided = self.voided
        out[:, voided] = _lacking(table, [self.origin[at] for at in np.flatnonzero(voided)])
        for at, (name, text) in enumerate(zip(self.origin, self.category, strict=True)):
            if voided[at]:
                continue
            if text is not None:
                out[:, at] = [np.nan if v == "" else float(str(v) == text) for v in words_of(table, name)]
            elif name not in numbers_in:
                out[:, at] = parsed(table, name)
        out[~np.isfinite(out)] = np.nan
        out = (out - self.centre) / self.spread
        return np.clip(out, -_CLIP, _CLIP) if clip else out


def _lacking(table: Any, names: Sequence[str]) -> Floats:
    """1 where these columns of numbers have no value, else 0: (n, len(names))."""
    there = number_columns(table)
    columns = [numbers_of(table, [n])[:, 0] if n in there else parsed(table, n) for n in names]
    return np.asarray(~np.isfinite(np.array(columns).reshape(len(names), len(table)).T), dtype=np.float64)
