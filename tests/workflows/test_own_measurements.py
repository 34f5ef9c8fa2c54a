"""Measurements of one's own, from a table to z-scores, traits, models and records of runs."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Invoke, described, refused, sentence_of

import anthropo
from anthropo.errors import InputError, ModelError
from anthropo.learning import Features
from anthropo.learning.bundle import KIND, Bundle, read_bundle, write_bundle
from anthropo.learning.manifest import Manifest
from anthropo.measurement.registry import registry
from anthropo.reference.curves import as_csv as curves_as_csv
from anthropo.reference.curves import read_curves
from anthropo.reference.tables import as_csv, load_reference

# neither a smile nor an open mouth voids it
ROW = {
    "id": "jaw_eye_index", "name": "Jaw to eyes", "kind": "ratio", "unit": "%",
    "expression": "100 * d(goR, goL) / d(exR, exL)",
}  # fmt: skip
OTHER = ROW | {"expression": "100 * d(zyR, zyL) / d(exR, exL)"}
REFERENCE = (
    "measurement,unit,sex,age_lo,age_hi,n,mean,sd,grade,source,instrument,error_sd,expression\n"
    'jaw_eye_index,%,both,20,40,50,90,4,A,us,callipers,0,"100 * d(goR, goL) / d(exR, exL)"\n'
)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return written(tmp_path / "mine.csv", ROW)


def written(path: Path, *rows: dict[str, Any]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------------------- tables and runs


def test_a_table_has_it_and_a_changed_definition_is_measured_again(
    tmp_path: Path, astronaut_png: Path, mine: Path, invoke: Invoke
) -> None:
    out = tmp_path / "faces.csv"
    arguments = ("measure", astronaut_png, "-o", out, "--registry", mine, "--jitter", 2, "--no-fine")
    assert invoke(*arguments).exit_code == 0
    (first,) = read(out)
    assert float(first["jaw_eye_index_lo"]) < float(first["jaw_eye_index"]) < float(first["jaw_eye_index_hi"])
    assert not registry.user_defined
    assert "1 of them by an earlier run" in invoke(*arguments).stderr
    # what a run was made with is checked with it
    assert anthropo.verify(f"{out}.run.json").same
    written(mine, OTHER)
    assert anthropo.verify(f"{out}.run.json").changed == (f"input {mine} has changed",)
    assert "earlier run" not in invoke(*arguments).stderr
    (second,) = read(out)
    assert second["nasal_index_lo"] == first["nasal_index_lo"]
    assert float(second["jaw_eye_index"]) > 1.02 * float(first["jaw_eye_index"])
    # without the table it is gone, and no column that a user has added
    rows = [second | {"jaw_eye_index_z_own": "1.5", "jaw_eye_note": "seen"}]
    written(out, *rows)
    assert invoke(*arguments[:4], "--jitter", 2, "--no-fine").exit_code == 0
    (third,) = read(out)
    assert [name for name in third if name.startswith("jaw_eye")] == ["jaw_eye_note"]


def test_json_long_and_overlay_have_it(
    tmp_path: Path, astronaut_png: Path, mine: Path, invoke: Invoke
) -> None:
    common = ("--registry", mine, "--jitter", 2, "--no-fine")
    out = tmp_path / "faces.json"
    assert invoke("measure", astronaut_png, "-o", out, "--overlay", tmp_path / "o", *common).exit_code == 0
    document = json.loads(out.read_text())
    (record,) = document["photos"] if isinstance(document, dict) else document
    assert record["measurements"]["jaw_eye_index"]["unit"] == "%"
    assert record["measurements"]["jaw_eye_index"]["reliability"] is None
    page = tmp_path / "faces.html"
    assert invoke("measure", astronaut_png, "-o", page, *common).exit_code == 0
    assert "Jaw to eyes" in page.read_text()
    assert invoke("measure", astronaut_png, "--long", "-o", tmp_path / "long.csv", *common).exit_code == 0
    assert "jaw_eye_index" in {row["measurement"] for row in read(tmp_path / "long.csv")}


def test_options_name_what_cannot_be_used(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    bad = written(tmp_path / "bad.csv", ROW | {"expression": "100 * d(goR, goL) / d(goR, goR)"})
    for command in ("measure", "traits"):
        refused(
            invoke, command, astronaut_png, "--registry", bad, says="it divides by zero on ordinary faces"
        )
    refused(invoke, "measure", astronaut_png, "--registry", tmp_path / "gone.csv", says="no such file")


# ---------------------------------------------------------------------------- references, traits


def test_a_reference_states_the_definition_and_another_one_is_refused(
    tmp_path: Path, astronaut_png: Path, mine: Path, invoke: Invoke
) -> None:
    reference = tmp_path / "ref.csv"
    reference.write_text(REFERENCE)
    arguments = ("measure", astronaut_png, "--reference", reference, "--age", 30, "--sex", "f", "--jitter", 2)
    out = tmp_path / "z.csv"
    assert invoke(*arguments, "-o", out, "--registry", mine).exit_code == 0
    (row,) = read(out)
    z = (float(row["jaw_eye_index"]) - 90) / 4  # and a little less, as the SD is that of only 50 people
    assert 0.97 * z < float(row["jaw_eye_index_z_ref.csv"]) < z
    message = refused(invoke, *arguments, says="is a measurement of one's own. Add its definition")
    assert "--registry mine.csv" in message
    written(mine, OTHER)
    refused(
        invoke, *arguments, "--registry", mine,
        says="jaw_eye_index was 100 * d(goR, goL) / d(exR, exL) when the table was made, and is 100 * d(zyR",
    )  # fmt: skip


def test_tables_of_bands_and_of_curves_are_written_with_the_definition(tmp_path: Path) -> None:
    path = tmp_path / "ref.csv"
    path.write_text(REFERENCE)
    with registry.added(ROW):
        rows = load_reference(path).rows
        assert as_csv(rows) == REFERENCE
        head = "measurement,unit,sex,grade,age,n,median,sd,skew,source,instrument\n"
        text = head + "".join(
            f"jaw_eye_index,%,both,A,{age},50,90,4,0,us,anthropo 0.1.0\n" for age in (20, 40)
        )
        curves = read_curves(path, "ref.csv", text)
        again = curves_as_csv(curves.every(), ())
        assert again.splitlines()[0].endswith(",expression")
        read_curves(path, "ref.csv", again)
    with registry.added(OTHER):
        assert "when the table was made" in sentence_of(InputError, read_curves, path, "ref.csv", again)
    assert "measurement of one's own" in sentence_of(InputError, read_curves, path, "ref.csv", again)


@pytest.mark.parametrize(
    ("reliability", "status"), [("", "borderline"), ("0.9", "present"), ("0.2", "borderline")]
)
def test_a_rule_may_name_it_and_an_unknown_reliability_makes_no_trait(
    tmp_path: Path, astronaut_png: Path, reliability: str, status: str
) -> None:
    (tmp_path / "ref.csv").write_text(REFERENCE.replace(",90,4,", ",20,4,"))
    rules = tmp_path / "rules.csv"
    rules.write_text(
        "hpo_id,label,measurement,rule,kind,side\nHP:0012802,Broad jaw,jaw_eye_index,z > 2,objective,mid\n"
    )
    references = (str(tmp_path / "ref.csv"),)
    with registry.added(ROW | {"reliability": reliability}):
        made = anthropo.traits(astronaut_png, sex="f", age=30, references=references, rules=str(rules))
    (row,) = made.to_frame().to_dict("records")
    assert (row["label"], row["status"]) == ("Broad jaw", status)
    if not reliability:
        assert row["reason"] == (
            "no trait is called by measurements of low or unknown reliability alone (jaw_eye_index unknown)"
        )


# --------------------------------------------------------------------------------------- models


def features(*ids: str) -> Features:
    """Forty people of whom the affected have larger numbers."""
    random = np.random.default_rng(0)
    names = np.array([f"p{i}" for i in range(40)])
    numbers = random.normal(size=(40, len(ids))) + np.repeat([3.0, 0.0], 20)[:, None]
    return Features(
        photos=names, patients=names, digests=names, labels=np.repeat(["affected", "control"], 20),
        measurements=90 + 4 * numbers, measurement_ids=ids, regions={}, metadata={},
        prints=np.zeros((40, 625), np.float32),
    )  # fmt: skip


def trained(*ids: str, adapt: str = "none") -> anthropo.Trained:
    options = anthropo.Options(classifier="linear", parts=frozenset({"measurements"}), adapt=adapt)
    return anthropo.make_trained(
        features(*ids), options, "labels", anthropo.load_encoder(), anthropo.Settings(jitter=2, fine=False)
    )


def test_a_model_remembers_the_definitions_and_adds_them_when_it_is_loaded(tmp_path: Path) -> None:
    with registry.added(ROW):
        made = trained("nasal_index", "jaw_eye_index", adapt="standardise")
        here = made.predict(features("nasal_index", "jaw_eye_index"))
    made.save(tmp_path / "m.anthropo")
    assert not registry.user_defined
    again = anthropo.Trained.load(tmp_path / "m.anthropo")
    assert registry()["jaw_eye_index"].expression == ROW["expression"]
    assert [p.ranked[0] for p in again.predict(features("nasal_index", "jaw_eye_index"))] == [
        p.ranked[0] for p in here
    ]
    shown = dict(anthropo.inspect(tmp_path / "m.anthropo").rows)
    assert shown["own measurement jaw_eye_index"] == "Jaw to eyes: 100 * d(goR, goL) / d(exR, exL) (%)"
    # others that were added since do not disturb it
    registry.add(ROW | {"id": "later_index"})
    assert again.predict(features("nasal_index", "jaw_eye_index", "later_index"))[0].decision == "affected"
    settings = anthropo.Settings(jitter=2, fine=False)
    again.check_instrument(anthropo.load_encoder(), settings, "m.anthropo")
    registry.remove("jaw_eye_index")
    said = sentence_of(ModelError, again.check_instrument, anthropo.load_encoder(), settings, "m.anthropo")
    assert said.startswith("m.anthropo: trained with the measurement jaw_eye_index (100 * d(goR, goL)")
    registry.add(OTHER)
    said = sentence_of(ModelError, anthropo.Trained.load, tmp_path / "m.anthropo")
    assert "which is 100 * d(zyR, zyL) / d(exR, exL) by anthropo.registry.add(…) here" in said


def test_a_model_without_any_is_as_before(tmp_path: Path) -> None:
    trained("nasal_index").save(tmp_path / "m.anthropo")
    assert "own_measurements" not in read_bundle(tmp_path / "m.anthropo").manifest


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"expression": "__import__('os').system('touch gone')"}, "is not allowed in an expression"),
        ({"expression": "9**9**9 * d(goR, goL) / d(exR, exL)"}, "an exponent is one of"),
        ({"expression": "d(goR, goL) / d(exR, exR)"}, "divides by zero on ordinary faces"),
        ({"id": "nasal_width"}, "is a measurement of anthropo's already"),
        ({"voids": "yaw sunshine"}, "unknown gate check 'sunshine'"),
        ({"name": "x" * 5000}, "more than 4,000 characters"),
        ({"name": 7}, "is not of the type str"),
        ({"reliability": 2.0}, "a number from 0 to 1 is needed"),
        ({"id": "other_index"}, "jaw_eye_index"),
    ],
)
def test_a_hostile_file_is_refused(
    tmp_path: Path, change: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.anthropo"
    with registry.added(ROW):
        trained("nasal_index", "jaw_eye_index").save(path)
    bundle = read_bundle(path)
    manifest = {k: v for k, v in bundle.manifest.items() if k != "files"}
    manifest["own_measurements"] = [manifest["own_measurements"][0] | change]
    monkeypatch.setattr("anthropo.learning.bundle.Manifest.from_json", lambda document: Manifest())
    monkeypatch.setattr("anthropo.learning.bundle.KIND", replace(KIND, fault=lambda manifest: None))
    write_bundle(path, Bundle(manifest, bundle.arrays))
    monkeypatch.undo()
    assert says in sentence_of(ModelError, anthropo.Trained.load, path)
    assert not registry.user_defined
    assert not (tmp_path / "gone").exists()


def test_classify_and_explain_need_no_table(
    tmp_path: Path, astronaut_png: Path, mine: Path, invoke: Invoke
) -> None:
    path = tmp_path / "m.anthropo"
    with registry.added(ROW):
        ids = tuple(name for name, entry in registry().items() if not entry.needs_mm)
        trained(*ids).save(path)
    classify = ("classify", "--model", path, astronaut_png, "--cache", tmp_path / "cache", "--force")
    first = invoke(*classify, "-o", tmp_path / "a.json")
    assert first.exit_code == 0, first.output
    # with the table as well, and with another one: the same
    extra = written(tmp_path / "extra.csv", ROW | {"id": "later_index"})
    for more in (mine, extra):
        assert invoke(*classify, "-o", tmp_path / "b.json", "--registry", more).exit_code == 0
        assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()
    refused(
        invoke, *classify, "--registry", written(tmp_path / "o.csv", OTHER),
        says="Leave that out, or give it another name.",
    )  # fmt: skip
    explained = invoke("explain", "--model", path, astronaut_png, "--force", "-o", tmp_path / "e.json")
    assert explained.exit_code == 0, explained.output
    text = (tmp_path / "e.json").read_text()
    assert '"name": "jaw_eye_index"' in text
    assert not registry.user_defined


# -------------------------------------------------------------------------------------- the command


def test_the_command_lists_all_and_finds_some(invoke: Invoke) -> None:
    everything = invoke("registry")
    assert everything.exit_code == 0
    assert len(everything.stdout.splitlines()) == 1 + len(registry())
    found = invoke("registry", "--find", "PHILTRUM")
    assert [line.split()[0] for line in found.stdout.splitlines()[1:]] == [
        "philtrum_length", "philtrum_width", "philtrum_upper_lip_index", "philtrum_relief"
    ]  # fmt: skip
    nothing = invoke("registry", "--find", "elbow")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "--find elbow: no measurement has this" in nothing.stderr
    refused(invoke, "registry", "-o", "x.csv", says="-o is about measurements of your own")


def test_the_command_checks_tries_and_draws(tmp_path: Path, mine: Path, invoke: Invoke) -> None:
    shown = invoke("registry", mine)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == "jaw_eye_index: Jaw to eyes"
    assert lines[1].split(maxsplit=1) == ["expression", "100 * d(goR, goL) / d(exR, exL) (%)"]
    assert lines[-1].endswith("nothing, derived from its landmarks")
    assert any("95 % interval" in line and "example photo" in line for line in lines)
    page = tmp_path / "mine.html"
    assert invoke("registry", mine, "-o", page).exit_code == 0
    text = page.read_text()
    assert "Jaw to eyes" in text
    assert "data:image/svg+xml" in text
    out = tmp_path / "mine-checked.csv"
    assert invoke("registry", mine, "-o", out).exit_code == 0
    (row,) = read(out)
    assert float(row["lo"]) < float(row["value"]) < float(row["hi"])
    assert row["derived"] == "region side voids"
    assert list(row) == list(anthropo.check_registry(mine).to_frame().columns)
    described("registry", row)
    refused(invoke, "registry", mine, "--find", "x", says="--find is for the list of all measurements")
    refused(invoke, "registry", mine, "-o", mine, says="would overwrite what is read")
    refused(
        invoke, "registry", written(mine, ROW | {"unit": "kg"}), says="row 2, column unit: 'kg' of kind ratio"
    )
    assert not registry.user_defined
