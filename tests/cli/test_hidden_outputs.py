"""Where a hidden landmark was found must not matter to anything that is written, by any command."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohorts import FAST, model, rows_of, synthetic, write
from conftest import Invoke
from hiding import HERE, MOUTH, THERE, hidden_in
from PIL import Image

from anthropo.face.shape import shapes
from anthropo.measurement.compute import evaluate, geometry
from anthropo.measurement.hidden import hidden_measurement, hidden_reason
from anthropo.measurement.registry import registry


@pytest.mark.parametrize("point", range(68))
def test_what_a_landmark_moves_is_void_without_it(point: int) -> None:
    """By moving it, not by reading expressions; and nothing else is."""
    face = shapes()[0] * 100
    entries = geometry()
    moved = np.stack([face, face, face])
    moved[1, point] += (1.3, 0.7)
    moved[2, point] -= (0.4, 1.1)
    values = evaluate(moved, entries)
    told = (np.abs(values - values[0]) > 1e-9).any(0)
    void = np.array([bool(hidden_reason(entry, np.arange(68) == point)) for entry in entries])
    lacking = [entry.id for entry, a, b in zip(entries, told, void, strict=True) if a and not b]
    assert not lacking
    assert void.sum() - told.sum() <= 8  # such as a line through many points, read elsewhere than at this one


# ------------------------------------------------------------------- what the commands write

WHO = ("--sex", "female", "--age", "31")
#: Coordinates, and pictures on which they are drawn as hollow points.
PLACES = re.compile(r'data:image/[^"]+|<svg.*?</svg>|"landmarks": \[.*?\]\s*\]', re.DOTALL)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    return rows_of(synthetic(tmp_path_factory))


@pytest.fixture(scope="module")
def person(people: list[dict[str, str]]) -> str:
    return people[40]["photo"]


def both(write_to: Callable[[Path], None], hidden: tuple[int, ...], folder: Path, *photos: str) -> list[str]:
    """What is written with hidden landmarks here and there, without coordinates and names of folders."""
    texts = []
    for name, by in (("here", HERE), ("there", THERE)):
        out = folder / name
        out.mkdir()
        with hidden_in(lambda source: source in photos, hidden, by):
            write_to(out)
        written = [
            f"{file.relative_to(out)}\n{file.read_text(encoding='utf-8')}"
            for file in sorted(out.rglob("*"))
            if file.suffix in (".csv", ".json", ".html") and not file.name.endswith(".run.json")
        ]
        assert written
        texts.append(PLACES.sub("", "\n".join(written)).replace(str(out), "OUT"))
    return texts


def done(result: Any) -> None:
    assert result.exit_code in (0, 3), result.output  # 3: something that was asked for is lacking


def test_measured_tables_and_pages(person: str, tmp_path: Path, invoke: Invoke) -> None:
    def write_to(out: Path) -> None:
        for name in ("wide.csv", "records.json", "page.html"):
            done(invoke("measure", person, "-o", out / name, "--texture", *WHO, *FAST))
        done(invoke("measure", person, "-o", out / "long.csv", "--long", *WHO, *FAST))

    here, there = both(write_to, MOUTH, tmp_path, person)
    assert here == there
    hidden = np.isin(np.arange(68), MOUTH)
    void = {name for name, entry in registry().items() if hidden_measurement(entry, hidden)}
    assert len(void) > 30
    out = tmp_path / "there"
    (record,) = json.loads((out / "records.json").read_text())["photos"]
    assert {n for n, of in record["measurements"].items() if of["value"] is None} >= void
    scores = [z for name in void for z in record["measurements"][name]["z"]]
    assert scores
    assert not any(z["z"] for z in scores)
    assert record["gate"]["mouth_open"]["value"] is None
    (row,) = table(out / "wide.csv")
    assert not any(row[name] or row.get(f"{name}_z") for name in void)
    assert not any(cell for name, cell in row.items() if re.match("lbp_ch[RL]_", name))
    assert any(cell for name, cell in row.items() if re.match("lbp_en[RL]_", name))
    assert not any(line["value"] for line in table(out / "long.csv") if line["measurement"] in void)
    assert (out / "page.html").read_text().count("the mouth is hidden") > 0


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_columns_of_parquet(person: str, tmp_path: Path, invoke: Invoke) -> None:
    import pandas as pd

    rows = []
    for by in (HERE, THERE):
        with hidden_in(lambda source: source == person, MOUTH, by):
            done(invoke("measure", person, "-o", tmp_path / f"{by[0]}.parquet", *WHO, *FAST))
        rows.append(pd.read_parquet(tmp_path / f"{by[0]}.parquet"))
    pd.testing.assert_frame_equal(*rows)
    assert rows[0]["mouth_width"].isna().all()
    assert math.isfinite(rows[0]["intercanthal_width"][0])


def test_traits_reports_and_phenopackets(person: str, tmp_path: Path, invoke: Invoke) -> None:
    def write_to(out: Path) -> None:
        for name, more in (
            ("t.csv", ()), ("t.json", ()), ("t.html", ()), ("page.html", ("--one-page",)), ("cases", ()),
        ):  # fmt: skip
            done(invoke("traits", person, "-o", out / name, *more, *WHO, *FAST))

    here, there = both(write_to, MOUTH, tmp_path, person)
    # a packet says when it was made
    assert re.sub(r"2\d{3}-\d\d-\d\dT[\d:.]+Z", "", here) == re.sub(r"2\d{3}-\d\d-\d\dT[\d:.]+Z", "", there)
    (packet,) = (tmp_path / "there" / "cases").glob("*.json")
    assert "Thin upper lip" not in packet.read_text()


def test_answers_and_explanations(
    person: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, invoke: Invoke
) -> None:
    """Contributions and what would change the answer; of a face without its mouth there is none."""
    trained = model(tmp_path_factory, "strangers")
    nose = tuple(range(31, 36))  # of regions that are seen for the most part

    def write_to(out: Path) -> None:
        done(invoke("classify", "--model", trained, person, "-o", out / "a.json", "--cache", "none", *FAST))
        for name in ("e.json", "e.html"):
            done(
                invoke(
                    "explain", "--model", trained, person, "-o", out / name, "--cache", "none", *WHO, *FAST
                )
            )

    here, there = both(write_to, nose, tmp_path, person)
    assert here == there
    text = (tmp_path / "there" / "e.json").read_text()
    assert "nasal_width" in text
    with hidden_in(lambda source: source == person, MOUTH, THERE):
        refused = invoke("classify", "--model", trained, person, "--cache", "none", *FAST)
    assert refused.exit_code == 1
    assert "unfit: most of the region lower is hidden (hidden: take away what is before" in refused.stderr


def test_models_and_references_are_made_of_what_is_seen(
    people: list[dict[str, str]], tmp_path: Path, invoke: Invoke
) -> None:
    few = []
    for row in people[:13]:  # as photos: a reference refuses what is synthetic by its metadata
        Image.open(row["photo"]).save(path := tmp_path / f"{len(few)}.png")
        few.append({**row, "photo": str(path)})
    cohort, some = write(tmp_path / "few.csv", few), {row["photo"] for row in few[:3]}

    def write_to(out: Path) -> None:
        done(invoke("measure", cohort, "-o", out / "m.csv", *FAST))
        done(
            invoke(
                "reference",
                "build",
                cohort,
                "-o",
                out / "reference.csv",
                "--min-n",
                "10",
                "--by",
                "both",
                *FAST,
            )
        )

    here, there = both(write_to, tuple(range(17, 22)), tmp_path, *some)
    assert here == there
    built = {row["measurement"]: row for row in table(tmp_path / "there" / "reference.csv")}
    assert [built[name]["n"] for name in ("brow_length_L", "brow_length_R")] == ["13", "10"]


def test_follow_up(people: list[dict[str, str]], tmp_path: Path, invoke: Invoke) -> None:
    before, after = (people[at]["photo"] for at in (0, 40))

    def write_to(out: Path) -> None:
        for name in ("c.csv", "c.json", "c.html"):
            done(invoke("change", before, after, "-o", out / name, "--appearance", *FAST))

    here, there = both(write_to, MOUTH, tmp_path, after)
    assert here == there
    rows = {row["measurement"]: row for row in table(tmp_path / "there" / "c.csv")}
    assert rows["mouth_width"]["after"] == rows["mouth_width"]["difference"] == ""
    assert rows["intercanthal_width"]["difference"]


def test_composites_and_maps(people: list[dict[str, str]], tmp_path: Path, invoke: Invoke) -> None:
    healthy = [row for row in people if row["label"] == "control"][:10]
    cohort, hidden = write(tmp_path / "cohort.csv", healthy), healthy[2]["photo"]

    def write_to(out: Path) -> None:
        done(
            invoke(
                "composite", cohort, "-o", out / "composite", "--size", "128", "--min-patients", "5",
                "--cache", "none", *FAST,
            )
        )  # fmt: skip
        done(
            invoke(
                "map",
                cohort,
                "--of",
                "measurements",
                "-o",
                out / "map.csv",
                "--names",
                "--cache",
                "none",
                *FAST,
            )
        )

    here, there = both(write_to, MOUTH, tmp_path, hidden)
    assert here == there
    said = json.loads((tmp_path / "there" / "composite" / "composites.json").read_text())
    assert (said["photos_left_out"], [of["photos"] for of in said["labels"]]) == (1, [9])
