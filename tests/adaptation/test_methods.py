from __future__ import annotations

import sys

import numpy as np
import pytest
import sklearn
from numpy.typing import NDArray

from anthropo.adaptation import METHODS, alignment_maps
from anthropo.adaptation import methods as module
from anthropo.adaptation.methods import Affine
from anthropo.adaptation.names import NEED_TARGET
from anthropo.errors import InputError

Floats = NDArray[np.float64]


def rows(n: int, seed: int) -> Floats:
    """Numbers (n, 6) that go together, two groups among them."""
    r = np.random.default_rng(seed)
    mix = np.random.default_rng(0).normal(size=(6, 6))
    return r.normal(size=(n, 6)) @ mix + 3 * r.integers(0, 2, size=(n, 1))


def bent(x: Floats, method: str) -> Floats:
    """The rows as another camera has them: for each method what it is made for."""
    if method in ("standardise", "combat"):
        return x * [2, 1, 0.5, 3, 1, 2] + [1, -2, 0, 5, 1, 1]
    if method == "coral":
        return x @ (np.eye(6) + 0.3 * np.random.default_rng(9).normal(size=(6, 6))) + 4
    return x + np.array([4.0, 0, 0, -3, 0, 0])


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_known_shift_is_mapped_back(method: str) -> None:
    target, own = rows(400, 1), rows(400, 2)
    source = bent(own, method)
    aligned = alignment_maps(method, {"there": source}, target)
    there = aligned.sources["there"]
    assert there is not None
    moved = there(source)
    wanted = target if aligned.target is None else aligned.target(target)
    assert np.abs(source.mean(0) - target.mean(0)).max() > 1
    assert np.allclose(moved.mean(0), wanted.mean(0), atol=0.15)
    assert np.allclose(np.cov(moved.T), np.cov(wanted.T), atol=0.25 * np.abs(np.cov(wanted.T)).max())
    # people keep their place among the others; covariances leave it open how numbers are turned
    assert min(np.corrcoef(moved[:, i], own[:, i])[0, 1] for i in range(6)) > 0.7


@pytest.mark.parametrize("method", METHODS[1:])
def test_other_photos_of_a_source_are_mapped_as_well(method: str) -> None:
    target, source, others = rows(200, 1), bent(rows(200, 2), method), bent(rows(200, 3), method)
    there = alignment_maps(method, {"there": source}, target).sources["there"]
    assert there is not None
    assert np.allclose(there(others).mean(0), target.mean(0), atol=0.8)
    assert there(others[:0]).shape == (0, 6)


def test_maps_that_a_file_can_keep_are_affine() -> None:
    target, source = rows(50, 1), bent(rows(50, 2), "ot")
    kept = {m: alignment_maps(m, {"there": source}, target).sources["there"] for m in METHODS}
    assert kept.pop("none") is None
    assert [name for name, of in kept.items() if not isinstance(of, Affine)] == ["ot"]


@pytest.mark.parametrize("method", METHODS[1:])
def test_named_numbers_are_mapped_one_by_one(method: str) -> None:
    source = bent(rows(60, 2), method)
    source[::3, 1] = np.nan
    there = alignment_maps(method, {"there": source}, rows(60, 1), named=True).sources["there"]
    assert isinstance(there, Affine)
    assert there.matrix.shape == (6,)
    assert np.array_equal(np.isnan(there(source)), np.isnan(source))


def test_each_source_has_a_map_of_its_own() -> None:
    target = rows(100, 1)
    sources = {name: rows(100, at) + 5 * at for at, name in enumerate(("a", "b"), 2)}
    for method in METHODS[1:]:
        for name, of in alignment_maps(method, sources, target).sources.items():
            assert of is not None
            assert np.allclose(of(sources[name]).mean(0), target.mean(0), atol=0.2), (method, name)


@pytest.mark.parametrize("method", NEED_TARGET)
def test_a_target_is_needed(method: str) -> None:
    with pytest.raises(InputError, match=r"brings photos to those of a target. Name its photos with target"):
        alignment_maps(method, {"a": rows(20, 1), "b": rows(20, 2)})


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match=r"adapt='mmd': unknown. Choose from none, standardise, coral"):
        alignment_maps("mmd", {"a": rows(20, 1)}, rows(20, 2))


def test_without_skada_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"adapt='coral' needs skada, which is not .*, or choose standard"):
        alignment_maps("coral", {"a": rows(20, 1)}, rows(20, 2))
    alignment_maps("combat", {"a": rows(20, 1)}, rows(20, 2))  # which needs none


def test_settings_of_scikit_learn_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """skada changes them when it is imported."""
    monkeypatch.delitem(sys.modules, "skada", raising=False)
    before = sklearn.get_config()
    alignment_maps("coral", {"a": rows(20, 1)}, rows(20, 2))
    assert sklearn.get_config() == before
    assert "skada" in sys.modules


def test_an_affine_map_knows_its_gradient() -> None:
    r = np.random.default_rng(0)
    for matrix in (r.normal(size=(4, 4)), r.normal(size=4)):
        of, x, g, step = Affine(matrix, r.normal(size=4)), r.normal(size=(1, 4)), r.normal(size=(1, 4)), 1e-6
        by_steps = [((of(x + step * e) - of(x - step * e)) * g).sum() / (2 * step) for e in np.eye(4)]
        assert np.allclose(of.gradient(g)[0], by_steps, atol=1e-6)
