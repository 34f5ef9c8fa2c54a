"""Which reference tables come with anthropo; what is in them is read by `anthropo.reference.tables`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from anthropo.files import file_sha256

#: The shipped tables of which one is chosen for each person where none is named, and the word for that.
STUDIO_REFERENCE, REFERENCE_OF_ALL_AGES = "frl-adults", "web-all-ages"
AUTOMATIC = "auto"


def shipped_references() -> dict[str, Path]:
    """The tables that come with anthropo, by name."""
    folder = Path(__file__).with_name("norms")
    return {path.stem: path for path in sorted(folder.glob("*.csv"))}


@lru_cache(maxsize=8)
def shipped_sha256(name: str) -> str:
    """SHA-256 of a table that comes with anthropo, hexadecimal."""
    return file_sha256(shipped_references()[name])
