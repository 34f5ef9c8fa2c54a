"""Figures of an evaluation: curves, calibration, confusion, subgroups."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.evaluation import Evaluation, model_name
from anthropo.learning.intervals import proportion
from anthropo.learning.judged import Judged
from anthropo.learning.recalibration import calibrated_on, calibration_bins
from anthropo.learning.subgroups import Subgroup
from anthropo.report.rendering import COLOURS, GREY, INK, LINE, SOFT, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Curve = tuple[Floats, Floats]  # x and y
Rows = list[tuple[str, Subgroup | None]]  # of a forest plot; None: a heading

SUBGROUP_METRICS = {"sensitivity": "sensitivity", "specificity": "specificity", "auroc": "AUROC"}

# the dashes tell the models apart in grey
_COLOURS = {name: COLOURS[name] for name in ("hybrid", "measurements", "regions", "metadata", "background")}
_DASHES: dict[str, Any] = {
    "measurements": (0, (5, 1.5)), "regions": (0, (3, 1, 1, 1)), "metadata": (0, (1, 1)),
    "background": (0, (6, 2, 1, 2, 1, 2)), "gate": (0, (8, 2)),
}  # fmt: skip
_OTHER_COLOURS = tuple(COLOURS[f"model-{n}"] for n in (1, 2, 3))
_GRID = np.linspace(0, 1, 501)
_MOST_PANELS = 6  # of the decision curve
_MOST_CELLS = 30  # labels of a confusion matrix that has numbers


def figures(made: Evaluation) -> dict[str, Figure]:
    """All figures of an evaluation that can be drawn, by name."""
    several = bool(_questions(made.judged[made.main], made.positive))
    wanted: dict[str, tuple[bool, Callable[[Evaluation], Figure]]] = {
        "roc": (several, roc_figure),
        "precision_recall": (several, precision_recall_figure),
        "calibration": (True, calibration_figure),
        "confusion": (True, confusion_figure),
        "decision_curve": (several, decision_curve_figure),
        "sites": (made.sites is not None, sites_figure),
        "subgroups": (bool(made.subgroups), subgroup_figure),
    }
    return {name: draw(made) for name, (possible, draw) in wanted.items() if possible}


def roc_figure(made: Evaluation) -> Figure:
    """ROC curve of every model; without a positive label the mean over labels, one against the rest."""
    figure, (axes,) = _drawing((5.2, 5.0 + 0.18 * len(made.judged)))
    draw_roc(axes, made)
    figure.legend(loc="outside lower center", fontsize=8, frameon=False)
    return figure


def draw_roc(axes: Axes, made: Evaluation) -> None:
    """The ROC curves, without a legend."""
    from sklearn.metrics import roc_curve

    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
    for name, judged in made.judged.items():
        questions = _questions(judged, made.positive)
        curves = [roc_curve(true, score, drop_intermediate=False)[:2] for true, score in questions]
        if not curves:
            continue
        x, y = curves[0]
        if len(curves) > 1:
            x, y = np.r_[0, _GRID], np.r_[0, np.mean([np.interp(_GRID, *curve) for curve in curves], axis=0)]
        axes.plot(x, y, **_style(name, made, "auroc"))
    sensitivity, specificity = made.figures["sensitivity"], made.figures["specificity"]
    if sensitivity.known and specificity.known:
        dot: dict[str, Any] = {"color": _colour(made.main, 0), "markersize": 8, "markeredgecolor": "white"}
        axes.plot(1 - specificity.value, sensitivity.value, "o", zorder=5, **dot)
    _square(axes, "1 − specificity", "sensitivity")


def precision_recall_figure(made: Evaluation) -> Figure:
    """Precision-recall curve of every model; without a positive label the mean over labels."""
    figure, (axes,) = _drawing((5.2, 5.0 + 0.18 * len(made.judged)))
    draw_precision_recall(axes, made)
    figure.legend(loc="outside lower center", fontsize=8, frameon=False)
    return figure


def draw_precision_recall(axes: Axes, made: Evaluation) -> None:
    """The precision-recall curves, without a legend."""
    for name, judged in made.judged.items():
        curves = [_precision_recall(true, score) for true, score in _questions(judged, made.positive)]
        if not curves:
            continue
        x, y = curves[0]
        if len(curves) > 1:
            at = [p[np.minimum(np.searchsorted(r, _GRID), len(r) - 1)] for r, p in curves]
            x, y = _GRID, np.mean(at, axis=0)
        axes.step(np.r_[0, x], np.r_[y[0], y], where="pre", **_style(name, made, "auprc"))
    shares = [true.mean() for true, _ in _questions(made.judged[made.main], made.positive)]
    if shares:
        axes.axhline(float(np.mean(shares)), color=SOFT, linewidth=1, linestyle=":")
    _square(axes, "recall (sensitivity)", "precision (PPV)")


def _precision_recall(true: NDArray[np.bool_], score: Floats) -> Curve:
    """Recall, rising, and the precision that average precision sums."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(true, score)
    recall, precision = recall[::-1], precision[::-1]
    (rises,) = np.nonzero(np.diff(recall))
    return recall[rises + 1], precision[rises + 1]


