"""Training options, answers, and the model of one label per person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.several import AT
from anthropo.errors import InputError, ModelError, parameter
from anthropo.learning.calibration import against_rest, softmax
from anthropo.learning.cohort import some
from anthropo.learning.columns import METADATA, Columns
from anthropo.learning.conformal import ConformalSets
from anthropo.learning.cost import expected_cost_decision, parse_cost, read_cost_matrix
from anthropo.learning.features import Features, feature_frame
from anthropo.learning.fitted import Balance, FittedHybrid, Kind, Missing
from anthropo.learning.gallery import MOST, Gallery, fit_gallery
from anthropo.learning.judged import Floats
from anthropo.learning.model_readers import part, prefixed, record
from anthropo.learning.novelty import Novelty
from anthropo.learning.refits import KeptRefit, check_room, keep, restored, shared
from anthropo.learning.rows import numbers_of
from anthropo.learning.schema import NOTHING, Arrays, Names, taken
from anthropo.learning.states import GALLERY, LabelState, RefitState
from anthropo.showing import brief, draw, given, html, word

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Task = Literal["labels", "attributes", "normality"]

NONE_OF_THESE = "none of these"
OTHERS = "others"  # every label but the positive one, where one stands against the rest
HALVES = frozenset({"measurements", "regions", "metadata"})
#: What healthy people are usually called.
CONTROL_LABELS = ("control", "controls", "healthy", "normal", "unaffected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a model is trained.

    Examples
    --------
    >>> from anthropo import Options
    >>> Options(classifier="svm", cost="miss=5", metadata=("age", "sex")).error_rate
    0.1
    """

    classifier: Kind = "auto"
    balance: Balance = "weights"
    cost: str | None = None  # such as miss=5
    cost_matrix: str | None = None  # a file
    weigh_cost: bool = False  # the costs weigh the training as well, not the decision alone
    positive: str | None = None  # one label against the rest
    controls: str | None = None  # label of healthy people
    missing: Missing = (
        "expected"  # what a voided measurement counts as: what is expected, or evidence as well
    )
    metadata: tuple[str, ...] = ()  # columns that are learned from
    regions: tuple[str, ...] | None = None  # those of the features when left out
    parts: frozenset[str] = HALVES
    min_patients: int = MOST + 1  # labels with fewer are matched to their nearest patient
    error_rate: float = 0.1  # of the prediction sets
    alarm: float = 0.02  # share of known people who are answered with "none of these"
    specificity: float = 0.95  # of distance to normal
    chained: bool = True  # attributes know of those before them
    baseline: bool = False  # judged beside the model: without regions, labels to match get their share
    rare: tuple[str, ...] | None = None  # labels to match; found by their number when left out
    adapt: str = "none"  # how photos of other sites are brought to those of the target
    seed: int = 0

    __repr__ = given


@dataclass(frozen=True, slots=True)
class Ranked:
    """One label of an answer."""

    label: str
    probability: float
    log_odds: float | None  # against all other labels together; None: a distance, which has no probability
    similarity: float | None  # cosine with the nearest patient of a matched label; None: trained
    in_set: bool


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer for one person."""

    photos: tuple[str, ...]
    patient: str
    ranked: tuple[Ranked, ...]  # most probable first
    decision: str  # the label of least expected cost, or "none of these"
    reason: str  # of a decision for none of these
    typicality: float | None  # share of known people who are at least as unlike the others

    def _repr_html_(self) -> str:
        return html(self, "prediction")

    def to_frame(self) -> pd.DataFrame:
        """A row for each label, the most probable first: label, probability, log_odds, similarity, in_set."""
        import pandas as pd

        names = ["label", "probability", "log_odds", "similarity", "in_set"]
        return pd.DataFrame([[getattr(r, name) for name in names] for r in self.ranked], columns=names)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the probability of each label; those of the prediction set are filled.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "prediction", ax)

    def __repr__(self) -> str:
        best = [f"{word(r.label)} {r.probability:.3g}" for r in self.ranked[:3] if r.log_odds is not None]
        return brief(self, word(self.decision), f"probability of {', '.join(best)}" if best else "")

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the prediction set."""
        return tuple(r.label for r in self.ranked if r.in_set)


