"""Measurements from another distance than the reference: brought back, and less certain."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from conftest import Pixels
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropo.face.frame import Floats
from anthropo.face.landmarker import Face, read_face
from anthropo.face.lens import AT_REFERENCE, REFERENCE, Distance, depths, face_size, project
from anthropo.face.pose import generic_face
from anthropo.face.scheme import MIRROR
from anthropo.measurement import anatomy
from anthropo.measurement.compute import Measurement, evaluate, geometry, measure_face
from anthropo.measurement.perspective import bring, head_spread, lags, lens_variance
from anthropo.measurement.scale import Scale
from anthropo.photo import Photo

ADULT = face_size(30.0)
FREE = [e for e in geometry() if not e.needs_mm]
AHEAD = np.eye(3)


def at(cm: float, rel_sd: float = 0.0) -> Distance:
    return Distance(cm, rel_sd, "declared", *ADULT)


@pytest.fixture(scope="module")
def face(astronaut: Pixels) -> Face:
    return read_face(Photo.from_array(astronaut), jitter=2)


def measured(
    face: Face, distance: Distance, scale: Scale | None = None
) -> dict[tuple[str, str], Measurement]:
    values = measure_face(replace(face, distance=distance, gate=()), scale=scale)
    return {(m.id, m.unit): m for m in values if math.isfinite(m.value)}


def seen_from(cm: float, *, scale: float = 100.0, lagging: bool = True) -> tuple[Floats, Floats]:
    """The generic face with the mean head's depths, as its landmarks are found in a photo."""
    flat = scale * project(generic_face()[:, :2], depths(), ADULT[0] / cm)
    unit = np.hypot(*(flat[45] - flat[36]))
    everything = np.concatenate([flat, anatomy.between(flat)])
    if lagging:
        everything = everything + unit * (ADULT[0] / cm - ADULT[0] / REFERENCE) * lags()
    return everything[:68], everything[68:]


# ----------------------------------------------------------------------------------- values


def test_at_the_reference_distance_nothing_changes(face: Face) -> None:
    unknown, exact = measured(face, Distance()), measured(face, AT_REFERENCE)
    assert {key: m.value for key, m in unknown.items()} == {key: m.value for key, m in exact.items()}
    points, between = anatomy.place(face)
    seen = bring(points, between, at(REFERENCE), AHEAD)
    assert all(np.array_equal(row, points) for row in seen.points)
    assert np.array_equal(
        lens_variance(evaluate(seen.points, FREE), seen, head_spread(FREE)), np.zeros(len(FREE))
    )


def test_what_is_not_known_widens_and_what_is_declared_widens_less(face: Face) -> None:
    exact, declared, unknown = (measured(face, d) for d in (at(REFERENCE), at(REFERENCE, 0.05), Distance()))
    for key, m in exact.items():
        assert m.hi - m.lo <= declared[key].hi - declared[key].lo <= unknown[key].hi - unknown[key].lo + 1e-12
    face_width = ("bizygomatic_width", "ex-ex")
    wider = [(m[face_width].hi - m[face_width].lo) / (exact[face_width].hi - exact[face_width].lo)
             for m in (declared, unknown)]  # fmt: skip
    assert wider[0] == pytest.approx(1, abs=0.01)
    assert 1.02 < wider[1] < 1.5


def test_the_nearer_a_photo_was_taken_the_more_is_taken_off_and_the_less_is_known(face: Face) -> None:
    row = [measured(face, at(cm, 0.05)) for cm in (150, 100, 60, 40, 25, 15)]
    for name, unit in (("bizygomatic_width", "ex-ex"), ("fwhr", "1"), ("mandibular_contour_angle", "deg")):
        values = [m[name, unit].value for m in row]
        assert values == sorted(values), name  # nearness makes them smaller
        widths = [m[name, unit].hi - m[name, unit].lo for m in row]
        assert widths == sorted(widths), name
    for name in ("nasal_width", "philtrum_length", "mouth_width", "interpupillary_distance"):
        values = [m[name, "ex-ex"].value for m in row]
        assert values == sorted(values, reverse=True), name


def test_a_face_that_lags_as_landmarks_do_is_brought_back_exactly() -> None:
    far = evaluate(seen_from(REFERENCE)[0], FREE)
    for cm in (15, 30, 60, 300):
        points, between = seen_from(cm)
        back = evaluate(bring(points, between, at(cm), AHEAD).points[0], FREE)
        assert np.allclose(back, far, rtol=0.01, atol=0.01)
        raw = evaluate(points, FREE)
        nose = next(i for i, e in enumerate(FREE) if e.id == "bizygomatic_width")
        assert abs(raw[nose] - far[nose]) > 5 * abs(back[nose] - far[nose])


