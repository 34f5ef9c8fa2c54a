"""Files of landmark models that no command would write."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from anthropo.container import completed, write_container
from anthropo.errors import WeightsError
from anthropo.face.landmark_bundle import KIND
from anthropo.face.weights import landmark_model


def refusal(path: Path, manifest: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    """What is said of a file with this content, which is written without the writer's checks."""
    lax = dataclasses.replace(KIND, fault=lambda made: None)
    write_container(path, lax, completed(lax, dict(manifest)), dict(arrays), {}, smaller="")
    with pytest.raises(WeightsError) as caught:
        landmark_model(str(path))
    return str(caught.value)
