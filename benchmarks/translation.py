"""Translation between a studio and the web, with landmarks held and not held, for the same number of steps.

    python benchmarks/translation.py FRL UTKFACE OUT [--weights 0 30] [--seeds 0 1] [--judged 100]
        [--set OPTION=VALUE …] [--device cuda] [--jobs 2] [--photos 30]

FRL and UTKFACE are folders with labels.csv: photo, patient, sex; and photo or image, age, sex. Of the second
only adults are taken. Photos are read once; every seed keeps a fifth of each folder's people apart, begins
with other weights, and is trained once for each weight of the landmark loss, of which 0 comes first. All
figures are of people kept apart, `--judged` of each folder. OUT keeps the translations and checkpoints: the
same command continues from these. The ratio is of displacement to that without the loss, median over faces
and landmarks. Inside the face: of an oval from brows to chin, with grey about it.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import anthropo
from anthropo.networks.training_loop import device_of, exact
from anthropo.parallel.threads import network_threads
from anthropo.report.translation import by_part, summary
from anthropo.translation.checkpoints import Checkpoint, fingerprint
from anthropo.translation.file import Translation
from anthropo.translation.judging import TEXTURES, TranslationJudgement, judge_translation, kernel_distance
from anthropo.translation.options import load_parameters
from anthropo.translation.pictures import DOMAINS, Faces, Pixels, TranslationDomains, encoder_chips
from anthropo.translation.training import learn_translation
from anthropo.workflows.cohort import settings_for
from anthropo.workflows.translation import _about, gather_domains

OPTIONS = (
    *(
        "size=64",
        "rate=4e-4",
        "epochs=12",
        "decay_epochs=4",
        "steps=100",
        "cycle=3",
        "identity=0",
        "threads=1",
    ),
    "landmark_epochs=16",
)
ADULT = 18  # years


def table(rows: list[dict[str, str]], path: Path) -> Path:
    """A cohort's table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def studio(folder: Path) -> list[dict[str, str]]:
    """Photos of people in a studio, two of each."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        return [
            {"photo": os.path.abspath(folder / row["photo"]), "patient": row["patient"], "sex": row["sex"]}
            for row in csv.DictReader(file)
        ]


def web(folder: Path) -> list[dict[str, str]]:
    """Photos of adults from the web."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        return [
            {
                "photo": os.path.abspath(folder / (row.get("photo") or row["image"])),
                "sex": "female" if row["sex"][:1] in "Ff" else "male",
            }
            for row in csv.DictReader(file)
            if int(row["age"]) >= ADULT
        ]


def dealt(domains: TranslationDomains, share: float, seed: int) -> TranslationDomains:
    """The same photos, with other people kept apart."""
    random = np.random.default_rng(seed)
    train, held = [], []
    for parts in zip(domains.train, domains.held_out, strict=True):
        both = joined(*parts)
        people = random.permutation(np.unique(both.people))
        apart = np.isin(both.people, people[: round(share * len(people))])
        train.append(both.subset(np.flatnonzero(~apart)))
        held.append(both.subset(np.flatnonzero(apart)))
    return replace(domains, train=(train[0], train[1]), held_out=(held[0], held[1]))


def joined(one: Faces, other: Faces) -> Faces:
    """The faces of both."""
    return Faces(
        source=one.source,
        photos=one.photos + other.photos,
        digests=one.digests + other.digests,
        people=np.concatenate([one.people, other.people]),
        labels=(one.labels or ()) + (other.labels or ()),
        pictures=np.concatenate([one.pictures, other.pictures]),
        points=np.concatenate([one.points, other.points]),
        shown=np.concatenate([one.shown, other.shown]),
    )


