"""Training on drawn faces: it continues bit for bit, and landmarks are learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_domains import domains, tiny

from anthropo.errors import InputError, ModelError
from anthropo.networks.network import flat
from anthropo.networks.training_loop import Step
from anthropo.translation.checkpoints import LANDMARKS, TRANSLATION, Checkpoint, TranslationState, fingerprint
from anthropo.translation.landmarking import as_tensor, coloured, falling, jittered
from anthropo.translation.options import TranslationParameters
from anthropo.translation.pictures import UNIT, TranslationDomains
from anthropo.translation.training import (
    LearnedTranslation,
    Report,
    _Training,
    learn_translation,
    mixed_precision,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def drawn() -> TranslationDomains:
    return domains()


@pytest.fixture(scope="module")
def whole(drawn: TranslationDomains, tmp_path_factory: pytest.TempPathFactory) -> LearnedTranslation:
    """A training that was never interrupted."""
    return train(tmp_path_factory.mktemp("whole") / "whole.npz", drawn, tiny())


def train(
    path: Path, drawn: TranslationDomains, parameters: TranslationParameters, report: Report | None = None
) -> LearnedTranslation:
    checkpoint = Checkpoint(path, fingerprint(drawn, parameters, CPU))
    return learn_translation(drawn, parameters, checkpoint=checkpoint, device=CPU, report=report)


def interrupted(stage: str, epoch: int, step: int) -> Report:
    def report(now: Step) -> None:
        if (now.stage, now.epoch, now.step) == (stage, epoch, step):
            raise KeyboardInterrupt

    return report


@pytest.mark.parametrize("at", [(LANDMARKS, 2, 1), (TRANSLATION, 1, 1), (TRANSLATION, 2, 2)])
def test_an_interrupted_training_ends_where_another_does(
    tmp_path: Path, drawn: TranslationDomains, whole: LearnedTranslation, at: tuple[str, int, int]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "part.npz", drawn, tiny(), interrupted(*at))
    done: list[tuple[str, int]] = []

    def note(now: Step) -> None:
        done.append((now.stage, now.epoch))

    resumed = train(tmp_path / "part.npz", drawn, tiny(), note)
    assert done[0] == at[:2]  # nothing before is done again
    for one, other in zip(whole.generators, resumed.generators, strict=True):
        assert np.array_equal(flat(one), flat(other))
    assert whole.history == resumed.history
    assert len({flat(generator).tobytes() for generator in whole.generators}) == 2


def test_the_history_has_every_loss(whole: LearnedTranslation) -> None:
    history = whole.history
    first, last = history[0], history[-1]
    assert [one.stage for one in history] == [LANDMARKS] * 2 + [TRANSLATION] * 3
    assert first.held_out is not None
    assert None not in (last.adversarial, last.discriminator, last.cycle, last.identity, last.landmarks)
    weighed = last.adversarial + 10 * last.cycle + 5 * last.identity + tiny().landmarks * last.landmarks
    assert last.generators == pytest.approx(weighed, rel=1e-4)


def test_masks_move_with_their_pictures(tmp_path: Path, drawn: TranslationDomains) -> None:
    """Mirrored and shifted pictures are shown where their photograph is."""
    faces, random = drawn.train[0], np.random.default_rng(0)
    shown = random.random(faces.shown.shape) < 0.5
    pictures = np.where(shown[..., None], 255, 0).astype(np.uint8).repeat(3, -1)
    training = _Training(drawn, tiny(shift=0.1), Checkpoint(tmp_path / "a.npz", {}), CPU, None)
    batches = training.batches(replace(faces, pictures=pictures, shown=shown), 4, random)
    seen = [(x, mask) for x, mask in batches]
    assert len(seen) == 4
    for x, mask in seen:
        assert mask.shape == (2, 1, 32, 32)
        assert torch.equal((x[:, :1] > 0).float(), mask)


def test_borders_are_masked_in_training(tmp_path: Path, drawn: TranslationDomains) -> None:
    cut = replace(drawn.train[1], shown=drawn.train[1].shown.copy())
    cut.shown[:, 24:] = False
    ended = replace(drawn, train=(drawn.train[0], cut))
    options = {masked: tiny(mask_borders=masked, landmarks=0.0) for masked in (False, True)}
    history = {
        (masked, which): train(tmp_path / f"{masked}-{which}.npz", of, options[masked]).history
        for masked in (False, True)
        for which, of in (("whole", drawn), ("ended", ended))
    }
    assert history[True, "ended"] != history[True, "whole"]
    assert history[False, "ended"] == history[False, "whole"]


def test_without_landmarks_no_landmark_network_is_trained(tmp_path: Path, drawn: TranslationDomains) -> None:
    learned = train(tmp_path / "a.npz", drawn, tiny(landmarks=0.0))
    assert learned.landmarker is None
    assert {one.stage for one in learned.history} == {TRANSLATION}
    assert all(one.landmarks is None for one in learned.history)


def test_losses_that_are_read_later_are_the_same(
    tmp_path: Path, drawn: TranslationDomains, whole: LearnedTranslation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU is not waited for in each step; nothing else may change."""
    told: list[Step] = []
    first = _Training.__init__

    def patient(self: _Training, *args: object) -> None:
        first(self, *args)  # type: ignore[arg-type]
        self.unread = 3

    monkeypatch.setattr(_Training, "__init__", patient)
    later = train(tmp_path / "later.npz", drawn, tiny(), told.append)
    assert later.history == whole.history
    assert np.array_equal(flat(later.generators[0]), flat(whole.generators[0]))
    assert [(s.epoch, s.step) for s in told if s.stage == TRANSLATION] == [
        (epoch, step) for epoch in (1, 2, 3) for step in (1, 2)
    ]


