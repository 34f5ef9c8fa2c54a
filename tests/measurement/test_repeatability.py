"""How far another photo of a person would give another value: the table, and the intervals made of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from anthropo.face.landmarker import Face, read_face
from anthropo.measurement.compute import Measurement, error_growth, measure_face
from anthropo.measurement.registry import PIXELS, registry
from anthropo.measurement.repeatability import RELIABLE, repeatability
from anthropo.measurement.scale import Scale
from anthropo.photo import Photo


@pytest.fixture(scope="module")
def photo(head: Photo) -> Photo:
    return head


@pytest.fixture(scope="module")
def face(head_face: Face) -> Face:
    """As steady as is usual."""
    return replace(head_face, unsteadiness=0.005)


def by_name(values: list[Measurement]) -> dict[str, Measurement]:
    found: dict[str, Measurement] = {}
    for m in values:
        found.setdefault(m.id, m)
    return found


def test_every_measurement_without_a_scale_has_a_row() -> None:
    assert set(repeatability()) == {name for name, e in registry().items() if not e.needs_mm}
    for name, known in repeatability().items():
        assert 0 < known.photo <= known.sd * 1.0001, name
        assert (
            known.reliability
            == registry()[name].reliability
            == pytest.approx(max(0, 1 - known.sd**2 / known.people**2))
        )
        assert registry()[name].unreliable == (known.reliability < RELIABLE)


def test_lengths_between_fixed_points_are_reliable_and_the_gap_between_lips_is_not() -> None:
    for name in ("intercanthal_width", "interpupillary_distance", "nasal_width", "face_height"):
        assert registry()[name].reliability > 0.8
    assert registry()["lip_gap"].unreliable
    assert math.isnan(registry()["biocular_width"].reliability)
    assert not registry()["biocular_width"].unreliable


def test_a_steady_straight_photo_repeats_as_the_table_says(face: Face, photo: Photo) -> None:
    found = by_name(measure_face(face, photo))
    assert error_growth(face) == pytest.approx(1)
    for name, known in repeatability().items():
        m = found[name]
        if math.isnan(m.value) or registry()[name].kind in PIXELS:
            continue
        # but for what is not known of the distance
        assert known.within("fine") <= m.repeat_sd * 1.0001
        assert m.repeat_sd < 1.6 * known.sd, name


def test_another_photo_differs_less_than_hands_do(face: Face) -> None:
    found = [m for m in measure_face(face) if not math.isnan(m.lo) and registry()[m.id].kind == "distance"]
    narrower = [1.959964 * m.repeat_sd < m.hi - m.value for m in found]
    assert np.mean(narrower) > 0.9
    for m in found:
        assert m.repeat_lo < m.value < m.repeat_hi
        assert m.repeat_lo >= 0


def test_colours_have_the_error_of_light_in_both_intervals(face: Face, photo: Photo) -> None:
    found = by_name(measure_face(face, photo))
    light = [m for name, m in found.items() if name.endswith("lightness_R") and not math.isnan(m.value)]
    assert light
    for m in light:
        assert m.hi - m.value == pytest.approx(1.959964 * m.repeat_sd)
        assert m.repeat_sd > 3  # a third of a stop


def test_unsteady_landmarks_and_a_turned_head_repeat_worse(face: Face) -> None:
    usual = by_name(measure_face(face))
    restless = by_name(measure_face(replace(face, unsteadiness=0.02)))
    turned = by_name(measure_face(replace(face, yaw=12.0)))
    name = "intercanthal_width"
    growth = error_growth(replace(face, unsteadiness=0.02))
    assert 1.5 < restless[name].repeat_sd / usual[name].repeat_sd <= growth
    assert turned["nasal_deviation"].repeat_sd > 1.2 * usual["nasal_deviation"].repeat_sd
    assert turned[name].repeat_sd < 1.05 * usual[name].repeat_sd  # it shrinks with its ruler


def test_millimetres_repeat_as_their_length_does_and_with_the_error_of_the_scale(face: Face) -> None:
    exact = measure_face(face, scale=Scale(0.35, 0.0, "Declared."))
    vague = measure_face(face, scale=Scale(0.35, 0.02, "Declared."))
    free, mm = (next(m for m in exact if (m.id, m.unit) == ("mouth_width", unit)) for unit in ("ex-ex", "mm"))
    assert mm.repeat_sd / mm.value == pytest.approx(free.repeat_sd / free.value, rel=0.02)
    rough = next(m for m in vague if (m.id, m.unit) == ("mouth_width", "mm"))
    assert rough.repeat_sd == pytest.approx(math.hypot(mm.repeat_sd, 0.02 * mm.value), rel=1e-3)
    wide = next(m for m in exact if m.id == "biocular_width")  # in no table: from the landmarks' error
    assert 0 < 1.959964 * wide.repeat_sd < wide.hi - wide.value


def test_landmarks_of_the_first_stage_alone_repeat_worse_at_the_canthi(face: Face, photo: Photo) -> None:
    rough = replace(read_face(photo, jitter=4), gate=(), yaw=0.0, pitch=0.0, unsteadiness=0.005)
    name = "intercanthal_width"
    assert by_name(measure_face(rough))[name].repeat_sd > 1.1 * by_name(measure_face(face))[name].repeat_sd
