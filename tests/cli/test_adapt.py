"""--adapt: photos of other sites brought to those of a target, from the command line to the answer."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cohorts
import pytest
from cohorts import TRAIN, Row, rows_of, two_labels, write
from conftest import Invoke, refused

from anthropo.adaptation import methods
from anthropo.errors import InputError
from anthropo.learning.bundle import read_bundle
from anthropo.learning.manifest import Manifest
from anthropo.learning.trained import Trained
from anthropo.workflows.domains import at_sites

BRIEF = (*TRAIN, "--regions", "face", "--classifier", "linear")
QUICK = (*BRIEF, "--folds", "2", "--repeats", "1")


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohorts.synthetic(tmp_path_factory)


@pytest.fixture(scope="session")
def table(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 of each of two labels, half of them from each of two sites."""
    rows = [{**row, "site": ("Bonn", "Ulm")[i % 2]} for i, row in enumerate(two_labels(synthetic))]
    return write(tmp_path_factory.mktemp("sites") / "cohort.csv", rows)


@pytest.fixture(scope="session")
def target(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 photos of others, of which no label is told."""
    folder = tmp_path_factory.mktemp("clinic")
    for row in rows_of(synthetic):
        if row["label"] == "synthetic-B":
            shutil.copy(row["photo"], folder)
    return folder


@pytest.fixture(scope="session")
def model(table: Path, target: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("adapted") / "m.anthropo"
    cohorts.run("train", table, "-o", path, *QUICK, "--no-judge", "--adapt", "coral", "--target", target)
    return path


def test_training_judges_beside_no_adaptation_and_keeps_what_was_done(
    table: Path, target: Path, tmp_path: Path, invoke: Invoke
) -> None:
    path = tmp_path / "m.anthropo"
    result = invoke("train", table, "-o", path, *QUICK, "--adapt", "combat", "--target", target)
    assert result.exit_code == 0
    assert "\nunadapted  " in result.stdout
    assert "note: the target's labels are not known, so that no figure here tells whether" in result.stderr
    manifest = read_bundle(path).manifest
    assert manifest["adaptation"]["method"] == "combat"
    assert manifest["adaptation"]["column"] == "site"
    assert manifest["adaptation"]["target"] == {"photos": 16, "patients": 16}
    assert {"hybrid", "unadapted"} <= manifest["validation"]["models"].keys()
    assert "--adapt combat --target TARGET" in manifest["command"]
    assert str(target) not in json.dumps(manifest)
    said = invoke("inspect", path).stdout
    said = " ".join(said.split())  # of several lines
    assert "combat, of Bonn (16 photos of 16 patients), Ulm (16 photos of 16 patients) to 16 photos" in said


def test_a_photo_is_of_the_target_unless_its_site_is_told(
    model: Path, table: Path, tmp_path: Path, invoke: Invoke
) -> None:
    photo = rows_of(table)[0]["photo"]

    def answered(*more: object) -> float:
        out = tmp_path / "a.json"
        assert invoke("classify", "--model", model, photo, "-o", out, "--force", *more).exit_code == 0
        (answer,) = json.loads(out.read_text())
        return float({r["label"]: r["log_odds"] for r in answer["ranked"]}["control"])

    as_target, from_bonn, from_ulm = answered(), answered("--site", "Bonn"), answered("--site", "Ulm")
    assert len({as_target, from_bonn, from_ulm}) == 3
    rows = [{"photo": photo, "site": "Bonn"}, {"photo": rows_of(table)[1]["photo"], "site": "Köln"}]
    given, out = write(tmp_path / "given.csv", rows), tmp_path / "b.json"
    result = invoke("classify", "--model", model, given, "-o", out, "--force")
    first = json.loads(out.read_text())[0]["ranked"]
    assert {r["label"]: r["log_odds"] for r in first}["control"] == pytest.approx(from_bonn)
    assert "note: Köln: no site of the training, and taken as the target's." in result.stderr
    trained = Trained.load(model)
    assert trained.domains is not None
    assert set(trained.domains.sites) == {"Bonn", "Ulm"}


def test_an_explanation_is_of_the_same_answer(
    model: Path, table: Path, tmp_path: Path, invoke: Invoke
) -> None:
    photo, out = rows_of(table)[2]["photo"], tmp_path / "why.json"
    assert invoke("explain", "--model", model, photo, "-o", out, "--force", "--site", "Ulm").exit_code == 0
    explained = json.loads(out.read_text())
    answer = tmp_path / "a.json"
    invoke("classify", "--model", model, photo, "-o", answer, "--force", "--site", "Ulm")
    ranked = {r["label"]: r["log_odds"] for r in json.loads(answer.read_text())[0]["ranked"]}
    for label in explained["labels"]:
        if label["label"] in ranked:
            assert label["log_odds"] == pytest.approx(ranked[label["label"]], abs=1e-5)
            terms = sum(c["log_odds"] for c in label["contributions"])
            assert label["bias"] + terms == pytest.approx(label["log_odds"], abs=1e-6)


def test_a_model_is_judged_at_the_sites_of_a_table(
    model: Path, table: Path, tmp_path: Path, invoke: Invoke
) -> None:
    there = [{name: cell for name, cell in row.items() if name != "site"} for row in rows_of(table)]
    figures = []
    for given in (table, write(tmp_path / "nowhere.csv", there)):
        out = tmp_path / "e.json"
        how = ("--model", model, "--allow-duplicates", "--bootstrap", "100", "-o", out)
        assert invoke("evaluate", given, *how).exit_code == 0
        figures.append(json.loads(out.read_text())["models"]["hybrid"]["log_loss"]["value"])
    assert figures[0] != figures[1]  # without sites all photos are taken as the target's


def test_sites_that_are_left_out_stand_beside_no_adaptation(
    table: Path, tmp_path: Path, invoke: Invoke
) -> None:
    page = tmp_path / "e.html"
    how = ("--leave-out", "site", "--compare", "adapt", "--bootstrap", "100", *BRIEF)
    result = invoke("evaluate", table, *how, "-o", page)
    assert result.exit_code == 0
    first = [line.split("  ")[0] for line in result.stdout.splitlines()]
    names = ["unadapted", "standardise", "coral", "subspace", "ot", "combat"]
    assert [name for name in first if name in names][:6] == names
    for method in names[1:]:
        assert f"Adapted ({method}): " in result.stdout
    assert "Proxy A-distance to the other photos: 0, nothing tells them apart" in result.stdout
    assert sum(line.startswith(("Bonn", "Ulm")) for line in result.stdout.splitlines()) == 12
    html = page.read_text()
    assert "<h2>Adaptation</h2>" in html
    assert "Proxy A-distance (Ben-David et al. 2007)" in html


def test_one_method_is_judged_beside_none_and_the_default_is_none(
    table: Path, tmp_path: Path, invoke: Invoke
) -> None:
    result = invoke("evaluate", table, "--adapt", "standardise", "--bootstrap", "100", *QUICK)
    assert re.search(r"^metric .* unadapted ", result.stdout, re.MULTILINE)
    assert "Adapted (standardise): " in result.stdout
    made = invoke("evaluate", table, "--no-baselines", "--bootstrap", "100", *QUICK).stdout
    assert "AUROC" in made
    assert "dapted" not in made


def test_methods_that_cannot_be_compared_are_named(
    table: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "find_spec", lambda name: None)
    result = invoke(
        "evaluate", table, "--leave-out", "site", "--compare", "adapt", "--bootstrap", "100", *BRIEF
    )
    assert (
        "note: left out of the comparison: --adapt coral needs skada, which is not installed."
        in result.stderr
    )
    assert "Adapted (combat): " in result.stdout
    assert "Adapted (coral): " not in result.stdout


# ------------------------------------------------------------------------------------- wrong use


def listed(path: Path, sites: list[str], labels: str = "ab", **more: str) -> Path:
    """Photos that nobody looks at."""
    rows: list[Row] = [
        {"photo": f"{i}.jpg", "label": labels[i // 2 % len(labels)], "patient": f"p{i}", "site": site, **more}
        for i, site in enumerate(sites)
    ]
    for row in rows:
        path.parent.joinpath(row["photo"]).touch()
    return write(path, rows)


TWO = ["Bonn", "Ulm"] * 20


@pytest.mark.parametrize(
    ("sites", "given", "says"),
    [
        (
            TWO,
            ("--target", "t/"),
            "--target t/ is about adaptation, and there is none. Choose a method, such",
        ),
        (TWO, ("--domain", "site"), "--domain site is about adaptation, and there is none."),
        (
            TWO,
            ("--adapt", "coral"),
            "--adapt coral: coral brings photos to those of a target. Name its photos",
        ),
        (TWO, ("--adapt", "combat", "--domain", "camera"), "--adapt combat: no column camera that names the"),
        (
            ["Bonn"] * 40,
            ("--adapt", "combat"),
            "every photo has site Bonn, and one domain alone is like itself.",
        ),
        (
            ["Bonn"] * 36 + ["Ulm"] * 4,
            ("--adapt", "combat"),
            "too few photos of site Ulm (4); 10 or more tell",
        ),
        ([*TWO[:-1], ""], ("--adapt", "combat"), "--adapt combat: no site of"),
        ([str(i) for i in range(101)], ("--adapt", "combat"), "site has 101 different values, 100 at most."),
    ],
)
def test_what_cannot_be_adapted_is_one_sentence(
    tmp_path: Path, invoke: Invoke, sites: list[str], given: tuple[str, ...], says: str
) -> None:
    refused(
        invoke, "train", listed(tmp_path / "c.csv", sites), "-o", tmp_path / "m.anthropo", *given, says=says
    )


def test_a_site_with_one_label_cannot_be_told_from_it(tmp_path: Path, invoke: Invoke) -> None:
    path = tmp_path / "c.csv"
    rows = [
        {"photo": f"{i}.jpg", "label": "ab"[i % 3 == 0], "patient": f"p{i}",
         "site": "Ulm" if i % 3 == 0 else "Bonn"}
        for i in range(60)
    ]  # fmt: skip
    for row in rows:
        (tmp_path / row["photo"]).touch()
    says = "everybody of site Bonn has the label a, so that site and label cannot be told apart: what takes"
    refused(invoke, "train", write(path, rows), "-o", tmp_path / "m.anthropo", "--adapt", "combat", says=says)


def test_without_sites_or_a_target_there_is_nothing_to_adapt_to(tmp_path: Path, invoke: Invoke) -> None:
    rows = [{"photo": f"{i}.jpg", "label": "ab"[i % 2], "patient": f"p{i}"} for i in range(40)]
    for row in rows:
        (tmp_path / row["photo"]).touch()
    table = write(tmp_path / "c.csv", rows)
    says = "--adapt combat: there are neither sites nor a target. Name the column of the sites with --domain"
    refused(invoke, "train", table, "-o", tmp_path / "m.anthropo", "--adapt", "combat", says=says)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--target", "t/"), "--target t/: with --leave-out site the site that is left out is the target."),
        (("--domain", "patient"), "--domain patient: with --leave-out site photos are adapted by site."),
    ],
)
def test_a_site_that_is_left_out_is_the_target(
    tmp_path: Path, invoke: Invoke, given: tuple[str, ...], says: str
) -> None:
    table = listed(tmp_path / "c.csv", TWO)
    refused(invoke, "evaluate", table, "--adapt", "coral", "--leave-out", "site", *given, says=says)


def test_an_unknown_method_is_refused_with_the_choices(table: Path, invoke: Invoke) -> None:
    result = invoke("train", table, "-o", "m.anthropo", "--adapt", "mmd")
    assert result.exit_code == 2
    assert "'mmd' is not one of 'none', 'standardise', 'coral', 'subspace', 'ot', 'combat'" in result.stderr


def test_a_target_of_few_photos_or_of_photos_that_are_trained_on(
    table: Path, target: Path, tmp_path: Path, invoke: Invoke
) -> None:
    how = ("train", table, "-o", tmp_path / "m.anthropo", *QUICK, "--no-judge", "--adapt", "combat")
    few = tmp_path / "few"
    few.mkdir()
    for photo in sorted(target.glob("*.jpg"))[:4]:
        shutil.copy(photo, few)
    refused(invoke, *how, "--target", few, says=f"{few}: 4 usable photos; 10 or more tell what photos of the")
    both = tmp_path / "both"
    shutil.copytree(target, both)
    copy = Path(rows_of(table)[0]["photo"])
    shutil.copy(copy, both / "seen.jpg")
    says = (
        f"{both}: photos of the target that are trained on as well, {copy} = {both / 'seen.jpg'} (same file)"
    )
    refused(invoke, *how, "--target", both, says=says)


def test_sites_of_a_model(model: Path, table: Path, invoke: Invoke) -> None:
    photo = rows_of(table)[0]["photo"]
    says = (
        "--site Köln: no site of the model, which are Bonn, Ulm. Left out, photos are taken as the target's."
    )
    refused(invoke, "classify", "--model", model, photo, "--site", "Köln", says=says)


def test_a_model_without_adaptation_has_no_sites() -> None:
    plain: Any = SimpleNamespace(domains=None, manifest=Manifest())
    photos: Any = object()
    assert at_sites(plain, photos, [], None) is photos
    with pytest.raises(
        InputError, match=r"site='Bonn': the model was trained without adapt, and reads photos"
    ):
        at_sites(plain, photos, [], "Bonn")
