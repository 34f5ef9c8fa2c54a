"""Several labels per person: a hybrid classifier for each, which may use the answers of those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, ModelError, parameter
from anthropo.learning.cohort import some, split_labels
from anthropo.learning.columns import METADATA, Columns
from anthropo.learning.conformal import ConformalSets
from anthropo.learning.cost import expected_cost_decision, parse_cost
from anthropo.learning.features import Features
from anthropo.learning.fitted import FittedHybrid
from anthropo.learning.judged import Floats
from anthropo.learning.model import ModelAnswers, Options, by_person, design
from anthropo.learning.model_readers import part, prefixed, record
from anthropo.learning.refits import KeptRefit, check_room, keep, restored, shared
from anthropo.learning.schema import NOTHING, Arrays, Names
from anthropo.learning.states import METADATA_KNOWN, AttributeState, ChainState, ClassifierState

ABSENT, PRESENT = "absent", "present"
NO_ATTRIBUTE = "no attribute"
_CHAINED = METADATA + "attribute "


@dataclass(frozen=True, slots=True)
class Relation:
    """Odds ratio of two attributes of a cohort, counted in patients."""

    first: str
    second: str
    odds_ratio: float  # above 1: together more often than by chance; Haldane's half added to each cell
    lo: float
    hi: float
    q: float  # false discovery rate (Benjamini-Hochberg) at which it would be reported


@dataclass(frozen=True, slots=True, eq=False)
class AttributeModel:
    """A chain of binary classifiers, the commonest attribute first (classifier chains, Read et al. 2011)."""

    labels: tuple[str, ...]
    classifiers: tuple[FittedHybrid, ...]
    sets: tuple[ConformalSets, ...]
    relations: tuple[Relation, ...]
    chained: bool
    error_rate: float
    refits: tuple[AttributeModel, ...] = ()  # fitted without some of the patients each, to explain with

    @property
    def stated(self) -> Floats | None:
        """How common the attributes are where the model is used, (k,); None: as in training."""
        shares = [None if one.stated_ is None else one.stated_[1] for one in self.classifiers]
        return None if None in shares else np.array(shares)

    @property
    def shares(self) -> dict[str, float]:
        """How common each attribute is taken to be: what the probabilities hold at."""
        present = [float(one.prevalence[1]) for one in self.classifiers]
        return dict(zip(self.labels, present, strict=True))

    def at(self, shares: Mapping[str, float] | None) -> AttributeModel:
        """The model where attributes are as common as these shares; None: as in training."""
        each = [None if shares is None else np.array([1 - shares[c], shares[c]]) for c in self.labels]
        there = tuple(one.at(of) for one, of in zip(self.classifiers, each, strict=True))
        return replace(self, classifiers=there)

    @classmethod
    def fit(cls, features: Features, options: Options) -> AttributeModel:
        """Train on photos whose labels are ``a; b``."""
        from anthropo.learning.hybrid import HybridClassifier  # which needs scikit-learn

        present = [split_labels(label) for label in features.labels]
        names = sorted({a for labels in present for a in labels})
        member = np.array([[a in labels for a in names] for labels in present], dtype=bool)
        member = member.reshape(len(present), -1)
        counts = {}
        for at, name in enumerate(names):
            with_it = set(features.patients[member[:, at]].tolist())
            without = set(features.patients[~member[:, at]].tolist())
            if min(len(with_it), len(without)) >= 2:
                counts[name] = len(with_it)
        if not counts:
            raise InputError(
                "No attribute is present in two patients and absent from two; there are "
                f"{some(names) or 'none'}. Add patients with and without."
            )
        order = sorted(counts, key=lambda name: (-counts[name], name))
        if options.cost_matrix:
            raise InputError(
                f"{parameter('cost_matrix')} is for one label per photo. Pass {parameter('cost', 'miss=5')} "
                "for attributes."
            )
        cost = 1 - np.eye(2)
        if options.cost:
            cost = parse_cost(options.cost, (ABSENT, PRESENT), PRESENT, ABSENT)
        table = design(features, options).copy()
        classifiers, sets = [], []
        for name in order:
            y = np.where(member[:, names.index(name)], PRESENT, ABSENT)
            one = HybridClassifier(
                options.classifier,
                balance=options.balance,
                cost=cost,
                weigh_cost=options.weigh_cost,
                missing=options.missing,
                random_state=options.seed,
            ).fit(table, y, groups=features.patients)
            out = np.clip(one.out_of_fold_[:, 1], 1e-6, 1 - 1e-6)
            classifiers.append(one)
            sets.append(ConformalSets.fit(one.out_of_fold_, (y == PRESENT).astype(np.int64)))
            if options.chained:
                table[_CHAINED + name] = np.log(out / (1 - out))
        relations = find_relations(names, member, features.patients)
        return cls(
            tuple(order), tuple(classifiers), tuple(sets), relations, options.chained, options.error_rate
        )

    def answer(self, table: Any, groups: Sequence[str] | None = None) -> ModelAnswers:
        """Answers for the rows of a feature table, or for its people when `groups` names the patients."""
        mean, n = by_person(len(table), groups)
        k = len(self.labels)
        probabilities, log_odds = np.empty((n, k)), np.empty((n, k))
        pairs, decided = np.empty((n, k, 2), dtype=bool), np.empty((n, k), dtype=bool)
        tables = self.tables(table)
        for at, (one, sets) in enumerate(zip(self.classifiers, self.sets, strict=True)):
            log_odds[:, at] = mean(one.decision_function(tables[at])[:, None])[:, 0]
            p = 1 / (1 + np.exp(-log_odds[:, at]))
            both = np.column_stack([1 - p, p])
            probabilities[:, at] = p
            # as in `LabelModel.answer`: the sets do not depend on how common the attribute is
            before = 1 / (1 + np.exp(one.shift[1] - one.shift[0] - log_odds[:, at]))
            pairs[:, at] = sets.sets(np.column_stack([1 - before, before]), self.error_rate)
            decided[:, at] = expected_cost_decision(both, np.asarray(one.cost)) == 1
        return ModelAnswers(
            self.labels, probabilities, pairs[:, :, 1], np.where(decided.any(1), 0, -1), log_odds,
            np.full((n, k), np.nan), np.full(n, np.nan), ("",) * n, decided, pairs,
        )  # fmt: skip

    def tables(self, table: Any) -> list[Any]:
        """Feature table of each classifier; if chained, with the log-odds of the attributes before it."""
        made = [table]
        for name, one in zip(self.labels[:-1], self.classifiers, strict=False):
            last = made[-1]
            if self.chained:
                # as in training, whatever prevalence is stated
                last = last.assign(**{_CHAINED + name: one.at(None).decision_function(last)})
            made.append(last)
        return made

    def kept(self) -> KeptRefit | None:
        """What is kept of the model where it is a refit of another; None if its contributions are sampled."""
        made: dict[str, Any] = {"labels": list(self.labels), "classifiers": []}
        arrays: Arrays = {}
        for at, one in enumerate(self.classifiers):
            if (of := keep(one)) is None:
                return None
            made["classifiers"].append(of[0])
            arrays |= prefixed(of[1], f"{at}/")
        return KeptRefit(self.labels, made, arrays)

    def refitted(self, refits: Sequence[KeptRefit]) -> AttributeModel:
        """The model with what is kept of its refits; one of an attribute that it lacks is none."""
        fit = [self._shared(one) for one in refits if set(one.labels) <= set(self.labels)]
        made = (self._restored(record(ChainState, meta, "refit"), arrays) for meta, arrays in fit)
        return replace(self, refits=tuple(made))

    def _shared(self, refit: KeptRefit) -> tuple[dict[str, Any], Arrays]:
        """A refit as a file has it."""
        made: dict[str, Any] = {"labels": list(refit.labels), "classifiers": []}
        arrays: Arrays = {}
        for at, (label, meta) in enumerate(zip(refit.labels, refit.meta["classifiers"], strict=True)):
            of = self.classifiers[self.labels.index(label)]
            entries, numbers = shared(meta, part(refit.arrays, f"{at}/"), of)
            made["classifiers"].append(entries)
            arrays |= prefixed(numbers, f"{at}/")
        return made, arrays

    def _restored(self, state: ChainState, arrays: Arrays) -> AttributeModel:
        """The refit that a file has this of."""
        labels = state.labels
        if len(state.classifiers) != len(labels) or not set(labels) <= set(self.labels):
            raise ModelError("a refit has not one classifier for each of its attributes")
        classifiers = []
        chained = {_CHAINED + name for name in self.labels} if self.chained else set()
        for at, (label, one) in enumerate(zip(labels, state.classifiers, strict=True)):
            of = self.classifiers[self.labels.index(label)]
            before = [_CHAINED + name for name in labels[:at] if self.chained]
            first = [name for name in of.columns_.metadata if name not in chained]
            columns = Columns(of.columns_.measurements, of.columns_.regions, (*first, *before))
            classifiers.append(restored(one, part(arrays, f"{at}/"), of, columns))
        return replace(self, labels=labels, classifiers=tuple(classifiers), sets=(), relations=(), refits=())

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The model as JSON and arrays of numbers, for a model file."""
        made: dict[str, Any] = {
            "task": "attributes",
            "labels": list(self.labels),
            "chained": self.chained,
            "error_rate": self.error_rate,
            "classifiers": [],
            "relations": [list(astuple(r)) for r in self.relations],
        }
        arrays: Arrays = {}
        for at, (one, sets) in enumerate(zip(self.classifiers, self.sets, strict=True)):
            meta, kept = one.state()
            made["classifiers"].append(meta)
            arrays |= prefixed(kept, f"{at}/")
            arrays |= {f"{at}/sets/{c}": scores for c, scores in enumerate(sets.scores)}
        for at, refit in enumerate(self.refits):
            if (again := refit.kept()) is not None:
                entries, numbers = self._shared(again)
                made.setdefault("refits", []).append(entries)
                arrays |= prefixed(numbers, f"refits/{at}/")
        return made, arrays

    @classmethod
    def from_state(cls, meta: Any, arrays: Arrays, names: Names = NOTHING) -> AttributeModel:
        """The model that `state` was called on."""
        state = record(AttributeState, meta, "model", names)
        labels = state.labels
        if len(state.classifiers) != len(labels):
            raise ModelError("it has not one classifier per attribute")
        described = []
        for at, one in enumerate(state.classifiers):
            before = frozenset(_CHAINED + name for name in labels[:at] if state.chained)
            known = {
                name: there | before if name == METADATA_KNOWN else there for name, there in names.items()
            }
            described.append(record(ClassifierState, one, f"model > classifiers > {at}", known))
            if described[-1].classes != (ABSENT, PRESENT):
                raise ModelError("a classifier of attributes has other labels than absent and present")
        relations = tuple(map(_relation, state.relations))
        parts = [part(arrays, f"{at}/") for at in range(len(labels))]
        classifiers = tuple(map(FittedHybrid.from_state, described, parts))
        sets = tuple(ConformalSets.from_arrays(one, 2) for one in parts)
        check_room(arrays)
        model = cls(labels, classifiers, sets, relations, state.chained, state.error_rate)
        refits = (model._restored(one, part(arrays, f"refits/{at}/")) for at, one in enumerate(state.refits))
        return replace(model, refits=tuple(refits))


