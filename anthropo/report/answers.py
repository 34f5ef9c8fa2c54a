"""What a model says of people: tables on a terminal, and files."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo._version import __version__
from anthropo.errors import InputError
from anthropo.files import write_atomically
from anthropo.learning.model import NONE_OF_THESE, Prediction, Ranked

if TYPE_CHECKING:
    from anthropo.learning.trained import Trained

Row = dict[str, Any]

_SEPARATOR = "; "  # between the photos of a person, and the labels of a set


@dataclass(frozen=True, slots=True)
class Answered:
    """A person whom the model has something to say of."""

    patient: str  # as named in the user's table; empty when not named
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A photo that could not be used."""

    patient: str
    photo: str
    reason: str


Answer = Answered | Unanswered


def in_order(
    answered: Iterable[Answered], unanswered: Iterable[Unanswered], photos: Sequence[str]
) -> list[Answer]:
    """Both in the order of their first photos."""
    place = {photo: i for i, photo in reversed(list(enumerate(photos)))}

    def first(answer: Answer) -> int:
        return place[answer.photo if isinstance(answer, Unanswered) else answer.prediction.photos[0]]

    return sorted([*answered, *unanswered], key=first)


# -------------------------------------------------------------------------------------------------- terminal


def probability_words(probability: float) -> str:
    """Three digits; what would be none and all of it is told as a limit, which few patients can support."""
    if probability < 0.0005:
        return "< 0.001"
    return "> 0.999" if probability >= 0.9995 else f"{probability:.3f}"


def print_answer(prediction: Prediction, trained: Trained, top: int) -> None:
    """One person: the ranked labels, the decision, the set and the typicality.

    Parameters
    ----------
    prediction : Prediction
    trained : Trained
        That made it.
    top : int
        Labels to show; all of the set are shown in any case.
    """
    photos = prediction.photos
    click.secho(photos[0] if len(photos) == 1 else f"{len(photos)} photos of one person", bold=True)
    task = trained.task
    if task == "normality":
        for text in _normality_words(prediction, trained):
            click.echo(text)
    else:
        _print_ranked(prediction, trained, top)
        click.echo("decision   ", nl=False)
        click.secho(prediction.decision, bold=True, nl=False)
        click.echo(f" ({prediction.reason})" if prediction.reason else f" ({_rule(trained)})")
        if task == "labels":
            click.echo(f"set        {set_words(prediction, trained)}")
            if prediction.typicality is not None:
                click.echo(f"typicality {_typicality_words(prediction)}")
    click.secho(
        "Likeness to the photographs that the model was trained on. Research use only, not a medical device.",
        dim=True,
    )


def _print_ranked(prediction: Prediction, trained: Trained, top: int) -> None:
    from rich.text import Text

    attributes = trained.task == "attributes"
    table = _table(
        ("attribute" if attributes else "label", False),
        ("probability", True),
        ("log-odds", True),
        ("decided" if attributes else "in the set", False),
        ("how", False),
    )
    decided = set(prediction.decision.split(_SEPARATOR)) if attributes else set()
    shown = [r for i, r in enumerate(prediction.ranked) if i < top or r.in_set or r.label in decided]
    for ranked in shown:
        if attributes:
            mark = "present" if ranked.label in decided else "absent"
            mark += "" if ranked.in_set == (ranked.label in decided) else ", not sure"
        else:
            mark = "yes" if ranked.in_set else ""
        table.add_row(
            Text(ranked.label),
            probability_words(ranked.probability),
            "" if ranked.log_odds is None else f"{ranked.log_odds:+.2f}".replace("-", "−"),
            mark,
            _how(ranked, trained),
        )
    _print(table)
    if len(shown) < len(prediction.ranked):
        click.secho(f"… and {len(prediction.ranked) - len(shown)} less probable ones (--top).", dim=True)


def _how(ranked: Ranked, trained: Trained) -> str:
    if ranked.similarity is None:
        return "trained"
    count = (trained.manifest.get("gallery") or {}).get(ranked.label)
    of = f" of {count}" if count and count > 1 else ""
    return f"matched: cosine {ranked.similarity:.2f} with the nearest patient{of}"


def _rule(trained: Trained) -> str:
    point = trained.manifest.get("operating_point") or {}
    threshold, positive = point.get("threshold"), trained.manifest.get("positive")
    if threshold is not None and positive:
        return f"least expected cost: {positive} from a probability of {threshold:.3f} on"
    return "least expected cost"


def set_words(prediction: Prediction, trained: Trained) -> str:
    error = 100 * float((trained.manifest.get("conformal") or {}).get("error") or 0)
    labels = prediction.labels
    at = f"at an error rate of {error:g} %"
    if not labels:
        return f"empty: no label fits {at}"
    if len(labels) == 1:
        return f"only {labels[0]} fits {at}"
    if len(labels) == len(prediction.ranked):
        return f"no label can be excluded {at}"
    return f"{', '.join(labels[:-1])} or {labels[-1]} {at}"


def _typicality_words(prediction: Prediction) -> str:
    share = f"{100 * (prediction.typicality or 0.0):.0f} %"
    only = "only " if prediction.decision == NONE_OF_THESE and prediction.reason else ""
    return f"{share}: of the people that the model knows, {only}{share} are at least as unlike the others"


def _normality_words(prediction: Prediction, trained: Trained) -> list[str]:
    point = (trained.manifest.get("operating_point") or {}).get("rule")
    share = 100 * (prediction.typicality or 0.0)
    distance = _distance(prediction)
    return [
        f"decision   {prediction.decision}" + (f" ({point})" if point else ""),
        f"typicality {share:.1f} %: of the healthy people, {share:.1f} % are at least as far from the others"
        + (f"; distance {distance:.2f}" if distance is not None else ""),
    ]


