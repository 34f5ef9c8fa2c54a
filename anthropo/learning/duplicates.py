"""The same photograph twice in a cohort, as a copy of the file or altered.

A photo that stands on both sides of a split makes every figure too good, and photos collected from
publications and the web come in many copies: of 1,600 web portraits here, nine pairs.

Altered copies are recognised by the aligned face, not by the whole picture, so that crops, frames and
rotations do not matter: what lies between brows and lower lip, 25 × 25 pixels, freed of the local brightness
and contrast, is correlated with that of every other photo and of its mirror image. Photos without a face are
compared by their middle, so that only copies of the same frame are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.encoder.regions import crops
from anthropo.errors import parameter
from anthropo.face.landmarker import Face
from anthropo.learning.cohort import Finding
from anthropo.photo import LUMA, Photo

if TYPE_CHECKING:
    from anthropo.learning.features import Features

#: Pixels along each side of a print.
PRINT_SIDE = 25
#: Two prints that correlate more are of one photograph. Measured on 1,600 web portraits and 102 studio
#: photos of 51 adults: different people at most 0.892 (1.4 million pairs), copies that the portraits hold
#: at least 0.976 (nine pairs, each looked at). Of 1,248 copies made by recompression, resizing, cropping,
#: turning, mirroring, and changed brightness, contrast and colour all but 0.5 % are above, and no photo of
#: another person. Of the same person smiling and not, in one studio, 12 of 51 are: photos of one patient.
THRESHOLD = 0.93
_FACE_CHIP = 150  # px of the face region's chip; two thirds of it are the inner face
_LEFT, _TOP, _INNER = 24, 25, 100  # px of the chip; the midline is the middle, or mirror images differ
# share of a picture's width and height at each edge: there the black ring of a dermatoscope makes all
# pictures alike. Of 120 skin lesions different ones correlate by 0.836 at most, and by 0.922 with the edges.
_EDGE = 0.15
_BLUR = 3.0  # px of the print, SD of the neighbourhood whose brightness and contrast are taken off
_FLAT = 4.0  # grey levels added to the contrast, so that noise in flat skin stays small
_NAMED = 5
_BLOCK = 1024  # rows compared at a time


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos of a cohort that are one photograph."""

    first: str
    second: str
    kind: Literal["file", "picture"]  # equal bytes, or an altered copy
    similarity: float  # correlation of the prints, 1 for equal files
    same_patient: bool


def face_print(photo: Photo, face: Face) -> NDArray[np.float32]:
    """A photograph's print (PRINT_SIDE²,), which other photos of the person lack and altered copies keep.

    It has mean 0 and length 1, so that a product of two is their correlation.
    """
    chip = crops(photo, face, ["face"], _FACE_CHIP)[0]
    return _print(chip[_TOP : _TOP + _INNER, _LEFT : _LEFT + _INNER])


def image_print(photo: Photo) -> NDArray[np.float32]:
    """The print of a picture without a face: of its middle, stretched to a square."""
    height, width = photo.pixels.shape[:2]
    middle = (_EDGE * width, _EDGE * height, (1 - _EDGE) * width, (1 - _EDGE) * height)
    picture = Image.fromarray(photo.pixels).resize((_INNER, _INNER), Image.Resampling.BOX, box=middle)
    return _print(np.asarray(picture))


def _print(inner: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Local structure of a square of `_INNER` pixels."""
    from scipy.ndimage import gaussian_filter

    grey = inner.astype(np.float64) @ LUMA
    step = _INNER // PRINT_SIDE
    x = grey.reshape(PRINT_SIDE, step, PRINT_SIDE, step).mean((1, 3))
    x = x - gaussian_filter(x, _BLUR)
    x = x / (np.sqrt(gaussian_filter(x**2, _BLUR)) + _FLAT)
    x -= x.mean()
    return np.asarray(x.ravel() / max(float(np.linalg.norm(x)), 1e-6), dtype=np.float32)


def find_duplicates(features: Features, threshold: float = THRESHOLD) -> list[Pair]:
    """Pairs of photos that are one photograph, equal files first, then the most similar."""
    prints = features.prints
    mirrored = prints.reshape(-1, PRINT_SIDE, PRINT_SIDE)[:, :, ::-1].reshape(prints.shape)
    _, files = np.unique(features.digests, return_inverse=True)
    pairs = []
    for start in range(0, len(prints), _BLOCK):
        block = prints[start : start + _BLOCK]
        # only the photos behind the block's first: each pair is looked at once
        alike = np.maximum(block @ prints[start:].T, block @ mirrored[start:].T)
        alike[files[start : start + _BLOCK, None] == files[None, start:]] = 2.0  # before every picture
        above = np.argwhere(np.triu(alike > threshold, 1))
        pairs += [(float(alike[i, j]), start + int(i), start + int(j)) for i, j in above]
    photos, patients = features.photos.tolist(), features.patients.tolist()
    return [
        Pair(photos[i], photos[j], "file" if c > 1.5 else "picture", min(c, 1.0), patients[i] == patients[j])
        for c, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))
    ]


def duplicate_findings(source: str, pairs: Sequence[Pair], *, allow: bool = False) -> list[Finding]:
    """Findings on pairs of photos: across patients an error unless allowed, else a note."""
    across = [pair for pair in pairs if not pair.same_patient]
    within = [pair for pair in pairs if pair.same_patient]
    findings = []
    if across:
        text = (
            f"{source}: one photo under different patients, {listed_pairs(across)}: a model tested on "
            "one has seen the other. Remove one of each, or give both the same patient"
        )
        option = parameter("allow_duplicates", True)
        end = " (duplicates were allowed)." if allow else f", or pass {option}."
        findings.append(Finding("warning" if allow else "error", "duplicate", text + end))
    if within:
        text = (
            f"{source}: one photo more than once for a patient, {listed_pairs(within)}; it counts as "
            "often as it is there."
        )
        findings.append(Finding("note", "duplicate", text))
    return findings


def listed_pairs(pairs: Sequence[Pair]) -> str:
    named = [
        f"{p.first} = {p.second} ({'same file' if p.kind == 'file' else f'{p.similarity:.3f} alike'})"
        for p in pairs[:_NAMED]
    ]
    more = f" and {len(pairs) - _NAMED} more pairs" if len(pairs) > _NAMED else ""
    return ", ".join(named) + more
