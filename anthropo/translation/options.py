"""Everything that decides how a translation is trained, as data that a user's file may change."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

from anthropo.errors import InputError
from anthropo.networks.option_sheet import OptionSheet
from anthropo.showing import fielded

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STEP = 16  # px: sizes are multiples of it, which the landmark network halves four times


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationParameters:
    """Every choice; options.toml explains each."""

    __repr__ = fielded

    # the pictures
    size: int
    # the networks
    channels: int
    blocks: int
    upsampling: str
    skip: bool
    discriminator_channels: int
    discriminator_layers: int
    # the losses
    adversarial: str
    cycle: float
    identity: float
    landmarks: float
    # training
    epochs: int
    decay_epochs: int
    steps: int
    batch: int
    rate: float
    beta: float
    buffer: int
    held_out: float
    # augmentation
    flip: bool
    shift: float
    # the landmark network
    landmark_channels: int
    landmark_epochs: int
    landmark_batch: int
    landmark_rate: float
    # the run
    seed: int
    threads: int
    precision: str = "full"  # the only one before it was an option
    mask_borders: bool = False  # as it was before it was an option

    def to_json(self) -> dict[str, Any]:
        """The options as JSON has them."""
        return asdict(self)


_TEXT = resources.files("anthropo.translation").joinpath("options.toml").read_text("utf-8")
_PRESET: dict[str, Any] = tomllib.loads(_TEXT)
_SHEET = OptionSheet(get_type_hints(TranslationParameters), _PRESET.pop("words"), _PRESET.pop("numbers"))
limit_of = _SHEET.limit_of


def load_parameters(
    file: Path | None = None, changes: Sequence[str] = (), **options: Any
) -> TranslationParameters:
    """The options with the changes that a user makes.

    Parameters
    ----------
    file : Path, optional
        TOML or YAML with options of `TranslationParameters`.
    changes : sequence of str
        ``option=value`` each, which outrank the file.
    **options
        Options that outrank both.

    Returns
    -------
    TranslationParameters

    Raises
    ------
    InputError
        If there is no such file or option, or a value does not fit.

    Examples
    --------
    >>> load_parameters(changes=["size=128", "blocks=6"]).size
    128
    """
    preset = {key: _SHEET.typed(key, value, "options.toml") for key, value in _PRESET.items()}
    parameters = TranslationParameters(**{**preset, **_SHEET.changed(file, changes, options, "translation")})
    if fault := size_fault(parameters):
        raise InputError(fault)
    return parameters


def size_fault(parameters: TranslationParameters) -> str | None:
    """Why the networks cannot have pictures of this size; None where they can."""
    from anthropo.translation.networks import least_size  # torch is slow to import

    size, layers = parameters.size, parameters.discriminator_layers
    if size % STEP:
        return f"size {size}: needs to be a multiple of {STEP}, such as {max(2, round(size / STEP)) * STEP}."
    if size < (least := least_size(layers)):
        return (
            f"size {size}: a discriminator of {layers} layers needs {least} pixels or more. Choose fewer "
            "discriminator_layers."
        )
    return None


def as_toml(parameters: TranslationParameters) -> str:
    """All options as a parameter file."""
    meanings = dict(re.findall(r"^(\w+) = [^\[\n]*?\s# ?(.*)$", _TEXT, re.MULTILINE))
    lines = ["# translation between two domains of faces (CycleGAN)"]
    for key, value in parameters.to_json().items():
        text = json.dumps(value)  # which TOML writes alike
        lines.append(f"{key} = {text}" + (f"  # {meanings[key]}" if key in meanings else ""))
    return "\n".join(lines) + "\n"
