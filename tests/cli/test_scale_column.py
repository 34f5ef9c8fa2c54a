"""The column `scale`: what gives millimetres, of each photo."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from conftest import Copies, Invoke

QUICK = ("--jitter", "1", "--no-fine")


def rows(path: Path) -> dict[str, dict[str, str]]:
    return {Path(row["photo"]).name: row for row in csv.DictReader(path.open())}


def test_each_photo_has_its_own_scale_and_a_wrong_one_is_a_note(
    invoke: Invoke, tmp_path: Path, copies: Copies
) -> None:
    copies(tmp_path, "a.png", "b.png", "c.png", "d.png")
    table, out = tmp_path / "cohort.csv", tmp_path / "faces.csv"
    table.write_text("photo,scale\na.png,mm-per-px=1.4\nb.png,mm-per-px=1.54\nc.png,\nd.png,ruler=3\n")
    result = invoke("measure", table, *QUICK, "-o", out)
    assert result.exit_code == 3
    assert "d.png: Column `scale` 'ruler=3': unknown kind 'ruler'." in result.stderr
    of = rows(out)
    a, b = (float(of[name]["biocular_width"]) for name in ("a.png", "b.png"))
    assert b == pytest.approx(1.1 * a)
    assert of["c.png"]["biocular_width"] == of["d.png"]["biocular_width"] == ""
    assert of["a.png"]["scale"] == "mm-per-px=1.4"

    table.write_text(table.read_text().replace("mm-per-px=1.54", "mm-per-px=1.26"))  # measured again
    invoke("measure", table, *QUICK, "-o", out, "--scale", "mm-per-px=1.5")
    again = rows(out)
    assert float(again["b.png"]["biocular_width"]) == pytest.approx(0.9 * a)
    assert float(again["c.png"]["biocular_width"]) == pytest.approx(a / 1.4 * 1.5)