def test_the_interval_holds_where_landmarks_follow_all_the_way() -> None:
    far = evaluate(seen_from(REFERENCE)[0], FREE)
    for cm in (15, 30, 60):
        points, between = seen_from(cm, lagging=False)
        seen = bring(points, between, at(cm), AHEAD)
        values = evaluate(seen.points, FREE)
        off = np.abs(values[0] - far)
        assert (off <= 1.96 * np.sqrt(lens_variance(values, seen, head_spread(FREE))) + 1e-9).all()


def test_points_that_were_placed_by_hand_do_not_lag() -> None:
    far = seen_from(REFERENCE)[0]
    points, between = seen_from(25, lagging=False)
    names = [f"p{i}" for i in range(68)]
    seen = bring(points, between, at(25), AHEAD, by_hand=names)
    assert np.allclose(evaluate(seen.points[0], FREE), evaluate(far, FREE), rtol=1e-6, atol=1e-6)
    assert np.array_equal(seen.points[0], seen.points[-1])


@settings(max_examples=25, deadline=None)
@given(
    cm=st.floats(15, 400),
    degrees=st.floats(-180, 180),
    scale=st.floats(0.2, 5),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_place_size_and_roll_in_the_photo_do_not_matter(
    cm: float, degrees: float, scale: float, shift: tuple[float, float]
) -> None:
    points, between = seen_from(cm)
    points = points + np.random.default_rng(3).normal(size=points.shape)  # not symmetric
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    moved = [p @ np.array([[c, s], [-s, c]]) + shift for p in (points, between)]
    plain, other = (bring(*at_, at(cm, 0.05), AHEAD) for at_ in ((points, between), moved))
    assert np.allclose(evaluate(plain.points, FREE), evaluate(other.points, FREE), rtol=1e-6, atol=1e-6)
    assert np.allclose(plain.scale, other.scale)


@settings(max_examples=25, deadline=None)
@given(cm=st.floats(15, 400), yaw=st.floats(-10, 10))
def test_a_mirrored_photo_gives_mirrored_points(cm: float, yaw: float) -> None:
    from anthropo.face.pose import rotation

    points, between = seen_from(cm)
    points = points + np.random.default_rng(4).normal(size=points.shape)
    plain = bring(points, between, at(cm), rotation(yaw, 3.0, 0.0))
    mirrored = bring(*anatomy.mirror(points, between), at(cm), rotation(-yaw, 3.0, 0.0))
    assert np.allclose(mirrored.points[0], plain.points[0][MIRROR] * [-1, 1], atol=1e-6)
    assert np.allclose(mirrored.between[0], anatomy.mirror(plain.points[0], plain.between[0])[1], atol=1e-6)


# ----------------------------------------------------------------------------------- the interval


def test_every_measurement_has_a_spread_between_heads() -> None:
    spread = head_spread(geometry())
    assert np.isfinite(spread).all()
    assert (spread > 0).all()


# ----------------------------------------------------------------------------------- millimetres


def test_millimetres_are_those_at_the_depth_of_the_eyes(face: Face) -> None:
    """A pupil distance is declared, so that millimetres per pixel are known where the pupils are."""
    far_points, far_between = seen_from(REFERENCE)
    pupils = [0, 1]  # of BETWEEN
    for cm in (25, 60, 300):
        points, between = seen_from(cm)
        seen = bring(points, between, at(cm), AHEAD)
        k = 63.0 / np.hypot(*np.subtract(*between[pupils])) * seen.scale[0]
        k_far = 63.0 / np.hypot(*np.subtract(*far_between[pupils]))
        for a, b in ((36, 45), (31, 35), (48, 54), (4, 12), (27, 8)):
            here = k * np.hypot(*(seen.points[0][a] - seen.points[0][b]))
            there = k_far * np.hypot(*(far_points[a] - far_points[b]))
            assert here == pytest.approx(there, rel=0.015)  # the pupils' own lag is in the scale


def test_a_sticker_of_unknown_depth_is_worth_less_from_near(face: Face) -> None:
    deep, level = (Scale(0.5, 0.0, "", (), sd) for sd in (0.25, 0.0))
    key = ("mouth_width", "mm")
    for cm, widened in ((25, True), (150, False)):
        wide, narrow = (m[key].hi - m[key].lo for m in (measured(face, at(cm), s) for s in (deep, level)))
        assert (wide > 1.001 * narrow) is widened


def test_an_exact_reference_distance_leaves_millimetres_alone(face: Face) -> None:
    scale = Scale(0.5, 0.02, "")
    exact, unknown = measured(face, at(REFERENCE), scale), measured(face, Distance(), scale)
    for key, m in exact.items():
        assert m.value == pytest.approx(unknown[key].value)
