"""Translated faces as files that say what they are."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from anthropo._version import __version__
from anthropo.decoding.provenance import GENERATED, xmp
from anthropo.files import portable_name
from anthropo.translation.pictures import Pixels

_DIGITS = 12  # of a model's hash
_LONGEST = 150  # bytes of a photo's name


def translated_name(photo: str, to: str) -> str:
    """What the translation of a photo is called, before names that are alike are told apart."""
    stem = Path(photo).stem
    while len(stem.encode()) > _LONGEST:
        stem = stem[:-1]
    return f"{portable_name(stem)}.translated-to-{to}.synthetic.png"


def marked_png(picture: Pixels, to: str, digest: str) -> bytes:
    """A translated face (s, s, 3) as a PNG whose metadata say that it is synthetic, and which model made it.

    The photo is not named: what is written is not known to be for everybody who may know the photo.
    """
    text = (
        f"SYNTHETIC PICTURE, no photograph: a face translated to domain {to} by model {digest[:_DIGITS]} of "
        f"anthropo {__version__}. Not for reference tables."
    )
    info = PngInfo()
    info.add_text("Comment", text)
    info.add_itxt("XML:com.adobe.xmp", xmp(GENERATED, text, f"anthropo {__version__}"))
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", pnginfo=info)
    return file.getvalue()
