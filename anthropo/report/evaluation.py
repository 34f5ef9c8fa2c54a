"""The report of an evaluation: a document for JSON, tables for a terminal, figures and an HTML page."""

from __future__ import annotations

import base64
import io
import math
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo._version import __version__
from anthropo.errors import InputError
from anthropo.files import write_atomically
from anthropo.learning.metrics import (
    DEFINITIONS,
    Judged,
    age_bands,
    by_subgroup,
    calibrated_on,
    calibration_bins,
    compare,
    judge,
    judge_labels,
    proportion,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document = dict[str, Any]
Floats = NDArray[np.float64]

MODEL_NAMES = {
    "hybrid": "hybrid",
    "measurements": "measurements only",
    "regions": "regions only",
    "metadata": "metadata only",
    "background": "background only",
}
METRIC_NAMES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV in cohort",
    "npv": "NPV in cohort",
    "ppv_at_prevalence": "PPV at prevalence",
    "npv_at_prevalence": "NPV at prevalence",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "top_1": "top-1",
    "top_5": "top-5",
    "top_10": "top-10",
    "top_30": "top-30",
    "brier": "Brier score",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    "coverage": "set coverage",
    "set_size": "set size",
    "abstention": "abstention",
}
COMPARED_METRICS = (
    "auroc",
    "auprc",
    "sensitivity",
    "specificity",
    "balanced_accuracy",
    "brier",
    "calibration_error",
)
_SUBGROUP_METRICS = ("sensitivity", "specificity", "auroc")
_LABEL_METRICS = ("sensitivity", "specificity", "ppv", "auroc", "auprc")

_GUESSED = 0.6  # AUROC from which on labels count as guessable without the face
_FEW_PATIENTS = 10
_MOST_SUBGROUPS = 20  # different values of a column

# Okabe-Ito colours: distinguishable with every common colour vision; the dashes tell them apart in grey
_COLOURS = {
    "hybrid": "#0072B2",
    "measurements": "#D55E00",
    "regions": "#009E73",
    "metadata": "#CC79A7",
    "background": "#6E6E6E",
}
_DASHES: dict[str, Any] = {
    "measurements": (0, (5, 1.5)),
    "regions": (0, (3, 1, 1, 1)),
    "metadata": (0, (1, 1)),
    "background": (0, (6, 2, 1, 2, 1, 2)),
}
_OTHER_COLOURS = ("#E69F00", "#56B4E9", "#000000", "#F0E442")
_INK, _SOFT, _LINE = "#1b1f24", "#57606a", "#d8dee4"
_GRID = np.linspace(0, 1, 501)
_MOST_PANELS = 6  # of the decision curve
_MOST_CELLS = 30  # labels of a confusion matrix that has numbers

_CAPTIONS = {
    "roc": "ROC curve. The dot is where the model decides.",
    "precision_recall": "Precision-recall curve. Dotted: the label's share, which guessing reaches.",
    "calibration": "Calibration. On the diagonal, a stated probability is the observed share; bars are 95 %.",
    "decision_curve": "Decision curve (Vickers & Elkin 2006). Net benefit: true positives less false ones, "
    "weighted by the odds of the threshold, per photo, with labels as frequent as here.",
    "confusion": "Confusion matrix: photos, and share of the row.",
    "subgroups": "By subgroup, with 95 % intervals. Grey: too few to tell. The line is the whole cohort.",
}


# -------------------------------------------------------------------------------------------------- document


