"""Files that are written beside a table while its photos are measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from anthropo.batch.inputs import Item
from anthropo.batch.run import MeasuredFace
from anthropo.errors import InputError, parameter
from anthropo.files import file_sha256, portable_name, refuse_file_name, write
from anthropo.measurement.landmark_file import SUFFIX, landmarks_text
from anthropo.settings import Settings
from anthropo.video import is_video


class FaceFiles:
    """A folder with a file for each face, named after the photo and its content."""

    suffix: str
    what: str  # they are called in messages
    content: str  # what one of them holds is called

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        refuse_file_name(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be made a folder for {self.what} ({error.strerror})."
            ) from None

    def file(self, item: Item, digest: str, index: int = 0) -> Path:
        """The file of a face, which never stands for another photo of the same name."""
        face = f".face{index}" if index else ""
        return self.folder / portable_name(f"{Path(item.path).stem}-{digest[:8]}{face}{self.suffix}")

    def missing(self, item: Item) -> bool:
        try:
            return not self.file(item, file_sha256(item.path)).exists()
        except OSError:
            return True

    def __call__(self, seen: MeasuredFace) -> tuple[str, bytes]:
        """The SHA-256 of the photo, and what its file is to hold."""
        raise NotImplementedError

    def take(self, item: Item, face: int, made: object) -> None:
        """Write the file of a face: here, where the table is written, and not where the photo was read."""
        assert isinstance(made, tuple)
        digest, content = made
        self.write(self.file(item, digest, face), content)

    def write(self, file: Path, content: bytes) -> None:
        """Write one file."""
        write(file, content, what=self.content)


class LandmarkFiles(FaceFiles):
    """Landmark files in a folder, or a single one. Those that exist may have been corrected, and stay."""

    suffix = SUFFIX
    what, content = "landmarks", "the landmarks"

    def __init__(self, name: str, items: Sequence[Item], settings: Settings) -> None:
        self.single = Path(name) if name.lower().endswith(".json") and not os.path.isdir(name) else None
        if self.single is None:
            super().__init__(name)
        elif len({item.path for item in items}) > 1 or settings.face == "all":
            option = parameter("save_landmarks", name)
            raise InputError(f"{option}: one file for several faces. Name a folder.")
        elif self.single.exists():
            raise InputError(
                f"{name}: exists, and may have been corrected. Pass it to {parameter('landmarks')}, delete "
                "it or give another name."
            )

    def file(self, item: Item, digest: str, index: int = 0) -> Path:
        return self.single or super().file(item, digest, index)

    def __call__(self, seen: MeasuredFace) -> tuple[str, bytes]:
        if is_video(seen.item.path):
            raise InputError(f"{seen.item.path}: landmarks are saved of photos, not of a video.")
        return seen.digest, landmarks_text(seen.face, seen.digest).encode()

    def write(self, file: Path, content: bytes) -> None:
        if not file.exists():
            super().write(file, content)
