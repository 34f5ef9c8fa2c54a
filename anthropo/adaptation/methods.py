"""Maps that bring the numbers of each source of photographs to what those of a target are like."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.adaptation.names import METHODS, NEED_TARGET
from anthropo.adaptation.scales import combat, standardise
from anthropo.errors import InputError, not_installed, parameter

Floats = NDArray[np.float64]

#: Photos of a source, or of the target, below which nothing is said of what they have in common.
FEWEST = 10
_MOST_AXES = 50  # of a subspace
_SOURCE, _TARGET = 1, -2  # as skada has them


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """The map ``x @ matrix + offset``; a matrix (d,) scales each number by itself.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.adaptation import Affine
    >>> Affine(np.array([2.0, 1.0]), np.array([0.0, 5.0]))(np.array([[1.0, 1.0]])).tolist()
    [[2.0, 6.0]]
    """

    matrix: Floats  # (d, d) or (d,)
    offset: Floats  # (d,)

    def __call__(self, x: NDArray[np.floating]) -> Floats:
        """Rows (n, d), mapped."""
        rows = np.asarray(x, dtype=np.float64)
        return np.asarray((rows * self.matrix if self.matrix.ndim == 1 else rows @ self.matrix) + self.offset)

    def gradient(self, g: Floats) -> Floats:
        """Gradients (n, d) by the rows, from those by the mapped rows."""
        return np.asarray(g * self.matrix if self.matrix.ndim == 1 else g @ self.matrix.T)


@dataclass(frozen=True, slots=True, eq=False)
class Transported:
    """A map that is known where a source's photos are; others move as the nearest of these."""

    adapter: Any  # of skada

    def __call__(self, x: NDArray[np.floating]) -> Floats:
        """Rows (n, d), mapped."""
        rows = np.asarray(x, dtype=np.float64)
        if not len(rows):
            return rows
        return np.asarray(
            self.adapter.transform(rows, sample_domain=np.full(len(rows), _SOURCE), allow_source=True)
        )


Map = Affine | Transported


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Maps of each source and of the target; None where rows stay as they are."""

    sources: dict[str, Map | None]
    target: Map | None


def check_method(method: str) -> None:
    """Refuse a method that is unknown, or whose library is missing, by an InputError."""
    if method not in METHODS:
        raise InputError(f"{parameter('adapt', method)}: unknown. Choose from {', '.join(METHODS)}.")
    if method in NEED_TARGET and find_spec("skada") is None:
        raise InputError(
            not_installed(
                parameter("adapt", method), "skada", "adapt", instead="choose standardise or combat"
            )
        )


def alignment_maps(
    method: str, sources: Mapping[str, Floats], target: Floats | None = None, *, named: bool = False
) -> Aligned:
    """Maps that make the rows of each source like those of a target.

    Parameters
    ----------
    method : {"none", "standardise", "coral", "subspace", "ot", "combat"}
        Nothing; each number to the target's mean and SD; means and covariances to the target's; principal
        axes turned to the target's; photos moved to the target's by optimal transport; or means and SDs by
        empirical Bayes.
    sources : mapping of str to (n, d) array
        Rows of each source; NaN only where numbers are `named`.
    target : (m, d) array, optional
        Rows of the target; without it "standardise" and "combat" bring the sources to their mean.
    named : bool
        Whether numbers have names that they must keep. Methods that mix numbers then bring each by itself to
        the target's mean and SD.

    Returns
    -------
    Aligned

    Raises
    ------
    InputError
        If the method is unknown, needs a target, or its library is missing.

    Notes
    -----
    CORAL: Sun, Feng & Saenko, "Return of frustratingly easy domain adaptation", AAAI 2016; covariances are
    shrunk as Ledoit and Wolf do. Subspace alignment: Fernando et al., ICCV 2013. Optimal transport: Courty et
    al., "Optimal transport for domain adaptation", IEEE TPAMI 39:1853 (2017); all three by skada. ComBat:
    Johnson, Li & Rabinovic, Biostatistics 8:118 (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.adaptation import alignment_maps
    >>> here = np.random.default_rng(0).normal(size=(50, 2))
    >>> aligned = alignment_maps("standardise", {"there": 3 * here + 1}, here)
    >>> bool(np.allclose(aligned.sources["there"](3 * here + 1), here))
    True
    """
    check_method(method)
    if method == "none":
        return Aligned(dict.fromkeys(sources), None)
    if named and method in NEED_TARGET:
        method = "standardise"
    if method in NEED_TARGET:
        if target is None:
            raise InputError(
                f"{parameter('adapt', method)} brings photos to those of a target. Name its photos with "
                f"{parameter('target', 'photos/')}, or choose standardise or combat."
            )
        made = {name: _OF_SKADA[method](rows, target) for name, rows in sources.items()}
        ends = [end for _, end in made.values()]  # the same for all: it is the target's alone
        return Aligned({name: start for name, (start, _) in made.items()}, ends[0] if ends else None)
    batches = list(sources.values()) if target is None else [*sources.values(), target]
    scales = (combat if method == "combat" else standardise)(
        batches, None if target is None else len(sources)
    )
    return Aligned({name: Affine(*of) for name, of in zip(sources, scales, strict=False)}, None)


def _fitted(adapter: Any, source: Floats, target: Floats) -> Any:
    """An adapter of skada, fitted to both."""
    domains = np.repeat([_SOURCE, _TARGET], [len(source), len(target)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return adapter.fit(np.vstack([source, target]), sample_domain=domains)


def _skada() -> Any:
    """The library; it would change scikit-learn's settings for everybody else."""
    import sklearn

    with sklearn.config_context():
        import skada
    return skada


def _coral(source: Floats, target: Floats) -> tuple[Map, Map | None]:
    fitted = _fitted(_skada().CORALAdapter(), source, target)
    matrix = fitted.cov_source_inv_sqrt_ @ fitted.cov_target_sqrt_
    return Affine(matrix, fitted.mean_target_ - fitted.mean_source_ @ matrix), None


def _subspace(source: Floats, target: Floats) -> tuple[Map, Map | None]:
    axes = min(len(source) - 1, len(target) - 1, source.shape[1], _MOST_AXES)
    fitted = _fitted(_skada().SubspaceAlignmentAdapter(axes, random_state=0), source, target)
    # coordinates in the target's subspace, as numbers of its photos
    back = fitted.pca_target_.components_
    here, there = fitted.pca_source_.mean_, fitted.pca_target_.mean_
    matrix, projection = fitted.pca_source_.components_.T @ fitted.M_ @ back, back.T @ back
    return Affine(matrix, there - here @ matrix), Affine(projection, there - there @ projection)


def _ot(source: Floats, target: Floats) -> tuple[Map, Map | None]:
    return Transported(_fitted(_skada().OTMappingAdapter(), source, target)), None


_OF_SKADA = {"coral": _coral, "subspace": _subspace, "ot": _ot}
