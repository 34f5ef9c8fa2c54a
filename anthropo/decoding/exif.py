"""What a photograph's EXIF says of the lens. Nothing else of it is read, but the orientation."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

_EXIF = 0x8769  # the directory that holds the others
_FOCAL_35MM, _WIDTH, _HEIGHT, _ZOOM = 0xA405, 0xA002, 0xA003, 0xA404
_LARGEST = 1e6  # of any of these numbers: beyond, they are as good as not there


@dataclass(frozen=True, slots=True)
class Optics:
    """The lens, as EXIF 2.32 (CIPA DC-008) has it; NaN for what is not there."""

    focal: float = math.nan  # FocalLengthIn35mmFilm, mm
    width: float = math.nan  # PixelXDimension: of the picture as the camera wrote it, as stored
    height: float = math.nan  # PixelYDimension
    zoom: float = math.nan  # DigitalZoomRatio; 0 or 1: none

    @classmethod
    def of(cls, image: Image.Image) -> Optics:
        """What an opened picture's EXIF says; nothing where it is damaged."""
        tags: dict[int, Any] = {}
        with contextlib.suppress(Exception):  # Pillow's reader may raise anything on damaged EXIF
            tags = dict(image.getexif().get_ifd(_EXIF))
        return cls(*(_number(tags.get(tag)) for tag in (_FOCAL_35MM, _WIDTH, _HEIGHT, _ZOOM)))


def _number(value: Any) -> float:
    """A tag's value; NaN for what is no number or cannot be one of a lens."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return math.nan
    return number if 0 <= number <= _LARGEST else math.nan
