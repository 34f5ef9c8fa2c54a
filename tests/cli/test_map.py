"""anthropo map, on synthetic people."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from cohorts import FAST, PATIENTS, Row, run, synthetic, two_labels, write
from conftest import Invoke, described, refused
from PIL import Image


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """All of control and synthetic-A, with a clinic and an empty column."""
    chosen = two_labels(synthetic(tmp_path_factory))
    return [{**r, "clinic": f"<b>{i % 2}</b>", "blank": ""} for i, r in enumerate(chosen)]


@pytest.fixture(scope="module")
def cohort(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("map") / "people.csv", rows)


@pytest.fixture(scope="module")
def page(cohort: Path) -> str:
    path = cohort.with_name("map.html")
    run("map", cohort, "-o", path, *FAST)
    return path.read_text(encoding="utf-8")


def places(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_page_needs_nothing_else(page: str) -> None:
    assert "<script" not in page
    assert not re.search(r"https?://", page)
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "@import" not in page
    assert "url(" not in page


def test_a_page_shows_no_faces_and_no_names(page: str, rows: list[Row]) -> None:
    assert "data:image" not in page
    for row in rows:
        assert Path(row["photo"]).name not in page
        assert row["patient"] not in page
    ids = re.findall(r"<title>(?:control|synthetic-A) · ([0-9a-f]{12})</title>", page)
    assert len(ids) == 2 * len(rows)
    assert len(set(ids)) == len(rows)


def test_a_page_draws_warns_and_tells_its_figures(page: str, rows: list[Row]) -> None:
    assert page.count("<polygon") == 2 * len(rows) + 2 * 2  # two maps, two keys of two groups
    assert "Wattenberg" in page
    assert "neighbour accuracy" in page
    assert "trustworthiness, t-SNE" in page
    assert "embedding of the region face, 128 numbers" in page
    assert page.count('<th scope="row">') == 2 + len(rows)  # groups, then photos


def test_names_and_faces_are_shown_when_asked_for(cohort: Path, rows: list[Row]) -> None:
    path = cohort.with_name("named.html")
    run("map", cohort, "-o", path, *FAST, "--names", "--thumbnails")
    page = path.read_text(encoding="utf-8")
    assert all(f"{Path(row['photo']).name} ({row['patient']})" in page for row in rows)
    assert page.count("data:image/jpeg;base64,") == len(rows)
    assert "Keep it as safe as the photos" in page
    assert not re.search(r'(?:src|href)="(?!#|data:image/jpeg)', page)


def test_the_same_seed_gives_the_same_places(cohort: Path, rows: list[Row]) -> None:
    first, second, other = (cohort.with_name(f"{name}.csv") for name in ("one", "two", "three"))
    run("map", cohort, "-o", first, *FAST, "--of", "measurements")
    run("map", cohort, "-o", second, *FAST, "--of", "measurements", "-j", "1")
    assert first.read_bytes() == second.read_bytes()
    run("map", cohort, "-o", other, *FAST)
    found = places(first)
    assert list(found[0]) == ["id", "label", "tsne_x", "tsne_y", "pca_1", "pca_2"]
    assert [row["label"] for row in found] == [row["label"] for row in rows]
    assert np.isfinite([[float(row[c]) for c in list(row)[2:]] for row in found]).all()
    assert [row["id"] for row in places(other)] == [row["id"] for row in found]
    assert [row["pca_1"] for row in places(other)] != [row["pca_1"] for row in found]


def test_labels_that_change_the_face_are_told_by_neighbours(cohort: Path) -> None:
    said = run("map", cohort, "-o", cohort.with_name("x.csv"), *FAST)
    assert f"{2 * PATIENTS} photos of {2 * PATIENTS} people, by label" in said
    assert "More than chance" in said


def test_a_column_that_says_nothing_is_at_chance_and_markup_stays_text(cohort: Path) -> None:
    path = cohort.with_name("clinic.html")
    said = run("map", cohort, "-o", path, *FAST, "--by", "clinic")
    assert "No more than chance" in said
    page = path.read_text(encoding="utf-8")
    assert "<b>0</b>" not in page
    assert "&lt;b&gt;0&lt;/b&gt;" in page


def test_a_picture_has_no_metadata(cohort: Path) -> None:
    path = cohort.with_name("map.png")
    run("map", cohort, "-o", path, *FAST, "--by", "age", "--thumbnails")
    with Image.open(path) as picture:
        assert picture.width > 1000
        assert set(picture.info) <= {"dpi"}


def test_photos_without_a_face_are_listed(
    rows: list[Row], tmp_path: Path, invoke: Invoke, faceless_png: Path
) -> None:
    cohort = write(tmp_path / "c.csv", [{**rows[0], "photo": str(faceless_png), "patient": "x"}, *rows])
    result = invoke("map", cohort, "-o", tmp_path / "m.csv", *FAST)
    assert result.exit_code == 3
    assert "coins.png: no face found" in result.stderr
    written = places(tmp_path / "m.csv")
    assert len(written) == len(rows)
    described("map", written[0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-o", "m.pdf"), "Use .html, .png or .csv"),
        (
            ("-o", "m.csv", "--by", "shoe"),
            "--by shoe: no such column. Choose from label, age, sex, synthetic",
        ),
        (("-o", "m.csv", "--by", "patient"), "--by patient: names single people"),
        (("-o", "m.csv", "--by", "blank"), "--by blank: the column is empty"),
        (("-o", "m.csv", "--perplexity", "11"), "--perplexity 11: with 32 photos 10.3 is the most"),
        (("-o", "no/such/m.csv"), "cannot be written"),
    ],
)
def test_wrong_use_is_one_sentence(
    cohort: Path, tmp_path: Path, invoke: Invoke, arguments: tuple[str, ...], sentence: str
) -> None:
    option, name, *rest = arguments
    told = refused(invoke, "map", cohort, option, tmp_path / name, *rest, *FAST, says=sentence)
    assert sum(not line.startswith("warning: ") for line in told.splitlines()) == 1
    assert not (tmp_path / name).exists()


def test_a_cohort_of_one_is_refused_in_one_sentence(rows: list[Row], tmp_path: Path, invoke: Invoke) -> None:
    told = refused(invoke, "map", write(tmp_path / "c.csv", rows[:1]), "-o", tmp_path / "m.html", *FAST)
    assert told == "Error: 1 photo to draw, 10 are needed. Add people.\n"
