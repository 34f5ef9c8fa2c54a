"""`python -m anthropo.report.schemas docs` writes the schemas and their page, docs/schemas.md."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from anthropo.files import write
from anthropo.report.schemas import grouped, learned, measured
from anthropo.report.schemas.building import TEXT, Schema, described
from anthropo.report.schemas.published import DIALECT, Published, published

_MAKERS: dict[str, Callable[[], Schema]] = {
    name.replace("_", "-"): getattr(room, name)
    for room, names in (
        (measured, ("measurements", "people", "landmarks", "change", "change_cohort")),
        (learned, ("answers", "explanation", "network_explanation", "evaluation", "attributes")),
        (
            grouped,
            (
                "regions",
                "composites",
                "finetune_history",
                "compared_networks",
                "bench",
                "translation_history",
                "landmark_errors",
                "installation",
                "run",
            ),
        ),
    )
    for name in names
}

_HEAD = """# JSON files and their schemas

Made by `python -m anthropo.report.schemas docs`; a test fails when they differ, and others validate what the
commands write.

Every JSON file that anthropo writes has a JSON Schema (draft 2020-12) that says what each entry means and in
which unit. The schemas are installed with the package, need no other file and nothing from the network, and
refuse entries that they do not list.

```python
import json
import jsonschema
from anthropo.report import schema

jsonschema.validate(json.load(open("portrait.json")), schema("measurements"))
```

The version in a schema's `$id` is raised when an entry is removed, renamed or comes to mean something else. A
later version of anthropo may add entries: use the schemas of the version that wrote the file, which it states
as `anthropo`.

Without a schema of anthropo's: phenopackets (`traits -o FILE.json`) follow
GA4GH's [Phenopacket schema 2.0](https://phenopacket-schema.readthedocs.io), landmarks for other programs
(`landmarks convert -o FILE.json`) are COCO keypoints, and `manifest.json` within a model file is described
in [Files of models and networks](files.md).

| schema | of | written by |
|---|---|---|
"""


def document(one: Published) -> Schema:
    """A schema as its file has it."""
    made = _MAKERS[one.name]()
    definitions = made.pop("$defs", {})
    if one.stamped:
        notice = described(TEXT, "Of a permissive run: what that is, and what it left out.")
        named = [part.get("$ref", "").rsplit("/", 1)[-1] for part in made.get("oneOf", [made])]
        roots = [
            definitions.get(name, part) for name, part in zip(named, made.get("oneOf", [made]), strict=True)
        ]
        for root in roots:
            root["properties"] = {"permissive": notice, **root["properties"]}
    maker = (_MAKERS[one.name].__doc__ or "").strip()
    head: Schema = {"$schema": DIALECT, "$id": one.id, "title": one.title}
    if "$ref" in made:
        made = definitions.pop(made["$ref"].rsplit("/", 1)[-1])
    return {
        **head,
        **made,
        "description": maker.replace("``", "`"),
        **({"$defs": definitions} if definitions else {}),
    }


def text(one: Published) -> str:
    """The file of a schema."""
    return json.dumps(document(one), ensure_ascii=False, indent=1) + "\n"


# ------------------------------------------------------------------------------------------- the page


def markdown() -> str:
    """The page docs/schemas.md."""
    lines = [_HEAD.rstrip()]
    for one in published():
        commands = "; ".join(f"`{command}`" for command in one.commands)
        lines.append(f"| [{one.name}](#{one.name}) | {one.title} | {commands} |")
    for one in published():
        whole = document(one)
        lines += ["", f"## {one.name}", ""]
        file = f"[{one.name}.json](../anthropo/report/schemas/{one.name}.json)"
        lines += [f"{whole['description']} `{one.id}`, {file}"]
        for title, part in _parts(whole):
            lines += [
                "",
                *([f"*{title}.*", ""] if title else []),
                "| entry | type | meaning |",
                "|---|---|---|",
            ]
            lines += _rows(part)
    return "\n".join(lines) + "\n"


def _parts(whole: Schema) -> Iterator[tuple[str, Schema]]:
    """The objects of a schema: what the file holds first."""
    inner = whole.get("items", whole)
    if "properties" in inner:
        yield "", inner
    for kind in inner.get("oneOf", ()):
        if "properties" in kind:
            yield "Of several attributes", kind
    for name, part in reversed(whole.get("$defs", {}).items()):  # those that hold others come first
        if "properties" in part:
            yield f"{name}: {part.get('description', '')}".rstrip(".: "), part


def _rows(part: Schema, under: str = "") -> Iterator[str]:
    for name, entry in part["properties"].items():
        optional = "" if name in part.get("required", ()) else ", if any"
        meaning = entry.get("description", "").replace("|", "\\|")
        yield f"| `{under}{name}` | {_kind(entry)}{optional} | {meaning} |"
        inner = _object_within(entry)
        if inner is not None:
            yield from _rows(inner, f"{under}{name}.")


def _object_within(entry: Schema) -> Schema | None:
    for one in (entry, *entry.get("anyOf", ())):
        at = one.get("items", one)
        if isinstance(at, dict) and "properties" in at:
            return at
    return None


_WORDS = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
    "null": "null",
}


def _kind(entry: Schema) -> str:
    """The type of an entry in words."""
    if "$ref" in entry:
        return str(entry["$ref"].rsplit("/", 1)[-1])
    if "const" in entry:
        return f"`{json.dumps(entry['const'], ensure_ascii=False)}`"
    if "enum" in entry:
        return ", ".join(entry["enum"]) if len(entry["enum"]) < 9 else "text"
    if "anyOf" in entry:
        return " or ".join(_kind(one) for one in entry["anyOf"])
    kind = entry.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(_kind({**entry, "type": one}) for one in kind)
    if kind == "array" and "items" in entry and entry["items"]:
        least = (
            f"{entry['minItems']} "
            if entry.get("minItems") == entry.get("maxItems") and "maxItems" in entry
            else ""
        )
        return f"list of {least}{_several(_kind(entry['items']))}"
    if kind == "object" and isinstance(entry.get("additionalProperties"), dict):
        inner = _kind(entry["additionalProperties"])
        return f"object of {_several(inner)}" if inner != "any" else "object"
    return _WORDS.get(str(kind), str(kind))


def _several(kind: str) -> str:
    """The plural of a type in words; names of definitions stay as they are."""
    word, _, rest = kind.partition(" ")
    return f"{word}s {rest}".strip() if word in _WORDS.values() else kind


def main(docs: str) -> None:
    """Write every schema and the page."""
    folder = Path(__file__).parent
    for one in published():
        write(folder / f"{one.name}.json", text(one))
    write(Path(docs) / "schemas.md", markdown())


if __name__ == "__main__":
    arguments: list[Any] = sys.argv[1:]
    main(arguments[0])
