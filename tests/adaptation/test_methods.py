"""Every method by itself: its contract, its formula against an independent one, near nothing on identical domains, and a planted shift."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from medtl import registry
from medtl.adaptation import FOLDER, MethodSettings, adversary, needs
from medtl.adaptation.methods import adabn, coral, dann, fourier, histogram, mcc, self_training, shot
from medtl.adaptation.statistics import norms_of, re_estimate, statistics_of
from medtl.adaptation.step import Step

PENALTIES = [name for name in registry.names(FOLDER) if registry.component(FOLDER, name).KIND == "penalty"]
INPUTS = [name for name in registry.names(FOLDER) if registry.component(FOLDER, name).KIND == "inputs"]


def step(source: torch.Tensor, target: torch.Tensor, head: nn.Module) -> Step:
    return Step(source, head(source), target, head(target), torch.arange(len(target)), 0.5)


@pytest.mark.parametrize("name", registry.names(FOLDER))
def test_every_method_keeps_the_contract(name):
    file = registry.component(FOLDER, name)
    settings = file.Settings(name=name)
    assert isinstance(settings, MethodSettings)
    assert settings.name == name
    assert registry.parse_choice(FOLDER, settings.model_dump()) == settings
    assert file.KIND in ("penalty", "statistics", "inputs")
    assert set(needs(settings)) <= {"batch norm", "augmented views", "trainable features", "source data", "one class per image"}
    assert any(str(year) in (file.__doc__ or "") for year in range(1999, 2027)), "cites its source"
    tree = ast.parse(Path(file.__file__).read_text())
    imported = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert not [each for each in imported if each.split(".")[0] in ("torch", "lightning")], "reading a config imports it"


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_are_scalars_with_finite_gradients(name):
    file = registry.component(FOLDER, name)
    penalty = file.build(file.Settings(), 6, 3, 0)
    torch.manual_seed(0)
    source, target = torch.randn(8, 6, requires_grad=True), torch.randn(5, 6, requires_grad=True)
    head = nn.Linear(6, 3)
    if hasattr(penalty, "relabel"):
        penalty.relabel(target.detach(), head(target).detach(), 0.5)
    value = penalty(step(source, target, head))
    value.backward()
    assert value.shape == ()
    assert torch.isfinite(value)
    assert torch.isfinite(target.grad).all()
    assert target.grad.abs().sum() > 0


@pytest.mark.parametrize("name", PENALTIES)
def test_the_weight_scales_what_the_network_learns_from_it(name):
    file, gradients = registry.component(FOLDER, name), []
    for weight in (1.0, 0.5):
        penalty = file.build(file.Settings(weight=weight), 6, 3, 0)
        torch.manual_seed(0)
        source, target, head = torch.randn(8, 6), torch.randn(5, 6, requires_grad=True), nn.Linear(6, 3)
        if hasattr(penalty, "relabel"):
            penalty.relabel(target.detach(), head(target).detach(), 0.5)
        penalty(step(source, target, head)).backward()
        gradients.append(target.grad)
    torch.testing.assert_close(gradients[0], 2 * gradients[1])


def test_coral_is_the_distance_of_numpys_covariances_and_nothing_on_equal_ones():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(40, 5)), rng.normal(size=(30, 5)) * [1, 2, 1, 1, 3]
    expected = np.square(np.cov(one.T) - np.cov(other.T)).sum() / (4 * 25)
    assert coral.distance(torch.tensor(one), torch.tensor(other)).item() == pytest.approx(expected)
    assert coral.distance(torch.tensor(one), torch.tensor(one + 7)).item() == pytest.approx(0, abs=1e-20)


def test_mcc_by_hand():
    """Two images, certain of one class each: no confusion. Both undecided between two classes: each row of the correlation is halved."""
    assert mcc.confusion(torch.tensor([[60.0, 0.0], [0.0, 60.0]]), 1.0).item() == pytest.approx(0, abs=1e-6)
    assert mcc.confusion(torch.zeros(4, 2), 2.5).item() == pytest.approx(0.5)
    p = torch.tensor([[0.9, 0.1], [0.4, 0.6]], dtype=torch.float64)
    certainty = 1 + torch.tensor([math.exp(sum(x * math.log(x) for x in row)) for row in p.tolist()])
    w = 2 * certainty / certainty.sum()
    c = [[sum(float(w[i] * p[i, j] * p[i, k]) for i in range(2)) for k in range(2)] for j in range(2)]
    expected = (c[0][1] / sum(c[0]) + c[1][0] / sum(c[1])) / 2
    assert mcc.confusion(p.log(), 1.0).item() == pytest.approx(expected, rel=1e-6)


def test_danns_gradient_is_reversed_and_grows():
    features = torch.ones(3, 2, requires_grad=True)
    turned = adversary.reversed_gradient(features, 0.25)
    torch.testing.assert_close(turned, features)
    turned.sum().backward()
    torch.testing.assert_close(features.grad, torch.full((3, 2), -0.25))
    assert adversary.ramp(0) == 0
    assert adversary.ramp(0.1) == pytest.approx(2 / (1 + math.exp(-1)) - 1)


def test_dann_makes_the_domains_indistinguishable():
    """A linear map that can drop the one feature in which domains differ does so."""
    rng = np.random.default_rng(0)
    source, target = (torch.tensor(rng.normal(size=(200, 4)) + np.array([shift, 0, 0, 0]), dtype=torch.float32) for shift in (0.0, 2.0))
    network = nn.Linear(4, 4)
    nn.init.eye_(network.weight)
    penalty = dann.build(dann.Settings(hidden=16), 4, 2, 0)
    learns = torch.optim.Adam([*network.parameters(), *penalty.parameters()], 0.02)
    for number in range(200):
        learns.zero_grad()
        features, other = network(source), network(target)
        keep = (features[:, 1:] - source[:, 1:]).square().mean() + (other[:, 1:] - target[:, 1:]).square().mean()
        (penalty(Step(features, features, other, other, torch.arange(200), number / 200)) + keep).backward()
        learns.step()
    with torch.no_grad():
        means = [float(network(each)[:, 0].mean() / network(each)[:, 0].std()) for each in (source, target)]
    assert abs(means[0] - means[1]) < 0.7, "2 standard deviations apart before"


def test_self_training_labels_the_same_share_of_each_class():
    p = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.45, 0.55], [0.48, 0.52]])
    assert self_training.balanced_labels(p, 0.5).tolist() == [0, 0, -1, -1, 1, -1]
    assert self_training.balanced_labels(p, 1.0).tolist() == [0, 0, 0, 0, 1, 1]
    rare = self_training.balanced_labels(p[:4], 0.5)
    assert rare.tolist() == [0, 0, -1, -1], "a class that is predicted nowhere labels nothing"


def test_shots_centroids_mend_an_answer_on_the_wrong_side():
    torch.manual_seed(0)
    features = torch.cat([torch.randn(20, 3) * 0.1 + torch.tensor([1.0, 0, 0]), torch.randn(20, 3) * 0.1 + torch.tensor([0, 1.0, 0])])
    p = torch.tensor([[0.9, 0.1]] * 20 + [[0.2, 0.8]] * 15 + [[0.6, 0.4]] * 5)
    assert shot.centroid_labels(features, p).tolist() == [0] * 20 + [1] * 20


def test_information_is_least_where_answers_are_sure_and_diverse():
    sure = torch.tensor([[9.0, -9], [-9.0, 9]])
    assert shot.information(sure, 1.0).item() == pytest.approx(-math.log(2), abs=1e-4)
    assert shot.information(torch.zeros(2, 2), 1.0).item() == pytest.approx(0, abs=1e-6)
    assert shot.information(sure[[0, 0]], 1.0).item() == pytest.approx(0, abs=1e-4)


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x).mean(dim=(2, 3))


def test_adabn_has_the_targets_mean_and_spread_whatever_the_batches():
    torch.manual_seed(0)
    images, network = torch.rand(10, 1, 4, 4), Normed()
    network.norm.running_mean.fill_(5)
    adabn.build(adabn.Settings(), network, [images[:4], images[4:8], images[8:]])
    assert network.norm.running_mean.item() == pytest.approx(images.mean().item())
    assert not network.training
    assert network.norm.momentum == 0.1
    half = Normed()
    adabn.build(adabn.Settings(weight=0.5), half, [images])
    assert half.norm.running_mean.item() == pytest.approx(images.mean().item() / 2)
    assert half.norm.running_var.item() == pytest.approx((images.var().item() + 1) / 2)


def test_adabn_repairs_a_shift_of_brightness_and_contrast():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    images = torch.tensor(rng.normal(size=(400, 1, 4, 4)) * 0.1 + 0.5 + 0.1 * labels[:, None, None, None], dtype=torch.float32)
    source, target = images[:200], 0.3 * images[200:] + 0.1
    network = Normed()
    re_estimate(network, norms_of(network), [source])
    threshold = network(source).median()
    right = [((network(target) > threshold).squeeze(1).numpy() == labels[200:]).mean()]
    adabn.build(adabn.Settings(), network, [target])
    right.append(((network(target) > threshold).squeeze(1).numpy() == labels[200:]).mean())
    assert right[0] < 0.6
    assert right[1] > 0.95


def test_statistics_come_back():
    network, images = Normed(), torch.rand(8, 1, 4, 4)
    with statistics_of(network, norms_of(network), [images]):
        assert network.norm.running_mean.item() == pytest.approx(images.mean().item())
    assert network.norm.running_mean.item() == 0
    assert network.norm.num_batches_tracked.item() == 0


def stored(seed: int, count: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).integers(20, 200, (count, 16, 16, 1)).astype(np.uint8)


@pytest.mark.parametrize("name", INPUTS)
def test_input_methods_change_nothing_that_is_equal_and_keep_the_shape(name):
    file, images = registry.component(FOLDER, name), stored(0, 1).repeat(4, axis=0)
    places = np.arange(4)
    show = file.build(file.Settings(), lambda positions: images[positions], places[:2], places[2:], 0)
    shown = show(images[:2], places[:2])
    assert shown.dtype == np.uint8
    assert np.abs(shown.astype(int) - images[:2]).max() <= 1


def test_histogram_matching_undoes_a_gamma():
    source = stored(1)
    target = np.rint(255 * (stored(2) / 255.0) ** 2).astype(np.uint8)
    images, places = np.concatenate([source, target]), np.arange(60)
    show = histogram.build(histogram.Settings(), lambda positions: images[positions], places[:30], places[30:], 0)
    expected = 255 * (source / 255.0) ** 2
    before, after = np.abs(source - expected).mean(), np.abs(show(source, places[:30]) - expected).mean()
    assert before > 30
    assert after < 2


def test_fourier_mixing_takes_the_shading_and_leaves_the_structure():
    rng = np.random.default_rng(0)
    sources = np.clip(100 + 30 * rng.normal(size=(8, 32, 32, 1)), 0, 255).astype(np.uint8)
    ramp = np.linspace(0, 100, 32)[None, None, :, None]
    targets = np.clip(60 + ramp + 30 * rng.normal(size=(8, 32, 32, 1)), 0, 255).astype(np.uint8)
    mixed = fourier.mixed(sources, targets, 0.05, 1.0)
    assert mixed.mean() == pytest.approx(targets.mean(), abs=2), "the mean grey value is the amplitude of frequency 0"
    fine = [np.diff(each.astype(float), axis=1)[0, :, :, 0].ravel() for each in (sources, mixed)]
    assert np.corrcoef(*fine)[0, 1] > 0.95
    assert np.array_equal(fourier.mixed(sources, targets, 0.05, 0.0), sources)


def test_mcc_moves_a_boundary_out_of_the_targets_middle():
    """Two clusters, shifted along the boundary's normal: the source's boundary cuts one of them."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 300)
    features = torch.tensor(rng.normal(size=(300, 2)) * 0.3 + labels[:, None] * [2.0, 0.0] + [0.9, 0.0], dtype=torch.float32)
    head = nn.Linear(2, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[-2.0, 0.0], [2.0, 0.0]]))
        head.bias.copy_(torch.tensor([2.0, -2.0]))  # the source's classes lie at 0 and 2
    before = float((head(features).argmax(1).numpy() == labels).mean())
    learns = torch.optim.Adam([head.bias], 0.05)
    for _ in range(200):
        learns.zero_grad()
        mcc.confusion(head(features), 2.5).backward()
        learns.step()
    after = float((head(features).argmax(1).numpy() == labels).mean())
    assert before < 0.9
    assert after > 0.98
    assert roc_auc_score(labels, head(features)[:, 1].detach().numpy()) > 0.98
