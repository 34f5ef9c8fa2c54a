"""Translation between a studio and the web, with landmarks held and not held, for the same number of steps.

    python benchmarks/translation.py FRL UTKFACE OUT [--set OPTION=VALUE …] [--device cuda] [--jobs 2]
        [--photos 30]

FRL and UTKFACE are folders with labels.csv: photo, patient, sex; and image, age, sex. Of the second only
adults are taken. OUT keeps the trained translations, their pages and checkpoints: the same command continues
from these. Everything printed is of people who were kept apart, a fifth of each folder.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from pathlib import Path

import anthropo
from anthropo.report.translation import by_part, summary, write_page
from anthropo.workflows.translation import TrainedTranslation

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
                "photo": os.path.abspath(folder / row["image"]),
                "sex": "female" if row["sex"] in ("F", "f") else "male",
            }
            for row in csv.DictReader(file)
            if int(row["age"]) >= ADULT
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frl", type=Path)
    parser.add_argument("utkface", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--photos", type=int, help="of each folder, for a quick look")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    a = table(studio(arguments.frl)[: arguments.photos], arguments.out / "studio.csv")
    b = table(web(arguments.utkface)[: arguments.photos], arguments.out / "web.csv")
    trained: dict[str, TrainedTranslation] = {}
    for name, weight in (("not held", "0"), ("held", "15")):
        path = arguments.out / f"{name.replace(' ', '-')}.anthropo"
        request = anthropo.TranslationRequest(
            changes=(*OPTIONS, f"landmarks={weight}", *arguments.set),
            label="sex",
            device=arguments.device,
            reading=anthropo.PhotoReading(face="largest", jobs=arguments.jobs),
        )
        start = time.perf_counter()
        trained[name] = anthropo.train_translation(a, b, path, request, keep_checkpoint=True)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        write_page(path.with_suffix(".html"), trained[name])
    print()
    for which, rows_of in (("", summary), (", ex-ex by part of the face", by_part)):
        columns = [f"{name}: to {to}" for to in "BA" for name in trained]
        print(f"| landmarks{which} | {' | '.join(columns)} |")
        print("|" + "---|" * (len(columns) + 1))
        tables = [rows_of(one.judgement) for one in trained.values()]
        for rows in zip(*tables, strict=True):
            cells = [row[1 + i] for i in (0, 1) for row in rows]
            print(f"| {rows[0][0]} | {' | '.join(cells)} |")
        print()


if __name__ == "__main__":
    main()
