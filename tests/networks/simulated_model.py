"""A hybrid model's file without a photograph."""

from __future__ import annotations

from pathlib import Path

from anthropo.learning.bundle import Bundle, write_bundle


def hybrid_model(path: Path) -> Path:
    """What `Trained.save` writes, as far as it is looked at before it is refused."""
    write_bundle(path, Bundle({"task": "binary", "labels": ["a", "b"], "model": {"task": "labels"}}, {}))
    return path
