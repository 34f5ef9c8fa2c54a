"""An explained prediction as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from anthropo._version import __version__
from anthropo.explanation.contributions import Contribution, Explained
from anthropo.explanation.maps import Heatmap
from anthropo.explanation.standing import standing, training_z
from anthropo.learning.manifest import Manifest
from anthropo.learning.model_readers import as_written
from anthropo.measurement.registry import registry
from anthropo.workflows.classify import shares_as_json
from anthropo.workflows.explain import ExplainedCase

Document = dict[str, Any]

_MODEL = (
    "task", "labels", "classifier", "encoder", "more_encoders", "regions", "anthropo", "cohort", "command",
    "refits",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """Parts of a case that a reader may see."""

    anonymous: bool = False  # neither the photo nor its name
    template: bool = False  # heatmaps over a line drawing in place of the photo
    matches: bool = False  # nearest patients of matched labels


EVERYTHING = Disclosure()


def described(case: ExplainedCase, disclosure: Disclosure) -> Manifest:
    """What the model says of itself; a command of 0.1.0 names the cohort's file, which may be a person's."""
    manifest = case.trained.manifest
    return replace(manifest, command=None) if disclosure.anonymous else manifest


def document(case: ExplainedCase, disclosure: Disclosure = EVERYTHING) -> Document:
    """The explanation as JSON.

    Its keys: ``photo`` (null when anonymous), ``photos``, ``moved`` (landmarks placed by hand, and by how
    many pixels), ``decision``, ``reason``, ``set``, ``typicality``, ``ranked``, ``voided``, ``labels``
    (each with ``label``, ``log_odds``, ``bias``, ``prevalence_shift``, ``limit``, ``residual``,
    ``against`` and ``contributions``), ``shares`` (how common each label is where the probabilities hold) and
    ``shares_from`` (training, or stated), ``changes``, ``heatmaps``, ``traits``, ``age_basis`` (from
    which birth an age below two years is counted), ``measurements``, ``gate``, ``pose``, ``model``. A
    label's log_odds is its bias, residual and contributions added up; nats. ``prevalence_shift`` is the
    part of the bias that a stated prevalence adds, ``limit`` the one that takes off what so few people in
    training cannot show. A contribution's lowest and highest over refits are
    its ``log_odds_lo`` and ``log_odds_hi``, and ``stable`` says whether it may be relied on; null where
    there are no refits.
    """
    p, record, named = case.prediction, case.record, not disclosure.anonymous
    judged = not case.voided
    face: Document = record.to_json() if record else {}
    model = described(case, disclosure)
    diagnostics = face.get("diagnostics", {"anthropo": __version__, "sha256": case.photo.sha256})
    return {
        "photo": p.photos[0] if named else None,
        "photos": list(p.photos) if named else [],
        "n_photos": len(p.photos),
        "sha256": diagnostics["sha256"] if named else None,
        "moved": face.get("moved", {}),
        "left_out": list(case.left_out) if named else [],
        "voided": case.voided or None,
        "decision": p.decision if judged else None,
        "reason": case.voided or p.reason or None,
        "set": list(p.labels) if judged else [],
        "typicality": p.typicality if judged else None,
        "ranked": [asdict(ranked) for ranked in p.ranked] if judged else [],
        **shares_as_json(case.trained),
        "labels": [_label(case, explained) for explained in case.explanation.labels] if judged else [],
        "changes": [
            {
                "measurement": c.measurement, "value": c.value, "needed": c.needed,
                "unit": registry()[c.measurement].unit if c.measurement in registry() else None,
                "standard_deviations": c.spread, "decision": c.decision,
            }
            for c in (case.changes if judged else ())
        ],
        "heatmaps": None if case.heat is None else {
            "label": heat_label(case),
            "regions": {name: _heat(heat) for name, heat in case.heat.regions.items()},
            "whole": _heat(case.heat.whole),
        },
        "heatmap_reason": case.heat_reason or None,
        "traits": [
            {
                "id": t.hpo_id, "label": t.label, "side": t.side, "status": t.status,
                "measurements": [e.measurement for e in t.evidence], "reason": t.reason or None,
            }
            for t in case.traits
        ],
        "matches": [
            {"label": label, "cosine": cosine}
            for label, cosine in (case.matches if disclosure.matches else {}).items()
        ],
        "age_basis": face.get("age_basis", ""),
        "measurements": face.get("measurements", {}),
        "gate": face.get("gate", {}),
        "pose": face.get("pose"),
        "notes": [note for note in (*face.get("notes", []), face.get("remark")) if note],
        "diagnostics": {key: v for key, v in diagnostics.items() if named or key != "sha256"},
        "model": {key: as_written(getattr(model, key)) for key in _MODEL},
        "anthropo": __version__,
    }  # fmt: skip


def _label(case: ExplainedCase, explained: Explained) -> Document:
    names = ("label", "probability", "log_odds", "bias", "residual", "how")
    return {name: getattr(explained, name) for name in names} | {
        "prevalence_shift": explained.shift,
        "limit": explained.limit,
        "against": dict(explained.against),
        "contributions": [_contribution(case, c) for c in explained.contributions],
    }


def _contribution(case: ExplainedCase, c: Contribution) -> Document:
    lo, hi = c.range or (None, None)
    made: Document = {"kind": c.kind, "name": c.name, "log_odds": c.log_odds}
    made |= {"log_odds_lo": lo, "log_odds_hi": hi, "stable": c.stable}
    result = case.record.results.get(c.name) if case.record and c.kind == "measurement" else None
    if result is None:
        return made
    value = result.measured
    people = standing(case.trained, c.name, value.value)
    numbers = {key: getattr(value, key) for key in ("value", "lo", "hi")}
    numbers = {key: None if math.isnan(number) else number for key, number in numbers.items()}
    return made | numbers | {
        "unit": value.unit,
        "reason": value.reason,
        "z_training": training_z(case.trained, c.name, value.value),
        "people": {label: asdict(among) for label, among in people.items()},
    }  # fmt: skip


def heat_label(case: ExplainedCase) -> str:
    """The label that the heatmaps are of."""
    return next(e.label for e in case.explanation.labels if e.how == "trained")


def _heat(heat: Heatmap) -> Document:
    made: Document = {"log_odds": heat.contribution, "baseline": heat.baseline}
    made["not_accounted_for"] = heat.completeness
    if heat.faithfulness is not None:
        figures = asdict(heat.faithfulness)
        passes, reason = figures.pop("passes"), figures.pop("reason")
        made |= {**figures, "faithful": passes, "reason": reason or None}
    return made
