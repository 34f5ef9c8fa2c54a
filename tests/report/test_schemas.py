"""The schemas of JSON files: made from the sources, strict, complete; what commands write is checked in every
test that writes it (see json_files.py)."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from conftest import Invoke, sentence_of
from json_files import BY_COMMAND, check, check_outputs, command_of, validator
from jsonschema import Draft202012Validator

import anthropo
import anthropo.cli
from anthropo.batch import Item, measure_item
from anthropo.batch.encoding import encode
from anthropo.cli import cli
from anthropo.errors import InputError
from anthropo.measurement.landmark_file import landmarks_text
from anthropo.report import schema
from anthropo.report.schemas import published
from anthropo.report.schemas.__main__ import markdown, text

PACKAGE = Path(anthropo.__file__).parent
DOCS = Path(__file__).parents[2] / "docs"
NAMES = [one.name for one in published()]

#: Every module that makes text of JSON for a file, and the schemas of that, or what it is instead.
WRITERS = {
    "batch/encoding.py": "measurements people",
    "cli/evaluate.py": "evaluation",
    "learning/evaluation.py": "evaluation",
    "measurement/landmark_file.py": "landmarks",
    "report/answers.py": "answers",
    "report/bench.py": "bench compared-networks",
    "report/change.py": "change change-cohort",
    "report/composite.py": "composites",
    "report/evaluation.py": "evaluation",
    "report/explanation/page.py": "explanation",
    "report/finetune.py": "finetune-history",
    "report/landmarks.py": "landmark-errors",
    "report/network.py": "network-explanation",
    "report/regions.py": "regions",
    "report/relations.py": "attributes",
    "report/traits.py": "(a phenopacket)",
    "report/translation.py": "translation-history",
    "reference/phenopacket.py": "(a phenopacket)",
    "workflows/attributes.py": "attributes",
    "workflows/installation.py": "installation",
    "workflows/manifest.py": "run",
}
#: Modules that make JSON for something else: caches, journals, hashes, members of model files, networks.
NO_FILES = {
    "batch/journal.py", "batch/reading.py", "batch/spool.py", "batch/summaries.py", "groups/composite.py",
    "learning/boosters.py", "learning/features.py", "learning/intervals.py", "learning/trained.py",
    "report/rendering.py",
}  # fmt: skip


def commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in commands(command))
        else:
            yield name, command


def objects(part: Any) -> Iterator[dict[str, Any]]:
    """Every schema of an object within a schema."""
    if isinstance(part, dict):
        if "properties" in part and isinstance(part.get("type"), str | list):
            yield part
        for inner in part.values():
            yield from objects(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from objects(inner)


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    (record,) = measure_item(
        Item(anthropo.example_photo()), anthropo.Settings(jitter=2, sex="female", age="40")
    )
    made: dict[str, Any] = json.loads(encode([record.to_json()], ".json"))
    return made


def test_files_and_page_are_made_of_the_sources() -> None:
    for one in published():
        file = PACKAGE / "report" / "schemas" / f"{one.name}.json"
        assert file.read_text("utf-8") == text(one), f"python -m anthropo.report.schemas docs: {one.name}"
    assert (DOCS / "schemas.md").read_text("utf-8") == markdown(), "python -m anthropo.report.schemas docs"
    assert {file.stem for file in (PACKAGE / "report" / "schemas").glob("*.json")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_is_strict_and_says_what_every_entry_is(name: str) -> None:
    whole = schema(name)
    Draft202012Validator.check_schema(whole)
    assert whole["$id"].startswith(f"urn:anthropo:schema:{name}:")
    found = list(objects(whole))
    assert found
    for one in found:
        assert one["additionalProperties"] is False
        assert set(one["required"]) <= set(one["properties"])
        for entry, of in one["properties"].items():
            assert len(of.get("description", "")) > 3, entry


def test_every_name_within_leads_somewhere() -> None:
    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            yield from (part["$ref"],) if "$ref" in part else ()
            part = list(part.values())
        for inner in part if isinstance(part, list) else ():
            yield from references(inner)

    for name in NAMES:
        whole = schema(name)
        used = {one.removeprefix("#/$defs/") for one in references(whole)}
        assert used == set(whole.get("$defs", {})), name


def test_what_is_measured_is_valid_and_what_is_altered_is_not(measured: dict[str, Any]) -> None:
    check("measurements", measured)
    ways = {
        "an entry too many": lambda r: r.update(smile=1),
        "an entry missing": lambda r: r.pop("pose"),
        "a text for a number": lambda r: r.update(width="440"),
        "67 landmarks": lambda r: r["landmarks"].pop(),
        "a point of three numbers": lambda r: r["landmarks"][3].append(1.0),
        "an unknown status": lambda r: r.update(status="fine"),
        "a value without unit": lambda r: r["measurements"]["mouth_width"].pop("unit"),
        "a z-score with an entry of its own": lambda r: r["measurements"]["mouth_width"]["z"][0].update(x=0),
        "a check without a limit": lambda r: r["gate"]["yaw"].pop("limit"),
    }
    for what, alter in ways.items():
        changed = copy.deepcopy(measured)
        alter(changed["photos"][0])
        assert not validator("measurements").is_valid(changed), what
    with pytest.raises(AssertionError, match="photos/0"):
        check("measurements", {**measured, "photos": [{**measured["photos"][0], "width": None, "face": "0"}]})


def test_a_photo_without_a_face_is_valid(tmp_path: Path) -> None:
    (record,) = measure_item(Item(str(tmp_path / "gone.png")), anthropo.Settings())
    check("measurements", json.loads(encode([record.to_json()], ".json")))


def test_a_landmark_file_with_a_point_missing_or_renamed_is_not_valid() -> None:
    seen = anthropo.observe(anthropo.example_photo(), anthropo.Settings(jitter=2))
    made = json.loads(landmarks_text(seen.face, seen.digest))
    check("landmarks", made)
    assert not validator("landmarks").is_valid({**made, "points": made["points"][1:]})
    assert not validator("landmarks").is_valid({**made, "schema": "anthropo landmarks 2"})
    assert not validator("landmarks").is_valid({**made, "sha256": "abc"})
    made["points"][0]["point"] = "p74"
    assert not validator("landmarks").is_valid(made)


def test_every_command_that_writes_json_has_a_schema() -> None:
    writing = set()
    for name, command in commands(cli):
        for option in command.params:
            if isinstance(option, click.Option) and (
                "--json" in option.opts or ("-o" in option.opts and ".json" in (option.help or ""))
            ):
                writing.add(name)
    others = {"landmarks convert"}  # its help names the suffix above the options
    assert writing | others == set(BY_COMMAND)
    assert {name for names in BY_COMMAND.values() for name in names or ()} < set(NAMES)


def test_every_module_that_makes_json_is_listed_with_its_schemas() -> None:
    rooms = ("batch", "groups", "landmarks", "learning", "measurement", "reference", "report", "workflows")
    files = [
        file for room in rooms for file in (PACKAGE / room).rglob("*.py") if file.parent.name != "schemas"
    ]
    named = {file.relative_to(PACKAGE).as_posix(): file for file in files}
    named |= {f"cli/{file.name}": file for file in Path(anthropo.cli.__file__).parent.glob("*.py")}
    made = re.compile(r"\b(?:as_json|json\.dumps?)\(")
    found = {name for name, file in named.items() if made.search(file.read_text("utf-8"))}
    assert found == set(WRITERS) | NO_FILES
    assert {name for of in WRITERS.values() for name in of.split() if "(" not in of} == set(NAMES)


def test_commands_that_the_page_names_exist() -> None:
    for one in published():
        for line in one.commands:
            words = line.replace(",", " ").split()
            assert line.startswith("every command") or command_of(cli, words), line


def test_an_unknown_name_is_told_the_others() -> None:
    assert sentence_of(InputError, schema, "photos").startswith(
        "photos: no such schema. There are measurements, "
    )


def test_what_a_command_writes_is_looked_at_after_it(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    words = ["measure", anthropo.example_photo(), "-o", str(file), "--jitter", "2", "--no-fine"]
    assert invoke(*words).exit_code == 0
    assert check_outputs(cli, words) == 2  # with the manifest of the run
    file.write_text(file.read_text("utf-8").replace('"hidden"', '"covered"'), "utf-8")
    with pytest.raises(AssertionError, match="not a measurements: photos/0"):
        check_outputs(cli, words)
    with pytest.raises(KeyError, match="reference list"):
        check_outputs(cli, ["reference", "list", "-o", str(file)])