def calibration_figure(made: Evaluation) -> Figure:
    """Reliability with Wilson intervals over the histogram of the stated probabilities."""
    positive, dealt = made.positive, made.judged[made.main].dealt
    figure, (above, below) = _drawing((5.2, 5.9), nrows=2, sharex=True, height_ratios=(4, 1))
    probability, true = draw_calibration(above, made)
    label = _asked(made)
    below.set(xlabel=f"probability of {label}", ylabel="photos")
    names = ["right", "wrong"] if positive is None else [label, "others"]
    parts, colours = [probability[true], probability[~true]], [_colour(made.main, 0), COLOURS["rest"]]
    weights = [np.full(len(part), 1 / len(dealt)) for part in parts]
    below.hist(
        parts, weights=weights, bins=list(np.linspace(0, 1, 21)), stacked=True, color=colours, label=names
    )
    below.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


def _asked(made: Evaluation) -> str:
    """What calibrated probabilities are of."""
    return "the most probable label" if made.positive is None else drawable(made.positive)


def draw_calibration(axes: Axes, made: Evaluation) -> tuple[Floats, NDArray[np.bool_]]:
    """Reliability with Wilson intervals; returns the stated probabilities and what came true."""
    positive, dealt = made.positive, made.judged[made.main].dealt
    each = [calibrated_on(one, positive) for one in dealt]
    probability, true = np.concatenate([p for p, _ in each]), np.concatenate([t for _, t in each])
    groups = np.concatenate([one.groups for one in dealt])
    index = calibration_bins(probability, photos=len(dealt[0].truth))
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
    colour = _colour(made.main, 0)
    for b in range(int(index.max()) + 1):
        chosen = index == b
        share = proportion(true[chosen], groups[chosen])
        stated = float(probability[chosen].mean())
        axes.plot([stated, stated], [share.lo, share.hi], color=colour, linewidth=1.2)
        axes.plot(stated, share.value, "o", color=colour, markersize=5)
    error = made.figures["calibration_error"]
    axes.text(0.03, 0.95, f"calibration error\n{error}", va="top", fontsize=9, color=INK)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), ylabel="observed share")
    return probability, true


def decision_curve_figure(made: Evaluation) -> Figure:
    """Net benefit over threshold probability, a panel per label that is asked about.

    Vickers AJ, Elkin EB. Decision curve analysis: a novel method for evaluating prediction models. Med Decis
    Making 26:565 (2006).
    """
    common = Counter({label: n.photos for label, n in made.counts.items() if n.photos})
    labels = [made.positive] if made.positive else [name for name, _ in common.most_common(_MOST_PANELS)]
    columns = min(3, len(labels))
    rows = math.ceil(len(labels) / columns)
    size = (5.8, 4.4) if len(labels) == 1 else (3.4 * columns, 2.9 * rows + 0.5)
    figure, panels = _drawing(size, nrows=rows, ncols=columns)
    for axes in panels[len(labels) :]:
        axes.set_axis_off()
    for label, axes in zip(labels, panels, strict=False):
        draw_decision_curve(axes, made, label)
        if len(labels) > 1:
            axes.set_title(drawable(label), fontsize=9, loc="left")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False
    )
    return figure


