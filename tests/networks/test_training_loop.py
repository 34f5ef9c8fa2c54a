from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from looks import Stopped, look, small, stop_at
from noise import write_cohort

from anthropo.errors import InputError, ModelError, PhotoError
from anthropo.learning.card import card, describe
from anthropo.learning.manifest import Counts, WeightsRecord
from anthropo.networks.architectures import Spec, build
from anthropo.networks.checkpoints import Checkpoints, ViewState
from anthropo.networks.description import Epoch
from anthropo.networks.finetuning import Finetuned, finetune
from anthropo.networks.network import flat
from anthropo.networks.objective import Objective
from anthropo.networks.pictures import Pictures
from anthropo.networks.recipes import Recipe
from anthropo.networks.training_loop import Step, device_of, exact
from anthropo.networks.training_set import training_set

CPU = torch.device("cpu")
LABELS = ["a", "b"] * 20


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("noise"), LABELS)


def run(table: Path, recipe: Recipe, folder: Path, **more: Any) -> Finetuned:
    memory = more.pop("memory", 4.0)
    photos = look(table, recipe, memory=memory)
    material = training_set(recipe, photos, more.pop("identity", None))
    return finetune(material, folder=folder, device=CPU, **more)


@pytest.fixture(scope="module")
def uninterrupted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Recipe], Finetuned]:
    """uninterrupted(recipe): a training from beginning to end, once for all tests."""
    made: dict[Recipe, Finetuned] = {}

    def of(recipe: Recipe) -> Finetuned:
        if recipe not in made:
            made[recipe] = run(table, recipe, tmp_path_factory.mktemp("whole") / "a")
        return made[recipe]

    return of


# ------------------------------------------------------------------------------------------- every recipe


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("deepgestalt", ("mirror=false", "contrastive=0.5")),
        ("skin-five", ("head=convolution", "imbalance=focal")),
        ("skin-five", ("imbalance=sampling", "crop=0")),
        ("risk-grading", ("grades=a,b",)),
        ("risk-grading", ("grades=a,b", "loss=cross-entropy")),
    ],
)
def test_a_recipe_learns_colours(table: Path, tmp_path: Path, name: str, settings: tuple[str, ...]) -> None:
    made = run(table, small(name, "epochs=4", *settings), tmp_path / "c")
    history = made.network.about.history["image"]
    assert history[-1].loss < history[0].loss
    assert made.overall["auroc"].value > 0.9
    assert set(made.by_label) == {"a", "b"}
    made.network.save(tmp_path / "net.anthropo")
    again = type(made.network).load(tmp_path / "net.anthropo")
    x = {"image": np.zeros((1, 32, 32, 3), np.uint8)}
    np.testing.assert_array_equal(again.probabilities(x), made.network.probabilities(x))


@pytest.mark.parametrize("settings", [(), ("loss=mse",), ("separate=true",), ("imbalance=weights",)])
def test_attributes_are_learned_together_or_apart(tmp_path: Path, settings: tuple[str, ...]) -> None:
    # green, red and both: as many pictures of each
    labels = ["warm" if i % 3 == 0 else "warm; bright" if i % 3 == 1 else "" for i in range(45)]
    table = write_cohort(tmp_path / "cohort", labels)
    recipe = small("attributes", "own=8", "epochs=4", *settings)
    made = run(table, recipe, tmp_path / "c")
    assert made.network.labels == ("bright", "warm")
    assert min(f["auroc"].value for f in made.by_label.values()) > 0.8
    assert made.network.dimension == (640 if "separate=true" in settings else 320)
    p = made.network.probabilities({"image": np.zeros((2, 32, 32, 3), np.uint8)})
    assert ((p >= 0) & (p <= 1)).all()


def test_cases_of_one_to_three_photos(tmp_path: Path) -> None:
    sizes = [1 + i % 3 for i in range(30)]
    patients = [f"p{i}" for i, n in enumerate(sizes) for _ in range(n)]
    labels = ["a" if i % 2 else "b" for i, n in enumerate(sizes) for _ in range(n)]
    ages = ["" if i % 4 == 0 else str(20 + i) for i, n in enumerate(sizes) for _ in range(n)]
    table = write_cohort(tmp_path / "cohort", labels, patients, age=ages)
    made = run(table, small("differential", "epochs=6", "images=2"), tmp_path / "c")
    assert len(made.answers.labels.truth) == 6
    assert made.overall["auroc"].value > 0.8
    assert made.network.manifest.metadata == ("age",)
    assert made.network.about.to_json()["metadata"]["age"].keys() == {"mean", "sd"}


