"""What models answer on the page."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from talking import Client

import anthropo
from anthropo.errors import ModelError
from anthropo.learning.manifest import Manifest, PhotoSettings
from anthropo.networks import load_recipe
from anthropo.networks.architectures import Spec, build
from anthropo.networks.description import Description
from anthropo.workbench import Workbench


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, example_folder: Path) -> Path:
    work = tmp_path_factory.mktemp("models")
    shutil.copy(example_folder / "person.jpg", work)
    (work / "broken.anthropo").write_bytes((example_folder / "m.anthropo").read_bytes()[:5000])
    shutil.copy(network(work.parent / "net.anthropo"), work)
    return work


def network(path: Path) -> Path:
    """A network with random weights that looks at whole photos."""
    spec = Spec(task="labels", backbone="deepgestalt", channels=1, outputs=2, dropout=0.5, head="linear")
    about = Description(
        recipe="deepgestalt", parameters=load_recipe("deepgestalt").parameters, spec=spec, size=32,
        views=("image",), mean=(127.5,) * 3, std=(127.5,) * 3, grey=True, alignment="mean-face",
        crops="scaled", dimension=320, metadata=None,
    )  # fmt: skip
    manifest = Manifest(labels=("dark", "light"), task="binary", settings=PhotoSettings(no_face=True))
    anthropo.Network(manifest, about, (build(spec),)).save(path)
    return path


@pytest.fixture(scope="module")
def client(folder: Path, example_folder: Path) -> Iterator[Client]:
    with Workbench(folder, port=0, models=[example_folder / "m.anthropo"]) as bench:
        yield Client(bench)


@pytest.fixture(scope="module")
def models(client: Client) -> dict[str, str]:
    return {model["name"]: model["id"] for model in client.ask("/api/photos").json["models"]}


@pytest.fixture
def doc(client: Client) -> Iterator[Any]:
    (photo,) = client.ask("/api/photos").json["photos"]
    doc = client.ask(f"/api/photos/{photo['id']}").json
    yield doc
    now = client.ask(f"/api/photos/{photo['id']}").json
    client.place(now, {})


def test_the_models_of_the_folder_and_those_that_were_named_are_listed(models: dict[str, str]) -> None:
    assert list(models) == ["m.anthropo", "broken.anthropo", "net.anthropo"]


def test_a_model_answers_as_the_command_does_and_follows_a_kept_point(
    client: Client, models: dict[str, str], doc: Any, folder: Path, example_folder: Path
) -> None:
    path = f"/api/photos/{doc['id']}/models/{models['m.anthropo']}"
    told = client.ask(f"{path}/answer").json
    model = anthropo.load_model(example_folder / "m.anthropo")
    case = model.explain(folder / "person.jpg", heatmaps=False)
    first = case.explanation.labels[0]
    assert told["ranked"][0]["label"] == first.label
    assert told["labels"][0]["log_odds"] == f"{first.log_odds:+.2f}".replace("-", "−")
    total = sum(bar["value_log_odds"] for bar in told["labels"][0]["bars"])
    assert total == pytest.approx(first.log_odds, abs=0.01)

    at = {point["code"]: point for point in doc["points"]}
    places = {name: [at[name]["x"] + 4, at[name]["y"]] for name in ("p39", "p45")}
    client.place(doc, places, keep=False)
    assert client.ask(f"{path}/answer").json == told  # a drag that is not over
    assert client.place(client.ask(f"/api/photos/{doc['id']}").json, places).status == 200
    moved = client.ask(f"{path}/answer").json
    again = model.explain(
        folder / "person.jpg",
        heatmaps=False,
        reading=anthropo.PhotoReading(landmarks=str(folder / "landmarks")),
    )
    assert moved["labels"][0]["log_odds"] != told["labels"][0]["log_odds"]
    assert moved["labels"][0]["log_odds"] == f"{again.explanation.labels[0].log_odds:+.2f}".replace("-", "−")


def test_the_share_of_measurements_follows_a_point_that_is_not_let_go(
    client: Client, models: dict[str, str], doc: Any
) -> None:
    path = f"/api/photos/{doc['id']}/models/{models['m.anthropo']}"
    told = client.ask(f"{path}/answer").json
    assert shares(client.ask(f"{path}/following").json, "region") == shares(told, "region")
    assert shares(client.ask(f"{path}/following").json, "measurement") == shares(told, "measurement")
    at = {point["code"]: point for point in doc["points"]}
    places = {name: [at[name]["x"] + 4, at[name]["y"]] for name in ("p39", "p45")}
    client.place(doc, places, keep=False)
    during = client.ask(f"{path}/following").json
    assert shares(during, "region") == shares(told, "region")
    assert shares(during, "measurement") != shares(told, "measurement")
    total = sum(bar["value_log_odds"] for bar in during["labels"][0]["bars"])
    assert during["labels"][0]["log_odds"] == f"{total:+.2f}".replace("-", "−")
    client.place(client.ask(f"/api/photos/{doc['id']}").json, places)
    assert shares(client.ask(f"{path}/answer").json, "measurement") == shares(during, "measurement")
    assert client.ask(f"/api/photos/{doc['id']}/models/{models['net.anthropo']}/following").status == 200


def shares(told: Any, kind: str) -> dict[str, float]:
    """What each measurement or region adds to the first label's log-odds."""
    bars = told["labels"][0]["bars"]
    return {bar["name"]: bar["value_log_odds"] for bar in bars if bar["kind"] == kind}


def test_heatmaps_and_the_whole_explanation(client: Client, models: dict[str, str], doc: Any) -> None:
    path = f"/api/photos/{doc['id']}/models/{models['m.anthropo']}"
    heat = client.ask(f"{path}/heat")
    assert heat.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(heat.body)).size[0] > 300
    page = client.ask(f"{path}/explanation")
    assert b"<h1" in page.body
    assert "sandbox" in page.headers["content-security-policy"]


def test_a_network_answers_by_itself(client: Client, models: dict[str, str], doc: Any) -> None:
    path = f"/api/photos/{doc['id']}/models/{models['net.anthropo']}"
    told = client.ask(f"{path}/answer").json
    assert {one["label"] for one in told["ranked"]} == {"dark", "light"}
    assert "not calibrated" in told["words"][0]
    assert client.ask(f"{path}/heat").status == 200
    answer = client.ask(f"{path}/explanation")
    assert (answer.status, answer.text) == (
        422,
        "Of a network that answers by itself there is a heatmap and no page.",
    )


def test_what_is_no_model_is_one_sentence_and_the_server_lives(
    client: Client, models: dict[str, str], doc: Any, tmp_path: Path
) -> None:
    answer = client.ask(f"/api/photos/{doc['id']}/models/{models['broken.anthropo']}/answer")
    assert answer.status == 422
    assert "broken.anthropo: " in answer.text
    assert "\n" not in answer.text
    assert client.ask(f"/api/photos/{doc['id']}/models/none/answer").status == 404
    assert client.ask(f"/api/photos/{doc['id']}/models/{models['m.anthropo']}/weights").status == 404
    with pytest.raises(ModelError, match="no such model file"):
        Workbench(tmp_path, port=0, models=[tmp_path / "gone.anthropo"])
