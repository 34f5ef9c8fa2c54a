"""Log-odds of a prediction as an exact sum over measurements, regions and metadata."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.learning.attributes import AttributeModel
from anthropo.learning.calibration import softmax
from anthropo.learning.columns import METADATA
from anthropo.learning.features import Features
from anthropo.learning.fitted import Contributions
from anthropo.learning.model import NONE_OF_THESE, LabelModel, Prediction, by_person, vectors
from anthropo.learning.normality import OUTSIDE, NormalityModel
from anthropo.learning.novelty import Novelty
from anthropo.learning.refits import FEWEST
from anthropo.learning.trained import Trained
from anthropo.showing import brief, draw, facts_of, html, listed, signed, with_interval, word

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
Kind = Literal["measurement", "region", "metadata", "voided"]
How = Literal["trained", "matched", "distance"]

FIRST = 3  # labels that are explained unless others are asked for
_KEPT = 0.25  # of a contribution, that is left of it in every refit if it is stable


@dataclass(frozen=True, slots=True)
class Contribution:
    """Term of a label's log-odds."""

    kind: Kind
    name: str  # measurement id (of voided: the one that has a value or none), region or metadata column
    log_odds: float  # nats; above 0: speaks for the label
    refits: tuple[float, ...] = ()  # the same in each model that was fitted without some of the patients

    def __repr__(self) -> str:
        lo, hi = self.range or (math.nan, math.nan)
        return brief(self, f"{self.kind} {word(self.name)} {with_interval(self.log_odds, lo, hi, '+')}")

    @property
    def range(self) -> tuple[float, float] | None:
        """The lowest and the highest of the model and its refits; None without any."""
        return range_of(self.log_odds, self.refits)

    @property
    def stable(self) -> bool | None:
        """Whether every refit has the same sign, and a quarter of the size or more.

        None without refits, and of what adds nothing in any of them.
        """
        return is_stable(self.log_odds, self.refits)


def range_of(value: float, refits: Sequence[float]) -> tuple[float, float] | None:
    """The lowest and the highest of a sum's term and of what refits have in its place; None without any."""
    return (min(value, *refits), max(value, *refits)) if len(refits) else None


def is_stable(value: float, refits: Sequence[float]) -> bool | None:
    """Whether every refit has a term's sign, and a quarter of its size or more; None without any.

    Refits without a fifth of the patients have most of them in common, and differ about half as much as
    models of other patients would. A term that they bring near 0 is of no sure sign, even if none changed it.
    Of a term that is 0 in all there is nothing to say.
    """
    if not len(refits) or not any((value, *refits)):
        return None
    sign = 1.0 if value > 0 else -1.0
    return bool(value) and min(sign * of for of in refits) >= _KEPT * abs(value)