@dataclass(frozen=True, slots=True, eq=False)
class ModelAnswers:
    """A model's answers for many people, as arrays."""

    labels: tuple[str, ...]
    probabilities: Floats  # (n, k)
    sets: NDArray[np.bool_]  # (n, k)
    decision: NDArray[np.int64]  # (n,), -1: none of these
    log_odds: Floats  # (n, k), against all other labels: log(p / (1 - p)); NaN of distances to normal
    similarity: Floats  # (n, k), NaN for trained labels
    typicality: Floats  # (n,), NaN where it is not known
    reasons: tuple[str, ...]  # of -1
    several: NDArray[np.bool_] | None = None  # (n, k), which attributes are decided for
    pair_sets: NDArray[np.bool_] | None = None  # (n, k, 2), sets of absent and present of each attribute


@dataclass(frozen=True, slots=True, eq=False)
class LabelModel:
    """One label per person: trained ones by the hybrid classifier, rare ones by their nearest patient."""

    classifier: FittedHybrid
    sets: ConformalSets
    novelty: Novelty | None
    gallery: Gallery | None
    error_rate: float
    alarm: float
    stated: Floats | None = None  # (k,), how common labels are where the model is used; None: as in training
    refits: tuple[FittedHybrid, ...] = ()  # fitted without some of the patients each, to explain with

    @property
    def training_shares(self) -> Floats:
        """How common each label was in training, (k,)."""
        matched = np.zeros(0) if self.gallery is None else self.gallery.prior
        return np.concatenate([self.classifier.shares_ * (1 - matched.sum()), matched])

    @property
    def shares(self) -> dict[str, float]:
        """How common each label is taken to be: what the probabilities hold at."""
        shares = self.training_shares if self.stated is None else self.stated
        return dict(zip(self.labels, shares.tolist(), strict=True))

    def at(self, shares: Mapping[str, float] | None) -> LabelModel:
        """The model where labels are as common as these shares; None: as in training.

        Shares of labels that the model does not know do not count.
        """
        if shares is None:
            return replace(self, classifier=self.classifier.at(None), stated=None)
        stated = np.array([shares[label] for label in self.labels])
        among = stated[: len(self.trained)]
        classifier = self.classifier.at(among / among.sum())
        return replace(self, classifier=classifier, stated=stated / stated.sum())

    @property
    def gained(self) -> Floats:
        """What the stated shares add to each label's log-probability, but for a constant: (k,)."""
        shares = self.training_shares
        return np.zeros(len(shares)) if self.stated is None else np.log(self.stated) - np.log(shares)

    def matched_shift(self, margins: Floats) -> Floats:
        """What the stated shares add to the matched labels' log-odds against all trained labels together.

        Against whichever of these a person resembles: (n, matched), of the trained labels' margins (n, k).
        """
        k = len(self.trained)
        gained = self.gained
        before = softmax(margins - self.classifier.shift)
        return np.asarray(gained[k:] - np.log(before @ np.exp(gained[:k]))[:, None])

    @property
    def trained(self) -> tuple[str, ...]:
        """Labels of the classifier."""
        return tuple(str(c) for c in self.classifier.classes_)

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, the trained ones first."""
        return self.trained + (self.gallery.labels if self.gallery else ())

    @classmethod
    def fit(cls, features: Features, options: Options) -> LabelModel:
        """Train on the photos of a cohort."""
        from anthropo.learning.hybrid import HybridClassifier  # which needs scikit-learn

        labels = collapse(features.labels, options.positive)
        rare = options.rare
        if rare is None:
            rare = rare_labels(labels, features.patients, options.min_patients)
        # in a fold of a cross-validation a label may have too few patients left to be known at all
        people = patients_of(labels, features.patients)
        rare = tuple(label for label in rare if label in people)
        few = [label for label, n in people.items() if n < 2]
        keep = ~np.isin(labels, [*rare, *few])
        trained = sorted(set(labels[keep]))
        controls = control_label(labels, options.controls)
        table = design(features, options)
        cost = cost_matrix(options, trained, controls)
        known = controls if controls in trained else None
        classifier = HybridClassifier(
            options.classifier,
            balance=options.balance,
            cost=cost,
            weigh_cost=options.weigh_cost,
            controls=known,
            missing=options.missing,
            random_state=options.seed,
        ).fit(table[keep], labels[keep], groups=features.patients[keep])
        columns = Columns.of(list(table.columns))
        gallery = novelty = None
        if columns.measurements or columns.regions:
            # among everybody, not controls alone: somebody affected is unlike them, and still not unknown
            novelty = Novelty.fit(table[keep], features.patients[keep], options.seed)
        if rare:
            if not (columns.regions or options.baseline):
                raise InputError(
                    f"{some(rare)}: fewer than {options.min_patients} patients, and without regions there is "
                    f"no gallery to match them in. Leave these labels out, or lower "
                    f"{parameter('min_patients')}."
                )
            gallery = fit_gallery(
                vectors(table, columns), labels.tolist(), features.patients.tolist(), rare, options.seed
            )
        out = classifier.out_of_fold_
        if gallery is not None:  # of rare labels' patients only, so that no trained one knows themself in it
            odds = np.exp(gallery.log_odds(vectors(table[keep], columns)))
            out = out / (1 + odds.sum(1, keepdims=True))
        sets = ConformalSets.fit(out, np.searchsorted(trained, labels[keep]))
        return cls(classifier, sets, novelty, gallery, options.error_rate, options.alarm)

    def answer(self, table: Any, groups: Sequence[str] | None = None) -> ModelAnswers:
        """Answers for the rows of a feature table, or for its people when `groups` names the patients."""
        margins, n = self.margins(table, groups)
        k = len(self.trained)
        probabilities, log_odds = softmax(margins), against_rest(margins)
        # each among its own label's photos, however common that is: at any prevalence a set misses a label at
        # the same rate
        p_values = self.sets.p_values(softmax(margins - self.gained)[:, :k])
        inside = p_values > self.error_rate
        mean, _ = by_person(len(table), groups)
        typicality: NDArray[np.float64] = np.full(n, np.nan)
        if self.novelty is not None:
            typicality = self.novelty.p_value(mean(self.novelty.distance(table)[:, None])[:, 0])
        decision = expected_cost_decision(softmax(margins[:, :k]), np.asarray(self.classifier.cost))
        unlike, improbable = typicality <= self.alarm, p_values.max(1) <= self.alarm
        decision[unlike | improbable] = -1
        why = ["unlike everybody the model was trained with", "improbable under each label"]
        reasons = np.select([unlike, improbable], why, "").tolist()
        similarity: NDArray[np.float64] = np.full((n, k), np.nan)
        if self.gallery is not None:
            there = vectors(table, self.classifier.columns_)
            similarity = np.hstack([similarity, mean(self.gallery.similarity(there))])
            # a matched label costs 1 whenever it is missed or wrongly decided for
            cost = 1 - np.eye(len(self.labels))
            cost[:k, :k] = np.asarray(self.classifier.cost)
            among_all = expected_cost_decision(probabilities, cost)
            matched = among_all >= k
            decision = np.where(matched, among_all, decision)
            reasons = ["" if m else r for m, r in zip(matched, reasons, strict=True)]
            inside = np.hstack([inside, _credible(probabilities, self.error_rate)[:, k:]])
        # a set that is not empty holds the most probable label
        inside[np.arange(n), probabilities.argmax(1)] |= inside.any(1)
        return ModelAnswers(
            self.labels, probabilities, inside, decision, log_odds, similarity, typicality, tuple(reasons)
        )

    def margins(self, table: Any, groups: Sequence[str] | None = None) -> tuple[Floats, int]:
        """Log-probabilities, but for a constant, of all labels for each row or person: (n, k); and n."""
        mean, n = by_person(len(table), groups)
        margins = mean(self.classifier.margins(table))
        if self.gallery is None:
            return margins, n
        matched = mean(self.gallery.log_odds(vectors(table, self.classifier.columns_)))
        matched = matched + self.matched_shift(margins)
        # against all trained labels together
        return np.hstack([margins - np.logaddexp.reduce(margins, 1, keepdims=True), matched]), n

    def kept(self) -> KeptRefit | None:
        """What is kept of the model where it is a refit of another; None if its contributions are sampled."""
        made = keep(self.classifier)
        return None if made is None else KeptRefit(self.trained, *made)

    def refitted(self, refits: Sequence[KeptRefit]) -> LabelModel:
        """The model with what is kept of its refits; one that lacks a label is none."""
        made = [shared(one.meta, one.arrays, self.classifier) for one in refits if one.labels == self.trained]
        again = (restored(record(RefitState, meta, "refit"), a, self.classifier) for meta, a in made)
        return replace(self, refits=tuple(again))

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The model as JSON and arrays of numbers, for a model file."""
        meta, arrays = self.classifier.state()
        made: dict[str, Any] = {"task": "labels", "classifier": meta}
        made |= {"error_rate": self.error_rate, "alarm": self.alarm}
        out = prefixed(arrays, "classifier/") | {f"sets/{c}": of for c, of in enumerate(self.sets.scores)}
        if self.novelty is not None:
            made["novelty"], kept = self.novelty.state()
            out |= prefixed(kept, "novelty/")
        if self.gallery is not None:
            g = self.gallery
            made["gallery"] = {"labels": list(g.labels), "slope": g.slope, "intercept": g.intercept}
            out |= {
                "gallery/centre": g.centre.astype(np.float32),
                "gallery/owner": g.owner,
                "gallery/vectors": g.vectors.astype(np.float32),
                "gallery/prior": g.prior,
            }
        for at, refit in enumerate(self.refits):
            if (of := keep(refit)) is not None:
                entries, numbers = shared(*of, self.classifier)
                made.setdefault("refits", []).append(entries)
                out |= prefixed(numbers, f"refits/{at}/")
        return made, out

    @classmethod
    def from_state(cls, meta: Any, arrays: Arrays, names: Names = NOTHING) -> LabelModel:
        """The model that `state` was called on."""
        state = record(LabelState, meta, "model", names)
        classifier = FittedHybrid.from_state(state.classifier, part(arrays, "classifier/"), names)
        sets = ConformalSets.from_arrays(arrays, len(classifier.classes_))
        novelty = gallery = None
        if state.novelty is not None:
            novelty = Novelty.from_state(state.novelty, part(arrays, "novelty/"), names)
        if (about := state.gallery) is not None:
            d = sum(state.classifier.regions.values())
            held = taken(arrays, GALLERY, {"d": d, "l": len(about.labels)}, "gallery/")
            owner, prior = held["owner"].astype(np.int64), held["prior"]
            if set(owner.tolist()) != set(range(len(about.labels))):
                raise ModelError("its gallery has a label without a patient")
            if not d or prior.sum() >= 1:
                raise ModelError("its gallery has no embedding, or more than all patients")
            if twice := set(about.labels) & set(state.classifier.classes):
                raise ModelError(f"its gallery has the label {twice.pop()}, which is trained")
            gallery = Gallery(
                about.labels, held["centre"], owner, held["vectors"], about.slope, about.intercept, prior
            )
        check_room(arrays)
        refits = tuple(
            restored(one, part(arrays, f"refits/{at}/"), classifier) for at, one in enumerate(state.refits)
        )
        return cls(classifier, sets, novelty, gallery, state.error_rate, state.alarm, refits=refits)


