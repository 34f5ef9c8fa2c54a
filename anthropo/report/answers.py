"""A model's answers about people: tables on a terminal, and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.errors import parameter
from anthropo.files import write
from anthropo.learning.model import NONE_OF_THESE, Prediction, Ranked
from anthropo.learning.prevalence import shares_words
from anthropo.plain import minus, say
from anthropo.report.rendering import as_json, print_table, table
from anthropo.workflows.classify import SEPARATOR, Answers, Classification, Unanswered, distance_to_normal

if TYPE_CHECKING:
    from anthropo.learning.trained import Trained

# -------------------------------------------------------------------------------------------------- terminal


def probability_words(probability: float) -> str:
    """Three digits; below 0.0005 and from 0.9995 on a limit, since few patients can support more."""
    if probability < 0.0005:
        return "< 0.001"
    return "> 0.999" if probability >= 0.9995 else f"{probability:.3f}"


def print_answer(prediction: Prediction, trained: Trained, top: int) -> None:
    """One person: the ranked labels, the decision, the set and the typicality.

    `top` labels are shown, and all of the set in any case.
    """
    photos = prediction.photos
    say(photos[0] if len(photos) == 1 else f"{len(photos)} photos of one person", bold=True)
    if trained.task == "normality":
        for text in _normality_words(prediction, trained):
            say(text)
    else:
        _print_ranked(prediction, trained, top)
        say("decision   ", nl=False)
        say(prediction.decision, bold=True, nl=False)
        say(f" ({prediction.reason})" if prediction.reason else f" ({_rule(trained)})")
        if trained.task == "labels":
            say(f"set        {set_words(prediction, trained)}")
            if prediction.typicality is not None:
                say(f"typicality {_typicality_words(prediction)}")
        say(f"prevalence {_prevalence_and_others(trained)}")
    say(
        "Likeness to the photos that the model was trained on. Research use only, not a medical device.",
        dim=True,
    )


def _print_ranked(prediction: Prediction, trained: Trained, top: int) -> None:
    attributes = trained.task == "attributes"
    decided = set(prediction.decision.split(SEPARATOR)) if attributes else set()
    shown = [r for i, r in enumerate(prediction.ranked) if i < top or r.in_set or r.label in decided]

    def mark(ranked: Ranked) -> str:
        if not attributes:
            return "yes" if ranked.in_set else ""
        present = ranked.label in decided
        return ("present" if present else "absent") + ("" if ranked.in_set == present else ", not sure")

    columns = ("attribute", "decided") if attributes else ("label", "in the set")
    print_table(
        (columns[0], "probability", "log-odds", columns[1], "how"),
        [
            (
                ranked.label, probability_words(ranked.probability),
                "" if ranked.log_odds is None else minus(f"{ranked.log_odds:+.2f}"),
                mark(ranked), _how(ranked, trained),
            )
            for ranked in shown
        ],
        left=(columns[1], "how"),
    )  # fmt: skip
    if len(shown) < len(prediction.ranked):
        say(f"… and {len(prediction.ranked) - len(shown)} less probable ones (--top).", dim=True)


def _how(ranked: Ranked, trained: Trained) -> str:
    if ranked.similarity is None:
        return "trained"
    count = trained.manifest.gallery.get(ranked.label)
    of = f" of {count}" if count and count > 1 else ""
    return f"matched: cosine {ranked.similarity:.2f} with the nearest patient{of}"


def _rule(trained: Trained) -> str:
    threshold, positive = trained.manifest.operating_point.threshold, trained.manifest.positive
    if threshold is not None and positive:
        return f"least expected cost: {positive} from a probability of {threshold:.3f} on"
    return "least expected cost"


def set_words(prediction: Prediction, trained: Trained) -> str:
    """The labels that cannot be excluded."""
    error = 100 * (trained.manifest.conformal.error or 0)
    labels = prediction.labels
    at = f"at an error rate of {error:g} %"
    if not labels:
        empty = (
            f"empty {at}: each label's own people fit it better than this face, all but {error:g} % of them"
        )
        if prediction.decision == NONE_OF_THESE:
            return empty
        return f"{empty}. {prediction.decision} is only the least unlikely label: do not rely on it"
    if len(labels) == 1:
        return f"only {labels[0]} fits {at}"
    if len(labels) == len(prediction.ranked):
        return f"no label can be excluded {at}"
    return f"{', '.join(labels[:-1])} or {labels[-1]} {at}"


def prevalence_words(trained: Trained) -> str:
    """How common each label is where the probabilities hold."""
    shares = shares_words(trained.shares)
    if trained.stated:
        return f"{shares}: the probabilities are for these shares, as stated"
    return f"{shares}: the probabilities are for these shares, of training"


def _prevalence_and_others(trained: Trained) -> str:
    """How common each label is where the probabilities hold, and how other shares are stated."""
    words = prevalence_words(trained)
    if trained.stated:
        return words
    rarest = trained.manifest.positive or min(trained.shares, key=lambda label: trained.shares[label])
    return f"{words} (others: {parameter('prevalence', f'{rarest}=0.02')})"


def _typicality_words(prediction: Prediction) -> str:
    share = f"{100 * (prediction.typicality or 0.0):.0f} %"
    only = "only " if prediction.decision == NONE_OF_THESE and prediction.reason else ""
    return f"{share}: of the people that the model knows, {only}{share} are at least as unlike the others"


def _normality_words(prediction: Prediction, trained: Trained) -> list[str]:
    point = trained.manifest.operating_point.rule
    share = 100 * (prediction.typicality or 0.0)
    apart = distance_to_normal(prediction)
    return [
        f"decision   {prediction.decision}" + (f" ({point})" if point else ""),
        f"typicality {share:.1f} %: of the healthy people, {share:.1f} % are at least as far from the others"
        + (f"; distance {apart:.2f}" if apart is not None else ""),
    ]


def print_answers(classification: Answers, top: int) -> None:
    """Several people, a line each; a network has neither sets nor notes."""
    from rich.text import Text

    sets = isinstance(classification, Classification)
    rows: list[tuple[str | Text, ...]] = []
    for answer in classification.answers:
        who = answer.patient or answer.photos[0]
        if isinstance(answer, Unanswered):
            rows.append((who, "", Text("failed", style="red"), "", *(("", "") if sets else ())))
            continue
        p = answer.prediction
        best = ", ".join(f"{r.label} {r.probability:.2f}" for r in p.ranked[: min(top, 3)])
        labels = SEPARATOR.join(p.labels) or "empty"
        more = (labels, p.reason) if sets else ()
        rows.append((who, str(len(p.photos)), Text(p.decision, style="bold"), best, *more))
    named = "patient" if any(answer.patient for answer in classification.answers) else "photo"
    left = ("decision", "most probable", *(("set", "note") if sets else ()))
    print_table((named, "photos", *left), rows, left=left)
    if isinstance(classification, Classification) and classification.trained.shares:
        say(f"prevalence: {_prevalence_and_others(classification.trained)}", dim=True)


# ----------------------------------------------------------------------------------------------------- files


def write_answers(path: Path, classification: Answers) -> None:
    """Write answers as a table, by its suffix.

    Parameters
    ----------
    path : pathlib.Path
        With the suffix .csv, .parquet or .json.
    classification : anthropo.workflows.classify.Answers
        As `Model.classify` returns it.

    Raises
    ------
    InputError
        If the table cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import anthropo
    >>> from anthropo.report import write_answers
    >>> write_answers(Path("answers.csv"), anthropo.load_model("m.anthropo").classify("person.jpg"))
    >>> Path("answers.csv").read_text().startswith("patient,photo,photos,status")
    True
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        write(path, as_json(classification.to_json()))
    else:
        write(path, table(classification.to_frame(), suffix))
