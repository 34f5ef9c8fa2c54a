"""docs/files.md: what may stand in a model file, written from the limits that are checked.

`python -m anthropo.report.files docs` writes it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from anthropo import container
from anthropo.encoder.onnx_file import MOST_BYTES
from anthropo.encoder.onnx_trial import SECONDS
from anthropo.encoder.sidecar import NEEDED, OPTIONS
from anthropo.face import landmark_bundle
from anthropo.learning import boosters, states
from anthropo.learning.manifest import Manifest
from anthropo.learning.model_readers import LARGEST_INTEGER
from anthropo.learning.schema import LARGEST, LONGEST_TEXT, MOST_LABELS, MOST_NUMBERS, Among, Array, Range
from anthropo.networks.architectures import BACKBONES, MOST_WEIGHTS
from anthropo.networks.checkpoints import CheckpointHeader
from anthropo.networks.description import Description
from anthropo.networks.recipes import Parameters, limit_of
from anthropo.report.meanings import meanings
from anthropo.translation import file as translation_file
from anthropo.translation import options as translation_options

_INTRODUCTION = f"""# Files of models and networks

Made by `python -m anthropo.report.files docs` from the limits that are checked; a test fails when they
differ. A file is checked as a whole against them when it is opened, by the same code for `anthropo inspect`
as for every other use, and before anything is made of it: what `inspect` accepts works.

A file (`.anthropo`) is a zip of members that are stored uncompressed, one directly after the other, each
named in `manifest.json` with its size and SHA-256: at most {container.MAX_BYTES >> 20:,} MiB,
{container.MAX_MEMBERS:,} members and {container.MAX_MANIFEST >> 20} MiB of manifest. `card.md` is for people.
An array, `arrays/NAME.npy`, holds truth values, integers or floats, little-endian, in C order, and no
infinity or NaN. Nothing in a file is executed.

In JSON no key is twice, no text is longer than {LONGEST_TEXT:,} characters or has control characters, no
integer is beyond {LARGEST_INTEGER:,}, and nothing is nested deeper than {container.MAX_DEPTH}.
Entries that are not listed here are ignored, so that a later version may add some. An entry with a default
may be missing or null. *Among* means that texts, or the keys of an object, occur there.
"""

_BETWEEN = f"""
## Between the parts

- The labels of the manifest are those of the model, in its order; a network has an output for each
  (thresholds: one fewer).
- Measurements are of `anthropo/measurement/registry.csv` and need no scale; regions and metadata are those
  of the manifest, and each column of metadata has its kind. A model of pictures without a face has no
  measurement, and no region but `image`.
- The encoder is {states.ENCODER}, and each region's embedding has as many numbers as it gives.
- All arrays of a model hold at most {MOST_NUMBERS:,} numbers together (bytes apart), and there are at most
  {MOST_LABELS:,} labels, trained and matched.
- The arrays of all refits of a model hold at most {states.MOST_REFIT_NUMBERS:,} numbers together.
- Trees are such: children that lie in their tree, one parent each, at most {boosters.MAX_DEPTH} levels,
  {boosters.MOST_NODES:,} nodes and {boosters.MOST_TREES:,} trees, features and classes that there are,
  numbers up to {boosters.LARGEST:g}, and no node that covers nothing.
- A network has at most {MOST_WEIGHTS:,} weights, as many as it states, all finite; its channels, dimension
  and metadata fit its backbone and columns, its task, views and metadata the manifest's; the answer to a
  picture of noise is finite.
"""

_CHECKPOINT = """
## Checkpoints

`NET.anthropo.checkpoint/VIEW.npz` is an uncompressed archive of arrays, no larger than its parts: `module`
and `best_module`, the weights as in a network's file; `optimiser/NUMBER/NAME`, of the shape of the weight;
and `meta`, JSON as bytes.
"""

_LANDMARK_MODEL = f"""
## Landmark models

What `anthropo landmarks train` writes has the same container with the format `{landmark_bundle.FORMAT}` and
no `card.md`. `scheme` states `points` (2 to {landmark_bundle.MOST_POINTS:,} distinct names of up to
{landmark_bundle.LONGEST_NAME} characters), `mirror` (null, or for each point the one that it is in a mirrored
face, in pairs), `unit` (null, or two points) and `ibug` (whether they are the 68 that anthropo measures
from); `training` counts photos, faces and people, and has the error on those kept apart and the options;
`licence` is a text of up to {landmark_bundle.LONGEST_TEXT:,} characters.

| array | type, shape | limits |
|---|---|---|
| `forest` | uint8, (N,) | the engine's packed shape predictor, whole, of as many points as the scheme |
| `fine.frame`, `fine.REGION.*` | float16, float32, int32 | of the 68 points, if it has a second stage |
| `fine.share` | float32, () | share of the second stage in a point, 0 to 1; else the packaged one's |
| `fine.offset` | float32, (68, 2) | what is taken from its points, up to 100 px of the upright face |
| `fine.kept` | float32, (68,) | share of the first stage's spread that remains, 0 to 100 |
| `spread` | float64, (points,) | 0 to {landmark_bundle.MOST_SPREAD:,.0f} |
"""


_TRANSLATION = f"""
## Translations

