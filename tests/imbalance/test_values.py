"""Every loss equals a table worked by hand: logarithms, powers and products of plain numbers, none of them ours."""

from __future__ import annotations

from math import exp, log, log1p

import numpy as np
import pytest
import torch

from medtl import registry
from medtl.imbalance.losses import ldam
from medtl.imbalance.losses._superset import SupersetLoss

NAN = float("nan")
COUNTS = np.array([75.0, 25.0])
# Two images that the network gives p = (0.8, 0.2); the first is of class 0, the second of class 1.
LOGITS = torch.log(torch.tensor([[0.8, 0.2], [0.8, 0.2]], dtype=torch.float64))
FIRST, SECOND = 0.22314355, 1.60943791  # -ln 0.8, -ln 0.2


def value(name: str, counts: np.ndarray = COUNTS, **own: float) -> float:
    file = registry.component("imbalance.losses", name)
    return float(file.build(file.Settings(**own), counts, 0.0)(LOGITS, torch.tensor([0, 1])))


def mean(first: float, second: float) -> float:
    return pytest.approx((first + second) / 2, abs=1e-6)


def test_cross_entropy() -> None:
    assert value("cross-entropy") == mean(FIRST, SECOND)


def test_weighted() -> None:
    # weights 100 / (2 · 75) = 2/3 and 100 / (2 · 25) = 2
    assert value("weighted") == mean(2 / 3 * FIRST, 2 * SECOND)
    # power 1/2: proportional to 0.8164966 and 1.4142136, whose mean over the images is 0.9659258
    assert value("weighted", power=0.5) == mean(0.8452995 * FIRST, 1.4641016 * SECOND)


def test_focal() -> None:
    # (1 - 0.8)² = 0.04 and (1 - 0.2)² = 0.64
    assert value("focal") == mean(0.04 * FIRST, 0.64 * SECOND)
    assert value("focal", power=1) == mean(2 / 3 * 0.04 * FIRST, 2 * 0.64 * SECOND)


def test_class_balanced() -> None:
    # Three images and one, beta 0.5: effective numbers (1 - 0.125) / 0.5 = 1.75 and 1; inverse 0.571429 and 1, whose mean over the four
    # images is (3 · 0.571429 + 1) / 4 = 0.678571; so the weights are 0.842105 and 1.473684.
    few = np.array([3.0, 1.0])
    assert value("class-balanced", few, beta=0.5) == mean(0.842105 * FIRST, 1.473684 * SECOND)
    assert value("class-balanced", few, beta=0.5, gamma=2) == mean(0.842105 * 0.04 * FIRST, 1.473684 * 0.64 * SECOND)


def test_logit_adjusted_and_balanced_softmax() -> None:
    # 0.8 · 0.75 = 0.6 and 0.2 · 0.25 = 0.05: of 0.65 together, 12/13 and 1/13
    assert value("logit-adjusted") == mean(log(13 / 12), log(13))
    assert value("balanced-softmax") == mean(log(13 / 12), log(13))
    # tau 2: 0.8 · 0.5625 = 0.45 and 0.2 · 0.0625 = 0.0125: of 0.4625 together, 36/37 and 1/37
    assert value("logit-adjusted", tau=2) == mean(log(37 / 36), log(37))


def test_ldam() -> None:
    # 16 images and one: margins 2 · (1/16)^(1/4) = 1 and 2. The logits are ln 4 apart; the true class's comes down by its margin.
    first = log1p(exp(-(log(4) - 1)))
    second = log1p(exp(log(4) + 2))
    assert value("ldam", np.array([16.0, 1.0]), max_margin=2, beta=0) == mean(first, second)
    # With beta 0.5 the inverse effective numbers are 0.5 / (1 - 2^-16) = 0.5000076 and 1, over their mean 0.5294189.
    weighted = value("ldam", np.array([16.0, 1.0]), max_margin=2, beta=0.5)
    assert weighted == mean(0.5000076 / 0.5294189 * first, second / 0.5294189)


def test_ldam_weights_set_in_with_the_epochs() -> None:
    counts, targets = np.array([16.0, 1.0]), torch.tensor([0, 1])
    plain, weighted = value("ldam", counts, beta=0), value("ldam", counts, beta=0.5)
    loss = ldam.build(ldam.Settings(beta=0.5, drw=0.8), counts)
    seen = []
    for epoch in range(11):
        loss.set_progress(epoch / 10)
        seen.append((float(loss(LOGITS, targets)), loss.settled))
    assert seen[:8] == [(pytest.approx(plain), False)] * 8
    assert seen[8:] == [(pytest.approx(weighted), True)] * 3
    loss.set_progress(0.5)  # as a resumed training would
    assert float(loss(LOGITS, targets)) == pytest.approx(plain)


