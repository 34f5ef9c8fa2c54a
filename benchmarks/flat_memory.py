"""Memory of `anthropo measure -o TABLE` against the number of photos.

    python benchmarks/flat_memory.py [--rows 2000 20000 100000] [--most-people 20000] [--folder /tmp]

A few records of scikit-image's astronaut are written under as many names, as workers send them, so that all
that grows with the number of photos takes part: the list of photos (a CSV with sex and age), the table's
index, the journal, and the table. Nothing is measured. Each run has a process of its own, whose largest
resident memory is shown, and its user and system time for each row. "again": a second run that finds all of
the photos in its table and writes it anew. "people": the photos of two make one person, who are pooled.
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.connection
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

NAMED = ("SEX", "AGE", "PATIENT")
RUNS = ("first", "again", "people")
KINDS = (".csv", ".json", ".parquet", ".parquet/")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000, 20_000, 100_000])
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--most-people", type=int, default=20_000, help="rows of the runs with people")
    parser.add_argument("--runs", nargs="+", default=RUNS, choices=RUNS)
    parser.add_argument(
        "--folder", default=tempfile.gettempdir(), help="where there is room (20 GB for JSON)"
    )
    given = parser.parse_args()
    cases = [(kind, what) for kind in given.kinds for what in RUNS[:2] if what in given.runs]
    cases += [(".json", "people")] if "people" in given.runs else []
    print(
        "| table | run | "
        + " | ".join(f"{rows:,} rows, MiB" for rows in given.rows)
        + " | grows, MiB | 1,000,000 on paper, GiB | ms a row |"
    )
    print("|" + "---|" * (len(given.rows) + 5))
    tables = tempfile.TemporaryDirectory(dir=given.folder)
    with tables as folder:
        for kind, what in cases:
            sizes = [rows for rows in given.rows if what != "people" or rows <= given.most_people]
            found = [measured(folder, kind, what, rows) for rows in sizes]
            mib = [memory for memory, _ in found]
            grows = mib[-1] - mib[0]
            paper = mib[0] + grows / max(1, sizes[-1] - sizes[0]) * (1_000_000 - sizes[0])
            cells = [f"{one:.0f}" for one in mib] + ["–"] * (len(given.rows) - len(mib))
            print(
                f"| {kind} | {what} | {' | '.join(cells)} | {grows:.0f} | {paper / 1024:.2f} | "
                f"{1000 * found[-1][1] / sizes[-1]:.2f} |",
                flush=True,
            )


def measured(folder: str, kind: str, what: str, rows: int) -> tuple[float, float]:
    """Largest memory, MiB, and computing time, s, of a run in a process of its own."""
    spawned = multiprocessing.get_context("spawn")
    ours, theirs = spawned.Pipe()
    process = spawned.Process(target=case, args=(theirs, folder, kind, what, rows))
    process.start()
    theirs.close()
    result: tuple[float, float] = ours.recv()
    process.join()
    return result


def case(result: multiprocessing.connection.Connection, folder: str, kind: str, what: str, rows: int) -> None:
    """One run, in this process."""
    from anthropo import Settings, example_photo
    from anthropo.batch.inputs import Item, collect
    from anthropo.batch.output import Output
    from anthropo.batch.patients import PeopleTable, PooledPeople, patients
    from anthropo.batch.run import measure_item
    from anthropo.batch.summaries import Finished, Summary, finish

    settings = Settings(jitter=4)
    place = Path(folder)
    cohort = place / f"{rows}.csv"
    if not cohort.exists():
        lines = (f"p{i:07}.jpg,{'fm'[i // 2 % 2]},{i // 2 % 60 + 1},{i // 2}\n" for i in range(rows))
        with open(cohort, "w") as file:
            file.write("photo,sex,age,patient\n")
            file.writelines(lines)
    path = (
        f"{place}/{rows}-{'people' if what == 'people' else 'parts' if kind[-1] == '/' else 'photos'}{kind}"
    )
    columns = [{"sex": sex, "age": age} for sex, age in (("f", "31"), ("m", "60"), ("f", "8"))]
    models = [measure_item(Item(example_photo(), of), settings) for of in columns]
    names = ("sex", "age", "patient")
    began = time.process_time()
    items = collect([str(cohort)])
    if what == "again":
        table = Output(path, settings)
        assert table.gate_failed(items[-1].path)
        table.close(items)
    else:
        table = Output(path, settings)
        ready = [
            finish(
                [replace(r, photo="PHOTO", columns=dict(zip(names, NAMED, strict=True))) for r in one],
                table.suffix,
            )
            for one in models
        ]
        kept: dict[str, Summary] = {}
        for i, item in enumerate(items):
            one = ready[i % len(ready)]
            line = one.line.replace(b"PHOTO", item.path.encode())
            for cell, name in zip(NAMED, names, strict=True):
                line = line.replace(cell.encode(), item.columns[name].encode())
            digest = f"{i:064x}"
            kept[item.path] = table.add_finished(Finished(item.path, line, one.layouts, one.summary, digest))
        known = table.close(items, keep=what == "people")
        if what == "people":
            PeopleTable(f"{path}.people.csv").write(PooledPeople(patients(items), known, settings))
    seconds = time.process_time() - began
    result.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, seconds))


if __name__ == "__main__":
    main()
