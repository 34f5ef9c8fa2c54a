"""The report of an evaluation: tables for a terminal, figures and an HTML page."""

from __future__ import annotations

import io
import math
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.files import write
from anthropo.learning.calibration_error import calibrated_on, calibration_bins
from anthropo.learning.evaluation import Evaluation, Figures, model_name
from anthropo.learning.intervals import Interval, number, proportion
from anthropo.learning.judged import Judged
from anthropo.learning.metrics import DEFINITIONS
from anthropo.learning.subgroups import Subgroup
from anthropo.report import rendering
from anthropo.report.rendering import embedded, print_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

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
_DIFFERENCE_METRICS = ("auroc", "auprc", "sensitivity", "specificity", "brier")
_LABEL_METRICS = ("sensitivity", "specificity", "ppv", "auroc", "auprc")

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
    sensitivity, specificity = metrics["sensitivity"], metrics["specificity"]
    parts = []
    for part, verb, what in (
        (sensitivity, "found", f"of {positive}"),
        (specificity, "cleared", "of the others"),
    ):
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
    titles = ("photos", "patients", *(METRIC_NAMES[m] for m in _SUBGROUP_METRICS), "note")
    for column, groups in made.subgroups.items():
        rows = [
            (
                *(name, str(group.n_photos), str(group.n_patients)),
                *(str(group.metrics[m]) for m in _SUBGROUP_METRICS),
                group.note,
            )
            for name, group in groups.items()
        ]
        print_table((column, *titles), rows, left=("note",), spaced=True)
    if made.left_out:
        click.secho(f"{_count(len(made.left_out), 'photo')} left out:", fg="yellow")
        for text in _left_out(made):
            click.echo(f"  {text}")
    click.secho(
        "Intervals: 95 %, by patient. Research use only, not a medical device.",
        dim=True,
    )


def print_comparison(variants: Mapping[str, Figures]) -> None:
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


# --------------------------------------------------------------------------------------------------- figures


def figures(models: Mapping[str, Judged], made: Evaluation) -> dict[str, Figure]:
    """All figures of an evaluation.

    Parameters
    ----------
    models : mapping of str to Judged
    made : Evaluation
        The evaluation made of them.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        `roc, precision_recall, calibration, confusion, decision_curve, subgroups`, without those that
        cannot be had.
    """
    judged = models[made.main]
    drawn = {"calibration": calibration_figure(judged, made), "confusion": confusion_figure(made)}
    if _tasks(judged, made.positive):  # there is something to be told apart
        drawn = {
            "roc": roc_figure(models, made),
            "precision_recall": precision_recall_figure(models, made),
            **drawn,
            "decision_curve": decision_curve_figure(models, made),
        }
    if made.subgroups:
        drawn["subgroups"] = subgroup_figure(made)
    return drawn


def roc_figure(models: Mapping[str, Judged], made: Evaluation) -> Figure:
    """ROC curve of every model; without a positive label the mean over labels, one against the rest."""
    from sklearn.metrics import roc_curve

    figure, axes = _axes(5.2, 5.0 + 0.18 * len(models))
    axes.plot([0, 1], [0, 1], color=_LINE, linewidth=1)
    for name, judged in models.items():
        curves = []
        for true, score in _tasks(judged, made.positive):
            false_rate, true_rate, _ = roc_curve(true, score, drop_intermediate=False)
            curves.append((false_rate, true_rate))
        if not curves:
            continue
        x, y = curves[0]
        if made.positive is None:
            x, y = _GRID, np.mean([np.interp(_GRID, *curve) for curve in curves], axis=0)
            x, y = np.r_[0, x], np.r_[0, y]
        axes.plot(x, y, label=_legend(name, "AUROC", made.models[name]["auroc"]), **_style(name, made))
    sensitivity, specificity = made.figures["sensitivity"], made.figures["specificity"]
    if sensitivity.known and specificity.known:
        axes.plot(
            1 - specificity.value,
            sensitivity.value,
            "o",
            markersize=8,
            color=_colour(made.main, 0),
            markeredgecolor="white",
            zorder=5,
        )
    _square(axes, "1 − specificity", "sensitivity")
    figure.legend(loc="outside lower center", fontsize=8, frameon=False)
    return figure


def precision_recall_figure(models: Mapping[str, Judged], made: Evaluation) -> Figure:
    """Precision-recall curve of every model; without a positive label the mean over labels."""
    from sklearn.metrics import precision_recall_curve

    figure, axes = _axes(5.2, 5.0 + 0.18 * len(models))
    for name, judged in models.items():
        curves = []
        for true, score in _tasks(judged, made.positive):
            precision, recall, _ = precision_recall_curve(true, score)
            recall, precision = recall[::-1], precision[::-1]
            (rises,) = np.nonzero(np.diff(recall))  # what average precision sums
            curves.append((recall[rises + 1], precision[rises + 1]))
        if not curves:
            continue
        x, y = curves[0]
        if made.positive is None:
            x = _GRID
            at = [p[np.minimum(np.searchsorted(r, _GRID), len(r) - 1)] for r, p in curves]
            y = np.mean(at, axis=0)
        style = _style(name, made)
        axes.step(
            np.r_[0, x],
            np.r_[y[0], y],
            where="pre",
            label=_legend(name, "AUPRC", made.models[name]["auprc"]),
            **style,
        )
    shares = [true.mean() for true, _ in _tasks(models[made.main], made.positive)]
    if shares:
        axes.axhline(float(np.mean(shares)), color=_SOFT, linewidth=1, linestyle=":")
    _square(axes, "recall (sensitivity)", "precision (PPV)")
    figure.legend(loc="outside lower center", fontsize=8, frameon=False)
    return figure


