"""Losses against tables worked by hand, torch's own functions and a simulated problem whose posterior is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from medtl import registry
from medtl.errors import MedtlError
from medtl.imbalance import ImbalanceSettings
from medtl.imbalance.class_weights import inverse_frequency

FOLDER = "imbalance.losses"
COUNTS = np.array([60.0, 30.0, 10.0])
NEUTRAL = {"weighted": {"power": 0}, "focal": {"gamma": 0, "power": 0}}
"""Settings with which a loss is plain cross-entropy."""


def build(name: str, counts: np.ndarray = COUNTS, label_smoothing: float = 0.0, **own: float) -> torch.nn.Module:
    file = registry.component(FOLDER, name)
    return file.build(file.Settings(**own), counts, label_smoothing)


def batch(images: int = 16, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, classes, generator=generator) * 3, torch.randint(classes, (images,), generator=generator)


@pytest.mark.parametrize("name", registry.names(FOLDER))
def test_every_loss_keeps_the_contract(name: str) -> None:
    file = registry.component(FOLDER, name)
    chosen = ImbalanceSettings.model_validate({"loss": name}).loss
    assert chosen == file.Settings()
    assert ImbalanceSettings.model_validate(ImbalanceSettings(loss=chosen).model_dump()).loss == chosen
    assert len(file.__doc__) > 40, "a component says what it is and where it is from"
    shift = file.log_prior_shift(chosen, COUNTS)
    assert shift.shape == (3,)
    assert np.isfinite(shift).all()
    logits, targets = batch()
    logits.requires_grad_()
    loss = file.build(chosen, COUNTS, 0.1)(logits, targets)
    loss.backward()
    assert loss.shape == ()
    assert loss.item() > 0
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", registry.names(FOLDER))
def test_image_weights_are_a_weighted_mean(name: str) -> None:
    logits, targets = batch()
    loss = build(name)
    twice = torch.cat([logits, logits[:4]]), torch.cat([targets, targets[:4]])
    weights = torch.ones(16)
    weights[:4] = 2
    torch.testing.assert_close(loss(logits, targets, weights), loss(*twice))
    weights[:4] = 0
    torch.testing.assert_close(loss(logits, targets, weights), loss(logits[4:], targets[4:]))


@pytest.mark.parametrize("name", registry.names(FOLDER))
@pytest.mark.parametrize("extreme", [40.0, -40.0, 1e4])
def test_gradients_stay_finite_at_certain_predictions(name: str, extreme: float) -> None:
    logits = torch.tensor([[extreme, 0.0, 0.0], [0.0, extreme, 0.0]], requires_grad=True)
    own = {"gamma": 0.5} if name == "focal" else {}
    build(name, **own)(logits, torch.tensor([0, 0])).backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", sorted(NEUTRAL))
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_neutral_settings_are_cross_entropy_bit_for_bit(name: str, label_smoothing: float) -> None:
    results = []
    for loss in (build(name, label_smoothing=label_smoothing, **NEUTRAL[name]), build("cross-entropy", label_smoothing=label_smoothing)):
        logits, targets = batch()
        value = loss(logits.requires_grad_(), targets)
        value.backward()
        results.append((value, logits.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    file = registry.component(FOLDER, name)
    assert not file.log_prior_shift(file.Settings(**NEUTRAL[name]), COUNTS).any()


def test_cross_entropy_is_torchs() -> None:
    logits, targets = batch()
    assert torch.equal(
        build("cross-entropy", label_smoothing=0.1)(logits, targets), functional.cross_entropy(logits, targets, label_smoothing=0.1)
    )


def test_values_worked_by_hand() -> None:
    # Two images with p = (0.8, 0.2); the first is class 0, the second class 1. -ln 0.8 = 0.223144, -ln 0.2 = 1.609438.
    logits = torch.log(torch.tensor([[0.8, 0.2], [0.8, 0.2]]))
    targets = torch.tensor([0, 1])
    counts = np.array([75.0, 25.0])  # weights 100 / (2 · 75) = 2/3 and 100 / (2 · 25) = 2
    assert build("cross-entropy", counts)(logits, targets).item() == pytest.approx((0.223144 + 1.609438) / 2, abs=1e-6)
    assert build("weighted", counts)(logits, targets).item() == pytest.approx((2 / 3 * 0.223144 + 2 * 1.609438) / 2, abs=1e-6)
    # gamma 2: (1 - 0.8)² = 0.04 and (1 - 0.2)² = 0.64
    assert build("focal", counts)(logits, targets).item() == pytest.approx((0.04 * 0.223144 + 0.64 * 1.609438) / 2, abs=1e-6)
    expected = (2 / 3 * 0.04 * 0.223144 + 2 * 0.64 * 1.609438) / 2
    assert build("focal", counts, power=1)(logits, targets).item() == pytest.approx(expected, abs=1e-6)


def test_half_precision_is_computed_in_float32() -> None:
    logits, targets = batch()
    half = logits.to(torch.bfloat16)
    assert build("focal")(half, targets).dtype == torch.float32
    assert torch.equal(build("focal")(half, targets), build("focal")(half.float(), targets))


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=8), st.floats(0, 2))
@settings(max_examples=50, deadline=None)
def test_class_weights_have_mean_one_over_the_images(counts: list[int], power: float) -> None:
    images = np.array(counts, dtype=float)
    weights = inverse_frequency(images, power)
    assert (weights * images).sum() / images.sum() == pytest.approx(1)
    assert all(weights[i] >= weights[j] - 1e-12 for i in range(len(counts)) for j in range(len(counts)) if counts[i] <= counts[j])


def test_full_power_is_scikit_learns_balanced() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 2], COUNTS.astype(int))
    np.testing.assert_allclose(inverse_frequency(COUNTS, 1.0), compute_class_weight("balanced", classes=np.arange(3), y=labels))


def test_a_class_without_images_is_refused() -> None:
    with pytest.raises(MedtlError, match="at least one training image of every class; none of class number 1"):
        build("weighted", np.array([5.0, 0.0]))
    build("weighted", np.array([5.0, 0.0]), power=0)


def _fitted(loss: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Logits of a linear model fitted to convergence."""
    parameters = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def logits() -> torch.Tensor:
        return torch.stack([x, torch.ones_like(x)], dim=1) @ parameters

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(logits(), y)
        value.backward()
        return value

    optimizer.step(closure)
    return logits().detach()


def test_taking_off_the_declared_shift_recovers_the_posterior() -> None:
    """One feature, three normal classes of variance 1 at -1, 0.5 and 2: the posterior is known and linear in x."""
    generator = np.random.default_rng(0)
    prior, centres = np.array([0.80, 0.15, 0.05]), np.array([-1.0, 0.5, 2.0])
    y = generator.choice(3, size=40_000, p=prior)
    x = centres[y] + generator.standard_normal(len(y))
    posterior = prior * np.exp(-0.5 * (x[:, None] - centres) ** 2)
    posterior /= posterior.sum(axis=1, keepdims=True)
    counts = np.bincount(y).astype(float)
    file = registry.component(FOLDER, "weighted")
    logits = _fitted(file.build(file.Settings(), counts, 0.0), torch.tensor(x), torch.tensor(y)).numpy()
    undone = logits - file.log_prior_shift(file.Settings(), counts)

    def error(values: np.ndarray) -> float:
        return float(np.abs(functional.softmax(torch.tensor(values), dim=1).numpy() - posterior).mean())

    assert error(undone) < 0.01
    assert error(logits) > 0.1, "without it the probabilities are those of another prior"
