"""What learns, at which rate, when: the settings of transfer and fine-tuning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medtl.registry import Settings

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


class TransferSettings(Settings):
    """Strategy and optimisation (AdamW, linear warm-up, cosine decay)."""

    strategy: Literal["scratch", "linear-probe", "full", "lp-ft"] = "lp-ft"
    """`scratch`: random weights, all learn. `linear-probe`: features once, a linear head on them. `full`: all layers from a
    random head. `lp-ft`: linear probe first, then all layers from there (Kumar et al., ICLR 2022)."""
    epochs: Annotated[int, Field(ge=1)] = 12
    """Passes over the training images with all layers learning (the linear probe has none: it is fitted to convergence)."""
    batch: Annotated[int, Field(ge=2)] = 32
    rate: Positive = 5e-4
    """Peak learning rate of all layers."""
    head_rate: Positive | None = None
    """Peak learning rate of the head; default: the same as `rate`."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    warmup: Share = 0.1
    """Share of all steps with a linearly rising rate."""
    dropout: Share = 0.2
    """Before the linear head, in training."""
    label_smoothing: Share = 0.05
    clip: Positive = 1.0
    """Largest gradient norm."""
    batch_norm: Literal["train", "frozen"] = "train"
    """`frozen`: running statistics and affine parameters of every batch norm stay as loaded."""
    monitor: Literal["auroc", "auprc", "macro-f1", "balanced-accuracy", "loss"] = "auroc"
    """Judged on validation after every epoch; picks the best checkpoint (and the strength of the probe's penalty)."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many epochs without a better `monitor`; default: never."""
    ema: Share = 0.0
    """Decay of an exponential moving average of the weights, which is what validation judges and the package holds; 0 = off."""
    probe_penalty: tuple[Positive, ...] = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
    """L2 strengths of the linear probe to choose from on validation (mean loss + penalty / 2 · |w|², standardised features)."""
