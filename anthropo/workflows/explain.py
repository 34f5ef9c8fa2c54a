"""An explained answer of a model about one person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from anthropo.batch.inputs import Item, collect
from anthropo.batch.patients import one_person, pool_patient
from anthropo.batch.records import Record
from anthropo.batch.run import measure_observation, record_of
from anthropo.batch.scores import at_declared
from anthropo.errors import FaceError, InputError, ModelError, PhotoError
from anthropo.face.gate import CHECKS
from anthropo.face.landmarker import Face
from anthropo.learning.features import Features, read_picture, subset
from anthropo.learning.prevalence import Prevalence
from anthropo.measurement.compute import measure_face
from anthropo.observation import Observation, observe
from anthropo.parallel.runner import available_cores
from anthropo.parallel.threads import Threads, network_threads
from anthropo.photo import Photo
from anthropo.reference.person import parse_age, parse_gestation, parse_sex
from anthropo.reference.traits import Trait, call_traits
from anthropo.settings import Settings
from anthropo.showing import brief, draw, facts_of, given, html, signed, word
from anthropo.workflows.classify import People, Photos, UnusableError, as_names, kinds_of, one_person_only
from anthropo.workflows.cohort import PhotoReading, read_features, settings_for
from anthropo.workflows.domains import at_sites, site_notes
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from anthropo.encoder.several import AnyEncoder
    from anthropo.explanation.changes import Counterfactual
    from anthropo.explanation.contributions import Explanation
    from anthropo.explanation.maps import FaceHeat
    from anthropo.learning.model import Prediction
    from anthropo.learning.trained import Trained
    from anthropo.workflows.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest:
    """Options of explaining a prediction.

    Parameters
    ----------
    labels : sequence of str
        Labels to explain; the three most probable and "none of these" when left out.
    sex : {"female", "male"}, optional
    age : float or str, optional
        Years, or such as ``"18m"``; both for z-scores, and for a model that reads them.
    gestation : str, optional
        Its length, ``"31w"`` or ``"31+4"``, as for `anthropo.Settings`.
    ancestry : str, optional
        As for `anthropo.Settings`; and for a model that reads it.
    references : sequence of str
        Reference tables for z-scores; the default one if sex or age is known.
    patient : bool
        All photos are of one person.
    force : bool
        Judge photos that the photo gate finds unfit.
    heatmaps : bool
        Draw heatmaps of the first label, which takes about a second.
    encoder_weights : path, optional
        The encoder's weights, where they are not found by themselves.
    prevalence : float or mapping of str to float, optional
        How common labels are where the model is used, as in `anthropo.Trained.at`.
    site : str, optional
        Where the photos are from, for a model that was trained with ``adapt``; its target when left out.
    """

    labels: Sequence[str] = ()
    sex: str | None = None
    age: float | str | None = None
    gestation: str | None = None
    ancestry: str | None = None
    references: Sequence[str] = ()
    patient: bool = False
    force: bool = False
    heatmaps: bool = True
    encoder_weights: str | None = None
    prevalence: Prevalence | None = None
    site: str | None = None

    __repr__ = given


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainedCase:
    """An explained prediction for one person."""

    trained: Trained  # the model that made it
    explanation: Explanation  # the prediction, and each label's log-odds as an exact sum
    features: Features  # that were judged
    changes: tuple[
        Counterfactual, ...
    ]  # smallest changes of one measurement that make the decision another one
    photo: Photo  # that is shown: of several, the one that is best to measure
    face: Face | None  # in it; None of a model that reads pictures without one
    record: Record | None  # of the photo, with the measurements of all photos
    traits: tuple[Trait, ...]
    heat: FaceHeat | None = None  # of the first label
    heat_reason: str = ""  # why there is none
    voided: str  # why the photo is not fit to be judged; empty when it is
    left_out: tuple[str, ...]  # why other photos of the person are not fit
    notes: tuple[str, ...]  # why further photos could not be read

    def _repr_html_(self) -> str:
        return html(self, "case")

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
        if self.voided:
            return brief(self, "not judged", self.voided)
        first = self.explanation.labels[0]
        largest = (f"{c.name} {signed(c.log_odds)}" for c in first.contributions[:3])
        return brief(
            self,
            facts_of(self.prediction),
            f"log-odds of {word(first.label)} {signed(first.log_odds)}",
            *largest,
        )

    @property
    def prediction(self) -> Prediction:
        """The prediction that is explained."""
        return self.explanation.prediction

    @property
    def matches(self) -> dict[str, float]:
        """Cosine with the nearest patient, by matched label."""
        ranked = self.prediction.ranked
        # a distance has no log-odds
        return {r.label: r.similarity for r in ranked if r.similarity is not None and r.log_odds is not None}

    def to_frame(self) -> pd.DataFrame:
        """A row for each term of each label's log-odds, as `Explanation.to_frame` gives them."""
        return self.explanation.to_frame()


