"""Errors that a user can act on: one sentence with what, where, the choices and the fix."""

from __future__ import annotations


class AnthropoError(Exception):
    """Base of every error that anthropo raises on purpose."""


class PhotoError(AnthropoError):
    """The file cannot be read as a photograph."""


class FaceError(AnthropoError):
    """The photograph is readable, but the face that was asked for cannot be had from it."""


class WeightsError(AnthropoError):
    """Model weights are missing, damaged or of another kind."""


class InputError(AnthropoError):
    """A list of photographs, a table or an output place cannot be used."""


class ModelError(AnthropoError):
    """A trained model, or the file it is kept in, cannot be used."""
