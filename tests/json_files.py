"""Every JSON file that a command writes in a test is valid under the schema that is published for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
from jsonschema import Draft202012Validator

from anthropo.report import schema

#: What each command writes to its .json; None: a format of others, which is tested by a library of theirs.
BY_COMMAND: Mapping[str, Sequence[str] | None] = {
    "measure": ("measurements", "people"),
    "traits": None,  # phenopackets
    "classify": ("answers",),
    "explain": ("explanation", "network-explanation"),
    "evaluate": ("evaluation", "attributes"),
    "change": ("change", "change-cohort"),
    "regions": ("regions",),
    "bench": ("bench",),
    "compare-networks": ("compared-networks",),
    "landmarks evaluate": ("landmark-errors",),
    "doctor": ("installation",),
    "landmarks convert": None,  # COCO keypoints
}
#: What lies beside an output or in it, by the end of its name.
BESIDE = {
    ".run.json": "run",
    ".photos.json": "measurements",
    "composites.json": "composites",
    ".landmarks.json": "landmarks",
}


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema(name))


def check(name: str, document: Any) -> None:
    """Fail where a document is not valid, and say at which place."""
    for error in validator(name).iter_errors(document):
        while error.context:
            error = max(error.context, key=lambda one: len(one.absolute_path))
        where = "/".join(map(str, error.absolute_path))
        raise AssertionError(f"not a {name}: {where}: {error.message[:500]}")


def name_of(command: str, words: Sequence[str], document: Any) -> str | None:
    """The schema of what a command has written; a command that is not listed has none, which is an error."""
    among = BY_COMMAND[command]
    if among is None:
        return None
    if command == "measure":
        return "people" if "--patient" in words else "measurements"
    if command == "explain":
        return "network-explanation" if "network" in document else "explanation"
    if command == "evaluate":
        return "attributes" if "relations" in document else "evaluation"
    if command == "change":
        return "change-cohort" if "tests" in document else "change"
    return among[0]


def command_of(group: click.Group, words: Sequence[str]) -> str:
    """Such as "landmarks evaluate"."""
    found: list[str] = []
    at: click.Command = group
    for word in words:
        inner = at.get_command(click.Context(at), word) if isinstance(at, click.Group) else None
        if inner is not None:
            at = inner
            found.append(word)
    return " ".join(found)


#: The entry that a test adds to the photos of a file, as a user may.
BY_HAND = "mine"


def check_outputs(group: click.Group, words: Sequence[str], printed: str = "") -> int:
    """Validate what a command line has written, and what it has printed with --json; how much that was."""
    command, files = command_of(group, words), set[Path]()
    for option, value in pairwise(words):
        if option not in ("-o", "--output", "--save-landmarks"):
            continue
        path = Path(value)
        files |= {path.with_name(f"{path.name}.run.json"), path.with_suffix(".photos.json")}
        files |= {path.with_suffix(".history.json"), path / "composites.json"}
        files |= set(path.glob("*.landmarks.json")) if path.is_dir() else set()
        if path.suffix.lower() == ".json":
            files.add(path)
    checked = 0
    if "--json" in words and printed:
        check(str(name_of(command, words, document := json.loads(printed))), document)
        checked += 1
    for file in sorted(files):
        if not file.is_file():
            continue
        document = json.loads(file.read_text("utf-8"))
        name = next((name for end, name in BESIDE.items() if file.name.endswith(end)), None)
        if file.name.endswith(".history.json"):
            name = "translation-history" if "epochs" in document else "finetune-history"
        if "--save-landmarks" in words and file == Path(words[words.index("--save-landmarks") + 1]):
            name = "landmarks"
        name = name or name_of(command, words, document)
        if (
            name == "measurements"
        ):  # a continued run keeps what somebody has added by hand; no schema knows it
            for photo in document["photos"]:
                photo.pop(BY_HAND, None)
        if name is not None:
            check(name, document)
            checked += 1
    return checked
