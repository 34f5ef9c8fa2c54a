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
