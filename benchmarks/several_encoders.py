"""Several encoders together: AUROC of hybrids on people whom neither hybrid nor network has seen.

    python benchmarks/several_encoders.py FOLDER [OTHER ...] [--trained 1000] [--per-label 40] [--times 10]

Each folder holds photographs and a labels.csv (photo or image; patient, age, sex, race, expression as far as
known). A small network (recipe deepgestalt, 64 px) learns the sex of the first --trained people of
FOLDER, and is written as ONNX; it takes the place of a network of one's own. Everything is judged on the
rest of FOLDER, and on the other folders: small cohorts are drawn, `--times` times, trained on, and tested on
the others (benchmarks/cohorts.py). A difference is that from face-resnet alone on the same draws, with the
standard error of its mean. `--packaged` leaves the small network out: the packaged encoders alone.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from cohorts import draws, questions
from hybrid import labelled
from sklearn.metrics import roc_auc_score

import anthropo
from anthropo.encoder.cache import Store
from anthropo.encoder.encoders import load_encoder
from anthropo.encoder.several import Encoders
from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.duplicates import find_duplicates
from anthropo.learning.features import Features, extract, subset
from anthropo.learning.model import LabelModel, Options
from anthropo.settings import Settings

SETTINGS = Settings(face="largest", jitter=2, fine=False)
EPOCHS = 12
#: What each encoder sees.
REGIONS = {
    "face-resnet": ("face", "lower", "eyes", "mouth"),
    "efficientnet-lite0": ("face",),
    "onnx:own.onnx": ("face",),
}
PACKAGED = ("face-resnet", "efficientnet-lite0")
TOGETHER = (
    ("face-resnet",),
    ("efficientnet-lite0",),
    ("onnx:own.onnx",),
    ("face-resnet", "efficientnet-lite0"),
    ("face-resnet", "onnx:own.onnx"),
    ("face-resnet", "efficientnet-lite0", "onnx:own.onnx"),
)


def network(rows: dict[str, dict[str, str]], folder: Path, epochs: int) -> Path:
    """A network of one's own that has learned the sex of the people on these photos."""
    table = folder / "learned.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("photo", "label", "patient"))
        for photo, row in rows.items():
            writer.writerow((photo, row["sex"][:1].upper(), photo))
    reading = anthropo.PhotoReading(face="largest", jitter=2, fine=False, cache="none")
    request = anthropo.FinetuneRequest(
        recipe="deepgestalt",
        changes=(f"epochs={epochs}", "size=64", "views=face", "identity=none", "folds=10"),
        allow_duplicates=True,
        same_person="ignore",
        reading=reading,
    )
    made = anthropo.finetune(table, folder / "own.anthropo", request)
    anthropo.export_network(folder / "own.anthropo", folder / "own.onnx")
    recall = made.overall["balanced_accuracy"].value
    size = (folder / "own.onnx").stat().st_size / 1e6
    print(f"own.onnx: {size:.1f} MB, {len(made.network.labels)} labels, balanced accuracy {recall:.2f}\n")
    return folder / "own.onnx"


def read(rows: dict[str, dict[str, str]], encoder: Encoders, cache: Path | None) -> Features:
    cases = tuple(Case(photo, "any", row.get("patient") or photo) for photo, row in rows.items())
    regions = encoder.named({name: REGIONS[name] for name in encoder.name.split(",")})
    features = extract(
        Cohort(cases, "photos"), SETTINGS, encoder, regions=regions, store=Store(cache) if cache else None
    )
    for pair in find_duplicates(features):
        patients = dict(zip(features.photos.tolist(), features.patients.tolist(), strict=True))
        features.patients[features.photos == pair.second] = patients[pair.first]
    return features


