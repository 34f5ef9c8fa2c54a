"""Head pose: a generic 3D face under a scaled orthographic camera, fitted by least squares."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anthropo.face.frame import Floats
from anthropo.files import packaged

#: Points that move least with expression and that do not slide along the cheek as the head turns:
#: nasal bridge and base, canthi. The lids, brows, lips and outline are left out.
POSE_POINTS: NDArray[np.intp] = np.array([*range(27, 36), 36, 39, 42, 45], dtype=np.intp)


class Camera(NamedTuple):
    """How the generic face is seen. Angles in degrees."""

    yaw: float  # positive: the subject turns to the subject's left (the photo's right)
    pitch: float  # positive: the chin goes up
    roll: float  # positive: clockwise in the photo
    scale: float  # photo pixels per outer-canthal distance
    shift: Floats  # (2,) photo pixels
    rotation: Floats  # (3, 3)
    residual: float  # RMS distance of the fitted points, in outer-canthal distances


@lru_cache(maxsize=1)
def generic_face() -> Floats:
    """The generic 3D face, shape (68, 3), in outer-canthal distances; see face3d.csv for its source."""
    text = packaged("anthropo.face", "face3d.csv").decode()
    rows = [line.split(",") for line in text.splitlines() if line and line[0].isdigit()]
    face = np.array([[float(value) for value in row[1:]] for row in rows])
    if face.shape != (68, 3):
        raise ValueError(f"face3d.csv has shape {face.shape}, (68, 3) expected")
    return face


def fit_camera(shape: Floats, points: Floats, use: NDArray[np.intp] | None = None) -> Camera:
    """Least-squares pose of a 3D shape (P, 3) seen as 2D points (P, 2), photo pixels; `use`: indices to fit.

    The shape's x runs to the photo's right, y down, z away from the camera. Minimises
    ``sum |s R_2 X + t - x|^2`` over scale, rotation and shift. The linear (affine) solution, made orthonormal
    by its singular value decomposition, starts a Gauss-Newton iteration on the rotation's tangent; scale and
    shift are solved exactly at every step. A test holds the optimum against ``scipy.optimize.least_squares``.
    """
    index = np.arange(len(shape)) if use is None else use
    model = shape[index]
    seen = points[index]
    centre, middle = model.mean(0), seen.mean(0)
    a, b = model - centre, seen - middle

    affine = np.linalg.lstsq(a, b, rcond=None)[0].T  # (2, 3)
    u, singular, vt = np.linalg.svd(affine, full_matrices=False)
    rotation: Floats = np.empty((3, 3))
    rotation[:2] = u @ vt
    rotation[2] = np.cross(rotation[0], rotation[1])

    scale = float(singular.mean())
    for _ in range(50):
        turned = a @ rotation.T
        flat = turned[:, :2]
        scale = float((flat * b).sum() / (flat**2).sum())
        error = (b - scale * flat).ravel()
        # derivative of the first two rows of exp([w]) R X with respect to w, and of the scale
        x, y, z = turned.T
        jacobian = np.zeros((len(a), 2, 4))
        jacobian[:, 0, 1], jacobian[:, 0, 2] = z, -y
        jacobian[:, 1, 0], jacobian[:, 1, 2] = -z, x
        jacobian *= scale
        jacobian[:, :, 3] = flat
        flat_jacobian = jacobian.reshape(-1, 4)
        step = np.linalg.solve(flat_jacobian.T @ flat_jacobian, flat_jacobian.T @ error)[:3]
        rotation = _turn(step) @ rotation
        if np.abs(step).max() < 1e-9:
            break

    flat = (a @ rotation.T)[:, :2]
    shift = middle - scale * (rotation @ centre)[:2]
    residual = float(np.sqrt(((b - scale * flat) ** 2).sum(1).mean()) / scale)
    yaw, pitch, roll = _angles(rotation)
    return Camera(yaw, pitch, roll, scale, shift, rotation, residual)


def head_pose(landmarks: Floats) -> Camera:
    """Pose of the head in a photo.

    Parameters
    ----------
    landmarks : (68, 2) array
        Photo pixels.

    Returns
    -------
    Camera
        Of the generic face that nasal bridge, nasal base and canthi were fitted with (`fit_camera`).

    Examples
    --------
    >>> import anthropo
    >>> face = anthropo.read_face(anthropo.example_photo())
    >>> pose = anthropo.face.head_pose(face.landmarks)
    >>> f"yaw {pose.yaw:.0f}°, pitch {pose.pitch:.0f}°, roll {pose.roll:.0f}°"
    'yaw 2°, pitch -7°, roll 3°'
    """
    return fit_camera(generic_face(), landmarks, POSE_POINTS)


def _turn(w: Floats) -> Floats:
    """Rotation matrix of a rotation vector (Rodrigues' formula)."""
    angle = float(np.linalg.norm(w))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = w / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k))


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """Rotation matrix (3, 3) of a head's pose in degrees, the inverse of what `fit_camera` reads off."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_z = _turn(np.array([0.0, 0.0, r]))
    return np.asarray(about_z @ _turn(np.array([-p, 0.0, 0.0])) @ _turn(np.array([0.0, -y, 0.0])))


def _angles(r: Floats) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of R = Z(roll) · X(-pitch) · Y(-yaw).

    With z away from the camera, a right-handed turn about y takes the nose to the photo's left and
    one about x takes it down: hence the signs.
    """
    pitch = -np.arcsin(np.clip(r[2, 1], -1, 1))
    yaw = np.arctan2(r[2, 0], r[2, 2])
    roll = np.arctan2(-r[0, 1], r[1, 1])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))
