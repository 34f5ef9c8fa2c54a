"""From a face to measurements: intervals, millimetres, and what is void."""

from __future__ import annotations

import math
from dataclasses import astuple, replace

import numpy as np
import pytest

import anthropo
from anthropo.face.frame import Floats
from anthropo.face.gate import Check
from anthropo.face.landmarker import Face, read_face
from anthropo.face.scheme import MIRROR
from anthropo.measurement.anatomy import instrument
from anthropo.measurement.compute import Measurement, doubted, error_growth, evaluate, measure_face
from anthropo.measurement.pooling import pool
from anthropo.measurement.registry import NEEDS_MM, PIXELS, registry
from anthropo.measurement.scale import Scale, ScaleError, parse_scale
from anthropo.photo import Photo

MM = Scale(0.35, 0.0, "Declared.")
LENGTHS = [name for name, e in registry().items() if e.unit == "ex-ex" and e.kind == "distance"]
AREAS = [name for name, e in registry().items() if e.unit == "ex-ex²"]


@pytest.fixture(scope="module")
def photo(head: Photo) -> Photo:
    return head


@pytest.fixture(scope="module")
def face(head_face: Face) -> Face:
    """Steady."""
    return replace(head_face, unsteadiness=0.0045)


def scale_free(values: list[Measurement]) -> dict[str, Measurement]:
    """By id; of two units the first."""
    found: dict[str, Measurement] = {}
    for m in values:
        found.setdefault(m.id, m)
    return found


def in_mm(values: list[Measurement]) -> dict[str, Measurement]:
    return {m.id: m for m in values if m.unit in ("mm", "mm²")}


def width(m: Measurement) -> float:
    return m.hi - m.lo


# ----------------------------------------------------------------------------------- intervals


def test_every_value_lies_inside_its_interval(face: Face, photo: Photo) -> None:
    values = measure_face(face, photo, scale=MM)
    assert list(dict.fromkeys(m.id for m in values)) == list(registry())
    have = [m for m in values if not math.isnan(m.value)]
    assert len(have) > 100
    for m in have:
        assert m.lo < m.value < m.hi, m.id
        assert (m.reason, m.side) == ("", registry()[m.id].side)
    for m in values:
        assert math.isnan(m.value) == (m.reason != "")
        if math.isnan(m.value):
            assert math.isnan(m.lo)
            assert math.isnan(m.hi)


def test_a_length_or_area_is_never_below_zero(face: Face) -> None:
    restless = measure_face(replace(face, unsteadiness=0.07))
    at_zero = [m for m in restless if m.lo == 0]
    assert at_zero
    for m in restless:
        if registry()[m.id].kind in ("distance", "area") and m.value >= 0:
            assert m.lo >= 0, m.id


def test_intervals_grow_with_the_unsteadiness_of_the_landmarks(face: Face) -> None:
    steady, usual, restless = (
        scale_free(measure_face(replace(face, unsteadiness=u))) for u in (0.002, 0.0045, 0.02)
    )
    for name in LENGTHS:
        assert steady[name].value == usual[name].value == restless[name].value
        assert steady[name].hi < usual[name].hi < restless[name].hi, name
        assert steady[name].lo >= usual[name].lo >= restless[name].lo, name
    growth = [error_growth(replace(face, unsteadiness=u)) for u in (0.0, 0.002, 0.0045, 0.02, 9.0)]
    assert growth == sorted(growth)
    assert 0.5 < growth[0] < growth[2] < growth[3] < growth[-1] < 10


def test_intervals_grow_with_the_turn_of_the_head(face: Face) -> None:
    straight = scale_free(measure_face(face))
    for pose in ({"yaw": 12.0}, {"yaw": -12.0}):
        turned = scale_free(measure_face(replace(face, **pose)))
        for name in ("palpebral_fissure_length_R", "palpebral_fissure_length_L", "intercanthal_width"):
            assert turned[name].value == straight[name].value
        for side in "RL":
            name = f"palpebral_fissure_length_{side}"
            assert width(turned[name]) > 1.02 * width(straight[name])
        assert width(turned["asymmetry_palpebral_fissure_length"]) > 1.1 * width(
            straight["asymmetry_palpebral_fissure_length"]
        )
    up = scale_free(measure_face(replace(face, pitch=14.0)))
    for name in ("palpebral_inclination_R", "philtrum_length", "lower_face_height"):
        assert width(up[name]) > width(straight[name])


def test_an_instrument_with_larger_errors_has_wider_intervals(face: Face) -> None:
    known = instrument("fine")
    worse = replace(known, point_errors=3 * known.point_errors, between_errors=3 * known.between_errors)
    none = replace(known, point_errors=0 * known.point_errors, between_errors=0 * known.between_errors)
    usual, wide, narrow = (scale_free(measure_face(face, instrument=i)) for i in (known, worse, none))
    for name in LENGTHS:
        assert usual[name].value == wide[name].value == narrow[name].value
        assert width(narrow[name]) < width(usual[name]) < width(wide[name]), name


