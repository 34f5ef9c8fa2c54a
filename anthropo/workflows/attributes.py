"""Several attributes per person: each alone, in a chain, or by one network; and how they belong together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anthropo.errors import InputError, parameter
from anthropo.learning.cohort import Finding, salt_of
from anthropo.learning.intervals import Interval
from anthropo.showing import brief, count, counts, draw, html
from anthropo.workflows.cohort import Material, TrainRequest, gather
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from anthropo.learning.judged import Judged
    from anthropo.learning.relations import FaceRelation

#: The ways to learn several attributes.
WAYS = ("individual", "chained", "multi-task")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttributeRow:
    """The AUROC of one attribute, or the mean of all, in each way to learn it."""

    attribute: str
    auroc: dict[str, Interval]  # by way
    gained: dict[str, Interval]  # over each alone, by the other ways; on the same resamples


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedAttributes:
    """Ways to learn several attributes, on the same folds, and the relations between attributes.

    Attributes
    ----------
    rows : tuple of AttributeRow
        The attributes, and last their mean.
    relations : tuple of FaceRelation
        Of all pairs, the surest first.
    counts : dict of str to int
        Patients with each attribute.
    photos, patients : int
    findings : tuple of Finding
        What is wrong with the cohort.
    judged : dict of str to dict of str to Judged
        Answers by attribute and way.
    salt : str
        What patients' and photos' names are hashed with in `predictions`.
    """

    rows: tuple[AttributeRow, ...]
    relations: tuple[FaceRelation, ...]
    counts: dict[str, int]
    photos: int
    patients: int
    findings: tuple[Finding, ...]
    judged: dict[str, dict[str, Judged]]
    salt: str = field(default="", repr=False)

    def __repr__(self) -> str:
        return brief(
            self,
            f"{count(self.photos, 'photo')} of {count(self.patients, 'patient')}",
            counts(self.counts),
            count(len(self.relations), "pair"),
        )

    def _repr_html_(self) -> str:
        return html(self, "compared_attributes")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the graph of which attributes go together.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "compared_attributes", ax)

    def to_frame(self) -> pd.DataFrame:
        """A row per attribute and way: AUROC and what it gains over each alone, with 95 % intervals."""
        import pandas as pd

        rows = []
        for row in self.rows:
            for way, figure in row.auroc.items():
                gained = row.gained.get(way)
                rows.append(
                    {
                        "attribute": row.attribute, "way": way,
                        "auroc": figure.value, "auroc_lo": figure.lo, "auroc_hi": figure.hi,
                        "gained": gained.value if gained else np.nan,
                        "gained_lo": gained.lo if gained else np.nan,
                        "gained_hi": gained.hi if gained else np.nan,
                    }
                )  # fmt: skip
        return pd.DataFrame(rows)

    def predictions(self, *, names: bool = False) -> pd.DataFrame:
        """Every answer that the figures are made of, as `EvaluateResult.predictions` gives it.

        ``model`` is the way to learn: individual, chained, multi-task.

        Parameters
        ----------
        names : bool
            Photos and patients by name; keyed hashes when left out.

        Returns
        -------
        pandas.DataFrame
        """
        from anthropo.learning.predictions import predictions_of

        return predictions_of(self.judged, self.salt, names=names)

    def to_json(self) -> dict[str, Any]:
        """As JSON: the table and the relations."""
        from anthropo.learning.intervals import as_json

        return {
            "photos": self.photos,
            "patients": self.patients,
            "patients_with": self.counts,
            "attributes": [
                {"attribute": r.attribute, "auroc": as_json(r.auroc), "gained": as_json(r.gained)}
                for r in self.rows
            ],
            "relations": [{**as_json(of), "meaning": of.meaning} for of in self.relations],
        }


def compare_attributes(
    cohort: str | os.PathLike[str] | Material,
    request: TrainRequest | None = None,
    *,
    bootstrap: int = 1000,
    progress: Progress = silent,
) -> ComparedAttributes:
    """Put ways to learn several attributes side by side, on the same folds, and find their relations.

    Each alone and in a chain are the hybrid; multi-task is one network with a layer that all attributes
    share, on the same measurements and embeddings.

    Parameters
    ----------
    cohort : path or Material
        Photos whose column ``label`` holds lists, ``ptosis; long philtrum``.
    request : TrainRequest, optional
        Its task is attributes whatever it says; ``options.chained`` does not matter.
    bootstrap : int
        Resamples of the patients, for intervals.
    progress : Progress

    Returns
    -------
    ComparedAttributes

    Raises
    ------
    CohortError, AnthropoError
        As `anthropo.evaluate`.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.compare_attributes("traits.csv")  # else result.to_frame(), result.relations
    Traceback (most recent call last):
    anthropo.errors.InputError: traits.csv: no such file.
    """
    request = replace(request or TrainRequest(), task="attributes")
    material = cohort if isinstance(cohort, Material) else gather(cohort, request, progress=progress)
    if material.request.task != "attributes":
        raise InputError(
            f"{parameter('compare', 'attributes')} is of several attributes per photo. Pass "
            f"{parameter('task', 'attributes')}."
        )
    from anthropo.learning.joint import judge_joint
    from anthropo.learning.judging import cross_validate, dealings
    from anthropo.learning.relations import relate

    features, options, asked = material.features, material.options, material.request
    how: dict[str, Any] = {"folds": asked.folds, "repeats": asked.repeats}
    judged: dict[str, dict[str, Judged]] = {}
    with progress(3 * asked.folds * dealings(features, asked.repeats), "cross-validating") as advance:
        for way in WAYS:
            if way == "multi-task":
                answers: Mapping[str, Judged] = judge_joint(features, options, **how, on_progress=advance)
            else:
                made = cross_validate(
                    features,
                    replace(options, chained=way == "chained"),
                    "attributes",
                    **how,
                    baselines=False,
                    jobs=asked.reading.jobs,
                    on_progress=advance,
                )
                answers = {str(q.attribute): q.models["hybrid"] for q in made.questions}
            for attribute, of in answers.items():
                judged.setdefault(attribute, {})[way] = of
    judged = {name: of for name, of in judged.items() if len(of) == len(WAYS)}
    if not judged:
        raise InputError(
            f"{material.cohort.source}: no attribute can be judged in every fold. Add patients with and "
            "without."
        )
    return ComparedAttributes(
        rows=_rows(judged, bootstrap, options.seed),
        relations=relate({name: of["individual"] for name, of in judged.items()}),
        counts={
            name: len(set(of["individual"].groups[of["individual"].truth > 0].tolist()))
            for name, of in judged.items()
        },
        photos=len(features),
        patients=len(set(features.patients.tolist())),
        findings=material.findings,
        judged=judged,
        salt=salt_of(features.digests.tolist()),
    )


def _rows(judged: Mapping[str, Mapping[str, Judged]], bootstrap: int, seed: int) -> tuple[AttributeRow, ...]:
    """AUROC of each attribute and way, and of their mean, on resamples of the same patients."""
    people = sorted({person for of in judged.values() for person in of["individual"].groups.tolist()})
    areas = np.stack(
        [np.stack([_areas(of[way], people, bootstrap, seed) for way in WAYS]) for of in judged.values()]
    )  # (attributes, ways, 1 + resamples): the first is of all patients
    if len(areas) > 1:
        areas = np.concatenate([areas, areas.mean(0, keepdims=True)])
    names = [*judged, "mean of all"][: len(areas)]
    n = [len(of["individual"].truth) for of in judged.values()]
    rows = []
    for name, of, size in zip(names, areas, [*n, max(n)], strict=False):
        auroc = {way: _interval(of[k], size) for k, way in enumerate(WAYS)}
        gained = {way: _interval(of[k] - of[0], size) for k, way in enumerate(WAYS) if k}
        rows.append(AttributeRow(attribute=name, auroc=auroc, gained=gained))
    return tuple(rows)


def _interval(of: Any, n: int) -> Interval:
    value, drawn = float(of[0]), of[1:][np.isfinite(of[1:])]
    if not np.isfinite(value) or not len(drawn):
        return Interval(value, n=n)
    lo, hi = np.quantile(drawn, [0.025, 0.975]).tolist()
    return Interval(value, min(lo, value), max(hi, value), n)


def _areas(judged: Judged, people: Sequence[str], bootstrap: int, seed: int) -> Any:
    """The mean AUROC of the dealings, of all patients and of each resample of them (1 + resamples,)."""
    from anthropo.learning.bootstrap import rank_areas

    place = {person: i for i, person in enumerate(people)}
    rows = np.array([place[person] for person in judged.groups.tolist()])
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(people), np.full(len(people), 1 / len(people)), bootstrap)
    weights = np.vstack([np.ones(len(people)), drawn])[:, rows].astype(float)
    each = [rank_areas(one.proba[:, 1], one.truth > 0, weights)[0] for one in judged.dealt]
    return np.mean(each, 0)
