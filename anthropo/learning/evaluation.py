"""Evaluation of a classifier: its figures, and warnings where they are less reliable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo._version import __version__
from anthropo.errors import InputError
from anthropo.learning.adjusting import Adjusted, Strata
from anthropo.learning.alone import encoder_alone, encoders_compared
from anthropo.learning.intervals import Interval, as_json
from anthropo.learning.judged import Judged
from anthropo.learning.matching import Matched
from anthropo.learning.metrics import DEFINITIONS, compare, judge, judge_labels
from anthropo.learning.nearest import Nearest
from anthropo.learning.sites import Sites
from anthropo.learning.subgroups import Subgroup, age_bands, by_subgroup
from anthropo.showing import brief, count, draw, html, word

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from anthropo.learning.shift import Shift

Figures = dict[str, Interval]  # by metric, see `anthropo.learning.metrics.DEFINITIONS`

MODEL_NAMES = {
    "hybrid": "hybrid",
    "unadapted": "unadapted",
    "measurements": "measurements only",
    "regions": "regions only",
    "metadata": "metadata only",
    "gate": "gate only",
    "background": "background only",
}

_GUESSED = 0.6  # AUROC from which on labels count as guessable without the face
_FEW_PATIENTS = 10
_TOO_SURE = 0.8  # calibration slope below which one is warned of
_MOST_SUBGROUPS = 20  # different values of a column
_GUESSABLE = {
    "background": (
        "the background alone, with the face masked out",
        "The photos of different labels were taken in different places or ways, and a model can learn that "
        "instead of faces. Photograph all labels alike, or trust measurements more than regions.",
    ),
    "gate": (
        "the photo gate alone: which checks failed and which measurements are missing",
        "People of different labels were photographed in different poses, expressions or light. What is "
        "missing counts as no evidence, but a network sees a smile. Photograph all labels alike.",
    ),
    "metadata": (
        "the metadata alone, without any photo",
        "The labels differ in age, sex or another column, and a face shows these. Compare people who are "
        "alike in them: adjust the figures for them, or match the patients by them.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCount:
    """Photos and patients of a label."""

    photos: int
    patients: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """Figures of models with their intervals, and warnings where they are less reliable.

    Attributes
    ----------
    labels : tuple of str
        Names of the labels.
    n_photos : int
        Number of photos that were judged.
    n_patients : int
        Number of their patients.
    counts : dict of str to LabelCount
        Photos and patients by label.
    positive : str or None
        Label that the figures are of; None: means over the labels.
    prevalence : float or None
        Share of the positive label for PPV and NPV; None: not stated.
    shares : dict of str to float
        How common each label is where the probabilities hold: as among the training photos.
    decided_at : dict of str to float
        How common each label was taken to be in decisions and sets; empty: as in `shares`.
    main : str
        Model that subgroups, labels and the confusion matrix are of.
    models : dict of str to dict of str to Interval
        Figures by model and metric.
    differences : dict of str to dict of str to Interval
        Differences of the main model from each other one.
    by_label : dict of str to dict of str to Interval
        Figures of each label against the rest; empty with a positive label.
    subgroups : dict of str to dict of str to Subgroup
        Figures by column and value.
    confusion : tuple of tuple of int
        Photos by true label (row) and decision; last column: abstained.
    warnings : tuple of str
        Sentences on figures that are less reliable.
    left_out : tuple of (str, str)
        Photos that could not be used, each with the reason.
    photo_gate : tuple of str
        How the photos did at the photo gate, in sentences.
    settings : dict of str to Any
        How the evaluation was made.
    attribute : str or None
        The attribute whose presence is judged; None: there is one question only.
    judged : dict of str to Judged
        What the figures are made of, by model.
    sites : Sites or None
        Figures of each site by models of the others, where sites were left out one by one.
    matched : Matched or None
        How controls were matched to cases.
    adjusted : Adjusted or None
        AUROC of people who are alike in some columns, where that was asked for.
    adapted : dict of str to dict of str to Interval
        Differences of each adapted model from the same without adaptation.
    shifts : tuple of Shift
        How far apart photos of sites are, before adaptation and after.
    nearest : Nearest or None
        How often the nearest patient tells a label that nothing was trained on.
    encoders : dict of str to dict of str to Interval
        Of several encoders, each by its regions alone: differences of the one of greatest AUROC from each
        other one.

    Examples
    --------
    >>> from anthropo.learning import Evaluation, Judged
    >>> proba = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6]]
    >>> judged = Judged(("control", "Noonan"), [0, 0, 1, 1], proba, ["a", "b", "c", "d"], [0, 0, 1, 1])
    >>> made = Evaluation.of({"hybrid": judged}, positive="Noonan", bootstrap=100)
    >>> print(made.figures["sensitivity"])
    1.000 (0.342 to 1.000)
    """

    labels: tuple[str, ...]
    n_photos: int
    n_patients: int
    counts: dict[str, LabelCount]
    positive: str | None
    prevalence: float | None
    shares: dict[str, float]
    decided_at: dict[str, float]
    main: str
    models: dict[str, Figures]
    differences: dict[str, Figures]
    by_label: dict[str, Figures]
    subgroups: dict[str, dict[str, Subgroup]]
    confusion: tuple[tuple[int, ...], ...]
    warnings: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    photo_gate: tuple[str, ...]
    settings: dict[str, Any]
    attribute: str | None
    judged: dict[str, Judged]
    sites: Sites | None
    matched: Matched | None
    adjusted: Adjusted | None
    adapted: dict[str, Figures]
    shifts: tuple[Shift, ...]
    nearest: Nearest | None
    encoders: dict[str, Figures]

    def _repr_html_(self) -> str:
        return html(self, "evaluation")

    def to_frame(self) -> pd.DataFrame:
        """A row per figure: attribute, model, metric, value, lo and hi (95 % interval), n, reason."""
        import pandas as pd

        rows = [
            (self.attribute, model, metric, figure.value, figure.lo, figure.hi, figure.n, figure.reason)
            for model, figures in self.models.items()
            for metric, figure in figures.items()
        ]
        columns = ["attribute", "model", "metric", "value", "lo", "hi", "n", "reason"]
        return pd.DataFrame(rows, columns=columns)

    def plot(self, kind: str = "roc", ax: Axes | None = None) -> Axes:
        """Draw a figure of the evaluation.

        Parameters
        ----------
        kind : {"roc", "precision-recall", "calibration", "decision-curve", "confusion", "subgroups", "sites"}
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError
            If there is no such figure of this evaluation.
        """
        return draw(self, "evaluation", ax, kind=kind)

    def __repr__(self) -> str:
        return brief(
            self,
            f"{count(self.n_photos, 'photo')} of {count(self.n_patients, 'patient')}",
            f"of {word(self.attribute or self.positive)}"
            if self.positive
            else count(len(self.labels), "label"),
            f"{model_name(self.main)} AUROC {self.figures['auroc']}",
            count(len(self.warnings), "warning") if self.warnings else "",
        )

    @property
    def figures(self) -> Figures:
        """Those of the main model."""
        return self.models[self.main]

    @classmethod
    def of(
        cls,
        models: Mapping[str, Judged],
        *,
        attribute: str | None = None,
        positive: str | None = None,
        prevalence: float | None = None,
        shares: Mapping[str, float] | None = None,
        decided_at: Mapping[str, float] | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        left_out: Sequence[tuple[str, str]] = (),
        photo_gate: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        sites: tuple[str, Sequence[str]] | None = None,
        strata: Strata | None = None,
        matched: Matched | None = None,
        null: Sequence[float] = (),
        unadapted: Mapping[str, str] | None = None,
        shifts: Sequence[Shift] = (),
        nearest: Nearest | None = None,
        bootstrap: int = 1000,
        seed: int = 0,
    ) -> Evaluation:
        """Evaluate models that answered on the same photos.

        Parameters
        ----------
        models : mapping of str to Judged
            Such as "hybrid", "measurements" and "background"; the first is the main one.
        attribute : str, optional
            The one that they answered on, of several.
        positive, prevalence, bootstrap, seed
            As in `anthropo.learning.metrics.judge`.
        shares, decided_at : mapping of str to float, optional
            How common each label is where the probabilities hold, and where it was decided.
        columns : mapping of str to sequence, optional
            Columns of the cohort, a value per photo, for subgroups; ages in years become bands.
        left_out : sequence of (photo, reason)
        photo_gate : sequence of str
            How the photos did at the photo gate: sentences of a `GateSummary`.
        settings : mapping, optional
            How the evaluation was made, as name and value; shown as it is.
        sites : (str, sequence of str), optional
            A column, and its value of each fold, where each was judged by models of the others.
        strata : Strata, optional
            Within which AUROC is given as well.
        matched : Matched, optional
            How controls were matched to cases; shown as it is.
        null : sequence of float
            The main model's adjusted AUROC with labels permuted within strata.
        unadapted : mapping of str to str, optional
            For each model that is adapted, the one that is the same without.
        shifts : sequence of Shift
            How far apart photos of sites are; shown as it is.
        nearest : Nearest, optional
            Of labels that are matched to their nearest patients; shown as it is.

        Raises
        ------
        InputError
            If there is no model, the label is unknown or the prevalence is not between 0 and 1.
        """
        if not models:
            raise InputError("No model to report on. Evaluate one first.")
        main, judged = next(iter(models.items()))
        options: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed}
        figures = {name: judge(m, positive, prevalence, **options) for name, m in models.items()}
        differences = _differences(main, models, positive, options)
        adapted = {
            name: compare(models[name], models[other], positive, **options)
            for name, other in (unadapted or {}).items()
            if name in models and other in models
        }
        compared = {c: v for c, v in (columns or {}).items() if sites is None or c != sites[0]}
        groups, unused = _groups(compared)
        counts = _counts(judged)
        return cls(
            labels=judged.labels,
            n_photos=len(judged.truth),
            n_patients=len(set(judged.groups.tolist())),
            counts=counts,
            positive=positive,
            prevalence=prevalence,
            shares=dict(shares or {}),
            decided_at=dict(decided_at or {}),
            main=main,
            models=figures,
            differences=differences,
            by_label={} if positive is not None else judge_labels(judged, decided_at, **options),
            subgroups={
                c: by_subgroup(judged, of, positive, prevalence, **options) for c, of in groups.items()
            },
            confusion=_confusion(judged),
            warnings=(
                *_hurting(adapted),
                *_warnings(main, figures, {} if adapted and main not in adapted else differences, counts),
                *unused,
            ),
            left_out=tuple(left_out),
            photo_gate=tuple(photo_gate),
            settings=dict(settings or {}),
            attribute=attribute,
            judged=dict(models),
            sites=None if sites is None else Sites.of(*sites, judged, positive, prevalence, **options),
            matched=matched,
            adjusted=None if strata is None else Adjusted.of(models, positive, strata, null=null, **options),
            adapted=adapted,
            shifts=tuple(shifts),
            nearest=nearest,
            encoders=encoders_compared(models, figures, positive, **options),
        )

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON has it; a figure that cannot be computed is None with a `"reason"`."""
        hidden = [
            "attribute",
            "judged",
            *(name for name in ("sites", "adjusted", "matched", "nearest") if getattr(self, name) is None),
            *(name for name in ("adapted", "shifts", "encoders") if not getattr(self, name)),
        ]
        shown = {f.name: as_json(getattr(self, f.name)) for f in fields(self) if f.name not in hidden}
        left_out = [{"photo": photo, "reason": reason} for photo, reason in self.left_out]
        return {**shown, "left_out": left_out, "definitions": DEFINITIONS, "anthropo": __version__}


