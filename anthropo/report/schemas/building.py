"""JSON Schemas made from what is written elsewhere: records, their comments and the data dictionary."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from anthropo.learning.intervals import Interval
from anthropo.learning.metrics import DEFINITIONS
from anthropo.report.columns import dictionary
from anthropo.report.meanings import meanings

Schema = dict[str, Any]
Fields = dict[str, Schema]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
TRUTH: Schema = {"type": "boolean"}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_SIMPLE = {str: TEXT, float: NUMBER, int: INTEGER, bool: TRUTH, Any: {}, type(None): {"type": "null"}}


def described(schema: Schema, description: str) -> Schema:
    """A schema with what it describes in words."""
    return {**schema, "description": sentence(description)}


def sentence(text: str) -> str:
    """A comment of the sources as a sentence; NaN is null in JSON."""
    text = re.sub(r"\bNaN\b|\bNone\b", "null", text.strip())
    text = text[:1].upper() + text[1:] if re.match(r"(?!ok\b)[a-z]+([ ,;.]|$)", text) else text
    return text if text.endswith((".", "…")) else f"{text}."


def or_null(schema: Schema) -> Schema:
    """The schema, or null."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    if isinstance(schema.get("type"), list):
        return schema
    inner = {key: value for key, value in schema.items() if key != "description"}
    if not inner:
        return schema
    kept = {"description": schema["description"]} if "description" in schema else {}
    return {"anyOf": [inner, {"type": "null"}], **kept}


def one_of(*values: str) -> Schema:
    """One of these words."""
    return {"enum": list(values)}


def listed(items: Schema, least: int | None = None, most: int | None = None) -> Schema:
    """A list of values of one kind."""
    bounds = {"minItems": least, "maxItems": most}
    return {"type": "array", "items": items, **{k: v for k, v in bounds.items() if v is not None}}


def by_name(values: Schema) -> Schema:
    """An object whose keys are names that vary."""
    return {"type": "object", "additionalProperties": values}


def entries(properties: Fields, optional: Iterable[str] = ()) -> Schema:
    """An object of just these entries."""
    left = set(optional)
    assert left <= set(properties), left - set(properties)
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in left],
        "additionalProperties": False,
    }


def column(table: str, name: str, schema: Schema) -> Schema:
    """An entry that is a column of a table, with what the data dictionary says of it."""
    entry = next(one for one in dictionary() if one.table == table and one.matches(name))
    unit = f" Unit: {entry.unit}." if entry.unit not in ("", "1", "unit", "its own") else ""
    return described(schema, f"{entry.meaning.strip()}{unit}")


def columns(table: str, kinds: Mapping[str, Schema], *, missing: bool = True) -> Fields:
    """All columns of a table: numbers where they have a unit, else texts, unless `kinds` says otherwise."""
    made: Fields = {}
    for one in dictionary():
        if one.table == table:
            kind = kinds.get(one.column) or (or_null(NUMBER) if one.unit and missing else TEXT)
            made[one.column] = column(table, one.column, kind)
    return made


FIGURES = "Figures"
LEFT_OUT = described(
    listed(entries({"photo": described(TEXT, "The photo."), "reason": described(TEXT, "Why.")})),
    "Photos that could not be used.",
)


