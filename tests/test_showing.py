"""Results show themselves: in one line, in a notebook, as a picture, as a table."""

from __future__ import annotations

import base64
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from conftest import sentence_of
from docstring_examples import example_folder  # noqa: F401 (a fixture)
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

import anthropo
from anthropo.errors import InputError
from anthropo.report import Disclosure, figures_of, write_figures
from anthropo.report.explanation.pictures import case_figures
from anthropo.workflows.explain import ExplainRequest, explain
from anthropo.workflows.trait_calling import call, prepare

READING = anthropo.PhotoReading(jitter=1, fine=False, cache="cache")
PERSON = "person.jpg"


def results() -> dict[str, Any]:
    """One of each result that is quick to get."""
    model = anthropo.load_model("m.anthropo")
    network = anthropo.load_model("net.anthropo")
    person = anthropo.examine(PERSON, sex="female", age=31, model=model)
    cohort = anthropo.read_cohort("cohort/cohort.csv")
    request = anthropo.TrainRequest(
        options=anthropo.Options(regions=("face",), min_patients=4), allow_duplicates=True, reading=READING
    )
    material = anthropo.gather("cohort/cohort.csv", request)
    evaluated = model.evaluate("cohort/cohort.csv", allow_duplicates=True, bootstrap=100)
    plain = anthropo.measure(PERSON, jitter=1, fine=False)
    answers = model.classify([PERSON, "gone.jpg"])
    changed = anthropo.change(PERSON, "cohort/synthetic-0007-1.jpg")
    woman = anthropo.TraitsRequest(sex="female", age=31, jitter=1)
    few = anthropo.RegionsRequest(people=3, permutations=100, folds=3, allow_duplicates=True, reading=READING)
    small = anthropo.CompositeRequest(size=128, reading=READING)
    made = {
        "examination": person, "observation": person.observation, "face": person.face,
        "photo": person.photo, "record": person.record, "measurements": plain, "measurement": plain[0],
        "scored": person.measurements, "pooled": anthropo.pool([plain, plain]), "traits": person.traits,
        "trait": person.traits.traits[0], "score": person.record.scores[0], "model": model,
        "trained": model.trained, "manifest": model.trained.manifest, "case": person.explanation,
        "explanation": person.explanation.explanation,
        "explained": person.explanation.explanation.labels[0],
        "contribution": person.explanation.explanation.labels[0].contributions[0],
        "heat": person.explanation.heat, "prediction": person.prediction, "answers": answers,
        "answered": answers.answers[0], "unanswered": answers.answers[1], "cohort": cohort,
        "features": material.features, "material": material, "encoder": material.encoder,
        "evaluated": evaluated, "evaluation": evaluated.evaluations[0],
        "judged": evaluated.evaluations[0].judged["hybrid"], "change": changed,
        "a change": changed.changes[0], "network": network,
        "network's answers": network.classify(PERSON, force=True),
        "inspection": anthropo.inspect("m.anthropo"), "models": anthropo.models(),
        "resource": anthropo.licences()[0],
        "entry": next(iter(anthropo.registry().values())), "entries": anthropo.registry(),
        "findings": call(prepare(["cohort/synthetic-0001-1.jpg", "gone.jpg", PERSON], woman)),
        "map": anthropo.map_faces("cohort/cohort.csv", anthropo.MapRequest(reading=READING)),
        "regions": anthropo.distinguish("cohort/cohort.csv", "synthetic-A", few),
        "composites": anthropo.composite("cohort/cohort.csv", small),
        "installation": anthropo.doctor(),
    }  # fmt: skip
    assert isinstance(made["unanswered"].reason, str)
    return made


DRAWN = (
    "examination", "observation", "face", "measurements", "scored", "pooled", "traits", "case", "explanation",
    "explained", "prediction", "answers", "cohort", "evaluated", "evaluation", "change", "network's answers",
    "findings", "map", "regions", "composites",
)  # fmt: skip
IN_NOTEBOOKS = (*DRAWN, "photo", "entries", "inspection", "models", "installation")


@pytest.fixture(scope="module")
def shown(example_folder: Path) -> Iterator[dict[str, Any]]:  # noqa: F811
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(example_folder)
        patch.setenv("ANTHROPO_CACHE", str(example_folder / "cache"))
        yield results()


