"""The correction from the 68-point scheme to anthropometric landmarks, and its error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anthropo.face.frame import face_axes
from anthropo.face.pose import generic_face
from anthropo.face.scheme import LANDMARKS, MIRROR
from anthropo.measurement import anatomy
from anthropo.measurement.anatomy import BETWEEN, Correction, Stage, apply, between, instrument, mirror

Floats = NDArray[np.float64]
STAGES: tuple[Stage, ...] = ("first", "fine")
SWAPPED = [BETWEEN.index(code[:-1] + {"R": "L", "L": "R"}[code[-1]]) for code in BETWEEN]

faces = st.integers(0, 10**6).map(
    lambda seed: 200 * generic_face()[:, :2] + np.random.default_rng(seed).normal(0, 5, (68, 2))
)
corrections = st.integers(0, 10**6).map(
    lambda seed: Correction(
        np.random.default_rng(seed).normal(0, 0.03, (68, 2)),
        np.random.default_rng(seed + 1).normal(0, 0.03, (6, 2)),
        frozenset(range(68)),
    )
)
DIRECT_CODES = ("pR", "psL", "enR", "exL", "sn")
directs = st.integers(0, 10**6).map(
    lambda seed: dict(zip(DIRECT_CODES, np.random.default_rng(seed).normal(0, 100, (5, 2)), strict=True))
)
shown = settings(max_examples=25, deadline=None)


def test_the_frame_is_the_eye_line_and_what_is_below_it() -> None:
    points = np.zeros((68, 2))
    points[36], points[45] = (10, 50), (110, 50)
    np.testing.assert_allclose(face_axes(points), [[100, 0], [0, 100]])
    points[45] = 10, 150  # a face lying on its side, its top at the photo's right
    np.testing.assert_allclose(face_axes(points), [[0, 100], [-100, 0]])


@given(faces, corrections, directs, st.floats(-180, 180), st.floats(0.05, 20), st.floats(-999, 999))
@shown
def test_shift_roll_and_size_carry_over(
    face: Floats, correction: Correction, direct: dict[str, Floats], degrees: float, size: float, shift: float
) -> None:
    a = np.radians(degrees)
    turn = size * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])

    def move(points: Floats) -> Floats:
        return points @ turn.T + [shift, -2 * shift]

    points, middle = apply(correction, face, direct)
    moved = apply(correction, move(face), {code: move(at) for code, at in direct.items()})
    np.testing.assert_allclose(moved[0], move(points), atol=1e-6 * max(1, size))
    np.testing.assert_allclose(moved[1], move(middle), atol=1e-6 * max(1, size))


@given(faces, corrections)
@shown
def test_a_mirrored_face_is_corrected_by_the_mirrored_offsets(face: Floats, correction: Correction) -> None:
    def flip(points: Floats) -> Floats:
        return points * [-1, 1] + [640, 0]

    points, middle = apply(correction, face, {})
    turned = replace(
        correction,
        **dict(zip(("points", "between"), mirror(correction.points, correction.between), strict=True)),
    )
    other, other_middle = apply(turned, flip(face)[MIRROR], {})
    np.testing.assert_allclose(other, flip(points)[MIRROR], atol=1e-9)
    np.testing.assert_allclose(other_middle, flip(middle)[SWAPPED], atol=1e-9)


@given(corrections)
@shown
def test_mirroring_twice_changes_nothing(correction: Correction) -> None:
    twice = mirror(*mirror(correction.points, correction.between))
    np.testing.assert_array_equal(twice[0], correction.points)
    np.testing.assert_array_equal(twice[1], correction.between)
    stacked = np.stack([correction.points, 2 * correction.points])
    np.testing.assert_array_equal(
        mirror(stacked, np.zeros((2, 6, 2)))[0][1], 2 * mirror(*_both(correction))[0]
    )


def _both(correction: Correction) -> tuple[Floats, Floats]:
    return correction.points, correction.between


@given(faces)
@shown
def test_no_correction_leaves_the_scheme_as_it_is(face: Floats) -> None:
    none = Correction(np.zeros((68, 2)), np.zeros((6, 2)), frozenset())
    points, middle = apply(none, face, {})
    np.testing.assert_array_equal(points, face)
    np.testing.assert_array_equal(middle, between(face))
    for code, at in zip(BETWEEN, middle, strict=True):
        np.testing.assert_allclose(at, face[list(LANDMARKS[code])].mean(0))


def test_an_offset_is_a_fraction_of_the_outer_canthal_distance_towards_the_subjects_left() -> None:
    face = 200 * generic_face()[:, :2]
    offsets = np.zeros((68, 2))
    offsets[33] = 0.05, 0.1
    unit = np.linalg.norm(face[45] - face[36])
    points, _ = apply(Correction(offsets, np.zeros((6, 2)), frozenset({33})), face, {})
    right_to_left = (face[45] - face[36]) / unit
    moved = points - face
    assert moved[33] @ right_to_left == pytest.approx(0.05 * unit)
    assert moved[33, 1] > 0
    assert np.linalg.norm(moved[33]) == pytest.approx(np.hypot(0.05, 0.1) * unit)
    assert not np.delete(moved, 33, axis=0).any()


@pytest.mark.parametrize("code", ["pR", "psL", "piR", "enR", "enL", "exL", "chR", "cphL", "sn", "alL", "ls"])
def test_direct_predictions_have_their_share(code: str) -> None:
    face = 200 * generic_face()[:, :2]
    at = np.array([11.0, -7.0])
    share = anatomy.direct_share(code)
    assert 0 <= share <= 1
    assert share == anatomy.direct_share(code.replace("R", "L"))
    correction = instrument("fine").correction
    (plain, plain_middle), (points, middle) = (apply(correction, face, d) for d in ({}, {code: at}))
    if code in BETWEEN:
        i = BETWEEN.index(code)
        np.testing.assert_allclose(middle[i], (1 - share) * plain_middle[i] + share * at)
        np.testing.assert_array_equal(points, plain)
    else:
        (i,) = LANDMARKS[code]
        np.testing.assert_allclose(points[i], (1 - share) * plain[i] + share * at)
        np.testing.assert_array_equal(middle, plain_middle)
        assert (points != plain).any(1).sum() <= 1


def test_points_are_not_changed_in_place() -> None:
    face = 200 * generic_face()[:, :2]
    before = face.copy()
    apply(instrument("fine").correction, face, {"enR": np.zeros(2), "pR": np.zeros(2)})
    np.testing.assert_array_equal(face, before)


# ---------------------------------------------------------------------------------- what ships


@pytest.mark.parametrize("stage", STAGES)
def test_the_shipped_correction_favours_no_side(stage: Stage) -> None:
    correction = instrument(stage).correction
    points, middle = mirror(correction.points, correction.between)
    np.testing.assert_allclose(points, correction.points, atol=2e-5)
    np.testing.assert_allclose(middle, correction.between, atol=2e-5)
    assert {int(MIRROR[i]) for i in correction.corrected} == correction.corrected


@pytest.mark.parametrize("stage", STAGES)
def test_the_shipped_correction_does_what_is_known_of_the_scheme(stage: Stage) -> None:
    correction = instrument(stage).correction
    assert np.isfinite(correction.points).all()
    assert np.linalg.norm(correction.points, axis=1).max() < 0.15
    assert {36, 39, 42, 45, 31, 35, 33, 48, 54} <= correction.corrected
    unknown = sorted(set(range(68)) - correction.corrected)
    assert not correction.points[unknown].any()
    # inner canthi lie too far lateral, alae are the nostrils' edges: too far medial
    assert correction.points[39, 0] > 0 > correction.points[42, 0]
    assert correction.points[35, 0] > 0 > correction.points[31, 0]


@pytest.mark.parametrize("stage", STAGES)
def test_the_shipped_errors_have_little_bias_and_favour_no_side(stage: Stage) -> None:
    known = instrument(stage)
    errors, middle = known.point_errors, known.between_errors
    n = len(errors)
    assert n >= 50
    assert errors.shape == (n, 68, 2)
    assert middle.shape == (n, 6, 2)
    for bank in (errors, middle):
        assert np.isfinite(bank).all()
        mean, spread = bank.mean(0), bank.std(0)
        # studios differ by some bias, which stays in; it has both signs
        assert np.abs(mean).max() < 0.015
        assert (np.abs(mean) <= 0.7 * spread).all()
        assert spread.max() < 0.06
    # outline points, for which nothing is corrected, differ by what chance leaves
    for mirrored, bank in zip(mirror(errors, middle), (errors, middle), strict=True):
        np.testing.assert_allclose(mirrored.std(0), bank.std(0), rtol=0.2, atol=1e-3)
    corrected = sorted(known.correction.corrected)
    assert (errors[:, corrected].std(0) > 0).all()
    assert 0.004 < np.median(errors[:, corrected].std(0)) < 0.03


def test_the_fine_stage_errs_less_at_the_eyes() -> None:
    first, fine = (instrument(stage) for stage in STAGES)
    assert fine.between_errors.std() < first.between_errors.std()
    assert fine.point_errors[:, [39, 42]].std() < first.point_errors[:, [39, 42]].std()


def test_axes_of_many_errors_at_once() -> None:
    """As the intervals use them: residuals in the frame, laid onto a face."""
    face = 200 * generic_face()[:, :2]
    errors = instrument("first").point_errors
    laid = errors @ face_axes(face)
    unit = np.linalg.norm(face[45] - face[36])
    np.testing.assert_allclose(
        np.linalg.norm(laid, axis=-1), unit * np.linalg.norm(errors, axis=-1), rtol=1e-6
    )
