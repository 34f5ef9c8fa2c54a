"""Why a model says what it says of one person: as JSON, on a terminal, as a page and as a picture."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo._version import __version__
from anthropo.encoder.portrait import place
from anthropo.encoder.regions import middle_square
from anthropo.errors import InputError
from anthropo.explanation.changes import Change
from anthropo.explanation.contributions import Contribution, Explained, Explanation
from anthropo.files import write as write_file
from anthropo.learning.card import describe
from anthropo.learning.model import LabelModel
from anthropo.learning.trained import Trained
from anthropo.measurement.registry import registry
from anthropo.reference.traits import BORDERLINE, LOOK, PRESENT, Trait
from anthropo.report import rendering
from anthropo.report.figures import REGION_COLOURS
from anthropo.report.rendering import embedded, jpeg, png
from anthropo.report.tables import number, sign
from anthropo.report.traits import evidence_words, worth_a_line

if TYPE_CHECKING:
    from anthropo.batch.records import Json
    from anthropo.explanation.heatmap import FaceHeat, Heatmap
    from anthropo.face.landmarker import Face
    from anthropo.photo import Photo

Document = dict[str, Any]
Floats = NDArray[np.float64]

_FOR, _AGAINST = "#d55e00", "#0072b2"  # Okabe-Ito
_PICTURE = 560  # px, of a picture without a face
_SHOWN = 10  # measurements in a chart; the rest are one line
_VOIDED = 0.45  # of the measurements, from which on a photo is not fit to be judged: blurred, or too small
_TOLD = (PRESENT, BORDERLINE, LOOK)  # traits that a page lists
_EXPRESSION = {"smile", "mouth_open"}  # spoil measurements and leave the photo fit
_FATAL = ("outside", "landmark_spread")  # checks without which nothing is known of the face


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Everything that is known of one person."""

    trained: Trained
    explanation: Explanation
    changes: Sequence[Change]
    record: Json  # of the photo that is shown, as `anthropo measure` has it; measurements are of all photos
    photo: Photo
    face: Face | None  # None: of a model that reads pictures without one
    heat: FaceHeat | None  # of the first label
    heat_reason: str  # why there is none
    matches: Sequence[tuple[str, float]]  # nearest patients of matched labels: label and cosine
    traits: Sequence[Trait] = ()
    anonymous: bool = False
    template: bool = False
    force: bool = False

    left_out: Sequence[str] = ()  # why other photos of the person are not used

    @property
    def voided(self) -> str:
        """Why the photo is not fit to be judged; empty when it is."""
        return "" if self.force else unfit(self.trained, self.record)


def unfit(trained: Trained, record: Json) -> str:
    """Why a photo is not fit to be judged, in a sentence; empty when it is.

    Parameters
    ----------
    trained : Trained
    record : dict
        Of the photo, as `anthropo.batch.measure_item` makes it.
    """
    gate = record["gate"]
    failed = {name for name, check in gate.items() if not check["ok"]}
    trained_on = trained.manifest.get("measurements") or list(registry())
    own = [registry()[name] for name in trained_on if name in registry()]
    voided = [entry for entry in own if failed.intersection(entry.voids) - _EXPRESSION]
    fatal = failed.intersection(_FATAL)
    if not fatal and len(voided) <= _VOIDED * max(len(own), 1):
        return ""
    why = "; ".join(
        f"{name.replace('_', ' ')}: {gate[name]['advice']}"
        for name in gate
        if name in (fatal or failed - _EXPRESSION)
    )
    share = "" if fatal else f", which voids {len(voided)} of {len(own)} measurements"
    return f"The photo gate finds the photo unfit{share} ({why})."


# -------------------------------------------------------------------------------------------------- JSON


