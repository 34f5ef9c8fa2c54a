"""How often the nearest patient tells the label, on patients of labels that nothing was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anthropo.learning.gallery import label_centre, unit_length
from anthropo.learning.intervals import Interval, proportion
from anthropo.learning.judged import Floats
from anthropo.showing import count, fielded

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.learning.model import LabelModel

TOP = (1, 5, 10, 30)
MATCHED, ALL = "matched labels", "all labels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """How often the right label is among the k nearest ones, in one gallery."""

    labels: int  # in the gallery
    patients: int  # in the gallery; of a cohort with the one who is asked about
    figures: dict[str, Interval]  # top_1, top_5, … as far as there are more labels than that
    chance: dict[str, float]  # the same if the order were drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """Leave-one-patient-out matching of labels that are too rare to be trained.

    As the tools for ultra-rare disorders are judged: each patient in turn is compared with all others, by the
    cosine with the nearest patient of each label, and nothing has been fitted to the label. Here also the
    centre that embeddings are compared around is made without whoever is asked about.

    Of a trained model, patients of another cohort are compared with its gallery.

    References
    ----------
    .. [1] T.-C. Hsieh et al., "GestaltMatcher facilitates rare disease matching using facial phenotype
       descriptors", Nat Genet 2022;54:349.
    """

    asked: int  # patients
    labels: int  # of theirs
    alone: int  # labels of one patient, which nobody can be matched to; of a model those of nobody asked
    galleries: dict[str, Ranks]  # of the matched labels alone, and of all
    by_model: bool = False  # in the gallery of a trained model, and not among the cohort's own patients

    __repr__ = fielded

    def sentence(self) -> str:
        """Who was asked about."""
        if self.by_model:
            asked = count(self.asked, "patient")
            more = f"; of {self.alone} more there is nobody here" if self.alone else ""
            return (
                f"Matching: {asked} of {count(self.labels, 'label')} that the model only matches, compared "
                f"with its gallery{more}. Matched labels are ranked by the nearest patient, all labels by "
                "their probability."
            )
        alone = f"; {self.alone} more have one patient, and nobody to be matched with" if self.alone else ""
        return (
            f"Matching: {self.asked} patients of {self.labels} label{'' if self.labels == 1 else 's'} that "
            f"nothing was trained on, each "
            f"compared with all other patients{alone}."
        )


def judge_nearest(
    embeddings: Floats, labels: Sequence[str], patients: Sequence[str], rare: Sequence[str]
) -> Nearest | None:
    """Rank the labels for each patient of a rare label by the nearest of all other patients.

    Parameters
    ----------
    embeddings : ndarray, (n, d)
        Of photos, each region of length 1; those of a patient are averaged.
    labels, patients : sequence of str, n
    rare : sequence of str
        The labels that are matched.

    Returns
    -------
    Nearest or None
        None where no rare label has two patients.
    """
    label_of, patient_of = np.asarray(labels, dtype=str), np.asarray(patients, dtype=str)
    known = list(dict.fromkeys(zip(label_of.tolist(), patient_of.tolist(), strict=True)))
    counts = Counter(label for label, _ in known)
    asked = [one for one in known if one[0] in rare and counts[one[0]] > 1]
    if not asked:
        return None
    at = {one: i for i, one in enumerate(known)}
    of = np.array([at[one] for one in zip(label_of.tolist(), patient_of.tolist(), strict=True)])
    ranks: dict[str, list[int]] = {MATCHED: [], ALL: []}
    for label, patient in asked:
        mine = at[label, patient]
        centre = label_centre(embeddings[of != mine], label_of[of != mine])
        people = np.zeros((len(known), embeddings.shape[1]))
        np.add.at(people, of, unit_length(embeddings - centre))
        people = unit_length(people)
        cosine = people @ people[mine]
        best: dict[str, float] = {}
        for other, (name, _) in enumerate(known):
            if other != mine:
                best[name] = max(float(cosine[other]), best.get(name, -2.0))
        for gallery, names in ((MATCHED, [c for c in best if c in rare]), (ALL, list(best))):
            # one that is as near counts against
            ranks[gallery].append(sum(best[name] >= best[label] for name in names))
    galleries = {}
    for gallery, those in ranks.items():
        there_are = [c for c in counts if gallery == ALL or c in rare]
        galleries[gallery] = _ranks(those, len(there_are), sum(counts[c] for c in there_are))
    return Nearest(
        asked=len(asked),
        labels=len({label for label, _ in asked}),
        alone=sum(counts[c] == 1 for c in rare),
        galleries=galleries,
    )


def judge_gallery(
    model: LabelModel, table: pd.DataFrame, labels: Sequence[str], patients: Sequence[str], trained_on: int
) -> Nearest | None:
    """Rank a model's labels for each patient of a label that it matches, in its own gallery.

    Parameters
    ----------
    model : LabelModel
    table : DataFrame
        The features of photos of people whom the model has not seen, as it reads them.
    labels, patients : sequence of str
        Of the photos. Those of other labels are not asked about.
    trained_on : int
        How many patients the model was trained on, those of its gallery among them.

    Returns
    -------
    Nearest or None
        None where the model matches no label, nobody has one, or there is nothing to rank.
    """
    gallery = model.gallery
    if gallery is None:
        return None
    kept = np.isin(np.asarray(labels, dtype=str), gallery.labels)
    if not kept.any():
        return None
    # somebody with photos of two labels is asked about as two people
    who = [f"{label}\n{patient}" for label, patient, one in zip(labels, patients, kept, strict=True) if one]
    people = list(dict.fromkeys(who))
    answers = model.answer(table[kept].reset_index(drop=True), who)
    true = np.array([model.labels.index(one.partition("\n")[0]) for one in people])
    rows = np.arange(len(people))
    matched = np.arange(len(model.trained), len(model.labels))
    ranks = {}
    for name, values, among in (
        (MATCHED, answers.similarity, matched),
        (ALL, answers.probabilities, np.arange(len(model.labels))),
    ):
        mine = values[rows, true][:, None]
        ranks[name] = (values[:, among] >= mine).sum(1).tolist()
    sizes = {MATCHED: (len(matched), len(gallery.owner)), ALL: (len(model.labels), trained_on)}
    galleries = {name: _ranks(those, *sizes[name]) for name, those in ranks.items()}
    if not any(of.figures for of in galleries.values()):
        return None
    asked = len(set(true.tolist()))
    return Nearest(
        asked=len(people), labels=asked, alone=len(matched) - asked, galleries=galleries, by_model=True
    )


def _ranks(those: Sequence[int], labels: int, patients: int) -> Ranks:
    """How often a rank is among the first of so many labels."""
    top = [n for n in TOP if n < labels]
    return Ranks(
        labels=labels,
        patients=patients,
        figures={f"top_{n}": proportion([rank <= n for rank in those], range(len(those))) for n in top},
        chance={f"top_{n}": n / labels for n in top},
    )
