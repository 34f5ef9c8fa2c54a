"""Under which licences everything is that anthropo uses, and runs that use only what is permissive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from anthropo.errors import AnthropoError, InputError, parameter
from anthropo.files import packaged_table
from anthropo.showing import brief, count, html

if TYPE_CHECKING:
    import pandas as pd

#: Environment variable of permissive runs; processes that a run starts inherit it.
VARIABLE = "ANTHROPO_PERMISSIVE"
_OFF = ("", "0", "no", "off", "false")
#: What nothing can be said about a face without. Another landmark model takes the place of one of them only.
FACES = ("face-detector", "landmarks-68", "generic-face", "landmark-errors")
OWN_NETWORK = "a network that `anthropo finetune` trained from no other weights on pictures without a face"


class LicenceError(InputError):
    """A permissive run was to use what is not permissive.

    Examples
    --------
    >>> import anthropo
    >>> with anthropo.permissive():
    ...     anthropo.load_encoder("face-resnet")
    Traceback (most recent call last):
    anthropo.licensing.LicenceError: A permissive run cannot use face-resnet: trained on FaceScrub and VGG ...
    """


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that anthropo uses, and its licences.

    Attributes
    ----------
    name, kind, place : str
        What it is (weights, data, reference or code) and where it lies.
    code, weights, data : str
        The licence of the code, of the trained weights, and of what they were trained on or made from.
    permissive : bool
        Whether all three may be used for any purpose, with no other duty than to name the author.
    why : str
        What is not permissive.
    used_by : str
        The commands that need it.
    """

    name: str
    kind: str
    place: str
    code: str
    weights: str
    data: str
    permissive: bool
    why: str
    used_by: str

    def __repr__(self) -> str:
        return brief(self, self.name, "permissive" if self.permissive else "not permissive")


class Licences(tuple[Resource, ...]):
    """Resources in the order of `anthropo models`, as a tuple that shows itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        free = sum(one.permissive for one in self)
        return brief(self, count(len(self), "resource"), f"{free} permissive")

    def _repr_html_(self) -> str:
        return html(self, "table_of")

    def to_frame(self) -> pd.DataFrame:
        """A row for each resource."""
        import pandas as pd

        names = [field.name for field in fields(Resource)]
        return pd.DataFrame([[getattr(one, name) for name in names] for one in self], columns=names)


@lru_cache(maxsize=1)
def licences() -> Licences:
    """The licences of everything that anthropo uses, in the order of `anthropo models`.

    Returns
    -------
    Licences
        A tuple of `Resource`.

    Examples
    --------
    >>> import anthropo
    >>> next(one.data for one in anthropo.licences() if one.name == "landmarks-68")
    'iBUG 300-W: excludes commercial use'
    """
    rows: list[dict[str, Any]] = list(packaged_table("anthropo", "licences.csv"))
    return Licences(Resource(**{**row, "permissive": row["permissive"] == "yes"}) for row in rows)


def licence_of(name: str | None) -> Resource | None:
    """The licences of a resource, if anthropo knows it."""
    return next((one for one in licences() if one.name == name), None)


def is_permissive_run() -> bool:
    """Whether only what has permissive licences may be used."""
    return os.environ.get(VARIABLE, "").strip().lower() not in _OFF


@contextmanager
def permissive() -> Iterator[None]:
    """Use only what has a permissive licence for code, weights and training data, within the block.

    What has not is refused with a `LicenceError` at the start. The same is done by the environment variable
    ``ANTHROPO_PERMISSIVE=1`` and on the command line by ``--permissive``.

    Yields
    ------
    None

    Examples
    --------
    >>> import anthropo
    >>> with anthropo.permissive():
    ...     anthropo.observe(anthropo.example_photo())
    Traceback (most recent call last):
    anthropo.licensing.LicenceError: A permissive run reads no faces: face-detector (trained on ...
    """
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def refuse_faces() -> None:
    """Raise the error of whoever asks a permissive run about faces."""
    barred = [one for one in map(licence_of, FACES) if one and not one.permissive]
    reasons = "; ".join(f"{one.name} ({one.why})" for one in barred)
    raise LicenceError(
        f"A permissive run reads no faces: {reasons}. A landmark model of your own replaces only one of "
        f"them. Leave {parameter('permissive', True)} (or {VARIABLE}) out; for pictures without a face, "
        f"{parameter('no_face', True)} works with {OWN_NETWORK}."
    )


def check_faces() -> None:
    """Refuse to read faces in a permissive run."""
    if is_permissive_run():
        refuse_faces()


def require_permitted(name: str, error: type[AnthropoError] = LicenceError, where: str = "") -> None:
    """Refuse a resource that a permissive run may not use; one that anthropo does not know is none it may."""
    if not is_permissive_run():
        return
    known = licence_of(name)
    if known and known.permissive:
        return
    why = known.why if known else "anthropo does not know its licences"
    instead = "Export it as JPEG or PNG" if known and known.kind == "code" else f"Use {OWN_NETWORK}"
    raise error(
        f"{f'{where}: ' if where else ''}A permissive run cannot use {name}: {why}. {instead}, or leave "
        f"{parameter('permissive', True)} out."
    )


def notice() -> str:
    """What stands on every output of a permissive run; nothing in other runs."""
    if not is_permissive_run():
        return ""
    left = "; ".join(f"{one.name}: {one.why}" for one in licences() if not one.permissive)
    return (
        "Permissive run: only what has a permissive licence for code, weights and training data was used. "
        "No face was looked for; nothing was measured, scored against a reference or called as a trait, "
        f"and no encoder that comes with anthropo was used. Left out were: {left}."
    )


def stamped(document: dict[str, Any]) -> dict[str, Any]:
    """A JSON document, with the notice of a permissive run."""
    return {"permissive": notice(), **document} if is_permissive_run() else document
