from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

dlib_version: str
sanitized: bool  # built with AddressSanitizer, for tests

def shrink(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]: ...
def warp(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], height: int, width: int
) -> NDArray[np.uint8]: ...
def pack_shape_predictor(dat: NDArray[np.uint8]) -> NDArray[np.uint8]: ...
def unpack_shape_predictor(packed: NDArray[np.uint8]) -> bytes: ...
def train_shape_predictor(
    chips: list[NDArray[np.uint8]],
    of_chip: NDArray[np.intp],
    maps: NDArray[np.float64],
    targets: NDArray[np.float64],
    known: NDArray[np.uint8],
    starts: NDArray[np.float64],
    mean: NDArray[np.float64],
    *,
    cascades: int,
    trees: int,
    depth: int,
    features: int,
    candidates: int,
    nu: float,
    lambda_: float,
    padding: float,
    seed: int,
    threads: int,
    report: Callable[[int, int], object],
) -> NDArray[np.uint8]: ...
def chip(
    image: NDArray[np.uint8], unit: NDArray[np.float64], box: float, pad: float, contrast: int
) -> NDArray[np.uint8]: ...
def pack_face_detector() -> NDArray[np.uint8]: ...

class FaceDetector:
    def __init__(self, packed: NDArray[np.uint8]) -> None: ...
    def detect(
        self, image: NDArray[np.uint8], threshold: float = 0.0, max_levels: int = 1000
    ) -> NDArray[np.float64]: ...

class ShapePredictor:
    def __init__(self, packed: NDArray[np.uint8]) -> None: ...
    @property
    def points(self) -> int: ...
    @property
    def mean_shape(self) -> NDArray[np.float64]: ...
    def predict(self, image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def align(
        self,
        image: NDArray[np.uint8],
        box: NDArray[np.float64],
        jitter: NDArray[np.float64],
        mirror: NDArray[np.intp],
        first_box: float,
        chip_box: float,
        pad: float,
        contrast: int,
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]: ...

class PatchNetwork:
    def __init__(
        self, weights: list[NDArray[np.float32]], biases: list[NDArray[np.float32]], patch: int
    ) -> None: ...
    @property
    def points(self) -> int: ...
    def predict(self, image: NDArray[np.uint8], maps: NDArray[np.float64]) -> NDArray[np.float64]: ...

class CoverNetwork:
    def __init__(
        self,
        weights: list[NDArray[np.float32]],
        biases: list[NDArray[np.float32]],
        down: int,
        side: int,
    ) -> None: ...
    @property
    def map_side(self) -> int: ...
    def predict(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]: ...
