"""ICC profiles: sRGB is told without a library, and profiles of three primaries are composed.

The format: ICC.1:2022.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Pair = tuple[float, float]

_TABLE = 128  # where the list of tags starts
_MOST_TAGS = 200
_COLORANTS = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES = (b"rTRC", b"gTRC", b"bTRC")
# X, Y and Z of the primaries of sRGB, adapted to D50 (IEC 61966-2-1, amendment 1, annex F)
_SRGB = (0.43607, 0.22249, 0.01392, 0.38515, 0.71687, 0.09708, 0.14307, 0.06061, 0.71410)
_COLORANT_ERROR = 0.002  # published sRGB profiles differ by up to 0.0015
_CURVE_ERROR = 0.003  # of 1, half a grey level and a little
_SAMPLES = tuple(i / 16 for i in range(17))
# coefficients of ICC parametric curves, by the number of their function type
_PARAMETERS = (1, 3, 4, 5, 7)

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_CURVE_SIZE = 1024


def srgb_to_linear(value: float) -> float:
    """Linear light of an sRGB value, both from 0 to 1 (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def colours_of(profile: bytes) -> bytes:
    """What kind of pixels a profile is for: b"RGB ", b"GRAY", b"CMYK" and others; b"" if it is none."""
    return profile[16:20] if len(profile) > _TABLE and profile[36:40] == b"acsp" else b""


@lru_cache(maxsize=32)
def is_srgb(profile: bytes) -> bool:
    """Whether a profile is sRGB's, or that of its greys, by what it says and not by its name."""
    try:
        tags = tags_of(profile)
        if b"A2B0" in tags or b"A2B1" in tags:
            return False
        if colours_of(profile) == b"GRAY":
            return _is_srgb_curve(tags[b"kTRC"])
        if colours_of(profile) != b"RGB ":
            return False
        numbers = [n / 65536 for name in _COLORANTS for n in struct.unpack(">3i", tags[name][8:20])]
        return all(abs(n - known) < _COLORANT_ERROR for n, known in zip(numbers, _SRGB, strict=True)) and all(
            _is_srgb_curve(tags[name]) for name in _CURVES
        )
    except (KeyError, IndexError, ValueError, ArithmeticError, struct.error):
        return False  # odd or damaged, which a library finds out


def tags_of(profile: bytes) -> dict[bytes, bytes]:
    """The tags of a profile by signature."""
    (number,) = struct.unpack_from(">I", profile, _TABLE)
    tags = {}
    for i in range(min(number, _MOST_TAGS)):
        name, start, size = struct.unpack_from(">4sII", profile, _TABLE + 4 + 12 * i)
        tags[name] = profile[start : start + size]
    return tags


def signalled(profile: bytes) -> tuple[int, int] | None:
    """The code points of primaries and transfer in a profile's tag `cicp`, if there is one."""
    try:
        tag = tags_of(profile).get(b"cicp", b"")
    except struct.error:
        return None
    return (tag[8], tag[9]) if len(tag) >= 10 else None


def _is_srgb_curve(tag: bytes) -> bool:
    curve = _curve(tag)
    # not only at samples of the value: a gamma of 2.2 is near, but not in the darks
    return all(abs(curve(x) - srgb_to_linear(x)) < _CURVE_ERROR for x in _SAMPLES)


def _curve(tag: bytes) -> Callable[[float], float]:
    if tag[:4] == b"curv":
        (number,) = struct.unpack_from(">I", tag, 8)
        if number < 2:
            gamma = tag[12] + tag[13] / 256 if number else 1.0
            return lambda x: float(x**gamma)
        values = struct.unpack_from(f">{number}H", tag, 12)
        return lambda x: _between(values, x) / 65535
    (kind,) = struct.unpack_from(">H", tag, 8)
    given = [n / 65536 for n in struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12)]
    g, a, b, c, d, e, f = given + [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0][len(given) :]
    if kind in (1, 2):
        # a function with a foot that is flat, at 0 or at c
        return lambda x: (a * x + b) ** g + c if x >= -b / a else c
    return lambda x: (a * x + b) ** g + e if x >= d else c * x + f


def _between(values: Sequence[int], x: float) -> float:
    at = x * (len(values) - 1)
    low = min(int(at), len(values) - 2)
    return values[low] + (values[low + 1] - values[low]) * (at - low)


def matrix_profile(primaries: Sequence[Pair], white: Pair, curve: Callable[[float], float]) -> bytes:
    """A profile of an RGB space: x and y of its primaries and its white, and linear light of a value.

    Raises
    ------
    ValueError
        If there is no such space.
    """
    import numpy as np

    colorants = _adapted(white) @ rgb_to_xyz(primaries, white)
    if not (np.isfinite(colorants).all() and np.abs(colorants).max() < 4):
        raise ValueError("primaries that span no colours")
    values = [round(65535 * min(1.0, max(0.0, curve(i / (_CURVE_SIZE - 1))))) for i in range(_CURVE_SIZE)]
    table = b"curv" + bytes(4) + struct.pack(f">I{_CURVE_SIZE}H", _CURVE_SIZE, *values)
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 4) + b"RGB\0" + bytes(79),
        b"cprt": b"text" + bytes(4) + b"none\0\0\0\0",
        b"wtpt": _xyz(_D50),
        **{name: _xyz(colorants[:, i]) for i, name in enumerate(_COLORANTS)},
    }
    body, entries, at = b"", b"", _TABLE + 4 + 12 * (len(tags) + 3)
    for name, tag in tags.items():
        tag += bytes(-len(tag) % 4)
        entries += struct.pack(">4sII", name, at + len(body), len(tag))
        body += tag
    entries += b"".join(struct.pack(">4sII", name, at + len(body), len(table)) for name in _CURVES)
    size = at + len(body) + len(table)
    head = struct.pack(">II", size, 0) + b"\x02\x40\0\0mntrRGB XYZ " + struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    head += b"acsp" + bytes(28) + struct.pack(">3i", *(round(65536 * n) for n in _D50)) + bytes(48)
    return head + struct.pack(">I", len(tags) + 3) + entries + body + table


def rgb_to_xyz(primaries: Sequence[Pair], white: Pair) -> NDArray[np.float64]:
    """The matrix from linear RGB to XYZ, (3, 3)."""
    import numpy as np

    try:
        columns = np.array([_of_xy(xy) for xy in primaries]).T
        return np.asarray(columns * np.linalg.solve(columns, np.array(_of_xy(white))))
    except (ZeroDivisionError, np.linalg.LinAlgError):
        raise ValueError("primaries that span no colours") from None


def _adapted(white: Pair) -> NDArray[np.float64]:
    """The matrix from XYZ under a white to that under D50, by Bradford's cones."""
    import numpy as np

    cones = np.array(_BRADFORD)
    gains = (cones @ np.array(_D50)) / (cones @ np.array(_of_xy(white)))
    return np.asarray(np.linalg.inv(cones) @ (gains[:, None] * cones))


def _of_xy(xy: Pair) -> tuple[float, float, float]:
    x, y = xy
    return x / y, 1.0, (1 - x - y) / y


def _xyz(numbers: Sequence[float] | NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * float(n)) for n in numbers))