@pytest.mark.parametrize(
    ("precision", "device", "capability", "mixed"),
    [
        ("mixed", "cuda", (9, 0), True),
        ("mixed", "cuda", (7, 5), False),  # imitates bfloat16, slowly
        ("full", "cuda", (9, 0), False),
        ("mixed", "cpu", (9, 0), False),
    ],
)
def test_only_a_gpu_with_bfloat16_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, precision: str, device: str, capability: tuple[int, int], mixed: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert mixed_precision(tiny(precision=precision), torch.device(device)) is mixed


def test_the_rate_is_constant_and_then_falls_evenly() -> None:
    assert [falling(epoch, 2, 3) for epoch in range(5)] == [1, 1, 0.75, 0.5, 0.25]


def test_other_options_and_damage_are_refused(tmp_path: Path, drawn: TranslationDomains) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(KeyboardInterrupt):
        train(path, drawn, tiny(), interrupted(TRANSLATION, 2, 1))
    with pytest.raises(ModelError, match=r"a training with another rate \(0.0002, not 0.001\)\. Repeat the"):
        train(path, drawn, tiny(rate=0.001))
    with pytest.raises(ModelError, match="another cohort"):
        train(path, domains(7), tiny())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match="the checkpoint is damaged"):
        train(path, drawn, tiny())


def test_fewer_photos_than_a_batch_are_refused(tmp_path: Path, drawn: TranslationDomains) -> None:
    with pytest.raises(InputError, match="drawn 1: 6 photos to train on, fewer than a batch of 7"):
        train(tmp_path / "a.npz", drawn, tiny(batch=7))


# --------------------------------------------------------------------------------- landmarks


def test_points_move_with_their_picture() -> None:
    """A bright spot is found where the point that was on it has gone."""
    torch.manual_seed(3)
    y, x = torch.meshgrid(*[(torch.arange(64) + 0.5) / 64] * 2, indexing="ij")
    at = torch.tensor([[0.35, 0.55], [0.6, 0.4], [0.5, 0.5], [0.42, 0.38]])
    spots = torch.exp(-((x - at[:, :1, None]) ** 2 + (y - at[:, 1:, None]) ** 2) / (2 * 0.03**2))
    pictures = spots[:, None].expand(-1, 3, -1, -1)
    new, points = jittered(pictures, at[:, None].expand(-1, 68, -1).clone())
    share = new[:, 0] / new[:, 0].sum((1, 2), keepdim=True)
    found = torch.stack([(share * x).sum((1, 2)), (share * y).sum((1, 2))], -1)
    assert (points[:, 0] - at).norm(dim=-1).max() > 0.02  # they have moved
    assert (found - points[:, 0]).norm(dim=-1).max() < 0.006


def test_colours_change_and_stay_within_levels() -> None:
    torch.manual_seed(0)
    before = torch.rand(8, 3, 32, 32) * 2 - 1
    after = coloured(before)
    assert after.abs().max() <= 1
    assert (after - before).abs().mean() > 0.05


def test_the_landmark_network_beats_the_mean_shape(tmp_path: Path) -> None:
    drawn = domains(train=20, held_out=10)
    parameters = tiny(landmark_epochs=20, landmark_channels=8, landmark_batch=6, landmark_rate=6e-3)
    training = _Training(drawn, parameters, Checkpoint(tmp_path / "a.npz", {}), CPU, None)
    module = training.landmarker(TranslationState())
    mean = np.concatenate([faces.points for faces in drawn.train]).mean(0)
    by_mean = np.mean(
        [np.linalg.norm(faces.points - mean, axis=-1).mean() / UNIT for faces in drawn.held_out]
    )
    assert training.landmark_error(module) < 0.8 * by_mean
    assert not any(p.requires_grad for p in module.parameters())


def test_pictures_are_given_to_networks_as_levels() -> None:
    pictures = np.zeros((1, 2, 2, 3), np.uint8)
    pictures[0, 0, 1] = 255, 0, 51
    x = as_tensor(pictures)
    assert x.shape == (1, 3, 2, 2)
    assert torch.allclose(x[0, :, 0, 1], torch.tensor([1.0, -1.0, -0.6]))