@dataclass(frozen=True, slots=True)
class Explained:
    """One label of a prediction: log_odds = bias + Σ contributions + residual."""

    label: str
    probability: float | None  # None: of "none of these", which has a share of people in its place
    log_odds: float
    bias: float
    contributions: tuple[Contribution, ...]  # largest first, by size
    how: How
    against: tuple[tuple[str, float], ...]  # the other labels and how much each counts in the comparison
    residual: float = 0.0  # of a classifier whose sum is not exact
    shift: float = 0.0  # the part of the bias that is owed to labels being as common as stated
    limit: float = 0.0  # the part of the bias that takes off what so few people in training cannot show

    def _repr_html_(self) -> str:
        return html(self, "explained")

    def to_frame(self) -> pd.DataFrame:
        """A row for each term: label, kind, name, log_odds, lo, hi, stable; see `Explanation.to_frame`."""
        import pandas as pd

        rows = [
            (self.label, *term, *(None,) * (6 - len(term)))
            for term in (
                ("bias", "", self.bias - self.shift - self.limit),
                ("bias", "prevalence", self.shift),
                ("bias", "limit", self.limit),
                *(
                    (c.kind, c.name, c.log_odds, *(c.range or (None, None)), c.stable)
                    for c in self.contributions
                ),
                ("residual", "", self.residual),
            )
        ]
        return pd.DataFrame(rows, columns=["label", "kind", "name", "log_odds", "lo", "hi", "stable"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what each term adds, with its range over refits.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "explained", ax)

    def __repr__(self) -> str:
        largest = (f"{c.name} {signed(c.log_odds)}" for c in self.contributions[:3])
        return brief(
            self, f"{word(self.label)}, log-odds {signed(self.log_odds)}: bias {signed(self.bias)}", *largest
        )

    def of(self, kind: Kind) -> tuple[Contribution, ...]:
        """The contributions of one kind, largest first."""
        return tuple(c for c in self.contributions if c.kind == kind)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A prediction and why."""

    prediction: Prediction
    labels: tuple[Explained, ...]  # as asked for, or the first three and "none of these"

    def _repr_html_(self) -> str:
        return html(self, "explanation")

    def to_frame(self) -> pd.DataFrame:
        """A row for each term of each label's log-odds: label, kind, name, log_odds, lo, hi, stable.

        The bias has three: what it is as in training, what a stated prevalence adds, and the limit: what is
        taken off because so few people in training cannot show more. lo and hi are the
        lowest and highest over the model and its refits, and stable whether all of these have the same sign
        and no refit less than a quarter of the size; None where there are no refits.
        """
        import pandas as pd

        return pd.concat([explained.to_frame() for explained in self.labels], ignore_index=True)

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the sum of a label's log-odds: what each term adds, with its range over refits.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.
        label : str, optional
            One that is explained; the first when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "explanation", ax, label=label)

    def __repr__(self) -> str:
        return brief(self, facts_of(self.prediction), f"explained: {listed(e.label for e in self.labels)}")


def explain_features(trained: Trained, features: Features, labels: Sequence[str] = ()) -> list[Explanation]:
    """The prediction of each patient as sums, in the order of `Trained.predict`.

    Several photos of a patient are averaged, as in the prediction. Explained are the labels that are asked
    for (an InputError if the model does not know one), else the three most probable and "none of these".

    Notes
    -----
    With margins m of k labels, the log-odds of label c against the rest is
    ``m_c - log Σ exp(m_j) = m_c - Σ w_j m_j - H``, j the other labels, w their shares among themselves and
    H the entropy of w. Margins are sums (one term of which takes off what so few people in training cannot
    show), so with w kept as it is for this person the log-odds is
    one: each contribution tells how much more it speaks for c than for the others, each as probable as it is.
    Of two labels w is 1.

    A matched label's m, against all trained labels together, is linear in the cosine with its nearest
    patient, which is a sum over regions; the trained labels' m are then taken against all trained ones as
    well, by the same rule. So every log-odds is against all other labels, trained or matched, and is that of
    the probability.

    "None of these" and "outside normal" are called by a distance, a
    sum over measurements and regions; its log-odds here is the logarithm of how much rarer people that far
    out are than the share that is called so, by the exponential tail of the model's own people: above 0 it
    is called.

    Contributions of trained labels and of attributes come with what they are in the model's refits, by the
    same weights: the person is compared with the other labels as by the model itself. A matched label rests
    on its nearest patient, and a distance on squared deviations, whose sign hardly depends on the patients;
    neither has refits, and sampled contributions ("svm-rbf") have none.
    """
    check_labels(trained, labels)
    known = known_labels(trained)
    table = trained.rows(features)
    groups = features.patients.tolist()
    predictions = trained.predict(features)
    explained = _EXPLAINERS[trained.task](trained.model, table, groups)
    explanations = []
    for at, prediction in enumerate(predictions):
        wanted = list(labels) or [r.label for r in prediction.ranked[:FIRST]] + [NONE_OF_THESE]
        if trained.task == "normality":
            wanted = [OUTSIDE]
        probability = {r.label: r.probability for r in prediction.ranked}
        sums = tuple(explained(at, label, probability.get(label)) for label in wanted if label in known)
        explanations.append(Explanation(prediction, sums))
    return explanations


def known_labels(trained: Trained) -> tuple[str, ...]:
    """Labels that can be explained."""
    if isinstance(trained.model, NormalityModel):
        return (OUTSIDE,)
    novel = isinstance(trained.model, LabelModel) and trained.model.novelty is not None
    return (*trained.model.labels, *((NONE_OF_THESE,) if novel else ()))


def check_labels(trained: Trained, labels: Sequence[str]) -> None:
    """Refuse labels that the model does not know, by an InputError."""
    known = known_labels(trained)
    for label in labels:
        if label not in known:
            where = parameter("labels", label)
            raise InputError(f"{where}: the model does not know it. Its labels are {', '.join(known)}.")


_One = Callable[[int, str, float | None], Explained]


def _of_labels(model: LabelModel, table: Any, groups: Sequence[str]) -> _One:
    mean, _ = by_person(len(table), groups)
    parts = model.classifier.contributions(table)
    margins, _ = model.margins(table, groups)
    summed = _trained(parts, mean, [one.contributions(table) for one in model.refits])
    matches = None if model.gallery is None else _matches(model, table, mean)
    beyond = None if model.novelty is None else _beyond(model.novelty, table, groups, model.alarm)
    k = len(model.trained)

    def one(at: int, label: str, probability: float | None) -> Explained:
        if label == NONE_OF_THESE:
            assert beyond is not None
            return beyond(at, label)
        weights, _ = contrast(margins[at], model.labels.index(label))
        others = zip(model.labels, (-weights).tolist(), strict=True)
        against = tuple((name, share) for name, share in others if name != label)
        of_trained, constant = trained_weights(margins[at], k, model.labels.index(label))
        if matches is None:
            return summed(at, label, probability, of_trained, constant, against)
        bias, by_region = matches(at, weights[k:])
        shift = float(weights @ model.gained)
        if label not in model.trained:
            return Explained(
                label, probability, bias - constant + sum(by_region.values()), bias - constant,
                _sorted(Contribution("region", name, v) for name, v in by_region.items()), "matched", against,
                shift=shift,
            )  # fmt: skip
        trained = summed(at, label, probability, of_trained, constant, against)
        # the matched labels' part, which rests on single patients, is as it is in all refits
        terms = [
            replace(c, log_odds=c.log_odds + by_region[c.name],
                    refits=tuple(value + by_region[c.name] for value in c.refits))
            if c.kind == "region" else c
            for c in trained.contributions
        ]  # fmt: skip
        gained = bias + sum(by_region.values())
        return replace(
            trained,
            log_odds=trained.log_odds + gained,
            bias=trained.bias + bias,
            contributions=_sorted(terms),
            shift=shift,
        )

    return one


def trained_weights(margins: Floats, k: int, c: int) -> tuple[Floats, float]:
    """Weights (k,) of the trained labels' margins in the log-odds of label c, and a constant.

    `margins` are of all labels, trained ones first; see `contrast`. The trained ones count against all of
    them together, which is a sum of theirs again. In a matched label's log-odds their weights are 0.
    """
    weights, entropy = contrast(margins, c)
    among = float(weights[:k].sum())
    shares, of_trained = _shares(margins[:k])
    return weights[:k] - among * shares, entropy + among * of_trained


def _shares(margins: Floats) -> tuple[Floats, float]:
    """Probabilities (k,) of margins (k,), and their entropy."""
    shares = softmax(margins[None])[0]
    return shares, float(-(shares * np.log(np.maximum(shares, 1e-300))).sum())


def contrast(margins: Floats, c: int) -> tuple[Floats, float]:
    """Weights (k,) of margins (k,) and a constant: their product less it is the log-odds of label c."""
    shares, entropy = _shares(np.delete(margins, c))
    return np.insert(-shares, c, 1.0), entropy


def _trained(
    parts: Contributions, mean: Callable[[Floats], Floats], refits: Sequence[Contributions] = ()
) -> Callable[[int, str, float | None, Floats, float, tuple[tuple[str, float], ...]], Explained]:
    """What makes a sum of a classifier's margins, with weights and a constant that is taken off."""
    # log-odds (patients, labels) of each column
    columns = {key: mean(values) for key, values in _columns(parts)}
    again = [dict(_columns(one)) for one in refits if len(refits) >= FEWEST]
    # a column that a refit does not read adds nothing to it: (refits, patients, labels)
    varied = {
        key: np.array([mean(of[key]) if key in of else np.zeros_like(v) for of in again])
        for key, v in columns.items()
    }
    total, residual, limit = mean(parts.total), mean(parts.residual), mean(parts.limit)

    def one(
        at: int, label: str, probability: float | None, weights: Floats, constant: float,
        against: tuple[tuple[str, float], ...],
    ) -> Explained:  # fmt: skip
        terms = (
            Contribution(
                kind, name.removeprefix(METADATA), float(v[at] @ weights),
                tuple((varied[kind, name][:, at] @ weights).tolist()) if again else (),
            )
            for (kind, name), v in columns.items()
        )  # fmt: skip
        taken_off = float(limit[at] @ weights)
        return Explained(
            label, probability, float(total[at] @ weights) - constant,
            float(parts.bias @ weights) - constant + taken_off, _sorted(terms), "trained", against,
            float(residual[at] @ weights), float(parts.shift @ weights), taken_off,
        )  # fmt: skip

    return one


def _columns(parts: Contributions) -> Iterator[tuple[tuple[Kind, str], Floats]]:
    """Kind, name and log-odds (n, k) of each column."""
    kinds: tuple[tuple[Kind, Mapping[str, Floats]], ...] = (
        ("measurement", parts.measurements), ("region", parts.regions), ("metadata", parts.metadata),
        ("voided", parts.voided),
    )  # fmt: skip
    for kind, of_kind in kinds:
        for name, values in of_kind.items():
            yield (kind, name), values


def _of_attributes(model: AttributeModel, table: Any, groups: Sequence[str]) -> _One:
    mean, _ = by_person(len(table), groups)

    def parts_of(one: AttributeModel) -> dict[str, Contributions]:
        models = zip(one.labels, one.classifiers, one.tables(table), strict=True)
        return {label: classifier.contributions(columns) for label, classifier, columns in models}

    again = [parts_of(one) for one in model.refits]
    summed = {
        label: _trained(parts, mean, [of[label] for of in again if label in of])
        for label, parts in parts_of(model).items()
    }
    weights = np.array([-1.0, 1.0])
    return lambda at, label, p: summed[label](at, label, p, weights, 0.0, ((f"no {label}", 1.0),))


def _of_distance(model: NormalityModel, table: Any, groups: Sequence[str]) -> _One:
    beyond = _beyond(model.distance, table, groups, 1 - model.specificity)
    return lambda at, label, _: beyond(at, label)


def _matches(
    model: LabelModel, table: Any, mean: Callable[[Floats], Floats]
) -> Callable[[int, Floats], tuple[float, dict[str, float]]]:
    """What matched labels add to a sum with these weights: a constant, and a term by region."""
    gallery = model.gallery
    assert gallery is not None
    there = vectors(table, model.classifier.columns_)
    sizes = {region: len(names) for region, names in model.classifier.columns_.regions.items()}
    parts = gallery.by_region(there, list(sizes.values()))  # (n, labels, regions)
    by_region = np.stack([mean(parts[:, :, i]) for i in range(len(sizes))], axis=2)
    shifts = model.matched_shift(mean(model.classifier.margins(table)))

    def one(at: int, weights: Floats) -> tuple[float, dict[str, float]]:
        values = gallery.slope * weights @ by_region[at]
        constant = float(weights @ (gallery.bias + shifts[at]))
        return constant, dict(zip(sizes, values.tolist(), strict=True))

    return one


def _beyond(
    novelty: Novelty, table: Any, groups: Sequence[str], share: float
) -> Callable[[int, str], Explained]:
    mean, _ = by_person(len(table), groups)
    columns = {name: mean(values[:, None])[:, 0] for name, values in novelty.contributions(table).items()}
    rate, limit = novelty.rank.rate, novelty.rank.limit(share)

    def one(at: int, label: str) -> Explained:
        parts = [
            Contribution(
                "region" if name in novelty.columns.regions else "measurement", name, rate * float(values[at])
            )
            for name, values in columns.items()
        ]
        bias = -rate * limit
        return Explained(
            label, None, bias + sum(c.log_odds for c in parts), bias, _sorted(parts), "distance",
            (("the people that the model knows", 1.0),),
        )  # fmt: skip

    return one


def _sorted(parts: Iterable[Contribution]) -> tuple[Contribution, ...]:
    return tuple(sorted(parts, key=lambda c: (-abs(c.log_odds), c.kind, c.name)))


_EXPLAINERS: dict[str, Callable[..., _One]] = {
    "labels": _of_labels,
    "attributes": _of_attributes,
    "normality": _of_distance,
}