def document(
    models: Mapping[str, Judged],
    *,
    positive: str | None = None,
    prevalence: float | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
    left_out: Sequence[tuple[str, str]] = (),
    settings: Mapping[str, Any] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Document:
    """Everything that an evaluation says, ready for JSON.

    Parameters
    ----------
    models : mapping of str to Judged
        "hybrid" and, as far as they were made, "measurements", "regions", "metadata" and "background"; other
        names are allowed. The first is the main one: subgroups, labels and the confusion matrix are its.
    positive, prevalence, bootstrap, seed
        As in `anthropo.learning.metrics.judge`.
    columns : mapping of str to sequence, optional
        Columns of the cohort, a value per photo, that subgroups are made of. "age" is in years and becomes
        bands.
    left_out : sequence of (photo, reason)
    settings : mapping, optional
        How the evaluation was made, as name and value; shown as it is.

    Returns
    -------
    dict
        `labels, n_photos, n_patients, counts, positive, prevalence, main, models, differences, by_label,
        subgroups, confusion, warnings, left_out, settings, definitions, anthropo`. A figure is `{"value",
        "lo", "hi", "n"}`, None where it cannot be had, then with a `"reason"`.
    """
    if not models:
        raise InputError("No model to report on. Evaluate one first.")
    main = next(iter(models))
    judged = models[main]
    options: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed}
    metrics = {name: judge(m, positive, prevalence, **options) for name, m in models.items()}
    differences = {
        name: compare(judged, other, positive, **options)
        for name, other in models.items()
        if name != main
        and np.array_equal(other.truth, judged.truth)
        and np.array_equal(other.groups, judged.groups)
    }
    subgroups, unused = {}, []
    for column, values in (columns or {}).items():
        names: Sequence[Any] = age_bands([_years(v) for v in values]) if column.lower() == "age" else values
        if len({str(v) for v in names}) > _MOST_SUBGROUPS:
            unused.append(f"No subgroups of {column}: it has more than {_MOST_SUBGROUPS} different values.")
            continue
        subgroups[column] = {
            name: {
                "n_photos": part.n_photos,
                "n_patients": part.n_patients,
                "note": part.note,
                "metrics": _json(part.metrics),
            }
            for name, part in by_subgroup(judged, names, positive, prevalence, **options).items()
        }
    counts = {
        label: {
            "photos": int((judged.truth == c).sum()),
            "patients": len(set(judged.groups[judged.truth == c].tolist())),
        }
        for c, label in enumerate(judged.labels)
    }
    made: Document = {
        "labels": list(judged.labels),
        "n_photos": len(judged.truth),
        "n_patients": len(set(judged.groups.tolist())),
        "counts": counts,
        "positive": positive,
        "prevalence": prevalence,
        "main": main,
        "models": {name: _json(m) for name, m in metrics.items()},
        "differences": {name: _json(d) for name, d in differences.items()},
        "by_label": {}
        if positive is not None
        else {label: _json(m) for label, m in judge_labels(judged, **options).items()},
        "subgroups": subgroups,
        "confusion": _confusion(judged).tolist(),
        "left_out": [{"photo": str(photo), "reason": reason} for photo, reason in left_out],
        "settings": dict(settings or {}),
        "definitions": DEFINITIONS,
        "anthropo": __version__,
    }
    made["warnings"] = _warnings(made) + unused
    return made


def summary(made: Document) -> str:
    """The evaluation in one or two sentences."""
    metrics, positive = made["models"][made["main"]], made["positive"]
    of = f"Of {_count(made['n_photos'], 'photo')} of {_count(made['n_patients'], 'patient')}"
    name = _model_name(made["main"])
    auroc = f"AUROC {figure_text(metrics['auroc'])}"
    if positive is None:
        return (
            f"{of} with {len(made['labels'])} labels, the {name} model named the right one for "
            f"{_percent(metrics['accuracy'])}. Mean over the labels, one against the rest: {auroc}."
        )
    sensitivity, specificity = metrics["sensitivity"], metrics["specificity"]
    parts = []
    for part, verb, what in (
        (sensitivity, "found", f"of {positive}"),
        (specificity, "cleared", "of the others"),
    ):
        if part["value"] is not None:
            hits = round(part["value"] * part["n"])
            parts.append(f"{verb} {hits} of the {part['n']} {what}, {_percent(part)}")
    return f"{of}, the {name} model {', and '.join(parts)}. {auroc}."


def figure_text(figure: Mapping[str, Any]) -> str:
    """A figure as text: `0.912 (0.874 to 0.941)`; a dash where it cannot be had."""
    bounds = interval_text(figure)
    return _number(figure["value"]) + (f" ({bounds})" if bounds else "")


