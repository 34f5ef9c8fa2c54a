"""The report of an evaluation: tables for a terminal and an HTML page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from anthropo.files import write
from anthropo.learning.alone import best_encoder, encoder_alone
from anthropo.learning.evaluation import Evaluation, Figures, model_name
from anthropo.learning.intervals import Interval, number
from anthropo.learning.matching import Matched
from anthropo.learning.metrics import DEFINITIONS
from anthropo.learning.nearest import Nearest
from anthropo.learning.prevalence import shares_words
from anthropo.learning.sites import Sites
from anthropo.plain import say
from anthropo.report import rendering
from anthropo.report.evaluation_figures import SUBGROUP_METRICS, figures
from anthropo.report.rendering import NOTE, as_json, embedded, print_figures, print_table, svg

_SPELLINGS = {
    "ppv": "PPV in cohort", "npv": "NPV in cohort", "ppv_at_prevalence": "PPV at prevalence",
    "npv_at_prevalence": "NPV at prevalence", "auroc": "AUROC", "auroc_by_fold": "AUROC by fold",
    "auprc": "AUPRC", "brier": "Brier score", "coverage": "set coverage",
}  # fmt: skip
METRIC_NAMES = {m: _SPELLINGS.get(m) or m.replace("top_", "top-").replace("_", " ") for m in DEFINITIONS}
#: Those that say most first: a terminal shows three beside each other.
COMPARED_METRICS = (
    "auroc", "sensitivity", "specificity", "auprc", "balanced_accuracy", "log_loss", "calibration_slope",
    "calibration_intercept", "calibration_error",
)  # fmt: skip
#: Columns of a table of balance.
NEAREST = ("gallery", "rank", "label among the nearest", "by chance")
BALANCE = ("", "cases", "controls", "SMD", "matched cases", "matched controls", "SMD after")
#: Columns of a table of distances between sources.
SHIFTS = ("site", "method", "of embeddings", "of measurements")
_BALANCED = 0.1  # usual limit of a standardised mean difference (Austin 2009)
_DIFFERENCE_METRICS = ("auroc", "auprc", "sensitivity", "specificity", "brier")
_LABEL_METRICS = ("sensitivity", "specificity", "ppv", "auroc", "auprc")

_CAPTIONS = {
    "roc": "ROC curve: the share of the label's photos that is found, against the share of the others that "
    "is found wrongly, for every threshold. The dot is what was decided; photos left undecided count against "
    "it, so that it may lie beside the curve.",
    "precision_recall": "Precision-recall curve: of the photos that are called positive, the share that is, "
    "against the share of the label's photos that is found. Dotted: the label's share, which guessing "
    "reaches.",
    "calibration": "Calibration: where the dots lie on the diagonal, a stated probability is the share that "
    "is observed. The lines are 95 % intervals; below, how many photos were given each probability.",
    "decision_curve": "Decision curve (Vickers & Elkin 2006): what acting on the model gains per photo, for "
    "each probability from which one would act. A right positive counts one; a wrong one costs what acting "
    "from that probability on implies. Labels are as frequent as here.",
    "confusion": "Confusion matrix: how many photos of each true label were called what, and their share of "
    "the row.",
    "sites": "By site, judged by models of the other sites: the square is the figure, the line its 95 % "
    "interval. Below, the mean site with its interval, and where another such site may lie.",
    "subgroups": "By subgroup: the square is the figure, the line its 95 % interval. Grey: too few patients. "
    "Dotted: the whole cohort.",
}


def summary(made: Evaluation) -> str:
    """The evaluation in one or two sentences."""
    metrics, positive = made.figures, made.positive
    of = f"{_count(made.n_photos, 'photo')} of {_count(made.n_patients, 'patient')}"
    name = model_name(made.main)
    auroc = f"AUROC {metrics['auroc']}"
    undecided = sum(row[-1] for row in made.confusion)
    dealings = len(made.judged[made.main].dealt)
    mean = f" Photos are counted in each of {dealings} dealings of the folds: means, rounded." * (
        dealings > 1
    )
    if positive is None:
        silent = f", and answered {undecided} with “none of these”" if undecided else ""
        mean = mean if undecided else ""
        return (
            f"Of {of} with {len(made.labels)} labels, the {name} model named the right one for "
            f"{_percent(metrics['accuracy'])}{silent}. Mean over the labels, one against the rest: {auroc}."
            + mean
        )
    parts = [*_of_positive(made, name), *_of_others(made)]
    return f"{of}: {'; '.join(parts)}. {auroc}.{mean}"


def _of_positive(made: Evaluation, name: str) -> list[str]:
    """How many of the positive label's photos were found, missed and left undecided."""
    rate, at = made.figures["sensitivity"], made.labels.index(str(made.positive))
    if not rate.known:
        return []
    row = made.confusion[at]
    missed = sum(row) - row[at] - row[-1]
    detected = f"the {name} model found {row[at]} of the {sum(row)} of {made.positive}, {_percent(rate)}"
    return [f"{detected}: {missed} missed, {row[-1]} answered with “none of these”"]


