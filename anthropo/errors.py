"""Errors that a user can act on: one sentence with what, where, the choices and the fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class AnthropoError(Exception):
    """Base of every error that anthropo raises on purpose; its text is one sentence with the fix.

    Examples
    --------
    >>> import anthropo
    >>> try:
    ...     anthropo.read_photo("gone.jpg")
    ... except anthropo.AnthropoError as error:
    ...     print(f"{type(error).__name__}: {error}")
    PhotoError: gone.jpg: no such file.
    """


class PhotoError(AnthropoError):
    """The file cannot be read as a photograph."""


class FaceError(AnthropoError):
    """The photograph is readable, but the face that was asked for is not in it or is unclear."""


class WeightsError(AnthropoError):
    """Model weights are missing, damaged or of another kind."""


class InputError(AnthropoError):
    """A list of photographs, a table or an output place cannot be used."""


class ModelError(AnthropoError):
    """A trained model, or the file it is kept in, cannot be used."""


def not_installed(
    what: str, packages: str, extra: str = "", *, instead: str = "", error: Exception | None = None
) -> str:
    """The sentence about packages that are not installed, with the line that installs them.

    `what` needs them, an `extra` of anthropo has them, and `instead` is what can be done without them. With
    an `error` that says something else than that there is no such package, they are there and do not load.

    >>> from anthropo.errors import not_installed
    >>> not_installed("A video", "PyAV", "video")
    'A video needs PyAV, which is not installed. Install it with `pip install "anthropo[video]"`.'
    >>> not_installed("p.xlsx", "openpyxl", instead="use CSV")
    'p.xlsx needs openpyxl, which is not installed. Install it with `pip install openpyxl`, or use CSV.'
    """
    verb, them = ("are", "them") if " and " in packages else ("is", "it")
    line = f'pip install "anthropo[{extra}]"' if extra else f"pip install {packages.replace(' and ', ' ')}"
    how = f"which {verb} not installed. Install {them} with `{line}`"
    if error is not None and not isinstance(error, ModuleNotFoundError):
        reason = " ".join(str(error).split())
        how = f"which cannot be loaded ({reason}). Install again with `{line} --force-reinstall`"
    return f"{what} needs {packages}, {how}{f', or {instead}' if instead else ''}."


def in_python(name: str, value: object) -> str:
    """A parameter as Python gives it."""
    if name == "registry":  # which is for the whole process, and no function's
        return f"anthropo.registry.add({'…' if value is None else repr(value)})"
    return name if value is None else f"{name}={value!r}"


_spelling: Callable[[str, object], str] = in_python


def parameter(name: str, value: object = None) -> str:
    """Name a parameter, with the value that a message advises, the way the message's reader gives it.

    ``face='largest'`` in Python, ``--face largest`` while a command of the command line runs.

    >>> from anthropo.errors import parameter
    >>> parameter("face", "largest"), parameter("jitter")
    ("face='largest'", 'jitter')
    """
    return _spelling(name, value)


def spelling() -> Callable[[str, object], str]:
    """How `parameter` spells names now."""
    return _spelling


def spell_parameters(spelling: Callable[[str, object], str]) -> None:
    """Let `parameter` spell names by another function from now on."""
    global _spelling
    _spelling = spelling


@contextmanager
def parameters_spelled(spelling: Callable[[str, object], str]) -> Iterator[None]:
    """Let `parameter` spell names by another function for a while, in all threads."""
    before = _spelling
    spell_parameters(spelling)
    try:
        yield
    finally:
        spell_parameters(before)