def document(case: Case) -> Document:
    """The explanation as JSON.

    Returns
    -------
    dict
        ``photo`` (null when anonymous), ``photos``, ``moved`` (landmarks placed by hand, and by how many
        pixels), ``decision``, ``reason``, ``set``, ``typicality``, ``ranked``,
        ``voided``, ``labels`` (each with ``label``, ``log_odds``, ``bias``, ``residual``, ``against`` and
        ``contributions``), ``changes``, ``heatmaps``, ``traits``, ``measurements``, ``gate``, ``pose``,
        ``model``. A label's log_odds is its bias, residual and contributions added up; nats.
    """
    p = case.explanation.prediction
    made: Document = {
        "photo": None if case.anonymous else p.photos[0],
        "photos": [] if case.anonymous else list(p.photos),
        "n_photos": len(p.photos),
        "sha256": None if case.anonymous else case.record["diagnostics"]["sha256"],
        "moved": case.record.get("moved", {}),
        "left_out": [] if case.anonymous else list(case.left_out),
        "voided": case.voided or None,
        "decision": None if case.voided else p.decision,
        "reason": case.voided or p.reason or None,
        "set": [] if case.voided else list(p.labels),
        "typicality": None if case.voided else p.typicality,
        "ranked": [
            {
                "label": r.label, "probability": r.probability, "log_odds": r.log_odds,
                "similarity": r.similarity, "in_set": r.in_set,
            }
            for r in (() if case.voided else p.ranked)
        ],
        "labels": [] if case.voided else [_label(case, e) for e in case.explanation.labels],
        "changes": [
            {
                "measurement": c.measurement, "value": c.value, "needed": c.needed,
                "unit": registry()[c.measurement].unit if c.measurement in registry() else None,
                "standard_deviations": c.spread, "decision": c.decision,
            }
            for c in (() if case.voided else case.changes)
        ],
        "heatmaps": None if case.heat is None else _heat(case),
        "heatmap_reason": case.heat_reason or None,
        "traits": [
            {
                "id": t.hpo_id, "label": t.label, "side": t.side, "status": t.status,
                "measurements": [e.measurement for e in t.evidence], "reason": t.reason or None,
            }
            for t in case.traits
        ],
        "matches": [{"label": label, "cosine": cosine} for label, cosine in case.matches],
        "measurements": case.record["measurements"],
        "gate": case.record["gate"],
        "pose": case.record["pose"],
        "notes": case.record["notes"],
        "diagnostics": {
            key: value
            for key, value in case.record["diagnostics"].items()
            if not (case.anonymous and key == "sha256")
        },
        "model": {
            key: case.trained.manifest.get(key)
            for key in ("task", "labels", "classifier", "encoder", "regions", "anthropo", "cohort", "command")
        },
        "anthropo": __version__,
    }  # fmt: skip
    return made


def _label(case: Case, explained: Explained) -> Document:
    return {
        "label": explained.label,
        "probability": explained.probability,
        "log_odds": explained.log_odds,
        "bias": explained.bias,
        "residual": explained.residual,
        "how": explained.how,
        "against": dict(explained.against),
        "contributions": [_contribution(case, c) for c in explained.contributions],
    }


def _contribution(case: Case, c: Contribution) -> Document:
    made: Document = {"kind": c.kind, "name": c.name, "log_odds": c.log_odds}
    if c.kind == "measurement" and c.name in case.record["measurements"]:
        m = case.record["measurements"][c.name]
        made |= {key: m[key] for key in ("value", "lo", "hi", "unit", "reason")}
        made["z_training"] = training_z(case.trained, c.name, m["value"])
        made["people"] = standing(case.trained, c.name, m["value"])
    return made


def training_z(trained: Trained, measurement: str, value: float | None) -> float | None:
    """How far a value is from the mean of those the model standardises by, in their standard deviations."""
    if value is None or not isinstance(trained.model, LabelModel):
        return None
    scaler = trained.model.classifier.scaler_
    if measurement not in scaler.names:
        return None
    at = scaler.names.index(measurement)
    return float((value - scaler.mean[at]) / scaler.spread[at])