def _of_others(made: Evaluation) -> list[str]:
    """How many of the other photos were false alarms, and how many left undecided: they are not the same."""
    rate, at = made.figures["specificity"], made.labels.index(str(made.positive))
    if not rate.known:
        return []
    rows = [row for place, row in enumerate(made.confusion) if place != at]
    total, alarms, undecided = sum(map(sum, rows)), sum(row[at] for row in rows), sum(row[-1] for row in rows)
    cleared = f"{total - alarms - undecided} cleared, {_percent(rate)}"
    alarm = f"{alarms} false alarm{'' if alarms == 1 else 's'}"
    return [f"of the {total} others, {alarm}, {undecided} answered with “none of these” and {cleared}"]


def shares_sentence(made: Evaluation) -> str:
    """How common labels are where the probabilities hold, and where it was decided."""
    if not made.shares:
        return ""
    text = f"Probabilities hold where labels are as common as in training: {shares_words(made.shares)}."
    if not made.decided_at:
        return text
    return (
        f"{text} Decisions and sets, and with them sensitivity, specificity, PPV and NPV, are for labels as "
        f"common as stated: {shares_words(made.decided_at)}."
    )


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _percent(figure: Interval) -> str:
    if not figure.known:
        return "–"
    return f"{100 * figure.value:.1f} % (95 % interval {100 * figure.lo:.1f} to {100 * figure.hi:.1f})"


# -------------------------------------------------------------------------------------------------- terminal


def print_evaluation(made: Evaluation) -> None:
    """The document as tables on standard output."""

    say(summary(made), bold=True)
    for sentence in made.warnings:
        say(f"warning: {sentence}", fg="yellow")
    known = [name for name in METRIC_NAMES if any(model[name].known for model in made.models.values())]
    print_figures(
        "metric",
        {
            model_name(name): {_at(METRIC_NAMES[metric], made): str(model[metric]) for metric in known}
            for name, model in made.models.items()
        },
    )
    for text in _reasons(made.figures):
        say(text, dim=True)
    if made.by_label:
        rows = [
            (label, str(made.counts[label].photos), *(str(metrics[m]) for m in _LABEL_METRICS))
            for label, metrics in made.by_label.items()
        ]
        print_table(("label", "photos", *(METRIC_NAMES[m] for m in _LABEL_METRICS)), rows, spaced=True)
    titles = ("photos", "patients", *SUBGROUP_METRICS.values(), "note")
    if made.matched:
        print_balance(made.matched)
    if made.adjusted:
        _print_adjusted(made)
    if made.sites:
        _print_sites(made.sites)
    print_adaptation(made)
    for sentence in encoder_sentences(made):
        say(sentence)
    if made.nearest:
        _print_nearest(made.nearest)
    for column, groups in made.subgroups.items():
        rows = [
            (name, *map(str, (g.n_photos, g.n_patients, *map(g.metrics.get, SUBGROUP_METRICS))), g.note)
            for name, g in groups.items()
        ]
        print_table((column, *titles), rows, left=("note",), spaced=True)
    if sentence := shares_sentence(made):
        say(sentence)
    if made.left_out:
        say(f"{_count(len(made.left_out), 'photo')} left out:", fg="yellow")
        for text in _left_out(made):
            say(f"  {text}")
    say(f"Intervals: 95 %, by patient. {NOTE}", dim=True)


def print_balance(matched: Matched) -> None:
    """How alike cases and controls were before matching, and are after it."""
    say(matched.sentence()[0].upper() + matched.sentence()[1:])
    print_table(BALANCE, balance_rows(matched), spaced=True)
    say(f"SMD: standardised mean difference; beyond ±{_BALANCED} groups are called unlike.", dim=True)


def balance_rows(matched: Matched) -> list[tuple[str, ...]]:
    """The rows of a table of balance; its columns are `BALANCE`."""
    return [
        (
            row.column + (f" {row.word}" if row.word else ""),
            *map(number, (row.cases, row.controls, row.before)),
            *map(number, (row.matched_cases, row.matched_controls, row.after)),
        )
        for row in matched.balance
    ]


def _print_adjusted(made: Evaluation) -> None:
    adjusted = made.adjusted
    assert adjusted is not None
    rows = [
        (model_name(name), str(made.models[name]["auroc"]), str(figure))
        for name, figure in adjusted.models.items()
    ]
    print_table(("model", "AUROC", f"alike in {', '.join(adjusted.columns)}"), rows, spaced=True)
    for sentence in adjusted_sentences(made):
        say(sentence)


