"""The JSON files in which COCO keeps keypoints."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from anthropo.errors import InputError
from anthropo.face.frame import Floats
from anthropo.files import read_text

_MOST = 1e6  # pixels


def read_coco(path: Path) -> tuple[tuple[str, ...], list[tuple[str, Floats, str]]]:
    """Names of the keypoints, and photo, points (P, 2) and place in the file of each annotation.

    Keypoints of visibility 0, which were not annotated, are NaN. Names are those of the first category.

    Raises
    ------
    InputError
        If the file is no such JSON, or an annotation has other points or no image.
    """
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}). Export it again.") from None
    kinds = (
        {name: document.get(name) for name in ("images", "annotations")} if isinstance(document, dict) else {}
    )
    if not kinds or not all(isinstance(rows, list) for rows in kinds.values()):
        raise InputError(
            f"{path}: not COCO keypoints: `images` or `annotations` is missing. Export it again."
        )
    photos: dict[Any, str] = {}
    for i, image in enumerate(document["images"]):
        if (
            not isinstance(image, dict)
            or not isinstance(image.get("file_name"), str)
            or not _key(image.get("id"))
        ):
            raise InputError(f"{path}, images[{i}]: no id or no file_name.")
        if image["id"] in photos:
            raise InputError(f"{path}, images[{i}]: the id {image['id']} is there twice.")
        photos[image["id"]] = image["file_name"]
    rows = []
    for i, one in enumerate(document["annotations"]):
        where = f"{path}, annotations[{i}]"
        if not isinstance(one, dict):
            raise InputError(f"{where}: not an object.")
        if not one.get("keypoints"):
            continue  # a box or an outline, which COCO files hold as well
        key = one.get("image_id")
        if not _key(key) or key not in photos:
            raise InputError(f"{where}: its image_id is none of the images.")
        rows.append((photos[key], _points(where, one["keypoints"]), where))
    return _names(document, len(rows[0][1]) if rows else 0), rows


def _key(value: object) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _points(where: str, values: object) -> Floats:
    if not isinstance(values, list) or len(values) % 3:
        raise InputError(f"{where}: keypoints are not x, y and visibility, one after the other.")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _MOST:
            raise InputError(f"{where}: {str(value)[:40]} is no number of pixels.")
    points: Floats = np.array(values, dtype=np.float64).reshape(-1, 3)
    points[points[:, 2] == 0, :2] = math.nan
    return points[:, :2]


def _names(document: dict[str, Any], points: int) -> tuple[str, ...]:
    categories = document.get("categories")
    first = categories[0] if isinstance(categories, list) and categories else None
    names = first.get("keypoints") if isinstance(first, dict) else None
    if not isinstance(names, list) or len(names) != points or not all(isinstance(n, str) for n in names):
        return ()
    return tuple(names) if len(set(names)) == len(names) else ()
