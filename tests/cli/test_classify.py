from __future__ import annotations

import csv
import io
import json
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import cohorts
import pandas as pd
import pytest
from click.testing import Result
from cohorts import FAST, Row, rows_of, write
from conftest import Invoke, described, refused

import anthropo
from anthropo.learning.model import NONE_OF_THESE
from anthropo.plain import column_name

COLUMNS = ["patient", "photo", "photos", "status", "reason", "decision", "set", "typicality", "label_1"]
SHARES = ["shares", "shares_from"]
LABELS = ["control", "synthetic-A", "Zoë syndrome"]


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return rows_of(cohorts.synthetic(tmp_path_factory))


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohorts.model(tmp_path_factory, "gallery")


def of(rows: list[Row], label: str) -> list[str]:
    return [row["photo"] for row in rows if row["label"] == label]


def classified(invoke: Invoke, model: Path, *arguments: object) -> Result:
    result = invoke("classify", "--model", model, *arguments)
    assert result.exit_code == 0, result.output
    return result


def table(text: str) -> list[Row]:
    return list(csv.DictReader(io.StringIO(text)))


# -------------------------------------------------------------------------------------- terminal


def test_one_photo_is_a_ranked_table_with_decision_set_and_novelty(
    gallery: Path, rows: list[Row], invoke: Invoke
) -> None:
    photo = of(rows, "synthetic-A")[0]
    result = classified(invoke, gallery, photo)
    lines = result.stdout.splitlines()
    assert lines[0] == photo
    assert lines[1].split() == ["label", "probability", "log-odds", "in", "the", "set", "how"]
    probabilities = {}
    for label in LABELS:
        (line,) = [line for line in lines[2:5] if line.startswith(label)]
        probabilities[label] = float(line.removeprefix(label).split()[0])
        assert ("matched: cosine " in line) == (label == "Zoë syndrome")
        assert line.rstrip().endswith("with the nearest patient of 3" if "matched" in line else "trained")
    assert sum(probabilities.values()) == pytest.approx(1, abs=0.002)
    assert list(probabilities.values()) != sorted(probabilities.values())
    assert lines[2].startswith("synthetic-A")
    assert lines[5].startswith("decision   synthetic-A (least expected cost")
    assert lines[6].startswith("set        ")
    assert lines[6].endswith("at an error rate of 10 %")
    assert lines[7].endswith(" % are at least as unlike the others")
    assert lines[8].startswith("prevalence control 45.7 %, synthetic-A 45.7 %, Zoë syndrome 8.57 %: ")
    assert lines[8].endswith(" of training (others: --prevalence Zoë syndrome=0.02)")
    assert "Research use only, not a medical device." in lines[9]
    assert result.stderr.startswith(
        "note: the photo failed the photo gate (pitch): voided measurements are no"
    )
    assert result.stderr.endswith(
        "note: the model reads age, sex; no photo has them, so they count as missing. Give a CSV with the "
        "columns photo and these.\n"
    )


def test_top_hides_the_less_probable_but_never_the_set(
    gallery: Path, rows: list[Row], invoke: Invoke
) -> None:
    result = invoke("classify", "--model", gallery, of(rows, "control")[0], "--top", 1)
    shown = [label for label in LABELS if any(line.startswith(label) for line in result.stdout.splitlines())]
    assert "control" in shown
    assert len(shown) < 3
    assert f"… and {3 - len(shown)} less probable ones (--top)." in result.stdout


def test_attributes_are_present_or_absent(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], invoke: Invoke
) -> None:
    model = cohorts.model(tmp_path_factory, "attributes")
    result = classified(invoke, model, of(rows, "synthetic-A")[1])
    assert result.stderr.startswith("note: the photo failed the photo gate (pitch): ")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("short fissures")]
    assert " present" in line
    (decision,) = [line for line in result.stdout.splitlines() if line.startswith("decision")]
    assert "short fissures" in decision
    absent = classified(invoke, model, of(rows, "control")[1])
    (line,) = [line for line in absent.stdout.splitlines() if line.startswith("short fissures")]
    assert " absent" in line


def test_distance_to_normal_is_a_share_of_the_healthy(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], invoke: Invoke
) -> None:
    model = cohorts.model(tmp_path_factory, "normal")
    result = classified(invoke, model, of(rows, "control")[0])
    assert "al (specificity 0.9 among controls)" in result.stdout
    assert "typicality " in result.stdout
    assert " % are at least as far from the others; distance " in result.stdout
    answers = table(invoke("classify", "--model", model, *(row["photo"] for row in rows)).stdout)
    said = {row["photo"]: row["decision"] for row in answers}
    assert {*said.values()} == {"within normal", "outside normal"}
    healthy = [said[row["photo"]] for row in rows if row["label"] != "synthetic-A"]
    assert "outside normal" not in healthy  # it was trained on them


