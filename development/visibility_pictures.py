"""Pictures to train development/visibility.py on: upright faces with things drawn before them.

What some photographs show by themselves stands in visibility_real.csv beside this file, as read off contact
sheets: dark glasses hide both eyes; photographs with something else before the face are left out. Of those
who wear clear glasses, found by the line across the nasal root, nothing is known about the eyes but that the
eyeballs are seen.
"""

from __future__ import annotations

import csv
import io
import mmap
import multiprocessing
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from anthropo.errors import AnthropoError
from anthropo.synthetic.canvas import Canvas
from anthropo.synthetic.everyday import CHOSEN_WITH, HIDING, SEEN
from anthropo.synthetic.occluders import TRAINED, draw

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Kinds = Mapping[str, Callable[[Canvas], None]]

DRAWN = 192  # px of the picture that is drawn on
KEPT = 160  # px of the picture that is kept, of which the network's is a jittered part
MARGIN = 1.2  # how much more of the face these show
LABELS = Path(__file__).with_name("visibility_real.csv")
BRIDGE = 0.11  # of the face's contrast, from which on a line is spectacles' (half of those above wear none)
LINE = np.array([(x * x - 1) * np.exp(-x * x / 2) for x in range(-2, 3)])
LINE = (LINE - LINE.mean()) / np.abs(LINE - LINE.mean()).sum()
PASTED = 0.06  # share on which a piece of another face is pasted
PLAIN = 0.2  # share of the pictures on which nothing is drawn that hides
SEED = 20140623
MOST = 3500  # photographs of a folder
HELD = 10  # one face in so many is kept to choose with
UNKNOWN, KNOWN = 128, 255  # levels of the plane that says where cover is known; 0 is beyond the face
EACH = 60  # pictures of each kind on the faces that are kept to choose with


@dataclass
class Faces:
    """Upright faces as they were found."""

    chips: list[bytes]  # WebP, DRAWN px square
    points: Floats  # (N, 68, 2), pixels
    names: list[str]
    frame: Floats  # (68, 2), the mean face that they are laid on

    def chip(self, i: int) -> Pixels:
        return np.asarray(Image.open(io.BytesIO(self.chips[i])).convert("RGB"))

    @property
    def held(self) -> NDArray[np.bool_]:
        """Which faces nothing is trained on."""
        return np.arange(len(self.names)) % HELD == 0


def upright(photo: str) -> tuple[bytes, Floats] | None:
    """The upright face of a photograph, and its landmarks in it."""
    import anthropo
    from anthropo.face.visibility import EXTENT, chip_of

    try:
        seen = anthropo.observe(photo, anthropo.Settings(face="largest", jitter=4, fine=False))
    except AnthropoError:
        return None
    points = seen.face.landmarks
    chip, there = chip_of(seen.photo, points, DRAWN, EXTENT * MARGIN)
    data = io.BytesIO()
    Image.fromarray(chip).save(data, "WEBP", quality=88)
    return data.getvalue(), points @ there[:, :2].T + there[:, 2]


def photographs(folder: Path) -> list[str]:
    """Names of at most MOST photographs of a folder, at random."""
    table = next(folder / name for name in ("index.csv", "labels.csv") if (folder / name).exists())
    with open(table, newline="") as file:
        names = sorted(str(folder / row["photo"]) for row in csv.DictReader(file))
    return [str(name) for name in np.random.default_rng(SEED).permutation(names)[:MOST]]


def find_faces(folders: Iterable[Path], workers: int) -> Faces:
    from anthropo.face.visibility import frame_points

    names = [name for folder in folders for name in photographs(folder)]
    with ProcessPoolExecutor(workers) as pool:
        found = list(pool.map(upright, names, chunksize=16))
    shown = real_labels()
    kept = [
        (Path(name).name, *one)
        for name, one in zip(names, found, strict=True)
        if one is not None and shown.get(Path(name).name) != "else"
    ]
    labels, chips, points = zip(*kept, strict=True)
    return Faces(list(chips), np.stack(points), list(labels), frame_points())


def keep(faces: Faces, path: Path) -> None:
    ends = np.cumsum([len(c) for c in faces.chips])
    data = np.frombuffer(b"".join(faces.chips), np.uint8)
    np.savez(path, data=data, ends=ends, points=faces.points, names=faces.names, frame=faces.frame)


