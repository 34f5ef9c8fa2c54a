"""Mean shapes, what sets them apart, and average faces, on faces whose answer is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.linalg import orthogonal_procrustes
from scipy.stats import f as f_distribution

from anthropo.face.shape import shapes
from anthropo.face.warp import Mesh
from anthropo.groups import Displacement, LabelShapes, Sitter, align, average_face, displacement
from anthropo.groups.composite import common_shape, label_shapes, placed
from anthropo.report.composite import DISPLACEMENTS, SHEET, arrow_factor, field, file_names

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

SIZE = 160


def people(n: int, seed: int = 0, spread: float = 1.0) -> Floats:
    """Faces (n, 68, 2) as different as healthy adults."""
    mean, modes = shapes()
    drawn = np.random.default_rng(seed).standard_normal((n, len(modes)))
    return np.asarray(mean + spread * np.tensordot(drawn, modes, 1))


def turned(points: Floats, angle: float, scale: float, shift: tuple[float, float]) -> Floats:
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return np.asarray(points @ np.array([[c, s], [-s, c]]) + np.array(shift))


# ------------------------------------------------------------------------------------------------ shapes


def test_place_size_and_turn_are_taken_away() -> None:
    face = people(1)[0]
    seen = np.array([turned(face, a, s, (x, 7.0)) for a, s, x in ((0, 1, 0), (0.4, 90, 300), (-2, 30, -5))])
    aligned = align(seen)
    np.testing.assert_allclose(aligned, np.broadcast_to(aligned[0], aligned.shape), atol=1e-9)
    np.testing.assert_allclose(aligned[0][[36, 45]], [(-0.5, 0), (0.5, 0)], atol=1e-9)
    apart = np.linalg.norm(face[36] - face[45])
    np.testing.assert_allclose(np.linalg.norm(aligned[0][8] - aligned[0][27]) * apart,
                               np.linalg.norm(face[8] - face[27]))  # fmt: skip


def test_the_closed_form_is_what_iteration_arrives_at() -> None:
    """Gower's algorithm: lay every shape on the mean, take the mean anew."""
    faces = people(12, 1)
    z = faces - faces.mean(1, keepdims=True)
    z /= np.linalg.norm(z, axis=(1, 2), keepdims=True)
    mean = z[0]
    for _ in range(100):
        laid = []
        for shape in z:
            turn, cosine = orthogonal_procrustes(shape, mean)
            laid.append(cosine / np.linalg.norm(mean) * shape @ turn)
        mean = np.mean(laid, axis=0)
        mean /= np.linalg.norm(mean)
    unit = np.array([shape @ orthogonal_procrustes(shape, mean)[0] for shape in z])
    along = mean[45] - mean[36]
    frame = np.array([[along[0], -along[1]], [along[1], along[0]]]) / (along @ along)
    expected = (unit - (mean[36] + mean[45]) / 2) @ frame
    np.testing.assert_allclose(align(faces), expected, atol=1e-6)


def sitters_of(faces: Floats, label: str, photos: int = 1, patient: str = "p") -> list[Sitter]:
    return [
        Sitter(f"{label}-{i}-{k}.jpg", label, f"{patient}{label}{i}", face)
        for i, face in enumerate(faces)
        for k in range(photos)
    ]


def test_everybody_counts_once() -> None:
    faces = people(6, 2)
    once = label_shapes(sitters_of(faces, "a"))[0]
    often = label_shapes([*sitters_of(faces, "a"), *sitters_of(faces[:1], "a", photos=9)])[0]
    assert (often.patients, often.photos) == (6, 15)
    np.testing.assert_allclose(often.mean, once.mean, atol=1e-12)
    np.testing.assert_allclose(often.sd, once.sd, atol=1e-12)


def test_the_mean_of_one_person_has_no_spread() -> None:
    (group,) = label_shapes(sitters_of(people(1), "a"))
    assert np.isnan(group.sd).all()


def test_in_a_common_shape_labels_count_alike() -> None:
    found = label_shapes([*sitters_of(people(3, 3), "a"), *sitters_of(people(9, 4), "b")])
    np.testing.assert_allclose(common_shape(found), (found[0].mean + found[1].mean) / 2)


# ------------------------------------------------------------------------------------------ displacement


def compared(a: Floats, b: Floats, **options: int) -> Displacement:
    both = align(np.concatenate([a, b]))
    return displacement(
        LabelShapes("a", len(a), both[: len(a)]), LabelShapes("b", len(b), both[len(a) :]), **options
    )


