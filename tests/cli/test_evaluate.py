from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cohorts
import pytest
from cohorts import FAST, TRAIN, rows_of, two_labels, write
from conftest import Invoke, refused

FIGURE = {"value", "lo", "hi", "n"}


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohorts.synthetic(tmp_path_factory)


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohorts.model(tmp_path_factory, "gallery")


QUICK = (*TRAIN, "--folds", 2, "--repeats", 1, "--bootstrap", 100)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_json_of_a_cohort(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    rows = [{**row, "ancestry": "ab"[i % 2]} for i, row in enumerate(two_labels(synthetic))]
    table, output = write(tmp_path / "c.csv", rows), tmp_path / "e.json"
    result = invoke("evaluate", table, "-o", output, *QUICK, "--prevalence", 0.1)
    assert result.exit_code == 0
    made = read(output)
    assert made["labels"] == ["control", "synthetic-A"]
    assert (made["n_photos"], made["n_patients"], made["positive"]) == (32, 32, "synthetic-A")
    assert list(made["models"]) == ["hybrid", "measurements", "regions", "metadata", "gate", "background"]
    for figures in made["models"].values():
        assert set(figures["auroc"]) == FIGURE
        assert figures["auroc"]["lo"] <= figures["auroc"]["value"] <= figures["auroc"]["hi"]
    hybrid = made["models"]["hybrid"]
    assert hybrid["auroc"]["value"] > 0.6
    assert 0 < hybrid["ppv_at_prevalence"]["value"] < 1
    assert made["shares"] == {"control": 0.5, "synthetic-A": 0.5}
    assert made["decided_at"] == {"control": 0.9, "synthetic-A": 0.1}
    assert "Decisions and sets" in result.stdout
    assert "are for labels as common as stated: control 90 %, synthetic-A 10 %." in result.stdout
    assert set(made["subgroups"]) == {"sex", "age", "ancestry"}
    assert {name: g["n_photos"] for name, g in made["subgroups"]["ancestry"].items()} == {"a": 16, "b": 16}
    assert made["settings"]["method"] == "2-fold cross-validation by patient"
    assert "background only" in result.stdout
    assert f"{output}: written." in result.stderr


def test_html_page_with_figures(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    table, output = write(tmp_path / "c.csv", two_labels(synthetic)), tmp_path / "e.html"
    result = invoke("evaluate", table, "-o", output, *QUICK, "--no-baselines")
    assert result.exit_code == 0
    text = output.read_text(encoding="utf-8")
    assert "synthetic-A against the others" in text
    assert text.count("<img ") >= 5
    assert "background only" not in text


def test_compare_puts_choices_side_by_side(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    table, output = write(tmp_path / "c.csv", two_labels(synthetic)), tmp_path / "e.json"
    arguments = ("evaluate", table, "-o", output, *QUICK, "--regions", "face")
    result = invoke(*arguments, "--compare", "classifier, balance")
    assert result.exit_code == 0
    names = [
        f"{c}, {b}" for c in ("xgboost", "linear", "svm", "svm-rbf") for b in ("weights", "resample", "none")
    ]
    made = read(output)
    assert list(made["models"]) == names
    lines = [line.split("  ")[0] for line in result.stdout.splitlines()]
    assert [line for line in lines if line in names] == names * lines.count("variant")
    assert len({json.dumps(figures) for figures in made["models"].values()}) > 1


def test_a_model_on_a_test_cohort(gallery: Path, synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    rows = [row for row in rows_of(synthetic) if row["label"] != "synthetic-B"][::2]
    unknown = {**rows_of(synthetic)[0], "label": "another"}
    unknown["photo"] = next(r["photo"] for r in rows_of(synthetic) if r["label"] == "synthetic-B")
    unknown["patient"] = "unknown"
    table, output = write(tmp_path / "test.csv", [*rows, unknown]), tmp_path / "e.json"
    result = invoke("evaluate", table, "--model", gallery, "-o", output, "--allow-duplicates")
    assert result.exit_code == 0
    made = read(output)
    assert (made["n_photos"], list(made["models"])) == (len(rows), ["hybrid"])
    assert made["left_out"] == [
        {
            "photo": unknown["photo"],
            "reason": f"{unknown['photo']}: the model does not know its label, another.",
        }
    ]
    assert sum(g["n_photos"] for g in made["subgroups"]["sex"].values()) == len(rows)
    assert made["positive"] is None  # the model has a third label, which it matches
    assert made["models"]["hybrid"]["sensitivity"]["value"] > 0.8  # it has seen them


def test_matched_labels_of_a_model_are_looked_for_in_its_gallery(
    gallery: Path, synthetic: Path, tmp_path: Path, invoke: Invoke
) -> None:
    others = [row for row in rows_of(synthetic) if row["label"] == "synthetic-B"][3:9]  # 3 are in the gallery
    rows = [*two_labels(synthetic)[:4], *({**row, "label": "Zoë syndrome"} for row in others)]
    table, page = write(tmp_path / "test.csv", rows), tmp_path / "e.html"
    for output in (tmp_path / "e.json", page):
        result = invoke("evaluate", table, "--model", gallery, "-o", output, "--allow-duplicates")
        assert result.exit_code == 0
    said = "Matching: 6 patients of 1 label that the model only matches, compared with its gallery."
    assert said in result.stdout
    assert said in page.read_text("utf-8")
    assert re.search(r"all labels \(3; 35 patients\) +top 1 +\d\.\d+ \(.* to .*\) +0\.333", result.stdout)
    made = read(tmp_path / "e.json")["nearest"]
    assert made["by_model"]
    assert made["galleries"]["matched labels"] == {"labels": 1, "patients": 3, "figures": {}, "chance": {}}
    assert made["galleries"]["all labels"]["figures"]["top_1"]["n"] == 6
    without = write(tmp_path / "without.csv", rows[:4])
    result = invoke("evaluate", without, "--model", gallery, "--allow-duplicates", "--bootstrap", 100)
    assert "Matching" not in result.stdout


def test_the_training_table_itself_is_warned_of(gallery: Path, invoke: Invoke) -> None:
    table = gallery.with_name("cohort.csv")
    result = invoke("evaluate", table, "--model", gallery, "--allow-duplicates", "--bootstrap", 100)
    assert result.exit_code == 0
    assert f"warning: {table} is the table that {gallery} was trained on" in result.stderr


def test_nobody_with_a_label_of_the_model(
    gallery: Path, synthetic: Path, tmp_path: Path, invoke: Invoke
) -> None:
    table = write(tmp_path / "c.csv", [{**row, "label": "x"} for row in rows_of(synthetic)[:3]])
    sentence = "Error: No photo has a label of the model. Its labels are Zoë syndrome, control, "
    refused(invoke, "evaluate", table, "--model", gallery, "--allow-duplicates", says=sentence)


def test_attributes_are_judged_one_by_one(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    table, output = write(tmp_path / "c.csv", cohorts.attributes(synthetic)), tmp_path / "e.json"
    arguments = ("evaluate", table, *QUICK, "--multilabel", "--no-baselines", "--regions", "face")
    result = invoke(*arguments, "-o", output)
    assert result.exit_code == 0
    made = read(output)["attributes"]
    assert set(made) == {"short fissures", "thin lip"}
    assert made["short fissures"]["labels"] == ["absent", "present"]
    assert made["short fissures"]["models"]["hybrid"]["auroc"]["value"] > 0.6
    sentence = "an HTML report is of one attribute. Name it with --positive"
    refused(invoke, *arguments, "-o", tmp_path / "e.html", says=sentence)
    assert invoke(*arguments, "-o", tmp_path / "e.html", "--positive", "thin lip").exit_code == 0
    assert (tmp_path / "e.html").exists()


def test_attributes_of_a_model(
    tmp_path_factory: pytest.TempPathFactory, synthetic: Path, tmp_path: Path, invoke: Invoke
) -> None:
    model = cohorts.model(tmp_path_factory, "attributes")
    table = write(tmp_path / "c.csv", cohorts.attributes(synthetic)[:20])
    arguments = ("evaluate", table, "--model", model, "--allow-duplicates", "--bootstrap", 100)
    assert invoke(*arguments, "-o", tmp_path / "e.json").exit_code == 0
    assert set(read(tmp_path / "e.json")["attributes"]) == {"short fissures", "thin lip"}


def test_distance_to_normal(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, invoke: Invoke) -> None:
    model = cohorts.model(tmp_path_factory, "normal")
    table, output = model.with_name("cohort.csv"), tmp_path / "e.json"
    normal = ("--normal", "healthy", "--specificity", 0.9, "--folds", 4)
    result = invoke("evaluate", table, *QUICK, *normal, "-o", output)
    assert result.exit_code == 0
    made = read(output)
    assert (made["positive"], made["settings"]["normal"]) == ("outside normal", "healthy")
    assert list(made["models"]) == ["hybrid", "measurements", "regions", "background"]
    judged = invoke(
        "evaluate", table, "--model", model, "--allow-duplicates", "--bootstrap", 100, "-o", output
    )
    assert judged.exit_code == 0
    assert read(output)["models"]["hybrid"]["specificity"]["value"] >= 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--compare", "size"), "--compare size: unknown. Choose from classifier, balance, encoder, adapt."),
        (("--model", "{model}", "--compare", "balance"), "--compare trains models; --model gives one."),
        (("--model", "{model}", "--cost", "miss=2"), "--cost is about training; --model is trained already."),
        (("--model", "{model}", "--positive", "x"), "--positive x: no label of the model."),
        (("-o", "e.csv"), "the suffix says what is written. Use .json or .html."),
        (("--positive", "x"), "--positive x: no photo has this label."),
    ],
)
def test_wrong_use(
    gallery: Path, tmp_path: Path, invoke: Invoke, arguments: tuple[str, ...], message: str
) -> None:
    given = [str(gallery) if a == "{model}" else a for a in arguments]
    more = () if "--model" in arguments else FAST
    table = gallery.with_name("cohort.csv")
    refused(invoke, "evaluate", table, *given, *more, "--allow-duplicates", says=message)


def test_prevalence_is_a_share(gallery: Path, invoke: Invoke) -> None:
    table = gallery.with_name("cohort.csv")
    for share, message in (
        ("control=1.5", "control=1.5: a share between 0 and 1 is needed"),
        ("x=0.1", "x=0.1: no such label."),
        (0.1, "--prevalence 0.1: of which label, since there is no positive one?"),
    ):
        refused(invoke, "evaluate", table, *TRAIN, "--prevalence", share, says=message)


def test_sites_take_the_place_of_folds(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    table = write(tmp_path / "c.csv", two_labels(synthetic))
    sentence = "--leave-out takes sites in place of folds. Leave --repeats out."
    refused(invoke, "evaluate", table, "--leave-out", "clinic", "--repeats", 2, says=sentence)


def test_nobody_is_left_to_match(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    rows = [{**row, "site": row["label"]} for row in two_labels(synthetic)]
    table = write(tmp_path / "c.csv", rows)
    for command in (
        ("evaluate",),
        ("train", "-o", tmp_path / "m.anthropo"),
        ("composite", "-o", tmp_path / "o"),
    ):
        refused(
            invoke, command[0], table, *command[1:], "--match", "site", says="--match site: no pair is left."
        )
    refused(
        invoke, "regions", table, "--label", "control", "--match", "bmi",
        says="--match bmi: no column bmi to match on.",
    )  # fmt: skip