What `anthropo translate train` writes has the same container with the format `{translation_file.FORMAT}`
and no `card.md`; `translation` of `manifest.json` is the object below. `arrays/to-B.npy` and
`arrays/to-A.npy`, float32 (N,), are the weights of the two generators, one after the other, all finite, and
as many as the options make; the translation of a picture of noise is finite. A size is a multiple of
{translation_options.STEP}.

The checkpoint, `AB.anthropo.checkpoint/translation.npz`, is an archive like that of a network: `module/NAME`,
`optimiser/NAME/NUMBER/NAME`, `buffer/DOMAIN` (pictures that the discriminators see again), and `meta`.
"""

_LIMITS = {Parameters: limit_of, translation_options.TranslationParameters: translation_options.limit_of}
_STATES = (
    states.LabelState, states.AttributeState, states.NormalityState, states.ProfileState, states.DomainState,
)  # fmt: skip


_SIDECAR = """
## Encoders of one's own

`--encoder onnx:FILE` takes a network in an ONNX file: one input, a picture (float32, four axes, of one
picture or of any number), and an output that is its embedding. `FILE.toml` beside it says how the picture is
made; for `arc.onnx` it is called `arc.onnx.toml` or `arc.toml`. A wrong guess would show nowhere, so that
nothing is guessed. A file that `anthropo export` wrote says all of this itself.

```toml
size = 112
mean = 127.5
scale = 127.5            # (grey level - mean) / scale
colour = "RGB"
alignment = "arcface"
licence = "that of the weights"
data = "that of the photographs that it was trained on"
```