def draw_decision_curve(axes: Axes, made: Evaluation, label: str) -> None:
    """Net benefit of acting on a label's probability, without a legend."""
    main = made.judged[made.main]
    c = main.labels.index(label)
    threshold = np.asarray(np.linspace(0.005, 0.995, 199), dtype=np.float64)
    share = float((main.truth == c).mean())  # what the probabilities are calibrated to
    axes.plot(threshold, np.zeros_like(threshold), color=INK, linewidth=1, label="call none positive")
    everyone = share - (1 - share) * threshold / (1 - threshold)
    axes.plot(threshold, everyone, color=SOFT, linewidth=1, linestyle=":", label="call all positive")
    for name in (name for name in made.judged if name in (made.main, "measurements", "regions")):
        judged = made.judged[name]
        each = [_net_benefit(one.truth == c, one.proba[:, c], threshold) for one in judged.dealt]
        axes.plot(threshold, np.mean(each, axis=0), **_style(name, made))
    axes.set(xlim=(0, 1), ylim=(-0.15 * share, 1.1 * share))
    axes.set(xlabel="threshold probability", ylabel="net benefit")


def confusion_figure(made: Evaluation) -> Figure:
    """Confusion matrix with counts and row percentages."""
    k = len(made.confusion)
    columns = k + any(row[-1] for row in made.confusion)
    size = max(0.42 if k > 12 else 0.62, 2.6 / k)  # inches a cell
    figure, (axes,) = _drawing((size * columns + 1.8, size * k + 1.6), plain=False)
    draw_confusion(axes, made, size)
    return figure