def test_grades_have_kappa(tmp_path: Path) -> None:
    labels = ["low", "middle", "top"] * 15
    table = write_cohort(tmp_path / "cohort", labels)
    made = run(table, small("risk-grading", "grades=low,middle,top", "epochs=8", "rate=0.02"), tmp_path / "c")
    assert made.overall["quadratic_kappa"].value > 0.3
    assert made.overall["off_by_one"].value >= made.overall["accuracy"].value
    assert made.network.about.spec.outputs == 2


def test_identity_first_then_the_labels(tmp_path: Path) -> None:
    patients = [f"p{i // 4}" for i in range(60)]
    table = write_cohort(tmp_path / "cohort", ["a" if i // 4 % 2 else "b" for i in range(60)], patients)
    settings = ("identity=patient", "identity_epochs=2", "identity_settling_epochs=1")
    made = run(table, small("deepgestalt", *settings), tmp_path / "c")
    stages = [(e.stage, e.epoch) for e in made.network.about.history["image"]]
    assert stages == [
        ("identity", 1),
        ("identity", 2),
        ("identity, settling", 1),
        ("training", 1),
        ("training", 2),
    ]
    assert made.network.about.identities == 9  # those of the training part
    assert made.network.about.spec.outputs == 2
    people = look(table, small("deepgestalt"))
    other = run(table, small("deepgestalt", *settings[1:]), tmp_path / "d", identity=people)
    assert other.network.about.identities == 15


def test_the_head_of_the_identity_stage_begins_he_normal() -> None:
    """Xavier with 0.3 is of the head that is new in fine-tuning."""
    from anthropo.networks.training_loop import _Trainer

    recipe = small("deepgestalt")
    spec = Spec(task="labels", backbone="deepgestalt", channels=3, outputs=800, dropout=0.5, head="linear")
    module = build(spec)
    head: Any = module.head
    trainer = _Trainer.__new__(_Trainer)
    trainer.parameters = recipe.parameters
    wanted = {True: (2 / head.in_features) ** 0.5, False: (0.3 * 2 / (head.in_features + 800)) ** 0.5}
    for identity, sd in wanted.items():
        trainer._initialise(module, identity=identity)
        assert float(head.weight.detach().std()) == pytest.approx(sd, rel=0.05)


def test_identity_needs_somebody_twice(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no person has two photos"):
        run(table, small("deepgestalt", "identity=patient"), tmp_path / "c")


def test_nothing_of_the_cohort_but_counts_is_kept(table: Path, tmp_path: Path) -> None:
    made = run(table, small("skin-five"), tmp_path / "c", command="anthropo finetune cohort.csv")
    path = tmp_path / "net.anthropo"
    made.network.save(path)
    data = path.read_bytes()
    assert str(table.parent).encode() not in data
    assert b'"p1' not in data
    assert b".png" not in data
    assert made.network.manifest.cohort.labels["a"] == Counts(photos=20, patients=20)


def test_a_label_may_be_called_network(tmp_path: Path) -> None:
    """Figures of labels stand apart from those over all labels."""
    table = write_cohort(tmp_path / "cohort", ["network", "other"] * 20)
    made = run(table, small("skin-five", "epochs=1"), tmp_path / "c")
    validation = made.network.manifest.validation
    assert validation.models.keys() == {"network"}
    assert validation.models["network"]["accuracy"].value == made.overall["accuracy"].value
    assert validation.by_label.keys() == {"network", "other"}
    assert "accuracy" not in validation.by_label["network"]
    assert ("accuracy", str(made.overall["accuracy"])) in describe(made.network.manifest)
    assert "|  | network | network | other |" in card(made.network.manifest)


# --------------------------------------------------------------------------------------------- going on


@pytest.mark.parametrize(
    ("settings", "report"),
    [
        ((), stop_at(1)),
        ((), stop_at(2, step=2)),
        (("optimiser=adam", "rate=0.001", "imbalance=sampling"), stop_at(2, step=1)),
        (("patience=1", "epochs=6"), stop_at(2)),
        (
            ("backbone=efficientnet-lite0", "warm_start=efficientnet-lite0", "frozen_epochs=2"),
            stop_at(1, stage="head"),
        ),
    ],
)
def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    table: Path,
    tmp_path: Path,
    uninterrupted: Callable[[Recipe], Finetuned],
    settings: tuple[str, ...],
    report: Callable[[Step], None],
) -> None:
    recipe = small("skin-five", "epochs=3", *settings)
    whole = uninterrupted(recipe)
    with pytest.raises(Stopped):
        run(table, recipe, tmp_path / "b", report=report)
    torch.manual_seed(7)  # a checkpoint needs no state of chance, whatever was drawn meanwhile
    rest: list[Step] = []
    again = run(table, recipe, tmp_path / "b", report=rest.append)
    assert asdict(again.network.manifest) == asdict(whole.network.manifest)
    assert asdict(again.network.about) == asdict(whole.network.about)
    np.testing.assert_array_equal(flat(again.network.modules[0]), flat(whole.network.modules[0]))
    done = [p for p in rest if p.step == p.steps]
    assert len(done) < len(whole.network.about.history["image"])  # what was done was not done again


def test_an_interrupted_training_in_half_precision_goes_on(
    table: Path,
    tmp_path: Path,
    uninterrupted: Callable[[Recipe], Finetuned],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a GPU: the scale of the gradients, which grows and shrinks, is part of the checkpoint."""
    monkeypatch.setattr("anthropo.networks.training_loop._mixed", lambda *_: True)
    recipe = small("skin-five", "epochs=3")
    whole = run(table, recipe, tmp_path / "a")
    with pytest.raises(Stopped):
        run(table, recipe, tmp_path / "b", report=stop_at(1))
    with np.load(tmp_path / "b" / "image.npz", allow_pickle=False) as file:
        assert json.loads(bytes(file["meta"]))["scaler"]["scale"] > 0
    again = run(table, recipe, tmp_path / "b")
    np.testing.assert_array_equal(flat(again.network.modules[0]), flat(whole.network.modules[0]))
    monkeypatch.undo()
    full = uninterrupted(recipe)
    losses = [e.loss for e in whole.network.about.history["image"]]
    assert losses[-1] < losses[0]
    assert full.network.about.history["image"][0].loss == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize("report", [stop_at(1, stage="identity"), stop_at(1, stage="identity, settling")])
def test_an_interrupted_identity_stage_goes_on(tmp_path: Path, report: Callable[[Step], None]) -> None:
    patients = [f"p{i // 4}" for i in range(60)]
    table = write_cohort(tmp_path / "cohort", ["a" if i // 4 % 2 else "b" for i in range(60)], patients)
    recipe = small("deepgestalt", "identity=patient", "identity_epochs=2", "identity_settling_epochs=2")
    whole = run(table, recipe, tmp_path / "a")
    with pytest.raises(Stopped):
        run(table, recipe, tmp_path / "b", report=report)
    with np.load(tmp_path / "b" / "image.npz", allow_pickle=False) as file:
        assert not any("random" in name or "rng" in name for name in file.files)
    torch.manual_seed(7)
    again = run(table, recipe, tmp_path / "b")
    assert asdict(again.network.manifest) == asdict(whole.network.manifest)
    assert asdict(again.network.about) == asdict(whole.network.about)
    np.testing.assert_array_equal(flat(again.network.modules[0]), flat(whole.network.modules[0]))


def test_views_that_are_done_are_not_trained_again(table: Path, tmp_path: Path) -> None:
    recipe = small("skin-five")
    run(table, recipe, tmp_path / "c")
    rest: list[Step] = []
    run(table, recipe, tmp_path / "c", report=rest.append)
    assert rest == []
    run(table, recipe, tmp_path / "c", report=rest.append, restart=True)
    assert rest[-1].epoch == 2


def test_another_seed_is_another_training(table: Path, tmp_path: Path) -> None:
    first, second = (run(table, small("skin-five", f"seed={s}"), tmp_path / str(s)) for s in (0, 1))
    assert not np.array_equal(flat(first.network.modules[0]), flat(second.network.modules[0]))


def test_a_checkpoint_of_something_else_is_refused(table: Path, tmp_path: Path) -> None:
    run(table, small("skin-five"), tmp_path / "c")
    with pytest.raises(ModelError, match=r"another rate \(0.01, not 0.02\).+resume=False"):
        run(table, small("skin-five", "rate=0.02"), tmp_path / "c")
    other = write_cohort(tmp_path / "other", ["b", "a"] * 20)
    with pytest.raises(ModelError, match="another cohort"):
        run(other, small("skin-five"), tmp_path / "c")
    people = [look(t, small("skin-five")) for t in (table, other)]
    people = [replace(p, features=replace(p.features, patients=p.features.labels)) for p in people]
    identity = ("identity_epochs=1", "identity_settling_epochs=0")
    run(table, small("skin-five", *identity), tmp_path / "d", identity=people[0])
    with pytest.raises(
        ModelError, match="another cohort"
    ):  # of the identity stage, with patients named alike
        run(table, small("skin-five", *identity), tmp_path / "d", identity=people[1])
    (tmp_path / "c" / "image.npz").write_bytes(b"half")
    with pytest.raises(ModelError, match=r"the checkpoint is damaged. Start again with resume=False"):
        run(table, small("skin-five"), tmp_path / "c")


def test_a_checkpoint_holds_no_pickle(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "c", {"recipe": "x"})
    past = [Epoch(stage="training", epoch=1, loss=0.5, validation=None, metric=0.9)]
    origin = WeightsRecord(name="net", digest="0" * 64, licence="none", commercial_use=False)
    state = ViewState(stage=1, epoch=2, history=past, best=0.25, best_epoch=1, origin=origin)
    state.module = np.arange(3, dtype=np.float32)
    state.optimiser = {
        "state": {0: {"step": torch.tensor(4.0), "exp_avg": torch.ones(2)}},
        "param_groups": [{"lr": 1}],
    }
    checkpoints.save("face", state)
    with np.load(tmp_path / "c" / "face.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)
    again = checkpoints.load("face")
    assert (again.stage, again.epoch, again.history, again.best, again.best_epoch) == (
        1,
        2,
        past,
        0.25,
        1,
    )
    assert again.origin == origin
    assert again.optimiser is not None
    assert float(again.optimiser["state"][0]["step"]) == 4
    assert checkpoints.load("lower").epoch == 0


@pytest.mark.parametrize(
    ("changed", "meta"),
    [
        ({}, {"stage": 9}),
        ({}, {"stage": 2}),
        ({}, {"epoch": -1}),
        ({}, {"epoch": 1.0}),
        ({}, {"done": 1}),
        ({}, {"history": [{}]}),
        ({}, {"scaler": {"scale": 1}}),
        ({"module": np.zeros(3, np.float32)}, {}),
        ({"module": np.full(10, np.nan, np.float32)}, {}),
        ({"optimiser/0/momentum_buffer": np.zeros(3, np.float32)}, {}),
        ({"optimiser/999/momentum_buffer": np.zeros(3, np.float32)}, {}),
        ({"optimiser/0/exp_avg": np.zeros(3, np.float32)}, {}),
        ({"optimiser/x/y": np.zeros(3, np.float32)}, {}),
    ],
)
def test_an_altered_checkpoint_is_refused(
    stopped: tuple[Path, Path], tmp_path: Path, changed: dict[str, np.ndarray], meta: dict[str, Any]
) -> None:
    table, folder = stopped
    copy = shutil.copytree(folder, tmp_path / "c")
    with np.load(copy / "image.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    kept = {**json.loads(bytes(arrays["meta"])), **meta}
    arrays |= {**changed, "meta": np.frombuffer(json.dumps(kept).encode(), np.uint8)}
    np.savez(copy / "image.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"image.npz: the checkpoint is damaged. Start again"):
        run(table, small("skin-five"), copy)


def test_a_compressed_checkpoint_is_not_unpacked(stopped: tuple[Path, Path], tmp_path: Path) -> None:
    table, folder = stopped
    copy = shutil.copytree(folder, tmp_path / "c")
    with np.load(copy / "image.npz", allow_pickle=False) as file:
        sound = dict(file)
    np.savez_compressed(copy / "image.npz", **sound)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"the checkpoint is damaged"):
        run(table, small("skin-five"), copy)


@pytest.fixture(scope="module")
def stopped(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A cohort and the checkpoints of a training that was stopped."""
    folder = tmp_path_factory.mktemp("stopped") / "c"
    with pytest.raises(Stopped):
        run(table, small("skin-five"), folder, report=stop_at(1))
    return table, folder


# ------------------------------------------------------------------------------------------- bad input


def test_fewer_photos_than_a_batch(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"24 to train on, fewer than a batch of 32. Pass changes='batch=6'"):
        run(table, small("skin-five", "batch=32"), tmp_path / "c")


def test_a_photo_that_fails_in_epoch_three(
    table: Path,
    tmp_path: Path,
    uninterrupted: Callable[[Recipe], Finetuned],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = small("skin-five", "epochs=3")
    whole = uninterrupted(recipe)
    real, broken = Pictures.of, True
    epoch = 0

    def of(self: Pictures, rows: Any, name: str) -> Any:
        if broken and epoch == 2:
            raise PhotoError("7.png: no such file.")
        return real(self, rows, name)

    def report(now: Step) -> None:
        nonlocal epoch
        epoch = now.epoch if now.step == now.steps else epoch

    monkeypatch.setattr(Pictures, "of", of)
    with pytest.raises(
        PhotoError, match=r"7.png: no such file. .+ epoch 3 of image .+ checkpoint is kept"
    ) as caught:
        run(table, recipe, tmp_path / "b", report=report)
    assert "\n" not in str(caught.value)
    broken = False
    again = run(table, recipe, tmp_path / "b")
    np.testing.assert_array_equal(flat(again.network.modules[0]), flat(whole.network.modules[0]))


def test_no_room_for_the_checkpoint(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small("skin-five", "epochs=3")
    with pytest.raises(Stopped):
        run(table, recipe, tmp_path / "c", report=stop_at(1))
    before = (tmp_path / "c" / "image.npz").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(
            ModelError, match=r"cannot be written \(No space left on device\); the last one is kept"
        ):
            run(table, recipe, tmp_path / "c")
    assert (tmp_path / "c" / "image.npz").read_bytes() == before
    assert run(table, recipe, tmp_path / "c").network.about.history["image"][-1].epoch == 3


def test_a_rate_that_is_too_large(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the loss is no longer a number in epoch \d .+changes='rate="):
        run(
            table,
            small("skin-five", "rate=10", "loss=cross-entropy", "epochs=30", "momentum=0.999"),
            tmp_path / "c",
        )


def test_a_device_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device_of().type == "cpu"
    for name in ("cuda", "cuda:first", "gpu"):
        with pytest.raises(InputError, match=rf"device {name}: not on this computer. Choose from cpu"):
            device_of(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert (device_of().type, device_of("cuda:1").index) == ("cuda", 1)
    with pytest.raises(InputError, match=r"device cuda:2: .+ Choose from cuda, cuda:0, cuda:1, cpu\."):
        device_of("cuda:2")


def test_a_gpu_is_exact_only_while_it_trains() -> None:
    flags: Any = torch.backends.cudnn
    before = flags.deterministic, flags.benchmark, flags.allow_tf32
    with exact(CPU):
        assert (flags.deterministic, flags.benchmark, flags.allow_tf32) == before
    with exact(torch.device("cuda")):
        assert (flags.deterministic, flags.benchmark, flags.allow_tf32) == (True, False, False)
    assert (flags.deterministic, flags.benchmark, flags.allow_tf32) == before


def test_a_batch_that_is_too_large_for_the_device(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise torch.cuda.OutOfMemoryError("tried to allocate")

    monkeypatch.setattr(Objective, "loss", full)
    with pytest.raises(InputError, match=r"memory of the device cpu .+ batch of 8 .+changes='batch=4'"):
        run(table, small("skin-five"), tmp_path / "c")


def test_frozen_layers_stay(table: Path, tmp_path: Path) -> None:
    settings = ("backbone=efficientnet-lite0", "warm_start=efficientnet-lite0", "frozen_norm=true")
    recipe = small("skin-five", *settings, "epochs=1", "frozen_epochs=1")
    made = run(table, recipe, tmp_path / "c")
    module = made.network.modules[0]
    fresh = build(made.network.about.spec)
    from anthropo.networks.pretrained import warm_start

    warm_start(fresh.body, "efficientnet-lite0", "image", "efficientnet-lite0")
    state, began = module.state_dict(), fresh.state_dict()
    for name in state:
        if "running" in name:  # statistics are the warm start's
            torch.testing.assert_close(state[name], began[name])
    assert any(
        not torch.equal(state[n], began[n]) for n in state if n.startswith("body") and n.endswith("weight")
    )
    assert made.network.manifest.weights[0].name == "efficientnet-lite0"