def explain(
    model: Model,
    photo: Photos,
    request: ExplainRequest,
    *,
    reading: PhotoReading | None = None,
    seen: Mapping[str, Observation] | None = None,
    progress: Progress = silent,
) -> ExplainedCase:
    """Explain a model's prediction for one person. Each photo is read, and searched for a face, once.

    What was `seen` already, by path and with the model's settings, is not read at all.
    """
    from anthropo.explanation.changes import smallest_changes
    from anthropo.explanation.contributions import check_labels, explain_features

    trained, reading = model.trained, reading or PhotoReading()
    if request.prevalence is not None:
        trained = trained.at(request.prevalence)
    items = _one_person(collect(as_names(photo)), request)
    labels = as_names(request.labels)
    check_labels(trained, labels)
    _refuse_uncalibrated(model)
    cohort = People.of(items, kinds_of(trained), together=True).cohort
    paths = list(dict.fromkeys(item.path for item in items))
    settings = settings_for(reading, trained.manifest.settings, paths)
    measuring = replace(settings, references=tuple(as_names(request.references)), force=False)
    if not settings.no_face:
        measuring.fingerprint()  # references that cannot be used are one error, not one per photo
    encoder = model.encoder(settings, request.encoder_weights)
    looked, notes = _seen(items, settings, encoder, reading.jobs, seen or {})
    if not looked:
        raise UnusableError(notes)
    cohort = replace(cohort, cases=tuple(case for case in cohort.cases if case.photo in looked))
    features = read_features(
        cohort,
        reading,
        settings,
        encoder,
        trained.regions,
        observed=looked,
        identify=False,
        progress=progress,
    )
    features = at_sites(trained, features, items, request.site)
    notes += [reason for _, reason in features.left_out]
    usable = list(dict.fromkeys(features.photos.tolist()))
    if not usable:
        raise UnusableError(notes)
    faces = {path: one for path in usable if isinstance(one := looked[path], Observation)}
    reasons = {} if request.force else _reasons(trained, faces)
    fit = [path for path in usable if not reasons.get(path)]
    left_out = [f"{path}: left out. {reason}" for path, reason in reasons.items() if reason] if fit else []
    used = fit or usable
    features = subset(features, np.isin(features.photos, used))
    notes += site_notes(trained, features)
    (explanation,) = explain_features(trained, features, labels)
    shown = min(used, key=lambda path: faces[path].doubt) if faces else used[0]
    record = None
    if faces:
        record = _record([i for i in items if i.path in used], faces, shown, measuring)
    first = looked[shown]
    case = ExplainedCase(
        trained=trained,
        explanation=explanation,
        features=features,
        changes=tuple(smallest_changes(trained, features)),
        photo=first.photo if isinstance(first, Observation) else first,
        face=first.face if isinstance(first, Observation) else None,
        record=record,
        traits=tuple(call_traits(record.measurements, record.scores)) if record else (),
        voided=reasons.get(shown, ""),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )
    if case.voided or not request.heatmaps:
        return case
    site = "" if features.sites is None else str(features.sites[features.photos == shown][0])
    return _with_heat(case, encoder, features, site, reading.jobs)


def _refuse_uncalibrated(model: Model) -> None:
    from anthropo.learning.model import LabelModel

    made = model.trained.model
    if isinstance(made, LabelModel) and not (made.classifier.stack_.slopes > 0).any():
        raise ModelError(
            f"{model.path}: the model is not calibrated, so that its log-odds have no meaning. "
            "Train it again."
        )


def _reasons(trained: Trained, faces: Mapping[str, Observation]) -> dict[str, str]:
    """Why each photo is not fit to be judged, by path; empty for one that is."""
    from anthropo.explanation.fitness import unfit

    return {
        path: unfit(trained, [check.name for check in one.face.gate if not check.ok], one.face.hidden)
        for path, one in faces.items()
    }


