"""The XML files in which dlib's imglab keeps annotated faces."""

from __future__ import annotations

import math
from pathlib import Path
from xml.parsers import expat

import numpy as np

from anthropo.errors import InputError
from anthropo.face.frame import Floats
from anthropo.files import MOST_TEXT, read_regular

_DEEPEST = 8  # imglab nests five
_MOST = 1e6  # pixels


def read_imglab(path: Path) -> tuple[tuple[str, ...], list[tuple[str, Floats, str]]]:
    """Names of the parts, and photo, points (P, 2) and place in the file of each box that has parts.

    Parts are sorted by name, as dlib's trainer does; one that a box lacks is NaN. Boxes that are to be
    ignored are left out.

    Raises
    ------
    InputError
        If the file is no such XML, or declares a document type or entities, which imglab does not.
    """
    reader = _Reader(path)
    try:
        data = read_regular(path, most=MOST_TEXT)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InputError(f"{path}: not readable as XML ({error}). Save it in imglab again.") from None
    names = tuple(sorted({name for _, parts, _ in reader.boxes for name in parts}))
    none = (math.nan, math.nan)
    rows = [(photo, np.array([parts.get(n, none) for n in names]), at) for photo, parts, at in reader.boxes]
    return names, rows


class _Reader:
    """Goes through the elements; nothing but what imglab writes has an effect."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.boxes: list[tuple[str, dict[str, tuple[float, float]], str]] = []
        self._inside: list[str] = []
        self._photo = ""
        self._parts: dict[str, tuple[float, float]] | None = None
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._refused
        self.parser.EntityDeclHandler = self._refused
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def _place(self) -> str:
        return f"{self.path}, line {self.parser.CurrentLineNumber}"

    def _refused(self, *_: object) -> None:
        raise InputError(
            f"{self._place()}: declares a document type or an entity, which no file of imglab does; nothing "
            "of it was read. Save it in imglab again."
        )

    def _start(self, name: str, given: dict[str, str]) -> None:
        self._inside.append(name)
        if len(self._inside) > _DEEPEST:
            raise InputError(f"{self._place()}: nested too deeply. Save it in imglab again.")
        if len(self._inside) == 1 and name != "dataset":
            raise InputError(f"{self.path}: its root is not <dataset>, so it is no file of imglab.")
        if name == "image":
            self._photo = given.get("file", "")
            if not self._photo:
                raise InputError(f"{self._place()}: an image without the name of its file.")
        elif name == "box":
            self._parts = None if given.get("ignore") == "1" else {}
        elif name == "part" and self._parts is not None:
            part = given.get("name", "")
            if not part or part in self._parts:
                raise InputError(f"{self._place()}: a part {'twice: ' + part if part else 'without a name'}.")
            self._parts[part] = (self._pixels(part, given.get("x")), self._pixels(part, given.get("y")))

    def _pixels(self, part: str, text: str | None) -> float:
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not abs(value) <= _MOST:
            raise InputError(f"{self._place()}, part {part}: {(text or '')[:40]!r} is no number of pixels.")
        return value

    def _end(self, name: str) -> None:
        self._inside.pop()
        if name == "box" and self._parts:
            self.boxes.append((self._photo, self._parts, self._place()))
            self._parts = None
