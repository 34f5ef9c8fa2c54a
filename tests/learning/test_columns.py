from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from anthropo.learning.columns import Columns, Scaler


def scaler(table: pd.DataFrame, rows: list[bool] | None = None) -> Scaler:
    columns = Columns.of(list(table.columns))
    return Scaler.fit(table, columns, None if rows is None else np.array(rows))


def test_columns_are_sorted_by_their_names() -> None:
    found = Columns.of(["philtrum_length", "face/0", "meta:age", "eyes/0", "face/1", "meta:a/3", "n/a"])
    assert found.measurements == ("philtrum_length", "n/a")
    assert found.regions == {"face": ("face/0", "face/1"), "eyes": ("eyes/0",)}
    assert found.metadata == ("meta:age", "meta:a/3")


def test_numbers_are_standardised_and_gaps_stay() -> None:
    table = pd.DataFrame({"a": [1.0, 3.0, np.nan, 5.0]})
    found = scaler(table).transform(table)
    np.testing.assert_allclose(found[:, 0], [-1, 0, np.nan, 1])


def test_measurements_are_standardised_by_the_controls() -> None:
    table = pd.DataFrame({"a": [1.0, 3.0, 5.0, 900.0, np.nan], "meta:age": [10.0, 20, 30, 40, 50]})
    found = scaler(table, [True, True, True, False, True])
    assert found.mean.tolist() == [3, 30]  # age: of everybody
    assert found.spread[0] == 2
    assert found.transform(table)[3, 0] == 5  # cut


def test_without_enough_controls_everybody_counts() -> None:
    table = pd.DataFrame({"a": [1.0, np.nan, 5.0], "b": [1.0, 2.0, 3.0]})
    found = scaler(table, [True, True, False])
    assert found.mean.tolist() == [3, 1.5]


@pytest.mark.parametrize("value", [1e9, -1e9])
def test_outliers_are_cut(value: float) -> None:
    table = pd.DataFrame({"a": [0.0, 1.0, 2.0]})
    found = scaler(table)
    assert found.transform(pd.DataFrame({"a": [value]})).tolist() == [[5 * np.sign(value)]]
    assert abs(found.transform(pd.DataFrame({"a": [value]}), clip=False)[0, 0]) > 1e8


def test_words_become_one_number_per_word() -> None:
    table = pd.DataFrame({"meta:sex": ["female", None, "male", "female", ""]})
    fit = scaler(table)
    assert fit.category == ("female", "male")
    assert fit.origin == ("meta:sex", "meta:sex")
    found = fit.transform(table)
    assert np.isnan(found[[1, 4]]).all()
    assert (found[[0, 3], 0] > 0).all()
    assert (found[[0, 3], 1] < 0).all()
    assert found[2, 0] < 0 < found[2, 1]


def test_a_word_that_was_not_there_is_none_of_those_that_were() -> None:
    fit = scaler(pd.DataFrame({"meta:sex": ["female", "male", "female"]}))
    assert (fit.transform(pd.DataFrame({"meta:sex": ["diverse"]})) < 0).all()


@pytest.mark.parametrize("empty", [np.nan, None])
def test_a_column_without_a_value(empty: float | None) -> None:
    table = pd.DataFrame({"a": [np.nan] * 3, "meta:age": [empty] * 3})
    fit = scaler(table)
    assert np.isnan(fit.transform(table)).all()
    assert np.isfinite([fit.mean, fit.spread]).all()
    # a value that turns up later is a number
    later = fit.transform(pd.DataFrame({"a": [1.0], "meta:age": [4.0]}))
    assert np.isfinite(later).all()


def test_a_constant_column_is_zero_and_not_divided() -> None:
    table = pd.DataFrame({"a": [0.1 + 0.2] * 4})
    assert scaler(table).transform(table).tolist() == [[0]] * 4


def test_a_word_in_a_column_of_numbers_is_a_gap() -> None:
    fit = scaler(pd.DataFrame({"meta:age": [1.0, 2.0, 3.0]}))
    found = fit.transform(pd.DataFrame({"meta:age": ["2", "old", None]}))
    np.testing.assert_allclose(found[:, 0], [0, np.nan, np.nan])


def test_infinity_is_a_gap() -> None:
    table = pd.DataFrame({"a": [0.0, 2.0, np.inf]})
    fit = scaler(table)
    assert fit.mean[0] == 1
    assert np.isnan(fit.transform(table)[2, 0])
