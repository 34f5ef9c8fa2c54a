"""Annotated faces for examples and tests: the example portrait with the proportions of people who are not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from anthropo.face.frame import face_axes
from anthropo.files import write_atomically
from anthropo.observation import observe
from anthropo.photo import example_photo, read_photo
from anthropo.settings import Settings
from anthropo.synthetic.morphs import identity
from anthropo.synthetic.warping import as_pixels, border_of, sample, spline_map, with_pupils


def write_example(folder: str | os.PathLike[str], people: int = 12, seed: int = 0) -> None:
    """Write warped copies of the example portrait with the 68 points of each, as 300-W keeps them.

    The points of the portrait itself are those that anthropo finds; those of the copies lie exactly where the
    warp has brought them.

    Parameters
    ----------
    folder : path
        Is made; gets ``person00.png`` and ``person00.pts``, and so on.
    people : int
    seed : int

    Raises
    ------
    OSError
        If the folder cannot be made or written to.

    Examples
    --------
    >>> from anthropo.landmarks import read_annotations, write_example
    >>> write_example("faces", people=2)
    >>> len(read_annotations("faces").people)
    2
    """
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    photo = read_photo(example_photo())
    face = observe(photo, Settings(jitter=16)).face
    points, axes = with_pupils(face), face_axes(face.landmarks)
    height, width = photo.pixels.shape[:2]
    border = border_of(height, width)
    random = np.random.default_rng(seed)
    for i in range(people):
        to = points + identity(random) @ axes
        at = spline_map(np.concatenate([to, border]), np.concatenate([points, border]), height, width)
        picture = Image.fromarray(as_pixels(sample(photo.pixels.astype(np.float32), at)))
        picture.save(where / f"person{i:02d}.png")
        lines = "".join(f"{x + 1:.3f} {y + 1:.3f}\n" for x, y in to[:68])  # 300-W counts from 1
        text = f"version: 1\nn_points: 68\n{{\n{lines}}}\n"
        write_atomically(where / f"person{i:02d}.pts", text.encode())
