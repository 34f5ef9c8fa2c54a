"""A model's answers to photographs."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from anthropo._version import __version__
from anthropo.batch.inputs import Item, collect
from anthropo.batch.patients import one_person, spelled_alike
from anthropo.errors import FaceError, InputError, ModelError, PhotoError, parameter
from anthropo.face.gate import CHECKS
from anthropo.learning.cohort import Case, Cohort, Kind, some
from anthropo.learning.features import Features, subset
from anthropo.learning.prevalence import Prevalence
from anthropo.licensing import is_permissive_run
from anthropo.observation import observe
from anthropo.plain import column_name
from anthropo.settings import Settings
from anthropo.showing import brief, count, counts, draw, facts_of, html
from anthropo.workflows.cohort import PhotoReading, read_features, settings_for
from anthropo.workflows.domains import at_sites, site_notes
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from anthropo.learning.model import Prediction
    from anthropo.learning.trained import Trained
    from anthropo.workflows.model import Model

Photos = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_LOOKED_AT = 20  # photos, for a face where none should be
SEPARATOR = "; "  # between the photos of a person, and the labels of a set
_KINDS: dict[str, Kind] = {"number": "number", "category": "category"}


class UnusableError(FaceError):
    """None of a person's photos can be used, each for a reason."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(" ".join(reasons))