# Two images, two classes that stand for themselves: p = 0.9 and 0.2 for the first, 0.5 and 0.01 for the second image. Of the first image
# both classes are known (present, absent); of the second only that it lacks class 1.
SEVERAL = torch.tensor([[0.9, 0.2], [0.5, 0.01]], dtype=torch.float64).logit()
KNOWN = torch.tensor([[1.0, 0.0], [NAN, 0.0]])
PRESENT, ABSENT, EASY = 0.10536052, 0.22314355, 0.01005034  # -ln 0.9, -ln 0.8, -ln 0.99
PAIRS = np.array([[60.0, 20.0], [90.0, 10.0]])


def several(name: str, label_smoothing: float = 0.0, **own: float) -> float:
    file = registry.component("imbalance.losses", name)
    return float(file.build(file.Settings(**own), PAIRS, label_smoothing)(SEVERAL, KNOWN))


def over_known(*losses: float) -> float:
    return pytest.approx(sum(losses) / 3, abs=1e-6)


def test_binary_cross_entropy_of_what_is_known() -> None:
    assert several("cross-entropy") == over_known(PRESENT, ABSENT, EASY)
    # smoothing 0.2: truth 0.9 and 0.1; -ln 0.1 = 2.30258509, -ln 0.2 = 1.60943791, -ln 0.01 = 4.60517019
    smoothed = over_known(0.9 * PRESENT + 0.1 * 2.30258509, 0.9 * ABSENT + 0.1 * 1.60943791, 0.9 * EASY + 0.1 * 4.60517019)
    assert several("cross-entropy", 0.2) == smoothed


def test_weighted_against_the_own_absence() -> None:
    # class 0: 80 / (2 · 20) = 2 where present; class 1: 100 / (2 · 90) = 5/9 where absent
    assert several("weighted") == over_known(2 * PRESENT, 5 / 9 * ABSENT, 5 / 9 * EASY)


def test_focal_of_each_class() -> None:
    # (1 - 0.9)² = 0.01, (1 - 0.8)² = 0.04, (1 - 0.99)² = 0.0001
    assert several("focal") == over_known(0.01 * PRESENT, 0.04 * ABSENT, 0.0001 * EASY)


def test_asymmetric() -> None:
    # present: (1 - 0.9)^1 · 0.10536; absent: q = 0.2 - 0.05 = 0.15, 0.15² · -ln 0.85 = 0.0225 · 0.16251893; 0.01 lies below the margin
    found = several("asymmetric", positive_focus=1, negative_focus=2, margin=0.05)
    assert found == over_known(0.1 * PRESENT, 0.0225 * 0.16251893, 0.0)
    # without focus: -ln 0.85, and nothing at all below the margin
    assert several("asymmetric", negative_focus=0, margin=0.05) == over_known(PRESENT, 0.16251893, 0.0)
    # smoothing 0.2 mixes in a tenth of the other side: q = 0.85, 0.7225 · -ln 0.15; 0.8 · -ln 0.2; 0.99 · -ln 0.01
    smoothed = several("asymmetric", 0.2, positive_focus=1, negative_focus=2, margin=0.05)
    first = 0.9 * 0.1 * PRESENT + 0.1 * 0.7225 * 1.89711998
    assert smoothed == over_known(first, 0.9 * 0.0225 * 0.16251893 + 0.1 * 0.8 * 1.60943791, 0.1 * 0.99 * 4.60517019)


def test_nothing_known_is_nothing_learned() -> None:
    file = registry.component("imbalance.losses", "asymmetric")
    logits = SEVERAL.clone().requires_grad_()
    loss = file.build(file.Settings(), PAIRS, 0.0)(logits, torch.full((2, 2), NAN))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_a_label_that_names_the_class_alone() -> None:
    # Outputs (0.5, 0.2) of one class and (0.3) of another. Of the first class alone p = 0.7; of its second output p = 0.2.
    loss = SupersetLoss([2, 1])
    logits = torch.log(torch.tensor([[0.5, 0.2, 0.3]] * 2, dtype=torch.float64)).requires_grad_()
    assert loss(logits, torch.tensor([3, 1])).item() == mean(0.35667494, 1.60943791)  # -ln 0.7, -ln 0.2
    assert loss(logits, torch.tensor([4, 2])).item() == mean(1.20397280, 1.20397280)  # a class of one output, and that output: -ln 0.3
    loss(logits[:1], torch.tensor([3])).backward()
    # 0.7 - 1 of the class, halved: what its outputs share stays as 5 to 2; p of the other
    assert logits.grad[0].tolist() == pytest.approx([-0.15, -0.15, 0.3], abs=1e-7)
    finer = logits.detach().clone().requires_grad_()
    loss(finer, torch.tensor([0, 1])).backward()
    assert finer.grad.flatten().tolist() == pytest.approx([-0.25, 0.1, 0.15, 0.25, -0.4, 0.15], abs=1e-7), "half of p - 1 and of p"