def test_mirroring_the_landmarks_swaps_the_intervals(face: Face) -> None:
    """The residuals of real faces favour no side, nor does the generic face."""

    def flip(points: Floats) -> Floats:
        return points * [-1, 1] + [face.size[0] - 1, 0]

    swap = {"R": "L", "L": "R"}
    mirrored = replace(
        face,
        landmarks=flip(face.landmarks)[MIRROR],
        samples=flip(face.samples)[:, MIRROR],
        anatomy={
            code[:-1] + swap[code[-1]] if code[-1] in swap else code: flip(at)
            for code, at in face.anatomy.items()
        },
    )
    before, after = scale_free(measure_face(face)), scale_free(measure_face(mirrored))
    for name, m in before.items():
        entry = registry()[name]
        if entry.kind in PIXELS or entry.needs_mm:
            continue
        twin = after[name[:-1] + swap[entry.side] if entry.side in swap else name]
        if entry.side in swap or entry.kind in ("distance", "area"):
            # offsets are rounded to five digits
            assert twin.value == pytest.approx(m.value, rel=1e-3, abs=1e-4), name
            assert width(twin) == pytest.approx(width(m), rel=0.3), name


# --------------------------------------------------------------------------------- millimetres


def test_millimetres_are_the_ruler_times_the_fraction(face: Face) -> None:
    values = measure_face(face, scale=MM)
    free, mm = scale_free(values), in_mm(values)
    ruler = mm["biocular_width"].value
    assert {name for name in mm if registry()[name].unit == "ex-ex"} == {
        name for name, e in registry().items() if e.unit == "ex-ex"
    }
    for name in LENGTHS:
        assert mm[name].unit == "mm"
        assert mm[name].value == pytest.approx(free[name].value * ruler, rel=1e-9)
    assert AREAS
    for name in AREAS:
        assert mm[name].unit == "mm²"
        assert mm[name].value == pytest.approx(free[name].value * ruler**2, rel=1e-9)
    assert {m.id for m in values} == set(free)
    places = [m.id for m in values]
    for name in mm:
        if registry()[name].power:  # the same again, right behind
            assert places[places.index(name) + 1] == name


def test_a_scale_changes_nothing_that_needs_none(face: Face, photo: Photo) -> None:
    with_scale = scale_free(measure_face(face, photo, scale=replace(MM, rel_sd=0.1)))
    for name, m in scale_free(measure_face(face, photo)).items():
        if not registry()[name].needs_mm:
            assert repr(astuple(with_scale[name])) == repr(astuple(m))  # NaN is no NaN


def test_without_a_scale_there_are_no_millimetres(face: Face, photo: Photo) -> None:
    values = measure_face(face, photo)
    assert len(values) == len(registry())
    for m in values:
        if registry()[m.id].needs_mm:
            assert math.isnan(m.value)
            assert m.reason == NEEDS_MM
    assert not [m for m in in_mm(values).values() if not math.isnan(m.value)]


def test_the_scales_error_widens_millimetres_only(face: Face) -> None:
    exact, rough = (measure_face(face, scale=replace(MM, rel_sd=sd)) for sd in (0.0, 0.1))
    for name, m in in_mm(exact).items():
        wider = in_mm(rough)[name]
        assert wider.value == m.value
        if registry()[name].kind == "asymmetry":
            assert width(wider) >= width(m)
        else:
            assert width(wider) > width(m), name
    wide, sure = in_mm(rough)["biocular_width"], in_mm(exact)["biocular_width"]
    half = math.hypot(width(sure) / 2, 1.959964 * 0.1 * sure.value)
    assert width(wide) / 2 == pytest.approx(half)
    # an area's relative error is twice that of a length
    name = "eye_area_R"
    wide, sure = in_mm(rough)[name], in_mm(exact)[name]
    assert wide.hi - wide.value == pytest.approx(
        math.hypot(sure.hi - sure.value, 1.959964 * 0.2 * sure.value)
    )


def test_half_the_millimetres_per_pixel_are_half_the_lengths(face: Face) -> None:
    one, half = (in_mm(measure_face(face, scale=replace(MM, mm_per_px=k))) for k in (0.4, 0.2))
    for name, m in one.items():
        power = 2 if m.unit == "mm²" else 1
        assert half[name].value == pytest.approx(m.value / 2**power)
        assert half[name].hi == pytest.approx(m.hi / 2**power)


# ----------------------------------------------------------------------------------------- void


def failing(name: str = "smile", value: float = 0.6573, limit: float = 0.41) -> Check:
    return Check(name, value, limit, "max", "ex-ex", False, "keep a neutral expression")


def test_a_voided_value_is_missing_with_check_value_and_limit(face: Face, photo: Photo) -> None:
    voided = scale_free(measure_face(replace(face, gate=(failing(),)), photo, scale=MM))
    for name, entry in registry().items():
        if "smile" in entry.voids:
            assert np.isnan([voided[name].value, voided[name].lo, voided[name].hi]).all()
            assert voided[name].reason == (
                "voided by the photo gate: smile 0.657 (limit 0.41; keep a neutral expression)"
            )
        else:
            assert "gate" not in voided[name].reason
    assert math.isnan(in_mm(measure_face(replace(face, gate=(failing(),)), scale=MM))["mouth_width"].value)