def auroc(features: Features, part: tuple[np.ndarray, np.ndarray], regions: tuple[str, ...]) -> float:
    """Of a hybrid with these regions, on the test photos; of several labels the mean over them."""
    train, test = part
    options = Options(regions=regions, min_patients=2, alarm=0.0)
    model = LabelModel.fit(subset(features, train), options)
    held = subset(features, test)
    table = anthropo.feature_frame(held)
    margins, _ = model.margins(table)
    return float(
        np.mean([roc_auc_score(held.labels == c, margins[:, i]) for i, c in enumerate(model.labels)])
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--trained", type=int, default=1000)
    parser.add_argument("--judged", type=int, default=600, help="photos of the first folder, at most")
    parser.add_argument("--per-label", type=int, default=40)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--tasks", nargs="+", help="only these")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of the network of one's own")
    parser.add_argument("--packaged", action="store_true", help="no network of one's own")
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    first = labelled(arguments.folder[0])
    names = sorted(first)
    order = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    with tempfile.TemporaryDirectory() as place:
        names = [*PACKAGED]
        if not arguments.packaged:
            start = time.perf_counter()
            learned = {name: first[name] for name in order[: arguments.trained]}
            names.append(f"onnx:{network(learned, Path(place), arguments.epochs)}")
            print(f"trained in {time.perf_counter() - start:.0f} s", flush=True)
        encoder = Encoders(each=tuple(load_encoder(name) for name in names))
        for folder in arguments.folder:
            rows = labelled(folder)
            if folder == arguments.folder[0]:
                kept = order[arguments.trained :][: arguments.judged]
                rows = {name: first[name] for name in kept}
            table(folder.name, read(rows, encoder, arguments.cache), rows, encoder, arguments)


def table(
    name: str,
    features: Features,
    rows: dict[str, dict[str, str]],
    encoder: Encoders,
    arguments: argparse.Namespace,
) -> None:
    of_photos = [rows[photo] for photo in features.photos.tolist()]
    asked = questions(of_photos)
    if "expression" in of_photos[0]:
        asked = {
            "smiling": np.array(["neutral" if r["expression"] == "neutral" else "smiling" for r in of_photos])
        }
    asked = {n: of for n, of in asked.items() if not arguments.tasks or n in arguments.tasks}
    print(f"\n{name}: {len(features)} photos, {arguments.per_label} people of each label trained on")
    print(f"| encoders | numbers | {' | '.join(asked)} | mean |")
    print("|---|---|" + "---|" * (len(asked) + 1))
    scores: dict[tuple[str, ...], list[np.ndarray]] = {}
    there = set(encoder.name.split(","))
    for which in (which for which in TOGETHER if there.issuperset(which)):
        regions = encoder.named({one: REGIONS[one] for one in which})
        numbers = sum(features.regions[region].shape[1] for region in regions)
        scores[which] = []
        for labels in asked.values():
            own = replace(features, labels=labels)
            drawn = (
                smiles(own, arguments.times)
                if "smiling" in asked
                else draws(labels, own.patients, arguments.per_label, arguments.times)
            )
            scores[which].append(np.array([auroc(own, part, regions) for part in drawn]))
        base = scores[TOGETHER[0]]
        cells = [cell(mine, theirs) for mine, theirs in zip(scores[which], base, strict=True)]
        mean = cell(np.mean(scores[which], 0), np.mean(base, 0))
        print(f"| {', '.join(which)} | {numbers:,} | {' | '.join(cells)} | {mean} |", flush=True)


def smiles(features: Features, times: int, people: int = 20):
    """Photos of some people, who have both labels, to train on, and of the others to test on."""
    names = np.unique(features.patients)
    for at in range(times):
        train = np.random.default_rng([0, at]).permutation(names)[:people]
        inside = np.isin(features.patients, train)
        yield np.flatnonzero(inside), np.flatnonzero(~inside)


def cell(mine: np.ndarray, base: np.ndarray) -> str:
    text = f"{mine.mean():.3f}"
    if mine is base or np.array_equal(mine, base):
        return text
    apart = mine - base
    return f"{text} ({apart.mean():+.3f} ± {apart.std(ddof=1) / len(apart) ** 0.5:.3f})"


if __name__ == "__main__":
    main()
