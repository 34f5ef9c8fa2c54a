"""What changed in a person, and on average in several."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from anthropo.face.gate import Check
from anthropo.face.landmarker import Face
from anthropo.face.scheme import MIRROR
from anthropo.groups.change import (
    CHANGED,
    MOVED,
    NOT_COMPARED,
    SAME,
    Change,
    Look,
    compare_looks,
    false_discovery,
    paired,
)
from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import PIXELS, registry
from anthropo.measurement.repeatability import repeatability
from anthropo.measurement.retest import Retest, moved_by_expression, retests

Floats = NDArray[np.float64]
NAMES = [n for n, row in repeatability().items() if registry()[n].kind not in PIXELS and row.jitter > 0]
REPEAT = np.array([repeatability()[n].within("fine") for n in NAMES])
STILL = np.array([repeatability()[n].still() for n in NAMES])


def made(values: Floats, **of_all: float) -> Look:
    """A photograph with these values of NAMES."""
    found = {}
    for name, value, repeat, still in zip(
        NAMES, values.tolist(), REPEAT.tolist(), STILL.tolist(), strict=True
    ):
        entry = registry()[name]
        one = Measurement(name, value, value, value, entry.unit, entry.side, "", False, repeat)
        found[name] = Retest(one, still, ())
    return Look(found, of_all.get("yaw", 0.0), of_all.get("pitch", 0.0))


def statuses(changes: list[Change]) -> dict[str, str]:
    return {c.id: c.status for c in changes}


def test_a_photo_compared_with_itself_shows_nothing(head_face: Face) -> None:
    look = Look(retests(head_face), head_face.yaw, head_face.pitch)
    changes = compare_looks([look], [look])
    assert {c.status for c in changes} == {SAME, NOT_COMPARED}
    assert all(c.difference == 0 for c in changes if c.status == SAME)
    assert all(c.reason for c in changes if c.status == NOT_COMPARED)


def test_intervals_cover_and_nothing_is_called_where_nothing_changed() -> None:
    random = np.random.default_rng(1)
    covered, called, moved = [], [], []
    true = np.zeros(len(NAMES))
    true[NAMES.index("mouth_width")] = 0.5
    for _ in range(60):
        one, other = (made(random.normal(0, REPEAT)) for _ in range(2))
        changes = compare_looks([one], [other])
        covered += [c.lo <= 0 <= c.hi for c in changes]
        called.append(CHANGED in statuses(changes).values())
        one, other = (made(random.normal(0, STILL)) for _ in range(2))
        moved.append(any(s != SAME for s in statuses(compare_looks([one], [other])).values()))
    one, other = made(random.normal(0, REPEAT)), made(true + random.normal(0, REPEAT))
    assert statuses(compare_looks([one], [other]))["mouth_width"] == CHANGED
    assert 0.95 <= np.mean(covered) <= 0.985  # Student's intervals, of errors that are known
    assert np.mean(called) <= 0.12
    assert np.mean(moved) <= 0.12  # 5 %, and chance


def test_what_is_less_than_other_photos_differ_by_has_moved_if_it_can() -> None:
    apart = 1.2 * REPEAT
    changes = compare_looks([made(0 * apart)], [made(apart)])
    for change in changes:
        if not moved_by_expression(change.entry):
            assert change.status == SAME
            assert math.isnan(change.p_still)
        elif change.difference > 4.5 * change.still_sd:
            assert change.status == MOVED
    assert statuses(changes)["mouth_width"] == MOVED
    assert statuses(changes)["intercanthal_width"] == SAME


def test_several_photos_of_a_state_narrow_the_interval() -> None:
    random = np.random.default_rng(2)
    one, *more = (made(random.normal(0, REPEAT)) for _ in range(5))
    other = [made(random.normal(0, REPEAT)) for _ in range(4)]
    single = {c.id: c for c in compare_looks([one], other[:1])}
    several = {c.id: c for c in compare_looks(more, other)}
    assert np.median([several[n].sd / single[n].sd for n in NAMES]) < 0.65
    assert several["mouth_width"].photos == (4, 4)


def test_a_head_that_is_turned_widens_the_error() -> None:
    straight = {c.id: c for c in compare_looks([made(0 * REPEAT)], [made(0 * REPEAT)])}
    turned = {c.id: c for c in compare_looks([made(0 * REPEAT)], [made(0 * REPEAT, yaw=8.0)])}
    assert turned["asymmetry_cheek_width"].sd > 1.5 * straight["asymmetry_cheek_width"].sd
    assert turned["mouth_width"].sd == pytest.approx(straight["mouth_width"].sd, rel=0.02)


def test_remarks_say_what_the_gate_has_and_which_error_is_wider(head_face: Face) -> None:
    checks = [Check(n, 0.5, 0.4, "max", "1", False, "") for n in ("smile", "pitch")]
    doubtful = replace(head_face, gate=tuple(checks))
    looks = [Look(retests(face), face.yaw, face.pitch) for face in (head_face, doubtful)]
    change = next(c for c in compare_looks(looks[:1], looks[1:]) if c.id == "nasal_height")
    assert change.remarks == (
        "after: pitch 0.5 (limit 0.4); its error is wider for it", "after: smile 0.5 (limit 0.4)",
    )  # fmt: skip


def _mirrored(face: Face) -> Face:
    """The face as a mirror shows it."""
    flip, shift = np.array([-1.0, 1.0]), np.array([face.size[0] - 1.0, 0.0])
    swap = {"R": "L", "L": "R"}
    anatomy = {
        code[:-1] + swap[code[-1]] if code[-1] in swap else code: at * flip + shift
        for code, at in face.anatomy.items()
    }
    return replace(
        face, landmarks=face.landmarks[MIRROR] * flip + shift,
        samples=face.samples[:, MIRROR] * flip + shift,
        landmark_sd=face.landmark_sd[MIRROR], anatomy=anatomy, yaw=-face.yaw, roll=-face.roll, cover=None,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_mirrored_photos_swap_sides(head_face: Face, seed: int) -> None:
    random = np.random.default_rng(seed)
    plain = replace(head_face, cover=None, yaw=1.0)
    other = replace(
        plain, landmarks=plain.landmarks + random.normal(0, 3, (68, 2)), yaw=-2.0,
        anatomy={code: at + random.normal(0, 3, 2) for code, at in plain.anatomy.items()},
    )  # fmt: skip

    def compared(a: Face, b: Face) -> dict[str, Change]:
        looks = [[Look(retests(face), face.yaw, face.pitch)] for face in (a, b)]
        return {c.id: c for c in compare_looks(*looks)}

    ways = compared(plain, other), compared(_mirrored(plain), _mirrored(other))
    for name, change in ways[0].items():
        swapped = name[:-1] + {"R": "L", "L": "R"}[name[-1]] if name[-2:] in ("_R", "_L") else name
        there = ways[1][swapped]
        if change.status == NOT_COMPARED:
            assert there.status == NOT_COMPARED
            continue
        signed = change.asymmetry and name != "asymmetry_global"
        assert there.difference == pytest.approx(
            -change.difference if signed else change.difference, abs=1e-6
        ), name


# ------------------------------------------------------------------------------------------ cohorts


def person(**differences: float) -> list[Change]:
    return [
        Change(id=name, status=SAME, before=1.0, after=1.0 + d, difference=d)
        for name, d in differences.items()
    ]


def test_few_patients_are_tested_exactly() -> None:
    random = np.random.default_rng(3)
    for n in (6, 9, 12):
        d = random.normal(0.3, 0.5, n)
        (test,) = paired([person(mouth_width=x) for x in d])
        scipy = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
        assert test.test == "sign-flip"
        assert test.p == pytest.approx(scipy.pvalue)
        # the interval holds exactly the shifts that are not rejected
        for end, outwards in ((test.lo, -1), (test.hi, 1)):
            outside, inside = (
                paired([person(mouth_width=x - end - side * 1e-6) for x in d])[0].p
                for side in (outwards, -outwards)
            )
            assert outside <= 0.05 < inside
    (few,) = paired([person(mouth_width=x) for x in (0.1, 0.2, 0.3, 0.2, 0.1)])
    assert few.p == 2 / 2**5
    assert (few.lo, few.hi) == (-math.inf, math.inf)


def test_more_patients_are_tested_by_student() -> None:
    random = np.random.default_rng(4)
    before = random.normal(0.5, 0.1, (30, 2))
    after = before + random.normal((0.05, 0.0), 0.08, (30, 2))
    names = ("mouth_width", "nasal_width")
    people = [
        [
            Change(id=n, status=SAME, before=b, after=a, difference=a - b)
            for n, b, a in zip(names, x, y, strict=True)
        ]
        for x, y in zip(before, after, strict=True)
    ]
    for i, test in enumerate(paired(people)):
        scipy = stats.ttest_rel(after[:, i], before[:, i])
        interval = scipy.confidence_interval()
        assert (test.test, test.n, test.left_out) == ("t", 30, 0)
        assert (test.p, test.lo, test.hi) == pytest.approx((scipy.pvalue, interval.low, interval.high))
        d = after[:, i] - before[:, i]
        assert test.g == pytest.approx(d.mean() / d.std(ddof=1) * (1 - 3 / (4 * 29 - 1)))


def test_who_has_no_value_is_left_out_of_a_mean() -> None:
    people = [person(mouth_width=0.1 * i) for i in range(8)]
    people[3] = [Change(id="mouth_width", status=NOT_COMPARED, reason="blurred")]
    people[4] = [replace(people[4][0], status=MOVED)]
    (test,) = paired(people)
    assert (test.n, test.left_out, test.changed, test.moved) == (7, 1, 0, 1)
    assert paired([[Change(id="mouth_width", status=NOT_COMPARED)]] * 3) == []


def test_false_discovery_is_that_of_scipy_and_leaves_out_what_is_not_known() -> None:
    p = np.random.default_rng(5).uniform(0, 0.3, 40)
    assert false_discovery(p) == pytest.approx(stats.false_discovery_control(p))
    gaps = np.insert(p, [3, 10], math.nan)
    assert false_discovery(gaps)[~np.isnan(gaps)] == pytest.approx(stats.false_discovery_control(p))