def print_answers(answers: Sequence[Answer], trained: Trained, top: int) -> None:
    """Several people, a line each."""
    from rich.text import Text

    named = any(a.patient for a in answers)
    table = _table(
        ("patient" if named else "photo", False), ("photos", True), ("decision", False),
        ("most probable", False), ("set", False), ("note", False),
    )  # fmt: skip
    for answer in answers:
        if isinstance(answer, Unanswered):
            table.add_row(Text(answer.patient or answer.photo), "", Text("failed", style="red"), "", "", "")
            continue
        p = answer.prediction
        best = ", ".join(f"{r.label} {r.probability:.2f}" for r in p.ranked[: min(top, 3)])
        table.add_row(
            Text(answer.patient or p.photos[0]), str(len(p.photos)), Text(p.decision, style="bold"),
            Text(best), Text(_SEPARATOR.join(p.labels) or "empty"), p.reason,
        )  # fmt: skip
    _print(table)


def _table(*columns: tuple[str, bool]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in columns:
        table.add_column(name, justify="right" if right else "left")
    return table


def _print(table: Any) -> None:
    from rich.console import Console

    # a label may look like markup
    Console(width=None if sys.stdout.isatty() else 1000, highlight=False, markup=False).print(table)


# ----------------------------------------------------------------------------------------------------- files


def rows(answers: Sequence[Answer], trained: Trained) -> list[Row]:
    """One flat row per person, and per photo that failed.

    Returns
    -------
    list of dict
        `patient, photo, photos, status, reason, decision, set, typicality, label_1`, then
        ``probability:LABEL`` of every label in the model's order; for distance to normal `distance` in their
        place. `photo` lists the files with "; " between.
    """
    if trained.task == "normality":
        return [_distance_row(answer) for answer in answers]
    labels = list(trained.model.labels)
    made = []
    for answer in answers:
        if isinstance(answer, Unanswered):
            row = {"patient": answer.patient, "photo": answer.photo, "photos": 0, "status": "failed"}
            row |= {
                "reason": answer.reason,
                "decision": None,
                "set": None,
                "typicality": None,
                "label_1": None,
            }
            row |= {f"probability:{label}": None for label in labels}
        else:
            p = answer.prediction
            probability = {r.label: r.probability for r in p.ranked}
            row = {
                "patient": answer.patient, "photo": _SEPARATOR.join(p.photos), "photos": len(p.photos),
                "status": "ok", "reason": p.reason, "decision": p.decision,
                "set": _SEPARATOR.join(p.labels), "typicality": p.typicality, "label_1": p.ranked[0].label,
                **{f"probability:{label}": probability[label] for label in labels},
            }  # fmt: skip
        made.append(row)
    return made


def _distance_row(answer: Answer) -> Row:
    if isinstance(answer, Unanswered):
        row: Row = {"patient": answer.patient, "photo": answer.photo, "photos": 0, "status": "failed"}
        return row | {"reason": answer.reason, "decision": None, "typicality": None, "distance": None}
    p = answer.prediction
    row = {"patient": answer.patient, "photo": _SEPARATOR.join(p.photos), "photos": len(p.photos)}
    row |= {"status": "ok", "reason": p.reason, "decision": p.decision, "typicality": p.typicality}
    return row | {"distance": _distance(p)}


def _distance(prediction: Prediction) -> float | None:
    return next((r.similarity for r in prediction.ranked if r.similarity is not None), None)


def as_csv(answers: Sequence[Answer], trained: Trained) -> str:
    """`rows` as CSV."""
    table = rows(answers, trained)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _cell(v) for k, v in row.items()} for row in table)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def as_json(answers: Sequence[Answer], trained: Trained) -> list[Row]:
    """Everything, one object per person and per photo that failed."""
    about = _about(trained.manifest)
    made: list[Row] = []
    for answer in answers:
        if isinstance(answer, Unanswered):
            made.append({
                "patient": answer.patient or None, "photos": [answer.photo], "status": "failed",
                "reason": answer.reason, **about,
            })  # fmt: skip
            continue
        p = answer.prediction
        if trained.task == "normality":
            made.append({
                "patient": answer.patient or None, "photos": list(p.photos), "status": "ok",
                "reason": None, "decision": p.decision, "typicality": p.typicality,
                "distance": _distance(p), **about,
            })  # fmt: skip
            continue
        made.append({
            "patient": answer.patient or None, "photos": list(p.photos), "status": "ok",
            "reason": p.reason or None, "decision": p.decision, "set": list(p.labels),
            "typicality": p.typicality,
            "ranked": [
                {
                    "label": r.label, "probability": r.probability, "log_odds": r.log_odds,
                    "kind": "trained" if r.similarity is None else "matched", "similarity": r.similarity,
                    "in_set": r.in_set,
                }
                for r in p.ranked
            ],
            **about,
        })  # fmt: skip
    return made


def _about(manifest: Mapping[str, Any]) -> Row:
    return {"task": manifest.get("task"), "anthropo": __version__}


def write(path: Path, answers: Sequence[Answer], trained: Trained) -> None:
    """Write a table by its suffix: .csv, .parquet or .json.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        data = json.dumps(as_json(answers, trained), ensure_ascii=False, indent=1, allow_nan=False).encode()
    elif suffix == ".csv":
        data = as_csv(answers, trained).encode()
    else:
        import pandas as pd

        buffer = io.BytesIO()
        pd.DataFrame(rows(answers, trained)).to_parquet(buffer, index=False)
        data = buffer.getvalue()
    try:
        write_atomically(path, data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).") from None
