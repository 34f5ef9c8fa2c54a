"""Answers, explanations, evaluations and cohorts as pictures; see `anthropo.report.plots`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from anthropo.errors import InputError, parameter
from anthropo.learning.cohort import Case as Patient
from anthropo.learning.cohort import Cohort, typed
from anthropo.learning.evaluation import Evaluation
from anthropo.report import evaluation_figures as figures
from anthropo.report.explanation.words import bars, signed
from anthropo.report.plots import Plot, plain
from anthropo.report.rendering import COLOURS, GREY, INK, LINE, SERIES, SOFT, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from anthropo.explanation.contributions import Explained, Explanation
    from anthropo.face.frame import Floats
    from anthropo.learning.model import Prediction
    from anthropo.workflows.classify import Answers
    from anthropo.workflows.explain import ExplainedCase

_ROW = 0.27  # inches
_PALE = 0.35  # opacity of a bar that is not stable
_MOST = 30  # labels or words
_MOST_BARS = 500


def prediction(p: Prediction) -> Plot:
    """The probability of each label; those of the prediction set are filled."""
    ranked = [r for r in p.ranked if r.log_odds is not None][:_MOST]
    if not ranked:
        raise InputError("A distance to normal has no probabilities, so that there is nothing to draw.")

    def draw(axes: Axes) -> None:
        plain(axes, left=False)
        for at, r in enumerate(ranked):
            axes.barh(at, r.probability, 0.7, color=COLOURS["hybrid"] if r.in_set else "none", edgecolor=SOFT)
        axes.set_yticks(range(len(ranked)), [drawable(r.label, 40) for r in ranked])
        axes.tick_params(axis="y", length=0)
        axes.set(
            xlim=(0, 1), ylim=(len(ranked) - 0.5, -0.5), xlabel="probability; filled: in the prediction set"
        )
        axes.set_title(f"decision: {drawable(p.decision, 40)}", fontsize=10, loc="left", color=INK)

    return Plot((5.4, _ROW * len(ranked) + 1.0), draw)


def answers(made: Answers) -> Plot:
    """A bar for each answer, divided by the probabilities of the labels."""
    predictions = [p for p in made.predictions if any(r.log_odds is not None for r in p.ranked)]
    if not predictions:
        raise InputError("No answer has probabilities, so that there is nothing to draw.")
    most = Counter(r.label for p in predictions for r in p.ranked[:2])
    labels = [label for label, _ in most.most_common(len(SERIES))]

    def shares(axes: Axes, left: Floats, width: Floats, **how: Any) -> None:
        n = len(width)
        if n <= _MOST_BARS:
            axes.barh(range(n), width, 0.8, left, **how)
            return
        # one area, since thousands of bars take a minute, and no gap between them can be seen
        ends = np.append(left, left[-1]), np.append(left + width, (left + width)[-1])
        axes.fill_betweenx(np.arange(n + 1) - 0.5, *ends, step="post", linewidth=0, **how)

    def draw(axes: Axes) -> None:
        plain(axes, left=False)
        left = np.zeros(len(predictions))
        for label, colour in zip(labels, SERIES, strict=False):
            share = np.array(
                [next((r.probability for r in p.ranked if r.label == label), 0.0) for p in predictions]
            )
            shares(axes, left, share, color=colour, label=drawable(label))
            left += share
        if (left < 0.999).any():
            shares(axes, left, 1 - left, color=LINE, label="others")
        every = max(1, len(predictions) // 20)
        axes.set_yticks(
            range(0, len(predictions), every), [str(n + 1) for n in range(0, len(predictions), every)]
        )
        axes.set(xlim=(0, 1), ylim=(len(predictions) - 0.5, -0.5), xlabel="probability", ylabel="answer")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, frameon=False)

    return Plot((5.4, min(8.0, 0.22 * len(predictions)) + 1.4), draw)


def explanation(made: Explanation | ExplainedCase, label: str | None = None) -> Plot:
    """The sum of one label of an explanation."""
    if voided := getattr(made, "voided", ""):
        raise InputError(f"{voided} There is nothing to draw. Pass {parameter('force', True)} to `explain`.")
    of: Explanation = getattr(made, "explanation", cast("Any", made))
    named = {one.label: one for one in of.labels}
    if label is not None and label not in named:
        raise InputError(f"label={label!r}: not explained. There are {', '.join(named)}.")
    return explained(named[label] if label is not None else of.labels[0])


def explained(of: Explained) -> Plot:
    """What each term adds to a label's log-odds."""
    rows = bars(of)

    def draw(axes: Axes) -> None:
        plain(axes, left=False)
        for at, row in enumerate(rows):
            colour = COLOURS["for" if row.log_odds > 0 else "against"]
            pale = row.stable is False
            axes.barh(at, row.log_odds, 0.75, color=colour, alpha=_PALE if pale else 1.0)
            if row.range is not None:
                axes.hlines(at, *row.range, color=INK, linewidth=1)
        axes.axvline(0, color=SOFT, linewidth=0.8)
        axes.set_yticks(range(len(rows)), [drawable(row.name, 48) for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        ranges = "\nlines: range over refits without some of the patients; pale: not stable"
        known = any(row.range for row in rows)
        axes.set_xlabel(
            f"log-odds (nats): right speaks for the label, left against it{ranges if known else ''}"
        )
        axes.set_title(f"{drawable(of.label, 40)}: {signed(of.log_odds)}", fontsize=11, loc="left", color=INK)

    return Plot((7.2, _ROW * len(rows) + 1.2), draw)


# -------------------------------------------------------------------------------------------- evaluations


def evaluation(made: Evaluation, kind: str = "roc") -> Plot:
    """One of the figures of an evaluation, on a single pair of axes."""
    shown: dict[str, tuple[bool, tuple[float, float], Callable[[Axes], Any]]] = {
        "roc": (True, (5.2, 5.2), partial(_with_legend, figures.draw_roc, made, "lower right")),
        "precision-recall": (
            True,
            (5.2, 5.2),
            partial(_with_legend, figures.draw_precision_recall, made, "lower left"),
        ),
        "calibration": (True, (5.2, 5.2), partial(_calibration, made)),
        "decision-curve": (True, (5.8, 4.4), partial(_decision_curve, made)),
        "confusion": (
            True,
            (1.0 * len(made.labels) + 2.6,) * 2,
            lambda axes: figures.draw_confusion(axes, made),
        ),
        "subgroups": (
            bool(made.subgroups),
            (6.4, 0.27 * len(figures.subgroup_rows(made)) + 1.0),
            lambda axes: _forest(axes, made, figures.subgroup_rows(made)),
        ),
        "sites": (
            made.sites is not None,
            (6.4, 0.27 * (len(figures.site_rows(made)) if made.sites else 0) + 1.0),
            lambda axes: _forest(axes, made, figures.site_rows(made)),
        ),
    }
    there = [name for name, (possible, _, _) in shown.items() if possible]
    if kind not in there:
        raise InputError(f"kind={kind!r}: no such figure of this evaluation. There are {', '.join(there)}.")
    _, size, draw = shown[kind]
    return Plot(size, draw)


def _with_legend(draw: Callable[[Axes, Evaluation], None], made: Evaluation, place: Any, axes: Axes) -> None:
    plain(axes)
    draw(axes, made)
    axes.legend(loc=place, fontsize=7.5, frameon=False)


def _calibration(made: Evaluation, axes: Axes) -> None:
    plain(axes)
    figures.draw_calibration(axes, made)
    axes.set_xlabel("stated probability")


def _decision_curve(made: Evaluation, axes: Axes) -> None:
    plain(axes)
    label = made.positive or max(made.counts, key=lambda name: made.counts[name].photos)
    figures.draw_decision_curve(axes, made, label)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(drawable(label, 40), fontsize=10, loc="left", color=INK)


def _forest(axes: Axes, made: Evaluation, rows: figures.Rows) -> None:
    plain(axes)
    figures.draw_forest([axes], made, rows)


# ------------------------------------------------------------------------------------------------ cohorts


def cohort(of: Cohort, column: str | None = None) -> Plot:
    """Patients by label, or a column of metadata among them."""
    people: dict[str, Patient] = {}
    for case in of.cases:
        people.setdefault(case.patient, case)  # what is said beside the first photo
    labels = [label for label, _ in Counter(case.label for case in people.values()).most_common(_MOST)]
    if column is None:
        return _counts(Counter(case.label for case in people.values()), "patients")
    if column not in of.metadata:
        raise InputError(f"column={column!r}: no such column. There are {', '.join(of.metadata) or 'none'}.")
    cells = [case.metadata.get(column, "") for case in people.values()]
    values = typed(cells, of.metadata[column])
    each = {
        label: [v for v, case in zip(values, people.values(), strict=True) if case.label == label]
        for label in labels
    }
    if of.metadata[column] in ("age", "number"):
        return _spread(each, column)
    words = [word for word, _ in Counter(str(v) for v in values if v is not None).most_common(len(SERIES))]

    def draw(axes: Axes) -> None:
        plain(axes, left=False)
        left = np.zeros(len(labels))
        for word, colour in zip([*words, ""], [*SERIES[: len(words)], LINE], strict=True):
            n = np.array(
                [sum((str(v) if str(v) in words else "") == word for v in of) for of in each.values()]
            )
            if n.any():
                name = drawable(word) if word else "others, or not given"
                axes.barh(range(len(labels)), n, 0.7, left, color=colour, label=name)
            left += n
        _labels(axes, labels)
        axes.set_xlabel(f"patients by {drawable(column)}")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, frameon=False)

    return Plot((5.8, _ROW * len(labels) + 1.4), draw)


def _counts(numbers: Counter[str], x: str) -> Plot:
    shown = numbers.most_common(_MOST)

    def draw(axes: Axes) -> None:
        plain(axes, left=False)
        bars = axes.barh(range(len(shown)), [n for _, n in shown], 0.7, color=COLOURS["hybrid"])
        axes.bar_label(bars, padding=3, fontsize=8)
        _labels(axes, [label for label, _ in shown])
        axes.set_xlabel(x)
        axes.locator_params(axis="x", integer=True)

    return Plot((5.4, _ROW * len(shown) + 0.9), draw)


def _spread(each: dict[str, list[Any]], column: str) -> Plot:
    """A number among the patients of each label: every patient, and the middle half."""
    rows = {
        label: np.array([v for v in of if v is not None and not math.isnan(v)]) for label, of in each.items()
    }

    def draw(axes: Axes) -> None:
        plain(axes, left=False)
        random = np.random.default_rng(0)
        for at, values in enumerate(rows.values()):
            if len(values):
                low, middle, high = np.percentile(values, (25, 50, 75))
                jitter = at + random.uniform(-0.28, 0.28, len(values))
                axes.scatter(values, jitter, s=9, color=COLOURS["hybrid"], alpha=0.55, linewidths=0)
                axes.plot([low, high], [at, at], color=GREY, linewidth=6, alpha=0.5, solid_capstyle="butt")
                axes.plot([middle, middle], [at - 0.3, at + 0.3], color=INK, linewidth=1.6)
        _labels(axes, [f"{label} ({len(values)})" for label, values in rows.items()])
        axes.set_xlabel(f"{drawable(column)} of the patients; line: median, grey: middle half")

    return Plot((6.0, 0.42 * len(rows) + 0.9), draw)


def _labels(axes: Axes, labels: list[str]) -> None:
    axes.set_yticks(range(len(labels)), [drawable(label, 40) for label in labels])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.5, -0.5)
