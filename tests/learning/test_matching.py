from __future__ import annotations

import numpy as np
import pytest

from anthropo.errors import InputError
from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.matching import match_cohort


def cohort(people: list[tuple[str, str, str, str]]) -> Cohort:
    """A cohort of name, label, age and sex."""
    cases = (Case(f"{n}.jpg", label, n, {"age": age, "sex": sex}) for n, label, age, sex in people)
    return Cohort(tuple(cases), "c.csv", {"age": "age", "sex": "sex"})


def drawn(seed: int = 0) -> Cohort:
    """Forty cases, older and mostly male, of eighty controls."""
    random = np.random.default_rng(seed)
    people = []
    for i in range(120):
        case = i < 40
        age = max(1.0, random.normal(35 if case else 25, 10))
        sex = "male" if random.random() < (0.7 if case else 0.4) else "female"
        people.append((f"p{i}", "noonan" if case else "control", f"{age:.1f}", sex))
    return cohort(people)


def test_matching_balances_the_columns() -> None:
    pairs, matched = match_cohort(drawn(), ["age", "sex"])
    before = {(row.column, row.word): row.before for row in matched.balance}
    after = {(row.column, row.word): row.after for row in matched.balance}
    assert abs(before["age", ""]) > 0.5
    assert abs(before["sex", "female"]) > 0.3
    assert abs(after["age", ""]) < 0.1
    assert after["sex", "female"] == 0
    assert ("sex", "male") not in after
    labels = [case.label for case in pairs.cases]
    assert labels.count("noonan") == labels.count("control") == matched.pairs > 25
    assert matched.cases_left == 40 - matched.pairs
    assert matched.controls_left == 80 - matched.pairs
    assert pairs.findings[-1].message.startswith("c.csv: matched on age, sex: ")


def test_as_many_pairs_as_there_can_be_and_the_nearest_of_these() -> None:
    # the first case could take either control; the second only the one that is nearer to the first
    people = [("a", "case", "30", ""), ("b", "case", "30.5", ""), ("c", "control", "30.4", "")]
    people += [("d", "control", "29.8", ""), ("e", "control", "60", ""), ("f", "control", "5", "")]
    made = cohort(people)
    pairs, matched = match_cohort(made, ["age"])
    assert {case.patient for case in pairs.cases} == {"a", "b", "c", "d"}
    assert matched.pairs == 2


def test_all_photos_of_a_patient_stay_together() -> None:
    made = cohort(
        [("a", "case", "30", "male"), ("b", "control", "30", "male"), ("c", "control", "80", "male")]
    )
    twice = (*made.cases, Case("a2.jpg", "case", "a", {"age": "31", "sex": "male"}))
    pairs, _ = match_cohort(Cohort(twice, "c.csv", made.metadata), ["age", "sex"])
    assert [case.photo for case in pairs.cases] == ["a.jpg", "b.jpg", "a2.jpg"]


def test_who_has_no_value_has_no_partner() -> None:
    made = cohort([("a", "case", "", "male"), ("b", "control", "", "male"), ("c", "control", "8", "male")])
    with pytest.raises(
        InputError, match=r"match='age': no pair is left\. No case is like anybody of control"
    ):
        match_cohort(made, ["age"])
    words = cohort([("a", "case", "8", ""), ("b", "control", "8", "")])
    with pytest.raises(InputError, match="no pair is left"):
        match_cohort(words, ["sex"])


def test_wrong_matching() -> None:
    with pytest.raises(InputError, match=r"match='bmi': no column bmi to match on\. There are age, sex\."):
        match_cohort(drawn(), ["bmi"])
    one = cohort([("a", "case", "8", "male"), ("b", "case", "8", "male")])
    with pytest.raises(InputError, match="everybody has the label case"):
        match_cohort(one, ["sex"])
    three = cohort([("a", "x", "8", "male"), ("b", "y", "8", "male"), ("c", "z", "8", "male")])
    with pytest.raises(InputError, match=r"none of the labels x, y, z is called control.*controls='LABEL'"):
        match_cohort(three, ["sex"])
    pairs, matched = match_cohort(three, ["sex"], "z")
    assert (matched.pairs, len(pairs.cases)) == (1, 2)


def test_of_two_labels_the_commoner_one_gives_the_controls() -> None:
    people = [("a", "x", "8", "male"), ("b", "x", "9", "male"), ("c", "y", "8", "male")]
    assert match_cohort(cohort(people), ["sex"])[1].controls == "x"
