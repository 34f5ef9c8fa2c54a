"""Training of patch networks: drawn faces whose points are known exactly."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anthropo.face.fine import FACE, FineModel, _look, read_fine_model
from anthropo.face.scheme import MIRROR
from anthropo.landmarks import Job, PatchRegion, UprightFaces, pack, train_patches
from anthropo.landmarks.augmentation import Augmentation
from anthropo.landmarks.patch_training import Form, _Material

Floats = NDArray[np.float64]

EYE = PatchRegion((36, 39), ("ex",), 2.0)
FRAME = np.full((68, 2), 255.5)
FRAME[[36, 39, 42, 45]] = [(127.5, 170), (209, 173), (302, 173), (383.5, 170)]


def drawn(n: int, seed: int, labelled: slice = slice(None)) -> UprightFaces:
    """Faces with a bright disc for each eye: its ends are the corners, `ex` lies 9 px further out."""
    random = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(FACE), np.arange(FACE))
    pixels = np.empty((n, FACE, FACE), np.uint8)
    points = np.full((n, 68, 2), np.nan)
    anatomy = {"exR": np.full((n, 2), np.nan), "exL": np.full((n, 2), np.nan)}
    for i in range(n):
        picture = np.full((FACE, FACE), 80.0)
        for outer, inner, code, out in ((36, 39, "exR", -1), (45, 42, "exL", 1)):
            centre = (FRAME[outer] + FRAME[inner]) / 2 + random.normal(0, 5, 2)
            half = 40 * np.exp(random.normal(0, 0.15))
            picture[((x - centre[0]) / half) ** 2 + ((y - centre[1]) / (half / 2)) ** 2 < 1] = 190
            outwards = np.array([out, 0.0])
            points[i, outer], points[i, inner] = centre + half * outwards, centre - half * outwards
            anatomy[code][i] = centre + (half + 9) * outwards
        pixels[i] = np.clip(picture + random.normal(0, 4, picture.shape), 0, 255)
    hidden = np.ones(n, bool)
    hidden[labelled] = False
    for known in anatomy.values():
        known[hidden] = np.nan
    source = np.zeros(n, np.intp)
    return UprightFaces(
        pixels, np.tile(FRAME, (n, 1, 1)), points, anatomy, source, [str(i) for i in range(n)], MIRROR
    )


def model_of(network: dict[str, NDArray[np.float32]]) -> FineModel:
    return read_fine_model(pack(FRAME, {"eye": EYE}, {"eye": network}))


def off(model: FineModel, faces: UprightFaces, mirrored: bool) -> tuple[float, float]:
    """Mean error, px: of the scheme's two points and of the anatomical one."""
    (region,) = model.regions
    seen = np.array(
        [_look(region, p, f, mirrored, 0) for p, f in zip(faces.pixels, faces.first_stage, strict=True)]
    )
    at = MIRROR[region.scheme] if mirrored else region.scheme
    miss = np.linalg.norm(seen[:, :2] - faces.scheme[:, at], axis=2).mean()
    code = "exL" if mirrored else "exR"
    return float(miss), float(np.linalg.norm(seen[:, 2] - faces.anatomy[code], axis=1).mean())


def test_networks_find_points_on_faces_they_have_not_seen_on_both_sides() -> None:
    faces, others = drawn(64, 1, slice(0, 48)), drawn(10, 2)
    (network,) = train_patches(faces, [Job(EYE, np.arange(64))], epochs=50, seed=3)
    spread = np.linalg.norm(others.scheme[:, 36] - others.scheme[:, 36].mean(0), axis=1).mean()
    assert spread > 5
    for mirrored in (False, True):
        scheme, anatomical = off(model_of(network), others, mirrored)
        assert scheme < 0.6 * spread
        assert anatomical < 0.6 * spread


