"""A network of `anthropo finetune` answers by itself."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Copies, Invoke, refused
from numpy.typing import NDArray
from PIL import Image

import anthropo
from anthropo.networks.network import Network
from anthropo.observation import observe
from anthropo.photo import Photo, read_photo
from anthropo.workflows.network_model import NetworkModel

sys.path.insert(0, str(Path(__file__).parent.parent / "networks"))
import nets

Pixels = NDArray[np.uint8]
pytestmark = pytest.mark.usefixtures("maps_drawn_once")
TASKS = ("labels", "grades", "attributes", "cases")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of each task."""
    made = tmp_path_factory.mktemp("nets")
    for task in TASKS:
        nets.network(task).save(made / f"{task}.anthropo")
    return made


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, astronaut: Pixels) -> list[Path]:
    """The astronaut in different light."""
    made = tmp_path_factory.mktemp("light")
    for name, share in (("a", 1.0), ("b", 0.7), ("c", 0.85), ("d", 0.6)):
        pixels = np.clip(astronaut[20:280, 100:360] * [1.0, share, share**2], 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(made / f"{name}.png")
    return sorted(made.glob("*.png"))


def told(network: Network, paths: list[Path], metadata: NDArray[np.float32] | None = None) -> list[float]:
    """What a network says of one person's photos, its pictures cut here."""
    chips = []
    for path in paths:
        if network.view.needs_face:
            seen = observe(str(path), anthropo.Settings(fine=False, jitter=2))
            chips.append(network.view.cut(seen.photo, network.view.frame(seen.face)))
        else:
            chips.append(network.view.cut(read_photo(path, short_side=network.size), None))
    stacked = np.stack(chips)  # (photos, views, …)
    if network.task == "cases":
        return network.probabilities({"image": stacked[:, 0][None]}, metadata)[0].tolist()
    return network.probabilities(network.by_view(stacked)).mean(0).tolist()


@pytest.mark.parametrize("task", TASKS)
def test_probabilities_are_the_networks_own(
    task: str, folder: Path, photos: list[Path], invoke: Invoke
) -> None:
    net = folder / f"{task}.anthropo"
    network = Network.load(net)
    result = invoke("classify", "--model", net, "--force", *photos)
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(rows[0])[:7] == ["patient", "photo", "photos", "status", "reason", "decision", "label_1"]
    assert [row["photo"] for row in rows] == [str(path) for path in photos]
    for row, path in zip(rows, photos, strict=True):
        stated = [float(row[f"probability__{label}"]) for label in network.labels]
        assert stated == pytest.approx(told(network, [path]), abs=1e-4)
        assert row["label_1"] == network.labels[int(np.argmax(stated))]
        if task == "attributes":
            there = [name for name, p in sorted(zip(network.labels, stated, strict=True), key=lambda x: -x[1])
                     if p >= 0.5]  # fmt: skip
            assert row["decision"] == ("; ".join(there) or "none")
        elif task == "grades":
            above = 1 - np.cumsum(stated)[:-1]
            assert row["decision"] == network.labels[int((above > 0.5).sum())]
        else:
            assert row["decision"] == row["label_1"]
    assert len({row["probability__a"] for row in rows}) == len(photos)


def test_photos_of_a_person_are_averaged(folder: Path, photos: list[Path]) -> None:
    network = Network.load(folder / "labels.anthropo")
    model = anthropo.load_model(folder / "labels.anthropo")
    (answer,) = model.classify(photos[:3], patient=True, force=True).predictions
    assert answer.photos == tuple(map(str, photos[:3]))
    stated = {r.label: r.probability for r in answer.ranked}
    assert [stated[c] for c in network.labels] == pytest.approx(told(network, photos[:3]), abs=1e-4)
    assert model.labels == network.labels
    assert (answer.typicality, answer.labels) == (None, ())


def test_a_case_is_all_photos_of_a_person_with_metadata(
    folder: Path, photos: list[Path], tmp_path: Path
) -> None:
    network = Network.load(folder / "cases.anthropo")
    table = tmp_path / "visits.csv"
    people = ["p", "p", "q", "q"]
    pd.DataFrame(
        {"photo": photos, "patient": people, "age": ["40", "", "", "20y"], "site": ["arm", "arm", "leg", ""]}
    ).to_csv(table, index=False)
    made = anthropo.load_model(folder / "cases.anthropo").classify(table)
    known = {"p": [[1.0, 0, 1, 0]], "q": [[-1.0, 0, 0, 1]]}  # age; site, an unknown one being missing
    for answer, of in zip(made.predictions, (photos[:2], photos[2:]), strict=True):
        stated = {r.label: r.probability for r in answer.ranked}
        wanted = told(network, of, np.array(known[answer.patient], np.float32))
        assert [stated[c] for c in network.labels] == pytest.approx(wanted, abs=1e-4)
    blind = anthropo.load_model(folder / "cases.anthropo").classify(photos, patient=True)
    notes = " ".join(blind.notes)
    assert "the network reads age, site; no photo has them" in notes
    assert "1 with more than 3 photos" in notes


def test_terminal(folder: Path, photos: list[Path], invoke: Invoke) -> None:
    shown = invoke("classify", "--model", folder / "labels.anthropo", "--force", photos[0], "--top", 2)
    lines = shown.stdout.splitlines()
    assert lines[0] == str(photos[0])
    assert lines[1].split() == ["label", "probability", "log-odds"]
    assert lines[4] == "… and 1 less probable ones (--top)."
    assert lines[5].startswith("decision   ")
    assert lines[5].endswith("(most probable)")
    assert "not calibrated" in lines[6]
    assert "--encoder net.anthropo" in lines[6]
    attributes = invoke("classify", "--model", folder / "attributes.anthropo", "--force", photos[0]).stdout
    assert {line.split()[-1] for line in attributes.splitlines()[2:5]} <= {"present", "absent"}


def test_files_and_heatmaps(folder: Path, photos: list[Path], tmp_path: Path, invoke: Invoke) -> None:
    net, out, maps = folder / "grades.anthropo", tmp_path / "answers.json", tmp_path / "maps"
    result = invoke("classify", "--model", net, "--force", *photos[:2], "-o", out, "--heatmaps", maps)
    assert result.exit_code == 0, result.output
    assert f"{maps}: 2 heatmaps." in result.stderr
    first, _ = json.loads(out.read_text())
    assert (first["calibrated"], first["network"], first["status"]) == (False, "deepgestalt", "ok")
    assert sum(r["probability"] for r in first["ranked"]) == pytest.approx(1)
    assert {path.name for path in maps.iterdir()} == {"a.png", "b.png"}
    assert Image.open(maps / "a.png").size[0] > 800
    # of photos with the same name in two folders both are drawn
    twin = tmp_path / "again" / "a.png"
    twin.parent.mkdir()
    twin.write_bytes(photos[1].read_bytes())
    invoke("classify", "--model", net, "--force", photos[0], twin, "-o", out, "--heatmaps", maps)
    assert (maps / "a-2.png").is_file()


def test_a_photo_that_is_unfit_or_no_photo(
    folder: Path, photos: list[Path], faceless_png: Path, invoke: Invoke, tmp_path: Path, astronaut: Pixels
) -> None:
    net = folder / "labels.anthropo"
    result = invoke("classify", "--model", net, "--force", photos[0], faceless_png)
    assert result.exit_code == 3
    assert "no face found" in result.stderr
    cut = tmp_path / "cut.png"
    Image.fromarray(astronaut[20:170, 100:360]).save(cut)  # without the chin
    result = invoke("classify", "--model", net, cut)
    assert result.exit_code == 1
    assert "photo gate finds the photo unfit (outside" in result.stderr
    assert invoke("classify", "--model", net, cut, "--force").exit_code == 0


def test_explain_draws_where_the_answer_comes_from(
    folder: Path, photos: list[Path], tmp_path: Path, invoke: Invoke
) -> None:
    net, out = folder / "labels.anthropo", tmp_path / "why.json"
    words = ("explain", "--model", net, "--force", photos[1])
    assert "heatmap    of " in invoke(*words).stdout
    assert invoke(*words, "-o", out, "--label", "b").exit_code == 0
    made = json.loads(out.read_text())
    assert made["heatmaps_of"] == "b"
    assert set(made["heatmaps"]) == {"whole", "face", "mouth"}
    whole = made["heatmaps"]["whole"]
    parts = sum(made["heatmaps"][view]["log_odds"] for view in ("face", "mouth"))
    assert whole["log_odds"] == pytest.approx(parts)
    assert whole["faithfulness"]["passes"] in (True, False)
    assert invoke(*words, "-o", tmp_path / "why.png").exit_code == 0
    assert "Write .png" in refused(invoke, *words, "-o", tmp_path / "why.html")
    assert "not one of the network's, which are a, b, c" in refused(invoke, *words, "--label", "d")
    assert "--age is about models of `anthropo train`" in refused(invoke, *words, "--age", "3")


def test_a_case_and_grades_have_heatmaps_too(folder: Path, photos: list[Path]) -> None:
    for task in ("cases", "grades", "attributes"):
        case = anthropo.load_model(folder / f"{task}.anthropo").explain(photos[0], force=True)
        ranked = {r.label: r.log_odds for r in case.prediction.ranked}
        if task != "attributes":  # which look at two views, whose log-odds are averaged
            assert case.heat.whole.contribution == pytest.approx(ranked[case.label], abs=1e-4)
        assert np.abs(case.heat.whole.values).max() > 0


def test_a_heatmap_finds_what_the_network_looks_at(photos: list[Path], tmp_path: Path) -> None:
    """Of a network that is told how light a spot of the whole photograph is."""
    import torch
    from torch import nn

    class Spot(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor([6.0, -6.0]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            side = x.shape[-1]
            return (
                x[..., side // 6 : side // 3, side // 2 : 2 * side // 3].mean((1, 2, 3))[:, None] * self.gain
            )

    network = nets.network(views=("image",), labels=("light", "dark"))
    model = NetworkModel(network=replace(network, modules=(Spot(),)), path=tmp_path / "net.anthropo")
    noise = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    photo = tmp_path / "noise.png"
    Image.fromarray(noise.repeat(20, 0).repeat(20, 1)).save(photo)
    case = model.explain(photo, labels=["light"])
    values = np.abs(case.heat.whole.values)
    y, x = np.unravel_index(values.argmax(), values.shape)
    assert 1 / 6 - 0.05 < y / len(values) < 1 / 3 + 0.05
    assert 1 / 2 - 0.05 < x / len(values) < 2 / 3 + 0.05
    assert case.heat.whole.completeness == pytest.approx(
        0, abs=0.3 * abs(case.heat.whole.values.sum()) + 0.05
    )


def test_what_networks_do_not_have(folder: Path, photos: list[Path], invoke: Invoke, copies: Copies) -> None:
    net = folder / "labels.anthropo"
    words = ("classify", "--model", net, photos[0])
    assert "not calibrated, so that they hold at no stated prevalence" in refused(
        invoke, *words, "--prevalence", "a=0.1"
    )
    assert "a network holds its weights" in refused(invoke, *words, "--encoder-weights", net)
    assert "trained on faces; leave --no-face out" in refused(invoke, *words, "--no-face")
    assert "which `anthropo bench` judges" in refused(invoke, "evaluate", photos[0].parent, "--model", net)
    with pytest.raises(anthropo.InputError, match="of 2 people; one person is explained at a time"):
        anthropo.load_model(net).explain(photos[:2])


def test_other_landmarks_than_in_training(folder: Path, photos: list[Path], tmp_path: Path) -> None:
    network = Network.load(folder / "labels.anthropo")
    from anthropo.learning.training import landmark_weights

    weights = tuple(
        replace(w, digest="0" * 64) if w.name == "landmarks-68" else w
        for w in landmark_weights(anthropo.Settings(fine=False))
    )
    replace(network, manifest=replace(network.manifest, weights=weights)).save(tmp_path / "net.anthropo")
    with pytest.raises(anthropo.ModelError, match="landmarks were found with landmarks-68"):
        anthropo.load_model(tmp_path / "net.anthropo").classify(photos[0])


def test_a_photo_that_the_network_was_trained_on(folder: Path, photos: list[Path], tmp_path: Path) -> None:
    network = Network.load(folder / "labels.anthropo")
    digest = Photo.from_array(np.zeros((2, 2, 3), np.uint8)).sha256  # another one
    own = anthropo.read_photo(photos[0]).sha256
    seen = replace(network.about, learned_from=tuple(sorted((own[:16], digest[:16] or "0" * 16))))
    replace(network, about=seen).save(tmp_path / "net.anthropo")
    made = anthropo.load_model(tmp_path / "net.anthropo").classify(photos[:2], force=True)
    assert any("1 of 2 photos are among those that the network was trained on" in n for n in made.notes)