def _credible(probabilities: Floats, error_rate: float) -> NDArray[np.bool_]:
    """The most probable labels (n, k) that hold all but the error rate's share of the probability."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    sorted_ = np.take_along_axis(probabilities, order, 1)
    before = np.cumsum(sorted_, axis=1) - sorted_
    inside = np.empty(probabilities.shape, dtype=np.bool_)
    np.put_along_axis(inside, order, before < 1 - error_rate, 1)
    return inside


def collapse(labels: NDArray[np.str_], positive: str | None) -> NDArray[Any]:
    """The labels (n,), or with `positive` that one and "others"."""
    names = sorted(set(labels.tolist()))
    if positive is None:
        return labels.astype(object)
    if OTHERS in names and len(names) > 2:
        raise InputError(
            f"A label is called {OTHERS!r}, the name of all labels but {positive}. Rename it in the cohort."
        )
    if positive not in names:
        raise InputError(
            f"{parameter('positive', positive)}: no photo has this label. The labels are {', '.join(names)}."
        )
    together: NDArray[Any] = labels if len(names) <= 2 else np.where(labels == positive, positive, OTHERS)
    return together.astype(object)


def control_label(labels: NDArray[Any], controls: str | None) -> str | None:
    """Label of healthy people: the one given, else the first that is called control, healthy, normal …"""
    names = sorted({str(label) for label in labels})
    if controls is not None and controls not in names:
        if OTHERS in names:
            return None
        raise InputError(
            f"{controls}: no photo has this label of healthy people. The labels are {', '.join(names)}."
        )
    return controls or next((name for name in names if name.lower() in CONTROL_LABELS), None)


def positive_label(labels: Sequence[str], positive: str | None, controls: str | None) -> str | None:
    """The affected one of two labels: the one given, the one beside the controls, else the second."""
    if len(labels) != 2:
        return None
    if positive in labels:
        return positive
    control = control_label(np.array(labels, dtype=object), controls)
    return next((name for name in labels if name != control), None) if control else labels[1]


def patients_of(labels: NDArray[Any], patients: NDArray[Any]) -> dict[str, int]:
    """Number of patients of each label."""
    return {str(c): len(set(patients[labels == c].tolist())) for c in dict.fromkeys(labels)}


def rare_labels(labels: NDArray[Any], patients: NDArray[Any], least: int) -> tuple[str, ...]:
    """Labels with too few patients to be trained.

    With fewer than two labels of `least` patients every label of two or more is trained.
    """
    people = patients_of(labels, patients)
    if len(people) < 2:
        raise InputError(
            f"All photos have the label {next(iter(people), 'none')}. A classifier needs two labels; for "
            f"controls alone pass {parameter('task', 'normality')}."
        )
    for limit in (least, 2):
        rare = tuple(sorted(c for c, n in people.items() if n < limit))
        if len(people) - len(rare) >= 2:
            return rare
    raise InputError(
        "Two labels with two patients each are needed; patients per label: "
        f"{some(f'{c} ({n})' for c, n in people.items())}. Add patients, or name them in a column `patient`."
    )


def cost_matrix(options: Options, labels: Sequence[str], controls: str | None) -> Floats:
    """Cost (k, k) of each error, as the options have it."""
    if options.cost and options.cost_matrix:
        raise InputError(
            f"{parameter('cost')} and {parameter('cost_matrix')} say the same. Pass one of them."
        )
    if options.cost_matrix:
        return read_cost_matrix(Path(options.cost_matrix), labels)
    if options.cost:
        known = options.positive is not None or controls in labels
        missed = positive_label(labels, options.positive, controls) if known else None
        return parse_cost(options.cost, labels, missed, controls)
    return 1 - np.eye(len(labels))


def design(features: Features, options: Options) -> Any:
    """The feature table with the columns that the options ask for."""
    regions = features.regions if options.regions is None else options.regions
    table = feature_frame(features, options.metadata)
    columns = Columns.of(list(table.columns))
    keep: list[str] = []
    if "measurements" in options.parts:
        keep += columns.measurements
    if "regions" in options.parts:
        keep += [name for region in regions for name in columns.regions[region]]
    if "metadata" in options.parts:
        keep += [METADATA + name for name in options.metadata]
    if not keep:
        raise InputError("Nothing to learn from is left: no measurements, regions or metadata.")
    return table[keep]


def vectors(table: Any, columns: Columns) -> Floats:
    """Embeddings (n, d) of all regions, each of length 1, joined; see `unit_embeddings`."""
    return unit_embeddings(
        {region: numbers_of(table, names) for region, names in columns.regions.items()}, len(table)
    )


def unit_embeddings(regions: Mapping[str, NDArray[np.floating]], n: int) -> Floats:
    """Embeddings (n, d) of regions (n, …), each of length 1.

    Of several encoders each counts as much as the others, however many regions it sees.
    """
    of = Counter(region.partition(AT)[2] for region in regions)
    embeddings: list[Floats] = [np.zeros((n, 0))]
    for region, embedding in regions.items():
        share = 1.0 if len(of) == 1 else of[region.partition(AT)[2]] ** -0.5
        embeddings.append(share * embedding / np.linalg.norm(embedding, axis=1, keepdims=True))
    return np.hstack(embeddings)


def by_person(rows: int, groups: Sequence[str] | None) -> tuple[Callable[[Floats], Floats], int]:
    """Function that averages rows (n, k) of the same person, and the number of people."""
    if groups is None:
        return (lambda values: values), rows
    order = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    of = np.array([order[name] for name in groups], dtype=np.int64)

    def mean(values: Floats) -> Floats:
        total = np.zeros((len(order), values.shape[1]))
        np.add.at(total, of, values)
        return np.asarray(total / np.bincount(of)[:, None])

    return mean, len(order)