def kept(path: Path) -> Faces:
    with np.load(path) as stored:
        data, ends = stored["data"].tobytes(), stored["ends"].tolist()
        chips = [data[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        points = stored["points"].astype(np.float64)
        return Faces(chips, points, [str(n) for n in stored["names"]], stored["frame"].astype(np.float64))


def real_labels() -> dict[str, str]:
    """What photographs show by themselves, by name: dark or else."""
    with open(LABELS, newline="") as file:
        return {row["photo"]: row["shows"] for row in csv.DictReader(file)}


def wears_glasses(chip: Pixels, points: Floats) -> bool:
    """Whether a line crosses the nasal root, as `anthropo.face.gate.bridge_line` looks for it."""
    grey, unit = chip.mean(2), np.hypot(*(points[45] - points[36]))
    left, right = int(points[39, 0] + 0.06 * unit), int(points[42, 0] - 0.06 * unit)
    root = grey[int(points[27, 1] - 0.12 * unit) : int(points[29, 1]), left:right]
    face = grey[int(points[19, 1]) : int(points[57, 1]), int(points[36, 0]) : int(points[45, 0])]
    if root.shape[0] < len(LINE) or root.shape[1] < 1:
        return False
    return bool(np.abs(np.convolve(root.mean(1), LINE, "valid")).max() > BRIDGE * max(face.std(), 1))


def hull(points: Floats, grow: float, side: int) -> Pixels:
    """The face (side, side), 0 or 1: the outline and brows, grown from the middle by a share."""
    outline = np.concatenate([points[:17], points[26:16:-1]])
    middle = outline.mean(0)
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).polygon([tuple(p) for p in (middle + (1 + grow) * (outline - middle))], fill=1)
    return np.asarray(image)


def near_eyes(points: Floats) -> NDArray[np.float32]:
    """Ellipses about both eyes (DRAWN, DRAWN), 0 or 1."""
    y, x = np.mgrid[:DRAWN, :DRAWN]
    unit = np.hypot(*(points[45] - points[36]))
    inside = np.zeros((DRAWN, DRAWN), bool)
    for eye in (points[36:42], points[42:48]):
        a, b = eye.mean(0)
        inside |= np.hypot((x - a) / 0.21, (y - b) / 0.12) < unit
    return inside.astype(np.float32)


def eyeballs(points: Floats) -> NDArray[np.float32]:
    image = Image.new("L", (DRAWN, DRAWN))
    for eye in (points[36:42], points[42:48]):
        ImageDraw.Draw(image).polygon([tuple(p) for p in eye], fill=1)
    return np.asarray(image, dtype=np.float32)


def shrunk(plane: NDArray[np.generic]) -> Pixels:
    return np.asarray(Image.fromarray(plane).resize((KEPT, KEPT), Image.Resampling.BILINEAR))


def recompressed(chip: Pixels, quality: int) -> Pixels:
    data = io.BytesIO()
    Image.fromarray(chip).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(io.BytesIO(data.getvalue())))


def one_kind(kinds: Kinds, random: np.random.Generator) -> Callable[[Canvas], None]:
    return kinds[str(random.choice(list(kinds)))]


def hiding_kinds(random: np.random.Generator) -> list[Callable[[Canvas], None]]:
    """What to draw before a face: nothing, one thing or two."""
    if random.random() < PLAIN:
        return []
    count = 2 if random.random() < 0.2 else 1
    return [one_kind(TRAINED if random.random() < 0.45 else HIDING, random) for _ in range(count)]


@dataclass
class Pictures:
    """Upright faces with what is hidden in them, in memory that processes share."""

    pixels: Pixels  # (N, KEPT, KEPT, 3)
    planes: Pixels  # (N, 2, KEPT, KEPT): cover, 0 to 255; where it is known: 0, UNKNOWN or KNOWN
    points: NDArray[np.float32]  # (N, 68, 2), pixels
    done: Pixels  # (N,) 1 when it is drawn

    @classmethod
    def room_for(cls, n: int) -> Pictures:
        def shared(shape: tuple[int, ...], kind: type) -> NDArray[np.generic]:
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            return np.frombuffer(mmap.mmap(-1, size), kind).reshape(shape)

        square = (KEPT, KEPT)
        planes = shared((n, *square, 3), np.uint8), shared((n, 2, *square), np.uint8)
        return cls(*planes, shared((n, 68, 2), np.float32), shared((n,), np.uint8))  # type: ignore[arg-type]