# -------------------------------------------------------------------------------------- several, files


def test_several_photos_in_a_pipe_are_csv(gallery: Path, rows: list[Row], invoke: Invoke) -> None:
    photos = [*of(rows, "synthetic-A")[:3], *of(rows, "control")[:3]]
    result = classified(invoke, gallery, *photos)
    answers = table(result.stdout)
    assert list(answers[0]) == COLUMNS + SHARES + [f"probability__{column_name(label)}" for label in LABELS]
    assert [row["photo"] for row in answers] == photos
    assert [row["decision"] for row in answers] == ["synthetic-A"] * 3 + ["control"] * 3
    for row in answers:
        assert sum(float(row[f"probability__{column_name(label)}"]) for label in LABELS) == pytest.approx(
            1, abs=1e-4
        )
        assert row["patient"] == ""
    assert "ms per photo" in result.stderr
    assert "5.6 million parameters" in result.stderr


def test_json_has_everything(gallery: Path, rows: list[Row], tmp_path: Path, invoke: Invoke) -> None:
    photo, output = of(rows, "control")[2], tmp_path / "a.json"
    result = invoke("classify", "--model", gallery, photo, "-o", output)
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{output}: 1 of 1 photos classified." in result.stderr
    (answer,) = json.loads(output.read_text(encoding="utf-8"))
    assert answer["photos"] == [photo]
    assert (answer["status"], answer["patient"], answer["task"]) == ("ok", None, "multiclass")
    assert 0 < answer["typicality"] <= 1
    ranked = answer["ranked"]
    assert [set(r) for r in ranked] == [
        {"label", "probability", "log_odds", "kind", "similarity", "in_set"}
    ] * 3
    assert sorted(r["label"] for r in ranked) == sorted(LABELS)
    assert [r["probability"] for r in ranked] == sorted((r["probability"] for r in ranked), reverse=True)
    for r in ranked:
        matched = r["label"] == "Zoë syndrome"
        assert r["kind"] == ("matched" if matched else "trained")
        assert (r["similarity"] is not None) == matched
        assert r["log_odds"] == pytest.approx(math.log(r["probability"] / (1 - r["probability"])), abs=1e-6)
    assert answer["set"] == [r["label"] for r in ranked if r["in_set"]]


def test_csv_and_parquet_files_agree(gallery: Path, rows: list[Row], tmp_path: Path, invoke: Invoke) -> None:
    photos = of(rows, "control")[:2]
    for name in ("a.csv", "a.parquet"):
        result = invoke("classify", "--model", gallery, *photos, "-o", tmp_path / name)
        assert (result.exit_code, result.stdout) == (0, "")
    a, b = pd.read_csv(tmp_path / "a.csv"), pd.read_parquet(tmp_path / "a.parquet")
    assert list(a) == list(b)
    described("classify", a, ["distance"])
    assert a["decision"].tolist() == b["decision"].tolist()
    assert a["probability__control"].tolist() == pytest.approx(b["probability__control"].tolist(), rel=1e-4)


def test_photos_of_a_patient_are_pooled(
    gallery: Path, rows: list[Row], tmp_path: Path, invoke: Invoke
) -> None:
    """A mean of the trained labels' log-odds against each other: between those of the photos alone."""
    photos = [of(rows, "control")[0], of(rows, "synthetic-A")[0]]
    cohort = write(
        tmp_path / "c.csv", [{"photo": p, "patient": "Ä 1", "age": "30", "sex": "F"} for p in photos]
    )
    (answer,) = _json(invoke, tmp_path, "--model", gallery, cohort)
    assert (answer["patient"], answer["photos"]) == ("Ä 1", photos)
    alone = write(tmp_path / "d.csv", [{"photo": p, "age": "30", "sex": "F"} for p in photos])
    odds = [_against_control(a) for a in _json(invoke, tmp_path, "--model", gallery, alone)]
    assert _against_control(answer) == pytest.approx(sum(odds) / 2, rel=1e-6)
    (together,) = _json(invoke, tmp_path, "--model", gallery, alone, "--patient")
    assert together["patient"] is None
    assert _against_control(together) == pytest.approx(sum(odds) / 2, rel=1e-6)


def _against_control(answer: dict[str, Any]) -> float:
    said = {r["label"]: r["probability"] for r in answer["ranked"]}
    return math.log(said["synthetic-A"] / said["control"])


