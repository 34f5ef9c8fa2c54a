"""Adapters by their former names, for commands that have not moved to `anthropo.workflows.cohort` yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from anthropo.cli.common import MOST_FAILURES as MOST_FAILURES
from anthropo.cli.common import command_line as command_line
from anthropo.cli.common import progress
from anthropo.cli.common import show_findings as show_findings
from anthropo.settings import Settings
from anthropo.workflows.cohort import PhotoReading, encoder_for, read_features, settings_for

if TYPE_CHECKING:
    from anthropo.encoder.encoders import Encoder
    from anthropo.learning.cohort import Cohort
    from anthropo.learning.features import Features

Given = dict[str, Any]  # what was given on the command line, by option

encoder_of = encoder_for


def reading_of(given: Given) -> PhotoReading:
    """The options of photos as one object."""
    names = {field.name for field in fields(PhotoReading)} & set(given)
    return PhotoReading(**{name: given[name] for name in names})


def settings_of(given: Given, manifest: Mapping[str, Any] | None = None) -> Settings:
    """See `anthropo.workflows.cohort.settings_for`."""
    return settings_for(replace(reading_of(given), landmarks=None), manifest)


def corrected(settings: Settings, given: Given, photos: Sequence[str]) -> Settings:
    """The settings with what --landmarks has of these photos."""
    if not given.get("landmarks"):
        return settings
    from anthropo.measurement.landmark_file import Corrections

    return replace(settings, corrections=Corrections(given["landmarks"], photos))


def look(
    cohort: Cohort, settings: Settings, encoder: Encoder, regions: Sequence[str], given: Given
) -> Features:
    """See `anthropo.workflows.cohort.read_features`."""
    return read_features(cohort, reading_of(given), settings, encoder, regions, progress=progress)
