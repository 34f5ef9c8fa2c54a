"""Feature tables made up without a photograph, for the tests of models."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from anthropo.learning.features import Features

IDS = ("intercanthal_width", "interpupillary_distance", "mrd1_R", "palpebral_inclination_R")
REGIONS = ("face", "upper", "middle", "lower")
DIMENSION = 12
#: Stands for the encoder of such a table where a model describes itself.
ENCODER: Any = SimpleNamespace(
    has_seen=lambda digests: 0,
    name="timm:made-up",
    digest="d" * 64,
    licence="CC0",
    commercial_use=True,
    align="canonical",
    grey=False,
    data="CC0",
    permissive=True,
    dimension=DIMENSION,
    size=32,
    parameters=1,
)


def simulated(
    people: dict[str, int],
    *,
    photos: int = 1,
    strength: float = 1.5,
    seed: int = 0,
    directions: dict[str, int] | None = None,
    metadata: dict[str, Any] | None = None,
) -> Features:
    """So many people of each label ("a; b": of several).

    Each label moves measurements and embeddings along axes of its own: the first label not at all, the
    next along the first axis, and so on, or as `directions` says.
    """
    random = np.random.default_rng(seed)
    at = directions or {label: i - 1 for i, label in enumerate(people)}
    labels: list[str] = []
    names: list[str] = []
    numbers: list[Any] = []
    embeddings: list[Any] = []
    for label, count in people.items():
        for i in range(count):
            person, face = random.normal(size=len(IDS)), random.normal(size=(len(REGIONS), DIMENSION))
            for own in filter(None, label.split("; ")):
                if at[own] >= 0:
                    person[at[own] % len(IDS)] += strength
                    face[:, at[own]] += strength
            for _ in range(photos):
                labels.append(label)
                names.append(f"secret-{label}-{seed}-{i}")
                numbers.append(person + 0.1 * random.normal(size=person.shape))
                embeddings.append(face + 0.1 * random.normal(size=face.shape))
    n = len(labels)
    measurements = np.array(numbers)
    measurements[random.random(measurements.shape) < 0.05] = np.nan
    whole = np.array(embeddings, dtype=np.float32)
    return Features(
        photos=np.array([f"/private/folder/{name}-{i}.jpg" for i, name in enumerate(names)]),
        labels=np.array(labels, dtype=np.str_),
        patients=np.array(names),
        measurements=measurements,
        measurement_ids=IDS,
        regions={region: whole[:, i] for i, region in enumerate(REGIONS)},
        metadata=metadata or {},
        digests=np.array([f"{i:064x}" for i in range(n)]),
        prints=np.zeros((n, 4), dtype=np.float32),
    )
