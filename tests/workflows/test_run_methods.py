"""The methods paragraph of a run of `measure` or `traits`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Invoke, refused, sentence_of

import anthropo
from anthropo.errors import InputError

Copies = Callable[..., list[Path]]
QUICK = ("--jitter", "2")


@pytest.fixture
def cohort(tmp_path: Path, copies: Copies) -> Path:
    copies(tmp_path, "a.png", "b.png")
    table = tmp_path / "c.csv"
    table.write_text(
        "photo,patient,sex,age,height\na.png,x,f,4.0,80\nb.png,y,f,31,\ngone.png,z,f,31,\n", "utf-8"
    )
    return table


def methods(invoke: Invoke, output: Path) -> str:
    """The paragraph, after a check that each work is cited, and none besides."""
    result = invoke("inspect", f"{output}.run.json", "--methods")
    assert result.exit_code == 0, result.stderr
    paragraph, _, works = result.stdout.partition("\n\n")
    cited = {int(n) for of in re.findall(r"\[([\d, ]+)\]", paragraph) for n in of.split(", ")}
    assert sorted(cited) == [int(line.partition(".")[0]) for line in works.splitlines()]
    return str(paragraph)


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.parquet"])
def test_of_measured_photos(cohort: Path, tmp_path: Path, invoke: Invoke, name: str) -> None:
    out = tmp_path / name
    assert invoke("measure", cohort, "-o", out, *QUICK, "--force").exit_code == 3
    said = methods(invoke, out)
    for words in (
        "anthropo 0.2.0 [1]",
        "There were 3 photographs of 3 people [source, consent, ethics approval]. Of these, 1 could not be",
        "as the mean of 2 evaluations on jittered and mirrored crops, refined in",
        "130 measurements were taken",
        "may spoil were kept (2 of 2 faces failed the photo gate; most often: ",
        "web-all-ages [7] (grade B/C, ancestry unknown)",
        "numpy ",
    ):
        assert words in said, words
    assert "pooled" not in said


def test_of_people_and_of_long_tables(cohort: Path, tmp_path: Path, invoke: Invoke) -> None:
    for form in ("--patient", "--long"):
        out = tmp_path / f"{form}.csv"
        options = ("--scale", "ipd=62", "--distance", "100", "--reference", "frl-adults", "--no-fine", *QUICK)
        assert invoke("measure", cohort, form, "-o", out, *options).exit_code == 3
        said = methods(invoke, out)
        assert "There were 3 photographs of 3 people" in said
        assert ("pooled to one answer" in said) == (form == "--patient")
        assert "Each value was compared with frl-adults [5] (grade A/B)" in said
        assert "the measured distance of the pupils, 62 mm" in said
        assert "for a camera at 100 cm" in said
        assert "refined" not in said


def test_of_traits(cohort: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "t.csv"
    assert invoke("traits", cohort, "-o", out, "--confidence", "0.8", *QUICK).exit_code == 3
    said = methods(invoke, out)
    assert "present if the whole 80 % interval of the z-score lay beyond" in said
    assert "Sizes that were measured by hand were compared with WHO 2006/2007." in said
    assert "WHO" not in said.partition("Terms of the Human Phenotype Ontology")[0]


def test_what_is_not_known_is_left_to_the_writer(cohort: Path, tmp_path: Path, invoke: Invoke) -> None:
    page, table = tmp_path / "t.html", tmp_path / "t.csv"
    for out in (page, table):
        invoke("measure", cohort, "-o", out, *QUICK)
    table.write_text(table.read_text().replace("a.png", "z.png"))
    for out in (page, table):  # a page is no table, and a table that was changed is not what the run wrote
        said = methods(invoke, out)
        assert "There were [n] photographs of [n] people" in said
        assert "[k] of [n] photographs failed" in said
        assert "z-scores compare with [reference, as the column `references` names it]." in said


def test_wrong_files(tmp_path: Path, invoke: Invoke) -> None:
    other = tmp_path / "x.run.json"
    other.write_text("{}")
    assert refused(invoke, "inspect", other).startswith(f"Error: {other}: not a manifest of a run (")
    (tmp_path / "m.csv").write_text("photo\n")
    of_map = anthropo.record_run(["map", "c.csv"], {}, tmp_path / "m.csv")
    assert of_map.command == ("map", "c.csv")
    path = tmp_path / "m.csv.run.json"
    assert invoke("inspect", path).stdout.splitlines()[1].split() == ["command", "anthropo", "map", "c.csv"]
    refused(invoke, "inspect", path, "--methods", says="and of runs of measure and traits.")
    sentence = sentence_of(InputError, anthropo.methods_of_run, path)
    assert sentence == f"{path}: of `anthropo map`; a methods paragraph is written of measure and traits."
    anonymous = json.loads(path.read_text()) | {"command": []}
    path.write_text(json.dumps(anonymous))
    assert "was to be anonymous" in sentence_of(InputError, anthropo.inspect, path)
