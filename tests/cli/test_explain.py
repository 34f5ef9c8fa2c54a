"""`anthropo explain`: exact sums, one page that needs nothing else, and what it refuses."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohorts import FAST, model, rows_of, synthetic, write
from conftest import refused
from PIL import Image

import anthropo
from anthropo import photo
from anthropo.errors import InputError
from anthropo.face import landmarker
from anthropo.learning import features
from anthropo.learning.bundle import Bundle, read_bundle, write_bundle
from anthropo.learning.manifest import Refits
from anthropo.learning.model import LabelModel
from anthropo.synthetic import make_cohort
from anthropo.workflows.cohort import PhotoReading
from anthropo.workflows.explain import UnusableError

pytestmark = pytest.mark.usefixtures("maps_drawn_once")


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of a synthetic-A that no model has seen."""
    folder = tmp_path_factory.mktemp("new")
    return next(make_cohort(folder / "new", 1, ("synthetic-A",), seed=9).parent.glob("*.jpg"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return lambda kind: model(tmp_path_factory, kind)


@pytest.fixture
def no_heatmaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where heatmaps are not the point: most of an explanation's time goes into judging them."""
    monkeypatch.setattr(
        "anthropo.workflows.explain._with_heat", lambda case, *_: replace(case, heat_reason="Not drawn.")
    )


def told(invoke: Any, output: Path, *arguments: Any) -> Any:
    result = invoke("explain", *arguments, *FAST, "-j", "1", "-o", output)
    assert result.exit_code == 0, result.output
    return json.loads(output.read_text(encoding="utf-8")) if output.suffix == ".json" else output


def test_every_label_adds_up_and_agrees_with_classify(
    invoke: Any, models: Any, person: Path, tmp_path: Path
) -> None:
    made = told(invoke, tmp_path / "why.json", "--model", models("gallery"), person, "--sex", "female")
    assert made["photo"] == str(person)
    assert [e["label"] for e in made["labels"]][-1] == "none of these"
    assert len(made["labels"]) == 4
    for own in made["labels"]:
        total = own["bias"] + own["residual"] + sum(c["log_odds"] for c in own["contributions"])
        assert total == pytest.approx(own["log_odds"], abs=1e-6)
        assert {c["kind"] for c in own["contributions"]} <= {"measurement", "region", "metadata"}
    said = {r["label"]: r["log_odds"] for r in made["ranked"]}
    for own in made["labels"]:
        if own["how"] == "trained":
            assert own["log_odds"] == pytest.approx(said[own["label"]], abs=1e-6)
    trained = next(e for e in made["labels"] if e["how"] == "trained")
    assert {"age", "sex"} <= {c["name"] for c in trained["contributions"] if c["kind"] == "metadata"}
    measured = [c for c in trained["contributions"] if c["kind"] == "measurement" and c["value"]]
    assert all(c["lo"] <= c["value"] <= c["hi"] for c in measured)
    assert all(c["z_training"] is not None for c in measured)
    people = [set(c["people"]) for c in measured]  # three people are too few to be shown
    assert {"control", "synthetic-A"} in people
    assert all(shown <= {"control", "synthetic-A"} for shown in people)
    assert set(made["heatmaps"]["regions"]) == {"face", "lower", "eyes", "mouth"}
    assert {"faithful", "sanity_correlation", "deletion"} <= set(made["heatmaps"]["whole"])


def test_a_page_that_needs_nothing_else(invoke: Any, models: Any, person: Path, tmp_path: Path) -> None:
    page = told(
        invoke, tmp_path / "why.html", "--model", models("gallery"), person, "--age", "30", "--sex", "female",
        "--matches",
    )  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 3_000_000
    assert "<script" not in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert not re.findall(r"https?://", text)
    for part in ("What speaks for it and against it", "Where the regions look", "Photo gate", "The model"):
        assert part in text
    assert text.count("data:image/jpeg") >= 7  # photo, two averages, two maps, regions
    assert "Zoë syndrome: cosine" in text
    assert "z, web-all-ages (B/C, unknown)" in text


def test_nothing_of_the_photo_is_in_an_anonymous_page(
    invoke: Any, models: Any, person: Path, tmp_path: Path
) -> None:
    page = told(invoke, tmp_path / "why.html", "--model", models("strangers"), person, "--anonymous")
    text = page.read_text(encoding="utf-8")
    assert person.name not in text
    assert "The photo is left out of this report." in text
    made = told(invoke, tmp_path / "why.json", "--model", models("strangers"), person, "--anonymous")
    assert made["photo"] is None
    assert made["photos"] == []
    assert person.name not in json.dumps(made)


@pytest.mark.usefixtures("no_heatmaps")
def test_what_an_older_model_says_of_its_cohorts_file_is_not_in_an_anonymous_page(
    invoke: Any, models: Any, person: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old.anthropo"
    bundle = read_bundle(models("strangers"))
    manifest = {**bundle.manifest, "command": "anthropo train Family-Doe.csv --output m.anthropo"}
    write_bundle(old, Bundle(manifest, bundle.arrays))
    for name, more in (("why.html", ()), ("hidden.html", ("--anonymous",))):
        text = told(invoke, tmp_path / name, "--model", old, person, *more).read_text(encoding="utf-8")
        assert ("Family-Doe" in text) == (not more)


def test_a_picture(invoke: Any, models: Any, person: Path, tmp_path: Path) -> None:
    path = told(invoke, tmp_path / "why.png", "--model", models("strangers"), person)
    with Image.open(path) as picture:
        assert picture.width > 1000
        assert np.asarray(picture.convert("RGB")).std() > 10


def test_the_terminal_tells_the_sum(invoke: Any, models: Any, person: Path) -> None:
    result = invoke("explain", "--model", models("strangers"), person, *FAST)
    assert result.exit_code == 0, result.output
    assert "before anything is seen (bias)" in result.output
    assert "region: face" in result.output
    assert "What would change the decision" in result.output


@pytest.mark.parametrize("kind", ["attributes", "normal"])
def test_other_kinds_of_models(invoke: Any, models: Any, person: Path, tmp_path: Path, kind: str) -> None:
    made = told(invoke, tmp_path / "why.json", "--model", models(kind), person)
    for own in made["labels"]:
        total = own["bias"] + own["residual"] + sum(c["log_odds"] for c in own["contributions"])
        assert total == pytest.approx(own["log_odds"], abs=1e-6)
    if kind == "normal":
        assert [e["label"] for e in made["labels"]] == ["outside normal"]
        assert "no heatmap" in made["heatmap_reason"]
    told(invoke, tmp_path / "why.html", "--model", models(kind), person)


@pytest.mark.usefixtures("no_heatmaps")
def test_photos_of_one_person(invoke: Any, models: Any, tmp_path: Path, tmp_path_factory: Any) -> None:
    photos = [row["photo"] for row in rows_of(synthetic(tmp_path_factory))[:2]]
    sentence = "2 photos of 2 people; one person is explained at a time. Pass --patient"
    refused(invoke, "explain", "--model", models("strangers"), *photos, *FAST, says=sentence)
    made = told(invoke, tmp_path / "why.json", "--model", models("strangers"), "--patient", *photos)
    assert made["n_photos"] == 2
    table = write(tmp_path / "visits.csv", [{"photo": p, "patient": "p07"} for p in photos])
    assert told(invoke, tmp_path / "why.json", "--model", models("strangers"), table)["n_photos"] == 2


@pytest.mark.usefixtures("no_heatmaps")
def test_a_photo_that_the_gate_voids_is_not_judged(
    invoke: Any, models: Any, person: Path, tmp_path: Path
) -> None:
    blurred = tmp_path / "blurred.jpg"
    with Image.open(person) as picture:
        picture.resize((picture.width // 5, picture.height // 5)).resize((220, 240)).save(blurred)
    made = told(invoke, tmp_path / "why.json", "--model", models("strangers"), blurred)
    if made["voided"] is None:
        pytest.fail("the picture was meant to be unfit")
    assert re.match(r"The photo gate finds the photo unfit, which voids \d+ of \d+ ", made["voided"])
    assert made["decision"] is None
    assert made["labels"] == made["ranked"] == made["set"] == made["changes"] == []
    answers = tmp_path / "answers.json"
    assert invoke("classify", "--model", models("strangers"), blurred, "-o", answers).exit_code == 1
    (answer,) = json.loads(answers.read_text())  # the two commands agree on what is unfit
    assert (answer["status"], answer["reason"]) == ("failed", f"{blurred}: {made['voided']}")
    assert invoke("classify", "--model", models("strangers"), blurred, "--force").exit_code == 0
    forced = told(invoke, tmp_path / "why.json", "--model", models("strangers"), blurred, "--force")
    assert forced["voided"] is None
    assert forced["labels"]
    shown = invoke("explain", "--model", models("strangers"), blurred, *FAST).stdout
    assert shown.startswith(f"{blurred}: The photo gate finds the photo unfit")
    page = told(invoke, tmp_path / "why.html", "--model", models("strangers"), blurred)
    text = page.read_text(encoding="utf-8")
    assert "This photo is not judged" in text
    assert "What speaks for it" not in text
    drawn = ("explain", "--model", models("strangers"), blurred, *FAST, "-o", tmp_path / "why.png")
    refused(invoke, *drawn, says="There is nothing to draw")


def test_no_face_and_no_model(invoke: Any, models: Any, faceless_png: Path, person: Path) -> None:
    result = invoke("explain", "--model", models("strangers"), faceless_png, *FAST)
    assert result.exit_code == 1
    assert "no face found" in result.output
    refused(invoke, "explain", "--model", person, person, *FAST, says="not a model of anthropo")


@pytest.mark.usefixtures("no_heatmaps")
def test_several_photos_are_one_answer_in_any_order(
    invoke: Any, models: Any, person: Path, tmp_path: Path
) -> None:
    other, blurred = tmp_path / "other.png", tmp_path / "blurred.jpg"
    with Image.open(person) as picture:
        picture.rotate(2, Image.Resampling.BICUBIC, fillcolor=(120, 120, 120)).save(other)
        picture.resize((picture.width // 5, picture.height // 5)).resize((220, 240)).save(blurred)
    common = ("--model", models("strangers"), "--patient", "--sex", "female", "--age", "30")
    one = told(invoke, tmp_path / "one.json", *common, person)
    made = told(invoke, tmp_path / "a.json", *common, person, other, blurred)
    again = told(invoke, tmp_path / "b.json", *common, blurred, other, person)
    assert made["n_photos"] == again["n_photos"] == 2
    assert len(made["left_out"]) == 1
    assert made["left_out"][0].startswith(f"{blurred}: left out. The photo gate finds the photo unfit")
    for key in ("decision", "gate", "sha256"):
        assert made[key] == again[key]
    for a, b in zip(made["labels"], again["labels"], strict=True):
        assert a["log_odds"] == pytest.approx(b["log_odds"], abs=1e-6)
    name = "palpebral_fissure_length_R"
    assert made["measurements"][name]["value"] == pytest.approx(again["measurements"][name]["value"])
    assert made["measurements"][name]["value"] != one["measurements"][name]["value"]  # pooled
    page = told(invoke, tmp_path / "why.html", *common, person, other, "--anonymous").read_text()
    assert "2 photos of one person" in page
    assert "from all 2 photos; the picture, the gate and the heatmaps are of the photo that is best" in page
    assert "other.png" not in page


@pytest.mark.parametrize("command", ["explain", "classify"])
def test_photos_of_one_person_that_disagree_in_sex(
    invoke: Any, models: Any, person: Path, tmp_path: Path, command: str
) -> None:
    other = tmp_path / "other.png"
    with Image.open(person) as picture:
        picture.save(other)
    rows = [
        {"photo": str(person), "patient": "p1", "sex": "female"},
        {"photo": str(other), "patient": "p1", "sex": "m"},
    ]
    table = write(tmp_path / "c.csv", rows)
    sentence = f": female in {person}, male in {other}. Correct the column `sex`, or `patient`."
    refused(invoke, command, "--model", models("strangers"), table, *FAST, says=sentence)


def test_matches_of_a_model_that_has_none(invoke: Any, models: Any, person: Path) -> None:
    result = invoke("explain", "--model", models("strangers"), person, "--matches", *FAST)
    assert result.exit_code == 0
    assert "has no matched labels, whose nearest patients are compared" in result.stderr


def test_each_photo_is_decoded_and_searched_once(
    invoke: Any, models: Any, person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models("strangers")  # trained before anything is counted
    done: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        work = getattr(module, name)

        def count(*given: Any) -> Any:
            done[name] += 1
            return work(*given)

        monkeypatch.setattr(module, name, count)

    counted(photo, "_decode")
    counted(landmarker, "search_photo")
    counted(features, "_face")
    arguments = ("--model", model, person, "--cache", tmp_path / "cache", "--sex", "f")
    told(invoke, tmp_path / "why.html", *arguments)
    assert done == {"_decode": 1, "search_photo": 1, "_face": 1}
    told(invoke, tmp_path / "why.json", *arguments)  # its features are in the store
    assert done == {"_decode": 2, "search_photo": 2, "_face": 1}


def test_in_python(models: Any, person: Path) -> None:
    reading = PhotoReading(jitter=2, fine=False)
    case = anthropo.load_model(models("strangers")).explain(person, heatmaps=False, reading=reading)
    table = case.to_frame()
    assert list(table.columns) == ["label", "kind", "name", "log_odds", "lo", "hi", "stable"]
    assert table[["lo", "hi", "stable"]].isna().all(axis=None)  # the model was not judged
    sums = table.groupby("label").log_odds.sum()
    for explained in case.explanation.labels:
        assert sums[explained.label] == pytest.approx(explained.log_odds, abs=1e-6)
    assert case.record is not None
    assert case.record.photo == str(person)
    with pytest.raises(InputError, match="labels='down': the model does not know it"):
        anthropo.load_model(models("strangers")).explain(person, labels=["down"])


def test_in_python_without_a_face(models: Any, faceless_png: Path) -> None:
    with pytest.raises(UnusableError, match="no face found") as caught:
        anthropo.load_model(models("strangers")).explain(faceless_png)
    assert len(caught.value.reasons) == 1


# ------------------------------------------------------------------------------------------ stability


@pytest.fixture(scope="module")
def refitted(models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with six refits: in one of them the region of the eyes says the contrary, in all others the
    same; measurements say 1 to 0.5 of what they do."""
    trained = anthropo.Trained.load(models("strangers"))
    assert isinstance(trained.model, LabelModel)
    kept = trained.model.kept()
    assert kept is not None
    refits = []
    for at in range(6):
        arrays = {name: array.copy() for name, array in kept.arrays.items()}
        arrays["machine"] *= 1 - at / 10
        arrays["weights"][trained.regions.index("eyes")] *= -1 if at == 3 else 1
        refits.append(replace(kept, arrays=arrays))
    path = tmp_path_factory.mktemp("refitted") / "m.anthropo"
    manifest = replace(trained.manifest, refits=Refits(number=6, without=0.2))
    replace(trained, model=trained.model.refitted(refits), manifest=manifest).save(path)
    return path


def test_ranges_and_what_is_not_stable(invoke: Any, refitted: Path, person: Path, tmp_path: Path) -> None:
    made = told(invoke, tmp_path / "why.json", "--model", refitted, person, "--label", "other")
    assert made["model"]["refits"] == {"number": 6, "without": 0.2}
    (own,) = made["labels"]
    of = {c["name"]: c for c in own["contributions"] if c["log_odds"]}
    assert of["eyes"]["stable"] is False
    assert of["eyes"]["log_odds_lo"] == pytest.approx(-of["eyes"]["log_odds_hi"], rel=0.01)
    assert of["face"]["stable"] is True
    measured = [c for c in of.values() if c["kind"] == "measurement"]
    assert len(measured) > 20
    for c in measured:
        assert c["stable"] is True
        near, far = sorted((c["log_odds_lo"], c["log_odds_hi"]), key=abs)
        assert near == pytest.approx(c["log_odds"] / 2, rel=1e-3, abs=1e-6)
        assert far == pytest.approx(c["log_odds"], abs=1e-6)
    assert not {"lo", "hi"} & of["face"].keys()  # those of a measurement are of its value

    page = told(invoke, tmp_path / "why.html", "--model", refitted, person).read_text(encoding="utf-8")
    sentence = "Ranges are over 6 refits of the model, each without 20 % of the patients."
    assert sentence in page
    assert len(re.findall(r'<tr class="unsure"><th scope="row">region: eyes', page)) == 2  # of both labels
    assert '<tr class="unsure"><th scope="row">region: face' not in page
    assert page.count(' pale" style="width') == page.count('<tr class="unsure">')
    told(invoke, tmp_path / "why.png", "--model", refitted, person)

    said = invoke("explain", "--model", refitted, person, *FAST).stdout
    assert sentence in said
    (line,) = re.findall("region: eyes .*", said)[:1]
    assert "░" in line
    assert "▇" not in line
    assert re.search(r"[+−]\d\.\d\d to [+−]\d\.\d\d", line)
    (line,) = re.findall("region: face .*", said)[:1]
    assert "░" not in line

    case = anthropo.load_model(refitted).explain(
        person, labels=["other"], heatmaps=False, reading=PhotoReading(jitter=2, fine=False)
    )
    table = case.to_frame().set_index("name")
    for name in ("eyes", "face"):
        assert table.stable[name] is of[name]["stable"]
        assert table.lo[name] == pytest.approx(of[name]["log_odds_lo"])
        assert table.hi[name] == pytest.approx(of[name]["log_odds_hi"])


def test_without_refits_it_says_so(invoke: Any, models: Any, person: Path, tmp_path: Path) -> None:
    page = told(invoke, tmp_path / "why.html", "--model", models("strangers"), person)
    text = page.read_text(encoding="utf-8")
    assert "Which of these are stable is not known, because the model has no refits" in text
    assert "not stable" not in text
    assert ' pale"' not in text
    made = told(invoke, tmp_path / "why.json", "--model", models("strangers"), person)
    for own in made["labels"]:
        assert {c["stable"] for c in own["contributions"]} == {None}
        assert {c["log_odds_lo"] for c in own["contributions"]} == {None}
    normal = told(invoke, tmp_path / "why.html", "--model", models("normal"), person)
    assert "A distance has no ranges" in normal.read_text(encoding="utf-8")