@pytest.fixture(autouse=True)
def _in_the_folder(example_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: F811
    monkeypatch.chdir(example_folder)
    mpl.use("Agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def test_a_line_says_what_it_is_and_names_nobody(shown: dict[str, Any], example_folder: Path) -> None:  # noqa: F811
    for name, thing in shown.items():
        line = repr(thing)
        assert line.startswith(f"<{type(thing).__name__}"), name
        assert len(line) <= 200, name
        assert line.isprintable(), name
        for secret in (PERSON, "synthetic-00", str(example_folder), "gone.jpg"):
            assert secret not in line, name


def test_no_public_record_is_shown_field_by_field() -> None:
    records = [thing for name in anthropo.__all__ if inspect.isclass(thing := getattr(anthropo, name))]
    # those that dataclasses made are wrapped against recursion
    made = [one.__name__ for one in records if is_dataclass(one) and hasattr(one.__repr__, "__wrapped__")]
    assert made == []


def test_options_show_what_is_not_default() -> None:
    request = anthropo.TrainRequest(options=anthropo.Options(min_patients=4), folds=3)
    assert repr(request) == "TrainRequest(options=Options(min_patients=4), folds=3)"
    assert repr(anthropo.Settings()) == "Settings()"


def test_in_a_notebook(shown: dict[str, Any]) -> None:
    for name in IN_NOTEBOOKS:
        page = shown[name]._repr_html_()
        assert page.count("<div") == page.count("</div>"), name
        assert not re.search(r"<script|https?:|onload", page), name
        assert PERSON not in page, name
        pictures = re.findall(r'src="data:image/\w+;base64,([^"]+)"', page)
        assert all(len(picture) <= 60_000 for picture in pictures), name
        assert len(pictures) == {"evaluated": 2, "evaluation": 2}.get(name, len(pictures))
        if name in ("examination", "observation", "face", "photo", "case"):
            assert base64.b64decode(pictures[0])[:2] == b"\xff\xd8", name
    assert "synthetic-A" in shown["case"]._repr_html_()
    assert "palpebral" in shown["measurements"]._repr_html_().lower()


def test_a_notebook_runs_nothing_that_a_table_says(tmp_path: Path) -> None:
    label = '<script>alert("x")</script>'
    table = tmp_path / "c.csv"
    table.write_text(f"photo,label\na.jpg,{label}\n".replace('"', "'"))
    cohort = anthropo.read_cohort(table)
    assert "<script>" not in cohort._repr_html_()
    assert "&lt;script&gt;" in cohort._repr_html_()


def test_pictures(shown: dict[str, Any]) -> None:
    from matplotlib import pyplot

    for name in DRAWN:
        ax = shown[name].plot()
        assert isinstance(ax, Axes), name
        assert pyplot.get_fignums() == [ax.figure.number], name  # the one that is shown
        assert ax.has_data(), name
        again = shown[name].plot(ax=pyplot.gca())
        assert again is ax, name
        pyplot.close("all")


def test_kinds_of_pictures(shown: dict[str, Any]) -> None:
    kinds = ("roc", "precision-recall", "calibration", "decision-curve", "confusion", "subgroups")
    for kind in kinds:
        assert shown["evaluated"].plot(kind).has_data()
    for kind in ("measurements", "traits", "explanation"):
        assert shown["examination"].plot(kind).has_data()
    for kind in ("regions", "heatmap"):
        assert shown["regions"].plot(kind).has_data()
    assert shown["map"].plot("pca").get_title(loc="left").startswith("principal components")
    assert "against control" in shown["composites"].plot().get_title(loc="left")
    assert shown["composites"].plot("control").get_title(loc="left") == "control, composite of 6"
    assert shown["cohort"].plot("age").get_xlabel().startswith("age of the patients")
    labels = shown["cohort"].plot("sex").get_yticklabels()
    assert {label.get_text() for label in labels} == {"control", "synthetic-A"}
    assert shown["scored"].plot(unit="deg").get_xlabel().startswith("deg")
    gone = replace(shown["face"], source="gone.jpg")
    assert len(gone.plot().lines) == 9  # the drawing of a face in place of the photo
    assert "no picture" in gone._repr_html_()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            lambda of: of["evaluated"].plot("sites"),
            "kind='sites': no such figure of this evaluation. There are",
        ),
        (lambda of: of["evaluated"].plot(attribute="x"), "attribute='x': not judged."),
        (lambda of: of["examination"].plot("x"), "kind='x': no such picture. There are face, measurements"),
        (lambda of: of["cohort"].plot("shoe"), "column='shoe': no such column. There are age, sex"),
        (lambda of: of["map"].plot("umap"), "view='umap': no such map. There are tsne, pca."),
        (lambda of: of["regions"].plot("x"), "kind='x': no such picture. There are measurements, regions"),
        (lambda of: of["composites"].plot("x"), "label='x': no composite. There are control, synthetic-A."),
        (lambda of: of["measurements"].plot(unit="mm"), "unit='mm': nothing is given in it. There are ex-ex"),
        (lambda of: of["case"].plot(label="x"), "label='x': not explained. There are synthetic-A"),
        (lambda of: anthropo.examine(PERSON).explanation, "Pass model='m.anthropo'"),
    ],
)
def test_wrong_use_is_a_sentence_and_leaves_no_figure(
    wrong: Callable[[dict[str, Any]], object], says: str, shown: dict[str, Any]
) -> None:
    from matplotlib import pyplot

    assert says in sentence_of(InputError, wrong, shown)
    assert pyplot.get_fignums() == []


