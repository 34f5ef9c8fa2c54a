"""One page of A4 for each person: what is on it, and that it is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import WITHOUT_BROWSER, Copies, Invoke

import anthropo
from anthropo.reference.traits import PRESENT
from anthropo.report import write_clinical
from anthropo.report.traits_page import page
from anthropo.workflows.trait_calling import Findings, PersonTraits, TraitsRequest, call, prepare

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@pytest.fixture(scope="module")
def girl() -> PersonTraits:
    """The astronaut as a child who is small, of whom nearly everything is unusual."""
    return anthropo.traits(
        anthropo.example_photo(), sex="female", age=3, head_circumference=44, height=80, weight=9
    )


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL))


def pages(file: Path) -> int:
    """How many sheets of paper Chromium prints a page on."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(WITHOUT_BROWSER)
    printed = file.with_suffix(".pdf")
    asked = [f"--print-to-pdf={printed}", "--no-pdf-header-footer", file.as_uri()]
    # a profile of its own, so that no other browser's is waited for
    profile = f"--user-data-dir={file.parent / 'profile'}"
    run = [browser, "--headless", "--no-sandbox", "--disable-gpu", profile, *asked]
    subprocess.run(run, check=True, capture_output=True, timeout=60)
    return len(re.findall(rb"/Type\s*/Page[^s]", printed.read_bytes()))


def test_what_is_unusual_comes_first_and_how_it_was_found_last(tmp_path: Path, girl: PersonTraits) -> None:
    write_clinical(tmp_path / "case.html", girl)
    text = (tmp_path / "case.html").read_text("utf-8")
    assert "<script" not in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert text.count("data:image/jpeg") == 1
    assert text.count("data:image/svg+xml") == 3
    told = words(text)
    order = [
        "sex female · age 3",
        "Findings (",
        "Microcephaly HP:0000252 present measured",
        "Measurements beyond 2 SD",
        "Photo quality",
        "smile 0.",
        "Could not be judged",
        "Growth",
        "Research use only",
    ]
    places = [told.index(one) for one in order]
    assert places == sorted(places)
    assert "Head circumference 44 cm: z −3.5, centile below 0.1, WHO 2006/2007" in told
    assert f"{girl.record.diagnostics.sha256}"[:12] in told
    assert re.search(r"Could not be judged .*Long philtrum.*: voided by the photo gate: ", told)
    assert "not a medical device" in told


def test_what_a_hand_has_done_and_an_eye_has_seen_is_said(
    tmp_path: Path, copies: Copies, invoke: Invoke
) -> None:
    (photo,) = copies(tmp_path / "photos", "<b>&.png")
    points = tmp_path / "points"
    invoke("measure", photo, "--save-landmarks", points)
    (file,) = points.iterdir()
    moved = re.sub(r'("p39", "name": [^:]+: )([\d.]+)', r"\g<1>221.5", file.read_text())
    file.write_text(moved)
    table = tmp_path / "t.csv"
    table.write_text(
        f"photo,sex,age,observed,patient,taken\n{photo},female,31,HP:0000508=yes,N<7>,2026-03-04\n"
    )
    asked = ("--one-page", "--landmarks", points, "-o", tmp_path / "case.html")
    result = invoke("traits", table, *asked)
    assert "traits of 1 of 1 photos." in result.stderr
    text = (tmp_path / "case.html").read_text("utf-8")
    assert "N<7>" not in text
    told = words(text)
    assert "Patient N&lt;7&gt;" in told
    assert "photo of 2026-03-04" in told
    assert "Ptosis, right HP:0000508 present by eye" in told
    assert re.search(r"Placed by hand: p39 \(en, endocanthion, right\) by \d+\.\d px\.", told)
    refused = invoke("traits", photo, "--one-page")
    assert refused.exit_code == 2
    assert "--one-page is a page to read or print: add -o FILE.html." in refused.stderr


def test_who_could_not_be_judged_is_not_said_to_be_without_findings(tmp_path: Path) -> None:
    write_clinical(tmp_path / "case.html", anthropo.traits(anthropo.example_photo()))
    told = words((tmp_path / "case.html").read_text("utf-8"))
    assert "No trait could be judged; the reasons are below." in told
    assert "No trait is present" not in told
    assert "the sex is missing" in told.partition("Could not be judged")[2]


def test_what_nobody_measured_is_said_without_the_words_of_a_terminal(tmp_path: Path) -> None:
    adult = anthropo.traits(anthropo.example_photo(), sex="female", age=31)
    write_clinical(tmp_path / "case.html", adult)
    told = words((tmp_path / "case.html").read_text("utf-8")).partition("Could not be judged")[2]
    assert re.search(r"Short stature[^:]*: height was not given", told)
    assert "--" not in told
    assert "Height was not given" in words(page(Findings(people=(adult,), lost=(), remarks=())))


def test_bold_is_what_lies_beyond_with_its_whole_interval(tmp_path: Path, girl: PersonTraits) -> None:
    write_clinical(tmp_path / "case.html", girl)
    text = (tmp_path / "case.html").read_text("utf-8")
    assert "Bold: the whole interval lies beyond." in text
    assert ".clinical tr:not(.certain) .beyond { font-weight: 400; }" in text
    # beyond, and not for certain: in colour
    assert re.search(r'<tr><th scope="row">[^<]+</th>(?:<td[^>]*>[^<]*</td>)*<td><span class="beyond">', text)


def test_each_person_is_on_one_sheet_however_much_there_is_to_say(
    tmp_path: Path, girl: PersonTraits, copies: Copies
) -> None:
    names = [f"{'a very long name of a photo ' * 3}{i}.png" for i in range(3)]
    table = tmp_path / "t.csv"
    rows = [f"{path},male,1,31w,asian,40,60,5,{'P' * 60}" for path in copies(tmp_path / "photos", *names)]
    columns = "photo,sex,age,gestation,ancestry,head_circumference,height,weight,patient"
    table.write_text("\n".join([columns, *rows]))
    references = ("web-all-ages", "korean-newborns")
    boy = call(prepare(str(table), TraitsRequest(patient=True, references=references))).measured[0]

    def worst(person: PersonTraits) -> PersonTraits:
        far: dict[str, Any] = {"z": 5.0, "z_lo": 3.0, "z_hi": 7.0, "mean": 1.0, "sd": 1.0}
        scores = tuple(replace(score, **far) for score in person.record.scores)
        record = replace(person.record, scores=scores, disagreements=(300 * "they differ ",))
        traits = tuple(
            replace(trait, status=PRESENT) if i % 2 else trait for i, trait in enumerate(person.traits)
        )
        return replace(person, record=record, traits=traits, notes=(*person.notes, 100 * "and so on "))

    write_clinical(tmp_path / "all.html", Findings(people=(worst(boy), girl, worst(girl))))
    assert pages(tmp_path / "all.html") == 3