def _json(invoke: Invoke, folder: Path, *arguments: object) -> list[dict[str, Any]]:
    result = invoke("classify", *arguments, "-o", folder / "x.json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads((folder / "x.json").read_text(encoding="utf-8"))
    return found


def _odds(answer: dict[str, Any], label: str) -> float:
    return float(next(r["log_odds"] for r in answer["ranked"] if r["label"] == label))


def test_metadata_change_the_answer_and_may_be_missing(
    gallery: Path, rows: list[Row], tmp_path: Path, invoke: Invoke
) -> None:
    photo = of(rows, "control")[0]
    said = [("19", "female"), ("40", "male"), ("", "NaN"), ("soon", "?")]
    cohort = write(
        tmp_path / "c.csv",
        [{"photo": photo, "patient": f"p{i}", "age": age, "sex": sex} for i, (age, sex) in enumerate(said)],
    )
    answers = _json(invoke, tmp_path, "--model", gallery, cohort)
    odds = [_odds(a, "control") for a in answers]
    assert odds[2] == odds[3]
    assert len({round(v, 9) for v in odds}) > 1


@pytest.mark.parametrize("label", ["synthetic-A", "Zoë syndrome"])
def test_a_stated_prevalence_moves_the_odds(
    gallery: Path, rows: list[Row], tmp_path: Path, invoke: Invoke, label: str
) -> None:
    photo = of(rows, "control")[0]
    given = ("--model", gallery, photo)
    (before,) = _json(invoke, tmp_path, *given)
    (after,) = _json(
        invoke, tmp_path, *given, "--prevalence", f"{label}=0.001", "--prevalence", "control=0.9"
    )
    assert (before["shares_from"], after["shares_from"]) == ("training", "stated")
    assert after["shares"] == pytest.approx({**after["shares"], label: 0.001, "control": 0.9})
    (p0, c0), (p1, c1) = (
        [next(r["probability"] for r in a["ranked"] if r["label"] == one) for one in (label, "control")]
        for a in (before, after)
    )
    factor = (0.001 / before["shares"][label]) / (0.9 / before["shares"]["control"])
    assert (p1 / c1) / (p0 / c0) == pytest.approx(factor, rel=1e-4)
    two = of(rows, "control")[:2]
    row, _ = table(classified(invoke, gallery, *two, "--prevalence", f"{label}=0.001").stdout)
    assert f"{label}=0.001" in row["shares"].split("; ")
    assert row["shares_from"] == "stated"


# -------------------------------------------------------------------------------------- failures


def test_failed_photos_have_a_row_and_exit_code_3(
    gallery: Path, rows: list[Row], faceless_png: Path, invoke: Invoke
) -> None:
    photo = of(rows, "control")[0]
    result = invoke("classify", "--model", gallery, faceless_png, photo, "gone.jpg")
    assert result.exit_code == 3
    answers = table(result.stdout)
    assert [row["status"] for row in answers] == ["failed", "ok", "failed"]
    assert answers[0]["reason"].startswith(f"{faceless_png}: no face found.")
    assert answers[0]["reason"] in result.stderr
    assert (answers[2]["photo"], answers[2]["probability__control"]) == ("gone.jpg", "")


def test_nothing_but_failures_is_exit_code_1(
    gallery: Path, faceless_png: Path, tmp_path: Path, invoke: Invoke
) -> None:
    result = invoke("classify", "--model", gallery, faceless_png)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no face found" in result.stderr
    result = invoke("classify", "--model", gallery, faceless_png, "-o", tmp_path / "a.json")
    assert result.exit_code == 1
    (answer,) = json.loads((tmp_path / "a.json").read_text())
    assert (answer["status"], answer["photos"]) == ("failed", [str(faceless_png)])


def test_a_face_unlike_all_others_is_none_of_these(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Row],
    astronaut_png: Path,
    tmp_path: Path,
    invoke: Invoke,
) -> None:
    """The photograph that the synthetic ones are made of, but laughing and in a space suit."""
    model = cohorts.model(tmp_path_factory, "strangers")
    known, stranger = _json(invoke, tmp_path, "--model", model, of(rows, "control")[0], astronaut_png)
    assert (known["decision"], known["reason"]) == ("one", None)
    assert stranger["decision"] == NONE_OF_THESE
    assert stranger["reason"] == "unlike everybody the model was trained with"
    assert stranger["typicality"] <= 0.1 < known["typicality"]
    shown = invoke("classify", "--model", model, astronaut_png).stdout
    assert "decision   none of these (unlike everybody the model was trained with)" in shown
    assert "of the people that the model knows, only " in shown
    assert "are at least as unlike the others" in shown