| option | is | what |
|---|---|---|"""

_HOSTILE = f"""
An ONNX file is looked through before anything runs it. Refused are files of more than {MOST_BYTES >> 30} GiB,
operators of other domains than ONNX's own, functions and training instructions in the file, weights in other
files, loops, and other inputs than one picture. What is left is run once in a process of its own, whose
computing time ({SECONDS} s) and, on Linux, memory are limited: its embedding has to have the length that is
stated, be finite, and be the same twice. Then ONNX Runtime runs it on the processor, on one thread. What a
file asks for on a picture that was made for it is not bounded: use files from people whom you trust, as with
any program.
"""


def _options_of_sidecar() -> Iterator[str]:
    for name, (kind, what) in OPTIONS.items():
        yield f"| `{name}`{'' if name in NEEDED else ', if wanted'} | {kind} | {what} |"


def markdown() -> str:
    """The page."""
    parts = [_INTRODUCTION, "\n## `manifest.json`\n", *_objects(Manifest)]
    parts += [
        "\n## `model` of `manifest.json`\n",
        "Its `task` says which of three it is; `profile` and `domains` may be with each.",
    ]
    seen: set[type[Any]] = set()
    for kind in _STATES:
        parts += _objects(kind, seen)
    parts += ["\n## Arrays of a model\n", *_arrays()]
    parts += ["\n## `network` of `manifest.json`\n", *_objects(Description)]
    parts += [
        "\n`weights/VIEW`, float32: all weights and statistics of a view's module, one after the other."
    ]
    parts += ["\n| backbone | pixels, at least | dimension | weights |\n|---|---|---|---|"]
    parts += [f"| {name} | {b.least} | {b.dimension:,} | {b.weights:,} |" for name, b in BACKBONES.items()]
    parts += [_BETWEEN, _CHECKPOINT, *_objects(CheckpointHeader, {*_inner(Description), *_inner(Manifest)})]
    parts += [_SIDECAR, *_options_of_sidecar(), _HOSTILE]
    parts += [_LANDMARK_MODEL, _TRANSLATION, *_objects(translation_file.About, {*_inner(Manifest)})]
    return "\n".join(parts).strip() + "\n"


# -------------------------------------------------------------------------------------------- JSON


def _objects(kind: type[Any], seen: set[type[Any]] | None = None) -> Iterator[str]:
    """A table for a dataclass, and one for each that is in it."""
    seen = set() if seen is None else seen
    for one in (kind, *_inner(kind)):
        if one in seen:
            continue
        seen.add(one)
        summary = (inspect.getdoc(one) or "").split("\n", 1)[0]
        yield f"\n### {one.__name__}\n\n{summary}\n"
        yield "| entry | type | limits | default | meaning |\n|---|---|---|---|---|"
        for row in _rows(one):
            yield "| " + " | ".join(cell.replace("|", "or") for cell in row) + " |"


def _inner(kind: type[Any]) -> list[type[Any]]:
    classes: dict[type[Any], None] = {}
    for hint in get_type_hints(kind, include_extras=True).values():
        for one in _dataclasses(hint):
            classes |= dict.fromkeys([one, *_inner(one)])
    return list(classes)


def _dataclasses(hint: Any) -> Iterator[type[Any]]:
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for inner in get_args(hint):
        yield from _dataclasses(inner)


def _rows(kind: type[Any]) -> Iterator[tuple[str, ...]]:
    meaning = meanings(kind)
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        type_, limits = _shown(hints[one.name])
        if kind in _LIMITS and (limit := _LIMITS[kind](one.name)):
            limits = str(limit)
        needed = one.default is MISSING and one.default_factory is MISSING
        needed = needed and "null" not in type_
        # a number without limits may be missing, and is then NaN, which no limit lets pass
        needed = needed and (hints[one.name] is not float or limits != "")
        default = "needed" if needed else _default(one.default)
        yield f"`{one.name}`", type_, limits, default, meaning.get(one.name, "")


def _default(value: Any) -> str:
    return "" if value in (MISSING, None, (), "") else str(value)


_NAMES = {str: "text", int: "integer", float: "number", bool: "true or false", Any: "any"}


def _shown(hint: Any) -> tuple[str, str]:
    """A type and its limits, as text."""
    inner = get_args(hint)
    if get_origin(hint) is Annotated:
        type_, limits = _shown(inner[0])
        stated = [f"among {limit}" if isinstance(limit, Among) else str(limit) for limit in inner[1:]]
        return type_, "; ".join([*stated, *([limits] if limits else [])])
    if NoneType in inner:
        type_, limits = _shown(next(one for one in inner if one is not NoneType))
        return f"{type_} or null", limits
    if get_origin(hint) in (tuple, Mapping):
        type_, limits = _shown(inner[0] if get_origin(hint) is tuple else inner[1])
        return (
            f"{'list' if get_origin(hint) is tuple else 'object'} of {type_}",
            f"each {limits}" if limits else "",
        )
    return _NAMES.get(hint) or hint.__name__, ""


# ------------------------------------------------------------------------------------------ arrays


@dataclass(frozen=True)
class _Group:
    where: str
    arrays: Sequence[Array]
    what: str


_CLASSIFIER = "`classifier/`; of attributes `0/`, `1/` and so on"
_REFIT = "`refits/0/` and so on; of attributes then `0/`, `1/` and so on"
_REGION = f"{_CLASSIFIER}, then `region0/` and so on"
_SETS, _NOVELTY = "the model's; of attributes `0/` and so on", "`novelty/` or `distance/`"
_MAPS = "`domains/`, then `0/` and so on by place, then by block"
_GROUPS = (
    _Group(_CLASSIFIER, states.CLASSIFIER, "A hybrid classifier: k labels, m numbers, r regions, h halves."),
    _Group(_REGION, states.REGION, "Each region, whose embedding has d numbers."),
    _Group(_CLASSIFIER, states.MACHINE, "Where `measured` is machine."),
    _Group(
        _REFIT,
        states.REFIT,
        "A refit of a hybrid classifier, with its r regions of f frequencies and d numbers; `machine` and "
        "`trees/` as there.",
    ),
    _Group(_CLASSIFIER, states.KERNEL, "Where `measured` is kernelmachine: s support vectors, p people."),
    _Group(_SETS, states.SETS, "For each label c."),
    _Group(_NOVELTY, states.NOVELTY, "q parts: measurements, if there are any, and the regions."),
    _Group(_NOVELTY, states.SCALE, "Where there are m measurements."),
    _Group("the same, then `0/` and so on", states.PART, "Each part of d numbers, with a axes."),
    _Group("`gallery/`", states.GALLERY, "g patients of l labels; all regions together have d numbers."),
    _Group(_MAPS, states.SINGLE, "Of each block of d numbers that is not among `mixed`."),
    _Group(_MAPS, states.MIXED, "Of the others."),
    _Group("`profile/`", states.PROFILE, "n labels, m measurements."),
    _Group("`profile/`", states.COMPOSITES, "Where there are faces."),
)
_KINDS = {"f": "floats", "iu": "integers", "u": "bytes", "b": "truth values"}


def _arrays() -> Iterator[str]:
    yield f"Letters are lengths. Without other limits a number is {Range(-LARGEST, LARGEST)}."
    yield "Trees (`trees/`) are described below, under *Between the parts*."
    for group in _GROUPS:
        yield f"\nIn {group.where}. {group.what}\n"
        yield "| array | shape | kind | limits | meaning |\n|---|---|---|---|---|"
        for one in group.arrays:
            limits = "" if (one.lo, one.hi) == (-LARGEST, LARGEST) else str(Range(one.lo, one.hi))
            most = "; ".join(f"{letter} {one.least:,} to {n:,}" for letter, n in one.most.items())
            limits = "; ".join(filter(None, (limits, most)))
            yield f"| `{one.name}` | {one.shape} | {_KINDS[one.kinds]} | {limits} | {one.what} |"


if __name__ == "__main__":
    Path(sys.argv[1], "files.md").write_text(markdown(), "utf-8")