@dataclass(frozen=True, slots=True)
class Answered:
    """A person whom the model answers about."""

    patient: str  # as named in the user's table; empty when not named
    prediction: Prediction

    def __repr__(self) -> str:
        return brief(self, count(len(self.photos), "photo"), facts_of(self.prediction))

    @property
    def photos(self) -> tuple[str, ...]:
        """The photos that the answer is from."""
        return self.prediction.photos


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A photo that could not be used."""

    patient: str
    photo: str
    reason: str

    def __repr__(self) -> str:
        return brief(self, self.reason.removeprefix(f"{self.photo}: "))

    @property
    def photos(self) -> tuple[str, ...]:
        """The photo."""
        return (self.photo,)


Answer = Answered | Unanswered


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers(ABC):
    """Answers to photographs, in the order of their first photos."""

    answers: tuple[Answer, ...]
    n_photos: int
    notes: tuple[str, ...]  # on photos that the gate voids, and on metadata that are missing
    seconds: float  # that reading, encoding and predicting took

    def _repr_html_(self) -> str:
        return html(self, "answers")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the probabilities of each answer as a bar, one below the other, in the order of the answers.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "answers", ax)

    def __repr__(self) -> str:
        decided = Counter(p.decision for p in self.predictions)
        failed = len(self.failed)
        return brief(
            self,
            count(len(self.predictions), "answer"),
            counts(dict(decided.most_common())),
            f"{failed} without an answer" if failed else "",
        )

    @property
    def predictions(self) -> list[Prediction]:
        """The answers, without the photos that could not be used."""
        return [answer.prediction for answer in self.answers if isinstance(answer, Answered)]

    @property
    def failed(self) -> list[Unanswered]:
        """The photos that could not be used."""
        return [answer for answer in self.answers if isinstance(answer, Unanswered)]

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Weights of the network that looked at the photos."""

    def to_frame(self) -> pd.DataFrame:
        """A row per person, and per photo that could not be used; the columns of the CSV output."""
        import pandas as pd

        rows = self.rows()
        # without an answer the columns are there all the same
        named = rows or replace(self, answers=(Unanswered(patient="", photo="", reason=""),)).rows()
        return pd.DataFrame(rows, columns=list(named[0]))

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the table."""

    @abstractmethod
    def to_json(self) -> list[dict[str, Any]]:
        """One object per person, and per photo that could not be used, with everything that is known."""


def about_photos(answer: Answer) -> dict[str, Any]:
    """What the row of every answer begins with."""
    p = answer.prediction if isinstance(answer, Answered) else None
    return {
        "patient": answer.patient,
        "photo": SEPARATOR.join(answer.photos),
        "photos": len(p.photos) if p else 0,
        "status": "ok" if p else "failed",
        "reason": answer.reason if isinstance(answer, Unanswered) else answer.prediction.reason,
        "decision": p and p.decision,
    }


def probabilities_by_column(prediction: Prediction | None, labels: Sequence[str]) -> dict[str, Any]:
    """``probability__LABEL`` of every label in the model's order."""
    probability = {r.label: r.probability for r in prediction.ranked} if prediction else {}
    row: dict[str, Any] = {}
    for label in labels:
        name = column_name(f"probability:{label}")
        while name in row:  # of two labels that differ in punctuation only
            name += "_"
        row[name] = probability.get(label)
    return row


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classification(Answers):
    """A model's answers to photographs, in the order of their first photos."""

    trained: Trained  # the model that made them

    __repr__ = Answers.__repr__

    @property
    def parameters(self) -> int:
        """Weights of all encoders."""
        return sum(one.parameters or 0 for one in self.trained.manifest.encoders)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the table.

        `patient, photo, photos, status, reason, decision, set, typicality, label_1, shares, shares_from`,
        then ``probability__LABEL`` of every label in the model's order; for distance to normal `distance` in
        place of set, label_1, shares and probabilities. `photo` lists the files with "; " between. `shares`
        says how common each label is where the probabilities hold, `shares_from` whether it is in training
        or as stated.
        """
        return [self._row(answer) for answer in self.answers]

    def _row(self, answer: Answer) -> dict[str, Any]:
        p = answer.prediction if isinstance(answer, Answered) else None
        row = about_photos(answer)
        if self.trained.task == "normality":
            return row | {"typicality": p and p.typicality, "distance": p and distance_to_normal(p)}
        row["set"] = SEPARATOR.join(p.labels) if p else None
        row |= {"typicality": p and p.typicality, "label_1": p and p.ranked[0].label}
        shares = self.trained.shares.items()
        row["shares"] = SEPARATOR.join(f"{label}={share:.4g}" for label, share in shares)
        row["shares_from"] = shares_from(self.trained)
        return row | probabilities_by_column(p, self.trained.model.labels)

    def to_json(self) -> list[dict[str, Any]]:
        """One object per person, and per photo that could not be used, with everything that is known."""
        about = {"task": self.trained.manifest.task, "anthropo": __version__}
        return [{**self._object(answer), **about} for answer in self.answers]

    def _object(self, answer: Answer) -> dict[str, Any]:
        made: dict[str, Any] = {"patient": answer.patient or None, "photos": list(answer.photos)}
        if isinstance(answer, Unanswered):
            return made | {"status": "failed", "reason": answer.reason}
        p = answer.prediction
        made |= {"status": "ok", "reason": p.reason or None, "decision": p.decision}
        if self.trained.task == "normality":
            return made | {"typicality": p.typicality, "distance": distance_to_normal(p)}
        ranked = [
            {
                "label": r.label, "probability": r.probability, "log_odds": r.log_odds,
                "kind": "trained" if r.similarity is None else "matched", "similarity": r.similarity,
                "in_set": r.in_set,
            }
            for r in p.ranked
        ]  # fmt: skip
        made |= {"set": list(p.labels), "typicality": p.typicality}
        return made | {**shares_as_json(self.trained), "ranked": ranked}


def shares_from(trained: Trained) -> str:
    """Where the shares are from at which probabilities hold: "stated", or "training"."""
    return "stated" if trained.stated else "training"


def shares_as_json(trained: Trained) -> dict[str, Any]:
    """How common each label is where the probabilities hold, and where that is from."""
    return {"shares": trained.shares, "shares_from": shares_from(trained)} if trained.shares else {}


def distance_to_normal(prediction: Prediction) -> float | None:
    """The distance to normal; None of other kinds of models."""
    return next((r.similarity for r in prediction.ranked if r.similarity is not None), None)


def classify(
    model: Model,
    photos: Photos,
    *,
    patient: bool = False,
    reading: PhotoReading | None = None,
    encoder_weights: str | None = None,
    force: bool = False,
    prevalence: Prevalence | None = None,
    site: str | None = None,
    progress: Progress = silent,
) -> Classification:
    """Rank a model's labels for the person on each photo, or with `patient` for the one person on all.

    Photos that the photo gate finds unfit are left out with the reason, as `explain` does, but for `force`.
    `prevalence` is that of `Trained.at`, and `site` where the photos are from, for a model that adapts them.
    """
    reading, items = reading or PhotoReading(), collect(as_names(photos))
    trained = model.trained if prevalence is None else model.trained.at(prevalence)
    settings = settings_for(reading, trained.manifest.settings, [item.path for item in items])
    encoder = model.encoder(settings, encoder_weights)
    people = People.of(items, kinds_of(trained), together=patient)
    start = time.perf_counter()
    regions = trained.regions
    features = read_features(
        people.cohort, reading, settings, encoder, regions, identify=False, progress=progress
    )
    features = at_sites(trained, features, items, site)
    features = features if force else _fit(trained, features)
    answers: list[Answer] = []
    if len(features):
        answers += [Answered(people.names[p.patient], p) for p in trained.predict(features)]
    seconds = time.perf_counter() - start
    alike = [] if patient else [f"note: {sentence}" for sentence in spelled_alike(items)]
    return Classification(
        trained=trained,
        answers=people.with_failed(answers, features),
        n_photos=len(people.cohort.cases),
        notes=(
            *alike,
            *_notes(trained, features, people.cohort),
            *portraits(features, settings),
            *site_notes(trained, features),
        ),
        seconds=seconds,
    )


def as_names(photos: Photos) -> list[str]:
    """Names of files, folders, patterns and tables."""
    several = [photos] if isinstance(photos, (str, os.PathLike)) else photos
    return [os.fspath(one) for one in several]


def one_person_only(items: Sequence[Item], together: bool) -> None:
    """Refuse photos of several people, unless they are said to be of one."""
    people = {item.columns.get("patient") or os.path.realpath(item.path) for item in items}
    if len(people) > 1 and not together:
        raise InputError(
            f"{len(items)} photos of {len(people)} people; one person is explained at a time. Pass "
            f"{parameter('patient', True)} if all are of one person, or give one photo."
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class People:
    """Photos without a label, by person, with the metadata that a model reads."""

    cohort: Cohort
    names: Mapping[str, str]  # by the cohort's patient; "" when not named

    @classmethod
    def of(cls, items: Sequence[Item], kinds: Mapping[str, Kind], *, together: bool = False) -> People:
        """Sort photos by person, all being of one when they are together; with metadata of these kinds."""
        by_person: dict[str, list[Item]] = {}
        names: dict[str, str] = {}
        cases = []
        for item in items:
            name = "" if together else item.columns.get("patient", "")
            patient = name or os.path.realpath(items[0].path if together else item.path)
            names[patient] = name
            by_person.setdefault(patient, []).append(item)
            read = {key: item.columns.get(key, "") for key in kinds}
            distance, face_at = (item.columns.get(name, "") for name in ("distance", "face_at"))
            cases.append(Case(item.path, "", patient, read, distance, face_at=face_at))
        for patient, photos in by_person.items():
            one_person(names[patient], photos)
        return cls(cohort=Cohort(tuple(cases), "", dict(kinds)), names=names)

    def with_failed(self, answers: Sequence[Answer], features: Features) -> tuple[Answer, ...]:
        """The answers, and the photos that could not be used, in the order of the photos."""
        reasons, cases = dict(features.left_out), self.cohort.cases
        failed = [
            Unanswered(self.names[case.patient], case.photo, reasons[case.photo])
            for case in cases
            if case.photo in reasons
        ]
        place = {case.photo: i for i, case in reversed(list(enumerate(cases)))}
        return tuple(sorted([*answers, *failed], key=lambda answer: place[answer.photos[0]]))


def kinds_of(trained: Trained) -> dict[str, Kind]:
    """Kinds of the metadata that the model reads."""
    kinds: dict[str, Kind] = {}
    known = trained.manifest.metadata_kinds
    for name in trained.metadata:
        kind = known.get(name)
        if kind not in _KINDS:
            raise ModelError(f"The model does not say whether {name} is a number. Train it again.")
        kinds[name] = "age" if name == "age" else "sex" if name == "sex" else _KINDS[kind]
    return kinds


def _fit(trained: Trained, features: Features) -> Features:
    """The features of the photos that are fit to be judged; the others are named as left out."""
    from anthropo.explanation.fitness import unfit

    if features.gate is None:
        return features
    hidden = [None] * len(features) if features.hidden is None else features.hidden
    reasons = [unfit(trained, *one) for one in zip(features.gate_failed, hidden, strict=True)]
    photos = features.photos.tolist()
    left_out = [(photo, f"{photo}: {why}") for photo, why in zip(photos, reasons, strict=True) if why]
    fit = subset(features, [not why for why in reasons])
    return replace(fit, left_out=(*features.left_out, *left_out))


def portraits(features: Features, settings: Settings) -> Iterable[str]:
    """A note where a model of pictures without a face is given portraits; only some are looked at."""
    remarks = []
    looked = settings.no_face and not is_permissive_run()
    alike = replace(settings, no_face=False, face="largest", jitter=1, fine=False)
    for photo in features.photos.tolist()[:_LOOKED_AT] if looked else ():
        try:
            observe(photo, alike)
        except (FaceError, PhotoError):
            continue
        remarks.append(photo)
    if remarks:
        yield (
            f"note: {some(remarks)} show{'' if len(remarks) > 1 else 's'} a face. The model was trained "
            "on pictures without a face and looks at the middle square only."
        )


def _notes(trained: Trained, features: Features, cohort: Cohort) -> Iterable[str]:
    gate = features.gate_summary
    if gate.failed:
        several = gate.total > 1
        failed = ", ".join(
            f"{name.replace('_', ' ')}{f' {n}' if several else ''}"
            for name in CHECKS
            if (n := gate.by_check.get(name))
        )
        who = f"{gate.failed} of {gate.total} photos" if several else "the photo"
        yield (
            f"note: {who} failed the photo gate ({failed}): voided measurements are no evidence. "
            "An explanation of the prediction gives details."
        )
    missing = [name for name in trained.metadata if not any(case.metadata[name] for case in cohort.cases)]
    if missing and len(features):
        yield (
            f"note: the model reads {', '.join(missing)}; no photo has them, so they count as missing. Give "
            "a CSV with the columns photo and these."
        )
