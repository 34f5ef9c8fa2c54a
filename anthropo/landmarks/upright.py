"""Faces laid upright with the points that are known of them: what the fine stage is trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import AnthropoError
from anthropo.face.fine import FACE, lay_upright
from anthropo.face.frame import Floats, outer_canthal_distance
from anthropo.face.landmarker import FIRST_DECODE, Face, read_faces
from anthropo.face.scheme import MIRROR
from anthropo.photo import read_photo

UNIT = 256  # px of the outer-canthal distance in the upright face


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """A photo with the points that were placed on it by hand, photo pixels."""

    path: str | Path
    person: str
    scheme: Floats | None  # (68, 2), NaN where unknown; None where nothing is known
    anatomy: Mapping[str, Floats]  # anatomical landmarks (2,) by code with side: exR, exL, sn
    source: int = 0  # which set of photos it is of


@dataclass(frozen=True, slots=True, eq=False)
class UprightFaces:
    """N faces laid on a mean face; all points are pixels of the upright pictures."""

    pixels: NDArray[np.uint8]  # (N, FACE, FACE)
    first_stage: Floats  # (N, 68, 2) where the first stage has the points of the scheme
    scheme: Floats  # (N, 68, 2) the same placed by hand; NaN where unknown
    #: Anatomical landmarks (N, 2) by code with side (exR, exL, sn); NaN where unknown.
    anatomy: Mapping[str, Floats]
    source: NDArray[np.intp]  # (N) which set of photos each is of
    people: Sequence[str]  # (N)
    mirror: NDArray[np.intp]  # points of a mirrored face


def mean_face(shape: Floats) -> Floats:
    """A first stage's mean shape in the upright picture: what faces are laid on.

    Parameters
    ----------
    shape : (68, 2) array
        Of the first stage's predictor, in any unit.

    Returns
    -------
    (68, 2) array
        Pixels of the upright picture.

    Examples
    --------
    >>> from anthropo.face.weights import landmark_model
    >>> from anthropo.landmarks import mean_face
    >>> mean_face(landmark_model().predictor.mean_shape)[[36, 45]].round().tolist()
    [[128.0, 170.0], [384.0, 170.0]]
    """
    centred = shape - shape[17:].mean(0)
    return np.asarray(centred / outer_canthal_distance(shape) * UNIT + (FACE - 1) / 2)


def read_upright(photos: Iterable[Annotated], frame: Floats) -> tuple[UprightFaces, list[str]]:
    """Read annotated photos and lay the annotated faces on the mean face.

    Parameters
    ----------
    photos : iterable of Annotated
    frame : (68, 2) array
        From `mean_face`.

    Returns
    -------
    UprightFaces
    list of str
        A sentence for each photo that was left out: no face found, or another than the annotated one.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.face.weights import landmark_model
    >>> from anthropo.landmarks import Annotated, mean_face, read_upright
    >>> path = anthropo.example_photo()
    >>> points = anthropo.read_face(path).landmarks
    >>> photos = [Annotated(path, "E.C.", points, {"exR": points[36]})]
    >>> faces, left_out = read_upright(photos, mean_face(landmark_model().predictor.mean_shape))
    >>> faces.pixels.shape, faces.scheme.shape, faces.anatomy["exR"].shape, left_out
    ((1, 512, 512), (1, 68, 2), (1, 2), [])
    """
    kept: list[tuple[Annotated, NDArray[np.uint8], Floats, Floats]] = []
    left_out = []
    for one in photos:
        known = [one.scheme[np.isfinite(one.scheme).all(1)]] if one.scheme is not None else []
        centre = np.concatenate([*known, *(np.reshape(p, (1, 2)) for p in one.anatomy.values())]).mean(0)

        def far(face: Face, centre: Floats = centre) -> float:
            return float(np.linalg.norm(face.landmarks[17:].mean(0) - centre))

        try:
            photo = read_photo(one.path, short_side=FIRST_DECODE)
            face = min(read_faces(photo, face="all"), key=far)
        except AnthropoError as error:
            left_out.append(str(error))
            continue
        if far(face) > outer_canthal_distance(face.landmarks) / 2:
            left_out.append(f"{one.path}: another face than the annotated one was found")
            continue
        # trained on the full resolution; blurred copies are made on the way
        pixels, there, _ = lay_upright(photo.finer(1).pixels, face.landmarks, frame)
        kept.append((one, pixels, face.landmarks, there))

    def laid(points: Floats, there: Floats) -> Floats:
        return np.asarray(points @ there[:, :2].T + there[:, 2])

    none = np.full((68, 2), np.nan)
    codes = sorted({code for one, *_ in kept for code in one.anatomy})
    return (
        UprightFaces(
            np.array([pixels for _, pixels, _, _ in kept], np.uint8).reshape(-1, FACE, FACE),
            np.array([laid(first, there) for _, _, first, there in kept]).reshape(-1, 68, 2),
            np.array(
                [laid(none if o.scheme is None else o.scheme, there) for o, _, _, there in kept]
            ).reshape(-1, 68, 2),
            {
                code: np.array([laid(o.anatomy.get(code, none[0]), there) for o, _, _, there in kept])
                for code in codes
            },
            np.array([o.source for o, *_ in kept], np.intp),
            [o.person for o, *_ in kept],
            MIRROR,
        ),
        left_out,
    )