def adjusted_sentences(made: Evaluation) -> list[str]:
    """What the adjusted AUROC is of, what chance would give, and what the face adds to the columns."""
    adjusted = made.adjusted
    assert adjusted is not None
    one_sided = adjusted.strata - adjusted.used
    sentences = [
        f"{adjusted.patients} patients in {adjusted.used} strata of {', '.join(adjusted.columns)} are "
        "compared with others of their stratum and fold"
        + (f"; {one_sided} strata have one side only and do not count" if one_sided else "")
        + (f"; {_count(adjusted.missing, 'photo')} without a value" if adjusted.missing else "")
        + "."
    ]
    if adjusted.p is not None:
        sentences.append(
            f"Labels dealt anew within strata, and learned: p = {adjusted.p:.3g} (permutation test)."
        )
    if "metadata" in made.differences:
        sentences.append(
            f"{model_name(made.main).capitalize()} less {model_name('metadata')}: AUROC "
            f"{made.differences['metadata']['auroc']}."
        )
    return sentences


def _print_sites(sites: Sites) -> None:
    rows = [
        (name, str(g.n_photos), str(g.n_patients), *(str(g.metrics[m]) for m in SUBGROUP_METRICS), g.note)
        for name, g in sites.figures.items()
    ]
    titles = ("photos", "patients", *SUBGROUP_METRICS.values(), "note")
    print_table((sites.column, *titles), rows, left=("note",), spaced=True)
    for sentence in site_sentences(sites):
        say(sentence)


def _print_nearest(nearest: Nearest) -> None:
    say(nearest.sentence())
    print_table(NEAREST, nearest_rows(nearest), spaced=True)


def nearest_rows(nearest: Nearest) -> list[tuple[str, ...]]:
    """A row for each gallery and k: the share whose label is among the k nearest, and that by chance."""
    return [
        (f"{gallery} ({of.labels}; {of.patients} patients)", name.replace("_", " "), str(figure),
         f"{of.chance[name]:.3f}")
        for gallery, of in nearest.galleries.items()
        for name, figure in of.figures.items()
    ]  # fmt: skip


def site_sentences(sites: Sites) -> list[str]:
    """What the figures over all sites are, and how much they differ between sites."""
    sentences = []
    for metric, over in sites.pooled.items():
        name = METRIC_NAMES[metric][0].upper() + METRIC_NAMES[metric][1:]
        if math.isnan(over.value):
            sentences.append(f"{name}: {over.reason}.")
            continue
        new = f"another such site may show {over.new.bounds}" if over.new.bounds else "two sites say little"
        sentences.append(
            f"{name} over {over.sites} sites {over.mean}; {new}; between sites I² {100 * over.i2:.0f} %, "
            f"τ {over.tau:.2f} (log-odds)."
        )
    return sentences


def print_adaptation(made: Evaluation) -> None:
    """Whether adaptation helps, and how far apart sources are before and after; nothing without any."""
    for sentence in adaptation_sentences(made):
        say(sentence)
    if made.shifts:
        print_table(SHIFTS, shift_rows(made), left=("method",), spaced=True)
        say(
            "Proxy A-distance to the other photos: 0, nothing tells them apart, to 2, all are told, by a "
            "classifier and an adaptation that have not seen the people.",
            dim=True,
        )


def adaptation_sentences(made: Evaluation) -> list[str]:
    """What each adaptation does to the AUROC; that it hurts is among the warnings as well."""
    sentences = []
    for name, difference in made.adapted.items():
        auroc = difference["auroc"]
        what = model_name(name) if name != made.main else str(made.settings.get("adapted", name))
        if not auroc.known:
            sentences.append(f"Adapted ({what}): {auroc.reason}.")
            continue
        verdict = "helps" if auroc.lo > 0 else "hurts" if auroc.hi < 0 else "no sure difference"
        sentences.append(f"Adapted ({what}): {verdict}; AUROC changes by {auroc}.")
    return sentences


def encoder_sentences(made: Evaluation) -> list[str]:
    """Which of several encoders did better, and whether all together do better than it; [] with one."""
    best = best_encoder(made.models)
    if best is None:
        return []
    name, sentences = encoder_alone(best), []
    for other, difference in made.encoders.items():
        auroc = difference["auroc"]
        if not auroc.known:
            sentences.append(f"Encoders: {name} and {other} cannot be compared: {auroc.reason}.")
        elif auroc.lo > 0:
            sentences.append(
                f"Encoders: {name} did better than {other}, each by its regions alone: AUROC higher by "
                f"{auroc}."
            )
        else:
            sentences.append(
                f"Encoders: no sure difference between {name} and {other}, each by its regions alone: AUROC "
                f"of {name} higher by {auroc}."
            )
    if best in made.differences and (auroc := made.differences[best]["auroc"]).known:
        verdict = (
            "better than" if auroc.lo > 0 else "worse than" if auroc.hi < 0 else "no sure difference from"
        )
        sentences.append(
            f"All that the {model_name(made.main)} model reads: {verdict} {name} alone; AUROC changes by "
            f"{auroc}."
        )
    return sentences


