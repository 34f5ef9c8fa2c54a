"""The mean face of healthy adults, and how their faces differ from it."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np

from anthropo.face.frame import Floats
from anthropo.files import packaged


@lru_cache(maxsize=1)
def shapes() -> tuple[Floats, Floats]:
    """Mean face (68, 2) and components (K, 68, 2), each as long as its standard deviation.

    Unit: the outer-canthal distance; x along the eye line towards the subject's left, y down. Of the Face
    Research Lab London Set (DeBruine & Jones, CC BY 4.0), by development/shapes.py.
    """
    data = packaged("anthropo.face", "shapes.npz")
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return file["mean"].astype(np.float64), file["modes"].astype(np.float64)
