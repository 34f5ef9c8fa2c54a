"""The model file: a zip of a JSON manifest, a model card and arrays; never pickle.

The container is strict, so that a reader needs no trust: members are stored uncompressed, one directly
after the other, with nothing before, between or behind them, and every one is named in the manifest
with its size and SHA-256. What is read is therefore never larger than the file, nothing is unpacked to
disk and nothing is executed. The bytes depend on the contents alone (no clock, no compression
library), so that the hash of a file tells whether two models are equal.

=================  ==========================================================================
member             what it is
=================  ==========================================================================
manifest.json      what the model is, in JSON
card.md            the model card, written from the manifest; for people (`unzip -p FILE card.md`)
arrays/NAME.npy    booleans, integers or floats, little-endian, C order
=================  ==========================================================================

The manifest is that of `anthropo.learning.manifest`, with one part more: ``model``, the state of a model, or
``network``, see `anthropo.networks.description`. Neither ids of patients nor names or paths of photographs
may enter it or the arrays.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from anthropo.container import Kind, completed, fault_of, read_container, write_container
from anthropo.errors import ModelError
from anthropo.learning.card import card
from anthropo.learning.manifest import Manifest
from anthropo.licensing import is_permissive_run, notice

FORMAT, FORMAT_VERSION = "anthropo-model", 2
SUFFIX = ".anthropo"

_CARD = "card.md"
#: What is said of the file of a landmark model.
LANDMARKS = "a landmark model, which classifies nothing."
#: The same of a translation.
TRANSLATES = "a translation of faces, which classifies nothing."


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a model file holds."""

    manifest: dict[str, Any]  # JSON; see `anthropo.learning.manifest.Manifest`
    arrays: dict[str, NDArray[Any]]  # booleans, integers or floats


KIND = Kind(
    format=FORMAT,
    version=FORMAT_VERSION,
    name="model of anthropo",
    give="Give the file of a trained model or network (.anthropo).",
    error=ModelError,
    fault=fault_of(Manifest.from_json, ModelError),
    others={"anthropo-landmarks": LANDMARKS, "anthropo-translation": TRANSLATES},
    texts=(_CARD,),
)


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a model file that may come from anywhere; nothing of it is executed or written to disk.

    Entries of the manifest that `Manifest` knows are of its types, or missing or null; arrays can be written
    to. Whether they fit each other is for the caller to check.
    """
    return Bundle(*read_container(path, KIND))


def write_bundle(path: str | os.PathLike[str], bundle: Bundle) -> None:
    """Write a model file, whole or not at all; the same contents give the same bytes.

    The file's manifest gets its format, version and list of files as well. Names of arrays are of ASCII
    letters, digits, ``_``, ``-``, ``.`` and ``/``.
    """
    permissive = {"permissive": notice()} if is_permissive_run() else {}
    manifest = completed(KIND, {**bundle.manifest, **permissive})
    described = card(Manifest.from_json(manifest))
    write_container(path, KIND, manifest, bundle.arrays, {_CARD: described}, smaller="Train on fewer labels.")
