from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Invoke, Pixels, refused
from PIL import Image

from anthropo.files import file_sha256
from anthropo.reference import references_for
from anthropo.reference.person import WAYS
from anthropo.reference.shipped import shipped_references
from anthropo.reference.tables import ReferenceRow, load_reference
from anthropo.workflows import reference as workflow

PEOPLE = 12
Controls = Callable[..., Path]


def canthal(path: Path) -> list[ReferenceRow]:
    """A table's rows of a measurement that neither a smile nor a turned head voids."""
    return list(load_reference(path).rows_of("intercanthal_width"))


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory, astronaut: Pixels) -> Path:
    """A folder of twelve photographs that differ as people do: the astronaut, wider and narrower."""
    folder = tmp_path_factory.mktemp("controls")
    face = Image.fromarray(astronaut).crop((120, 20, 340, 260))
    for i, width in enumerate(np.linspace(0.9, 1.1, PEOPLE)):
        face.resize((round(253 * width), 276), Image.Resampling.BICUBIC).save(folder / f"p{i}.png")
    return folder


@pytest.fixture
def controls(faces: Path, tmp_path: Path) -> Controls:
    """controls({3: {"age": "eight"}}): the list of the twelve women of 30, but for the cells given."""

    def write(changes: dict[int, dict[str, str]] | None = None, without: str = "") -> Path:
        path = tmp_path / "controls.csv"
        with open(path, "w", newline="") as file:
            names = [n for n in ("photo", "sex", "age") if n != without]
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            writer.writeheader()
            for i in range(PEOPLE):
                row = {"photo": str(faces / f"p{i}.png"), "sex": "f", "age": "30"}
                writer.writerow({**row, **(changes or {}).get(i, {})})
        return path

    return write


# --------------------------------------------------------------------------------------- list


def test_list_tells_what_every_shipped_table_holds(invoke: Invoke) -> None:
    result = invoke("reference", "list")
    assert (result.exit_code, result.stderr) == (0, "")
    blocks = [b for b in result.stdout.split("\n") if b and not b.startswith(" ")]
    suffix = " (default, where it suits the person best)"
    assert [b.removesuffix(suffix) for b in blocks] == list(shipped_references())
    assert [b for b in blocks if b.endswith(suffix)] == [f"frl-adults{suffix}", f"web-all-ages{suffix}"]
    assert "asian, black, indian, other, white, or unknown: all of them mixed" in result.stdout
    text = " ".join(result.stdout.split())
    for name in shipped_references():
        for row in load_reference(name).rows:
            assert row.measurement in text
            assert " ".join(row.source.split()) in text
    assert "people female 1453 to 1454, male 2543 ages 17 to 66 years grade A unit mm" in text


def test_list_of_one_table_has_its_rows_source_and_sum(invoke: Invoke) -> None:
    result = invoke("reference", "list", "niosh-adults")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    cells = ["mouth_width", "mm", "male", "17", "to", "66", "2543", "51.65", "4.27", "2.83", "A"]
    assert cells in lines
    path = shipped_references()["niosh-adults"]
    assert file_sha256(path) in result.stdout
    assert "NIOSH" in result.stdout
    same = invoke("reference", "list", path)
    assert same.stdout.splitlines()[:7] == result.stdout.splitlines()[:7]


def test_list_for_an_age_has_only_what_can_score_it(invoke: Invoke) -> None:
    result = invoke("reference", "list", "--age", "1d")
    assert (result.exit_code, result.stderr) == (0, "")
    listed = [b.split()[0] for b in result.stdout.split("\n") if b and not b.startswith(" ")]
    assert listed == list(references_for(1 / 365.25))
    assert "ages 0 to 0.0055 years" in " ".join(result.stdout.split())
    old = invoke("reference", "list", "farkas-adults", "--age", 66)
    assert (old.exit_code, old.stdout) == (1, "")
    assert old.stderr == "Error: farkas-adults has nothing for age 66: 18 to 30 years.\n"
    young = invoke("reference", "list", "farkas-adults", "--age", 25)
    assert young.stdout == invoke("reference", "list", "farkas-adults").stdout
    refused(invoke, "reference", "list", "--age", "old", says="Error: Age 'old' is not an age.")


def test_list_of_an_unknown_table_is_wrong_use(invoke: Invoke, tmp_path: Path) -> None:
    refused(invoke, "reference", "list", "faces", says="Error: 'faces': no such reference. Shipped are ")
    told = refused(invoke, "reference", "list", tmp_path / "absent.csv")
    assert told == f"Error: {tmp_path / 'absent.csv'}: no such file.\n"


