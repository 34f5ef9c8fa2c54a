"""Two domains of drawn faces, whose landmarks are known: nothing is read."""

from __future__ import annotations

import numpy as np

from anthropo.face.shape import shapes
from anthropo.translation.options import TranslationParameters, load_parameters
from anthropo.translation.pictures import Faces, TranslationDomains

SIZE = 32
#: A training of seconds.
TINY = {
    "size": SIZE,
    "channels": 2,
    "blocks": 1,
    "discriminator_channels": 2,
    "discriminator_layers": 2,
    "epochs": 2,
    "decay_epochs": 1,
    "steps": 2,
    "batch": 2,
    "buffer": 3,
    "landmark_channels": 4,
    "landmark_epochs": 2,
    "threads": 1,
}


def tiny(**more: object) -> TranslationParameters:
    """Options of a training of seconds."""
    return load_parameters(**{**TINY, **more})


def faces(number: int, seed: int, light: float) -> Faces:
    """Faces of `number` people: a bright ground with dark spots where eyes, nose and mouth are."""
    random = np.random.default_rng(seed)
    mean = shapes()[0]
    scale = 0.42 * np.exp(random.normal(0, 0.08, (number, 1, 1)))
    points = 0.5 + (mean - (0, 0.35)) * scale + random.normal(0, 0.03, (number, 1, 2))
    y, x = (np.mgrid[0:SIZE, 0:SIZE] + 0.5) / SIZE
    pictures = np.full((number, SIZE, SIZE), float(light))
    for spot in ((36, 39), (42, 45), (31, 35), (48, 54)):
        at = points[:, list(spot)].mean(1)[:, :, None, None]
        pictures -= 110 * np.exp(-((x - at[:, 0]) ** 2 + (y - at[:, 1]) ** 2) / (2 * 0.045**2))
    coloured = pictures[..., None] * (1.0, 0.85, 0.75) + random.normal(0, 4, (number, SIZE, SIZE, 3))
    return Faces(
        source=f"drawn {seed}",
        photos=tuple(f"{seed}-{i}.png" for i in range(number)),
        digests=tuple(f"{seed:032x}{i:032x}" for i in range(number)),
        people=np.array([f"{seed}-{i}" for i in range(number)]),
        labels=tuple("ab"[i % 2] for i in range(number)),
        pictures=np.clip(coloured, 0, 255).astype(np.uint8),
        points=points.astype(np.float32),
        shown=np.ones((number, SIZE, SIZE), bool),
    )


def domains(train: int = 6, held_out: int = 3) -> TranslationDomains:
    """A dark and a light domain."""
    return TranslationDomains(
        train=(faces(train, 1, 150), faces(train + 1, 2, 220)),
        held_out=(faces(held_out, 3, 150), faces(held_out, 4, 220)),
    )
