from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anthropo.errors import InputError
from anthropo.reference.adapting import WITHIN_SD
from anthropo.reference.build import MeasuredPhoto, Subject
from anthropo.reference.curve_building import with_both_sides
from anthropo.reference.curves import as_csv
from anthropo.reference.own_curves import GROUP, MANY, BuiltCurves, build_curves, refuse_other_models
from anthropo.reference.tables import Reference, load_reference

SHIPPED = load_reference("web-all-ages")
INSTRUMENT = SHIPPED.instruments[0]
NAMES = ("mouth_width", "nasal_index")


def photo(
    k: int, *, sex: str = "", age: float = 30.0, z: float = 0.0, ancestry: str = "", patient: str = ""
) -> MeasuredPhoto:
    """The k-th control, so many SD above the shipped median, exactly measured."""
    sex = sex or ("female", "male")[k % 2]
    values = {}
    for name in NAMES:
        row, _ = SHIPPED.choose(name, sex, age, ancestry if ancestry in SHIPPED.groups else None)
        assert row is not None
        values[name] = row.mean + row.sd * z
    who = Subject(f"{k}.jpg", patient or f"p{k}", sex, age, age + 1, ancestry)
    return MeasuredPhoto(who, values, dict.fromkeys(values, 0.0))


def some(n: int, shift: float = 0.0, seed: int = 0, **given: object) -> list[MeasuredPhoto]:
    """Controls of 5 to 39 years; `given` holds for all of them."""
    random = np.random.default_rng(seed)
    made: Callable[..., MeasuredPhoto] = photo
    return [
        made(k, **{"age": float(random.integers(5, 40)), "z": shift + random.standard_normal(), **given})
        for k in range(n)
    ]


def built(photos: Sequence[MeasuredPhoto], instrument: str = INSTRUMENT) -> BuiltCurves:
    return build_curves(photos, source="people", instrument=instrument)


def read(made: BuiltCurves, folder: Path) -> Reference:
    path = folder / "mine.csv"
    path.write_text(as_csv(made.curves, made.groups))
    return load_reference(path)


def test_few_controls_adapt_the_shipped_curves(tmp_path: Path) -> None:
    made = built(some(20, shift=1.0))
    assert (made.fitted, set(made.adaptations)) == ((), set(NAMES))
    assert made.notes == made.refused == ()
    assert {c.source for c in made.curves} == {"web-all-ages, adapted to 20 controls: people"}
    reference = read(made, tmp_path)
    row, why = reference.choose("mouth_width", "female", 20)
    shipped, _ = SHIPPED.choose("mouth_width", "female", 20)
    assert row is not None, why
    assert shipped is not None
    assert 0.6 < (row.mean - shipped.mean) / shipped.sd < 1.2
    assert row.grade == "B"
    assert row.n < 20, "the shift of one sex may differ from that of both"
    shift = np.median([one.shift for one in made.adaptations.values()])
    assert f"2 adapted from web-all-ages (shift {shift:.2f} SD and scale " in made.sentence()
    assert made.sentence().endswith("n 20)")
    assert "from 20 people" in made.sentence()
    assert reference.choose("mouth_width", "female", 60)[1].startswith("age 60 is outside mine.csv: 3.")


def test_many_controls_have_curves_of_their_own(tmp_path: Path) -> None:
    made = built(some(600, shift=1.5))
    assert (made.fitted, dict(made.adaptations)) == (("nasal_index", "mouth_width"), {})
    assert {(c.grade, c.source, c.instrument) for c in made.curves} == {("A", "people", INSTRUMENT)}
    reference = read(made, tmp_path)
    for sex in ("female", "male"):
        for age in (8, 20, 35):
            row, why = reference.choose("mouth_width", sex, age)
            shipped, _ = SHIPPED.choose("mouth_width", sex, age)
            assert row is not None, why
            assert shipped is not None
            assert (row.mean - shipped.mean) / shipped.sd == pytest.approx(1.5, abs=0.3)
            assert row.sd == pytest.approx(shipped.sd, rel=0.2)
    assert made.curves[0].ages[0] == pytest.approx(6 * np.exp(-0.05) - 1)
    assert made.sentence().endswith("from 600 people: 2 by curves of their own")


