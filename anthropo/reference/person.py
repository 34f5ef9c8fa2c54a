"""Who a person is, from what people write."""

from __future__ import annotations

UNKNOWN = "unknown"


def parse_ancestry(text: str) -> str | None:
    """The name of a group as it was written; None where nothing is, or that it is unknown.

    Which names there are is the matter of each reference.

    Examples
    --------
    >>> parse_ancestry(" East Asian "), parse_ancestry("Unknown")
    ('East Asian', None)
    """
    name = " ".join(text.split())
    return name if name and name.casefold() != UNKNOWN else None
