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
    assert np.array_equal(file.class_weights(chosen, np.full(3, 20.0)), np.ones(3)), "equal classes are left alone"


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