def standing(trained: Trained, measurement: str, value: float | None) -> dict[str, Document]:
    """By label: 5, 50 and 95 % of its people, and the share of them below the value."""
    found: dict[str, Document] = {}
    if trained.profile is None:
        return found
    for label in trained.profile.labels:
        own = trained.profile.range(label, measurement)
        if own is not None:
            below = None if value is None else trained.profile.share_below(label, measurement, value)
            found[label] = {"p5": own[0], "p50": own[1], "p95": own[2], "below": below}
    return found


def _heat(case: Case) -> Document:
    assert case.heat is not None
    return {
        "label": _heat_label(case),
        "regions": {name: _heat_figures(heat) for name, heat in case.heat.regions.items()},
        "whole": _heat_figures(case.heat.whole),
    }


def _heat_label(case: Case) -> str:
    return next(e.label for e in case.explanation.labels if e.how == "trained")


def _heat_figures(heat: Heatmap) -> Document:
    made: Document = {
        "log_odds": heat.contribution,
        "baseline": heat.baseline,
        "not_accounted_for": heat.completeness,
    }
    if heat.faithfulness is not None:
        f = heat.faithfulness
        made |= {
            "deletion": f.deletion, "insertion": f.insertion, "random": f.random,
            "top_tenth_drop": f.top_tenth_drop, "random_tenth_drop": f.random_tenth_drop,
            "sanity_correlation": f.sanity_correlation, "faithful": f.passes, "reason": f.reason or None,
        }  # fmt: skip
    return made


# -------------------------------------------------------------------------------------------------- words


def picture_record(photo: Photo) -> Json:
    """What takes the place of a measured face's record where there is none."""
    width, height = photo.full_size
    return {
        "width": width, "height": height, "pose": None, "gate": {}, "measurements": {}, "notes": [],
        "diagnostics": {"anthropo": __version__, "sha256": photo.sha256},
    }  # fmt: skip


def name_of(c: Contribution) -> str:
    """A contribution's name for people."""
    if c.kind == "measurement" and c.name in registry():
        return registry()[c.name].name
    return {"region": f"region: {c.name}", "metadata": f"metadata: {c.name}"}.get(c.kind, c.name)


def against_words(explained: Explained) -> str:
    """What a label is compared with."""
    if explained.how == "distance":
        return (
            "against the people that the model knows: above 0 it is called; each unit is a factor of 2.7 in "
            "how few of them are as far out"
        )
    if len(explained.against) == 1:
        return f"log-odds of {explained.label} against {explained.against[0][0]}"
    shares = sorted(explained.against, key=lambda pair: -pair[1])[:3]
    listed = ", ".join(f"{label} {100 * share:.0f} %" for label, share in shares)
    return f"log-odds of {explained.label} against the other labels, each as probable as it is ({listed})"


def change_words(change: Change) -> str:
    """One sentence."""
    entry = registry().get(change.measurement)
    name, unit = (entry.name, entry.unit) if entry else (change.measurement, "")
    return (
        f"{name}: {number(change.needed, unit)} in place of {number(change.value, unit)} {unit} "
        f"({change.spread:+.1f} SD of the training people) would make it {change.decision}."
    )


def changes_words(case: Case) -> list[str]:
    """What would change the decision."""
    if case.changes:
        return [change_words(c) for c in case.changes]
    if not case.trained.manifest.get("measurements"):
        return ["The model reads no measurements, so that no change of one can be told."]
    return ["No single measurement would change the decision, up to 4 standard deviations either way."]


def shown_rows(explained: Explained) -> list[tuple[str, str, float, str]]:
    """Rows of a chart: kind, name, log-odds and measurement id, the smaller measurements together."""
    rows = [("bias", "before anything is seen (bias)", explained.bias, "")]
    for kind in ("region", "metadata", "measurement"):
        own = explained.of(kind)
        most = _SHOWN if kind == "measurement" else len(own)
        rows += [(kind, name_of(c), c.log_odds, c.name) for c in own[:most]]
        if len(own) > most:
            rest = sum(c.log_odds for c in own[most:])
            rows.append((kind, f"{len(own) - most} other measurements together", rest, ""))
    if explained.residual:
        rows.append(("residual", "not attributed (residual)", explained.residual, ""))
    return rows


