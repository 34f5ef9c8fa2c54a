"""The random but fixed numbers that boxes and patches are jittered with."""

from __future__ import annotations

import numpy as np

from anthropo.face.frame import Floats

_SEED = 20140623
# What `numpy.random.default_rng(_SEED)` gives first: as many as a face takes, unless more evaluations are
# asked for. Loading numpy.random takes a fiftieth of the time that one photo does.
_FIRST = (
    -1.118795973469002,
    -1.3546117550573757,
    0.7678010420745062,
    0.2805124617445845,
    0.06741633917119982,
    -0.7031747739450076,
    0.2832602889223171,
    0.1402296826789092,
    1.360507801729058,
    0.16614340691002202,
    -0.48383703729237026,
    0.8209060623185545,
    -0.36384006942739444,
    0.5943572968731733,
    -1.8416681332029794,
    0.979908946991679,
    -0.16324301631454513,
    -0.7026096984033713,
    -0.8127606130528064,
    1.101496609864569,
    -0.6148120151805988,
    1.0506324692323739,
    1.369235717410167,
    3.2210488523718674,
)


def normals(rows: int, columns: int) -> Floats:
    """The first standard normal numbers of a fixed sequence, row by row: (rows, columns)."""
    count = rows * columns
    if count <= len(_FIRST):
        return np.array(_FIRST[:count]).reshape(rows, columns)
    return np.random.default_rng(_SEED).standard_normal((rows, columns))
