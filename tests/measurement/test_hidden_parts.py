"""What is hidden is not measured: the astronaut behind things that are drawn, and points called hidden."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import anthropo
from anthropo.decoding.icc import srgb_to_linear
from anthropo.errors import AnthropoError
from anthropo.face.landmarker import Face
from anthropo.face.visibility import Cover
from anthropo.measurement import find_scale, parse_scale
from anthropo.measurement.colour import unlike
from anthropo.measurement.compute import Measurement, by_id, measure_face, measured_values
from anthropo.measurement.hidden import hidden_measurement, hidden_reason
from anthropo.measurement.registry import AREA_UNIT, LENGTH_UNIT, MM_UNIT, registry
from anthropo.measurement.sampling import RegionColour
from anthropo.measurement.scale import Scale
from anthropo.photo import Photo
from anthropo.synthetic import occlude

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def seen(astronaut_png: object) -> anthropo.Observation:
    return anthropo.observe(str(astronaut_png))


def without(face: Face, points: Iterable[int]) -> Face:
    """The face with some landmarks hidden, and nothing else."""
    seen = np.ones((480, 480), np.float32)
    low = face.landmarks.min(0) - 20
    scale = 480 / float(np.ptp(face.landmarks, axis=0).max() + 40)
    there = np.column_stack([np.eye(2) * scale, -low * scale])
    for x, y in (face.landmarks[list(points)] @ there[:, :2].T + there[:, 2]).round().astype(int):
        seen[y - 6 : y + 7, x - 6 : x + 7] = 0
    return replace(face, cover=Cover(seen, there, 0.5))


def values(face: Face, **options: object) -> dict[str, list[Measurement]]:
    return by_id(measure_face(face, **options))  # type: ignore[arg-type]


def test_hidden_outer_canthus_voids_every_length(seen: anthropo.Observation) -> None:
    face = without(seen.face, [36])
    assert np.flatnonzero(face.hidden).tolist() == [36]
    reason = "the right eye's outer corner is hidden"
    whole, hidden = values(seen.face, force=True), values(face)
    ruled = [name for name, entry in registry().items() if entry.unit in (LENGTH_UNIT, AREA_UNIT)]
    assert len(ruled) > 30
    for name in ruled:
        (value,) = hidden[name]
        assert math.isnan(value.value), name
        assert math.isnan(value.lo), name
        assert value.reason.startswith(reason), name
    untouched = [name for name in whole if not registry()[name].points or 36 not in registry()[name].points]
    assert len(untouched) > 20
    for name in untouched:
        assert reason not in hidden[name][0].reason


def test_with_millimetres_a_hidden_ruler_is_no_loss(seen: anthropo.Observation) -> None:
    scale = Scale(0.35, 0.01, "Declared.")
    bare, in_mm = values(without(seen.face, [45]), scale=scale, force=False)["nasal_width"]
    assert (bare.unit, in_mm.unit) == (LENGTH_UNIT, "mm")
    assert math.isnan(bare.value)
    assert bare.reason.startswith("the left eye's outer corner is hidden")
    (_, expected) = values(seen.face, scale=scale)["nasal_width"]
    assert in_mm.reason == expected.reason
    np.testing.assert_equal([in_mm.value, in_mm.lo], [expected.value, expected.lo])
    # but the distance of the canthi itself, and what is measured along them, is lost
    for name in (
        "biocular_width",
        *(n for n, e in registry().items() if e.along_axes and e.unit == LENGTH_UNIT),
    ):
        last = values(without(seen.face, [45]), scale=scale)[name][-1]
        assert registry()[name].unit == MM_UNIT or last.unit == "mm"
        assert math.isnan(last.value), name


def test_forced_values_are_kept_with_the_reason(seen: anthropo.Observation) -> None:
    face = without(seen.face, [48, 54])
    whole = values(seen.face, force=True)["mouth_width"][0]
    (forced,), (voided,) = values(face, force=True)["mouth_width"], values(face)["mouth_width"]
    words = "the mouth's right corner and the mouth's left corner are hidden"
    assert forced.value == whole.value
    assert forced.reason.startswith(words)
    assert voided.reason.startswith(words)
    assert "voided by the photo gate: mouth_open" in voided.reason  # both reasons are told
    assert math.isnan(voided.value)


def test_landmark_placed_by_hand_is_measured(seen: anthropo.Observation) -> None:
    eye = without(seen.face, range(42, 48))
    entry = registry()["interpupillary_distance"]
    assert hidden_reason(entry, eye.hidden) == "the left eye is hidden"
    pupil = {"pL": eye.landmarks[42:48].mean(0)}
    by_hand = replace(eye, by_hand=pupil)
    assert hidden_reason(entry, by_hand.hidden, by_hand.by_hand) == "the left eye's outer corner is hidden"
    corner = replace(eye, by_hand=pupil | {"p45": eye.landmarks[45]})
    assert hidden_reason(entry, corner.hidden, corner.by_hand) == ""
    fissure = registry()["palpebral_fissure_length_L"]
    assert hidden_reason(fissure, corner.hidden, corner.by_hand) == "the left eye's inner corner is hidden"


def test_no_scale_from_hidden_eyes(seen: anthropo.Observation) -> None:
    face = without(seen.face, [45])
    for text in ("ipd=62", "iris=11.9"):
        with pytest.raises(
            AnthropoError, match="is taken from both eyes, and the left eye's outer corner is hid"
        ):
            find_scale(parse_scale(text), seen.photo, face.landmarks, face.samples, face.hidden)
    mouth = without(seen.face, [54])
    assert find_scale(parse_scale("ipd=62"), seen.photo, mouth.landmarks, mouth.samples, mouth.hidden)
    declared = parse_scale("mm-per-px=1.4")
    assert find_scale(declared, seen.photo, face.landmarks, face.samples, face.hidden).mm_per_px == 1.4


@pytest.mark.parametrize("kind", ["mask_surgical", "pacifier", "mask_under_nose"])
def test_no_colour_of_what_is_before_the_lips(
    astronaut: Pixels, seen: anthropo.Observation, kind: str
) -> None:
    large = np.repeat(np.repeat(astronaut, 3, axis=0), 3, axis=1)
    drawn = occlude(large, (seen.face.landmarks + 0.5) * 3 - 0.5, kind, 4)
    photo = Photo.from_array(drawn.pixels)
    values = {m.id: m for m in measure_face(anthropo.observe(photo).face, photo)}
    for name in ("lip_lightness", "lip_a", "lip_redness", "lip_cyanosis", "lip_darkness"):
        assert math.isnan(values[name].value), name
        assert values[name].reason == "the lips are hidden"
    assert math.isfinite(values["sclera_lightness_R"].value) or values["sclera_lightness_R"].reason


def test_what_landmarks_alone_tell(seen: anthropo.Observation) -> None:
    """Which entries would have no value, told without the photo: what `unfit` counts."""
    mouth = np.isin(np.arange(68), range(48, 68))
    lost = {name for name, entry in registry().items() if hidden_measurement(entry, mouth)}
    assert {"mouth_width", "lip_redness", "lip_a", "philtrum_length"} <= lost
    assert not lost & {"intercanthal_width", "sclera_a_R", "cheek_a_L", "nasal_width"}
    assert not any(hidden_measurement(entry, np.zeros(68, np.bool_)) for entry in registry().values())


# ------------------------------------------------------------------- what looks like no skin or lip


def region(red: float, green: float, blue: float) -> RegionColour:
    """A region of one 8-bit colour."""
    return RegionColour(np.array([[srgb_to_linear(v / 255) for v in (red, green, blue)]]), "")


SKINS = {
    "very light": (238, 208, 193),
    "light": (224, 172, 150),
    "medium": (190, 140, 110),
    "brown": (141, 85, 54),
    "dark": (74, 48, 38),
    "very dark": (45, 34, 30),
    "yellow light": (220, 160, 80),
    "bluish light": (190, 165, 170),
}


@pytest.mark.parametrize("skin", SKINS)
def test_skin_of_every_tone_is_skin(skin: str) -> None:
    red, green, blue = SKINS[skin]
    lips = (red * 0.85, green * 0.62, blue * 0.66)
    cyanotic = (red * 0.72, green * 0.62, blue * 0.75)
    white = (min(255, red * 1.02), min(255, green * 1.2), min(255, blue * 1.25))
    for mouth in (lips, cyanotic):
        face = {
            "lip": region(*mouth),
            "perioral": region(red * 0.95, green * 0.93, blue * 0.92),
            "cheek_R": region(red, green, blue),
            "cheek_L": region(red * 0.8, green * 0.78, blue * 0.77),
            "sclera_R": region(*white),
            "sclera_L": region(*white),
        }
        assert unlike(face) == {}


@pytest.mark.parametrize(
    "thing", [(40, 90, 200), (60, 160, 80), (150, 190, 215), (20, 20, 90), (120, 60, 190)]
)
def test_cloth_is_no_lip_and_no_skin(thing: tuple[float, float, float]) -> None:
    skin = region(*SKINS["medium"])
    face = {"lip": region(*thing), "perioral": region(*thing), "cheek_R": skin, "cheek_L": skin}
    assert unlike(face) == {
        "lip": "what is where the lips should be does not look like lips",
        "perioral": "what is where the skin about the mouth should be does not look like skin",
    }
    # one cheek under it takes nothing from the other
    cheek = {"cheek_R": region(*thing), "cheek_L": skin}
    assert list(unlike(cheek)) == ["cheek_R"]
    # what is void for another reason is not judged
    void = {"lip": replace(region(*thing), reason="the lips are hidden"), "cheek_R": skin}
    assert unlike(void) == {}


def test_blue_lips_of_a_photo_are_void_and_pale_ones_are_not(
    astronaut: Pixels, seen: anthropo.Observation
) -> None:
    large = np.repeat(np.repeat(astronaut, 3, axis=0), 3, axis=1)
    face = replace(
        seen.face,
        landmarks=(seen.face.landmarks + 0.5) * 3 - 0.5,
        samples=(seen.face.samples + 0.5) * 3 - 0.5,
        size=(1536, 1536),
        cover=None,
    )
    image = Image.new("L", (1536, 1536))
    ImageDraw.Draw(image).polygon([tuple(p) for p in face.landmarks[48:60]], fill=1)
    lips = np.asarray(image, dtype=bool)
    for factors, void in (((0.2, 0.35, 1.0), True), ((0.7, 0.8, 0.85), False)):
        painted = large.astype(float)
        painted[lips] *= factors
        photo = Photo.from_array(np.clip(painted, 0, 255).astype(np.uint8))
        values = {m.id: m for m in measure_face(face, photo)}
        assert math.isnan(values["lip_a"].value) == void
        assert math.isnan(values["lip_b"].value) == void
        if void:
            assert values["lip_b"].reason == "what is where the lips should be does not look like lips"
        assert math.isfinite(values["perioral_a"].value)


@pytest.mark.parametrize("force", [False, True])
def test_values_alone_are_those_of_measuring(seen: anthropo.Observation, force: bool) -> None:
    turned = tuple(replace(check, ok=False) for check in seen.face.gate[:4])
    faces = [
        seen.face,
        seen.first,
        replace(seen.face, gate=turned + seen.face.gate[4:]),
        without(seen.face, [36, 48, 30]),
        replace(
            seen.face, landmarks=seen.face.landmarks - (seen.face.landmarks[48, 0], 0)
        ),  # beyond the border
    ]
    void = set()
    for face in faces:
        whole = {m.id: m.value for m in measure_face(face, seen.photo, force=force)}
        alone = measured_values(face, seen.photo, force=force)
        assert set(alone) == set(whole)
        # other shapes of arrays are summed in another order
        np.testing.assert_allclose([alone[name] for name in whole], list(whole.values()), rtol=0, atol=1e-10)
        void.add(sum(map(math.isnan, whole.values())))
    assert len(void) > 2  # not all of them lack the same


def test_landmarks_that_were_pushed_aside_measure_nothing(seen: anthropo.Observation) -> None:
    """A white bar before dark eyes moves the mouth to the nose; the map then finds most points to be seen."""
    failing = {"hidden": 5.0, "landmark_spread": 0.06}

    def with_failed(*names: str) -> Face:
        gate = tuple(
            replace(c, value=failing[c.name], ok=False) if c.name in names else c for c in seen.face.gate
        )
        return replace(seen.face, gate=gate, cover=None)

    nothing = with_failed(*failing)
    for value in measure_face(nothing, seen.photo):
        assert math.isnan(value.value), value.id
        if "voided" in value.reason:
            assert "hidden 5 (limit 0; " in value.reason
            assert "landmark_spread 0.06 (limit 0.03; " in value.reason
    assert all(math.isnan(value) for value in measured_values(nothing, seen.photo).values())
    forced = {m.id: m.value for m in measure_face(nothing, seen.photo, force=True)}
    assert math.isfinite(forced["intercanthal_width"])
    for one in failing:
        values = {m.id: m.value for m in measure_face(with_failed(one), seen.photo)}
        assert math.isfinite(values["intercanthal_width"])
