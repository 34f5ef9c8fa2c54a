from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
from numpy.typing import NDArray

from anthropo.learning.calibration import (
    Stack,
    against_rest,
    bounded,
    centred,
    fit_stack,
    log_loss,
    softmax,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def drawn(margins: Floats, random: np.random.Generator) -> Ints:
    """Labels drawn with the probabilities of margins (n, k)."""
    return (
        (softmax(margins).cumsum(1) < random.random((len(margins), 1))).sum(1).clip(max=margins.shape[1] - 1)
    )


def simulated(n: int, slopes: list[float], bias: list[float], seed: int = 0) -> tuple[list[Floats], Ints]:
    random = np.random.default_rng(seed)
    parts = [random.normal(size=(n, len(bias))) for _ in slopes]
    return parts, drawn(Stack(np.array(slopes), np.array(bias)).margins(parts), random)


def test_softmax_is_stable_and_keeps_log_odds() -> None:
    margins = np.array([[1000.0, 1001.0, 999.0], [-1000.0, -1000.0, -1000.0]])
    found = softmax(margins)
    np.testing.assert_allclose(found.sum(1), 1)
    assert np.log(found[0, 1] / found[0, 0]) == pytest.approx(1)
    np.testing.assert_allclose(found[1], 1 / 3)
    np.testing.assert_allclose(softmax(centred(margins)), found)
    np.testing.assert_allclose(centred(margins).mean(1), 0)


def test_log_odds_against_the_rest() -> None:
    margins = np.array([[1.0, -0.5, 0.3], [0.0, 0.0, 0.0]])
    p = softmax(margins)
    np.testing.assert_allclose(against_rest(margins), np.log(p / (1 - p)))
    # also where the probability is 1 to the last digit
    np.testing.assert_allclose(against_rest(np.array([[400.0, -400.0]])), [[800, -800]])


def test_log_loss_is_the_weighted_mean_surprise() -> None:
    margins = np.log(np.array([[0.25, 0.75], [0.9, 0.1]])) + 700
    found = log_loss(margins, np.array([0, 1]), np.array([3.0, 1.0]))
    assert found == pytest.approx(-(3 * np.log(0.25) + np.log(0.1)) / 4)


@pytest.mark.parametrize("slopes", [[1.5], [1.5, 0.5]])
def test_known_slopes_and_biases_are_recovered(slopes: list[float]) -> None:
    bias = [0.8, 0.0, -0.8]
    parts, y = simulated(8000, slopes, bias)
    found = fit_stack(parts, y, np.ones(len(y)))
    np.testing.assert_allclose(found.slopes, slopes, atol=0.1)
    np.testing.assert_allclose(found.bias, bias, atol=0.1)
    assert found.bias.mean() == pytest.approx(0, abs=1e-12)


def test_weights_move_the_shares() -> None:
    parts, y = simulated(3000, [1.0], [0.0, 0.0])
    doubled = fit_stack(parts, y, np.where(y == 1, 2.0, 1.0))
    repeated = np.concatenate([np.arange(len(y)), np.flatnonzero(y == 1)])
    plain = fit_stack([parts[0][repeated]], y[repeated], np.ones(len(repeated)))
    np.testing.assert_allclose(doubled.bias, plain.bias, atol=2e-3)
    np.testing.assert_allclose(doubled.slopes, plain.slopes, atol=0.02)
    assert doubled.bias[1] - doubled.bias[0] == pytest.approx(np.log(2), abs=0.15)


@pytest.mark.parametrize("alike", [None, 1])
def test_the_gradient_is_that_of_the_loss(monkeypatch: pytest.MonkeyPatch, alike: int | None) -> None:
    parts, y = simulated(60, [1.0, 0.4], [0.3, 0.0, -0.3], seed=1)
    weights = np.random.default_rng(1).uniform(0.5, 2, 60)
    seen = []
    real = scipy.optimize.minimize

    def watched(loss: Any, start: Floats, **options: Any) -> Any:
        for at in np.random.default_rng(0).normal(size=(5, len(start))):
            seen.append(scipy.optimize.check_grad(lambda t: loss(t)[0], lambda t: loss(t)[1], at))
        return real(loss, start, **options)

    monkeypatch.setattr(scipy.optimize, "minimize", watched)
    fit_stack(parts, y, weights, alike=alike)
    assert len(seen) == 5
    assert max(seen) < 1e-5


def test_what_is_found_is_the_minimum_of_likelihood_and_its_stated_penalties() -> None:
    parts, y = simulated(40, [1.0, 0.4, 0.8], [0.3, 0.0, -0.3], seed=2)
    n, k = 40, 3
    people = np.array([6.0, 9.0, 5.0])  # two photos of each
    found = fit_stack(parts, y, np.ones(n), people, alike=2)
    together = centred(parts[0] + parts[1]).std()  # the unit of what is expected to count alike
    spread = np.array([together, together, centred(parts[2]).std()])
    targets = np.full((n, k), np.nan)
    for i, c in enumerate(y):
        targets[i] = 0.2 / (people[c] + 0.4) / (k - 1)
        targets[i, c] = (people[c] + 0.2) / (people[c] + 0.4)

    def loss(theta: Floats) -> float:
        margins = Stack(theta[:3], theta[3:]).margins(parts)
        surprise = -(targets * np.log(softmax(margins))).sum(1).mean() * people.sum()
        slopes = theta[:3] * spread
        # one person's worth on slopes that differ, three on the part that is not expected to count
        held = 1.0 * ((slopes[:2] - slopes[:2].mean()) ** 2).sum() + 3.0 * slopes[2] ** 2
        return float(surprise + held + 2.0 * (theta[3:] ** 2).sum() / k / 2)

    best = scipy.optimize.minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-6})
    np.testing.assert_allclose(found.slopes, best.x[:3], atol=2e-3)
    np.testing.assert_allclose(found.bias, centred(best.x[3:]), atol=2e-3)


