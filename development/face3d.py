"""Make anthropo/face/face3d.csv, the generic 3D face that head pose is fitted with.

    python development/face3d.py HELEN_CROPS FRL_NEUTRAL > anthropo/face/face3d.csv

Shape from motion: hand-placed 68-point annotations of several hundred people who look in different
directions (HELEN_CROPS, with index.csv) are explained by one symmetric 3D shape, each seen under
its own rotation, scale and shift (scaled orthographic camera), by alternating least squares. Faces
that fit badly (strong expressions) count less. Frontal is then *defined* by studio photographs
taken straight on (FRL_NEUTRAL): their average pitch is zero. Unit: the outer-canthal distance.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from anthropo.face.pose import POSE_POINTS, fit_camera
from anthropo.face.scheme import MIRROR


def read_pts(path: Path) -> np.ndarray:
    return np.array([line.split() for line in path.read_text().split("\n") if line.strip()], dtype=float)


def symmetric(shape: np.ndarray) -> np.ndarray:
    return (shape + shape[MIRROR] * [-1, 1, 1]) / 2


def main(crops: str, frontal: str) -> None:
    from anthropo import read_face

    folder = Path(crops)
    with open(folder / "index.csv", newline="") as file:
        faces = np.array([read_pts(folder / row["landmarks"]) for row in csv.DictReader(file)])
    faces = faces - faces.mean(1, keepdims=True)
    faces /= np.linalg.norm(faces, axis=(1, 2), keepdims=True)

    # start: the mean face with a bulge, nose towards the camera (negative z)
    shape = np.column_stack([faces.mean(0), np.zeros(68)])
    shape = symmetric(shape)
    shape[:, 2] = ((shape[:, 0] ** 2).clip(0) * 4 - 0.02) * 1.0
    shape[27:36, 2] -= 0.05

    previous = np.inf
    for _ in range(300):
        cameras = [fit_camera(shape, face) for face in faces]
        rows = np.array([camera.scale * camera.rotation[:2] for camera in cameras])  # (n, 2, 3)
        shift = np.array([camera.shift for camera in cameras])
        residual = faces - np.einsum("nij,pj->npi", rows, shape) - shift[:, None]
        error = np.sqrt((residual**2).sum(2).mean(1))
        weight = 1 / (1 + (error / np.median(error)) ** 2)
        # each point's 3D position, by weighted least squares over all views
        normal = np.einsum("n,nij,nik->jk", weight, rows, rows)
        right = np.einsum("n,nij,npi->pj", weight, rows, faces - shift[:, None])
        shape = symmetric(np.linalg.solve(normal, right.T).T)
        shape -= shape.mean(0)
        if previous - np.average(error, weights=weight) < 1e-9:
            break
        previous = np.average(error, weights=weight)

    # frontal by definition: turn the shape so that the studio photographs have no pitch
    studio = [read_face(str(path)).landmarks for path in sorted(Path(frontal).glob("*.jpg"))]
    for _ in range(5):
        pitch = -np.median([fit_camera(shape, points, POSE_POINTS).pitch for points in studio])
        c, s = np.cos(np.radians(pitch)), np.sin(np.radians(pitch))
        shape = shape @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T
    shape /= np.linalg.norm(shape[36] - shape[45])
    shape -= shape[[36, 45]].mean(0)
    print("# Generic 3D face: x to the subject's left, y down, z away from the camera; unit: outer-canthal")
    print(f"# distance. Made by development/face3d.py from {len(faces)} annotated faces of the Helen set (Le")
    print("# et al., ECCV 2012; 68 points: Sagonas et al., 300-W, 2013) for research use; frontal is the")
    print("# median of the Face Research Lab London Set (DeBruine & Jones, CC BY 4.0).")
    print("point,x,y,z")
    for i, (x, y, z) in enumerate(shape):
        print(f"{i},{x:.4f},{y:.4f},{z:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