# -------------------------------------------------------------------------------------- build


def test_build_from_photographs_and_from_their_table_give_the_same(
    invoke: Invoke, controls: Controls, tmp_path: Path
) -> None:
    listed, table, ref = controls(), tmp_path / "faces.csv", tmp_path / "ref.csv"
    result = invoke("reference", "build", listed, "-o", ref, "--min-n", 10, "--source", "a test, made up")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"from 12 people. Use it with --reference {ref}." in result.stderr
    reference = load_reference(ref)
    assert {(r.sex, r.age_lo, r.age_hi) for r in reference.rows} == {("female", 30, 30)}
    assert {r.source for r in reference.rows} == {"a test, made up"}
    assert all(r.instrument.startswith("anthropo ") and r.error_sd == 0 for r in reference.rows)
    (row,) = canthal(ref)
    assert row.n == PEOPLE
    assert 0.3 < row.mean < 0.5
    assert 0 < row.sd < 0.05

    assert invoke("measure", listed, "-o", table).exit_code == 0
    again = tmp_path / "again.csv"
    result = invoke("reference", "build", table, "-o", again, "--min-n", 10, "--source", "a test, made up")
    assert result.exit_code == 0
    for one, two in zip(reference.rows, load_reference(again).rows, strict=True):
        assert (one.measurement, one.sex, one.n) == (two.measurement, two.sex, two.n)
        assert math.isclose(one.mean, two.mean, rel_tol=1e-5, abs_tol=1e-9)
        assert math.isclose(one.sd, two.sd, rel_tol=1e-5)


