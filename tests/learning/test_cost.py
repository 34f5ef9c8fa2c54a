from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anthropo.errors import InputError
from anthropo.learning.cost import expected_cost_decision, importance, parse_cost, read_cost_matrix

TWO = ("affected", "control")
THREE = ("angelman", "control", "noonan")


def decided(probabilities: list[list[float]], cost: list[list[float]]) -> list[int]:
    return expected_cost_decision(np.array(probabilities), np.array(cost, dtype=float)).tolist()


def test_equal_costs_decide_for_the_most_probable() -> None:
    assert decided([[0.2, 0.5, 0.3], [0.4, 0.1, 0.5]], (1 - np.eye(3)).tolist()) == [1, 2]


def test_a_costly_miss_lowers_the_threshold() -> None:
    # row: the truth; calling an affected person (0) a control (1) costs 5: affected from 1/6 on
    cost = [[0, 5], [1, 0]]
    assert decided([[0.16, 0.84], [0.17, 0.83]], cost) == [1, 0]


def test_rows_are_the_truth_and_columns_the_decision() -> None:
    # if the first is true, deciding for the third costs 10; the other way round nothing
    cost = [[0, 1, 10], [1, 0, 1], [0, 1, 0]]
    assert decided([[0.3, 0.0, 0.7]], cost) == [0]


def test_importance_is_what_getting_a_label_wrong_costs() -> None:
    np.testing.assert_allclose(importance(np.array([[0, 5.0], [1, 0]])), [5 / 3, 1 / 3])
    np.testing.assert_allclose(importance(1 - np.eye(4)), 1)
    np.testing.assert_allclose(importance(np.zeros((3, 3))), 1)  # nothing costs anything


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("miss=5", [[0, 5], [1, 0]]),
        ("false-alarm=2", [[0, 1], [2, 0]]),
        (" miss=5 , false-alarm=0.5", [[0, 5], [0.5, 0]]),
    ],
)
def test_costs_of_two_labels(text: str, expected: list[list[float]]) -> None:
    assert parse_cost(text, TWO, "affected", None).tolist() == expected
    assert parse_cost(text, TWO, None, "control").tolist() == expected
    assert parse_cost(text, TWO, "affected", "affected").tolist() == expected  # the positive one counts


def test_costs_of_several_labels_are_between_affected_and_controls() -> None:
    found = parse_cost("miss=5,false-alarm=3", THREE, None, "control")
    assert found.tolist() == [[0, 5, 1], [3, 0, 3], [1, 5, 0]]


@pytest.mark.parametrize("text", ["", "5", "miss", "miss=", "miss=0", "miss=-1", "miss=nan", "miss=inf",
                                  "hit=2", "miss=5,", "miss=5;false-alarm=2", "Miss=5"])  # fmt: skip
def test_what_is_no_cost_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^cost=.*is no cost\. Give miss=5 .*false-alarm=2, or both"):
        parse_cost(text, TWO, "affected", None)


@pytest.mark.parametrize(("positive", "controls"), [(None, None), ("turner", None), (None, "healthy")])
def test_who_is_missed_has_to_be_known(positive: str | None, controls: str | None) -> None:
    with pytest.raises(InputError, match=r"the costs need a positive label\. .*positive='LABEL'.*noonan"):
        parse_cost("miss=5", THREE, positive, controls)


def matrix(folder: Path, text: str) -> Path:
    path = folder / "cost.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_matrix_is_read_by_its_names(tmp_path: Path) -> None:
    path = matrix(tmp_path, "true,noonan,angelman\ncontrol,3,0.5\n\n angelman ,7,0\n")
    # pairs that are not listed cost 1
    assert read_cost_matrix(path, THREE).tolist() == [[0, 1, 7], [0.5, 0, 3], [1, 1, 0]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"no cost matrix\. The first row names decisions"),
        ("true,control,noonan\n", "no cost matrix"),
        ("true\ncontrol\n", "no cost matrix"),
        ("true,control,turner\ncontrol,0,1\n", r"unknown label 'turner'\. The labels are angelman, control"),
        ("true,control\nturner,1\n", r"unknown label 'turner'\. The labels are angelman, control, noonan\."),
        ("true,control,noonan\nangelman,1\n", r"the row of angelman has 2 cells, the first row 3"),
        ("true,control\nnoonan,-2\n", r"'-2' \(true noonan, decided control\) is no cost\. .* 0 or more"),
        ("true,control\nnoonan,much\n", "'much' .* is no cost"),
        ("true,control\nnoonan,nan\n", "'nan' .* is no cost"),
        ("true,control\nnoonan,inf\n", "'inf' .* is no cost"),
        ("true,control\nnoonan,\n", "'' .* is no cost"),
    ],
)
def test_what_is_no_matrix_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = matrix(tmp_path, text)
    with pytest.raises(InputError, match=said) as caught:
        read_cost_matrix(path, THREE)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_matrix_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv"):
        read_cost_matrix(tmp_path / "none.csv", THREE)