def shift_rows(made: Evaluation) -> list[tuple[str, ...]]:
    """The rows of a table of distances; its columns are `SHIFTS`."""
    words = {"none": "unadapted"}
    return [
        (of.site, words.get(of.method, of.method), str(of.embeddings), str(of.measurements))
        for of in made.shifts
    ]


def print_comparison(variants: Mapping[str, Figures]) -> None:
    """The figures of variants side by side on standard output.

    Figures beyond `COMPARED_METRICS`, such as an expected cost, get columns as well.
    """
    names = [name for name in COMPARED_METRICS if any(name in figures for figures in variants.values())]
    every = dict.fromkeys(name for figures in variants.values() for name in figures)
    names += [name for name in every if name not in METRIC_NAMES]
    missing = Interval(math.nan)
    print_figures(
        "variant",
        {
            METRIC_NAMES.get(name, name.replace("_", " ")): {
                variant: str(figures.get(name, missing)) for variant, figures in variants.items()
            }
            for name in names
        },
    )


def _at(name: str, made: Evaluation) -> str:
    """A metric's name, with the prevalence that it is at."""
    return f"{name} {made.prevalence}" if name.endswith("at prevalence") and made.prevalence else name


def _left_out(made: Evaluation) -> list[str]:
    """The photos that were left out, each with its reason."""
    return [reason if photo in reason else f"{photo}: {reason}" for photo, reason in made.left_out]


def _reasons(metrics: Figures) -> list[str]:
    """Why figures cannot be computed, or are not of everything; metrics with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for metric, figure in metrics.items():
        # the table shows how many labels there are
        if figure.reason and not metric.startswith("top_"):
            reasons.setdefault(figure.reason, []).append(METRIC_NAMES.get(metric, metric))
    return [f"{', '.join(names)}: {reason}." for reason, names in reasons.items()]


# ------------------------------------------------------------------------------------------------------ page


def page(made: Evaluation) -> str:
    """The report as one HTML page that needs nothing else."""
    names = {metric: _at(name, made) for metric, name in METRIC_NAMES.items()}
    rows = [metric for metric in names if any(model[metric].known for model in made.models.values())]
    return rendering.page(
        "evaluation.html",
        made=made,
        summary=summary(made),
        shares=shares_sentence(made),
        pictures={n: {"data": embedded(svg(f)), "caption": _CAPTIONS[n]} for n, f in figures(made).items()},
        number=number,
        definitions=DEFINITIONS,
        defined=[(names[metric], DEFINITIONS[metric]) for metric in rows],
        settings=[(name.replace("_", " "), value) for name, value in made.settings.items()],
        model_names={name: model_name(name) for name in made.models},
        metric_names=names,
        adjusted_sentences=adjusted_sentences(made) if made.adjusted else [],
        balance=BALANCE,
        balance_rows=balance_rows(made.matched) if made.matched else [],
        balanced=_BALANCED,
        nearest_rows=nearest_rows(made.nearest) if made.nearest else [],
        nearest_columns=NEAREST,
        site_sentences=site_sentences(made.sites) if made.sites else [],
        adaptation_sentences=adaptation_sentences(made),
        encoder_sentences=encoder_sentences(made),
        shifts=SHIFTS,
        shift_rows=shift_rows(made),
        named=lambda metrics: [names[metric] for metric in metrics],
        left_out=_left_out(made),
        rows=rows,
        difference_metrics=_DIFFERENCE_METRICS,
        label_metrics=_LABEL_METRICS,
        subgroup_metrics=list(SUBGROUP_METRICS),
        reasons=_reasons(made.figures),
    )


def write_evaluation(path: Path, made: Evaluation) -> None:
    """Write an evaluation as a file, by its suffix.

    Parameters
    ----------
    path : pathlib.Path
        With the suffix .html, for a page with figures that needs nothing else, or .json.
    made : anthropo.learning.Evaluation

    Raises
    ------
    InputError
        If the report cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from anthropo.learning import Evaluation, Judged
    >>> from anthropo.report import write_evaluation
    >>> proba = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6]]
    >>> judged = Judged(("control", "Noonan"), [0, 0, 1, 1], proba, ["a", "b", "c", "d"], [0, 0, 1, 1])
    >>> made = Evaluation.of({"hybrid": judged}, positive="Noonan", bootstrap=100)
    >>> write_evaluation(Path("report.html"), made)
    """
    write(path, page(made) if path.suffix.lower() == ".html" else as_json(made.to_json()))