def test_another_encoder_or_instrument_is_refused(
    gallery: Path, rows: list[Row], invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = of(rows, "control")[0]
    sentence = f"Error: {gallery}: trained on photos measured with jitter 2, these would be with 4."
    refused(invoke, "classify", "--model", gallery, photo, "--jitter", 4, says=sentence)
    refused(invoke, "classify", "--model", gallery, photo, "--fine", says="fine weights")
    monkeypatch.setattr("anthropo.encoder.encoders._VERSION", 99)
    sentence = f"Error: {gallery}: trained with the encoder face-resnet ("
    refused(invoke, "classify", "--model", gallery, photo, says=sentence)


def test_encoder_weights_that_are_none(
    gallery: Path, rows: list[Row], tmp_path: Path, invoke: Invoke
) -> None:
    weights, photo = tmp_path / "w.dat", of(rows, "control")[0]
    weights.write_bytes(b"nothing")
    arguments = ("classify", "--model", gallery, photo, "--encoder-weights", weights)
    refused(invoke, *arguments, says=f"{weights}: ")


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("kind", ["missing", "text", "truncated", "pickle", "path"])
@pytest.mark.parametrize("command", ["classify", "inspect", "evaluate"])
def test_a_hostile_model_is_one_sentence_and_runs_nothing(
    gallery: Path, rows: list[Row], tmp_path: Path, invoke: Invoke, kind: str, command: str
) -> None:
    model, mark = tmp_path / "m.anthropo", tmp_path / "mark"
    if kind == "text":
        model.write_text("Dear colleague")
    elif kind == "truncated":
        model.write_bytes(gallery.read_bytes()[:-1000])
    elif kind == "pickle":
        model.write_bytes(pickle.dumps(_Evil(mark)))
    elif kind == "path":
        with zipfile.ZipFile(model, "w") as archive:
            archive.writestr("../mark", "x")
            archive.writestr("manifest.json", "{}")
    arguments = {
        "classify": ("--model", model, of(rows, "control")[0]),
        "inspect": (model,),
        "evaluate": (gallery.with_name("cohort.csv"), "--model", model),
    }[command]
    assert refused(invoke, command, *arguments, says=f"Error: {model}: ").count("\n") == 1
    assert not mark.exists()


def test_wrong_use(gallery: Path, rows: list[Row], tmp_path: Path, invoke: Invoke) -> None:
    photo = of(rows, "control")[0]
    refused(invoke, "classify", photo, says="Missing option '--model'")
    for output, message in (
        ("a.txt", "the suffix says what is written. Use .csv, .json or .parquet."),
        ("no/a.csv", "cannot be written."),
    ):
        refused(invoke, "classify", "--model", gallery, photo, "-o", tmp_path / output, says=message)
    for shares, message in (
        ("0.02", "--prevalence 0.02: of which label, since there is no positive one?"),
        ("control=0", "--prevalence control=0: a share between 0 and 1 is needed"),
        ("x=0.1", "--prevalence x=0.1: no such label. The labels are control, synthetic-A, Zoë syndrome."),
        ("control=0.7,synthetic-A=0.6", "the shares add up to 1.3, and nothing is left for Zoë syndrome."),
    ):
        for command in ("classify", "explain"):
            refused(invoke, command, "--model", gallery, photo, "--prevalence", shares, says=message)
    cohort = write(tmp_path / "c.csv", [{"photo": photo}])
    before = cohort.read_bytes()
    sentence = "would overwrite what is read"
    refused(invoke, "classify", "--model", gallery, cohort, "-o", cohort, says=sentence)
    assert cohort.read_bytes() == before


def test_settings_of_training_are_used_again(gallery: Path, rows: list[Row], invoke: Invoke) -> None:
    photo = of(rows, "synthetic-A")[3]
    said = invoke("classify", "--model", gallery, photo, *FAST)
    assert said.stdout == invoke("classify", "--model", gallery, photo).stdout


def test_in_python(gallery: Path, rows: list[Row], faceless_png: Path) -> None:
    photos = [of(rows, "synthetic-A")[0], str(faceless_png)]
    answers = anthropo.load_model(gallery).classify(photos)
    assert [p.decision for p in answers.predictions] == ["synthetic-A"]
    assert [f.photo for f in answers.failed] == [str(faceless_png)]
    table = answers.to_frame()
    assert list(table.columns) == [
        *COLUMNS,
        *SHARES,
        *(f"probability__{column_name(label)}" for label in LABELS),
    ]
    assert table.status.tolist() == ["ok", "failed"]
    assert any("the model reads age, sex" in note for note in answers.notes)
