"""A model file with a bit of everything, for the tests of model files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from anthropo.learning.bundle import Bundle, write_bundle

MANIFEST: dict[str, Any] = {
    "task": "binary",
    "labels": ["Cornelia de Lange", "Größe ü/β"],
    "cohort": {"photos": 4, "patients": 2, "labels": {"Größe ü/β": {"photos": 2, "patients": 1}}},
    "validation": {"models": {"hybrid": {"auroc": {"value": 0.9, "lo": 0.8, "hi": None}}}},
    "further": {"kept": [1, 2.5, None, True, "x"]},
}
ARRAYS = {
    "weights": np.arange(12, dtype=np.float32).reshape(3, 4) / 7,
    "deep/face": np.array([[np.nan, -0.0], [np.inf, 5e-324]]),
    "trees/0": np.array([1, 2], dtype=np.int8),
    "empty": np.zeros(0),
}


def model_file(folder: Path) -> Path:
    """m.anthropo with `MANIFEST` and `ARRAYS`."""
    path = folder / "m.anthropo"
    write_bundle(path, Bundle(MANIFEST, ARRAYS))
    return path
