"""The interval of what is measured at a point that a hand has placed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import anthropo
from anthropo.face.landmarker import Face
from anthropo.measurement import anatomy
from anthropo.measurement.compute import error_growth


@pytest.fixture(scope="module")
def face() -> Face:
    return anthropo.read_face(anthropo.example_photo())


def placed(face: Face, *names: str) -> Face:
    """The face with points put by hand where they were found."""
    points, middle = anatomy.place(face)
    return replace(
        face,
        by_hand={
            name: middle[anatomy.BETWEEN.index(name)] if name in anatomy.BETWEEN else points[int(name[1:])]
            for name in names
        },
    )


def test_errors_of_a_placed_point_are_a_hands_whatever_the_photo(face: Face) -> None:
    kind = anatomy.instrument(anatomy.stage_of(face))
    for growth in (1.0, 3.0):
        points, middle = anatomy.errors_of(placed(face, "p8", "pL"), kind, growth)
        assert np.sqrt((points[:, 8] ** 2).mean()) == pytest.approx(anatomy.HAND)
        assert np.sqrt((middle[:, 1] ** 2).mean()) == pytest.approx(anatomy.HAND)
        assert np.array_equal(np.delete(points, 8, 1), np.delete(kind.point_errors, 8, 1) * growth)
    untouched, _ = anatomy.errors_of(face, kind, 1.0)
    assert np.array_equal(untouched, kind.point_errors)


def test_what_a_machine_finds_badly_has_a_narrower_interval_by_hand(face: Face) -> None:
    def half(face: Face, name: str) -> float:
        (m,) = (m for m in anthropo.measure_face(face) if m.id == name)
        return m.hi - m.lo

    jaw = half(face, "bigonial_width")
    assert half(placed(face, "p4", "p12"), "bigonial_width") < 0.8 * jaw
    assert half(placed(face, "p39"), "bigonial_width") == pytest.approx(
        jaw, rel=0.02
    )  # which does not rest on it
    shaken = replace(face, unsteadiness=6 * face.unsteadiness)
    assert error_growth(shaken) > error_growth(face)
    by_hand = placed(shaken, "p36", "p39", "p42", "p45")
    assert half(by_hand, "intercanthal_width") < half(shaken, "intercanthal_width")


def test_repeatability_is_not_touched(face: Face) -> None:
    before = {m.id: m.repeat_sd for m in anthropo.measure_face(face)}
    after = {m.id: m.repeat_sd for m in anthropo.measure_face(placed(face, "p39", "p42"))}
    assert after["intercanthal_width"] == pytest.approx(before["intercanthal_width"], rel=0.02)