def draw_confusion(axes: Axes, made: Evaluation, size: float = 0.62) -> None:
    """The confusion matrix, of cells of a size in inches."""
    matrix = np.array(made.confusion)
    names = [*made.labels, "none of these"]
    if not matrix[:, -1].any():
        matrix, names = matrix[:, :-1], names[:-1]
    k = len(matrix)
    total = matrix.sum(1, keepdims=True)
    share = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    axes.imshow(share, cmap="Greys", vmin=0, vmax=1)
    if k <= _MOST_CELLS:
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": min(11.0, 13 * size)}
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                part = share[row, column]
                colour = "white" if part > 0.55 else INK
                axes.text(column, row, f"{count}\n{100 * part:.0f} %", color=colour, **style)
    fontsize = 7 if k > 12 else 9
    upright = k > 4 or max(map(len, names)) > 12
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if upright else {}
    axes.set_xticks(range(len(names)), [drawable(n) for n in names], fontsize=fontsize, **turned)
    axes.set_yticks(range(k), [drawable(n) for n in names[:k]], fontsize=fontsize)
    axes.set_xlabel("decided", fontsize=9)
    axes.set_ylabel("true", fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_color(LINE)


def sites_figure(made: Evaluation) -> Figure:
    """Forest plot: sensitivity, specificity and AUROC of every site, of the mean site and of another one."""
    return _forest(made, site_rows(made))


def site_rows(made: Evaluation) -> Rows:
    """The rows of a forest plot of sites."""
    assert made.sites is not None
    over = made.sites.pooled
    summaries = [
        (name, Subgroup(n_photos=0, n_patients=0, metrics=metrics))
        for name, metrics in (
            ("mean site", {metric: of.mean for metric, of in over.items()}),
            ("another site", {metric: of.new for metric, of in over.items()}),
        )
    ]
    return [(made.sites.column, None), *made.sites.figures.items(), ("all sites", None), *summaries]


def subgroup_figure(made: Evaluation) -> Figure:
    """Forest plot: sensitivity, specificity and AUROC of every subgroup."""
    return _forest(made, subgroup_rows(made))


def subgroup_rows(made: Evaluation) -> Rows:
    """The rows of a forest plot of subgroups."""
    rows: Rows = []
    for column, groups in made.subgroups.items():
        rows += [(column, None), *groups.items()]
    return rows


def _forest(made: Evaluation, rows: Rows) -> Figure:
    figure, panels = _drawing((9.4, 0.27 * len(rows) + 1.0), ncols=len(SUBGROUP_METRICS), sharey=True)
    draw_forest(panels, made, rows)
    return figure


def draw_forest(panels: Sequence[Axes], made: Evaluation, rows: Rows) -> None:
    """One metric on each of the panels: sensitivity, specificity and AUROC; of a single one, AUROC."""
    overall = made.figures
    for metric, axes in zip([*SUBGROUP_METRICS][-len(panels) :], panels, strict=True):
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        if overall[metric].known:
            axes.axvline(overall[metric].value, color=SOFT, linewidth=1, linestyle=":")
        lowest = 0.5
        for y, (_, group) in enumerate(rows):
            if group is None or not (value := group.metrics[metric]).known:
                continue
            if math.isnan(value.lo):
                continue
            colour = GREY if group.note else _colour(made.main, 0)
            axes.plot([value.lo, value.hi], [y, y], color=colour, linewidth=1.4)
            axes.plot(value.value, y, "s", color=colour, markersize=5)
            lowest = min(lowest, value.lo)
        lowest = max(0.0, math.floor(10 * lowest) / 10)
        axes.set_xlim(lowest - 0.05, 1.05)
        axes.set_xticks(_ticks(lowest))
        axes.grid(axis="x", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel(f"{SUBGROUP_METRICS[metric]}, 95 % interval")
    names = [
        drawable(name) + (f"  (n = {group.n_patients})" if group is not None and group.n_photos else "")
        for name, group in rows
    ]
    panels[0].set_yticks(range(len(rows)), names, fontsize=9)
    for text, (_, group) in zip(panels[0].get_yticklabels(), rows, strict=True):
        text.set_fontweight("bold" if group is None else "normal")
    panels[0].set_ylim(len(rows) - 0.4, -0.6)


def _ticks(lowest: float) -> list[float]:
    """At most six round values from `lowest`, in tenths, up to 1; the last is 1."""
    tenths = round(10 - 10 * lowest)
    step = next(step for step in (1, 2, 5) if tenths <= 5 * step)
    return [round(1 - n / 10, 1) for n in range(0, tenths + 1, step)][::-1]


def _questions(judged: Judged, positive: str | None) -> list[tuple[NDArray[np.bool_], Floats]]:
    """Truth and score of the positive label, or of each label that some photos have and others lack.

    With folds that were dealt again, those of each dealing.
    """
    labels = range(len(judged.labels)) if positive is None else [judged.labels.index(positive)]
    questions = [(one.truth == c, one.proba[:, c]) for one in judged.dealt for c in labels]
    return [(true, score) for true, score in questions if true.any() and not true.all()]


def _net_benefit(true: NDArray[np.bool_], score: Floats, threshold: Floats) -> Floats:
    """Net benefit per photo of calling positive what reaches each threshold."""
    called = score[:, None] >= threshold
    odds = threshold / (1 - threshold)
    benefit: Floats = (called[true].sum(0) - called[~true].sum(0) * odds) / len(true)
    return benefit


def _drawing(size: tuple[float, float], *, plain: bool = True, **grid: Any) -> tuple[Figure, list[Axes]]:
    """A figure of this size in inches and its panels, row by row; plain ones have two spines only."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    panels: list[Axes] = list(figure.subplots(squeeze=False, **grid).flat)
    for axes in panels if plain else ():
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(SOFT)
        axes.tick_params(labelsize=8, color=SOFT, labelcolor=INK)
        axes.xaxis.label.set_fontsize(9)
        axes.yaxis.label.set_fontsize(9)
    return figure, panels


def _square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel=x, ylabel=y)


def _colour(name: str, position: int) -> str:
    return _COLOURS.get(name, _OTHER_COLOURS[position % len(_OTHER_COLOURS)])


def _style(name: str, made: Evaluation, metric: str = "") -> dict[str, Any]:
    """How a model's curve is drawn, and what the legend says of it."""
    main = name == made.main
    return {
        "label": model_name(name) + (f": {metric.upper()} {made.models[name][metric]}" if metric else ""),
        "color": _colour(name, list(made.models).index(name)),
        "linestyle": "-" if main else _DASHES.get(name, "--"),
        "linewidth": 2.2 if main else 1.3,
        "zorder": 4 if main else 3,
    }
