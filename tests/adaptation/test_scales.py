from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anthropo.adaptation.scales import FEWEST_KNOWN, combat, standardise

Floats = NDArray[np.float64]


@pytest.fixture
def batches() -> list[Floats]:
    r = np.random.default_rng(7)
    return [
        r.normal(size=(9, 4)) * [1, 2, 0.5, 1.5] + [0, 3, -1, 2],
        r.normal(size=(14, 4)) * 1.5 - [1, 0, 2, 0],
        r.normal(size=(11, 4)),
    ]


# rows 0, 5 and 30 of all batches, by neuroCombat 0.2.12 iterated to a relative change of 1e-9
@pytest.mark.parametrize(
    ("reference", "wanted"),
    [
        (
            None,
            [
                [-0.178475, 2.338581, -0.901194, -0.730599],
                [-2.371176, 1.072945, -1.532105, 1.274679],
                [-0.012679, -0.054867, -0.897156, -1.859309],
            ],
        ),
        (
            1,
            [
                [-0.408006, 2.203151, -1.393689, -1.417404],
                [-3.022071, 0.683916, -2.146616, 0.811701],
                [-0.198065, -0.666029, -1.396017, -2.680419],
            ],
        ),
    ],
)
def test_combat_is_that_of_another_program(
    batches: list[Floats], reference: int | None, wanted: list[list[float]]
) -> None:
    made = combat(batches, reference)
    rows = np.vstack([scale * x + offset for x, (scale, offset) in zip(batches, made, strict=True)])
    assert np.allclose(rows[[0, 5, 30]], wanted, atol=2e-6)


def test_combat_is_the_mode_of_the_posterior(batches: list[Floats]) -> None:
    """Of one batch: shift and variance solve both equations of Johnson et al., without iterating."""
    from scipy.optimize import fsolve

    pooled = np.sqrt(sum(((x - x.mean(0)) ** 2).sum(0) for x in batches) / sum(map(len, batches)))
    mean = np.vstack(batches).mean(0)
    z = (batches[0] - mean) / pooled
    n, g, d = len(z), z.mean(0), z.var(0, ddof=1)
    t2, gbar, m, s2 = g.var(ddof=1), g.mean(), d.mean(), d.var(ddof=1)
    a, b = m**2 / s2 + 2, m * (m**2 / s2 + 1)

    def equations(of: Floats) -> Floats:
        shift, variance = of[:4], of[4:]
        return np.concatenate(
            [
                shift - (n * t2 * g + variance * gbar) / (n * t2 + variance),
                variance - (b + 0.5 * ((z - shift) ** 2).sum(0)) / (n / 2 + a - 1),
            ]
        )

    solved = fsolve(equations, np.concatenate([g, d]), xtol=1e-12)
    scale, offset = combat(batches)[0]
    assert np.allclose(scale, 1 / np.sqrt(solved[4:]), rtol=1e-5)
    assert np.allclose(offset, mean - scale * (mean + pooled * solved[:4]), atol=1e-5)


def test_few_photos_are_drawn_to_what_the_other_numbers_say() -> None:
    r = np.random.default_rng(0)
    target, few = r.normal(size=(200, 30)), r.normal(size=(6, 30)) + 2
    shifted = combat([few, target], 1)[0][1], standardise([few, target], 1)[0][1]
    # all numbers are shifted alike, which only empirical Bayes uses
    assert np.std(shifted[0]) < 0.5 * np.std(shifted[1])


@pytest.mark.parametrize("by", [standardise, combat])
def test_the_reference_stays_and_missing_numbers_do_not_count(by: object) -> None:
    assert callable(by)
    r = np.random.default_rng(1)
    here, there = r.normal(size=(60, 3)), 2 * r.normal(size=(50, 3)) + 5
    whole = by([there, here], 1)
    holes = np.vstack([there, np.full((7, 3), np.nan)])
    for a, b in zip(whole, by([holes, here], 1), strict=True):
        assert np.allclose(a, b)
    assert np.array_equal(whole[1][0], np.ones(3))
    assert np.array_equal(whole[1][1], np.zeros(3))


@pytest.mark.parametrize("by", [standardise, combat])
def test_numbers_that_few_have_or_that_do_not_vary_stay(by: object) -> None:
    assert callable(by)
    r = np.random.default_rng(2)
    here, there = r.normal(size=(40, 4)), r.normal(size=(40, 4)) + 3
    there[FEWEST_KNOWN - 1 :, 0] = np.nan  # too few at the source
    here[FEWEST_KNOWN - 1 :, 1] = np.nan  # too few at the target
    here[:, 2] = 1.0
    scale, offset = by([there, here], 1)[0]
    assert (scale[:3] == 1).all()
    assert (offset[:3] == 0).all()
    assert offset[3] < -1


def test_without_a_reference_all_get_the_common_mean() -> None:
    r = np.random.default_rng(3)
    batches = [r.normal(size=(30, 2)) + 4, r.normal(size=(50, 2)) * 3 - 1]
    rows = [s * x + o for x, (s, o) in zip(batches, standardise(batches), strict=True)]
    assert np.allclose(rows[0].mean(0), np.vstack(batches).mean(0))
    assert np.allclose(rows[0].mean(0), rows[1].mean(0))
    assert np.allclose(rows[0].std(0), rows[1].std(0))