def test_figures_for_a_paper(shown: dict[str, Any], tmp_path: Path) -> None:
    case = shown["case"]
    sums = [f"contributions-{of.label}" for of in case.explanation.labels]
    every = figures_of(case)
    assert list(every) == ["face", "heatmap-synthetic-A", *sums]
    assert "face" not in case_figures(case, Disclosure(anonymous=True))
    assert list(figures_of(shown["change"])) == ["differences"]
    assert list(figures_of(shown["regions"])) == ["heatmaps", "regions", "measurements"]
    whole = list(figures_of(shown["examination"]))
    assert whole == ["face", "heatmap-synthetic-A", *sums, "z-scores", "traits"]
    with pytest.raises(TypeError, match="result is of Cohort, of which there are no figures"):
        figures_of(shown["cohort"])
    drawn = {name: figure for name, figure in every.items() if name in ("face", sums[-1])}
    once, again = (
        {file.name: file.read_bytes() for file in write_figures(tmp_path / name, drawn)}
        for name in ("once", "again")
    )
    assert once == again
    assert set(once) == {
        "face.svg",
        "face.pdf",
        "contributions-none-of-these.svg",
        "contributions-none-of-these.pdf",
    }


def test_names_of_figures_that_file_systems_take(tmp_path: Path) -> None:
    """A letter may be four bytes, and a name has 255 of them."""
    figure = Figure(figsize=(1, 1))
    names = ("\U0001d4b3" * 80, "\U0001d4b3" * 90, "a/b", "A-B")
    stems = [path.stem for path in write_figures(tmp_path, dict.fromkeys(names, figure))[::2]]
    assert stems[2:] == ["a-b", "A-B-2"]
    assert len({*stems}) == 4
    assert all(len(stem.encode()) < 220 for stem in stems)


def test_thousands_of_answers_are_drawn_as_areas(shown: dict[str, Any]) -> None:
    few = shown["answers"]
    many = replace(few, answers=[few.answers[0]] * 2000)
    bars, areas = few.plot(), many.plot()
    assert not areas.patches
    shares = [bar.get_width() for bar in bars.patches]
    drawn = [np.ptp(one.get_paths()[0].vertices[:, 0]) for one in areas.collections]
    assert drawn == pytest.approx(shares)
    assert areas.get_ylim() == (1999.5, -0.5)
    assert len(areas.get_legend().get_texts()) == len(shares)


def test_a_figure_is_no_axes(shown: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="gives, and not a Figure"):
        shown["measurements"].plot(Figure())


def test_what_a_model_is_not_asked_is_not_shown(tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    with Image.open(PERSON) as photo:
        photo.resize((photo.width // 4, photo.height // 4)).save(small)
    person = anthropo.examine(small, sex="female", age=31, model="m.anthropo")
    assert "not judged" in repr(person.explanation)
    assert person.traits.traits == ()
    page = person._repr_html_()
    assert "The photo gate finds the photo unfit" in page
    assert "synthetic-A" not in page
    assert "There is nothing to draw" in sentence_of(InputError, person.plot, "explanation")


def test_tables(shown: dict[str, Any]) -> None:
    for name in (*DRAWN, "entries"):
        table = shown[name].to_frame()
        assert isinstance(table, pd.DataFrame), name
        assert len(table), name
    assert len(shown["face"].to_frame()) == 68
    assert shown["cohort"].to_frame()["label"].value_counts().to_dict() == {"control": 6, "synthetic-A": 6}
    total = shown["explanation"].to_frame().groupby("label")["log_odds"].sum()
    for explained in shown["explanation"].labels:
        assert total[explained.label] == pytest.approx(explained.log_odds)


def test_measurements_are_a_list_that_knows_ids(shown: dict[str, Any]) -> None:
    values = shown["measurements"]
    assert values["mouth_width"] is next(m for m in values if m.id == "mouth_width")
    assert [m.id for m in values[:2]] == [values[0].id, values[1].id]
    assert type(values[:2]) is type(values)
    with pytest.raises(KeyError, match="mouth_widht: no such measurement here; there is mouth_width"):
        values["mouth_widht"]
    assert shown["pooled"].to_frame()["photos"].max() == 2


def test_examine_looks_once_and_says_what_the_commands_say(
    shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import anthropo.observation as room

    seen: list[object] = []
    reader = room.read_photo
    monkeypatch.setattr(room, "read_photo", lambda *given, **how: seen.append(given) or reader(*given, **how))
    model = shown["model"]
    person = anthropo.examine(PERSON, sex="female", age=31, model=model)
    assert person.explanation is person.explanation
    assert person.traits.traits
    assert len(seen) == 1
    request = ExplainRequest(sex="female", age=31)
    case = explain(model, PERSON, request)
    assert len(seen) == 2
    assert person.explanation.to_frame().equals(case.to_frame())
    values = np.array([m.value for m in person.measurements])
    assert np.array_equal(values, [m.value for m in case.record.measurements], equal_nan=True)
    scores = anthropo.examine(PERSON, sex="female", age=31).record.scores
    row = anthropo.measure_table(PERSON, sex="female", age=31).iloc[0]
    assert {s.id: s.z for s in scores}["mouth_width"] == pytest.approx(row["mouth_width_z_web__all__ages"])
    with pytest.raises(InputError, match="Sex 'x' is unknown"):
        anthropo.examine(PERSON, sex="x")
