"""Models that the page can ask about a photo, and what they answer."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from anthropo.batch.scores import at_declared
from anthropo.encoder.regions import middle_square
from anthropo.errors import InputError
from anthropo.measurement.landmark_file import moved
from anthropo.observation import Observation, observe
from anthropo.report import heat
from anthropo.report.answers import probability_words, set_words
from anthropo.report.explanation.page import write_explanation
from anthropo.report.explanation.words import (
    TermBar,
    against_words,
    bars,
    changes_words,
    gate_words,
    measured_words,
    signed,
    stability_words,
)
from anthropo.report.rendering import jpeg
from anthropo.settings import Settings
from anthropo.workbench.sitting import Sitting
from anthropo.workflows.cohort import PhotoReading, settings_for
from anthropo.workflows.explain import ExplainedCase, follow
from anthropo.workflows.model import Model, load_model

if TYPE_CHECKING:
    from anthropo.workflows.network_model import NetworkCase, NetworkModel

Json = dict[str, Any]
SUFFIX = ".anthropo"
_LOADED, _ANSWERED = 2, 6  # models and answers that are kept
_HEAT = 520  # px
_MOST_LABELS = 3  # that are explained


class Shelf:
    """The models that were named, and those that lie in the folder.

    Parameters
    ----------
    folder : Path
    named : sequence of path
        Model files elsewhere.

    Raises
    ------
    ModelError
        If a file that is named is no model.
    """

    def __init__(self, folder: Path, named: Sequence[str | os.PathLike[str]] = ()) -> None:
        self._folder = folder
        self._named = [Path(name) for name in named]
        self._loaded: OrderedDict[tuple[str, int], Model | NetworkModel] = OrderedDict()
        self._answers: OrderedDict[tuple[Any, bool], ExplainedCase | NetworkCase] = OrderedDict()
        self._last: tuple[tuple[str | None, ...], Observation] | None = None  # that a point was moved of
        self._lock = Lock()
        self._at_work = Lock()  # one model at a time: each takes all cores
        for path in self._named:
            self._load(path)

    def _paths(self) -> dict[str, Path]:
        there = sorted(self._folder.glob(f"*{SUFFIX}")) if self._folder.is_dir() else []
        paths = dict.fromkeys([*self._named, *(path for path in there if path.is_file())])
        return {hashlib.sha256(os.fsencode(path)).hexdigest()[:16]: path for path in paths}

    def listing(self) -> list[Json]:
        """What there is to choose from."""
        return [{"id": key, "name": path.name} for key, path in self._paths().items()]

    def _load(self, path: Path) -> Model | NetworkModel:
        try:
            key = (str(path), path.stat().st_mtime_ns)
        except OSError:
            key = (str(path), 0)
        with self._lock:
            if key in self._loaded:
                self._loaded.move_to_end(key)
                return self._loaded[key]
        model = load_model(path)
        with self._lock:
            self._loaded[key] = model
            while len(self._loaded) > _LOADED:
                self._loaded.popitem(last=False)
        return model

    def case(self, key: str, sitting: Sitting, *, heatmaps: bool = False) -> ExplainedCase | NetworkCase:
        """A model's answer about a photo, with the points where they were last kept.

        A LookupError where there is no such model.
        """
        path = self._paths()[key]
        model = self._load(path)
        with sitting.lock:
            photo, moved = sitting.photo, sitting.is_corrected
            known = (key, id(model), photo.id, sitting.revision, tuple(photo.columns.items()))
            file = sitting.landmark_file
        for with_heat in (heatmaps, True):
            with self._lock:
                if (known, with_heat) in self._answers:
                    return self._answers[known, with_heat]
        about = model.trained.manifest if isinstance(model, Model) else model.network.manifest
        reading = None
        if not about.settings.no_face:
            reading = PhotoReading(
                face="largest",
                face_at=photo.columns.get("face_at") or None,
                distance=photo.columns.get("distance") or None,
                landmarks=str(file) if moved else None,
            )
        sex, age, gestation, ancestry = (
            photo.columns.get(name) or None for name in ("sex", "age", "gestation", "ancestry")
        )
        with self._at_work:
            made: ExplainedCase | NetworkCase
            if isinstance(model, Model):
                made = model.explain(
                    str(photo.path), sex=sex, age=age, gestation=gestation, ancestry=ancestry,
                    heatmaps=heatmaps, reading=reading,
                )  # fmt: skip
            else:
                made, heatmaps = model.explain(str(photo.path), reading=reading), True
        with self._lock:
            self._answers[known, heatmaps] = made
            while len(self._answers) > _ANSWERED:
                self._answers.popitem(last=False)
        return made

    # ------------------------------------------------------------------------------- as the page

    def answer(self, key: str, sitting: Sitting) -> Json:
        """Ranked labels, the decision, and what speaks for each."""
        return self._told(self.case(key, sitting), sitting)

    def following(self, key: str, sitting: Sitting) -> Json:
        """The answer with what is measured from points that are being moved, and were not kept yet.

        The model looks at the face again only when they are.
        """
        case = self.case(key, sitting)
        if not isinstance(case, ExplainedCase) or case.voided or case.face is None:
            return self._told(case, sitting)
        with sitting.lock:
            seen, record, landmarks = self._seen(case, sitting), sitting.record, sitting.landmarks
        if landmarks:
            seen = replace(seen, face=moved(seen.face, seen.first, landmarks), landmarks=landmarks)
        return self._told(follow(case, seen, record), sitting)

    def _seen(self, case: ExplainedCase, sitting: Sitting) -> Observation:
        """The face as the model's settings find it, which may not be the page's."""
        settings = settings_for(PhotoReading(face="largest"), case.trained.manifest.settings)
        if settings.fingerprint() == Settings(face="largest").fingerprint():
            return sitting.observation
        item = sitting.photo.item
        known = (sitting.digest, settings.fingerprint(), *map(item.columns.get, ("distance", "face_at")))
        if self._last is None or self._last[0] != known:
            self._last = known, observe(item.path, at_declared(item, settings))
        return self._last[1]

    def _told(self, case: ExplainedCase | NetworkCase, sitting: Sitting) -> Json:
        about: Json = {"decision": "", "words": [], "ranked": [], "labels": [], "changes": [], "voided": ""}
        about["page"] = isinstance(case, ExplainedCase)
        about["heat"] = not isinstance(case, ExplainedCase) or case.trained.task != "normality"
        about["ranked"] = [
            {
                "label": one.label,
                "probability": "" if one.probability is None else probability_words(one.probability),
                "log_odds": "" if one.log_odds is None else signed(one.log_odds),
                "how": getattr(one, "how", ""),
            }
            for one in case.prediction.ranked
        ]
        about["decision"] = case.prediction.decision
        if not isinstance(case, ExplainedCase):
            about["words"] = ["A network's probabilities are not calibrated.", *case.notes]
            return about
        about["voided"] = case.voided.removeprefix(f"{sitting.photo.path}: ")
        if case.voided:
            about["ranked"], about["decision"] = [], ""
            return about
        if case.trained.task == "labels":
            about["words"] = [f"Set of labels: {set_words(case.prediction, case.trained)}."]
        about["words"] += [words for words in (gate_words(case), stability_words(case)) if words]
        about["changes"] = changes_words(case)
        values = case.record.results if case.record else {}
        for explained in case.explanation.labels[:_MOST_LABELS]:
            rows = []
            for bar in bars(explained):
                of = values.get(bar.measurement)
                rows.append(_bar(bar) | {"value": measured_words(case.trained, of.measured) if of else ""})
            about["labels"].append(
                {
                    "label": explained.label,
                    "log_odds": signed(explained.log_odds),
                    "against": against_words(explained),
                    "bars": rows,
                }
            )
        return about

    def heat(self, key: str, sitting: Sitting) -> bytes:
        """The heatmap over the face, a JPEG; an InputError says why there is none."""
        case = self.case(key, sitting, heatmaps=True)
        if case.heat is None:
            raise InputError(getattr(case, "voided", "") or getattr(case, "heat_reason", "") or "No heatmap.")
        values = case.heat.whole.values
        limit = heat.common_limit([values])
        if case.face is None:
            return jpeg(heat.square(middle_square(case.photo, _HEAT), values, limit))
        return jpeg(heat.overlay(values, case.photo, case.face, limit, _HEAT))

    def page(self, key: str, sitting: Sitting) -> bytes:
        """The whole explanation as a page."""
        case = self.case(key, sitting, heatmaps=True)
        if not isinstance(case, ExplainedCase):
            raise InputError("Of a network that answers by itself there is a heatmap and no page.")
        with tempfile.TemporaryDirectory(prefix="anthropo-") as folder:
            path = Path(folder) / "why.html"
            write_explanation(path, case)
            return path.read_bytes()


def _bar(bar: TermBar) -> Json:
    low, high = bar.range or (None, None)
    return {
        "kind": bar.kind,
        "name": bar.name,
        "measurement": bar.measurement,
        "value_log_odds": round(bar.log_odds, 4),
        "words": signed(bar.log_odds),
        "range": "" if low is None or high is None else f"{signed(low)} to {signed(high)}",
        "pale": bar.stable is False,
    }
