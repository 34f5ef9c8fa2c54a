"""Results in long form."""

from pathlib import Path

import pandas as pd
import pytest
from conftest import Copies, Invoke, refused

import anthropo
from anthropo.batch.long import COLUMNS
from anthropo.measurement.registry import registry
from anthropo.plain import column_name


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_long_form_says_what_the_wide_one_does(
    tmp_path: Path, copies: Copies, faceless_png: Path, invoke: Invoke, suffix: str
) -> None:
    copies(tmp_path / "photos", "a.png")
    (tmp_path / "photos" / "b.png").write_bytes(faceless_png.read_bytes())
    options = ("--jitter", 2, "--sex", "female", "--age", "40", "--scale", "ipd=63")
    references = ("--reference", "frl-adults", "--reference", "niosh-adults")
    long, wide = tmp_path / f"long.{suffix}", tmp_path / "wide.csv"
    for _ in range(2):  # the second time from the records beside the table
        result = invoke("measure", tmp_path / "photos", "--long", "-o", long, *options, *references)
        assert result.exit_code == 3
    assert invoke("measure", tmp_path / "photos", "-o", wide, *options, *references).exit_code == 3
    rows = pd.read_csv(long) if suffix == "csv" else pd.read_parquet(long)
    assert tuple(rows.columns) == COLUMNS
    failed, good = rows[rows.status == "failed"], rows[rows.status != "failed"]
    assert len(failed) == 1
    assert failed.reason.str.contains("no face found").all()
    assert set(good.measurement) <= set(registry())
    flat = pd.read_csv(wide).iloc[0]
    seen = 0
    for row in good.itertuples():
        column = (
            f"{row.measurement}_mm"
            if f"{row.measurement}_mm" in flat and row.unit == "mm"
            else row.measurement
        )
        assert row.value == pytest.approx(flat[column], nan_ok=True)
        assert (row.status == "void") == pd.isna(row.value)
        assert row.status == "ok" or row.reason
        if isinstance(row.reference, str):
            seen += 1
            assert row.z == pytest.approx(
                flat[f"{row.measurement}_z_{column_name(row.reference)}"], nan_ok=True
            )
    assert set(good.reference.dropna()) == {"frl-adults", "niosh-adults"}
    assert seen >= 20
    assert {"mm", "ex-ex", "deg"} <= set(good.unit)


def test_long_frame_in_python() -> None:
    child = anthropo.measure_table(
        anthropo.example_photo(), jitter=2, long=True, sex="female", age=9, ancestry="ASIAN"
    )
    assert set(child.ancestry[child.z.notna()]) == {"asian"}
    frame = anthropo.measure_table(anthropo.example_photo(), jitter=2, long=True)
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == len(set(frame.measurement))


def test_wrong_use(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    told = refused(invoke, "measure", astronaut_png, "--long")
    assert told == "Error: --long is a table: name it with -o FILE.csv or FILE.parquet.\n"
    sentence = "a table in long form ends in .csv or .parquet"
    refused(invoke, "measure", astronaut_png, "--long", "-o", tmp_path / "a.json", says=sentence)