def test_each_measurement_goes_by_its_own_number_of_people() -> None:
    photos = some(MANY + 20)
    for one in photos[: len(photos) // 2]:
        del one.values["mouth_width"]  # type: ignore[attr-defined]
    made = built(photos)
    assert (made.fitted, list(made.adaptations)) == (("nasal_index",), ["mouth_width"])


def test_fewer_than_five_leave_a_measurement_out_and_say_so() -> None:
    photos = some(6)
    for one in photos[:2]:
        del one.values["mouth_width"]  # type: ignore[attr-defined]
    made = built(photos)
    assert list(made.adaptations) == ["nasal_index"]
    (note,) = made.notes
    assert note == (
        "fewer than 5 people of ages that web-all-ages knows have mouth_width (4); no curve is written."
    )
    assert built(some(4)).curves == ()
    assert built([]).curves == ()


def test_several_photos_of_one_person_count_once() -> None:
    several = [photo(0, z=z, patient="one") for z in (2.9, 3.0, 3.1)]
    others = [photo(k, z=0.0) for k in range(1, 9)]
    once = built([photo(0, z=3.0, patient="one"), *others])
    assert built([*several, *others]).adaptations["mouth_width"].people == 9
    assert built([*several, *others]).adaptations["mouth_width"].shift == pytest.approx(
        once.adaptations["mouth_width"].shift
    )
    # as a child and twice as an adult: the adult counts
    apart = [photo(0, z=0.0, patient="one", age=age) for age in (6.0, 30.0, 30.5)]
    made = built([*apart, *others])
    assert made.people == 9
    assert made.notes == ("1 photo is of people at another age, and not used: a person counts once.",)
    assert min(curve.ages[0] for curve in made.curves) > 20


def test_one_sex_gives_curves_of_that_sex(tmp_path: Path) -> None:
    for n in (8, 300):
        made = built(some(n, sex="female"))
        assert {c.sex for c in made.curves} == {"female"}
        assert made.notes == ("All controls are female: there are curves of that sex only.",)
        reference = read(made, tmp_path)
        assert reference.choose("mouth_width", "female", 20)[0] is not None
        assert reference.choose("mouth_width", "male", 20)[1].endswith("for female only")


def test_one_age_is_adapted_however_many_there_are() -> None:
    assert built(some(12, age=8.0)).notes == ()
    made = built(some(MANY + 10, age=8.0))
    assert made.fitted == ()
    assert set(made.adaptations) == set(NAMES)
    (note,) = made.notes
    assert "a curve of their own needs a range: web-all-ages is adapted." in note
    assert "Bands of age describe them alone" in note


def test_groups_are_told_apart_where_all_of_them_are_large(tmp_path: Path) -> None:
    photos = some(4 * GROUP, ancestry="north") + [
        photo(1000 + k, z=2 + z, ancestry="south", age=float(5 + k % 30))
        for k, z in enumerate(np.random.default_rng(5).standard_normal(2 * GROUP))
    ]
    made = built(photos)
    assert made.groups == ("north", "south")
    reference = read(made, tmp_path)
    means = [reference.choose("mouth_width", "female", 20, group)[0] for group in (*made.groups, None)]
    shipped, _ = SHIPPED.choose("mouth_width", "female", 20)
    assert shipped is not None
    assert None not in means
    north, south, mixed = (row.mean for row in means if row)
    assert (south - north) / shipped.sd == pytest.approx(2, abs=0.4)
    assert mixed == pytest.approx((north + south) / 2, abs=0.05 * shipped.sd)

    few = built(photos[: 4 * GROUP + 7])
    assert few.groups == ()
    assert (
        "The column `ancestry` is not used: 7 people are south, and 50 of each group are needed." in few.notes
    )


def test_a_measurement_of_few_beside_groups_of_their_own_is_left_out() -> None:
    photos = some(GROUP * 3, ancestry="north") + [
        photo(1000 + k, ancestry="south", age=float(5 + k % 30), z=z)
        for k, z in enumerate(np.random.default_rng(5).standard_normal(GROUP * 2))
    ]
    for one in photos[:100]:
        del one.values["mouth_width"]  # type: ignore[attr-defined]
    made = built(photos)
    assert (made.fitted, made.groups) == (("nasal_index",), ("north", "south"))
    (note,) = made.notes
    assert note == (
        "web-all-ages has nothing to adapt, and 200 people are needed, for mouth_width; no curve is written."
    )


def test_groups_of_the_shipped_table_are_kept_by_adapted_curves() -> None:
    made = built(some(20, ancestry="white"))
    assert made.groups == ("white",)
    # people of the group's own median are hardly shifted, though it differs from that of all mixed
    at_median = [photo(k, ancestry="white") for k in range(40)]
    unnamed = [
        MeasuredPhoto(
            Subject(p.subject.photo, p.subject.patient, p.subject.sex, 30.0, 31.0), p.values, p.errors
        )
        for p in at_median
    ]
    assert all(abs(built(at_median).adaptations[name].shift) < 0.1 for name in NAMES)
    assert abs(built(unnamed).adaptations["nasal_index"].shift) > 0.2
    foreign = built(some(20, ancestry="martian"))
    assert foreign.groups == ()
    (note,) = foreign.notes
    assert note.startswith("The column `ancestry` is not used: 'martian' is no group of web-all-ages")
    partly = built(some(10) + [photo(100 + k, ancestry="white") for k in range(5)])
    (note,) = partly.notes
    assert note == "The column `ancestry` is not used: it names a group of 5 of 15 people."


def test_groups_are_the_same_in_any_case_of_letters() -> None:
    made = built(some(10, ancestry="white") + [photo(100 + k, ancestry=" White") for k in range(5)])
    assert (made.groups, made.notes) == (("white",), ())
    large = some(2 * GROUP, ancestry="North, far") + [
        replace(one, subject=replace(one.subject, photo=f"n{k}", patient=f"n{k}", ancestry="north far"))
        for k, one in enumerate(some(2 * GROUP, seed=3))
    ]
    assert built(large).groups == ("North far",)
    twice = [photo(50, ancestry=group, patient="x", sex="female") for group in ("white", "black")]
    made = built([*some(10, ancestry="white"), *twice])
    assert made.refused == ("patient x: ancestry white in one row and black in another; left out.",)
    assert made.people == 10


def test_other_models_cannot_adapt() -> None:
    other = "anthropo 0.1.0, landmark model 0000000000000000"
    with pytest.raises(InputError, match="its curves cannot be adapted to them"):
        built(some(20), other)
    later = INSTRUMENT.replace("anthropo ", "anthropo 9.")
    refuse_other_models(later)  # another version with the same models
    with pytest.raises(InputError, match="or more of several ages, or build bands of age"):
        built(some(MANY + 50, age=8.0), other)
    assert built(some(MANY + 50), other).fitted == ("nasal_index", "mouth_width")


def test_one_side_alone_has_no_curve() -> None:
    names = ["brow_height_R", "brow_height_L", "mrd1_R", "mouth_width"]
    assert with_both_sides(names) == {"brow_height_R", "brow_height_L", "mouth_width"}
    photos = []
    for one in some(12):
        row, _ = SHIPPED.choose("mrd1_R", one.subject.sex, one.subject.age)
        assert row is not None
        photos.append(
            MeasuredPhoto(one.subject, {**one.values, "mrd1_R": row.mean}, {**one.errors, "mrd1_R": 0.0})
        )
    made = built(photos)
    assert set(made.adaptations) == set(NAMES)
    assert made.notes == ("of one side only enough people have mrd1_R; no curve is written.",)


def test_people_of_two_sexes_or_without_an_error_are_not_used() -> None:
    photos = [*some(10), photo(50, sex="female", patient="x"), photo(51, sex="male", patient="x")]
    made = built(photos)
    assert made.refused == ("patient x: female in one row and male in another; left out.",)
    assert made.people == 10
    bare = [MeasuredPhoto(one.subject, one.values, {}) for one in photos]
    with pytest.raises(InputError, match="which curves need"):
        built(bare)


def test_a_source_of_several_lines_stays_in_its_cell(tmp_path: Path) -> None:
    made = build_curves(some(8), source='clinic "A",\n north', instrument=INSTRUMENT)
    reference = read(made, tmp_path)
    assert {row.source for row in reference.rows} == {
        'web-all-ages, adapted to 8 controls: clinic "A", north'
    }


def test_effective_people_do_not_grow_beyond_what_sexes_share() -> None:
    made = built(some(MANY - 1))
    row, n = made.curves[0].row(20.0, None)
    assert 10 < n < 1 / WITHIN_SD**2
    assert row.n == round(n)
