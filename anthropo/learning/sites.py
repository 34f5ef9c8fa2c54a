"""Internal-external validation: figures of each site, by models of the others, and of all sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anthropo.learning.heterogeneity import PooledOverSites, pooled
from anthropo.learning.judged import Judged
from anthropo.learning.subgroups import Subgroup, by_subgroup
from anthropo.showing import fielded

#: Metrics that are pooled over sites: proportions, and the AUROC.
POOLED = ("sensitivity", "specificity", "auroc")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sites:
    """How a model does at sites that it was not trained at.

    Internal-external validation: Steyerberg & Harrell, "Prediction models need appropriate internal,
    internal-external, and external validation", J Clin Epidemiol 69:245 (2016).
    """

    column: str
    figures: dict[str, Subgroup]  # by site
    pooled: dict[str, PooledOverSites]  # by metric

    __repr__ = fielded

    @classmethod
    def of(
        cls,
        column: str,
        names: Sequence[str],
        judged: Judged,
        positive: str | None,
        prevalence: float | None,
        *,
        bootstrap: int,
        seed: int,
    ) -> Sites:
        """Figures of answers whose folds are the sites of these names."""
        assert judged.fold is not None
        values = np.array(names, dtype=object)[judged.fold]
        figures = by_subgroup(judged, values.tolist(), positive, prevalence, bootstrap=bootstrap, seed=seed)
        over = {
            metric: pooled({name: of.metrics[metric] for name, of in figures.items()}) for metric in POOLED
        }
        return cls(column=column, figures=figures, pooled=over)
