"""The report of an evaluation: tables for a terminal and an HTML page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.files import write
from anthropo.learning.evaluation import Evaluation, Figures, model_name
from anthropo.learning.intervals import Interval, number
from anthropo.learning.metrics import DEFINITIONS
from anthropo.report import rendering
from anthropo.report.evaluation_figures import SUBGROUP_METRICS, svg
from anthropo.report.rendering import NOTE, embedded, print_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SPELLINGS = {
    "ppv": "PPV in cohort", "npv": "NPV in cohort", "ppv_at_prevalence": "PPV at prevalence",
    "npv_at_prevalence": "NPV at prevalence", "auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier score",
    "coverage": "set coverage",
}  # fmt: skip
METRIC_NAMES = {m: _SPELLINGS.get(m) or m.replace("top_", "top-").replace("_", " ") for m in DEFINITIONS}
COMPARED_METRICS = (
    "auroc", "auprc", "sensitivity", "specificity", "balanced_accuracy", "brier", "calibration_error",
)  # fmt: skip
_DIFFERENCE_METRICS = ("auroc", "auprc", "sensitivity", "specificity", "brier")
_LABEL_METRICS = ("sensitivity", "specificity", "ppv", "auroc", "auprc")

_CAPTIONS = {
    "roc": "ROC curve. The dot is where the model decides.",
    "precision_recall": "Precision-recall curve. Dotted: the label's share, which guessing reaches.",
    "calibration": "Calibration. On the diagonal, a stated probability is the observed share; bars are 95 %.",
    "decision_curve": "Decision curve (Vickers & Elkin 2006). Net benefit: true positives less false ones, "
    "weighted by the odds of the threshold, per photo, with labels as frequent as here.",
    "confusion": "Confusion matrix: photos, and share of the row.",
    "subgroups": "By subgroup, with 95 % intervals. Grey: too few to tell. The line is the whole cohort.",
}


def summary(made: Evaluation) -> str:
    """The evaluation in one or two sentences."""
    metrics, positive = made.figures, made.positive
    of = f"Of {_count(made.n_photos, 'photo')} of {_count(made.n_patients, 'patient')}"
    name = model_name(made.main)
    auroc = f"AUROC {metrics['auroc']}"
    if positive is None:
        return (
            f"{of} with {len(made.labels)} labels, the {name} model named the right one for "
            f"{_percent(metrics['accuracy'])}. Mean over the labels, one against the rest: {auroc}."
        )
    parts = []
    for metric, verb, what in (
        ("sensitivity", "found", f"of {positive}"), ("specificity", "cleared", "of the others"),
    ):  # fmt: skip
        part = metrics[metric]
        if part.known:
            hits = round(part.value * part.n)
            parts.append(f"{verb} {hits} of the {part.n} {what}, {_percent(part)}")
    return f"{of}, the {name} model {', and '.join(parts)}. {auroc}."


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _percent(figure: Interval) -> str:
    if not figure.known:
        return "–"
    return f"{100 * figure.value:.1f} % (95 % interval {100 * figure.lo:.1f} to {100 * figure.hi:.1f})"


# -------------------------------------------------------------------------------------------------- terminal


def print_evaluation(made: Evaluation) -> None:
    """The document as tables on standard output."""
    import click

    click.secho(summary(made), bold=True)
    for sentence in made.warnings:
        click.secho(f"warning: {sentence}", fg="yellow")
    rows = [
        (_at(label, made), *(str(model[metric]) for model in made.models.values()))
        for metric, label in METRIC_NAMES.items()
        if any(model[metric].known for model in made.models.values())
    ]
    print_table(("metric", *map(model_name, made.models)), rows, spaced=True)
    for text in _reasons(made.figures):
        click.secho(text, dim=True)
    if made.by_label:
        rows = [
            (label, str(made.counts[label].photos), *(str(metrics[m]) for m in _LABEL_METRICS))
            for label, metrics in made.by_label.items()
        ]
        print_table(("label", "photos", *(METRIC_NAMES[m] for m in _LABEL_METRICS)), rows, spaced=True)
    titles = ("photos", "patients", *SUBGROUP_METRICS.values(), "note")
    for column, groups in made.subgroups.items():
        rows = [
            (name, str(g.n_photos), str(g.n_patients), *(str(g.metrics[m]) for m in SUBGROUP_METRICS), g.note)
            for name, g in groups.items()
        ]
        print_table((column, *titles), rows, left=("note",), spaced=True)
    if made.left_out:
        click.secho(f"{_count(len(made.left_out), 'photo')} left out:", fg="yellow")
        for text in _left_out(made):
            click.echo(f"  {text}")
    click.secho(f"Intervals: 95 %, by patient. {NOTE}", dim=True)


def print_comparison(variants: Mapping[str, Figures]) -> None:
    """The figures of variants side by side on standard output.

    Figures beyond `COMPARED_METRICS`, such as an expected cost, get columns as well.
    """
    names = [name for name in COMPARED_METRICS if any(name in figures for figures in variants.values())]
    every = dict.fromkeys(name for figures in variants.values() for name in figures)
    names += [name for name in every if name not in METRIC_NAMES]
    missing = Interval(math.nan)
    print_table(
        ("variant", *(METRIC_NAMES.get(name, name.replace("_", " ")) for name in names)),
        [(name, *(str(figures.get(n, missing)) for n in names)) for name, figures in variants.items()],
        spaced=True,
    )


def _at(name: str, made: Evaluation) -> str:
    """A metric's name, with the prevalence that it is at."""
    return f"{name} {made.prevalence}" if name.endswith("at prevalence") and made.prevalence else name


def _left_out(made: Evaluation) -> list[str]:
    """The photos that were left out, each with its reason."""
    return [reason if photo in reason else f"{photo}: {reason}" for photo, reason in made.left_out]


def _reasons(metrics: Figures) -> list[str]:
    """Why figures cannot be had, or are not of everything; metrics with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for metric, figure in metrics.items():
        # the table shows how many labels there are
        if figure.reason and not metric.startswith("top_"):
            reasons.setdefault(figure.reason, []).append(METRIC_NAMES.get(metric, metric))
    return [f"{', '.join(names)}: {reason}." for reason, names in reasons.items()]


# ------------------------------------------------------------------------------------------------------ page


def page(made: Evaluation, drawn: Mapping[str, Figure]) -> str:
    """The report as one HTML page that needs nothing else, with figures by name."""
    names = {metric: _at(name, made) for metric, name in METRIC_NAMES.items()}
    rows = [metric for metric in names if any(model[metric].known for model in made.models.values())]
    return rendering.page(
        "evaluation.html",
        made=made,
        summary=summary(made),
        pictures={n: {"data": embedded(svg(f)), "caption": _CAPTIONS[n]} for n, f in drawn.items()},
        number=number,
        definitions=DEFINITIONS,
        defined=[(names[metric], DEFINITIONS[metric]) for metric in rows],
        settings=[(name.replace("_", " "), value) for name, value in made.settings.items()],
        model_names={name: model_name(name) for name in made.models},
        metric_names=names,
        named=lambda metrics: [names[metric] for metric in metrics],
        left_out=_left_out(made),
        rows=rows,
        difference_metrics=_DIFFERENCE_METRICS,
        label_metrics=_LABEL_METRICS,
        subgroup_metrics=list(SUBGROUP_METRICS),
        reasons=_reasons(made.figures),
    )


def write_page(path: Path, made: Evaluation, drawn: Mapping[str, Figure]) -> None:
    """Write `page` to a file; InputError if that is not possible."""
    write(path, page(made, drawn))
