"""The fixed numbers of the jitter are those of numpy's generator, whether they are written down or not."""

from __future__ import annotations

import numpy as np
import pytest

from anthropo.face.jitter import normals


@pytest.mark.parametrize(("rows", "columns"), [(1, 3), (8, 3), (2, 4), (24, 1), (25, 1), (32, 3)])
def test_numbers_are_those_of_the_generator(rows: int, columns: int) -> None:
    found = normals(rows, columns)
    assert np.array_equal(found, np.random.default_rng(20140623).standard_normal((rows, columns)))
    found[0] = 0  # callers change them
    assert not np.array_equal(found, normals(rows, columns))
