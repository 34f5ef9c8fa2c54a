"""How a face is brought to the encoder: by its landmarks, its eyes, or the detector's box."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import anthropo
from anthropo.encoder.regions import ALIGNMENTS, crops, frame_of, frame_to, mean_place
from anthropo.errors import InputError, ModelError
from anthropo.explanation.heatmap import _brought
from anthropo.explanation.maps import FaceHeat, Heatmap
from anthropo.face import Face
from anthropo.learning.manifest import EncoderWeights, Manifest
from anthropo.observation import Observation
from anthropo.workflows.cohort import TrainRequest
from anthropo.workflows.encoders import encoder_for, named_encoder
from anthropo.workflows.finetuning import FinetuneRequest

SETTINGS = anthropo.Settings(jitter=2, fine=False)


@pytest.fixture(scope="module")
def seen() -> Observation:
    return anthropo.observe(anthropo.example_photo(), SETTINGS)


def at(frame: Any, place: Any) -> Any:
    return frame[:, :2] @ place + frame[:, 2]


def test_canonical_is_what_has_always_been(seen: Observation) -> None:
    assert np.array_equal(frame_of(seen.face, "canonical"), frame_to(seen.face.landmarks))
    assert np.array_equal(
        crops(seen.photo, seen.face, ["face"], 64), crops(seen.photo, seen.face, ["face"], 64, "canonical")
    )
    assert anthropo.load_encoder().align == "canonical"


def test_two_point_lays_the_eyes_where_the_mean_face_has_them(seen: Observation) -> None:
    frame = frame_of(seen.face, "two-point")
    for eye in (range(36, 42), range(42, 48)):
        there = at(frame, mean_place(tuple(eye)))
        np.testing.assert_allclose(there, seen.face.landmarks[list(eye)].mean(0), atol=1e-9)
    mouth = seen.face.landmarks.copy()
    mouth[48:] += 40
    assert np.array_equal(frame, frame_of(replace(seen.face, landmarks=mouth), "two-point"))


def test_none_looks_at_no_landmark_and_is_upright(seen: Observation) -> None:
    frame = frame_of(seen.face, "none")
    elsewhere: Face = replace(seen.face, landmarks=seen.face.landmarks * 2 + 7)
    assert np.array_equal(frame, frame_of(elsewhere, "none"))
    assert frame[0, 1] == frame[1, 0] == 0
    box = np.array(seen.face.box)
    canonical, width = frame_of(seen.face, "canonical"), box[2] - box[0]
    for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):  # the detector sees about the same face
        assert np.hypot(*(at(frame, corner) - at(canonical, corner))) < 0.16 * width


def test_chips_differ(seen: Observation) -> None:
    chips = [crops(seen.photo, seen.face, ["face"], 64, align)[0].astype(float) for align in ALIGNMENTS]
    assert min(np.abs(a - b).mean() for i, a in enumerate(chips) for b in chips[:i]) > 1
    with pytest.raises(ValueError, match=r"unknown\. Choose from canonical, two-point, none"):
        crops(seen.photo, seen.face, ["face"], 64, "sideways")


def test_the_encoder_sees_what_it_was_told(seen: Observation) -> None:
    encoder = anthropo.load_encoder()
    embedded = {a: replace(encoder, align=a).embed(seen.photo, seen.face, ["face"])[0] for a in ALIGNMENTS}
    assert np.array_equal(embedded["canonical"], encoder.embed(seen.photo, seen.face, ["face"])[0])
    for align in ALIGNMENTS[1:]:
        assert 0.01 < np.linalg.norm(embedded[align] - embedded["canonical"]) < 0.5  # the same person


def test_the_model_remembers_it() -> None:
    weights = EncoderWeights(name="face-resnet", align="none")
    kept = Manifest(encoder=weights).to_json()
    assert kept["encoder"]["align"] == "none"
    assert Manifest.from_json(kept).encoder.align == "none"
    assert Manifest.from_json({"encoder": {"name": "face-resnet"}}).encoder.align == "canonical"
    with pytest.raises(ModelError, match="canonical, two-point or none"):
        Manifest.from_json({"encoder": {"align": "sideways"}})
    trained: Any = SimpleNamespace(manifest=Manifest(encoder=weights), check_instrument=lambda *_: None)
    assert encoder_for(trained, "m.anthropo", None, SETTINGS).align == "none"


def test_a_request_chooses_it() -> None:
    assert TrainRequest().align is None
    assert named_encoder(None, None, None, None, SETTINGS).align == "canonical"
    assert named_encoder(None, None, "two-point", None, SETTINGS).align == "two-point"
    with pytest.raises(
        InputError, match=r"align='sideways': unknown\. Choose from canonical, two-point, none"
    ):
        named_encoder(None, None, "sideways", None, SETTINGS)


def test_of_networks_it_is_the_option_alignment() -> None:
    chosen = {
        align: FinetuneRequest(recipe="deepgestalt", align=align).load_recipe().parameters.alignment
        for align in (None, *ALIGNMENTS)
    }
    assert chosen == {None: "two-points", "canonical": "mean-face", "two-point": "eyes", "none": "box"}
    reading = anthropo.PhotoReading(no_face=True)
    request = FinetuneRequest(recipe="skin-five", align="none", reading=reading)
    with pytest.raises(InputError, match="pictures without a face have none"):
        request.load_recipe()


def test_heatmaps_lie_in_the_common_frame(seen: Observation) -> None:
    """A spot on the chip is drawn where the same place of the photo lies in the canonical frame."""
    size = 60
    values = np.zeros((size, size))
    values[28:32, 38:42] = 1.0
    one = Heatmap("face", values, 1.0, 0.0)
    same = _brought(FaceHeat({"face": one}, one), seen.face, "canonical").whole.values
    np.testing.assert_allclose(same, values, atol=1e-6)
    brought = _brought(FaceHeat({"face": one}, one), seen.face, "none").whole.values
    assert brought.sum() == pytest.approx(values.sum(), rel=0.15)

    def middle(heat: Any) -> Any:
        rows, columns = np.indices(heat.shape)
        return np.array([(columns * heat).sum(), (rows * heat).sum()]) / heat.sum()

    def in_frame(pixel: Any) -> Any:
        return (pixel + 0.5) / size * 1.5 - 0.25

    in_photo = at(frame_of(seen.face, "none"), in_frame(middle(values)))
    there = at(frame_of(seen.face, "canonical"), in_frame(middle(brought)))
    assert np.hypot(*(in_photo - there)) < 0.02 * (seen.face.box[2] - seen.face.box[0])