# -------------------------------------------------------------------------------------------------- terminal


def print_explanation(case: Case, top: int) -> None:
    """The prediction, then each label's sum."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from anthropo.report.answers import print_answer

    for sentence in (*case.left_out, *case.record["notes"]):
        click.secho(sentence, fg="yellow", err=True)
    if case.voided:
        click.secho(f"{case.record['photo']}: {case.voided}", fg="yellow")
        click.secho("Nothing is suggested: take another photo, or pass --force.", bold=True)
        return
    print_answer(case.explanation.prediction, case.trained, top)
    for name, check in case.record["gate"].items():
        if not check["ok"]:
            click.secho(f"gate: {name.replace('_', ' ')}: {check['advice']}", fg="yellow")
    console = Console(highlight=False, markup=False, width=None if os.isatty(1) else 120)
    shown = list(case.explanation.labels)
    if len(case.trained.manifest.get("labels") or ()) == 2 and case.trained.task == "labels":
        # of two labels one is the other with the opposite sign
        shown = [e for i, e in enumerate(shown) if i == 0 or e.how != "trained"]
    for explained in shown:
        click.echo()
        click.secho(f"{explained.label}  {_signed(explained.log_odds)}", bold=True, nl=False)
        click.echo(f"  {against_words(explained)}")
        table = Table(box=None, pad_edge=False, show_header=False)
        for justify in ("left", "right", "left", "left"):
            table.add_column(justify=justify)
        rows = shown_rows(explained)
        limit = max(abs(value) for _, _, value, _ in rows) or 1.0
        for _, name, value, identity in rows:
            bar = ("▇" * max(1, round(16 * abs(value) / limit))) if abs(value) > limit / 64 else ""
            note = _measured_words(case, identity) if identity in case.record["measurements"] else ""
            table.add_row(
                Text(name), _signed(value), Text(bar, style="red" if value > 0 else "blue"), Text(note)
            )
        table.add_row(Text("log-odds", style="bold"), Text(_signed(explained.log_odds), style="bold"), "", "")
        console.print(table)
    click.echo()
    click.secho("What would change the decision", bold=True)
    for sentence in changes_words(case):
        click.echo(sentence)
    click.secho(
        "Red speaks for the label, blue against it. Add -o FILE.html for heatmaps and a report.", dim=True
    )


def _measured_words(case: Case, name: str) -> str:
    m = case.record["measurements"][name]
    if m["value"] is None:
        return f"not measured: {m['reason']}"
    text = f"{number(m['value'], m['unit'])} {m['unit']}".removesuffix(" 1")
    z = training_z(case.trained, name, m["value"])
    return text + (f", {z:+.1f} SD of {_standard(case.trained)}".replace("-", "−") if z is not None else "")


def _standard(trained: Trained) -> str:
    controls = trained.manifest.get("controls")
    return f"training {controls}" if controls in trained.model.labels else "the training people"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


# ------------------------------------------------------------------------------------------------------ files


def write(path: Path, case: Case) -> None:
    """Write the explanation by the suffix of `path`, whole or not at all.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        data = json.dumps(document(case), ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"
    elif suffix == ".html":
        data = page(case).encode()
    else:
        data = picture(case)
    write_file(path, data)


def page(case: Case) -> str:
    """The explanation as one HTML page that needs nothing else."""
    from anthropo.report.answers import probability_words

    p = case.explanation.prediction
    rows = {e.label: shown_rows(e) for e in case.explanation.labels}
    first = case.explanation.labels[0]
    limit = max((abs(v) for label in rows for _, _, v, _ in rows[label]), default=1.0) or 1.0
    by = {c.name: c.log_odds for c in first.of("measurement")}
    return rendering.page(
        "explanation.html",
        case=case,
        p=p,
        made=document(case),
        rows=rows,
        measured_limit={
            e.label: max((abs(v) for k, _, v, _ in rows[e.label] if k == "measurement"), default=0.0)
            for e in case.explanation.labels
        },
        limit=limit,
        by_measurement=by,
        by_limit=max(map(abs, by.values()), default=1.0) or 1.0,
        pictures=_pictures(case),
        heat_label=_heat_label(case) if case.heat is not None else "",
        registry=registry(),
        colours=REGION_COLOURS,
        number=number,
        probability=probability_words,
        sign=sign,
        signed=_signed,
        against=against_words,
        changes=changes_words(case),
        traits=[(t, evidence_words(t)) for t in case.traits if t.status in _TOLD and worth_a_line(t)],
        sides={"R": ", right", "L": ", left"},
        regions=_by_region(case.record),
        references=_references(case.record),
        standard=_standard(case.trained),
        training_z=lambda name, value: training_z(case.trained, name, value),
        strip=lambda name, m: _strip(case.trained, name, m),
        profile=case.trained.profile,
        card=describe(case.trained.manifest),
        summary=_summary(case),
    )


def _summary(case: Case) -> str:
    from anthropo.report.answers import probability_words, set_words

    p, trained = case.explanation.prediction, case.trained
    if trained.task == "normality":
        share = f"{100 * (p.typicality or 0.0):.1f} %"
        text = (
            f"{p.decision}. Typicality {share}: of the healthy people, {share} are at least as far from the"
        )
        return f"{text} others."
    best = p.ranked[0]
    text = f"Decision: {p.decision}" + (f" ({p.reason})" if p.reason else "")
    if trained.task == "labels":
        text += f". Most probable: {best.label}, {probability_words(best.probability)}"
        text += f". Set: {set_words(p, trained)}"
    return text + "."


def _by_region(record: Json) -> dict[str, list[tuple[str, Any, Any]]]:
    found: dict[str, list[tuple[str, Any, Any]]] = {}
    for name, m in record["measurements"].items():
        entry = registry()[name]
        if not (entry.needs_mm and m["value"] is None):
            found.setdefault(entry.region, []).append((name, entry, m))
    return found


def _references(record: Json) -> dict[str, str]:
    grades: dict[str, set[str]] = {}
    for m in record["measurements"].values():
        for z in m["z"]:
            grades.setdefault(z["reference"], set()).update(z["grade"])
    return {name: "/".join(sorted(found)) for name, found in grades.items()}


def _strip(trained: Trained, name: str, m: Mapping[str, Any]) -> Document | None:
    """Where the value stands among the people of each label: places from 0 to 100."""
    people = standing(trained, name, m["value"])
    if m["value"] is None or not people:
        return None
    ends = [v for own in people.values() for v in (own["p5"], own["p95"])] + [m["value"]]
    low, high = min(ends), max(ends)
    margin = 0.05 * (high - low) or 1.0

    def at(value: float) -> float:
        return float(np.clip(100 * (value - low + margin) / (high - low + 2 * margin), 0, 100))

    return {
        "bands": [
            {"label": label, "from": at(own["p5"]), "to": at(own["p95"]), "middle": at(own["p50"]), **own}
            for label, own in people.items()
        ],
        "at": at(m["value"]),
        "lo": at(m["lo"] if m["lo"] is not None else m["value"]),
        "hi": at(m["hi"] if m["hi"] is not None else m["value"]),
    }


# ----------------------------------------------------------------------------------------------- pictures


def picture(case: Case) -> bytes:
    """The first label's sum beside the face, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    if case.voided:
        raise InputError(f"{case.voided} There is nothing to draw; write .html, or pass --force.")
    explained = case.explanation.labels[0]
    rows = shown_rows(explained)[::-1]
    faces = [Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))) for data in _faces(case)]
    figure, axes = plt.subplots(
        1, len(faces) + 1, figsize=(4.2 * len(faces) + 8, 5), width_ratios=[4.2] * len(faces) + [4.5],
        layout="constrained",
    )  # fmt: skip
    axes = np.atleast_1d(axes)
    for axis, face in zip(axes, faces, strict=False):
        axis.imshow(face)
        axis.axis("off")
    chart = axes[-1]
    values = [value for _, _, value, _ in rows]
    chart.barh(range(len(rows)), values, color=[_FOR if v > 0 else _AGAINST for v in values])
    chart.set_yticks(range(len(rows)), [name for _, name, _, _ in rows])
    chart.axvline(0, color="#57606a", linewidth=0.8)
    chart.set_xlabel("log-odds (nats): right speaks for the label, left against it")
    chart.set_title(f"{explained.label}: {_signed(explained.log_odds)}", loc="left")
    chart.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(
        f"anthropo {__version__}. Research use only, not a medical device.", x=0.005, ha="left", fontsize=8
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


def _faces(case: Case) -> list[str]:
    found = _pictures(case)
    return [data for data in (found["photo"], found.get("whole")) if data]


def composite(trained: Trained, label: str) -> tuple[Image.Image, Floats]:
    """The average face of a label's training people, twice as large as kept, and its landmarks (68, 2)."""
    profile = trained.profile
    assert profile is not None
    assert profile.composites is not None
    at = profile.labels.index(label)
    picture = Image.fromarray(profile.composites[at])
    size = (2 * picture.width, 2 * picture.height)
    return picture.resize(size, Image.Resampling.LANCZOS), 2 * place(profile.shapes[at]) + 0.5


def _people(trained: Trained, label: str) -> int:
    assert trained.profile is not None
    return trained.profile.patients[trained.profile.labels.index(label)]


def _shown_composites(case: Case) -> list[str]:
    """Whose average faces stand beside the patient: the most probable label's and the controls'."""
    profile = case.trained.profile
    if profile is None or profile.composites is None:
        return []
    wanted = [r.label for r in case.explanation.prediction.ranked if r.label in profile.labels]
    controls = case.trained.manifest.get("controls")
    if controls in wanted[1:]:
        wanted = [wanted[0], controls]
    return (wanted or list(profile.labels))[:2]


def _photograph(case: Case) -> Image.Image:
    from anthropo.report.figures import overlay

    if case.face is None:
        return Image.fromarray(middle_square(case.photo, _PICTURE))
    return overlay(case.photo, case.face)


def _square(case: Case, side: int) -> NDArray[np.uint8]:
    """What the network sees of a picture without a face; blank in an anonymous report."""
    if case.anonymous or case.template:
        return np.full((side, side, 3), 255, dtype=np.uint8)
    return middle_square(case.photo, side)


def _pictures(case: Case) -> Document:
    from anthropo.report import heat as drawn

    found: Document = {
        "photo": None if case.anonymous else _embedded(_photograph(case)),
        "composites": [
            {
                "label": label,
                "n": _people(case.trained, label),
                "data": _embedded(composite(case.trained, label)[0]),
            }
            for label in _shown_composites(case)
        ],
    }
    if case.heat is None:
        return found
    whole = case.heat.whole.values
    limit = drawn.common_limit([whole])
    found["bar"] = embedded(png(drawn.bar(limit)))

    def shown(values: Any, side: int) -> str:
        if case.face is None:
            return _embedded(drawn.square(_square(case, side), values, limit))
        if case.anonymous or case.template:
            return _embedded(drawn.over(*drawn.template(side), values, limit))
        return _embedded(drawn.overlay(values, case.photo, case.face, limit, side))

    found["whole"] = shown(whole, 520)
    found["regions"] = {name: shown(one.values, 240) for name, one in case.heat.regions.items()}
    for label in _shown_composites(case)[:1]:
        average, points = composite(case.trained, label)
        found["average"] = {"label": label, "data": _embedded(drawn.over(average, points, whole, limit))}
    return found


def _embedded(picture: Image.Image) -> str:
    return embedded(jpeg(picture))
