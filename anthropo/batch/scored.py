"""Measurements with what healthy people have in comparison."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from anthropo.batch.long import long_rows
from anthropo.batch.records import MeasuredRecord
from anthropo.measurement.compute import Measurement, Measurements
from anthropo.reference.zscore import ZScore
from anthropo.showing import brief, draw, facts_of, html, listed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class ScoredMeasurements(Measurements[Measurement]):
    """The measurements of a face or person with their z-scores.

    Parameters
    ----------
    record : MeasuredRecord

    Examples
    --------
    >>> import anthropo
    >>> values = anthropo.examine(anthropo.example_photo(), sex="female", age=31).measurements
    >>> [f"{score.z:+.1f}" for score in values.scores_of("intercanthal_width")]
    ['+0.1']
    """

    def __init__(self, record: MeasuredRecord) -> None:
        super().__init__(record.measurements)
        self.record = record

    def __reduce__(self) -> tuple[type[ScoredMeasurements], tuple[MeasuredRecord]]:
        return type(self), (self.record,)

    def scores_of(self, which: str) -> tuple[ZScore, ...]:
        """The z-scores of a measurement, one for each reference."""
        return self.record.results[self[which].id].scores

    def __repr__(self) -> str:
        scores = sum(not math.isnan(score.z) for score in self.record.scores)
        under = f"{scores} z-scores under {listed(self.record.grades)}" if scores else "no z-scores"
        return brief(self, facts_of(Measurements(self)), under)

    def _repr_html_(self) -> str:
        return html(self, "scored_measurements")

    def to_frame(self) -> pd.DataFrame:
        """A row for each measurement and reference, with the columns of ``anthropo measure --long``."""
        import pandas as pd

        return pd.DataFrame(long_rows([self.record]))

    def plot(self, ax: Axes | None = None, *, unit: str | None = None) -> Axes:
        """Draw the z-scores with their intervals; in a unit, or where there is no z-score, the values.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.
        unit : str, optional
            Draw the values of this unit, as `Measurements.plot` does.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "scored_measurements", ax, unit=unit)
