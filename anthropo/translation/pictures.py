"""The faces that a translation sees: aligned pictures of two domains, with anthropo's landmarks of each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anthropo.batch.inputs import Item, collect
from anthropo.encoder.regions import FACE_WINDOW, frame_to, mean_place, warped
from anthropo.errors import FaceError, InputError, PhotoError, parameter
from anthropo.face.detection import power_of_two
from anthropo.learning.cohort import some
from anthropo.learning.duplicates import PRINT_SIDE, face_print, find_duplicates
from anthropo.learning.features import Features
from anthropo.learning.identity import IDENTITY, face_identity, find_same_people, merged
from anthropo.observation import observe
from anthropo.parallel.runner import Lost, Runner, choose
from anthropo.photo import Photo, example_photo
from anthropo.settings import Settings
from anthropo.tables import missing

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Advance = Callable[[], None]

DOMAINS = ("A", "B")
#: What a picture shows of the aligned face's frame, left, top and side: from the forehead to below the chin.
WINDOW = (-0.31, -0.25, 1.6)
#: Outer-canthal distance of the mean face, as a share of a picture's side.
UNIT = float(np.hypot(*(mean_place((45,)) - mean_place((36,))))) / WINDOW[2]
#: People of a domain without whom there is nothing to train on or to judge by.
LEAST_PEOPLE = 5
_SAME = 1.0  # grey levels that rows differ by, on average, where one is the other again
_PLAIN = 8.0  # SD of grey levels along a line, up to which it may be a backdrop and not a streaked border
_BLACK = 8  # grey levels that are black in a compressed picture
_SHOWS = 0.03  # of the side: more than this of a repeated border is seen
_UNLIKE = 0.5  # difference of two domains in the share of photos where it is


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Faces:
    """The faces of one domain, one row each."""

    source: str  # folder or table
    photos: tuple[str, ...]  # n
    digests: tuple[str, ...]  # SHA-256 of the files
    people: NDArray[np.str_]  # (n,)
    labels: tuple[str, ...] | None  # of what is told apart in both domains; empty where it is not known
    pictures: Pixels  # (n, size, size, 3) RGB
    points: NDArray[np.float32]  # (n, 68, 2) landmarks as shares of the picture's side
    shown: NDArray[
        np.bool_
    ]  # (n, size, size) whether a pixel is of the photograph, and not beyond its border

    def __len__(self) -> int:
        return len(self.photos)

    def subset(self, rows: NDArray[np.int64]) -> Faces:
        """Some of the faces."""
        return replace(
            self,
            photos=tuple(self.photos[i] for i in rows),
            digests=tuple(self.digests[i] for i in rows),
            people=self.people[rows],
            labels=None if self.labels is None else tuple(self.labels[i] for i in rows),
            pictures=self.pictures[rows],
            points=self.points[rows],
            shown=self.shown[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TranslationDomains:
    """Two domains, each dealt by person to what is trained on and what is kept apart to judge by."""

    train: tuple[Faces, Faces]
    held_out: tuple[Faces, Faces]
    left_out: tuple[tuple[str, str], ...] = ()  # photos that cannot be used, each with the reason
    notes: tuple[str, ...] = ()


def cut(photo: Photo, landmarks: Floats, size: int) -> tuple[Pixels, NDArray[np.float32], NDArray[np.bool_]]:
    """An aligned face as a translation sees it, and its landmarks there.

    What lies beyond the photo repeats its border: black corners would be the first thing that a network
    learns of photos that are cropped tightly.

    Returns
    -------
    pixels : (size, size, 3) uint8 array
    points : (68, 2) array
        Shares of the picture's side.
    shown : (size, size) bool array
        Whether a pixel is of the photograph: neither beyond it, nor in a border of its own (see `borders`).
    """
    to_photo = frame_to(landmarks)
    left, top, side = WINDOW
    pixel = float(np.hypot(to_photo[0, 0], to_photo[1, 0])) * side / size
    photo = photo.finer(power_of_two(pixel))
    linear, origin = to_photo[:, :2] / photo.decode_scale, photo.to_decoded(to_photo[:, 2])
    corners = (
        np.array([(left + x * side, top + y * side) for x in (0, 1) for y in (0, 1)]) @ linear.T + origin
    )
    height, width = photo.pixels.shape[:2]
    at = (np.arange(size) + 0.5) / size * side
    across, down = np.meshgrid(left + at, top + at)
    x, y = (across * row[0] + down * row[1] + o for row, o in zip(linear, origin, strict=True))
    above, below, first, last = borders(photo.pixels)
    shown = (x >= first - 0.5) & (x <= width - last - 0.5) & (y >= above - 0.5) & (y <= height - below - 0.5)
    before = np.ceil(np.maximum(2 - corners.min(0), 0)).astype(int)
    after = np.ceil(np.maximum(corners.max(0) + 3 - (width, height), 0)).astype(int)
    most = 2 * max(height, width)  # of a face at the border it may be much, but not without end
    (x0, y0), (x1, y1) = before.clip(0, most), after.clip(0, most)
    if x0 or y0 or x1 or y1:
        photo = Photo.from_array(np.pad(photo.pixels, ((y0, y1), (x0, x1), (0, 0)), "edge"), photo.source)
    else:
        photo = Photo.from_array(photo.pixels, photo.source)
    frame = np.column_stack([linear, origin + np.array([x0, y0])])
    pixels = warped(photo, frame, (left, top, left + side, top + side), size)
    inverse = np.linalg.inv(to_photo[:, :2])
    points = ((landmarks - to_photo[:, 2]) @ inverse.T - (left, top)) / side
    return pixels, points.astype(np.float32), shown


def borders(pixels: Pixels) -> tuple[int, int, int, int]:
    """How many lines at the edges of a photo (h, w, 3) are a border: above, below, left and right.

    Programs that crop beyond a photo repeat its last line or fill with black. Below, where a neck crosses the
    edge, a line that is the last one again is such a border; elsewhere it may be a plain backdrop, unless it
    is streaked.
    """
    widths = []
    for edge, neck in ((pixels, False), (pixels[::-1], True)):
        widths.append(_border(edge, neck))
    upright = pixels.transpose(1, 0, 2)
    for edge in (upright, upright[::-1]):
        widths.append(_border(edge, False))
    above, below, first, last = widths
    height, width = pixels.shape[:2]
    # of a picture that is one colour throughout nothing would be left
    if above + below >= height - 1 or first + last >= width - 1:
        return 0, 0, 0, 0
    return above, below, first, last


def _border(lines: Pixels, neck: bool) -> int:
    """How many of the lines (h, w, 3), from the first on, are a border."""
    edge = lines[0].astype(np.int16)
    streaked = neck or float(edge.std(0).max()) > _PLAIN
    if not streaked and int(edge.max()) > _BLACK:
        return 0
    count = 1
    while count < len(lines) and float(np.abs(lines[count] - edge).mean()) <= _SAME:
        count += 1
    # the first line of a repeated border, seen from within, is still the photograph's; black is none of it
    return count if int(edge.max()) <= _BLACK else count - 1


def encoder_chips(pictures: Pixels, size: int) -> Pixels:
    """The part of pictures (n, s, s, 3) that the face encoder looks at, (n, size, size, 3)."""
    from PIL import Image

    side = pictures.shape[1] / WINDOW[2]
    left, top = ((FACE_WINDOW[i] - WINDOW[i]) * side for i in (0, 1))
    # FACE_WINDOW ends above the picture's lower border, or at it
    box = (left, top, left + FACE_WINDOW[2] * side, top + FACE_WINDOW[2] * side)
    shape, way = (size, size), Image.Resampling.BICUBIC
    chips = [np.asarray(Image.fromarray(one).resize(shape, way, box=box)) for one in pictures]
    return np.stack(chips) if chips else np.empty((0, size, size, 3), np.uint8)


# ------------------------------------------------------------------------------------ reading photos


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looked:
    """A photo that was read.

    Attributes
    ----------
    digest : str
        SHA-256 of the file.
    picture : (size, size, 3) uint8 array
    points : (68, 2) array
    shown : (size, size) bool array
    print, identity : arrays or None
        What copies of the photo and photos of the person are found by, if they are wanted.
    """

    digest: str
    picture: Pixels
    points: NDArray[np.float32]
    shown: NDArray[np.bool_]
    print: NDArray[np.float32] | None
    identity: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class _Look:
    """The work on one photo."""

    size: int
    settings: Settings
    identify: bool

    def prepare(self) -> None:
        """Read what every photo needs."""
        self(Item(example_photo()))

    def __call__(self, item: Item) -> Looked | str:
        try:
            seen = observe(item.path, self.settings.at_face(item.columns.get("face_at", "")))
        except (PhotoError, FaceError) as error:
            return str(error)
        picture, points, shown = cut(seen.photo, seen.face.landmarks, self.size)
        return Looked(
            digest=seen.digest,
            picture=picture,
            points=points,
            shown=shown,
            print=face_print(seen.photo, seen.face) if self.identify else None,
            identity=face_identity(seen.photo, seen.face) if self.identify else None,
        )


def looked_at(
    items: Sequence[Item],
    size: int,
    settings: Settings,
    *,
    identify: bool = False,
    jobs: int = 1,
    runner: Runner | None = None,
) -> Iterator[Looked | str]:
    """The aligned face of each photo, or why there is none."""
    pool = choose(jobs, len(items), runner)
    with contextlib.closing(pool.in_order(_Look(size, settings, identify), items)) as results:
        for item, looked in zip(items, results, strict=True):
            yield looked.reason(item.path) if isinstance(looked, Lost) else looked


def read_domains(
    folders: tuple[str | os.PathLike[str], str | os.PathLike[str]],
    size: int,
    settings: Settings,
    *,
    label: str | None = None,
    held_out: float,
    seed: int,
    masked: bool = False,
    jobs: int = 1,
    runner: Runner | None = None,
    advance: Callable[[int], Advance] | None = None,
) -> TranslationDomains:
    """Read the photos of two domains, refuse what they share, and deal their people.

    Parameters
    ----------
    folders : two paths
        Folders of photos, or tables with a column `photo`, best also `patient`.
    size : int
        Side of the pictures, px.
    settings : Settings
    label : str, optional
        A column of both tables, such as ``sex``, that a classifier is to tell.
    held_out : float
        Share of each domain's people who are kept apart.
    seed : int
    masked : bool
        Whether the training leaves out what is beyond a photo's border; where it does not, unlike borders are
        pointed out.
    jobs, runner
        Who reads the photos.
    advance : callable, optional
        Given the number of photos, returns what is called after each.

    Raises
    ------
    InputError
        If a folder has no or too few faces, both hold the same photograph, or there is no such column.
    """
    names = os.fspath(folders[0]), os.fspath(folders[1])
    if _same_place(*names):
        raise InputError(f"{names[0]}: A and B are the same. Give two folders, one for each domain.")
    listed = [_listed(name, label) for name in names]
    both = [item for items in listed for item in items]
    step = advance(len(both)) if advance else None
    looks: list[Looked | str] = []
    for looked in looked_at(both, size, settings, identify=True, jobs=jobs, runner=runner):
        looks.append(looked)
        if step:
            step()
    usable, left_out = _usable(names, listed, looks)
    features = _features(usable)
    _refuse_shared(names, features)
    pairs = find_same_people(features)
    people = merged(features, pairs).patients if pairs else features.patients
    notes = []
    across = sum({photo[0] for photo in pair.patients} == set(DOMAINS) for pair in pairs)
    if across:
        notes.append(
            f"{across} {'person is' if across == 1 else 'people are'} in both domains, by the face: kept "
            "apart, or trained on, in both."
        )
    sides = np.array([one[0] for one in usable])
    kept = _kept_apart(names, people, sides, held_out, seed)

    def faces(side: int, part: bool) -> Faces:
        rows = np.flatnonzero((sides == side) & (kept == part)).tolist()
        items, looks = [usable[i][1] for i in rows], [usable[i][2] for i in rows]
        cells = [item.columns.get(label or "", "") for item in items]
        return Faces(
            source=names[side],
            photos=tuple(item.path for item in items),
            digests=tuple(one.digest for one in looks),
            people=people[rows],
            labels=tuple("" if missing(cell) else cell for cell in cells) if label else None,
            pictures=np.stack([one.picture for one in looks]),
            points=np.stack([one.points for one in looks]),
            shown=np.stack([one.shown for one in looks]),
        )

    train = faces(0, False), faces(1, False)
    if not masked and (ends := _unlike_ends(train)):
        notes.append(ends)
    return TranslationDomains(
        train=train,
        held_out=(faces(0, True), faces(1, True)),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


def _usable(
    names: tuple[str, str], listed: Sequence[Sequence[Item]], looks: Sequence[Looked | str]
) -> tuple[list[tuple[int, Item, Looked]], list[tuple[str, str]]]:
    """Photos with a face, each with its domain, and why the others are left out; refuse a domain without."""
    left_out: list[tuple[str, str]] = []
    usable: list[tuple[int, Item, Looked]] = []
    both = [(domain, item) for domain, items in enumerate(listed) for item in items]
    for (domain, item), looked in zip(both, looks, strict=True):
        if isinstance(looked, str):
            left_out.append((item.path, looked))
        else:
            usable.append((domain, item, looked))
    for domain, name in enumerate(names):
        if not any(one[0] == domain for one in usable):
            reason = next(reason for path, reason in left_out if path in {i.path for i in listed[domain]})
            raise InputError(f"{name}: no face that can be used in any of its photos (the first: {reason})")
    return usable, left_out


def repeated(pictures: Pixels) -> Floats:
    """How much of pictures (n, s, s, 3) is their last row again and again, (n,) as shares of the side.

    Of the other edges a plain backdrop looks the same; a neck crosses this one.
    """
    last_first = pictures[:, ::-1].astype(np.int16)
    differs = np.abs(last_first[:, 1:] - last_first[:, :1]).mean((2, 3)) > _SAME
    # the first row that differs, counted from below; the last row is none of those that repeat it
    count = np.where(differs.any(1), differs.argmax(1), differs.shape[1])
    return np.asarray(count / pictures.shape[1])


def _unlike_ends(train: tuple[Faces, Faces]) -> str | None:
    """What is to be said where photos of one domain end within the picture and those of the other do not."""
    shares = [float((repeated(faces.pictures) > _SHOWS).mean()) for faces in train]
    if abs(shares[0] - shares[1]) < _UNLIKE:
        return None
    tight, wide = (0, 1) if shares[0] > shares[1] else (1, 0)
    many, few = (f"{100 * shares[k]:.0f} % of" for k in (tight, wide))
    return (
        f"{many} the photos of {DOMAINS[tight]} end closely below the chin and repeat their border there, "
        f"{few} {DOMAINS[wide]}: a translation learns that first. Pass "
        f"{parameter('changes', 'mask_borders=true')}, or give photos of both with as much around the face."
    )


def _same_place(a: str, b: str) -> bool:
    return os.path.exists(a) and os.path.exists(b) and os.path.samefile(a, b)


def _listed(name: str, label: str | None) -> list[Item]:
    if not os.path.exists(name) and not any(c in name for c in "*?["):
        raise InputError(
            f"{name}: no such folder. Give a folder of photos, or a table with a column `photo`."
        )
    items = collect([name])
    if label is not None and label not in items[0].columns:
        there = ", ".join(items[0].columns) or "none: a folder has no columns"
        raise InputError(
            f"{name}: no column `{label}` ({parameter('label', label)}); its columns are {there}. Give "
            f"tables with this column, or leave {parameter('label')} out."
        )
    return items


def _features(usable: Sequence[tuple[int, Item, Looked]]) -> Features:
    """The photos as what duplicates and people under two names are found in."""
    n = len(usable)
    # names of two tables say nothing of each other; a photo without a name is its own person
    people = [
        f"{DOMAINS[k]}{item.columns.get('patient') or os.path.realpath(item.path)}" for k, item, _ in usable
    ]
    return Features(
        photos=np.array([item.path for _, item, _ in usable], dtype=np.str_),
        labels=np.array([DOMAINS[k] for k, _, _ in usable], dtype=np.str_),
        patients=np.array(people, dtype=np.str_),
        measurements=np.empty((n, 0)),
        measurement_ids=(),
        regions={},
        metadata={},
        digests=np.array([one.digest for _, _, one in usable], dtype=np.str_),
        prints=np.array([one.print for _, _, one in usable], np.float32).reshape(n, PRINT_SIDE**2),
        identities=np.array([one.identity for _, _, one in usable], np.float32).reshape(n, IDENTITY),
    )


def _refuse_shared(names: Sequence[str], features: Features) -> None:
    """One photograph in both domains would teach that nothing is to be changed."""
    where = dict(zip(features.photos.tolist(), features.labels.tolist(), strict=True))
    across = [pair for pair in find_duplicates(features) if where[pair.first] != where[pair.second]]
    files = [pair for pair in across if pair.kind == "file"]
    if files:
        raise InputError(
            f"{names[0]} and {names[1]} share photos: {some(f'{p.first} = {p.second}' for p in files)}. "
            "Leave each in one of them."
        )


def _kept_apart(
    names: Sequence[str], people: NDArray[np.str_], domain: NDArray[np.int64], share: float, seed: int
) -> NDArray[np.bool_]:
    """Which photos are kept apart (n,): all of some people, about as large a share of each domain's."""
    everybody = [np.unique(people[domain == k]) for k in (0, 1)]
    for name, here in zip(names, everybody, strict=True):
        if len(here) < LEAST_PEOPLE:
            people_are = "1 person" if len(here) == 1 else f"{len(here)} people"
            raise InputError(
                f"{name}: {people_are} with a face that can be used; {LEAST_PEOPLE} are needed, to train on "
                "and to judge by. Add photos."
            )
    shared = np.intersect1d(everybody[0], everybody[1])
    random = np.random.default_rng(seed)
    chosen: set[str] = set()
    for group in (shared, *(np.setdiff1d(here, shared) for here in everybody)):
        number = round(share * len(group))
        chosen.update(random.permutation(group)[:number].tolist())
    for here in everybody:
        if not chosen & set(here.tolist()):
            chosen.add(str(random.permutation(here)[0]))
    kept = np.isin(people, list(chosen))
    for k, name in enumerate(names):
        if kept[domain == k].all():
            raise InputError(
                f"{name}: nobody is left to train on. Add photos, or keep fewer people apart "
                f"({parameter('changes', 'held_out=0.2')})."
            )
    return kept