def _relation(entries: Any) -> Relation:
    kinds = [type(v) for v in entries] if isinstance(entries, list) else []
    if len(kinds) != 6 or kinds[:2] != [str, str] or not {*kinds[2:]} <= {int, float} or min(entries[2:]) < 0:
        raise ModelError("its relations are damaged")
    return Relation(entries[0], entries[1], *map(float, entries[2:]))


def find_relations(
    names: Sequence[str], member: NDArray[np.bool_], patients: NDArray[Any]
) -> tuple[Relation, ...]:
    """Odds ratios of all pairs of attributes, surest first; a patient has what any of their photos has."""
    from scipy.stats import false_discovery_control, fisher_exact

    people = list(dict.fromkeys(patients.tolist()))
    has = np.array([member[patients == p].any(0) for p in people]).reshape(len(people), -1)
    pairs = []
    for i, j in combinations(range(len(names)), 2):
        cells = np.array([[np.sum((has[:, i] == a) & (has[:, j] == b)) for b in (1, 0)] for a in (1, 0)])
        if cells.sum(0).all() and cells.sum(1).all():
            half = cells + 0.5
            log = float(np.log(half[0, 0] * half[1, 1] / half[0, 1] / half[1, 0]))
            wide = 1.96 * float(np.sqrt((1 / half).sum()))
            limits = np.exp([log, log - wide, log + wide]).tolist()
            pairs.append((float(fisher_exact(cells).pvalue), names[i], names[j], limits))
    pairs.sort()
    rates = false_discovery_control([p for p, *_ in pairs]).tolist() if pairs else []
    return tuple(
        Relation(first, second, ratio, lo, hi, q)
        for (_, first, second, (ratio, lo, hi)), q in zip(pairs, rates, strict=True)
    )
