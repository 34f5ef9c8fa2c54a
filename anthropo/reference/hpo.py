"""The terms of a release of the Human Phenotype Ontology (HPO), and which of them imply which.

hpo.csv has head, neck, eyes, ears, skin, growth and the sides of the body, and all their ancestors. By the
true-path rule a finding is also everything that its term is a kind of: who has severe short stature has
short stature.
"""

from __future__ import annotations

from functools import lru_cache

from anthropo.files import packaged_table


@lru_cache(maxsize=1)
def _release() -> dict[str, dict[str, str]]:
    return {row["hpo_id"]: row for row in packaged_table("anthropo.reference", "hpo.csv")}


@lru_cache(maxsize=1)
def hpo_terms() -> dict[str, str]:
    """Labels of the HPO terms that are shipped, by identifier."""
    return {identifier: row["label"] for identifier, row in _release().items()}


def hpo_release() -> str:
    """Date of the HPO release whose terms are shipped."""
    return next(iter(_release().values()))["release"]


@lru_cache(maxsize=1024)
def ancestors(identifier: str) -> frozenset[str]:
    """Every term that a term is a kind of, up to the root, without itself; none if it is not shipped."""
    row = _release().get(identifier)
    parents = row["is_a"].split() if row else []
    return frozenset(parents).union(*(ancestors(parent) for parent in parents))
