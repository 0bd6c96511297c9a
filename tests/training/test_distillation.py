"""Learning without forgetting: the distillation's value and gradient, and the module that adds it to the loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medtl.backbones import BackboneSettings
from medtl.backbones.network import build_network
from medtl.imaging.settings import ImageSettings
from medtl.imbalance.losses import cross_entropy
from medtl.module.classifier import Classifier
from medtl.module.distilled_module import DistilledModule, distillation
from medtl.transfer import TransferSettings


@pytest.fixture
def module() -> DistilledModule:
    torch.manual_seed(0)
    network = build_network(BackboneSettings(name="test_resnet", weights="none"), ImageSettings(size=32, channels=1), Path(), 0)
    classifier = Classifier(network, 2)
    torch.nn.init.normal_(classifier.head.weight)
    loss = cross_entropy.build(cross_entropy.Settings(), torch.ones(2).numpy())
    transfer = TransferSettings(batch_norm="affine", dropout=0.0)
    return DistilledModule(classifier, loss, transfer, 10, 0, weight=3.0, temperature=2.0, findings=False)


def test_of_equal_answers_it_is_0_and_of_others_what_a_hand_reckons() -> None:
    now, before = torch.tensor([[0.0, 0.0], [1.0, -1.0]]), torch.tensor([[2.0, 0.0], [1.0, -1.0]])
    assert distillation(before, before, 2.0).item() == pytest.approx(0.0, abs=1e-7)
    p = torch.softmax(torch.tensor([1.0, 0.0], dtype=torch.float64), dim=0)
    by_hand = float((p * torch.log(p / 0.5)).sum()) * 4 / 2  # T² = 4, the mean over two images
    assert distillation(now, before, 2.0).item() == pytest.approx(by_hand, rel=1e-5)


def test_its_gradient_is_that_of_the_papers_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    before, values = (torch.randn(5, 3, generator=generator) for _ in range(2))
    own, papers = (values.clone().requires_grad_() for _ in range(2))
    distillation(own, before, 2.0).backward()
    soft = torch.softmax(before / 2, dim=1)
    (-(soft * torch.log_softmax(papers / 2, dim=1)).sum(dim=1).mean() * 4).backward()
    assert torch.allclose(own.grad, papers.grad, atol=1e-6)


def test_at_the_start_only_the_labels_count_and_later_what_was_said_before(module: DistilledModule) -> None:
    images, targets = torch.randint(0, 256, (6, 32, 32, 1), dtype=torch.uint8), torch.tensor([0, 1, 0, 1, 1, 0])
    module.train()
    assert not module.older.training
    plain = module.loss(module.classifier(images), targets, None).item()
    assert module.loss_of(images, targets, 0).item() == pytest.approx(plain, rel=1e-5)
    before = module.older.head.weight.clone()
    with torch.no_grad():
        module.classifier.head.weight.add_(1.0 * torch.randn_like(before))
    moved = module.classifier(images)
    expected = module.loss(moved, targets, None) + 3.0 * distillation(moved, module.older(images), 2.0)
    assert module.loss_of(images, targets, 0).item() == pytest.approx(expected.item(), rel=1e-4)
    assert module.loss_of(images, targets, 0).item() > module.loss(moved, targets, None).item()
    assert torch.equal(module.older.head.weight, before)
    assert not any(parameter.requires_grad for parameter in module.older.parameters())


def test_of_findings_each_is_held_against_its_own_absence(module: DistilledModule) -> None:
    module.findings, images = True, torch.randint(0, 256, (4, 32, 32, 1), dtype=torch.uint8)
    module.train()
    with torch.no_grad():
        module.classifier.head.weight.add_(0.5)
    now, before = (torch.sigmoid(each.double() / 2.0) for each in (module.classifier(images), module.older(images)))
    by_hand = (before * (before / now).log() + (1 - before) * ((1 - before) / (1 - now)).log()).mean() * 4
    targets = torch.tensor([0, 1, 1, 0])
    added = module.loss_of(images, targets, 0) - module.loss(module.classifier(images), targets, None)
    assert added.item() == pytest.approx(3.0 * by_hand.item(), rel=1e-3)
