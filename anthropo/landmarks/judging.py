"""How far predicted landmarks lie from placed ones, and how well their spread says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anthropo.face import _engine
from anthropo.face.evaluations import BOX, CONTRAST, FIRST_BOX, PAD, jittered_boxes
from anthropo.face.fine import FineModel, refine
from anthropo.face.frame import Floats
from anthropo.face.landmarker import DEFAULT_JITTER
from anthropo.face.scheme import IBUG, Scheme
from anthropo.landmarks.gathering import Gathered
from anthropo.photo import Photo
from anthropo.showing import fielded

if TYPE_CHECKING:
    import pandas as pd

_HELD, _95 = 0.95, 1.96  # what an interval holds, standard deviations


@dataclass(frozen=True, slots=True, eq=False)
class JudgedLandmarks:
    """Landmarks of several faces beside the annotated ones, each face in its own unit of length.

    Attributes
    ----------
    scheme : Scheme
    residuals : (N, P, 2) array
        Predicted minus annotated, units of the scheme; NaN where a point is not annotated.
    spread : (N, P, 2) array
        Standard deviation over jittered boxes, in the same unit.
    people : tuple of str
        Whose faces they are.
    """

    scheme: Scheme
    residuals: Floats
    spread: Floats
    people: tuple[str, ...]

    __repr__ = fielded

    @property
    def errors(self) -> Floats:
        """Distances (N, P)."""
        return np.asarray(np.hypot(self.residuals[..., 0], self.residuals[..., 1]))

    @property
    def error(self) -> float:
        """The mean distance."""
        return float(np.nanmean(self.errors))

    def factors(self) -> Floats:
        """From each point's spread to the standard deviation of its error, (P,).

        So that 1.96 times as much holds 95 % of these faces. The ratio of both root mean squares, which a few
        faces with a large spread make, holds five in six. A point takes the level of one coordinate more, so
        that few faces do not state too little.
        """
        times = np.abs(self.residuals) / np.maximum(self.spread, 1e-12)
        factors = np.empty(times.shape[1])
        for i, one in enumerate(np.moveaxis(times, 1, 0)):
            known = one[~np.isnan(one)]
            level = min(1.0, _HELD * (1 + 1 / max(len(known), 1)))
            factors[i] = np.quantile(known, level) / _95 if len(known) else 0.0
        return factors

    def covered(self, factors: Floats) -> Floats:
        """Share of coordinates (P,) within 1.96 times the spread times a factor of each point."""
        within = np.abs(self.residuals) <= _95 * self.spread * factors[:, None]
        known = ~np.isnan(self.residuals)
        return np.asarray((within & known).sum((0, 2)) / np.maximum(known.sum((0, 2)), 1))

    def to_frame(self, factors: Floats | None = None) -> pd.DataFrame:
        """A row for each point: faces, error (mean, median, 95th percentile), spread, coverage."""
        import pandas as pd

        errors, spread = self.errors, np.sqrt((self.spread**2).sum(-1))
        covered = self.covered(self.factors() if factors is None else factors)
        return pd.DataFrame(
            {
                "point": self.scheme.names,
                "faces": (~np.isnan(errors)).sum(0),
                "error": np.nanmean(errors, 0),
                "error_median": np.nanmedian(errors, 0),
                "error_95": np.nanpercentile(errors, 95, axis=0),
                "bias_x": np.nanmean(self.residuals[..., 0], 0),
                "bias_y": np.nanmean(self.residuals[..., 1], 0),
                "spread": spread.mean(0),
                "coverage": covered,
            }
        )


def place(
    predictor: _engine.ShapePredictor,
    scheme: Scheme,
    pixels: NDArray[np.uint8],
    box: Floats,
    jitter: int = DEFAULT_JITTER,
) -> Floats:
    """Jittered evaluations (K, P, 2) of a predictor on the face in a box, pixels.

    Half of them see the mirrored face, where the scheme knows what becomes of its points there.
    """
    boxes = jittered_boxes(max(2, jitter // 2 if scheme.mirror is not None else jitter))
    mirror = np.arange(len(scheme.names)) if scheme.mirror is None else scheme.mirror
    samples, _ = predictor.align(
        pixels, box, boxes, mirror, first_box=FIRST_BOX, chip_box=BOX, pad=PAD, contrast=CONTRAST
    )
    return samples if scheme.mirror is not None else samples[: len(boxes)]


def placed(
    predictor: _engine.ShapePredictor, scheme: Scheme, one: Gathered, fine: FineModel | None = None
) -> Floats:
    """Evaluations (K, P, 2) of a face that was found, pixels of its cut-out.

    With a second stage that has another model's before it, the predictor places the 68 points, whatever the
    scheme is.
    """
    assert one.example.box is not None
    assert one.face is not None
    begun = fine is not None and fine.adjustment is not None
    samples = place(predictor, IBUG if begun else scheme, one.example.pixels, one.example.box)
    if fine is None:
        return samples
    photo = Photo.from_array(np.repeat(one.example.pixels[:, :, None], 3, 2))
    samples = refine(photo, replace(one.face, landmarks=samples.mean(0), samples=samples), fine).samples
    beside = fine.adjustment is not None and fine.adjustment.beside
    return fine.adjustment(samples) if beside and fine.adjustment is not None else samples


def residuals_of(
    samples: Sequence[Floats], truth: Sequence[Floats], scheme: Scheme, people: Sequence[str]
) -> JudgedLandmarks:
    """Evaluations (K, P, 2) of faces beside their annotated points (P, 2)."""
    units = [scheme.length(points) for points in truth]
    return JudgedLandmarks(
        scheme,
        np.array([(s.mean(0) - t) / u for s, t, u in zip(samples, truth, units, strict=True)]),
        np.array([s.std(0, ddof=1) / u for s, u in zip(samples, units, strict=True)]),
        tuple(people),
    )
