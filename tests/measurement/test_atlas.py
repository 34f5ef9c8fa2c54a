from __future__ import annotations

from pathlib import Path

from anthropo.measurement.atlas import atlas


def test_the_atlas_is_what_the_registry_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "atlas.md"
    remedy = "python -m anthropo.measurement.atlas > docs/atlas.md"
    assert page.read_text(encoding="utf-8") == atlas(), f"docs/atlas.md is stale: {remedy}"