def inside(domains: TranslationDomains, pictures: Pixels) -> Pixels:
    """Pictures with grey outside an oval from the brows to the chin of the mean face."""
    mean = np.concatenate([faces.points for faces in domains.train]).mean(0)
    middle, half = (mean.min(0) + mean.max(0)) / 2, (mean.max(0) - mean.min(0)) / 2
    at = (np.arange(pictures.shape[1]) + 0.5) / pictures.shape[1]
    x, y = np.meshgrid(at, at)
    oval = ((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2 <= 1
    return np.where(oval[..., None], pictures, np.uint8(128))


def textures(made: Translation, domains: TranslationDomains) -> list[tuple[str, ...]]:
    """Rows of what an encoder of textures says inside the face, a column for each direction."""
    encoder = anthropo.load_encoder(TEXTURES)

    def embedded(pictures: Pixels) -> np.ndarray:
        return encoder.encode(encoder_chips(inside(domains, pictures), encoder.size)).astype(np.float64)

    real = [embedded(faces.pictures) for faces in domains.held_out]
    columns = []
    for source, target in ((0, 1), (1, 0)):
        to = DOMAINS[target]
        here, there = domains.held_out[source], domains.held_out[target]
        translated = embedded(made.translate(here.pictures, to))
        cells = []
        for x in (translated, real[source]):
            of = kernel_distance(x, real[target], here.people, there.people)
            cells.append(f"{of.value:.0f} ({of.lo:.0f} to {of.hi:.0f})")
        taught = domains.train[source]
        sexes, asked = (np.array(faces.labels) == "male" for faces in (taught, there))
        for pictures in (taught.pictures, made.translate(taught.pictures, to)):
            if len({*sexes}) < 2 or len({*asked}) < 2:
                cells.append("–")
                continue
            model = LogisticRegression(C=0.01, max_iter=3000, class_weight="balanced")
            model.fit(embedded(pictures), sexes)
            cells.append(f"{roc_auc_score(asked, model.decision_function(real[target])):.3f}")
        columns.append(cells)
    names = (
        "textures inside the face, kernel distance × 1,000: translated", "untranslated",
        "AUROC of sex by textures inside the face, trained on photos as they are", "on translated ones",
    )  # fmt: skip
    return [(name, *cells) for name, *cells in zip(names, *columns, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frl", type=Path)
    parser.add_argument("utkface", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 30.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--judged", type=int, default=1000, help="photos of each folder, at most")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--photos", type=int, help="of each folder, for a quick look")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    a = table(studio(arguments.frl)[: arguments.photos], arguments.out / "studio.csv")
    b = table(web(arguments.utkface)[: arguments.photos], arguments.out / "web.csv")
    request = anthropo.TranslationRequest(
        changes=(*OPTIONS, *arguments.set),
        label="sex",
        reading=anthropo.PhotoReading(face="largest", jobs=arguments.jobs),
    )
    read = gather_domains(a, b, request)
    print(f"{[len(f) for f in read.train]} photos to train on; {read.notes}", flush=True)
    for seed in arguments.seeds:
        of_seed(read, seed, request, arguments)


def of_seed(
    read: TranslationDomains, seed: int, request: anthropo.TranslationRequest, arguments: argparse.Namespace
) -> None:
    """Train with each weight, and print what becomes of the same people."""
    device = device_of(arguments.device)
    judgements: dict[str, TranslationJudgement] = {}
    more: dict[str, list[tuple[str, ...]]] = {}
    for weight in arguments.weights:
        changes = (*request.changes, f"landmarks={weight:g}", f"seed={seed}")
        parameters = load_parameters(changes=changes)
        domains = dealt(read, parameters.held_out, seed)
        name = f"seed {seed}, weight {weight:g}"
        path = arguments.out / f"{seed}-{weight:g}.npz"
        start = time.process_time()
        with exact(device), network_threads(parameters.threads):
            checkpoint = Checkpoint(path, fingerprint(domains, parameters, device))
            learned = learn_translation(domains, parameters, checkpoint=checkpoint, device=device)
            about = _about(domains, parameters, learned, replace(request, changes=changes), "")
            made = Translation(about, learned.generators)
            made.save(path.with_suffix(".anthropo"))
            last = learned.history[-1]
            print(
                f"{name}: {time.process_time() - start:.0f} s of processor time; at the end the "
                f"discriminators' loss is {last.discriminator:.3f}, the cycle's {last.cycle:.3f}",
                flush=True,
            )
            random = np.random.default_rng(seed)
            held = [
                faces.subset(np.sort(random.permutation(len(faces))[: arguments.judged]))
                for faces in domains.held_out
            ]
            asked = replace(domains, held_out=(held[0], held[1]))
            settings = settings_for(request.reading)
            judgements[name] = judge_translation(
                made, asked, settings, label="sex", jobs=arguments.jobs, seed=seed
            )
            more[name] = textures(made, asked)
        moved = [one.displacement.value for one in judgements[name].directions]
        first = [one.displacement.value for one in next(iter(judgements.values())).directions]
        ratios = [f"{x:.4f} ({x / y:.2f} of the first)" for x, y in zip(moved, first, strict=True)]
        print(f"{name}: moved {ratios[0]} to the web, {ratios[1]} to the studio", flush=True)
    print()
    columns = [f"{name}: to {to}" for to in "BA" for name in judgements]
    for which in ("", ", ex-ex by part of the face"):
        print(f"| landmarks{which} | {' | '.join(columns)} |")
        print("|" + "---|" * (len(columns) + 1))
        tables = [by_part(one) if which else [*summary(one), *more[name]] for name, one in judgements.items()]
        for rows in zip(*tables, strict=True):
            cells = [row[1 + i] for i in (0, 1) for row in rows]
            print(f"| {rows[0][0]} | {' | '.join(cells)} |")
        print(flush=True)


if __name__ == "__main__":
    main()
