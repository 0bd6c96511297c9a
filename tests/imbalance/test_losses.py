"""What every loss keeps, found by name: the contract of `medtl.imbalance.losses`."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from medtl import registry
from medtl.errors import MedtlError
from medtl.experiment import strict_yaml
from medtl.imbalance import ImbalanceSettings, unfit
from medtl.imbalance.class_weights import effective_number, inverse_frequency, log_shift

FOLDER = "imbalance.losses"
COUNTS = np.array([60.0, 30.0, 10.0])
KNOWN = np.array([[60.0, 30.0], [10.0, 80.0], [70.0, 20.0]])
"""Images without and with each of three classes, some unknown."""
NEUTRAL = {
    "asymmetric": {"positive_focus": 0, "negative_focus": 0, "margin": 0},
    "class-balanced": {"beta": 0, "gamma": 0},
    "cross-entropy": {},
    "focal": {"gamma": 0, "power": 0},
    "ldam": {"max_margin": 0, "beta": 0},
    "logit-adjusted": {"tau": 0},
    "weighted": {"power": 0},
}
"""Settings with which a loss is plain cross-entropy. Balanced softmax has none: it is neutral for equally frequent classes."""
CHOICES = [(name, kind) for name in registry.names(FOLDER) for kind in registry.component(FOLDER, name).TASKS]
EXTREME = [100.0, -100.0, 1e4]


def build(name: str, counts: np.ndarray = COUNTS, label_smoothing: float = 0.0, **own: float) -> torch.nn.Module:
    file = registry.component(FOLDER, name)
    return file.build(file.Settings(**own), counts, label_smoothing)


def counts_of(kind: str) -> np.ndarray:
    return COUNTS if kind == "single" else KNOWN


def batch(kind: str = "single", images: int = 16, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, 3, generator=generator) * 3
    if kind == "single":
        return logits, torch.randint(3, (images,), generator=generator)
    targets = torch.randint(2, (images, 3), generator=generator).float()
    return logits, targets.masked_fill(torch.rand(images, 3, generator=generator) < 0.2, torch.nan)


def test_every_kind_of_task_has_losses() -> None:
    assert {"cross-entropy", "ldam", "balanced-softmax"} <= {name for name, kind in CHOICES if kind == "single"}
    assert {"cross-entropy", "weighted", "focal", "asymmetric"} == {name for name, kind in CHOICES if kind == "multi"}
    assert set(NEUTRAL) | {"balanced-softmax"} == {name for name, _ in CHOICES}


@pytest.mark.parametrize(("name", "kind"), CHOICES)
def test_every_loss_keeps_the_contract(name: str, kind: str) -> None:
    file = registry.component(FOLDER, name)
    chosen = ImbalanceSettings.model_validate({"loss": name}).loss
    assert chosen == file.Settings()
    shift = file.log_prior_shift(chosen, counts_of(kind))
    assert shift.shape == (3,)
    assert np.isfinite(shift).all()
    loss = file.build(chosen, counts_of(kind), 0.1)
    assert loss.settled, "without a word of epochs it is in its final phase"
    for share in (1.0, 0.0, 0.5):
        loss.set_progress(share)
        logits, targets = batch(kind)
        value = loss(logits.requires_grad_(), targets)
        value.backward()
        assert value.shape == ()
        assert value.item() > 0
        assert torch.isfinite(logits.grad).all()
    loss.set_progress(1.0)
    assert loss.settled
    assert not loss.state_dict(), "checkpoints do not hold it"


@pytest.mark.parametrize("name", registry.names(FOLDER))
def test_every_loss_says_where_it_is_from(name: str) -> None:
    assert re.search(r"\b(19|20)\d\d\b", registry.component(FOLDER, name).__doc__)


@pytest.mark.parametrize("name", registry.names(FOLDER))
def test_settings_come_back_from_yaml(name: str) -> None:
    for own in ({}, NEUTRAL.get(name, {})):
        given = ImbalanceSettings.model_validate({"loss": {"name": name, **own}, "retrain_classifier": "square-root"})
        written = strict_yaml.dump(given.model_dump(mode="json"))
        assert ImbalanceSettings.model_validate(strict_yaml.parse(written, "config").data) == given


@pytest.mark.parametrize(("name", "kind"), CHOICES)
def test_image_weights_are_a_weighted_mean(name: str, kind: str) -> None:
    logits, targets = batch(kind)
    loss = build(name, counts_of(kind))
    twice = torch.cat([logits, logits[:4]]), torch.cat([targets, targets[:4]])
    weights = torch.ones(16)
    weights[:4] = 2
    torch.testing.assert_close(loss(logits, targets, weights), loss(*twice))
    weights[:4] = 0
    torch.testing.assert_close(loss(logits, targets, weights), loss(logits[4:], targets[4:]))


@pytest.mark.parametrize(("name", "kind"), CHOICES)
@pytest.mark.parametrize("own", [{}, {"gamma": 0.5, "positive_focus": 0.5, "negative_focus": 0.5}])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("extreme", EXTREME)
def test_gradients_stay_finite_at_certain_predictions(name: str, kind: str, own: dict, dtype: torch.dtype, extreme: float) -> None:
    logits = torch.tensor([[extreme, 0.0, 0.0], [0.0, extreme, -extreme]], dtype=dtype, requires_grad=True)
    targets = torch.tensor([0, 0]) if kind == "single" else torch.tensor([[1.0, 0.0, torch.nan], [0.0, 1.0, 1.0]])
    known = {key: value for key, value in own.items() if key in registry.component(FOLDER, name).Settings.model_fields}
    for label_smoothing in (0.0, 0.1):
        value = build(name, counts_of(kind), label_smoothing, **known)(logits, targets)
        assert torch.isfinite(value)
        value.backward()
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kind in CHOICES if name in NEUTRAL])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_neutral_settings_are_cross_entropy(name: str, kind: str, label_smoothing: float) -> None:
    """Of one class per image bit for bit."""
    logits, targets = batch(kind)
    logits.requires_grad_()
    value = build(name, counts_of(kind), label_smoothing, **NEUTRAL[name])(logits, targets)
    (gradient,) = torch.autograd.grad(value, logits)
    if kind == "single":
        expected = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing).mean()
    else:
        known = ~targets.isnan()
        smoothed = targets[known] * (1 - label_smoothing) + label_smoothing / 2
        expected = functional.binary_cross_entropy_with_logits(logits[known], smoothed)
    (expected_gradient,) = torch.autograd.grad(expected, logits)
    tolerance = {"atol": 0.0, "rtol": 0.0} if kind == "single" else {}
    torch.testing.assert_close(value, expected, **tolerance)
    torch.testing.assert_close(gradient, expected_gradient, **tolerance)
    file = registry.component(FOLDER, name)
    assert not file.log_prior_shift(file.Settings(**NEUTRAL[name]), counts_of(kind)).any()


def test_equally_frequent_classes_make_balanced_softmax_plain() -> None:
    logits, targets = batch()
    torch.testing.assert_close(build("balanced-softmax", np.full(3, 50.0))(logits, targets), functional.cross_entropy(logits, targets))


def test_cross_entropy_is_torchs() -> None:
    logits, targets = batch()
    assert torch.equal(
        build("cross-entropy", label_smoothing=0.1)(logits, targets), functional.cross_entropy(logits, targets, label_smoothing=0.1)
    )


def test_half_precision_is_computed_in_float32() -> None:
    logits, targets = batch()
    half = logits.to(torch.bfloat16)
    assert build("focal")(half, targets).dtype == torch.float32
    assert torch.equal(build("focal")(half, targets), build("focal")(half.float(), targets))


counted = st.lists(st.integers(1, 10_000), min_size=2, max_size=8)


@given(counted, st.floats(0, 2), st.floats(0, 0.99999))
@settings(max_examples=50, deadline=None)
def test_class_weights_have_mean_one_over_the_images(counts: list[int], power: float, beta: float) -> None:
    images = np.array(counts, dtype=float)
    for weights in (inverse_frequency(images, power), effective_number(images, beta)):
        assert (weights * images).sum() / images.sum() == pytest.approx(1)
        assert all(weights[i] >= weights[j] - 1e-12 for i in range(len(counts)) for j in range(len(counts)) if counts[i] <= counts[j])
        assert weights.max() / weights.min() <= (max(counts) / min(counts)) ** max(power, 1) * (1 + 1e-9)


@given(counted, counted, st.floats(0, 2))
@settings(max_examples=50, deadline=None)
def test_each_class_for_itself_is_a_task_of_two_classes(absent: list[int], present: list[int], power: float) -> None:
    counts = np.array(list(zip(absent, present, strict=False)), dtype=float)
    rows = [inverse_frequency(row, power) for row in counts]
    np.testing.assert_allclose(inverse_frequency(counts, power), rows)
    np.testing.assert_allclose(log_shift(inverse_frequency(counts, power)), power * np.log(counts[:, 0] / counts[:, 1]), atol=1e-9)


def test_effective_numbers_lie_between_none_and_inverse_frequency() -> None:
    np.testing.assert_allclose(effective_number(COUNTS, 1 - 1e-9), inverse_frequency(COUNTS, 1.0), rtol=1e-6)
    assert np.array_equal(effective_number(COUNTS, 0.0), np.ones(3))


def test_full_power_is_scikit_learns_balanced() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 2], COUNTS.astype(int))
    np.testing.assert_allclose(inverse_frequency(COUNTS, 1.0), compute_class_weight("balanced", classes=np.arange(3), y=labels))


@pytest.mark.parametrize("name", ["weighted", "class-balanced", "logit-adjusted", "balanced-softmax", "ldam"])
def test_a_class_without_images_is_refused(name: str) -> None:
    with pytest.raises(MedtlError, match="at least one training image of every class; none of class number 1 "):
        build(name, np.array([5.0, 0.0]))
    if name in NEUTRAL:
        build(name, np.array([5.0, 0.0]), **NEUTRAL[name])


def test_a_class_that_all_images_have_is_refused_where_each_stands_for_itself() -> None:
    with pytest.raises(MedtlError, match="with and without every class; not so for class number 0, 2 "):
        build("weighted", np.array([[5.0, 0.0], [3.0, 2.0], [0.0, 5.0]]))


def test_asymmetric_is_refused_for_one_class_per_image() -> None:
    with pytest.raises(MedtlError, match=r"images of several classes \(task.kind: multi\)"):
        build("asymmetric")


@pytest.mark.parametrize(
    ("chosen", "kind", "expected"),
    [
        ({"loss": "ldam", "sampler": "balanced", "retrain_classifier": "natural"}, "single", {}),
        ({"loss": "asymmetric"}, "single", {"loss": "asymmetric"}),
        ({"loss": "asymmetric"}, "multi", {}),
        (
            {"loss": "ldam", "sampler": "balanced", "retrain_classifier": "square-root"},
            "multi",
            {"loss": "ldam", "sampler": "balanced", "retrain_classifier": "square-root"},
        ),
    ],
)
def test_what_does_not_serve_a_kind_of_task_is_named(chosen: dict[str, str], kind: str, expected: dict[str, str]) -> None:
    found = unfit(ImbalanceSettings.model_validate(chosen), kind)
    assert {mistake.path[0]: mistake.value for mistake in found} == expected
    assert all(mistake.sentence.startswith(f"is not for a task of kind {kind}; allowed there: ") for mistake in found)