def test_a_moved_landmark_is_found_with_its_direction() -> None:
    a, b = people(20, 5, 0.5), people(20, 6, 0.5)
    a[:, 8] += (0.0, -0.25)  # the chin, upwards
    found = compared(a, b, permutations=999)
    assert int(np.hypot(*found.vectors.T).argmax()) == 8
    assert found.vectors[8, 1] < -0.1
    assert found.p_adjusted[8] == pytest.approx(1 / 1000)
    assert np.median(found.p_adjusted) > 0.5
    assert (found.p_adjusted >= found.p).all()


def test_t2_is_hotellings() -> None:
    a, b = people(8, 7), people(11, 8)
    found = compared(a, b, permutations=100)
    both = align(np.concatenate([a, b]))
    for at in (0, 30, 54):
        x, y = both[:8, at], both[8:, at]
        pooled = (7 * np.cov(x.T) + 10 * np.cov(y.T)) / 17
        d = x.mean(0) - y.mean(0)
        assert found.t2[at] == pytest.approx(d @ np.linalg.solve(pooled, d) * 8 * 11 / 19)


def test_permutation_agrees_with_theory_where_theory_holds() -> None:
    """Of normal landmarks, (n - 3) / (2 (n - 2)) T² has an F distribution."""
    random = np.random.default_rng(9)
    a, b = random.normal(size=(15, 68, 2)), random.normal(size=(15, 68, 2))
    found = displacement(LabelShapes("a", 15, a), LabelShapes("b", 15, b), permutations=4000)
    expected = f_distribution.sf(27 / (2 * 28) * found.t2, 2, 27)
    assert np.abs(found.p - expected).max() < 0.035  # 4000 permutations: 0.008 SD


def test_of_groups_that_do_not_differ_one_in_twenty_shows_something() -> None:
    hits = 0
    for seed in range(120):
        faces = people(16, 1000 + seed)
        hits += bool((compared(faces[:8], faces[8:], permutations=199, seed=seed).p_adjusted < 0.05).any())
    assert hits <= 14  # of 120 at 5 %: more than 13 have a chance of 0.4 %


def test_landmarks_that_never_move_say_nothing() -> None:
    faces = np.random.default_rng(10).normal(size=(12, 68, 2))
    faces[:, 3] = (1.0, 2.0)
    found = displacement(LabelShapes("a", 6, faces[:6]), LabelShapes("b", 6, faces[6:]), permutations=99)
    assert found.p[3] == found.p_adjusted[3] == 1
    assert found.t2[3] == 0


def test_a_map_shows_how_far_each_place_moves() -> None:
    mean = shapes()[0]
    still = Displacement("a", "b", np.zeros((68, 2)), *np.ones((3, 68)))
    assert np.nanmax(field(still, mean, SIZE)) < 1e-9
    vectors = np.zeros((68, 2))
    vectors[30] = (0.0, 0.1)
    moved = field(Displacement("a", "b", vectors, *np.ones((3, 68))), mean, 4 * SIZE)
    x, y = np.rint(placed(mean, 4 * SIZE)[30]).astype(int)
    assert np.nanmax(moved) == pytest.approx(moved[y, x], abs=0.005)
    assert moved[y, x] == pytest.approx(0.1, abs=0.005)
    assert np.isnan(moved[0, 0])


def test_arrows_grow_in_round_steps() -> None:
    for length, factor in ((0.5, 1), (0.09, 3), (0.05, 5), (0.001, 20)):
        vectors = np.zeros((68, 2))
        vectors[5, 0] = length
        assert arrow_factor(Displacement("a", "b", vectors, *np.ones((3, 68)))) == factor


# -------------------------------------------------------------------------------------------- composites


def photo(folder: Path, name: str, pixels: Pixels) -> str:
    Image.fromarray(pixels).save(folder / name)
    return str(folder / name)


def plain(level: int, size: int = 200) -> Pixels:
    return np.full((size, size, 3), level, dtype=np.uint8)


def within(side: int = 200) -> Floats:
    """The mean face in the middle of a square photo."""
    return np.asarray(shapes()[0] * 0.3 * side + (side / 2, 0.4 * side))


def sitter(path: str, patient: str, points: Floats) -> Sitter:
    return Sitter(path, "a", patient, points)


