"""The registry, and one golden value per measurement."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anthropo.face.landmarker import read_face
from anthropo.measurement.compute import measure, measure_face
from anthropo.measurement.registry import compile_entry, registry
from anthropo.photo import Photo

Pixels = NDArray[np.uint8]
GOLDENS = Path(__file__).with_name("goldens.csv")
ROW = {
    "id": "x", "name": "x", "region": "eye", "kind": "distance", "unit": "ex-ex", "expression": "d(enR, enL)",
    "side": "mid", "definition": "", "hpo_low": "", "hpo_high": "", "note": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def head(astronaut: Pixels) -> Photo:
    """The golden photo: the astronaut's head, enlarged three times without any decoder."""
    crop = np.ascontiguousarray(astronaut[0:280, 90:370])
    return Photo.from_array(np.repeat(np.repeat(crop, 3, axis=0), 3, axis=1))


def test_every_measurement_has_its_golden_value(head: Photo) -> None:
    """Tolerance: 0.2 % or 0.0005. The same bits come out on every machine of one kind; another
    processor's rounding may carry one tree of thousands to another leaf."""
    with open(GOLDENS, newline="") as file:
        goldens = {row["id"]: float(row["value"]) for row in csv.DictReader(file)}
    values = {m.id: m.value for m in measure(head)}
    assert list(values) == list(goldens), "a measurement without a golden value, or the reverse"
    for name, value in values.items():
        assert value == pytest.approx(goldens[name], rel=2e-3, abs=5e-4), name


def test_there_are_enough_measurements_of_every_kind() -> None:
    kinds = [e.kind for e in registry().values()]
    assert len(kinds) >= 30
    assert {"distance", "angle", "ratio", "area", "curvature", "asymmetry"} == set(kinds)


def test_sides_come_in_pairs() -> None:
    for name, entry in registry().items():
        if entry.side != "mid":
            assert name.endswith(f"_{entry.side}")
            assert name[:-1] + ("L" if entry.side == "R" else "R") in registry()


def test_every_entry_says_where_its_definition_comes_from() -> None:
    for entry in registry().values():
        assert entry.name
        assert entry.definition
        assert entry.points
        for hpo in (entry.hpo_low, entry.hpo_high):
            assert hpo == "" or (hpo.startswith("HP:") and len(hpo) == 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expression": "d(enR, enX)"}, "unknown landmark 'enX'"),
        ({"expression": "d(enR, p68)"}, "unknown landmark 'p68'"),
        ({"expression": "dist(enR, enL)"}, "unknown function 'dist'"),
        ({"expression": "d(enR, enL"}, "cannot be parsed"),
        ({"expression": "__import__('os').system('true')"}, "is not allowed"),
        ({"expression": "[enR for enR in p1]"}, "is not allowed"),
        ({"kind": "length"}, "kind 'length'; one of distance"),
        ({"side": "left"}, "side 'left'"),
    ],
)
def test_a_wrong_entry_is_named(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        compile_entry({**ROW, **change})
    assert "registry entry 'x'" in str(caught.value)


def test_intervals_hold_the_value_and_have_the_unit(head: Photo) -> None:
    for m in measure(head):
        assert m.lo < m.value < m.hi
        assert m.unit == registry()[m.id].unit
        assert m.reason == ""


def test_without_jitter_there_is_no_interval_and_it_says_so(head: Photo) -> None:
    for m in measure(head, jitter=1):
        assert np.isfinite(m.value)
        assert np.isnan(m.lo)
        assert np.isnan(m.hi)
        assert m.reason == "no interval without jitter"


def test_what_needs_a_landmark_beyond_the_border_is_not_reported(head: Photo) -> None:
    face = read_face(head)
    face = replace(face, size=(840, int(face.landmarks[8, 1]) - 3))  # the photo ends above the chin
    values = {m.id: m for m in measure_face(face)}
    assert np.isnan(values["face_height"].value)
    assert values["face_height"].reason == "a landmark lies beyond the photo's border"
    assert np.isfinite(values["intercanthal_width"].value)