@dataclass(slots=True)
class Schemas:
    """Definitions that a schema's parts share, made from records as they are named."""

    definitions: Fields = field(default_factory=dict)
    imported: dict[str, Any] = field(default_factory=dict)  # names that sources import for type checkers only

    def whole(self, schema: Schema) -> Schema:
        """A document's schema, with the definitions that its parts refer to."""
        return {**schema, "$defs": self.definitions}

    def define(self, name: str, schema: Schema, description: str = "") -> Schema:
        """Keep a definition, and refer to it."""
        made = described(schema, description) if description else schema
        assert self.definitions.setdefault(name, made) == made, name
        return {"$ref": f"#/$defs/{name}"}

    def entry_of(self, kind: type[Any], name: str, *, missing: bool = False) -> Schema:
        """A field of a record, under its description."""
        schema = self.of(get_type_hints(kind, include_extras=True)[name], missing=missing)
        return described(schema, meanings(kind)[name])

    def record(
        self,
        kind: type[Any],
        *,
        name: str = "",
        words: Mapping[str, str] | None = None,
        changed: Mapping[str, Schema] | None = None,
        more: Mapping[str, Schema] | None = None,
        without: Iterable[str] = (),
        optional: Iterable[str] = (),
        missing: bool = False,
    ) -> Schema:
        """An object that has the fields of a dataclass.

        Parameters
        ----------
        kind : type
        name : str
            Of the definition; left out: that of the class.
        words : mapping of str to str, optional
            What the source does not say of fields.
        changed, more : mapping of str to dict, optional
            Fields that are written in another manner than they are kept, and entries that are no fields.
        without, optional : iterable of str
            Fields that are not written, or not always.
        missing : bool
            Whether a number that cannot be had is null.
        """
        name = name or kind.__name__
        told = {**meanings(kind), **(words or {})}
        hints = get_type_hints(kind, localns=self.imported, include_extras=True)
        made: Fields = {}
        for one in fields(kind):
            if one.name in set(without):
                continue
            if one.name in (changed or {}):
                made[one.name] = (changed or {})[one.name]
                continue
            if one.name not in told:
                raise LookupError(f"{kind.__name__}.{one.name}: nothing says what it is.")
            made[one.name] = described(self.of(hints[one.name], missing=missing), told[one.name])
        made |= more or {}
        left = set(made) if optional == "all" else optional
        return self.define(name, entries(made, left), (inspect.getdoc(kind) or "").split("\n", 1)[0])

    def of(self, hint: Any, *, missing: bool = False) -> Schema:
        """What a type is in JSON; records have to be defined before."""
        if hint is float and missing:
            return or_null(NUMBER)
        if hint in _SIMPLE:
            return dict(_SIMPLE[hint])
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self.of(inner[0], missing=missing)
        if origin is Literal:
            return one_of(*inner)
        if origin in (Union, types.UnionType):
            rest = [one for one in inner if one is not type(None)]
            kinds = [self.of(one, missing=missing) for one in rest]
            made = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
            return or_null(made) if len(rest) < len(inner) else made
        if origin is tuple and inner[-1] is not Ellipsis:
            return {
                "type": "array",
                "prefixItems": [self.of(one, missing=missing) for one in inner],
                "items": False,
                "minItems": len(inner),
            }
        if origin in (list, tuple):
            return listed(self.of(inner[0], missing=missing))
        if inspect.isclass(origin) and issubclass(origin, Mapping):
            return by_name(self.of(inner[1], missing=missing))
        if hint is Interval:
            return self.interval()
        if is_dataclass(hint):
            name = getattr(hint, "__name__", "")
            assert name in self.definitions, f"{name} has to be defined before it is used"
            return {"$ref": f"#/$defs/{name}"}
        raise TypeError(f"{hint!r} has no form in JSON")

    def interval(self) -> Schema:
        """A figure with its 95 % interval."""
        properties = {
            "value": described(
                or_null(NUMBER), "The figure; null: it cannot be computed, and `reason` says why."
            ),
            "lo": described(or_null(NUMBER), "Lower end of its 95 % interval, by patient; null: not known."),
            "hi": described(or_null(NUMBER), "Upper end of the same."),
            "n": described(COUNT, meanings(Interval)["n"]),
            "reason": described(TEXT, "Why it cannot be computed; only then."),
        }
        return self.define("Interval", entries(properties, ["reason"]), "A figure with its 95 % interval.")

    def figures(self) -> Schema:
        """Figures of a model by metric; those that do not apply are left out."""
        made = {name: {**self.interval(), "description": text} for name, text in DEFINITIONS.items()}
        return self.define(
            FIGURES, entries(made, made), "Figures by metric; those that do not apply are left out."
        )
