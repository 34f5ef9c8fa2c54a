"""How well hidden parts of faces are known: things drawn on portraits, and portraits as they are.

    python benchmarks/occlusion.py FRL HELEN [--each 100] [--plain PLAIN.csv] [--pictures FOLDER]

FRL, HELEN: folders of portraits (labels.csv or index.csv with a column photo) that the network was not
trained on. Of every kind of thing, `--each` are drawn, on photos of both in turn; every photo is then read as
any photo is. Prints a table by kind: landmarks (the outline not counted) that are hidden and were found to
be, seen ones that were kept, values reported although a landmark that they need is hidden, and photos in
which no face was found any more. Points of which a quarter to three quarters are hidden count in the last
column only. A reported value is wrong where its 95 % interval does not hold what was measured before anything
was drawn; seen landmarks are astray farther than 0.1 outer-canthal distances from where they were then.
First, without anything drawn, the share of values that hiddenness alone takes away; PLAIN.csv (photo) names
the photos of HELEN that have something before the face and are told apart there.
"""

from __future__ import annotations

import argparse
import csv
import math
import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import anthropo
from anthropo.errors import AnthropoError
from anthropo.face import landmarker, moving, visibility
from anthropo.face.detection import power_of_two
from anthropo.face.fine import fine_model, refine
from anthropo.face.frame import outer_canthal_distance
from anthropo.face.landmarker import Face
from anthropo.face.moving import with_distance
from anthropo.face.weights import landmark_model
from anthropo.measurement.compute import measure_face
from anthropo.measurement.hidden import hidden_measurement
from anthropo.measurement.registry import PIXELS, registry
from anthropo.photo import Photo
from anthropo.synthetic.occluders import JUDGED_ONLY, KINDS, covered, occlude

LARGEST = "largest"
ASTRAY = 0.1  # outer-canthal distances
UNIT = 130.0  # px of the outer-canthal distance in the pictures that are drawn on
INNER = slice(17, 68)


@dataclass
class Count:
    """What was found of one kind."""

    photos: int = 0
    lost: int = 0  # photos without a face
    hidden: int = 0
    found: int = 0
    seen: int = 0
    kept: int = 0
    edge: int = 0
    edge_right: int = 0
    reported: int = 0  # values of what is hidden
    reported_wrong: int = 0
    to_void: int = 0
    others: int = 0  # values of what is seen
    others_wrong: int = 0
    astray: int = 0  # seen landmarks
    astray_kept: int = 0
    which: Counter[str] = field(default_factory=Counter)  # of these values
    wrong: list[str] = field(default_factory=list)  # of those of what is hidden, each with how far it is off
    worst: list[tuple[int, str, Looked, Face]] = field(default_factory=list)

    def __iadd__(self, other: Count) -> Count:
        for part in fields(self):
            if isinstance(getattr(self, part.name), int):
                setattr(self, part.name, getattr(self, part.name) + getattr(other, part.name))
        self.which.update(other.which)
        self.wrong += other.wrong
        return self

    def row(self, kind: str) -> str:
        def share(part: int, whole: int) -> str:
            return f"{100 * part / whole:.1f} %" if whole else "–"

        return (
            f"| {kind} | {self.photos} | {self.lost} | {share(self.found, self.hidden)} of {self.hidden} | "
            f"{share(self.kept, self.seen)} of {self.seen} | "
            f"{share(self.kept - self.astray_kept, self.seen - self.astray)}, {self.astray} | "
            f"{self.reported} of {self.to_void}, {self.reported_wrong} | "
            f"{share(self.others_wrong, self.others)} of {self.others} | "
            f"{share(self.edge_right, self.edge)} of {self.edge} |"
        )


def photographs(folder: Path) -> list[Path]:
    table = next(folder / name for name in ("labels.csv", "index.csv") if (folder / name).exists())
    with open(table, newline="") as file:
        return [folder / row["photo"] for row in csv.DictReader(file)]