def test_a_part_that_says_nothing_changes_nothing() -> None:
    parts, y = simulated(300, [1.0], [0.2, -0.2])
    silent = np.full((300, 2), 0.3)  # the same for both labels
    alone = fit_stack(parts, y, np.ones(300))
    both = fit_stack([parts[0], silent], y, np.ones(300))
    assert 0 <= both.slopes[1] <= 1
    np.testing.assert_allclose(both.margins([parts[0], silent]), alone.margins(parts), atol=0.01)


def test_a_part_that_speaks_against_its_own_label_gets_no_slope() -> None:
    parts, y = simulated(2000, [1.0, 0.0], [0.0, 0.0])
    against = -2 * np.eye(2)[y] + np.random.default_rng(3).normal(size=(2000, 2))
    found = fit_stack([parts[0], against], y, np.ones(2000))
    assert found.slopes[1] == 0
    assert found.slopes[0] == pytest.approx(1, abs=0.15)


def test_scores_that_separate_the_labels_state_no_more_than_so_many_people_show() -> None:
    for n in (10, 40, 160):
        y = np.repeat([0, 1], n)
        scores = np.eye(2)[y] + 0.1 * np.random.default_rng(n).random((2 * n, 2))
        margins = fit_stack([scores], y, np.ones(2 * n)).margins([scores])
        own = np.abs(margins[:, 1] - margins[:, 0])
        assert np.average(own) == pytest.approx(np.log(5 * n + 1), abs=0.5)  # about (n + 0.2) to 0.2
        # photos of the same people show no more
        again = np.repeat(np.arange(2 * n), 5)
        repeated = fit_stack([scores[again]], y[again], np.ones(10 * n), np.array([n, n]))
        np.testing.assert_allclose(repeated.margins([scores]), margins, atol=0.02)


@pytest.mark.parametrize("people", [[20, 20], [5, 400], [20, 40, 7, 1000]])
def test_no_label_gets_odds_that_so_many_people_cannot_show(people: list[int]) -> None:
    people_of = np.array(people, dtype=np.float64)
    margins = np.random.default_rng(0).normal(0, 12, (2000, len(people)))
    stated = bounded(margins, people_of)
    np.testing.assert_allclose(stated.mean(1), 0, atol=1e-9)
    told = against_rest(margins).max(1) > 0.2  # of five people one in thirty may be another's
    assert (stated.argmax(1) == margins.argmax(1))[told].all()
    odds = against_rest(stated)
    highest = np.log(5 * people_of + 1)
    assert (odds <= highest + 1e-9).all()
    np.testing.assert_allclose(odds.max(0), highest, atol=0.01)
    # what is small stays: of 40 people, log-odds of 1 lose 0.01
    one = against_rest(bounded(np.array([[-0.5, 0.5]]), np.array([40.0, 40.0])))[0, 1]
    assert one == pytest.approx(1, abs=0.02)
    if len(people) == 2:  # whoever is surer stays surer
        before, after = (of[:, 1] - of[:, 0] for of in (margins, stated))
        assert (np.diff(after[np.argsort(before)]) >= 0).all()


def test_a_bound_keeps_how_common_labels_are() -> None:
    people = np.array([10.0, 100.0, 30.0])
    shares = people / people.sum()
    y = np.random.default_rng(0).choice(3, 20000, p=shares)
    margins = centred(6 * np.eye(3)[y] + np.log(shares))
    np.testing.assert_allclose(softmax(bounded(margins, people)).mean(0), softmax(margins).mean(0), atol=2e-3)


def test_a_part_that_has_to_prove_itself() -> None:
    few, y = simulated(16, [1.5, 0.5], [0.0, 0.0], seed=4)
    alike, doubted = (fit_stack(few, y, np.ones(16), alike=a).slopes for a in (2, 1))
    assert doubted[1] < 0.7 * alike[1]
    many, y = simulated(6000, [1.5, 0.5], [0.0, 0.0], seed=4)
    found = fit_stack(many, y, np.ones(6000), alike=1)
    np.testing.assert_allclose(found.slopes, [1.5, 0.5], atol=0.1)


def test_a_slope_is_not_below_the_least() -> None:
    parts, y = simulated(400, [1.0, 0.0], [0.0, 0.0])
    found = fit_stack(parts, y, np.ones(400), least=np.array([0.0, 0.3]))
    assert found.slopes[1] >= 0.3
    assert found.slopes[0] == pytest.approx(1, abs=0.3)


def test_a_label_of_perfect_scores_gets_no_infinite_bias() -> None:
    y = np.array([0, 0, 0, 1])
    found = fit_stack([100.0 * np.eye(2)[y]], y, np.ones(4))
    assert np.isfinite(found.slopes).all()
    assert np.abs(found.bias).max() < 3
    assert softmax(found.margins([100.0 * np.eye(2)[y]])).argmax(1).tolist() == y.tolist()