def test_every_check_that_failed_is_named(face: Face) -> None:
    gate = (failing(), failing("yaw", 12.0, 5.0), replace(failing("glasses"), ok=True))
    both = {n for n, e in registry().items() if e.kind not in PIXELS and {"smile", "yaw"} <= set(e.voids)}
    assert len(both) > 5
    values = scale_free(measure_face(replace(face, gate=gate)))
    for reason in [values[name].reason for name in both]:
        assert "smile 0.657 (limit 0.41" in reason
        assert "yaw 12 (limit 5" in reason
        assert "glasses" not in reason


def test_without_jitter_a_value_that_has_no_interval_says_why(photo: Photo) -> None:
    values = measure_face(read_face(photo, jitter=1), photo)
    bare = [m for m in values if math.isfinite(m.value) and not math.isfinite(m.lo)]
    assert len(bare) > 20
    assert {m.reason for m in bare} == {"no interval without jitter"}
    assert not any(doubted(m.reason) for m in bare)
    pooled = {m.id: m for m in pool([values, values]) if m.unit != "mm"}
    assert all(pooled[m.id].photos == 2 and pooled[m.id].reason == m.reason for m in bare)


def test_force_keeps_value_interval_and_reason(face: Face, photo: Photo) -> None:
    fit = scale_free(measure_face(face, photo))
    kept = scale_free(measure_face(replace(face, gate=(failing(),)), photo, force=True))
    for name, m in fit.items():
        if registry()[name].kind in PIXELS:  # another photo's light is further off where this one is no good
            assert repr(kept[name].value) == repr(m.value)
            assert not kept[name].hi - kept[name].lo < m.hi - m.lo
        else:
            assert repr((kept[name].value, kept[name].lo, kept[name].hi)) == repr((m.value, m.lo, m.hi))
        if "smile" in registry()[name].voids and not math.isnan(m.value):
            assert kept[name].reason.startswith("voided by the photo gate: smile 0.657")
        else:
            assert kept[name].reason == m.reason or "gate" in kept[name].reason


def test_force_brings_back_nothing_that_cannot_be_had(face: Face) -> None:
    face = replace(face, size=(int(face.size[0]), int(face.landmarks[8, 1]) - 3))
    for m in measure_face(face, force=True):
        if 8 in registry()[m.id].points:
            assert math.isnan(m.value)
            assert m.reason == "a landmark lies beyond the photo's border"


def test_without_the_photo_pixels_cannot_be_read(face: Face) -> None:
    for m in measure_face(face, scale=MM):
        if registry()[m.id].kind in PIXELS:
            assert math.isnan(m.value)
            assert math.isnan(m.lo)
            assert m.reason == "needs the photo"
            assert m.unit == registry()[m.id].unit
        else:
            assert not math.isnan(m.value), m.id


def test_what_is_undefined_says_so(face: Face) -> None:
    points = face.landmarks.copy()
    points[48:68] = points[48]  # no mouth at all
    flat = replace(
        instrument("first"),
        correction=replace(instrument("first").correction, points=np.zeros((68, 2))),
    )
    bare = replace(face, landmarks=points, anatomy={})
    found = scale_free(measure_face(bare, instrument=flat))
    assert math.isnan(found["vermilion_index"].value)
    assert found["vermilion_index"].reason == "undefined: its denominator is zero"
    assert found["mouth_width"].value == 0


def test_values_come_from_corrected_landmarks(face: Face) -> None:
    found = scale_free(measure_face(face))
    raw = dict(
        zip((n for n, e in registry().items() if e.kind not in PIXELS), evaluate(face.landmarks), strict=True)
    )
    # the inner canthi of the 68 points lie too far out, the alae too far in
    assert found["intercanthal_width"].value < raw["intercanthal_width"] - 0.005
    assert found["nasal_width"].value > raw["nasal_width"] + 0.02
    assert found["intercanthal_width"].corrected
    assert not found["lip_lightness"].corrected


# --------------------------------------------------------------------------------------- measure


def test_measure_does_all_of_it(photo: Photo) -> None:
    values = anthropo.measure(photo, jitter=2, scale=parse_scale("ipd=63"), force=True)
    mm = in_mm(values)
    assert mm["interpupillary_distance"].value == pytest.approx(63, rel=0.03)
    assert scale_free(values)["mrd1_R"].value > 0
    plain = scale_free(anthropo.measure(photo, jitter=2, fine=False))
    assert math.isnan(plain["mrd1_R"].value)
    assert math.isnan(plain["mouth_width"].value)  # a smile
    with pytest.raises(ScaleError, match="no sticker of 20 mm found"):
        anthropo.measure(photo, jitter=2, scale=parse_scale("sticker=20"))
