"""Synthetic pictures say so in their metadata, and are not taken for photographs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import anthropo
from anthropo import Settings, example_photo, read_photo
from anthropo.batch import Item, measure_item
from anthropo.decoding.provenance import (
    COMPOSED,
    GENERATED,
    synthetic_file,
    synthetic_sentence,
    synthetic_source,
)
from anthropo.learning.cohort import read_cohort
from anthropo.learning.cohort_checks import check
from anthropo.synthetic import make_cohort
from anthropo.translation.apply import marked_png, translated_name
from anthropo.workflows.reference import BuildRequest, build

FAST = Settings(jitter=2, fine=False)


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait that says it was translated, under a name that says nothing."""
    path = tmp_path_factory.mktemp("marked") / "portrait.png"
    path.write_bytes(marked_png(read_photo(example_photo()).pixels, "B", "0123456789abcdef" * 4))
    return path


def test_a_mark_is_found_in_the_file_whatever_its_name(marked: Path, tmp_path: Path) -> None:
    other = shutil.copy(marked, tmp_path / "IMG_0001.png")
    assert read_photo(other).synthetic == GENERATED
    assert np.array_equal(read_photo(other).pixels, read_photo(example_photo()).pixels)
    assert b"0123456789ab" in marked.read_bytes()  # which model
    assert b"portrait" not in marked.read_bytes()


def test_a_mark_stays_when_an_editor_keeps_the_metadata(marked: Path, tmp_path: Path) -> None:
    from PIL import Image

    with Image.open(marked) as picture:
        packet = picture.info["XML:com.adobe.xmp"].encode()
        picture.convert("RGB").save(tmp_path / "edited.webp", xmp=packet)
    assert synthetic_file(str(tmp_path / "edited.webp")) == GENERATED


def test_photographs_and_other_files_have_none(tmp_path: Path) -> None:
    assert read_photo(example_photo()).synthetic == ""
    assert synthetic_source(b"http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture") == ""
    assert synthetic_source(b"http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMediaOfMine") == ""
    assert synthetic_file(str(tmp_path / "none.png")) == ""


def test_a_made_cohort_is_marked_and_training_says_so(tmp_path: Path) -> None:
    table = make_cohort(tmp_path / "made", 1, seed=3)
    cohort = read_cohort(table)
    assert {read_photo(case.photo).synthetic for case in cohort.cases} == {COMPOSED}
    said = [finding for finding in check(cohort) if "synthetic pictures" in finding.message]
    assert [finding.level for finding in said] == ["note"]
    assert "2 of 2 photos are synthetic pictures by their metadata" in said[0].message


def test_measure_points_it_out(marked: Path) -> None:
    (record,) = measure_item(Item(str(marked)), FAST)
    assert record.to_row()["diagnostics_synthetic"] == GENERATED
    assert record.remark == synthetic_sentence(GENERATED)
    assert record.notes == ()  # nothing that was asked for is lacking
    (plain,) = measure_item(Item(example_photo()), FAST)
    assert plain.to_row()["diagnostics_synthetic"] is None


def test_reference_build_refuses_it(marked: Path, tmp_path: Path) -> None:
    table = tmp_path / "controls.csv"
    table.write_text(f"photo,sex,age\n{marked},female,30\n{example_photo()},female,41\n")
    built = build(table, BuildRequest(min_people=10))
    assert [line for line in built.left_out if "synthetic" in line] == [
        f"{marked}: {synthetic_sentence(GENERATED)} Left out."
    ]
    assert built.people == 1


def test_reference_build_refuses_it_in_a_table_that_was_measured(marked: Path, tmp_path: Path) -> None:
    rows = tmp_path / "controls.csv"
    rows.write_text(f"photo,sex,age\n{marked},female,30\n{example_photo()},female,41\n")
    measured = tmp_path / "measured.csv"
    anthropo.measure_table(rows, jitter=2, fine=False).to_csv(measured, index=False)
    built = build(measured, BuildRequest(min_people=10))
    assert sum("synthetic picture" in line for line in built.left_out) == 1
    assert built.people == 1


def test_names_of_translations() -> None:
    assert translated_name("a/p07.jpg", "B") == "p07.translated-to-B.synthetic.png"
    assert translated_name("a/b:c.jpg", "A") == "b%3Ac.translated-to-A.synthetic.png"
    assert len(translated_name("ü" * 300 + ".jpg", "B").encode()) < 255