def model_name(name: str) -> str:
    """A model's name as people read it."""
    alone = encoder_alone(name)
    return MODEL_NAMES.get(name, name) if alone is None else f"{alone} only"


def _hurting(adapted: Mapping[str, Figures]) -> list[str]:
    """A sentence on each model that adaptation makes worse."""
    return [
        f"Adaptation hurts ({model_name(name)}): AUROC lower by {-difference['auroc'].value:.3f} "
        f"({-difference['auroc'].hi:.3f} to {-difference['auroc'].lo:.3f}) than without. Leave it out "
        "unless other sites show that it helps."
        for name, difference in adapted.items()
        if difference["auroc"].hi < 0
    ]


def _differences(
    main: str, models: Mapping[str, Judged], positive: str | None, options: Mapping[str, Any]
) -> dict[str, Figures]:
    """The main model against each other that answered on the same photos."""
    judged = models[main]
    return {
        name: compare(judged, other, positive, **options)
        for name, other in models.items()
        if name != main
        and np.array_equal(other.truth, judged.truth)
        and np.array_equal(other.groups, judged.groups)
    }


def _counts(judged: Judged) -> dict[str, LabelCount]:
    """Photos and patients of each label."""
    return {
        label: LabelCount(photos=int(of.sum()), patients=len(set(judged.groups[of].tolist())))
        for label, of in ((label, judged.truth == c) for c, label in enumerate(judged.labels))
    }


