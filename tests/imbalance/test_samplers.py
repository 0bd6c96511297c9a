"""Samplers: what is drawn, how often."""

from __future__ import annotations

import numpy as np
import pytest

from medtl import registry
from medtl.errors import MedtlError
from medtl.imbalance import ImbalanceSettings

FOLDER = "imbalance.samplers"
COUNTS = np.array([60.0, 30.0, 10.0])


@pytest.mark.parametrize("name", registry.names(FOLDER))
def test_every_sampler_keeps_the_contract(name: str) -> None:
    file = registry.component(FOLDER, name)
    chosen = ImbalanceSettings.model_validate({"sampler": {"name": name}}).sampler
    assert chosen == file.Settings()
    weights = file.class_weights(chosen, COUNTS)
    assert weights.shape == (3,)
    assert (weights > 0).all()
    assert np.isfinite(np.log(weights)).all()
    assert (weights * COUNTS).sum() == pytest.approx(COUNTS.sum())
    equal = file.class_weights(chosen, np.full(3, 20.0))
    assert np.all(equal == equal[0]), "equal classes are left alone"


def test_natural_leaves_every_image_alone() -> None:
    file = registry.component(FOLDER, "natural")
    assert file.class_weights(file.Settings(), COUNTS).tolist() == [1, 1, 1]


def test_balanced_draws_every_class_equally_often() -> None:
    file = registry.component(FOLDER, "balanced")
    share = file.class_weights(file.Settings(), COUNTS) * COUNTS / 100
    np.testing.assert_allclose(share, [1 / 3, 1 / 3, 1 / 3])
    half = file.class_weights(file.Settings(power=0.5), COUNTS) * COUNTS
    np.testing.assert_allclose(half / half.sum(), np.sqrt(COUNTS) / np.sqrt(COUNTS).sum())
    assert file.class_weights(file.Settings(power=0), COUNTS).tolist() == [1, 1, 1]


def test_a_class_without_images_is_refused() -> None:
    file = registry.component(FOLDER, "balanced")
    with pytest.raises(MedtlError, match="none of class number 0"):
        file.class_weights(file.Settings(), np.array([0.0, 4.0]))


def test_choosing_components_does_not_import_torch() -> None:
    import subprocess
    import sys

    code = "from medtl.imbalance import ImbalanceSettings; import sys; ImbalanceSettings(loss='focal'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_square_root_is_the_share_of_the_root() -> None:
    file = registry.component(FOLDER, "square-root")
    drawn = file.class_weights(file.Settings(), np.array([64.0, 16.0, 4.0])) * [64, 16, 4]
    np.testing.assert_allclose(drawn / drawn.sum(), [8 / 14, 4 / 14, 2 / 14])


def test_effective_number_worked_by_hand() -> None:
    # beta 0.5: effective numbers 2 · (1 - 0.5^n): of 1, 2 and 3 images 1, 1.5 and 1.75
    file = registry.component(FOLDER, "effective-number")
    weights = file.class_weights(file.Settings(beta=0.5), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(weights / weights[0], [1, 1 / 1.5, 1 / 1.75])
    assert file.class_weights(file.Settings(beta=0), COUNTS).tolist() == [1, 1, 1]
