"""A face measured so that another photograph can be compared with it."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from anthropo.face.gate import Check
from anthropo.face.landmarker import Face
from anthropo.measurement.compute import measure_face
from anthropo.measurement.registry import registry
from anthropo.measurement.repeatability import repeatability
from anthropo.measurement.retest import is_lid, moved_by_expression, pose_variance, retests
from anthropo.photo import Photo


def failing(face: Face, *names: str) -> Face:
    """The face with a gate that fails these checks."""
    return replace(face, gate=tuple(Check(n, 9.0, 1.0, "max", "1", False, "do otherwise") for n in names))


def test_a_face_that_passes_is_measured_as_ever(head_face: Face) -> None:
    ever = {m.id: m for m in measure_face(head_face)}
    for name, one in retests(head_face).items():
        assert one.doubts == ()
        np.testing.assert_equal(asdict(one.measurement), asdict(ever[name]))


def test_what_a_smile_and_a_turned_head_void_is_kept_with_the_doubt(head_face: Face) -> None:
    plain = retests(head_face)
    smiling, turned = retests(failing(head_face, "smile", "mouth_open")), retests(failing(head_face, "yaw"))
    for name in ("mouth_width", "palpebral_fissure_height_R", "nasal_width"):
        assert smiling[name].measurement.value == plain[name].measurement.value
        assert "smile" in [check.name for check in smiling[name].doubts]
        # a smile is no snapshot: its error is not that of photos from the web
        assert smiling[name].measurement.repeat_sd == plain[name].measurement.repeat_sd
    length = turned["palpebral_fissure_length_R"]
    assert [check.name for check in length.doubts] == ["yaw"]
    assert length.measurement.value == plain["palpebral_fissure_length_R"].measurement.value
    assert length.measurement.repeat_sd > 1.5 * plain["palpebral_fissure_length_R"].measurement.repeat_sd


@pytest.mark.parametrize("check", ["sharpness", "eye_pixels", "glasses"])
def test_what_a_photo_cannot_show_stays_void(head_face: Face, check: str) -> None:
    spoiled = retests(failing(head_face, "smile", check))
    for name, one in spoiled.items():
        if check in registry()[name].voids:
            assert math.isnan(one.measurement.value)
            assert check in one.measurement.reason or "needs" in one.measurement.reason
    assert math.isfinite(spoiled["mouth_width"].measurement.value)


def test_a_closed_eye_tells_of_its_lids_alone(head_face: Face) -> None:
    shut = retests(failing(head_face, "eyes_closed"))
    for side in "RL":
        assert math.isfinite(shut[f"palpebral_fissure_height_{side}"].measurement.value)
        for name in (f"palpebral_fissure_length_{side}", f"mrd1_{side}"):
            assert math.isnan(shut[name].measurement.value)
            assert "eyes_closed" in shut[name].measurement.reason
    assert (
        shut["mouth_width"].measurement.repeat_sd == retests(head_face)["mouth_width"].measurement.repeat_sd
    )


def test_a_still_face_differs_less_than_photos_of_one_state(head_face: Face, head: Photo) -> None:
    for name, one in retests(head_face, head).items():
        if name in repeatability() and math.isfinite(one.still):
            assert 0 < one.still <= one.measurement.repeat_sd
    assert math.isnan(retests(replace(head_face, anatomy={}))["mouth_width"].still)


def test_kinds_of_what_is_measured() -> None:
    assert all(
        moved_by_expression(registry()[n]) for n in ("mouth_width", "brow_height_R", "mrd1_L", "nasal_width")
    )
    assert not any(
        moved_by_expression(registry()[n])
        for n in ("intercanthal_width", "palpebral_fissure_length_R", "bizygomatic_width", "orbital_dystopia")
    )
    lids = {name for name, entry in registry().items() if is_lid(entry)}
    assert {"palpebral_fissure_height_R", "mrd2_L", "eye_area_L", "eye_aspect_ratio_R"} <= lids
    assert "palpebral_fissure_length_R" not in lids


def test_poses_that_differ_are_error() -> None:
    entries = [registry()[n] for n in ("nasal_height", "asymmetry_cheek_width", "mouth_canthal_cant")]
    alike, more = pose_variance(entries, (3.0, 4.0), (3.0, 4.0))
    nodded, more_nodded = pose_variance(entries, (3.0, 4.0), (3.0, -6.0))
    turned, more_turned = pose_variance(entries, (5.0, 0.0), (-5.0, 0.0))
    assert (more == 0).all()
    assert nodded[0] > 50 * alike[0]
    assert 0 < more_nodded[0] < nodded[0]
    assert turned[1] > 50 * alike[1]
    assert 0 < more_turned[1] < turned[1]
