"""Reading the parts of a model file with a check of every shape and type."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import ModelError

Arrays = dict[str, NDArray[Any]]

_MOST_NUMBERS = 1 << 18  # of all embeddings of a photo together


class Meta:
    """Typed access to a model's JSON."""

    def __init__(self, meta: Any) -> None:
        if not isinstance(meta, dict):
            raise ModelError("its description is missing")
        self._meta = meta

    def _of(self, key: str, kind: type[Any]) -> Any:
        value = self._meta.get(key)
        if not isinstance(value, kind):
            raise ModelError(f"`{key}` is missing or of another type")
        return value

    def text(self, key: str) -> str:
        """A text."""
        return str(self._of(key, str))

    def number(self, key: str) -> float:
        """A number."""
        return float(self._of(key, (int, float)))  # type: ignore[arg-type]

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        texts = self._of(key, list)
        if not all(isinstance(v, str) for v in texts):
            raise ModelError(f"`{key}` holds something else than text")
        return list(texts)

    def numbers(self, key: str) -> list[float]:
        """A list of numbers."""
        numbers = self._of(key, list)
        if not all(type(v) in (int, float) for v in numbers):
            raise ModelError(f"`{key}` holds something else than numbers")
        return [float(v) for v in numbers]

    def flag(self, key: str) -> bool:
        """True or false."""
        return bool(self._of(key, bool))

    def mapping(self, key: str) -> dict[str, Any]:
        """A JSON object."""
        return dict(self._of(key, dict))

    def sizes(self, key: str) -> dict[str, int]:
        """A JSON object of the lengths of embeddings, which together are no more than memory allows."""
        sizes = self.mapping(key)
        if not all(type(d) is int and d > 0 for d in sizes.values()) or sum(sizes.values()) > _MOST_NUMBERS:
            raise ModelError(f"`{key}` holds an embedding of an impossible size")
        return sizes


class Take:
    """Arrays by name, each of the shape that is asked for."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def __call__(self, name: str, *shape: int | None) -> NDArray[np.float64]:
        """An array as float64; refused if missing or of another shape, where None is any length."""
        array = self._arrays.get(name)
        if (
            array is None
            or array.ndim != len(shape)
            or any(want not in (None, have) for have, want in zip(array.shape, shape, strict=True))
        ):
            raise ModelError(f"array {name} is missing or of another shape")
        numbers: NDArray[np.float64] = array.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise ModelError(f"array {name} holds infinity or NaN")
        return numbers


def part(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def prefixed(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays under longer names."""
    return {prefix + name: a for name, a in arrays.items()}
