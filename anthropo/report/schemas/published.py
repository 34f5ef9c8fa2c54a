"""The schemas by name: what they are of, and the files that are installed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from anthropo.errors import InputError

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Published:
    """A schema that is published.

    Examples
    --------
    >>> from anthropo.report.schemas import published
    >>> [one.name for one in published()][:3]
    ['measurements', 'people', 'landmarks']
    """

    name: str
    version: int  # raised when an entry is removed, renamed or means something else
    title: str  # what files it describes
    commands: tuple[str, ...]  # that write such files
    stamped: bool = True  # whether a permissive run is noted in the file

    @property
    def id(self) -> str:
        """The schema's `$id`."""
        return f"urn:anthropo:schema:{self.name}:{self.version}"


_ALL = (
    Published(
        "measurements",
        1,
        "Measured photos",
        (
            "measure -o FILE.json",
            "measure --patient -o FILE, FILE.photos.json",
            "measure --long -o FILE, FILE.photos.json",
        ),
        stamped=False,
    ),
    Published("people", 1, "Measured people", ("measure --patient -o FILE.json",), stamped=False),
    Published("landmarks", 1, "Landmark files", ("measure --save-landmarks FILE.json",), stamped=False),
    Published("change", 1, "What changed in a person", ("change BEFORE AFTER -o FILE.json",)),
    Published(
        "change-cohort", 1, "What changed in the patients of a cohort", ("change COHORT -o FILE.json",)
    ),
    Published("answers", 1, "Answers of a model", ("classify -o FILE.json",), stamped=False),
    Published("explanation", 1, "An explained answer of a model", ("explain -o FILE.json",)),
    Published("network-explanation", 1, "An explained answer of a network", ("explain -o FILE.json",)),
    Published("evaluation", 1, "An evaluation", ("evaluate -o FILE.json",)),
    Published(
        "attributes", 1, "Ways to learn several attributes", ("evaluate --compare attributes -o FILE.json",)
    ),
    Published("regions", 1, "What distinguishes a label", ("regions -o FILE.json",)),
    Published("composites", 1, "Composites", ("composite -o FOLDER, FOLDER/composites.json",)),
    Published("finetune-history", 1, "Losses of a network", ("finetune -o NET.anthropo, NET.history.json",)),
    Published("compared-networks", 1, "Compared networks", ("compare-networks -o FILE.json",), stamped=False),
    Published("bench", 1, "Time and quality of networks", ("bench -o FILE.json",), stamped=False),
    Published(
        "translation-history",
        1,
        "Losses of a translation",
        ("translate train -o AB.anthropo, AB.history.json",),
    ),
    Published("landmark-errors", 1, "Errors of a landmark model", ("landmarks evaluate -o FILE.json",)),
    Published("installation", 1, "What was found of an installation", ("doctor --json",), stamped=False),
    Published("run", 1, "How an output was made", ("every command with -o, OUTPUT.run.json",), stamped=False),
)


def published() -> tuple[Published, ...]:
    """Every schema, in the order of the documentation.

    Returns
    -------
    tuple of Published

    Examples
    --------
    >>> from anthropo.report.schemas import published
    >>> next(one.id for one in published() if one.name == "run")
    'urn:anthropo:schema:run:1'
    """
    return _ALL


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of files that anthropo writes.

    Parameters
    ----------
    name : str
        Such as "measurements" or "explanation"; `published` lists all.

    Returns
    -------
    dict
        A schema of draft 2020-12, which needs no other file. Entries that are not listed are refused.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> from anthropo.report import schema
    >>> schema("landmarks")["$id"]
    'urn:anthropo:schema:landmarks:1'
    """
    names = [one.name for one in _ALL]
    if name not in names:
        raise InputError(f"{name}: no such schema. There are {', '.join(names)}.")
    made: dict[str, Any] = json.loads(_text(name))
    return made


@cache
def _text(name: str) -> str:
    return files("anthropo.report.schemas").joinpath(f"{name}.json").read_text("utf-8")