@dataclass
class Drawing:
    """The making of pictures: first those to choose with, EACH of a kind, then those to train on."""

    faces: Faces
    into: Pictures
    shows: list[str]  # of each face
    judged: list[str]  # kinds to choose with, "" for none
    each: int

    @classmethod
    def of(cls, faces: Faces, n: int, each: int = EACH) -> Drawing:
        shown = real_labels()
        judged = ["", *SEEN, *TRAINED, *HIDING, *CHOSEN_WITH]
        shows = [shown.get(name, "") for name in faces.names]
        return cls(faces, Pictures.room_for(n + each * len(judged)), shows, judged, each)

    @property
    def first(self) -> int:
        """Number of the first picture to train on."""
        return self.each * len(self.judged)

    def start(self, workers: int, until: float) -> list[multiprocessing.Process]:
        """Processes that draw until it is so late, or all is drawn."""
        fork = multiprocessing.get_context("fork")
        crew = [fork.Process(target=self._work, args=(k, workers, until)) for k in range(workers)]
        for one in crew:
            one.start()
        return crew  # type: ignore[return-value]

    def _work(self, first: int, step: int, until: float) -> None:
        for slot in range(first, len(self.into.done), step):
            if time.time() > until:
                break
            self.draw(slot)

    def draw(self, slot: int) -> None:
        """Draw one picture."""
        random = np.random.default_rng([SEED, slot])
        held = np.flatnonzero(self.faces.held == (slot < self.first))
        who, other = (int(i) for i in random.choice(held, 2))
        if slot < self.first:
            kind = self.judged[slot // self.each]
            every = {**SEEN, **TRAINED, **HIDING, **CHOSEN_WITH}
            kinds = [every[kind]] if kind else []
            made = self._picture(who, other, [], kinds, random, plain=True)
        else:
            seen = [one_kind(SEEN, random) for _ in range(int(random.choice(3, p=(0.5, 0.35, 0.15))))]
            made = self._picture(who, other, seen, hiding_kinds(random), random)
        chip, cover, known, points = made
        self.into.pixels[slot] = shrunk(chip)
        self.into.planes[slot, 0] = shrunk(np.rint(255 * cover).astype(np.uint8))
        small = Image.fromarray(known).resize((KEPT, KEPT), Image.Resampling.NEAREST)
        self.into.planes[slot, 1] = np.asarray(small)
        self.into.points[slot] = (points + 0.5) * (KEPT / DRAWN) - 0.5
        self.into.done[slot] = 1

    def _picture(
        self,
        who: int,
        other: int,
        seen: list[Callable[[Canvas], None]],
        hiding: list[Callable[[Canvas], None]],
        random: np.random.Generator,
        *,
        plain: bool = False,
    ) -> tuple[Pixels, NDArray[np.float32], Pixels, Floats]:
        """Pixels, cover and where it is known (DRAWN, DRAWN), landmarks in it."""
        chip, points, shows = self.faces.chip(who), self.faces.points[who], self.shows[who]
        face = hull(points, 0.12, DRAWN).astype(np.float32)
        sure, cover = face, np.zeros(chip.shape[:2], np.float32)
        shows = shows or ("clear" if wears_glasses(chip, points) else "")
        if shows:
            eyes = near_eyes(points) if shows == "dark" else eyeballs(points)
            cover = eyes if shows == "dark" else cover
            unit = np.hypot(*(points[45] - points[36]))
            about = np.abs(np.arange(DRAWN) - points[36:48, 1].mean()) < 0.35 * unit
            sure = np.where(about[:, None], eyes, sure)  # where the frame runs is not known
        for what in seen:
            chip = draw(chip, points, what, random).pixels
        for what in hiding:
            done = draw(chip, points, what, random)
            chip, cover = done.pixels, np.maximum(cover, done.cover)
        if not plain and random.random() < PASTED:
            done = draw(chip, points, TRAINED["blob"], random)
            piece = np.roll(self.faces.chip(other), random.integers(-70, 70, 2), (0, 1))[:, ::-1].astype(
                float
            )
            chip = np.rint(chip + done.cover[..., None] * (piece - chip)).astype(np.uint8)
            cover = np.maximum(cover, done.cover)
        if not plain and random.random() < 0.12:  # light and shadow fall on both
            chip = draw(chip, points, SEEN[str(random.choice(["shadows", "strong_light"]))], random).pixels
        if not plain and random.random() < 0.3:
            chip = recompressed(chip, int(random.integers(30, 92)))
        sure = np.maximum(sure, (cover > 0.5) * face)
        known = np.where(sure > 0.5, KNOWN, np.where(face > 0.5, UNKNOWN, 0)).astype(np.uint8)
        return chip, cover, known, points