def follow(case: ExplainedCase, seen: Observation, record: Record) -> ExplainedCase:
    """The case while points of its one photo are moved: measured where they are now, by `seen` and `record`.

    Regions stay as they were looked at, so that what measurements add to the sums follows at once. What would
    change the decision is left out, for it takes longer.
    """
    from anthropo.explanation.contributions import explain_features

    face, kept = seen.face, case.features
    values = {m.id: m.value for m in measure_face(face, seen.photo)}
    failed = {check.name for check in face.gate if not check.ok}
    features = replace(
        kept,
        measurements=np.array([[values[name] for name in kept.measurement_ids]]),
        gate=np.array([[name in failed for name in CHECKS]]),
        hidden=face.hidden[None],
    )
    labels = [one.label for one in case.explanation.labels]
    (explanation,) = explain_features(case.trained, features, labels)
    return replace(case, explanation=explanation, features=features, changes=(), face=face, record=record)


def _one_person(items: Sequence[Item], request: ExplainRequest) -> list[Item]:
    """The photos, with sex, age and ancestry where the table has none; an InputError if of several people."""
    asked = {
        "sex": request.sex,
        "age": request.age,
        "gestation": request.gestation,
        "ancestry": request.ancestry,
    }
    known = {name: str(value) for name, value in asked.items() if value not in (None, "")}
    for name, parse in (("sex", parse_sex), ("age", parse_age), ("gestation", parse_gestation)):
        if name in known:
            parse(known[name])
    one_person_only(items, request.patient)
    return [replace(item, columns={**known, **item.columns}) for item in items]


_Seen = dict[str, Observation | Photo]  # by path; photos of a model that reads pictures without a face


def _seen(
    items: Sequence[Item],
    settings: Settings,
    encoder: AnyEncoder,
    jobs: int,
    known: Mapping[str, Observation],
) -> tuple[_Seen, list[str]]:
    """The photos that can be read, with those that are known, and why others cannot."""
    look = partial(_look, settings=settings, size=encoder.size)
    once = {item.path: item for item in items if item.path not in known}
    # whole photos come back, which would not travel well; of one person there are few
    threads = Threads(max(1, min(jobs, len(once))))
    looked: dict[str, Observation | Photo | str] = dict(known)
    looked |= dict(zip(once, threads.in_order(look, once.values()), strict=True))
    reasons = [one for one in looked.values() if isinstance(one, str)]
    return {path: one for path, one in looked.items() if not isinstance(one, str)}, reasons


def _look(item: Item, settings: Settings, size: int) -> Observation | Photo | str:
    """A photo and the face in it, or why there is none."""
    try:
        if settings.no_face:
            return read_picture(item.path, settings, size)
        return observe(item.path, at_declared(item, settings))
    except (PhotoError, FaceError, InputError) as error:
        return str(error)
    except MemoryError:
        return f"{item.path}: not enough memory."


def _record(
    items: Sequence[Item], faces: Mapping[str, Observation], shown: str, settings: Settings
) -> Record:
    """The record of the photo that is shown, with the measurements of all."""
    records = {i.path: record_of(measure_observation(i, faces[i.path], settings), settings) for i in items}
    record = records[shown]
    if len(records) == 1:
        return record
    person = one_person("", items)
    pooled = pool_patient(person, {path: [one] for path, one in records.items()}, settings)
    return replace(
        record,
        measurements=pooled.measurements,
        scores=pooled.scores,
        notes=pooled.notes,
        age_basis=pooled.age_basis,
    )


def _with_heat(
    case: ExplainedCase, encoder: AnyEncoder, features: Features, site: str, jobs: int
) -> ExplainedCase:
    """The case with heatmaps of the first label that is trained, or why there are none."""
    from anthropo.explanation.contributions import trained_weights
    from anthropo.explanation.heatmap import heatmaps
    from anthropo.learning.attributes import AttributeModel
    from anthropo.learning.model import LabelModel

    model = case.trained.model
    label = next((e.label for e in case.explanation.labels if e.how == "trained"), None)
    if label is None:
        reason = "There is no heatmap of a label that is decided by a distance or by its nearest patient."
        return replace(case, heat_reason=reason)
    if isinstance(model, AttributeModel):
        classifier = model.classifiers[model.labels.index(label)]
        weights = np.array([-1.0, 1.0])
    else:
        assert isinstance(model, LabelModel)
        classifier = model.classifier
        margins, _ = model.margins(case.trained.rows(features), ["one"] * len(features))
        weights, _ = trained_weights(margins[0], len(model.trained), model.labels.index(label))
    if not classifier.regions_:
        reason = "The model uses no regions of the face, so that there is no heatmap."
        return replace(case, heat_reason=reason)
    threads = min(jobs, available_cores())
    with network_threads(threads):
        maps = {} if case.trained.domains is None else case.trained.domains.maps_of(site)
        heat = heatmaps(classifier, encoder, case.photo, case.face, weights, maps=maps, jobs=threads)
    return replace(case, heat=heat)
