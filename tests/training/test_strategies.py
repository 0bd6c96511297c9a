"""What learns, at which rate, when: every strategy and technique on a network of two stages."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from medtl.augmentation import AugmentationSettings
from medtl.backbones.cutting import cut
from medtl.datamodule import StoredImages, StoredMaps
from medtl.module.classifier import as_input
from medtl.module.learning import NEVER, optimizer_groups, plan, rate_factors, sentence
from medtl.module.transfer_module import TransferModule
from medtl.training.soup import greedy_soup
from medtl.transfer import TransferSettings

STILL = AugmentationSettings(rotate=0, scale=0, translate=0, brightness=0, contrast=0)


def _moved(classifier, before):
    return {name for name, tensor in classifier.state_dict().items() if not torch.equal(tensor, before[name])}


def test_partial_tuning_moves_the_last_stage_and_the_head_alone(classifier, tune, tmp_path):
    before = copy.deepcopy(classifier.state_dict())
    tune(classifier, tmp_path / "checkpoints", strategy="partial", stages=1)
    assert _moved(classifier, before) == {"network.body.3.weight", "network.body.3.bias", "head.weight", "head.bias"}


def test_gradual_unfreezing_adds_a_stage_at_its_epoch(classifier, tune, tmp_path, monkeypatch):
    first, seen = classifier.network.body[0].weight.detach().clone(), []
    step = TransferModule.training_step

    def spy(self, batch, index):
        value = step(self, batch, index)
        seen.append(
            (self.current_epoch, torch.equal(self.classifier.network.body[0].weight, first), self.classifier.network.body[1].training)
        )
        return value

    monkeypatch.setattr(TransferModule, "training_step", spy)
    tune(classifier, tmp_path / "checkpoints", strategy="gradual", unfreeze_every=2)
    assert all(still and not training for epoch, still, training in seen if epoch < 2)
    assert all(training for epoch, still, training in seen if epoch >= 2)
    assert not seen[-1][1], "the first stage has not moved"


def test_rates_fall_from_stage_to_stage_and_late_ones_rise_late(classifier):
    transfer = TransferSettings(strategy="gradual", unfreeze_every=3, epochs=10, rate=0.01, head_rate=0.1, layer_decay=0.5, warmup=0.1)
    groups = plan(classifier, transfer)
    assert [(group.rate, group.start, group.head) for group in groups] == [(0.005, 3, False), (0.01, 0, False), (0.1, 0, True)]
    assert sentence(groups, transfer) == "the head and all of 2 stages learn, one more every 3 epochs"
    _, starts = optimizer_groups(groups, transfer)
    factors = rate_factors(starts, 100, transfer)
    late, early = factors[0], factors[-1]
    assert [late(29), early(0), early(9)] == [0, 0.1, 1.0]
    assert late(30) == pytest.approx(0.1 * early(30))
    assert late(50) == early(50) > 0


def test_what_never_learns_is_not_in_the_optimiser(classifier):
    transfer = TransferSettings(strategy="partial", weight_decay=0.5)
    groups, _ = optimizer_groups(plan(classifier, transfer), transfer)
    assert plan(classifier, transfer)[0].start == NEVER
    assert sorted((tuple(p.shape), group["weight_decay"]) for group in groups for p in group["params"]) == [
        ((2,), 0.0),
        ((2, 8), 0.5),
        ((8,), 0.0),
        ((8, 8, 3, 3), 0.5),
    ]


@pytest.mark.parametrize(("policy", "averages", "affine"), [("train", True, True), ("affine", False, True), ("frozen", False, False)])
def test_the_batch_norm_policy(classifier, tune, tmp_path, policy, averages, affine):
    before = copy.deepcopy(classifier.state_dict())
    tune(classifier, tmp_path / "checkpoints", strategy="full", batch_norm=policy, epochs=1)
    moved = _moved(classifier, before)
    assert ("network.body.1.running_mean" in moved) == averages
    assert ("network.body.1.weight" in moved) == affine
    assert "network.body.0.weight" in moved


def test_l2_sp_pulls_to_the_pretrained_weights_and_not_the_head(classifier, tune, tmp_path):
    free, held = copy.deepcopy(classifier), copy.deepcopy(classifier)
    tune(free, tmp_path / "free", strategy="full")
    tune(held, tmp_path / "held", strategy="full", l2_sp=90.0)

    def far(other):
        return float((other.network.body[3].weight - classifier.network.body[3].weight).detach().norm())

    assert far(held) < 0.3 * far(free)
    assert not torch.equal(held.head.weight, classifier.head.weight)


@pytest.mark.parametrize("views", [1, 3])
def test_maps_at_the_border_train_as_images_do(classifier, data, tune, tmp_path, views):
    """With a still augmentation all views are the plain one, so training on images is the reference."""
    still = StoredImages(data.store, data.train, data.validation, STILL, data.batch, data.seed)
    parts = cut(classifier.network.eval(), 1)
    assert parts is not None

    def maps(part):
        with torch.no_grad():
            return parts.below(as_input(torch.from_numpy(data.store.read(part.positions))))

    calls = []
    on_maps, on_images = copy.deepcopy(classifier), copy.deepcopy(classifier)
    on_maps.network.body[0].register_forward_hook(lambda *given: calls.append(1))
    stored = StoredMaps(still, [maps(data.train)] * views, [maps(data.validation)])
    reached = tune(on_maps, tmp_path / "maps", stored, strategy="partial", views=views, ema=0.5)
    wanted = tune(on_images, tmp_path / "images", still, strategy="partial", ema=0.5)
    assert not calls, "a frozen layer ran again"
    assert reached.best == pytest.approx(wanted.best, abs=1e-6)
    for name, tensor in on_images.state_dict().items():
        torch.testing.assert_close(on_maps.state_dict()[name], tensor, atol=1e-5, rtol=1e-4)


def test_each_view_is_seen_once_in_as_many_epochs(data):
    views = [torch.full((40, 1), float(number)) for number in range(3)]
    stored = StoredMaps(data, views, [torch.zeros(20, 1)])
    places, seen = np.arange(8), []
    for epoch in range(3):
        stored.first_epoch = epoch
        seen.append(stored.training_batch(places).flatten().tolist())
    assert np.array_equal(np.sort(np.array(seen), axis=0), np.repeat([[0.0], [1.0], [2.0]], 8, axis=1))


def test_a_soup_takes_what_does_not_harm(classifier, tmp_path):
    from medtl.training.weights import save_weights

    files = {}
    for epoch, value in ((4, 1.0), (2, 3.0), (7, 9.0)):
        torch.nn.init.constant_(classifier.head.bias, value)
        files[epoch] = tmp_path / f"{epoch}.safetensors"
        save_weights(classifier, files[epoch])
    judged = []

    def judge(candidate):
        judged.append(float(candidate.head.bias[0].detach()))
        return {1.0: 0.8, 2.0: 0.9}.get(judged[-1], 0.5)  # 2 is the mean of the best two, the mean of all three is worse

    assert greedy_soup(classifier, files, 0.8, judge) == ([4, 2], 0.9)
    assert judged == pytest.approx([1.0, 2.0, (1 + 3 + 9) / 3])
    assert classifier.head.bias.tolist() == [2.0, 2.0]


def test_a_soup_of_a_real_training_is_at_least_as_good(classifier, data, tune, tmp_path):
    tuned = tune(classifier, tmp_path / "checkpoints", strategy="full", soup=3, monitor="loss")
    logits = classifier.eval()(torch.from_numpy(data.store.read(data.validation.positions))).detach()
    loss = torch.nn.functional.cross_entropy(logits.double(), torch.from_numpy(data.validation.targets))
    assert tuned.souped == pytest.approx(-float(loss), abs=1e-6)
    assert tuned.souped >= tuned.best
    assert tuned.best_epoch in tuned.soup
    assert len(list((tmp_path / "checkpoints").glob("best-*.safetensors"))) >= 3


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"strategy": "full", "stages": 2}, "is of strategy partial alone"),
        ({"strategy": "partial", "unfreeze_every": 2}, "is of strategy gradual alone"),
        ({"strategy": "full", "views": 2}, "no layer stays frozen"),
        ({"strategy": "partial", "views": 2, "mixup": 0.2}, "choose one"),
        ({"strategy": "scratch", "l2_sp": 0.1}, "no pretrained weight moves"),
        ({"strategy": "scratch", "batch_norm": "frozen"}, "scratch loads nothing"),
        ({"strategy": "gradual", "auxiliary": 0.4}, "choose full or lp-ft"),
    ],
)
def test_what_cannot_take_effect_is_refused(settings, sentence):
    with pytest.raises(ValidationError, match=sentence):
        TransferSettings.model_validate(settings)


def test_settings_that_were_written_in_full_are_read_back():
    settings = TransferSettings(strategy="lp-ft")
    assert TransferSettings.model_validate(settings.model_dump()) == settings