def interval_text(figure: Mapping[str, Any]) -> str:
    """The interval of a figure as text; empty where there is none."""
    return "" if figure.get("lo") is None else f"{_number(figure['lo'])} to {_number(figure['hi'])}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    text = f"{value:.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")


def _warnings(made: Document) -> list[str]:
    """What would make a reader trust the figures less."""
    found = []
    for name, what, fix in (
        (
            "background",
            "the background alone, with the face masked out",
            "The photos of different labels were taken in different places or ways, and a model can learn "
            "that instead of faces. Photograph all labels alike, or trust measurements more than regions.",
        ),
        (
            "metadata",
            "the metadata alone, without any photo",
            "The labels differ in age, sex or another column. Match the patients, and read what the face "
            "adds from “measurements only” and “regions only”.",
        ),
    ):
        auroc = made["models"].get(name, {}).get("auroc", {})
        if auroc.get("lo") is not None and auroc["lo"] > _GUESSED:
            found.append(f"Labels can be guessed from {what}: AUROC {figure_text(auroc)}. {fix}")
    for name, difference in made["differences"].items():
        auroc = difference["auroc"]
        if auroc["hi"] is not None and auroc["hi"] < 0:
            found.append(
                f"{_model_name(made['main']).capitalize()} is worse than {_model_name(name)}: AUROC lower by "
                f"{-auroc['value']:.3f} ({-auroc['hi']:.3f} to {-auroc['lo']:.3f})."
            )
    few = {label: n["patients"] for label, n in made["counts"].items() if n["patients"] < _FEW_PATIENTS}
    if few:
        each = ", ".join(f"{label}: {n}" for label, n in few.items())
        found.append(f"Fewer than {_FEW_PATIENTS} patients make a label's figures uncertain ({each}).")
    return found


def _confusion(judged: Judged) -> NDArray[np.int64]:
    """Photos by true label (row) and decision (column); the last column is abstention."""
    k = len(judged.labels)
    matrix = np.zeros((k, k + 1), dtype=np.int64)
    np.add.at(matrix, (judged.truth, judged.decision), 1)  # -1 is the last column
    return matrix


def _json(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: interval.json() for name, interval in metrics.items()}


def _years(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _percent(figure: Mapping[str, Any]) -> str:
    def digits(x: float) -> str:
        return f"{100 * x:.1f}"

    if figure["value"] is None:
        return "–"
    return f"{digits(figure['value'])} % (95 % interval {digits(figure['lo'])} to {digits(figure['hi'])})"


def _model_name(name: str) -> str:
    return MODEL_NAMES.get(name, name)


# -------------------------------------------------------------------------------------------------- terminal


def print_evaluation(made: Document) -> None:
    """The document as tables on standard output."""
    import click

    click.secho(summary(made), bold=True)
    for sentence in made["warnings"]:
        click.secho(f"warning: {sentence}", fg="yellow")
    table = table_of("metric", [_model_name(name) for name in made["models"]])
    for metric, label in METRIC_NAMES.items():
        figures = [model[metric] for model in made["models"].values()]
        if any(figure["value"] is not None for figure in figures):
            table.add_row(_at(label, made), *map(figure_text, figures))
    print_table(table)
    for text in _reasons(made["models"][made["main"]]):
        click.secho(text, dim=True)
    if made["by_label"]:
        table = table_of("label", ["photos", *(METRIC_NAMES[m] for m in _LABEL_METRICS)])
        for label, metrics in made["by_label"].items():
            photos = str(made["counts"][label]["photos"])
            table.add_row(label, photos, *(figure_text(metrics[m]) for m in _LABEL_METRICS))
        print_table(table)
    for column, groups in made["subgroups"].items():
        table = table_of(
            column, ["photos", "patients", *(METRIC_NAMES[m] for m in _SUBGROUP_METRICS), "note"]
        )
        for name, group in groups.items():
            figures = [figure_text(group["metrics"][m]) for m in _SUBGROUP_METRICS]
            table.add_row(name, str(group["n_photos"]), str(group["n_patients"]), *figures, group["note"])
        print_table(table)
    if made["left_out"]:
        click.secho(f"{_count(len(made['left_out']), 'photo')} left out:", fg="yellow")
        for text in _left_out(made):
            click.echo(f"  {text}")
    click.secho(
        "Intervals: 95 %, by patient. Research use only, not a medical device.",
        dim=True,
    )


def print_comparison(variants: Mapping[str, Mapping[str, Any]]) -> None:
    """Variants side by side on standard output.

    Parameters
    ----------
    variants : mapping of str to mapping
        By name of a variant: its figures, as a model's in a document. Figures beyond `COMPARED_METRICS`, such
        as an expected cost, get columns of their own.
    """
    names = [name for name in COMPARED_METRICS if any(name in figures for figures in variants.values())]
    names += [
        name
        for name in dict.fromkeys(name for figures in variants.values() for name in figures)
        if name not in METRIC_NAMES
    ]
    table = table_of("variant", [METRIC_NAMES.get(name, name.replace("_", " ")) for name in names])
    missing = {"value": None}
    for variant, figures in variants.items():
        table.add_row(variant, *(figure_text(figures.get(name, missing)) for name in names))
    print_table(table)


def table_of(first: str, columns: Sequence[str]) -> Any:
    """An empty table for `print_table`, with a first column of names."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(Text(first))
    for column in columns:
        table.add_column(Text(column), justify="left" if column == "note" else "right")
    return table


def print_table(table: Any) -> None:
    """A table on standard output, as wide as it needs where that is no terminal."""
    from rich.console import Console

    # a label may look like markup
    Console(width=None if sys.stdout.isatty() else 1000, highlight=False, markup=False).print(table)
    print()


def _at(name: str, made: Document) -> str:
    """A metric's name, with the prevalence that it is at."""
    return f"{name} {made['prevalence']}" if name.endswith("at prevalence") and made["prevalence"] else name


def _left_out(made: Document) -> list[str]:
    """The photos that were left out, each with its reason."""
    return [
        entry["reason"] if entry["photo"] in entry["reason"] else f"{entry['photo']}: {entry['reason']}"
        for entry in made["left_out"]
    ]


def _reasons(metrics: Mapping[str, Any]) -> list[str]:
    """Why figures cannot be had, or are not of everything; metrics with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for metric, figure in metrics.items():
        if figure.get("reason") and not metric.startswith(
            "top_"
        ):  # the table shows how many labels there are
            reasons.setdefault(figure["reason"], []).append(METRIC_NAMES.get(metric, metric))
    return [f"{', '.join(names)}: {reason}." for reason, names in reasons.items()]


# --------------------------------------------------------------------------------------------------- figures


def figures(models: Mapping[str, Judged], made: Document) -> dict[str, Figure]:
    """All figures of an evaluation.

    Parameters
    ----------
    models : mapping of str to Judged
    made : dict
        The document made of them.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        `roc, precision_recall, calibration, confusion, decision_curve, subgroups`, without those that
        cannot be had.
    """
    judged = models[made["main"]]
    drawn = {"calibration": calibration_figure(judged, made), "confusion": confusion_figure(made)}
    if _tasks(judged, made["positive"]):  # there is something to be told apart
        drawn = {
            "roc": roc_figure(models, made),
            "precision_recall": precision_recall_figure(models, made),
            **drawn,
            "decision_curve": decision_curve_figure(models, made),
        }
    if made["subgroups"]:
        drawn["subgroups"] = subgroup_figure(made)
    return drawn


def roc_figure(models: Mapping[str, Judged], made: Document) -> Figure:
    """ROC curve of every model; without a positive label the mean over labels, one against the rest."""
    from sklearn.metrics import roc_curve

    figure, axes = _axes(5.2, 5.0 + 0.18 * len(models))
    axes.plot([0, 1], [0, 1], color=_LINE, linewidth=1)
    for name, judged in models.items():
        curves = []
        for true, score in _tasks(judged, made["positive"]):
            false_rate, true_rate, _ = roc_curve(true, score, drop_intermediate=False)
            curves.append((false_rate, true_rate))
        if not curves:
            continue
        x, y = curves[0]
        if made["positive"] is None:
            x, y = _GRID, np.mean([np.interp(_GRID, *curve) for curve in curves], axis=0)
            x, y = np.r_[0, x], np.r_[0, y]
        axes.plot(x, y, label=_legend(name, "AUROC", made["models"][name]["auroc"]), **_style(name, made))
    main = made["models"][made["main"]]
    if main["sensitivity"]["value"] is not None and main["specificity"]["value"] is not None:
        x, y = _false_alarms(models[made["main"]], made["positive"]), main["sensitivity"]["value"]
        axes.plot(x, y, "o", markersize=8, color=_colour(made["main"], 0), markeredgecolor="white", zorder=5)
    _square(axes, "1 − specificity", "sensitivity")
    figure.legend(loc="outside lower center", fontsize=8, frameon=False)
    return figure


def precision_recall_figure(models: Mapping[str, Judged], made: Document) -> Figure:
    """Precision-recall curve of every model; without a positive label the mean over labels."""
    from sklearn.metrics import precision_recall_curve

    figure, axes = _axes(5.2, 5.0 + 0.18 * len(models))
    for name, judged in models.items():
        curves = []
        for true, score in _tasks(judged, made["positive"]):
            precision, recall, _ = precision_recall_curve(true, score)
            recall, precision = recall[::-1], precision[::-1]
            (rises,) = np.nonzero(np.diff(recall))  # what average precision sums
            curves.append((recall[rises + 1], precision[rises + 1]))
        if not curves:
            continue
        x, y = curves[0]
        if made["positive"] is None:
            x = _GRID
            at = [p[np.minimum(np.searchsorted(r, _GRID), len(r) - 1)] for r, p in curves]
            y = np.mean(at, axis=0)
        style = _style(name, made)
        axes.step(
            np.r_[0, x],
            np.r_[y[0], y],
            where="pre",
            label=_legend(name, "AUPRC", made["models"][name]["auprc"]),
            **style,
        )
    shares = [true.mean() for true, _ in _tasks(models[made["main"]], made["positive"])]
    if shares:
        axes.axhline(float(np.mean(shares)), color=_SOFT, linewidth=1, linestyle=":")
    _square(axes, "recall (sensitivity)", "precision (PPV)")
    figure.legend(loc="outside lower center", fontsize=8, frameon=False)
    return figure


def calibration_figure(judged: Judged, made: Document) -> Figure:
    """Reliability with Wilson intervals over the histogram of the stated probabilities."""
    from matplotlib.figure import Figure

    positive = made["positive"]
    probability, true = calibrated_on(judged, positive)
    index = calibration_bins(probability)
    figure = Figure(figsize=(5.2, 5.9), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for axes in (above, below):
        _plain(axes)
    above.plot([0, 1], [0, 1], color=_LINE, linewidth=1)
    colour = _colour(made["main"], 0)
    for b in range(int(index.max()) + 1):
        chosen = index == b
        share = proportion(true[chosen], judged.groups[chosen])
        stated = float(probability[chosen].mean())
        above.plot([stated, stated], [share.lo, share.hi], color=colour, linewidth=1.2)
        above.plot(stated, share.value, "o", color=colour, markersize=5)
    error = made["models"][made["main"]]["calibration_error"]
    above.text(0.03, 0.95, f"calibration error\n{figure_text(error)}", va="top", fontsize=9, color=_INK)
    above.set_xlim(-0.01, 1.01)
    above.set_ylim(-0.01, 1.01)
    above.set_ylabel("observed share", fontsize=9)
    below.set_ylabel("photos", fontsize=9)
    below.set_xlabel(
        "probability of the most probable label"
        if positive is None
        else f"probability of {_short(positive)}",
        fontsize=9,
    )
    edges = np.linspace(0, 1, 21)
    names = ("right", "wrong") if positive is None else (_short(positive), "others")
    below.hist(
        [probability[true], probability[~true]],
        bins=list(edges),
        stacked=True,
        color=[colour, "#c3cbd3"],
        label=list(names),
    )
    below.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


def decision_curve_figure(models: Mapping[str, Judged], made: Document) -> Figure:
    """Net benefit over threshold probability, a panel per label that is asked about.

    Vickers AJ, Elkin EB. Decision curve analysis: a novel method for evaluating prediction models. Med Decis
    Making 26:565 (2006).
    """
    from matplotlib.figure import Figure

    judged = models[made["main"]]
    if made["positive"] is not None:
        labels = [made["positive"]]
    else:
        common = Counter({label: n["photos"] for label, n in made["counts"].items() if n["photos"]})
        labels = [label for label, _ in common.most_common(_MOST_PANELS)]
    columns = min(3, len(labels))
    rows = math.ceil(len(labels) / columns)
    size = (5.8, 4.4) if len(labels) == 1 else (3.4 * columns, 2.9 * rows + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    threshold = np.asarray(np.linspace(0.005, 0.995, 199), dtype=np.float64)
    shown = [name for name in models if name in (made["main"], "measurements", "regions")]
    for panel, axes in enumerate(grid.flat):
        if panel >= len(labels):
            axes.set_axis_off()
            continue
        _plain(axes)
        c = judged.labels.index(labels[panel])
        true = judged.truth == c
        share = float(true.mean())  # what the probabilities are calibrated to
        axes.plot(threshold, np.zeros_like(threshold), color=_INK, linewidth=1, label="call none positive")
        everyone = share - (1 - share) * threshold / (1 - threshold)
        axes.plot(threshold, everyone, color=_SOFT, linewidth=1, linestyle=":", label="call all positive")
        for name in shown:
            true = models[name].truth == c
            benefit = _net_benefit(true, models[name].proba[:, c], threshold)
            axes.plot(threshold, benefit, label=_model_name(name), **_style(name, made))
        axes.set_ylim(-0.15 * share, 1.1 * share)
        axes.set_xlim(0, 1)
        axes.set_xlabel("threshold probability", fontsize=9)
        axes.set_ylabel("net benefit", fontsize=9)
        if len(labels) > 1:
            axes.set_title(_short(labels[panel]), fontsize=9, loc="left")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def confusion_figure(made: Document) -> Figure:
    """Confusion matrix with counts and row percentages."""
    from matplotlib.figure import Figure

    matrix = np.array(made["confusion"])
    names = [*made["labels"], "none of these"]
    if not matrix[:, -1].any():
        matrix, names = matrix[:, :-1], names[:-1]
    k = len(matrix)
    size = max(0.42 if k > 12 else 0.62, 2.6 / k)  # inches a cell
    figure = Figure(figsize=(size * len(names) + 1.8, size * k + 1.6), layout="constrained")
    axes = figure.subplots()
    total = matrix.sum(1, keepdims=True)
    share = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if k <= _MOST_CELLS:
        small = min(11.0, 13 * size)
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                axes.text(
                    column,
                    row,
                    f"{count}\n{100 * share[row, column]:.0f} %",
                    ha="center",
                    va="center",
                    fontsize=small,
                    color="white" if share[row, column] > 0.55 else _INK,
                )
    fontsize = 7 if k > 12 else 9
    upright = k > 4 or max(map(len, names)) > 12
    axes.set_xticks(
        range(len(names)),
        [_short(n) for n in names],
        fontsize=fontsize,
        rotation=45 if upright else 0,
        ha="right" if upright else "center",
        rotation_mode="anchor" if upright else "default",
    )
    axes.set_yticks(range(k), [_short(n) for n in names[:k]], fontsize=fontsize)
    axes.set_xlabel("decided", fontsize=9)
    axes.set_ylabel("true", fontsize=9)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_color(_LINE)
    return figure


def subgroup_figure(made: Document) -> Figure:
    """Forest plot: sensitivity, specificity and AUROC of every subgroup."""
    from matplotlib.figure import Figure

    rows: list[tuple[str, Mapping[str, Any] | None]] = []
    for column, groups in made["subgroups"].items():
        rows.append((column, None))
        rows += list(groups.items())
    figure = Figure(figsize=(8.6, 0.27 * len(rows) + 1.0), layout="constrained")
    panels = figure.subplots(1, len(_SUBGROUP_METRICS), sharey=True)
    overall = made["models"][made["main"]]
    for metric, axes in zip(_SUBGROUP_METRICS, panels, strict=True):
        _plain(axes)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        if overall[metric]["value"] is not None:
            axes.axvline(overall[metric]["value"], color="#9aa4ae", linewidth=1)
        lowest = 0.5
        for y, (_, group) in enumerate(rows):
            if group is None:
                continue
            value = group["metrics"][metric]
            if value["value"] is None:
                continue
            colour = "#9aa4ae" if group["note"] else _colour(made["main"], 0)
            axes.plot([value["lo"], value["hi"]], [y, y], color=colour, linewidth=1.4)
            axes.plot(value["value"], y, "s", color=colour, markersize=5)
            lowest = min(lowest, value["lo"])
        axes.set_xlim(max(0.0, math.floor(10 * lowest) / 10) - 0.02, 1.02)
        axes.set_title(METRIC_NAMES[metric], fontsize=10)
    names = [
        _short(name) if group is None else f"{_short(name)}  (n = {group['n_patients']})"
        for name, group in rows
    ]
    panels[0].set_yticks(range(len(rows)), names, fontsize=9)
    for text, (_, group) in zip(panels[0].get_yticklabels(), rows, strict=True):
        text.set_fontweight("bold" if group is None else "normal")
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    return figure


def svg(figure: Figure) -> bytes:
    """A figure as SVG, the same bytes for the same figure."""
    import matplotlib

    buffer = io.BytesIO()
    # text stays text, so that the reader's fonts show labels in any script; matplotlib's own lack some
    with (
        matplotlib.rc_context({"svg.hashsalt": "anthropo", "svg.fonttype": "none"}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _tasks(judged: Judged, positive: str | None) -> list[tuple[NDArray[np.bool_], Floats]]:
    """What is to be told apart: truth and score of the positive label, else of each label that occurs."""
    labels = range(len(judged.labels)) if positive is None else [judged.labels.index(positive)]
    tasks = [(judged.truth == c, judged.proba[:, c]) for c in labels]
    return [(true, score) for true, score in tasks if true.any() and not true.all()]


def _false_alarms(judged: Judged, positive: str | None) -> float:
    labels = set(judged.truth.tolist()) if positive is None else {judged.labels.index(positive)}
    return float(np.mean([(judged.decision[judged.truth != c] == c).mean() for c in labels]))


def _net_benefit(true: NDArray[np.bool_], score: Floats, threshold: Floats) -> Floats:
    """Net benefit per photo of calling positive what reaches each threshold."""
    called = score[:, None] >= threshold
    odds = threshold / (1 - threshold)
    benefit: Floats = (called[true].sum(0) - called[~true].sum(0) * odds) / len(true)
    return benefit


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _plain(axes)
    return figure, axes


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_SOFT)
    axes.tick_params(labelsize=8, color=_SOFT, labelcolor=_INK)


def _square(axes: Axes, x: str, y: str) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)


def _colour(name: str, position: int) -> str:
    return _COLOURS.get(name, _OTHER_COLOURS[position % len(_OTHER_COLOURS)])


def _style(name: str, made: Document) -> dict[str, Any]:
    main = name == made["main"]
    return {
        "color": _colour(name, list(made["models"]).index(name)),
        "linestyle": "-" if main else _DASHES.get(name, "--"),
        "linewidth": 2.2 if main else 1.3,
        "zorder": 4 if main else 3,
    }


def _legend(name: str, what: str, figure: Mapping[str, Any]) -> str:
    return f"{_model_name(name)}: {what} {figure_text(figure)}"


def _short(name: str, most: int = 24) -> str:
    """A user's name as it is drawn: not too long, and a dollar is no mathematics."""
    return (name if len(name) <= most else name[: most - 1] + "…").replace("$", r"\$")


# ------------------------------------------------------------------------------------------------------ page


def page(made: Document, drawn: Mapping[str, Figure]) -> str:
    """The report as one HTML page that needs nothing else.

    Parameters
    ----------
    made : dict
        From `document`.
    drawn : mapping of str to matplotlib.figure.Figure
        From `figures`.
    """
    from jinja2 import Environment

    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        resources.files("anthropo.report").joinpath("evaluation.html").read_text(encoding="utf-8")
    )
    pictures = {
        name: {"data": base64.b64encode(svg(figure)).decode(), "caption": _CAPTIONS[name]}
        for name, figure in drawn.items()
    }
    return template.render(
        made=made,
        summary=summary(made),
        pictures=pictures,
        number=_number,
        interval=interval_text,
        model_names={name: _model_name(name) for name in made["models"]},
        metric_names={metric: _at(name, made) for metric, name in METRIC_NAMES.items()},
        left_out=_left_out(made),
        rows=[
            metric
            for metric in METRIC_NAMES
            if any(model[metric]["value"] is not None for model in made["models"].values())
        ],
        label_metrics=_LABEL_METRICS,
        subgroup_metrics=_SUBGROUP_METRICS,
        reasons=_reasons(made["models"][made["main"]]),
    )


def write_page(path: Path, made: Document, drawn: Mapping[str, Figure]) -> None:
    """Write `page` to a file.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    try:
        write_atomically(path, page(made, drawn).encode())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}).") from None
