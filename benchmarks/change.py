"""What `anthropo change` finds in people who smile, and what it finds where nothing changed.

    python benchmarks/change.py FRL [--still FOLDER] [--web FOLDER...] [--seen FILE.npz] [--limit N]

FRL holds photographs and `labels.csv` (photo, patient, expression: neutral or smiling). The repeatability was
fitted to these people: here it is fitted anew without the fifth of them that is judged. The error of a face
that keeps still comes from files of these and other photographs; it is judged on FRL and on --still, another
studio. --web are folders of portraits with `labels.csv` (photo or image, age, sex, race), among which
people in two photographs are found by the face (kept in --seen, since that takes minutes).
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import retests
from numpy.typing import NDArray
from PIL import Image
from retests import Change as Alter
from retests import read_pairs, shot, sized

from anthropo.errors import AnthropoError
from anthropo.face.landmarker import Face
from anthropo.groups.change import CHANGED, MOVED, NOT_COMPARED, Change, Look, compare_looks
from anthropo.learning.features import Features
from anthropo.learning.identity import IDENTITY, face_identity, find_same_people
from anthropo.measurement import anatomy
from anthropo.measurement.compute import Z95
from anthropo.measurement.repeatability import Repeatability, repeatability
from anthropo.measurement.retest import retests as retests_of
from anthropo.observation import observe
from anthropo.photo import Photo
from anthropo.settings import Settings
from anthropo.synthetic import make_cohort

FOLDS = 5
SIZES = (0.75, 0.5, 0.35)
SHOTS = 3  # of each photograph
ALIKE_PICTURES = 0.93  # correlation of 16 x 16 pixels, from which on two files are one photograph
YOUNGEST = 12  # years: babies are too much alike to be told from each other
#: Two photographs have one expression where the mouth's corner and the gap of the lips lie within these.
SAME_EXPRESSION = {"commissure_excursion_R": 0.04, "lip_gap": 0.03}
#: Lengths between canthi, which no expression moves.
FIXED = (
    "intercanthal_width", "interpupillary_distance", "palpebral_fissure_length_R",
    "palpebral_fissure_length_L", "canthal_index", "icd_ipd_ratio", "pfl_intercanthal_index_R",
    "pfl_intercanthal_index_L",
)  # fmt: skip


def seen(image: Image.Image | str) -> Face | None:
    """The face of a picture or file; None without one."""
    photo = image if isinstance(image, str) else Photo.from_array(np.asarray(image))
    try:
        return observe(photo, Settings(face="largest")).face
    except AnthropoError:
        return None


def look(face: Face) -> Look:
    return Look(retests_of(face), face.yaw, face.pitch)


def share(flags: Sequence[bool]) -> str:
    return f"{sum(flags)} of {len(flags)} ({100 * np.mean(flags):.0f} %)" if flags else "–"


def counted(people: Sequence[Sequence[Change]]) -> dict[str, tuple[str, str]]:
    """By part of the face, in how many people something changed, and changed or moved."""
    parts = dict.fromkeys(change.part for change in people[0])
    found = {}
    for part in parts:
        of = [[c.status for c in changes if c.part == part] for changes in people]
        found[part] = share([CHANGED in s for s in of]), share([CHANGED in s or MOVED in s for s in of])
    return found


def fitted(pairs: Sequence[tuple[retests.Look, retests.Look]]) -> Mapping[str, Repeatability]:
    """The repeatability as these pairs alone have it."""
    photo, count = retests.photo_sd(pairs)
    return {
        name: replace(row, photo=photo[name], pairs=count[name]) if name in photo else row
        for name, row in repeatability().items()
    }


def smiles(folder: Path, limit: int | None) -> None:
    """Neutral against smiling, by people whom the repeatability was not fitted to."""
    faces, looks = [], []
    for photos in list(read_pairs(folder).values())[:limit]:
        images = [Image.open(photos[e]).convert("RGB") for e in ("neutral", "smiling") if e in photos]
        both = [seen(image) for image in images], [retests.look(image) for image in images]
        if len(images) == 2 and all(both[0]) and all(both[1]):
            faces.append(both[0])
            looks.append((both[1][0], both[1][1]))
    order = np.random.default_rng(0).permutation(len(faces)) % FOLDS
    people: list[Sequence[Change]] = [()] * len(faces)
    shipped = [compare_looks([look(a)], [look(b)]) for a, b in faces]
    for fold in range(FOLDS):
        repeat = fitted([pair for pair, f in zip(looks, order, strict=True) if f != fold])
        instrument = replace(anatomy.instrument("fine"), repeat=repeat)
        with (
            patch.object(anatomy, "instrument", lambda _, own=instrument: own),
            patch("anthropo.groups.change.repeatability", lambda own=repeat: own),
        ):
            for i in np.flatnonzero(order == fold):
                people[i] = compare_looks([look(faces[i][0])], [look(faces[i][1])])
    print(f"\n| neutral → smiling, {len(people)} people | changed | changed or moved | as shipped: changed |")
    print("|---|---|---|---|")
    as_shipped = counted(shipped)
    for part, (changed, either) in counted(people).items():
        print(f"| {part} | {changed} | {either} | {as_shipped[part][0]} |")
    fixed = [c.status == CHANGED for changes in people for c in changes if c.id in FIXED]
    print(f"| lengths between canthi, each | {share(fixed)} | {share(fixed)} | |")
    for name in (*FIXED, "mouth_width", "palpebral_fissure_height_R", "palpebral_fissure_height_L"):
        of = [next(c.status for c in changes if c.id == name) for changes in people]
        either = share([s in (CHANGED, MOVED) for s in of])
        print(f"| {name} | {share([s == CHANGED for s in of])} | {either} | |")


def still(folders: Sequence[Path], limit: int | None) -> None:
    """Other files of a photograph, and other photographs of a face that keeps still."""
    print("\n| the same face, still | pairs | changed | moved | measurements changed | moved |")
    print("|---|---|---|---|---|---|")
    for folder in folders:
        random = np.random.default_rng(0)
        kinds: dict[str, list[Alter]] = {f"size {100 * s:.0f} %": [sized(s)] for s in SIZES}
        kinds["another light, noise, focus, size, JPEG at once"] = [shot(random) for _ in range(SHOTS)]
        found: dict[str, list[Sequence[Change]]] = {kind: [] for kind in kinds}
        ratios: dict[str, list[float]] = {}
        for photos in list(read_pairs(folder).values())[:limit]:
            for path in photos.values():
                image = Image.open(path).convert("RGB")
                face = seen(image)
                for kind, changes in kinds.items() if face else ():
                    for change in changes:
                        if other := seen(change(image)):
                            compared = compare_looks([look(face)], [look(other)])
                            found[kind].append(compared)
                            if kind.startswith("another"):
                                for c in compared:
                                    if np.isfinite(c.still_sd):
                                        ratios.setdefault(c.id, []).append(c.difference / c.still_sd)
        for kind, pairs in found.items():
            print(f"| {folder.name}: {kind} | {row(pairs)} |")
        sizes = {name: float(np.sqrt(np.mean(np.square(r)))) for name, r in ratios.items()}
        most = max(sizes, key=sizes.__getitem__)
        print(
            f"| {folder.name}: difference over the SD of a still face, root mean square | median "
            f"{np.median(list(sizes.values())):.2f}, largest {sizes[most]:.2f} ({most}) | | | | |"
        )


def synthetic(number: int) -> None:
    """Synthetic people in two photographs each: other pose, light and camera, mouth held nearly alike."""
    with tempfile.TemporaryDirectory() as folder:
        table = make_cohort(Path(folder) / "cohort", number, ("control",), seed=5, photos_per_patient=2)
        photos: dict[str, list[str]] = {}
        with open(table, newline="") as file:
            for r in csv.DictReader(file):
                photos.setdefault(r["patient"], []).append(str(table.parent / r["photo"]))
        faces = [[seen(path) for path in of] for of in photos.values()]
    pairs = [compare_looks([look(a)], [look(b)]) for a, b in faces if a and b]
    print(f"| synthetic people, two photographs | {row(pairs)} |")
    z = [c.difference / c.still_sd for changes in pairs for c in changes if np.isfinite(c.still_sd)]
    held = np.mean(np.abs(z) < Z95)
    print(
        f"| synthetic people: difference over the SD of a still face | root mean square "
        f"{np.sqrt(np.mean(np.square(z))):.2f}, within 95 % intervals {100 * held:.1f} % | | | | |"
    )


def row(pairs: Sequence[Sequence[Change]]) -> str:
    """Pairs of photographs in which something changed or moved, and the measurements that did."""
    if not pairs:
        return "0 | – | – | – | –"
    each = [c.status for changes in pairs for c in changes if c.status != NOT_COMPARED]
    cells = [share([any(c.status == s for c in changes) for changes in pairs]) for s in (CHANGED, MOVED)]
    cells += [f"{100 * np.mean([status == s for status in each]):.2f} %" for s in (CHANGED, MOVED)]
    return " | ".join([str(len(pairs)), *cells])


# --------------------------------------------------------------------------------------- the web


def portraits(folders: Sequence[Path], limit: int | None) -> list[dict[str, str]]:
    """Photos of people who are old enough, with age, sex and race."""
    rows = []
    for folder in folders:
        with open(folder / "labels.csv", newline="") as file:
            for r in csv.DictReader(file):
                path = folder / (r.get("photo") or r["image"])
                if path.is_file() and r["age"].isdigit() and int(r["age"]) >= YOUNGEST:
                    rows.append({**r, "photo": str(path), "sex": r["sex"][:1].lower()})
    return rows[:limit]


def identities(photos: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """What faces are compared by, NaN without a face; and small pictures."""
    identity = np.full((len(photos), IDENTITY), np.nan, np.float32)
    small = np.zeros((len(photos), 256))
    for i, path in enumerate(photos):
        try:
            one = observe(path, Settings(face="largest", fine=False))
        except AnthropoError:
            continue
        identity[i] = face_identity(one.photo, one.face)
        grey = Image.fromarray(one.photo.pixels).convert("L").resize((16, 16))
        small[i] = np.asarray(grey, np.float64).ravel()
        print(f"\r{i + 1} of {len(photos)} faces", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    small -= small.mean(1, keepdims=True)
    return identity, small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-9)


def two_photos(rows: Sequence[Mapping[str, str]], keep: Path | None) -> list[tuple[int, int]]:
    """Pairs of rows that show one person in two photographs."""
    names = [row["photo"] for row in rows]
    if keep and keep.is_file():
        with np.load(keep) as kept:
            identity, small = kept["identity"], kept["small"]
    else:
        identity, small = identities(names)
        if keep:
            np.savez(keep, identity=identity, small=small)
    (known,) = np.nonzero(np.isfinite(identity).all(1))
    photos = np.array(names)[known]
    features = Features(
        photos=photos, labels=np.full(len(known), ""), patients=np.array([f"p{i}" for i in known]),
        measurements=np.zeros((len(known), 0)), measurement_ids=(), regions={}, metadata={},
        digests=photos, prints=np.zeros((len(known), 0), np.float32), identities=identity[known],
    )  # fmt: skip
    found = []
    for pair in find_same_people(features):
        a, b = sorted(int(name[1:]) for name in pair.patients)
        alike = all(rows[a][key] == rows[b][key] for key in ("sex", "race"))
        if alike and small[a] @ small[b] < ALIKE_PICTURES:
            found.append((a, b))
    return found


def web(folders: Sequence[Path], keep: Path | None, limit: int | None) -> None:
    """One person in two portraits from the web."""
    rows = portraits(folders, limit)
    pairs = two_photos(rows, keep)
    looks = {
        i: look(face) for i in sorted({i for pair in pairs for i in pair}) if (face := seen(rows[i]["photo"]))
    }
    pairs = [(a, b) for a, b in pairs if a in looks and b in looks]

    def one_expression(a: int, b: int) -> bool:
        values = [[looks[i].values[n].measurement.value for i in (a, b)] for n in SAME_EXPRESSION]
        limits = SAME_EXPRESSION.values()
        return all(abs(x - y) < limit for (x, y), limit in zip(values, limits, strict=True))

    kinds = {
        "all": pairs,
        "one expression": [pair for pair in pairs if one_expression(*pair)],
        "one expression, at most five years apart": [
            (a, b) for a, b in pairs
            if one_expression(a, b) and abs(int(rows[a]["age"]) - int(rows[b]["age"])) <= 5
        ],
        "other expressions": [pair for pair in pairs if not one_expression(*pair)],
    }  # fmt: skip
    print("\n| one person, two web portraits | pairs | changed | moved | measurements changed | moved |")
    print("|---|---|---|---|---|---|")
    for kind, chosen in kinds.items():
        compared = [compare_looks([looks[a]], [looks[b]]) for a, b in chosen]
        print(f"| {kind} | {row(compared)} |")
        names = Counter(c.id for changes in compared for c in changes if c.status == CHANGED)
        print(f"{kind}: most often changed:", names.most_common(6), file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--still", type=Path)
    parser.add_argument("--web", type=Path, nargs="+")
    parser.add_argument("--seen", type=Path, help="keep what faces are compared by in this .npz")
    parser.add_argument("--limit", type=int, help="people of a studio, or portraits of the web")
    arguments = parser.parse_args()
    smiles(arguments.folder, arguments.limit)
    still([arguments.folder, *([arguments.still] if arguments.still else [])], arguments.limit)
    synthetic(40)
    if arguments.web:
        web(arguments.web, arguments.seen, arguments.limit)


if __name__ == "__main__":
    main()