def sized(path: Path) -> tuple[Photo, NDArray[np.float64], dict[str, float]] | None:
    """A photo whose face is of a moderate size, its landmarks and what is measured."""
    try:
        seen = anthropo.observe(str(path), anthropo.Settings(face=LARGEST))
    except AnthropoError as error:
        print(error)
        return None
    points = seen.face.landmarks
    values = {value.id: value.value for value in measure_face(seen.face)}
    photo = seen.photo.finer(power_of_two(outer_canthal_distance(points) / UNIT))
    return Photo.from_array(np.ascontiguousarray(photo.pixels)), photo.to_decoded(points), values


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A photograph before which something was drawn, read as far as no network of hidden parts counts."""

    pixels: NDArray[np.uint8]
    share: NDArray[np.float64]  # (68,) how much of each landmark is hidden
    first: Face  # of the first landmark stage
    points: NDArray[np.float64]  # (68, 2) before anything was drawn
    values: dict[str, float]  # likewise, by id


def look(
    photo: Photo, points: NDArray[np.float64], values: dict[str, float], kind: str, seed: int
) -> Looked | None:
    """Draw something and read the photo; None where no face is found, or another."""
    done = occlude(photo.pixels, points, kind, seed)
    try:
        with patch.object(landmarker, "with_cover", lambda photo, face, *_: face):
            seen = anthropo.observe(Photo.from_array(done.pixels), anthropo.Settings(face=LARGEST))
    except AnthropoError:
        return None
    if np.hypot(*(seen.face.landmarks.mean(0) - points.mean(0))) > outer_canthal_distance(points) / 2:
        return None
    return Looked(done.pixels, covered(done.cover, points), seen.first, points, values)


def looks(
    path: Path, number: int, kinds: list[str], keep: Path | None
) -> Iterator[tuple[str, Looked | None]]:
    """One photo with each kind drawn before it; what is kept in a folder is taken from there."""
    known, asked = None, False
    for kind in kinds:
        store = keep / f"{path.stem}-{number}-{kind}.pickle" if keep else None
        if store is not None and store.exists():
            yield kind, pickle.loads(store.read_bytes())
            continue
        if not asked:
            known, asked = sized(path), True
        if known is None:
            break
        looked = look(*known, kind, number)
        if store is not None:
            store.write_bytes(pickle.dumps(looked, protocol=5))
        yield kind, looked


def judge(looked: Looked | None, name: str, count: Count) -> None:
    count.photos += 1
    if looked is None:
        count.lost += 1
        return
    photo = Photo.from_array(looked.pixels)
    face = refine(photo, moving.with_cover(photo, looked.first, landmark_model()), fine_model())
    face = with_distance(face, photo)
    share = looked.share
    sure = np.zeros(68, np.bool_)
    sure[INNER] = (share[INNER] < 0.25) | (share[INNER] > 0.75)
    edge = np.zeros(68, np.bool_)
    edge[INNER] = ~sure[INNER]
    truth, said = share > 0.5, face.hidden
    count.hidden += int((truth & sure).sum())
    count.found += int((truth & sure & said).sum())
    count.seen += int((~truth & sure).sum())
    count.kept += int((~truth & sure & ~said).sum())
    unit = outer_canthal_distance(looked.points)
    astray = ~truth & sure & (np.hypot(*(face.landmarks - looked.points).T) > ASTRAY * unit)
    count.astray += int(astray.sum())
    count.astray_kept += int((astray & ~said).sum())
    count.edge += int(edge.sum())
    count.edge_right += int((edge & (truth == said)).sum())
    hidden = truth & sure
    for value in measure_face(face):
        entry = registry()[value.id]
        before = looked.values.get(value.id, math.nan)
        wrong = int(not value.lo <= before <= value.hi) if math.isfinite(before) else 0
        if entry.kind in PIXELS:
            continue
        if hidden_measurement(entry, hidden):
            count.to_void += 1
            if math.isfinite(value.value):
                count.reported += 1
                count.reported_wrong += wrong
                count.which[value.id] += 1
                if wrong:
                    needed = [
                        i for i in np.flatnonzero(hidden) if hidden_measurement(entry, np.arange(68) == i)
                    ]
                    off = 2 * abs(value.value - before) / (value.hi - value.lo)
                    count.wrong.append(
                        f"{name} {value.id}: off by {off:.1f} half-widths; seen with "
                        f"{face.seen[needed].min():.2f}"
                    )
        elif math.isfinite(value.value - before) and not hidden_measurement(entry, share > 0.25):
            count.others += 1
            count.others_wrong += wrong
    count.worst.append((int((sure & (truth != said)).sum()), name, looked, face))
    count.worst = sorted(count.worst, key=lambda one: -one[0])[:5]


def picture(name: str, looked: Looked, face: Face) -> Image.Image:
    """What was drawn, with the landmarks that were found to be hidden in red."""
    points, unit = face.landmarks, outer_canthal_distance(face.landmarks)
    image = Image.fromarray(looked.pixels)
    draw = ImageDraw.Draw(image)
    r = 0.012 * unit
    for (x, y), hidden in zip(points.tolist(), face.hidden.tolist(), strict=True):
        draw.ellipse((x - r, y - r, x + r, y + r), fill="red" if hidden else "lime")
    x, y = points[28]
    box = tuple(round(v) for v in (x - unit, y - 0.9 * unit, x + unit, y + 1.1 * unit))
    image = image.crop(box).resize((260, 260))
    ImageDraw.Draw(image).text((4, 4), name, fill="white", stroke_width=2, stroke_fill="black")
    return image


def plain_losses(paths: list[Path]) -> tuple[int, int, int, list[str]]:
    """Values that hiddenness takes away, all values, photos, and the photos that lose any."""
    lost, total, photos, where = 0, 0, 0, []
    for path in paths:
        try:
            seen = anthropo.observe(str(path), anthropo.Settings(face=LARGEST))
        except AnthropoError:
            continue
        photos += 1
        values = measure_face(seen.face, seen.photo)
        here = sum(" hidden" in value.reason for value in values)
        lost, total = lost + here, total + len(values)
        if here:
            where.append(f"{path.name} {here}: {' '.join(map(str, np.flatnonzero(seen.face.hidden)))}")
    return lost, total, photos, where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frl", type=Path, metavar="FRL")
    parser.add_argument("helen", type=Path, metavar="HELEN")
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--plain", type=Path, metavar="PLAIN.csv")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument("--network", type=Path, metavar="FILE.npz", help="in place of the packaged one")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="of what no such network changes")
    arguments = parser.parse_args()
    if arguments.network:
        model = visibility.read_cover_model(arguments.network.read_bytes())
        visibility.cover_model = moving.cover_model = lambda: model  # type: ignore[assignment]
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    frl, helen = photographs(arguments.frl), photographs(arguments.helen)
    with_something = set()
    if arguments.plain:
        with open(arguments.plain, newline="") as file:
            with_something = {row["photo"] for row in csv.DictReader(file)}
    for name, paths in (
        ("frl", frl),
        ("helen", [p for p in helen if p.name not in with_something]),
        ("helen, the others", [p for p in helen if p.name in with_something]),
    ):
        if paths:
            lost, total, photos, where = plain_losses(paths)
            print(
                f"nothing drawn, {name}: {photos} photos, {lost} of {total} values lost ({lost / total:.2%})"
            )
            print(*(f"  {line}" for line in where), sep="\n")
    counts = {kind: Count() for kind in arguments.kinds}
    order = np.random.default_rng(7)
    turns = [order.permutation(len(paths)) for paths in (frl, helen)]
    for k in range(math.ceil(arguments.each / 2)):
        for paths, turn in zip((frl, helen), turns, strict=True):
            path, number = paths[turn[k % len(turn)]], 1000 * k + len(paths)
            for kind, looked in looks(path, number, arguments.kinds, arguments.keep):
                judge(looked, f"{kind} {number}", counts[kind])
    leaks: Counter[str] = Counter()
    wrong: list[str] = []
    print(
        "\n| drawn | photos | no face | hidden found | seen kept | of those not astray, astray | "
        "values reported, wrong | others wrong | right at the edge |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for title, kinds in (
        ("all kinds of training", [k for k in counts if k not in JUDGED_ONLY]),
        ("all kinds not seen in training", [k for k in counts if k in JUDGED_ONLY]),
    ):
        together = Count()
        for kind in kinds:
            print(counts[kind].row(kind.replace("_", " ")))
            together += counts[kind]
        print(together.row(f"**{title}**"))
        leaks.update(together.which)
        wrong += together.wrong
    print("\nreported although hidden:", ", ".join(f"{name} {n}" for name, n in leaks.most_common(12)))
    print("\nof these wrong, with the least probability of what they need:", *wrong, sep="\n  ")
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
        for kind, count in counts.items():
            sheet = Image.new("RGB", (260 * 5, 260))
            for i, (wrong, name, looked, face) in enumerate(count.worst):
                sheet.paste(picture(f"{name}: {wrong} wrong", looked, face), (260 * i, 0))
            sheet.save(arguments.pictures / f"{kind}.png")


if __name__ == "__main__":
    main()