def calibration_figure(judged: Judged, made: Evaluation) -> Figure:
    """Reliability with Wilson intervals over the histogram of the stated probabilities."""
    from matplotlib.figure import Figure

    positive = made.positive
    probability, true = calibrated_on(judged, positive)
    index = calibration_bins(probability)
    figure = Figure(figsize=(5.2, 5.9), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for axes in (above, below):
        _plain(axes)
    above.plot([0, 1], [0, 1], color=_LINE, linewidth=1)
    colour = _colour(made.main, 0)
    for b in range(int(index.max()) + 1):
        chosen = index == b
        share = proportion(true[chosen], judged.groups[chosen])
        stated = float(probability[chosen].mean())
        above.plot([stated, stated], [share.lo, share.hi], color=colour, linewidth=1.2)
        above.plot(stated, share.value, "o", color=colour, markersize=5)
    error = made.figures["calibration_error"]
    above.text(0.03, 0.95, f"calibration error\n{error}", va="top", fontsize=9, color=_INK)
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


def decision_curve_figure(models: Mapping[str, Judged], made: Evaluation) -> Figure:
    """Net benefit over threshold probability, a panel per label that is asked about.

    Vickers AJ, Elkin EB. Decision curve analysis: a novel method for evaluating prediction models. Med Decis
    Making 26:565 (2006).
    """
    from matplotlib.figure import Figure

    judged = models[made.main]
    if made.positive is not None:
        labels = [made.positive]
    else:
        common = Counter({label: n.photos for label, n in made.counts.items() if n.photos})
        labels = [label for label, _ in common.most_common(_MOST_PANELS)]
    columns = min(3, len(labels))
    rows = math.ceil(len(labels) / columns)
    size = (5.8, 4.4) if len(labels) == 1 else (3.4 * columns, 2.9 * rows + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    threshold = np.asarray(np.linspace(0.005, 0.995, 199), dtype=np.float64)
    shown = [name for name in models if name in (made.main, "measurements", "regions")]
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
            axes.plot(threshold, benefit, label=model_name(name), **_style(name, made))
        axes.set_ylim(-0.15 * share, 1.1 * share)
        axes.set_xlim(0, 1)
        axes.set_xlabel("threshold probability", fontsize=9)
        axes.set_ylabel("net benefit", fontsize=9)
        if len(labels) > 1:
            axes.set_title(_short(labels[panel]), fontsize=9, loc="left")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def confusion_figure(made: Evaluation) -> Figure:
    """Confusion matrix with counts and row percentages."""
    from matplotlib.figure import Figure

    matrix = np.array(made.confusion)
    names = [*made.labels, "none of these"]
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


def subgroup_figure(made: Evaluation) -> Figure:
    """Forest plot: sensitivity, specificity and AUROC of every subgroup."""
    from matplotlib.figure import Figure

    rows: list[tuple[str, Subgroup | None]] = []
    for column, groups in made.subgroups.items():
        rows.append((column, None))
        rows += list(groups.items())
    figure = Figure(figsize=(8.6, 0.27 * len(rows) + 1.0), layout="constrained")
    panels = figure.subplots(1, len(_SUBGROUP_METRICS), sharey=True)
    overall = made.figures
    for metric, axes in zip(_SUBGROUP_METRICS, panels, strict=True):
        _plain(axes)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        if overall[metric].known:
            axes.axvline(overall[metric].value, color="#9aa4ae", linewidth=1)
        lowest = 0.5
        for y, (_, group) in enumerate(rows):
            if group is None:
                continue
            value = group.metrics[metric]
            if not value.known:
                continue
            colour = "#9aa4ae" if group.note else _colour(made.main, 0)
            axes.plot([value.lo, value.hi], [y, y], color=colour, linewidth=1.4)
            axes.plot(value.value, y, "s", color=colour, markersize=5)
            lowest = min(lowest, value.lo)
        axes.set_xlim(max(0.0, math.floor(10 * lowest) / 10) - 0.02, 1.02)
        axes.set_title(METRIC_NAMES[metric], fontsize=10)
    names = [
        _short(name) if group is None else f"{_short(name)}  (n = {group.n_patients})" for name, group in rows
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


def _style(name: str, made: Evaluation) -> dict[str, Any]:
    main = name == made.main
    return {
        "color": _colour(name, list(made.models).index(name)),
        "linestyle": "-" if main else _DASHES.get(name, "--"),
        "linewidth": 2.2 if main else 1.3,
        "zorder": 4 if main else 3,
    }


def _legend(name: str, what: str, figure: Interval) -> str:
    return f"{model_name(name)}: {what} {figure}"


def _short(name: str, most: int = 24) -> str:
    """A user's name as it is drawn: not too long, and a dollar is no mathematics."""
    return (name if len(name) <= most else name[: most - 1] + "…").replace("$", r"\$")


# ------------------------------------------------------------------------------------------------------ page


def page(made: Evaluation, drawn: Mapping[str, Figure]) -> str:
    """The report as one HTML page that needs nothing else.

    Parameters
    ----------
    made : Evaluation
        What the page shows.
    drawn : mapping of str to matplotlib.figure.Figure
        From `figures`.
    """
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
        subgroup_metrics=_SUBGROUP_METRICS,
        reasons=_reasons(made.figures),
    )


def write_page(path: Path, made: Evaluation, drawn: Mapping[str, Figure]) -> None:
    """Write `page` to a file.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    write(path, page(made, drawn))
