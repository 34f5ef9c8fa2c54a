"""Generators, discriminators and losses: the published layers, and values that are known."""

from __future__ import annotations

import math

import pytest
import torch
from made_domains import tiny
from torch import nn

from anthropo.translation.buffer import PictureBuffer
from anthropo.translation.losses import adversarial_loss, discriminator_loss, heat_loss, landmark_loss
from anthropo.translation.networks import (
    Discriminator,
    Generator,
    Landmarker,
    initialise,
    least_size,
    places,
)
from anthropo.translation.training import Adversaries


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_published_sizes() -> None:
    with torch.device("meta"):
        assert weights(Generator(64, 9, "transposed", False)) == 11_378_179
        assert weights(Discriminator(64, 3)) == 2_764_737


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("size", [32, 48])
@pytest.mark.parametrize("skip", [False, True])
def test_a_generator_keeps_the_size_and_stays_within_levels(upsampling: str, size: int, skip: bool) -> None:
    made = Generator(2, 1, upsampling, skip)(torch.rand(2, 3, size, size) * 2 - 1)
    assert made.shape == (2, 3, size, size)
    assert made.abs().max() <= 1


@pytest.mark.parametrize(("layers", "side"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_discriminator_sees_patches_of_the_published_size(layers: int, side: int) -> None:
    module = Discriminator(2, layers)
    initialise(module)
    for i, layer in enumerate(module.layers):  # which looks at the whole picture
        if isinstance(layer, nn.InstanceNorm2d):
            module.layers[i] = nn.Identity()
    x = torch.zeros(1, 3, 2 * side + 64, 2 * side + 64, requires_grad=True)
    answers = module(x)
    middle = answers.shape[-1] // 2
    answers[0, 0, middle, middle].backward()
    seen = x.grad.abs().sum((0, 1)).nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [side, side]


def test_least_size_gives_an_answer_and_less_does_not() -> None:
    assert [least_size(layers) for layers in (1, 3, 4)] == [32, 32, 64]
    assert Discriminator(2, 4)(torch.zeros(1, 3, 64, 64)).numel() == 4
    with pytest.raises((RuntimeError, ValueError)):
        Discriminator(2, 4)(torch.zeros(1, 3, 32, 32))


def test_weights_begin_as_published() -> None:
    module = Generator(16, 2, "transposed", False)
    torch.manual_seed(0)
    initialise(module)
    kernels = torch.cat([p.flatten() for name, p in module.named_parameters() if name.endswith("weight")])
    assert math.isclose(kernels.std().item(), 0.02, rel_tol=0.02)
    assert not any(p.any() for name, p in module.named_parameters() if name.endswith("bias"))


def test_a_generator_with_a_skip_begins_with_the_picture() -> None:
    module = Generator(2, 1, "resize", True)
    initialise(module)
    x = torch.rand(1, 3, 32, 32) * 1.8 - 0.9
    assert (module(x) - x).abs().mean() < 0.1
    with torch.no_grad():
        module.layers[-1].weight.zero_()
    assert torch.allclose(module(x), x, atol=1e-5)


def test_a_landmark_is_the_mean_place_of_its_map() -> None:
    maps = torch.full((1, 68, 8, 8), -50.0)
    maps[:, :, 2, 5] = 50.0
    across, down = places(maps)
    assert torch.allclose(Landmarker.points(maps)[0, 0], torch.stack([across[5], down[2]]), atol=1e-6)
    maps[:, :, 4, 5] = 50.0
    assert torch.allclose(Landmarker.points(maps)[0, 0, 1], (down[2] + down[4]) / 2, atol=1e-6)


# ------------------------------------------------------------------------------------------- losses


def test_adversarial_losses_by_hand() -> None:
    answers = torch.tensor([1.0, 0.0, 0.5, -1.0])
    assert adversarial_loss(answers, True, "least-squares").item() == pytest.approx((0 + 1 + 0.25 + 4) / 4)
    assert adversarial_loss(answers, False, "least-squares").item() == pytest.approx((1 + 0 + 0.25 + 1) / 4)
    entropy = sum(math.log(1 + math.exp(-a)) for a in answers.tolist()) / 4
    assert adversarial_loss(answers, True, "cross-entropy").item() == pytest.approx(entropy)
    real, made = torch.tensor([0.5]), torch.tensor([0.25])
    assert discriminator_loss(real, made, "least-squares").item() == pytest.approx((0.25 + 0.0625) / 2)


def test_landmark_loss_is_a_mean_distance_in_its_unit() -> None:
    before = torch.zeros(1, 2, 2)
    after = torch.tensor([[[0.03, 0.04], [0.0, 0.0]]], requires_grad=True)
    loss = landmark_loss(before, after, 0.5)
    assert loss.item() == pytest.approx(0.05 / 0.5 / 2, abs=1e-4)
    loss.backward()
    assert torch.isfinite(after.grad).all()


def test_heat_loss_is_least_where_the_map_is_about_the_point() -> None:
    maps = torch.zeros(1, 68, 16, 16)
    points = torch.full((1, 68, 2), 0.3)
    right = maps.clone()
    right[:, :, 4:6, 4:6] = 5.0
    wrong = maps.clone()
    wrong[:, :, 12:14, 12:14] = 5.0
    assert heat_loss(right, points) < heat_loss(maps, points) < heat_loss(wrong, points)


# ------------------------------------------------------------------------------------------- buffer


def pictures(*levels: float) -> torch.Tensor:
    return torch.tensor(levels).float().view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone()


def test_a_buffer_gives_back_what_comes_until_it_is_full() -> None:
    buffer, draw = PictureBuffer(3), torch.Generator().manual_seed(0)
    assert torch.equal(buffer.exchanged(pictures(1, 2, 3), draw), pictures(1, 2, 3))
    assert [one.max().item() for one in buffer.pictures] == [1, 2, 3]


def test_a_full_buffer_gives_back_half_of_what_was_before() -> None:
    buffer, draw = PictureBuffer(50), torch.Generator().manual_seed(0)
    buffer.exchanged(pictures(*range(50)), draw)
    new = [buffer.exchanged(pictures(1000 + i), draw).max().item() == 1000 + i for i in range(1000)]
    assert 420 < sum(new) < 580
    assert len(buffer.pictures) == 50
    kept = {one.max().item() for one in buffer.pictures}
    assert len(kept) == 50
    assert max(kept) > 1900


def test_a_buffer_of_none_gives_back_what_comes_without_its_gradient() -> None:
    new = pictures(1, 2).requires_grad_(True)
    seen = PictureBuffer(0).exchanged(new, torch.Generator())
    assert torch.equal(seen, new)
    assert not seen.requires_grad


# ------------------------------------------------------------------------------------------- wiring


class Scaled(nn.Module):
    """Multiplies with a number that is learned."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.by


def adversaries(to_b: float = 0.5, to_a: float = 3.0, **more: object) -> Adversaries:
    return Adversaries((Scaled(to_b), Scaled(to_a)), (Scaled(1.0), Scaled(2.0)), None, tiny(**more))


def test_each_loss_compares_what_it_should() -> None:
    a, b = torch.full((1, 3, 4, 4), 0.8), torch.full((1, 3, 4, 4), 0.2)
    losses, in_b, in_a = adversaries().generator_losses(a, b)
    assert in_b.mean().item() == pytest.approx(0.4)  # a to B
    assert in_a.mean().item() == pytest.approx(0.6)  # b to A
    # of B answers twice 0.4, of A 0.6
    assert losses["adversarial"].item() == pytest.approx((0.8 - 1) ** 2 + (0.6 - 1) ** 2)
    assert losses["cycle"].item() == pytest.approx(abs(1.2 - 0.8) + abs(0.3 - 0.2))
    assert losses["identity"].item() == pytest.approx(abs(0.1 - 0.2) + abs(2.4 - 0.8))
    swapped, *_ = adversaries(3.0, 0.5).generator_losses(a, b)
    assert all(
        losses[name].item() != pytest.approx(swapped[name].item()) for name in ("adversarial", "identity")
    )


def test_losses_are_weighed_as_the_options_say() -> None:
    step = adversaries(cycle=10.0, identity=0.5, landmarks=15.0)
    losses = {name: torch.tensor(1.0) for name in ("adversarial", "cycle", "identity", "landmarks")}
    assert step.weighed(losses).item() == 1 + 10 + 5 + 15
    assert (
        "identity"
        not in adversaries(identity=0.0).generator_losses(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))[0]
    )


def test_each_discriminator_sees_its_own_domain() -> None:
    a, b, in_a, in_b = (torch.full((1, 3, 4, 4), level) for level in (0.1, 0.2, 0.3, 0.4))
    loss = adversaries().discriminator_loss(a, b, in_a, in_b, torch.Generator())
    by_hand = ((0.1 - 1) ** 2 + 0.3**2) / 2 + ((0.4 - 1) ** 2 + 0.8**2) / 2
    assert loss.item() == pytest.approx(by_hand)


def test_what_no_photograph_shows_has_no_part_in_a_loss() -> None:
    """Borders of any look give the same losses and gradients, and discriminators see both alike."""
    random = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 1, 3, 4, 4, generator=random)
    shown = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    shown[0][..., 0] = 0
    shown[1][..., 3, :] = 0
    other = [torch.where(mask == 1, x, -0.9) for x, mask in zip((a, b), shown, strict=True)]
    both = []
    for x, y in ((a, b), other):
        step = adversaries()
        losses, *_ = step.generator_losses(x, y, shown)
        step.weighed(losses).backward()
        told = step.take(x, y, torch.Generator(), shown)["discriminator"]
        both.append([*losses.values(), told, step.to_b.by.grad, step.to_a.by.grad])
    assert all(torch.equal(*pair) for pair in zip(*both, strict=True))
    plain = adversaries().generator_losses(a, b)[0]
    assert all(plain[name].item() != pytest.approx(losses[name].item()) for name in plain)
    # where both photographs are whole, nothing changes
    whole = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    for name, loss in adversaries().generator_losses(a, b, whole)[0].items():
        assert loss.item() == pytest.approx(plain[name].item())


def test_gradients_of_the_generators_reach_them_alone() -> None:
    landmarker = Landmarker(4).eval().requires_grad_(False)
    to = Generator(2, 1, "resize", False), Generator(2, 1, "resize", False)
    of = Discriminator(2, 2), Discriminator(2, 2)
    step = Adversaries(to, of, landmarker, tiny())
    a, b = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    before = [p.clone() for module in of for p in module.parameters()]
    for module in of:
        module.requires_grad_(False)
    step.weighed(step.generator_losses(a, b)[0]).backward()
    assert all(p.grad is None for module in (*of, landmarker) for p in module.parameters())
    assert all(p.grad is not None for module in to for p in module.parameters())
    for module in (*to, *of):
        module.requires_grad_(True)
        module.zero_grad(set_to_none=True)
    in_b, in_a = to[0](a), to[1](b)
    step.discriminator_loss(a, b, in_a, in_b, torch.Generator()).backward()
    assert all(p.grad is None for module in to for p in module.parameters())
    step.take(a, b, torch.Generator())
    assert any(
        not torch.equal(x, y) for x, y in zip(before, (p for m in of for p in m.parameters()), strict=True)
    )


def test_half_precision_is_of_the_networks_and_not_of_pictures_and_landmarks() -> None:
    torch.manual_seed(0)
    landmarker = Landmarker(4).eval().requires_grad_(False)
    to = Generator(2, 1, "resize", False), Generator(2, 1, "resize", True)
    of = Discriminator(2, 2), Discriminator(2, 2)
    a, b = torch.rand(2, 1, 3, 32, 32) * 2 - 1
    full, mixed = (Adversaries(to, of, landmarker, tiny(), mixed=m) for m in (False, True))
    with full.precision(a):
        exact, *_ = full.generator_losses(a, b)
    seen = {}
    of[1].layers[0].register_forward_hook(lambda *given: seen.update(answers=given[2].dtype))
    landmarker.maps.register_forward_hook(lambda *given: seen.update(maps=given[2].dtype))
    torch.manual_seed(1)
    with mixed.precision(a):
        rounded, in_b, in_a = mixed.generator_losses(a, b)
    assert seen == {"answers": torch.bfloat16, "maps": torch.float32}
    assert in_b.dtype == in_a.dtype == torch.float32
    for name in ("adversarial", "cycle", "identity"):
        assert rounded[name].dtype == torch.float32
        assert rounded[name].item() == pytest.approx(exact[name].item(), rel=0.02)
        assert rounded[name].item() != exact[name].item()
    assert all(torch.isfinite(loss) for loss in mixed.take(a, b, torch.Generator()).values())


def test_the_landmark_loss_alone_moves_a_generator() -> None:
    landmarker = Landmarker(4).eval().requires_grad_(False)
    to = Generator(2, 1, "resize", False), Generator(2, 1, "resize", False)
    step = Adversaries(to, (Discriminator(2, 2), Discriminator(2, 2)), landmarker, tiny())
    x = torch.rand(1, 3, 32, 32)
    assert step.displacement(x, x).item() < 1e-3  # both in one view
    step.displacement(x, to[0](x)).backward()
    assert any(p.grad.abs().sum() > 0 for p in to[0].parameters())