def test_networks_side_by_side_are_each_as_good_as_one_alone() -> None:
    faces = drawn(12, 6)
    keep = np.arange(12)
    alone = train_patches(faces, [Job(EYE, keep)], epochs=4)
    both = train_patches(faces, [Job(EYE, keep), Job(PatchRegion((36,), (), 3.0), keep[:6])], epochs=4)
    assert {k: v.shape for k, v in both[0].items()} == {k: v.shape for k, v in alone[0].items()}
    assert both[1]["out"].shape == (64, 2)
    aside = train_patches(faces, [Job(PatchRegion((36, 39), (), 2.0, ("ex",)), keep)], epochs=4)[0]
    assert aside["out"].shape == (64, 4)  # learnt along, not predicted
    assert not np.array_equal(both[0]["conv0"], both[1]["conv0"])


def test_same_seed_same_networks_and_what_a_job_may_not_see_is_not_seen() -> None:
    faces = drawn(16, 4)
    keep = np.arange(8)
    strong = Augmentation(stretch=0.1, slope=0.2, sharpness=0.8, coarse=1.0, jpeg=0.5)
    first = train_patches(faces, [Job(EYE, keep)], epochs=4, augmentation=strong)[0]
    again = train_patches(faces, [Job(EYE, keep)], epochs=4, augmentation=strong)[0]
    faces.pixels[8:] = 0
    faces.scheme[8:] = 0
    for code in faces.anatomy:
        faces.anatomy[code][8:] = 0
    blind = train_patches(faces, [Job(EYE, keep)], epochs=4, augmentation=strong)[0]
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])
        np.testing.assert_array_equal(values, blind[name])
    assert all(np.isfinite(v).all() for v in first.values())


def test_sets_have_their_share_and_an_empty_one_is_refused() -> None:
    faces = drawn(12, 5)
    faces.source[6:] = 1
    told: list[str] = []
    train_patches(faces, [Job(EYE, np.arange(12))], epochs=4, shares=(0.75, 0.25), report=told.append)
    assert told[-1].startswith("step 4 of 4: off by ")
    with pytest.raises(ValueError, match="set 1 has no face"):
        train_patches(faces, [Job(EYE, np.arange(6))], epochs=4, shares=(0.75, 0.25))
    with pytest.raises(ValueError, match="known on no face"):
        train_patches(faces, [Job(PatchRegion((36, 39), ("ch",), 2.0), np.arange(6))], epochs=4)


def test_the_room_opens_without_torch() -> None:
    code = "import sys, anthropo.landmarks as l; l.read_upright; l.mean_face; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_bent_face_shows_its_points_where_they_are_said_to_be() -> None:
    x, y = np.meshgrid(np.arange(FACE), np.arange(FACE))
    at = np.array([[200.0, 240.0], [290.0, 270.0], [250.0, 300.0]])
    points = np.full((3, 68, 2), np.nan)
    points[:, 8] = at
    dots = np.array([255 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 60) for u, v in at]).astype(np.uint8)
    middle = np.full((3, 68, 2), 250.0)
    faces = UprightFaces(dots, middle, points, {}, np.zeros(3, np.intp), ["a", "b", "c"], MIRROR)
    form = Form(96, (16, 32, 64, 96, 128), 128)
    torch.manual_seed(0)
    material = _Material.of(
        faces, [Job(PatchRegion((8,), (), 3.0), np.arange(3))], [1.0], 96, torch.device("cpu")
    )
    plain = Augmentation(shift=3, stretch=0.1, bend=8, gamma=0, coarse=0, noise=0)
    seen, want = (found[0].numpy() for found in material.batch(plain))
    brightest = np.array([np.unravel_index(one.argmax(), one.shape)[::-1] for one in seen])
    off = np.hypot(*(brightest - want[:, 0]).T)
    assert off.max() < 1.6
    assert np.hypot(*(want[:, 0] - want[:, 0].mean(0)).T).max() > 5
    (network,) = train_patches(faces, [Job(PatchRegion((8,), (), 3.0), np.arange(3))], epochs=1, form=form)
    assert network["conv4"].shape == (3, 3, 96, 128)
    assert network["hidden"].shape == (3 * 3 * 128, 128)