def test_an_average_of_turned_photos_of_one_face_is_that_face(tmp_path: Path, astronaut: Pixels) -> None:
    points = turned(shapes()[0], 0, 73, (225.0, 115.0))  # about where her face is
    half = np.asarray(Image.fromarray(astronaut).rotate(90, expand=True))
    sitters = [
        sitter(photo(tmp_path, "a.png", astronaut), "p", points),
        sitter(photo(tmp_path, "b.png", half), "q", np.stack([points[:, 1], 511 - points[:, 0]], -1)),
    ]
    (group,) = label_shapes(sitters)
    average = average_face(sitters, group.mean, size=SIZE)
    alone = Mesh(placed(group.mean, SIZE), (SIZE, 144)).warp(astronaut, points)
    assert average.shape == (160, 144, 3)
    # the block means of a turned picture begin elsewhere
    assert np.abs(average.astype(int) - alone)[10:-10, 10:-10].mean() < 1.5


def test_a_person_with_many_photos_counts_once_in_the_average(tmp_path: Path) -> None:
    white, black = photo(tmp_path, "w.png", plain(200)), photo(tmp_path, "b.png", plain(100))
    sitters = [sitter(black, "p", within())] * 3 + [sitter(white, "q", within())]
    middle = average_face(sitters, shapes()[0], size=SIZE)[60:100, 50:90]
    assert (middle == 150).all()


def test_any_number_of_threads_gives_the_same_average(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    sitters = [
        sitter(
            photo(tmp_path, f"{i}.png", random.integers(0, 256, (200, 200, 3), dtype=np.uint8)),
            f"{i}",
            within(),
        )
        for i in range(5)
    ]
    one, two = (average_face(sitters, shapes()[0], size=SIZE, sharp=True, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_what_few_photos_show_is_left_out(tmp_path: Path) -> None:
    """Four photos end close above the brows; nobody's hair may be shown as everybody's."""
    cut = photo(tmp_path, "cut.png", plain(100)[60:])
    whole = photo(tmp_path, "whole.png", plain(20))
    sitters = [sitter(cut, f"p{i}", within() - (0, 60)) for i in range(4)] + [sitter(whole, "q", within())]
    average = average_face(sitters, shapes()[0], size=SIZE)
    assert (average[2, 40:100] == 236).all()
    assert (average[80, 60:80] == 84).all()  # the mean of all five


def noisy(folder: Path, n: int, size: int = 400) -> list[Sitter]:
    random = np.random.default_rng(11)
    pixels = (random.normal(128, 25, (n, size, size, 1)).clip(0, 255)).astype(np.uint8).repeat(3, -1)
    return [sitter(photo(folder, f"{i}.png", p), f"{i}", within(size)) for i, p in enumerate(pixels)]


def test_detail_that_cancels_out_is_restored(tmp_path: Path) -> None:
    sitters = noisy(tmp_path, 9)
    face = np.s_[60:100, 50:90, 0]  # cheeks and nose

    def strength(people: list[Sitter], sharp: bool) -> float:
        return float(average_face(people, shapes()[0], size=SIZE, sharp=sharp)[face].std())

    single = strength(sitters[:1], False)
    assert strength(sitters, False) < 0.45 * single  # a third, by chance
    assert strength(sitters, True) == pytest.approx(single, rel=0.2)
    # of one person nothing is lost, and nothing is made up
    assert strength(sitters[:1], True) == pytest.approx(single, rel=0.01)


def test_detail_is_restored_around_the_landmarks_only(tmp_path: Path) -> None:
    sitters = noisy(tmp_path, 9)
    soft, sharp = (average_face(sitters, shapes()[0], size=SIZE, sharp=s).astype(int) for s in (False, True))
    assert np.abs(sharp - soft)[:8, :8].max() <= 1
    assert np.abs(sharp - soft)[60:100, 50:90].max() > 10


# ------------------------------------------------------------------------------------------------- names


def test_file_names_differ_on_every_file_system() -> None:
    labels = [
        "a/b",
        "a b",
        "A-B",
        "Zoë syndrome",
        "contact-sheet",
        "x",
        "x-displacement",
        "..",
        "",
        "症候群",
        "CON",
    ]
    names = file_names(labels)
    assert list(names) == labels
    files = [f"{n}{end}.png".casefold() for n in names.values() for end in ("", "-displacement")]
    assert len(set(files)) == len(files)
    assert not {SHEET, DISPLACEMENTS} & set(files)
    assert not any(set(name) & set("/\\. ") for name in names.values())
    assert names["Zoë syndrome"] == "Zoë-syndrome"
    assert names["症候群"] == "症候群"
    assert names["CON"] == "CON-2"  # Windows takes CON.png for a device
