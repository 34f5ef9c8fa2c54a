from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as oracle

from anthropo.errors import InputError
from anthropo.learning.evaluation import MODEL_NAMES, Evaluation
from anthropo.learning.intervals import Interval
from anthropo.learning.judged import Judged
from anthropo.learning.metrics import DEFINITIONS
from anthropo.networks.description import Epoch
from anthropo.report import evaluation_figures
from anthropo.report.evaluation import (
    METRIC_NAMES,
    encoder_sentences,
    page,
    print_comparison,
    print_evaluation,
    summary,
    write_evaluation,
)
from anthropo.report.evaluation_figures import figures
from anthropo.report.finetune import history_figure
from anthropo.report.rendering import svg

N = 120


def model(
    seed: int, shift: float, *, labels: tuple[str, ...] = ("control", "Noonan"), abstain: int = 0
) -> Judged:
    """A model whose true label's log-odds are raised by `shift`; two photos of each patient."""
    rng = np.random.default_rng(seed)
    k = len(labels)
    truth = np.repeat(np.arange(N // 2) % k, 2)
    odds = rng.normal(size=(N, k))
    odds[np.arange(N), truth] += shift
    proba = np.exp(odds) / np.exp(odds).sum(1, keepdims=True)
    decision = proba.argmax(1)
    decision[:abstain] = -1
    return Judged(labels, truth, proba, np.repeat(np.arange(N // 2), 2), decision, proba > 0.3)


MODELS = {
    "hybrid": model(1, 2.5, abstain=3),
    "measurements": model(2, 1.0),
    "regions": model(3, 1.8),
    "metadata": model(4, 0.0),
    "background": model(5, 1.2),
}
COLUMNS: dict[str, list[Any]] = {
    "sex": ["female", "female", "male", "male"] * (N // 4),
    "age": [1.5, 1.5, 30, 30, 8, 8, None, None] * (N // 8),
    "site": [f"site {i}" for i in range(N)],
}


@pytest.fixture(scope="module")
def made() -> Evaluation:
    return Evaluation.of(
        MODELS,
        positive="Noonan",
        prevalence=0.02,
        columns=COLUMNS,
        left_out=[("a.jpg", "a.jpg: no face found"), ("b.jpg", "too small")],
        settings={"classifier": "xgboost", "folds": 5},
        bootstrap=100,
    )


@pytest.fixture(scope="module")
def several() -> Evaluation:
    return Evaluation.of(SEVERAL, bootstrap=50)


SEVERAL = {
    "hybrid": model(1, 2.0, labels=("Noonan", "Williams", "unaffected")),
    "regions": model(2, 1.0, labels=("Noonan", "Williams", "unaffected")),
}


def test_document_is_json_of_the_agreed_layout(made: Evaluation) -> None:
    said = made.to_json()
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said["labels"] == ["control", "Noonan"]
    assert (said["n_photos"], said["n_patients"]) == (N, N // 2)
    assert list(said["models"]) == ["hybrid", "measurements", "regions", "metadata", "background"]
    for metrics in said["models"].values():
        assert list(metrics) == list(DEFINITIONS) == list(METRIC_NAMES)
        assert {"value", "lo", "hi"} <= metrics["auroc"].keys()
        assert metrics["top_5"]["value"] is None
        assert metrics["top_5"]["reason"]
    auroc = oracle.roc_auc_score(MODELS["hybrid"].truth, MODELS["hybrid"].proba[:, 1])
    assert said["models"]["hybrid"]["auroc"]["value"] == pytest.approx(auroc)
    assert said["counts"]["Noonan"] == {"photos": 60, "patients": 30}
    assert said["left_out"][0] == {"photo": "a.jpg", "reason": "a.jpg: no face found"}
    assert list(said["differences"]) == ["measurements", "regions", "metadata", "background"]
    other = oracle.roc_auc_score(MODELS["regions"].truth, MODELS["regions"].proba[:, 1])
    assert said["differences"]["regions"]["auroc"]["value"] == pytest.approx(auroc - other)


def test_subgroups_of_columns(made: Evaluation) -> None:
    assert list(made.subgroups) == ["sex", "age"]
    assert list(made.subgroups["sex"]) == ["female", "male"]
    assert list(made.subgroups["age"]) == ["0-2", "3-12", "18-39", "not given"]
    assert "No subgroups of site: it has more than 20 different values." in made.warnings


def test_confusion_counts_abstentions_in_the_last_column(made: Evaluation) -> None:
    hybrid = MODELS["hybrid"]
    matrix = np.array(made.confusion)
    assert matrix.shape == (2, 3)
    assert matrix.sum() == N
    assert matrix[:, 2].sum() == 3
    answered = hybrid.decision >= 0
    expected = oracle.confusion_matrix(hybrid.truth[answered], hybrid.decision[answered])
    assert matrix[:, :2].tolist() == expected.tolist()


def test_summary_says_what_was_found(made: Evaluation, several: Evaluation) -> None:
    matrix = np.array(made.confusion)
    sentence = summary(made)
    rate, cleared = (made.figures[name] for name in ("sensitivity", "specificity"))
    (one, missed), none = matrix[1, 1::-1], matrix[1, 2]
    assert sentence.startswith(
        f"120 photos of 60 patients: the hybrid model found {one} of the 60 of Noonan, "
        f"{100 * rate.value:.1f} % (95 % interval "
    )
    assert f": {missed} missed, {none} answered with “none of these”; of the 60 others, " in sentence
    # somebody who was answered with "none of these" is no false alarm
    (right, alarms), none = matrix[0, :2], matrix[0, 2]
    assert none > 0
    assert alarms == 1
    assert f"of the 60 others, 1 false alarm, {none} answered with “none of these” and " in sentence
    assert f"{right} cleared, {100 * cleared.value:.1f} % (95 % interval " in sentence
    right = np.trace(np.array(several.confusion)[:, :3]) / N
    assert f"with 3 labels, the hybrid model named the right one for {100 * right:.1f} %" in summary(several)


def test_labels_guessed_without_a_face_are_said(made: Evaluation) -> None:
    guessed = [w for w in made.warnings if w.startswith("Labels can be guessed from")]
    assert len(guessed) == 1  # metadata say nothing here
    auroc = made.models["background"]["auroc"]
    assert auroc.lo > 0.6
    assert f"the background alone, with the face masked out: AUROC {auroc.value:.3f} (" in guessed[0]
    told = Evaluation.of(
        {"hybrid": MODELS["hybrid"], "metadata": model(5, 1.2)}, positive="Noonan", bootstrap=50
    )
    (warning,) = [w for w in told.warnings if w.startswith("Labels can be guessed from the metadata alone")]
    assert "adjust the figures for them, or match the patients by them." in warning
    unsure = Evaluation.of({"hybrid": MODELS["hybrid"], "background": model(6, 0.25)}, bootstrap=50)
    assert unsure.models["background"]["auroc"].lo < 0.6
    assert not any("guessed" in w for w in unsure.warnings)


def test_a_hybrid_below_its_half_is_said() -> None:
    made = Evaluation.of({"hybrid": MODELS["measurements"], "regions": MODELS["hybrid"]}, bootstrap=100)
    (warning,) = made.warnings
    assert warning.startswith("Hybrid is worse than regions only: AUROC lower by 0.")


def test_labels_with_few_patients_are_said() -> None:
    part = MODELS["hybrid"].part((MODELS["hybrid"].truth == 0) | (np.arange(N) < 12))
    (warning,) = Evaluation.of({"hybrid": part}, bootstrap=20).warnings
    assert warning == "Fewer than 10 patients make a label's figures uncertain (Noonan: 3)."


def test_odds_that_are_too_large_are_warned_of() -> None:
    rng = np.random.default_rng(0)
    stated = 6 * rng.normal(size=80)
    truth = (rng.random(80) < 1 / (1 + np.exp(-0.3 * stated))).astype(int)
    p = 1 / (1 + np.exp(-stated))
    judged = Judged(
        ("control", "case"), truth, np.column_stack([1 - p, p]), np.arange(80), (p > 0.5).astype(int)
    )
    (warning,) = Evaluation.of({"hybrid": judged}, positive="case", bootstrap=20).warnings
    assert warning.startswith("Stated odds are too large: calibration slope 0.")
    fair = 1 / (1 + np.exp(-0.3 * stated))
    honest = Judged(judged.labels, truth, np.column_stack([1 - fair, fair]), judged.groups, judged.decision)
    assert Evaluation.of({"hybrid": honest}, positive="case", bootstrap=20).warnings == ()


def test_models_of_other_photos_are_not_compared() -> None:
    made = Evaluation.of(
        {"hybrid": MODELS["hybrid"], "regions": MODELS["regions"].part(np.arange(N) < 100)}, bootstrap=20
    )
    assert made.differences == {}


def test_no_model_is_refused() -> None:
    with pytest.raises(InputError, match="No model to report on"):
        Evaluation.of({})


def lines(axes: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {line.get_label(): (line.get_xdata(), line.get_ydata()) for line in axes.get_lines()}


def curve(axes: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    return next(xy for label, xy in lines(axes).items() if label.split(":")[0] == name)


@pytest.mark.parametrize("case", ["made", "several"])
def test_roc_curve_has_the_area_that_it_states(case: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(case)
    models = MODELS if case == "made" else SEVERAL
    (axes,) = evaluation_figures.roc_figure(made).axes
    for name in models:
        x, y = curve(axes, MODEL_NAMES[name])
        # the mean over labels is drawn on a grid
        assert np.trapezoid(y, x) == pytest.approx(
            made.models[name]["auroc"].value, abs=1e-9 if case == "made" else 5e-3
        )


def test_operating_point_is_where_the_model_decides(made: Evaluation) -> None:
    (axes,) = evaluation_figures.roc_figure(made).axes
    dot = axes.get_lines()[-1]
    hybrid = MODELS["hybrid"]
    # as the table has it: somebody healthy who is answered with "none of these" is not cleared
    assert (hybrid.decision[hybrid.truth == 0] < 0).any()
    assert dot.get_xdata()[0] == pytest.approx((hybrid.decision[hybrid.truth == 0] != 0).mean())
    assert dot.get_xdata()[0] == pytest.approx(1 - made.figures["specificity"].value)
    assert dot.get_ydata()[0] == pytest.approx((hybrid.decision[hybrid.truth == 1] == 1).mean())


def test_precision_recall_curve_has_the_area_that_it_states(made: Evaluation) -> None:
    (axes,) = evaluation_figures.precision_recall_figure(made).axes
    for name in MODELS:
        recall, precision = curve(axes, MODEL_NAMES[name])
        area = (np.diff(recall) * precision[1:]).sum()
        assert area == pytest.approx(made.models[name]["auprc"].value)
    dotted = next(
        line for line in axes.get_lines() if line.get_linestyle() == ":" and len(line.get_xdata()) == 2
    )
    assert dotted.get_ydata()[0] == 0.5


def test_calibration_dots_are_observed_shares(made: Evaluation) -> None:
    hybrid = MODELS["hybrid"]
    above, below = evaluation_figures.calibration_figure(made).axes
    dots = [line for line in above.get_lines() if line.get_marker() == "o"]
    assert len(dots) == N // 30
    shares = [dot.get_ydata()[0] for dot in dots]
    assert np.mean(shares) == pytest.approx(hybrid.truth.mean())  # bins of equal size
    bars = [line for line in above.get_lines() if line.get_marker() != "o"][1:]
    for dot, bar in zip(dots, bars, strict=True):
        assert bar.get_ydata()[0] <= dot.get_ydata()[0] <= bar.get_ydata()[1]
    assert sum(patch.get_height() for patch in below.patches) == N


def test_net_benefit_by_hand() -> None:
    true = np.array([True, True, False, False, False])
    score = np.array([0.9, 0.3, 0.6, 0.2, 0.1])
    benefit = evaluation_figures._net_benefit(true, score, np.array([0.25, 0.5, 0.8]))
    assert benefit == pytest.approx([(2 - 1 / 3) / 5, (1 - 1) / 5, 1 / 5])


def test_decision_curve(made: Evaluation, several: Evaluation) -> None:
    (axes,) = evaluation_figures.decision_curve_figure(made).axes
    drawn = lines(axes)
    assert {"call none positive", "call all positive", "hybrid", "measurements only", "regions only"} == set(
        drawn
    )
    threshold, everyone = drawn["call all positive"]
    assert np.interp(0.5, threshold, everyone) == pytest.approx(0, abs=1e-3)  # half of the photos are cases
    hybrid = drawn["hybrid"][1]
    assert hybrid[0] == pytest.approx(everyone[0], abs=0.01)
    assert (hybrid[20:150] > np.maximum(everyone, 0)[20:150]).all()
    panels = evaluation_figures.decision_curve_figure(several).axes
    assert [panel.get_title(loc="left") for panel in panels] == ["Noonan", "Williams", "unaffected"]


def test_confusion_figure_shows_counts_and_shares(made: Evaluation, several: Evaluation) -> None:
    (axes,) = evaluation_figures.confusion_figure(made).axes
    shown = {(text.get_position()): text.get_text() for text in axes.texts}
    matrix = np.array(made.confusion)
    assert shown[0, 0] == f"{matrix[0, 0]}\n{100 * matrix[0, 0] / 60:.0f} %"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["control", "Noonan", "none of these"]
    (axes,) = evaluation_figures.confusion_figure(several).axes  # nobody abstained
    assert [t.get_text() for t in axes.get_xticklabels()] == ["Noonan", "Williams", "unaffected"]


def test_subgroup_figure_greys_what_is_too_small() -> None:
    small = ["few"] * 4 + ["many"] * (N - 4)
    made = Evaluation.of(
        {"hybrid": MODELS["hybrid"]}, positive="Noonan", columns={"site": small}, bootstrap=20
    )
    figure = evaluation_figures.subgroup_figure(made)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["site", "few  (n = 2)", "many  (n = 58)"]
    squares = {
        line.get_ydata()[0]: line.get_color()
        for line in figure.axes[0].get_lines()
        if line.get_marker() == "s"
    }
    assert squares[1] != squares[2] == "#0072b2"


def test_figures_can_be_drawn_of_one_label_only() -> None:
    part = MODELS["hybrid"].part(MODELS["hybrid"].truth == 0)
    made = Evaluation.of({"hybrid": part}, positive="Noonan", bootstrap=20)
    drawn = figures(made)
    assert list(drawn) == ["calibration", "confusion"]
    for figure in drawn.values():
        svg(figure)
    assert "Noonan, –" not in summary(made)
    assert "AUROC –" in page(made)


def test_svg_is_the_same_each_time(made: Evaluation) -> None:
    first, again = (svg(evaluation_figures.roc_figure(made)) for _ in range(2))
    assert first == again
    assert first.startswith(b"<?xml")


def test_page_needs_nothing_else(made: Evaluation) -> None:
    text = page(made)
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert "<script" not in text
    assert "http" not in text
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', text)
    assert len(pictures) == 6
    assert all(b"</svg>" in base64.b64decode(picture) for picture in pictures)
    for piece in (
        summary(made),
        "a.jpg: no face found",
        "b.jpg: too small",
        "xgboost",
        "0-2",
        "PPV at prevalence 0.02",
    ):
        assert piece in text
    assert text.count('class="warn"') == len(made.warnings)
    assert DEFINITIONS["brier"] in text
    assert ">top-5<" not in text  # two labels


def test_page_of_several_labels_lists_each(several: Evaluation) -> None:
    text = page(several)
    assert "Label by label" in text
    value = several.by_label["Williams"]["auroc"].value
    assert f"{value:.3f}" in text


def test_page_escapes_what_users_name() -> None:
    labels = ("<b>control</b>", "No & onan")
    models = {"hybrid": model(1, 2.0, labels=labels)}
    made = Evaluation.of(models, positive=labels[1], left_out=[("<i>.jpg", "<i>.jpg: no face")], bootstrap=20)
    text = page(made)
    assert "<b>control" not in text
    assert "<i>" not in text
    assert "No &amp; onan" in text


def test_labels_that_look_like_mathematics_are_drawn_as_they_are() -> None:
    labels = ("$x_1$ [bold]", "cost \\frac $")
    models = {"hybrid": model(1, 2.0, labels=labels)}
    made = Evaluation.of(models, bootstrap=20, columns={"$col$": ["$a$", "b"] * (N // 2)})
    for figure in figures(made).values():
        svg(figure)
    (axes,) = evaluation_figures.confusion_figure(made).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == [r"\$x_1\$ [bold]", r"cost \frac \$"]


def test_labels_of_any_script_stay_text() -> None:
    models = {"hybrid": model(1, 2.0, labels=("健常", "Sotos"))}
    made = Evaluation.of(models, bootstrap=20)
    assert "健常" in svg(evaluation_figures.confusion_figure(made)).decode()


def test_write_evaluation(made: Evaluation, tmp_path: Path) -> None:
    write_evaluation(tmp_path / "report.html", made)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page(made)
    with pytest.raises(
        InputError, match=r"none/report.html: cannot be written \(No such file or directory\)"
    ):
        write_evaluation(tmp_path / "none" / "report.html", made)


def test_which_of_several_encoders_did_better(capsys: pytest.CaptureFixture[str]) -> None:
    seen = {
        **MODELS,
        "encoder:one": model(6, 0.5),
        "encoder:two": model(3, 1.8),
        "encoder:own.onnx": model(7, 1.7),
    }
    made = Evaluation.of(seen, positive="Noonan", bootstrap=200)
    assert list(made.encoders) == ["one", "own.onnx"]
    one, own = (made.encoders[name]["auroc"] for name in made.encoders)
    assert one.value == pytest.approx(
        made.models["encoder:two"]["auroc"].value - made.models["encoder:one"]["auroc"].value
    )
    added = made.differences["encoder:two"]["auroc"]
    assert one.lo > 0 > own.lo
    assert added.lo < 0 < added.hi
    assert encoder_sentences(made) == [
        f"Encoders: two did better than one, each by its regions alone: AUROC higher by {one}.",
        "Encoders: no sure difference between two and own.onnx, each by its regions alone: AUROC of two "
        f"higher by {own}.",
        f"All that the hybrid model reads: no sure difference from two alone; AUROC changes by {added}.",
    ]
    print_evaluation(made)
    text = " ".join(capsys.readouterr().out.split())
    for sentence in encoder_sentences(made):
        assert sentence in text
        assert sentence in page(made)
    assert "own.onnx only" in text
    assert "encoders" in made.to_json()


def test_terminal(made: Evaluation, several: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
    print_evaluation(made)
    text = capsys.readouterr().out
    assert "Encoders" not in text
    assert "encoders" not in made.to_json()
    assert summary(made) in text
    for warning in made.warnings:
        assert f"warning: {warning}" in text
    auroc = made.models["hybrid"]["auroc"]
    row = next(line for line in text.splitlines() if line.startswith("AUROC"))
    assert f"{auroc.value:.3f} ({auroc.lo:.3f} to {auroc.hi:.3f})" in row
    assert "PPV at prevalence 0.02" in text
    assert "top-5" not in text
    assert "a.jpg: no face found" in text
    assert "b.jpg: too small" in text
    print_evaluation(several)
    text = capsys.readouterr().out
    assert "PPV at prevalence, NPV at prevalence: needs a positive label." in text
    assert [
        line.split()[0] for line in text.splitlines() if line.startswith(("Noonan", "Will", "unaff"))
    ] == [
        "Noonan",
        "Williams",
        "unaffected",
    ]


def test_comparison(made: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(
        {
            "xgboost [weights]": {
                **made.models["hybrid"],
                "expected_cost": Interval(0.25, 0.2, 0.3),
            },
            "svm": made.models["regions"],
        }
    )
    title, first, second = capsys.readouterr().out.strip().splitlines()[-3:]
    assert title.split("  ")[0] == "variant"
    assert title.endswith("expected cost")
    assert first.startswith("xgboost [weights]")
    assert first.endswith("0.250 (0.200 to 0.300)")
    assert second.rstrip().endswith("–")


def test_forest_plot_has_an_axis_with_labels_and_ticks() -> None:
    site = ["one"] * (N // 2) + ["other"] * (N - N // 2)
    made = Evaluation.of(
        {"hybrid": MODELS["hybrid"]}, positive="Noonan", columns={"site": site}, bootstrap=20
    )
    figure = evaluation_figures.subgroup_figure(made)
    names = [axes.get_xlabel() for axes in figure.axes]
    assert names == [f"{name}, 95 % interval" for name in ("sensitivity", "specificity", "AUROC")]
    for axes in figure.axes:
        ticks = axes.get_xticks()
        assert 3 <= len(ticks) <= 6
        assert ticks[-1] == 1.0
        assert ticks[0] >= axes.get_xlim()[0]


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 40])
def test_loss_curves_are_over_whole_epochs(epochs: int) -> None:
    history = {
        "face": [
            Epoch(stage="all", epoch=n, loss=None if n == 2 else 1 / n, validation=2 / n, metric=0.5)
            for n in range(1, epochs + 1)
        ]
    }
    for axes in history_figure(history, "AUROC").axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == round(tick) for tick in ticks)
