"""What a user says of an ONNX file beside it, in FILE.toml: its pictures, its output and its licences."""

from __future__ import annotations

import difflib
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anthropo.encoder.backends import PerChannel
from anthropo.encoder.encoders import UNKNOWN_LICENCE
from anthropo.errors import InputError
from anthropo.files import read_text
from anthropo.plain import visible

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: How a face is brought to the network's picture.
CHIP, ARCFACE, PHOTO = "chip", "arcface", "photo"
#: Every option: its type, and what it means; the first five are needed.
OPTIONS: Mapping[str, tuple[str, str]] = {
    "size": ("whole number", "side of the network's picture, px"),
    "mean": (
        "number or three",
        "subtracted from grey levels (0 to 255), for each channel in the order of `colour`",
    ),
    "scale": ("number or three", "what these are divided by then; a network of pictures from 0 to 1 has 255"),
    "colour": ("RGB, BGR or grey", "order of the channels"),
    "alignment": (
        "chip, arcface or photo",
        "chip: the aligned regions of the face, as anthropo's own encoders see them; arcface: five points "
        "laid on ArcFace's template; photo: the middle square of the whole photograph",
    ),
    "layout": ("NCHW or NHWC", "order of the picture's axes; as the file states it when left out"),
    "output": ("text", "name of the output that is the embedding, where there are several"),
    "dimension": ("whole number", "numbers in an embedding, which the file is held to"),
    "licence": ("text", "of the weights"),
    "data": ("text", "licence of what it was trained on"),
    "commercial_use": ("true or false", "whether weights and training data may be used commercially"),
    "permissive": (
        "true or false",
        "whether code, weights and training data may all be used for any purpose, so that a permissive run "
        "may use it",
    ),
}  # fmt: skip
NEEDED = ("size", "mean", "scale", "colour", "alignment")
_CHOICES = {
    "colour": ("RGB", "BGR", "grey"),
    "alignment": (CHIP, ARCFACE, PHOTO),
    "layout": ("NCHW", "NHWC"),
}
_LIMITS = {"size": (16, 1024), "dimension": (1, 1 << 15)}
_GREY_LEVELS = (-1000.0, 1000.0)
_LEAST_SCALE = 1.0
_LONGEST = 500  # characters of a text
_EXAMPLE = (
    'size = 112, mean = 127.5, scale = 127.5, colour = "RGB", alignment = "arcface", licence = "…"; see '
    "docs/files.md"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What has to be known of a network to give it pictures, and its licences; see `OPTIONS`."""

    size: int
    mean: PerChannel
    scale: PerChannel
    colour: str
    alignment: str
    layout: str | None = None
    output: str | None = None
    dimension: int | None = None
    licence: str = UNKNOWN_LICENCE
    data: str = UNKNOWN_LICENCE
    commercial_use: bool = False
    permissive: bool = False


def sidecar_of(path: Path) -> Path | None:
    """The sidecar of an ONNX file: FILE.onnx.toml, else FILE.toml; None if there is none."""
    places = (path.with_name(f"{path.name}.toml"), path.with_suffix(".toml"))
    return next((place for place in places if place.is_file()), None)


def read_sidecar(path: Path) -> Sidecar:
    """Read the sidecar of an ONNX file.

    Raises
    ------
    InputError
        If there is none, or it says what cannot be.
    """
    place = sidecar_of(path)
    if place is None:
        raise InputError(
            f"{path}: no {path.name}.toml beside it, which says how the network's pictures are made. Write "
            f"one: {_EXAMPLE}."
        )
    where, text = os.fspath(place), read_text(place)
    try:
        entries = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{where}: not valid TOML ({visible(' '.join(str(error).split())[:100])})."
        ) from None
    for name in entries:
        if name not in OPTIONS:
            near = difflib.get_close_matches(name, OPTIONS, 1, 0.6)
            hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(OPTIONS)}."
            raise InputError(f"{where}: no option {name!r}. {hint}")
    for name in NEEDED:
        if name not in entries:
            raise InputError(f"{where}: {name} is missing: {OPTIONS[name][1]}. An example: {_EXAMPLE}.")
    made = {name: _checked(where, name, value, entries.get("colour")) for name, value in entries.items()}
    if made.get("permissive") and not {"licence", "data"} <= made.keys():
        raise InputError(f"{where}: permissive = true needs licence and data, which say why.")
    return Sidecar(**made)


_KINDS: dict[str, type] = {
    **dict.fromkeys(("licence", "data", "output"), str),
    **dict.fromkeys(("commercial_use", "permissive"), bool),
}


def _checked(where: str, name: str, value: Any, colour: Any) -> Any:
    """A value as its option's type, and within its limits."""
    what, _ = OPTIONS[name]

    def wrong(why: str) -> InputError:
        return InputError(f"{where}: {name} = {visible(str(value)[:60])}: {why}.")

    if name in ("mean", "scale"):
        return _per_channel(value, 1 if colour == "grey" else 3, name == "scale", wrong)
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise wrong(f"needs to be {what}")
        return value
    if name in _LIMITS:
        lo, hi = _LIMITS[name]
        if type(value) is not int or not lo <= value <= hi:
            raise wrong(f"needs to be a whole number from {lo} to {hi}")
        return value
    if type(value) is not _KINDS[name] or (isinstance(value, str) and not 0 < len(value) <= _LONGEST):
        raise wrong(f"needs to be {what}")
    return value


def _per_channel(value: Any, channels: int, divides: bool, wrong: Any) -> PerChannel:
    """A number for each of three channels, the same for all if there is one."""
    numbers = value if isinstance(value, list) else [value]
    if not all(type(n) in (int, float) for n in numbers):
        raise wrong("needs to be a number, or a list of three")
    if len(numbers) not in (1, channels):
        raise wrong(f"has {len(numbers)} numbers for {channels} channel{'s' if channels > 1 else ''}")
    lo, hi = _GREY_LEVELS
    if not all(math.isfinite(n) and lo <= n <= hi for n in numbers):
        raise wrong(f"needs to be between {lo:g} and {hi:g}")
    if divides and not all(n >= _LEAST_SCALE for n in numbers):
        raise wrong(
            "needs to be 1 or more, since it divides grey levels from 0 to 255 (255 times what is written "
            "for pictures from 0 to 1)"
        )
    red, green, blue = map(float, numbers if len(numbers) == 3 else numbers * 3)
    return red, green, blue
