"""Who is on a photo: from a table's columns, from the settings, and from several photos of one person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import sentence_of

from anthropo.batch import scores
from anthropo.batch.inputs import Item, collect
from anthropo.batch.patients import patients
from anthropo.batch.scores import diagnostics_of, person_of, scores_of
from anthropo.errors import InputError
from anthropo.measurement.compute import Measurement
from anthropo.reference import zscore
from anthropo.settings import Settings

WIDTH = Measurement("intercanthal_width", 0.42, 0.41, 0.43, "ex-ex", "mid", "", repeat_sd=0.005)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The ancestries that z-scores are asked for."""
    got: list[Any] = []

    def score(*given: Any, **known: Any) -> list[Any]:
        got.append(known.get("ancestry", "no matter"))
        return zscore.score(*given, **known)

    monkeypatch.setattr(scores, "score", score)
    return got


def listed(folder: Path, *rows: str) -> list[Item]:
    path = folder / "c.csv"
    path.write_text("\n".join(rows) + "\n")
    return collect([str(path)])


@pytest.mark.parametrize(
    ("columns", "settings", "ancestry", "words"),
    [
        ({"ancestry": "East Asian"}, "African", "East Asian", "female 31 East Asian"),
        ({}, "African", "African", "female 31 African"),
        ({"ancestry": ""}, "African", None, "female 31"),  # this one's is not known
        ({"ancestry": "Unknown"}, "African", None, "female 31 Unknown"),
        ({}, None, None, "female 31"),
    ],
)
def test_an_ancestry_goes_where_sex_and_age_go(
    asked: list[Any], columns: dict[str, str], settings: str | None, ancestry: str | None, words: str
) -> None:
    item, known = Item("p.jpg", columns), Settings(sex="female", age="31", ancestry=settings)
    scores_of(item, [WIDTH], known)
    assert asked == [ancestry]
    assert diagnostics_of(item, known).person == words


def test_an_ancestry_alone_asks_for_no_scores(asked: list[Any]) -> None:
    assert scores_of(Item("p.jpg", {"ancestry": "African"}), [WIDTH], Settings()).scores == ()
    assert asked == []


def test_a_result_depends_on_the_ancestry() -> None:
    known = {Settings(sex="female", age="31", ancestry=name).fingerprint() for name in (None, "African")}
    assert len(known) == 2


@pytest.mark.parametrize(
    ("rows", "disputed"),
    [
        (("p.jpg,f,31,African", "p.jpg,f,31,East Asian"), "female 31 african; female 31 east asian"),
        (("p.jpg,f,31,African", "p.jpg,f,31,"), "female 31 african; female 31"),
        (("p.jpg,f,31,African", "p.jpg,F,31, african "), ""),  # one meaning
        (("p.jpg,f,31,", "p.jpg,f,31,unknown"), ""),
    ],
)
def test_rows_of_a_photo_that_contradict_each_other(
    tmp_path: Path, asked: list[Any], rows: tuple[str, ...], disputed: str
) -> None:
    for item in listed(tmp_path, "photo,sex,age,ancestry", *rows):
        assert item.disputed == disputed
        notes = scores_of(item, [WIDTH], Settings()).notes
        words = f"listed with different sex, age or ancestry ({disputed}), no z-scores that depend on it."
        assert notes == ((f"{tmp_path}/p.jpg: {words}",) if disputed else ())


def test_photos_of_one_person_have_one_ancestry(tmp_path: Path) -> None:
    rows = (
        "photo,patient,ancestry",
        "a.jpg,p1,East  Asian",
        "b.jpg,p1,east asian",
        "c.jpg,p1,",
        "d.jpg,p1,unknown",
    )
    (who,) = patients(listed(tmp_path, *rows))
    assert who.columns["ancestry"] == "East Asian"
    assert person_of(Item(who.shown, who.columns), Settings(ancestry="African")).ancestry == "East Asian"


def test_photos_of_one_person_with_two_ancestries_are_refused(tmp_path: Path) -> None:
    items = listed(tmp_path, "photo,patient,ancestry", "a.jpg,p1,African", "b.jpg,p1,East Asian")
    assert sentence_of(InputError, patients, items) == (
        f"patient p1: African in {tmp_path}/a.jpg, East Asian in {tmp_path}/b.jpg. Correct the column "
        "`ancestry`, or `patient`."
    )