def _warnings(
    main: str,
    models: Mapping[str, Figures],
    differences: Mapping[str, Figures],
    counts: Mapping[str, LabelCount],
) -> list[str]:
    """Reasons to trust the figures less."""
    warnings = []
    for name, (what, fix) in _GUESSABLE.items():
        if name in models and models[name]["auroc"].lo > _GUESSED:  # NaN is not
            warnings.append(f"Labels can be guessed from {what}: AUROC {models[name]['auroc']}. {fix}")
    for name, difference in differences.items():
        auroc = difference["auroc"]
        if auroc.hi < 0 and name != "unadapted":  # which is said otherwise
            warnings.append(
                f"{model_name(main).capitalize()} is worse than {model_name(name)}: AUROC lower by "
                f"{-auroc.value:.3f} ({-auroc.hi:.3f} to {-auroc.lo:.3f})."
            )
    slope = models[main]["calibration_slope"]
    if slope.hi < _TOO_SURE:  # NaN is not
        warnings.append(
            f"Stated odds are too large: calibration slope {slope}, where 1 is right. Read probabilities "
            "near 0 and 1 as less sure than they look, or train with more patients."
        )
    few = ", ".join(f"{label}: {n.patients}" for label, n in counts.items() if n.patients < _FEW_PATIENTS)
    if few:
        warnings.append(f"Fewer than {_FEW_PATIENTS} patients make a label's figures uncertain ({few}).")
    return warnings