def test_a_table_is_not_measured_again(
    invoke: Invoke, controls: Controls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "faces.csv"
    invoke("measure", controls(), "-o", table, "--jitter", 1)  # values without intervals count

    def never(*_: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr(workflow, "run", never)
    result = invoke("reference", "build", table, "-o", tmp_path / "ref.csv", "--min-n", 10)
    assert result.exit_code == 0
    arguments = ("reference", "build", table, "-o", tmp_path / "ref.csv", "--landmark-model", "x.dat")
    refused(invoke, *arguments, says="has been measured already")


def test_what_is_left_out_is_named_in_one_sentence_each(
    invoke: Invoke, controls: Controls, tmp_path: Path, faceless_png: Path
) -> None:
    bad = {3: {"age": "eight"}, 5: {"sex": "x"}, 7: {"age": ""}, 8: {"photo": str(faceless_png)}}
    listed, ref = controls(bad), tmp_path / "ref.csv"
    result = invoke("reference", "build", listed, "-o", ref, "--min-n", 10)
    assert result.exit_code == 1  # eight people are left
    assert not ref.exists()
    for sentence in (
        f"p3.png: Age 'eight' is not an age. Give {WAYS}. Left out.",
        "p5.png: Sex 'x' is unknown. Give female (f, w) or male (m). Left out.",
        f"p7.png: The age is empty. Give {WAYS}. Left out.",
        f"{faceless_png}: no face found.",
        "female, 30 to 30 years: 8 people, 10 needed; left out.",
        f"Error: {listed}: no sex and age band has 10 people with a measured photo; {ref} is not",
    ):
        assert sum(sentence in line for line in result.stderr.splitlines()) == 1
    assert len(result.stderr.splitlines()) == 6

    table = tmp_path / "faces.csv"
    invoke("measure", listed, "-o", table)
    from_table = invoke("reference", "build", table, "-o", ref, "--min-n", 10)
    assert from_table.exit_code == 1
    words = sorted(line.split("/")[-1] for line in result.stderr.splitlines()[:-1])
    assert sorted(line.split("/")[-1] for line in from_table.stderr.splitlines()[:-1]) == words


def test_with_enough_people_left_the_table_is_written_and_the_exit_code_says_some_failed(
    invoke: Invoke, controls: Controls, tmp_path: Path
) -> None:
    ref = tmp_path / "ref.csv"
    listed = controls({0: {"age": "300"}, 1: {"sex": "m"}})
    result = invoke("reference", "build", listed, "-o", ref, "--min-n", 10)
    assert result.exit_code == 3
    assert {r.n for r in canthal(ref)} == {10}
    assert "male, 30 to 30 years: 1 person, 10 needed; left out." in result.stderr
    both = invoke("reference", "build", listed, "-o", ref, "--min-n", 10, "--by", "both")
    assert both.exit_code == 3
    assert {(r.sex, r.n) for r in canthal(ref)} == {("both", 11)}
    without = controls(without="sex")
    assert invoke("reference", "build", without, "-o", ref, "--min-n", 10, "--by", "both").exit_code == 0
    assert {(r.sex, r.n) for r in canthal(ref)} == {("both", 12)}


def test_bands_without_people_are_named(invoke: Invoke, controls: Controls, tmp_path: Path) -> None:
    ref = tmp_path / "ref.csv"
    options = ("-o", ref, "--min-n", 10, "--age-bands", "0-2,18-60")
    result = invoke("reference", "build", controls(), *options)
    assert result.exit_code == 3
    assert "female, 0 to 2 years: 0 people, 10 needed; left out." in result.stderr
    assert {(r.age_lo, r.age_hi) for r in canthal(ref)} == {(18, 60)}


def test_several_faces_of_one_photo_are_nobodys(invoke: Invoke, controls: Controls, tmp_path: Path) -> None:
    table = tmp_path / "faces.csv"
    invoke("measure", controls(), "-o", table)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    rows.append({**rows[0], "face": "1"})
    with open(table, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    result = invoke("reference", "build", table, "-o", tmp_path / "ref.csv", "--min-n", 10)
    assert result.exit_code == 3
    assert "p0.png: several faces in the table; left out. Measure it with --face largest." in result.stderr
    assert {r.n for r in canthal(tmp_path / "ref.csv")} == {PEOPLE - 1}


def test_wrong_use_is_told_before_anything_is_measured(
    invoke: Invoke, controls: Controls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr(workflow, "run", never)
    listed, ref = controls(), tmp_path / "ref.csv"
    for arguments, message in (
        ((listed, "-o", tmp_path / "ref.txt"), "Use a name that ends in .csv."),
        ((listed, "-o", tmp_path / "no" / "ref.csv"), "cannot be written"),
        ((listed, "-o", listed), "would overwrite what is read"),
        ((tmp_path / "absent.csv", "-o", ref), "absent.csv: no such file."),
        ((listed, "-o", ref, "--age-bands", "0-3,3-5"), "overlap"),
        ((listed, "-o", ref, "--age-bands", "old"), "Age band 'old' cannot be used"),
        (
            (listed, "-o", ref, "--by", "age", "--age-bands", "0-3"),
            "--age-bands is about bands of age, and --by age",
        ),
        ((listed, "-o", ref, "--by", "age", "--min-n", 30), "--min-n is about bands of age, and --by age"),
        ((listed, "-o", ref, "--min-n", 5), "5 is not in the range x>=10"),
        ((listed, "-o", ref, "--landmark-model", tmp_path / "absent.dat"), "absent.dat"),
        ((listed,), "Missing option '-o'"),
    ):
        refused(invoke, "reference", "build", *arguments, says=message)
    for column in ("sex", "age"):
        sentence = f"controls.csv: no column `{column}`; its columns are photo, "
        refused(invoke, "reference", "build", controls(without=column), "-o", ref, says=sentence)
        refused(
            invoke, "reference", "build", controls(without=column), "-o", ref, "--by", "age", says=sentence
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["controls.csv"]


def test_few_controls_adapt_the_shipped_curves_which_then_score_photos(
    invoke: Invoke, controls: Controls, faces: Path, tmp_path: Path
) -> None:
    listed, table, ref = controls({4: {"age": ""}}), tmp_path / "faces.csv", tmp_path / "ref.csv"
    result = invoke("reference", "build", listed, "-o", ref, "--by", "age", "--source", "one face, stretched")
    assert result.exit_code == 3
    lines = result.stderr.splitlines()
    assert sum("p4.png: The age is empty." in line for line in lines) == 1
    assert "All controls are female: there are curves of that sex only." in lines
    assert "measurements, 23.1 to 40.1 years, from 11 people: " in lines[-1]
    assert "adapted from web-all-ages (shift " in lines[-1]
    assert lines[-1].endswith(f"n 10 to 11). Use it with --reference {ref}.")
    reference = load_reference(ref)
    shipped, _ = load_reference("web-all-ages").choose("intercanthal_width", "female", 30)
    row, _ = reference.choose("intercanthal_width", "female", 30)
    assert row is not None
    assert shipped is not None
    assert (row.grade, row.source) == ("B", "web-all-ages, adapted to 11 controls: one face, stretched")
    assert row.mean != pytest.approx(shipped.mean, rel=1e-3)

    invoke("measure", listed, "-o", table)
    again = tmp_path / "again.csv"
    options = ("--by", "age", "--source", "one face, stretched")
    assert invoke("reference", "build", table, "-o", again, *options).exit_code == 3
    assert again.read_text().splitlines()[0] == ref.read_text().splitlines()[0]
    same, _ = load_reference(again).choose("intercanthal_width", "female", 30)
    assert same is not None
    assert same.mean == pytest.approx(row.mean, rel=1e-4)

    shown = invoke("reference", "list", ref)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "adapted to 11 controls: one face, stretched" in " ".join(shown.stdout.split())
    assert any(
        line.split()[:3] == ["intercanthal_width", "ex-ex", "female"] for line in shown.stdout.splitlines()
    )

    scored = tmp_path / "scored.csv"
    who = ("--sex", "f", "--age", 30, "--reference", ref)
    assert invoke("measure", faces / "p5.png", *who, "-o", scored).exit_code == 0
    (one,) = csv.DictReader(scored.read_text().splitlines())
    assert abs(float(one["intercanthal_width_z_ref.csv"])) < 4
    assert one["references"].startswith("ref.csv")


def test_controls_of_other_models_are_refused_before_they_are_measured(
    invoke: Invoke, controls: Controls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, ref = tmp_path / "faces.csv", tmp_path / "ref.csv"
    invoke("measure", controls(), "-o", table, "--no-fine")
    told = refused(invoke, "reference", "build", table, "-o", ref, "--by", "age")
    assert "its curves cannot be adapted to them. Measure with the models that come with anthropo" in told

    def never(*_: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr(workflow, "run", never)
    monkeypatch.setattr(workflow, "fine_sha256", lambda: "0" * 64)
    refused(invoke, "reference", "build", controls(), "-o", ref, "--by", "age", says="cannot be adapted")


def test_a_table_without_errors_of_repeating_makes_no_curves(
    invoke: Invoke, controls: Controls, tmp_path: Path
) -> None:
    table = tmp_path / "faces.csv"
    invoke("measure", controls(), "-o", table)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    with open(table, "w", newline="") as file:
        kept = [column for column in rows[0] if not column.endswith("_repeat_sd")]
        writer = csv.DictWriter(file, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    told = refused(invoke, "reference", "build", table, "-o", tmp_path / "ref.csv", "--by", "age")
    assert "a repeatability (column `…_repeat_sd`), which curves need. Measure them again." in told


def test_too_few_people_for_any_curve(invoke: Invoke, controls: Controls, tmp_path: Path) -> None:
    listed, ref = controls({k: {"age": ""} for k in range(4, PEOPLE)}), tmp_path / "ref.csv"
    result = invoke("reference", "build", listed, "-o", ref, "--by", "age")
    assert result.exit_code == 1
    few = "no measurement has 5 people with a measured photo"
    last = f"Error: {listed}: {few}; {ref} is not written. 8 were left out, for the reasons above."
    assert result.stderr.splitlines()[-1] == last
    assert not ref.exists()


def test_the_python_twin_makes_the_same_curves(tmp_path: Path, controls: Controls) -> None:
    built = workflow.build(controls(), workflow.BuildRequest(by="age"))
    built.write(tmp_path / "ref.csv")
    assert (tmp_path / "ref.csv").read_text() == built.as_csv()
    frame = built.to_frame()
    assert set(frame["sex"]) == {"female"}
    assert len(frame) == sum(len(curve.ages) for curve in built.curves.curves) if built.curves else False


def test_interrupted_nothing_is_written(
    invoke: Invoke, controls: Controls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "run", interrupt)
    result = invoke("reference", "build", controls(), "-o", tmp_path / "ref.csv")
    assert result.exit_code == 130
    assert "ref.csv is not written. To keep finished photos, run `anthropo measure" in result.stderr
    assert not (tmp_path / "ref.csv").exists()


def test_controls_whose_dates_tell_no_age_are_left_out(tmp_path: Path) -> None:
    """Without measuring anything: who nobody's age is known of is left out first."""
    table = tmp_path / "controls.csv"
    table.write_text("photo,sex,born,taken\na.png,f,1990-01-01,\nb.png,f,1990-01-01,2020-01-01\n")
    built = workflow.build(table, workflow.BuildRequest())
    why = (
        "The date of birth is given, and not when the photo was taken. Fill in the column `taken`, or `age`."
    )
    assert f"{tmp_path}/a.png: {why} Left out." in built.left_out
    assert f"{tmp_path}/b.png: no such file." in built.left_out