def _confusion(judged: Judged) -> tuple[tuple[int, ...], ...]:
    """Mean over the dealings, in whole photos whose sum is that of the label's photos."""
    k = len(judged.labels)
    matrix = np.zeros((k, k + 1), dtype=np.int64)
    for one in judged.dealt:
        np.add.at(matrix, (one.truth, one.decision), 1)  # -1 is the last column
    return tuple(_whole(row, len(judged.dealt)) for row in matrix)


def _whole(counts: NDArray[np.int64], times: int) -> tuple[int, ...]:
    """Counts divided by `times` in whole numbers of the same sum (by the largest remainders)."""
    floor, rest = np.divmod(counts, times)
    floor[np.argsort(-rest, kind="stable")[: rest.sum() // times]] += 1
    return tuple(floor.tolist())


def _groups(columns: Mapping[str, Sequence[Any]]) -> tuple[dict[str, Sequence[Any]], list[str]]:
    """The group of each photo, by column; and a sentence for each column that has too many of them."""
    groups: dict[str, Sequence[Any]] = {}
    unused = []
    for column, values in columns.items():
        of = age_bands([_years(v) for v in values]) if column.lower() == "age" else values
        if len({str(v) for v in of}) > _MOST_SUBGROUPS:
            unused.append(f"No subgroups of {column}: it has more than {_MOST_SUBGROUPS} different values.")
        else:
            groups[column] = of
    return groups, unused


def _years(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
