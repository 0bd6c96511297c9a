"""What learns, at which rate, when: the settings of transfer and fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from medtl.registry import Mistake, Settings, refuse

Positive = Annotated[float, Field(gt=0)]
AtLeastZero = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class TransferSettings(Settings):
    """Strategy and optimisation (AdamW, linear warm-up, cosine decay)."""

    strategy: Literal["scratch", "linear-probe", "partial", "full", "lp-ft", "gradual"] = "lp-ft"
    """`scratch`: random weights, all learn. `linear-probe`: features once, a linear head on them. `partial`: linear probe first, then
    the head and the network's last `stages`. `full`: all layers from a random head. `lp-ft`: linear probe first, then all layers
    from there (Kumar et al., ICLR 2022). `gradual`: as `lp-ft`, but stage by stage, the last first (Howard and Ruder, ACL 2018)."""
    stages: Count = 1
    """`partial`: how many of the network's last stages learn (its own stages: four and a stem in a ResNet)."""
    unfreeze_every: Count = 1
    """`gradual`: epochs from one stage to the next one below it."""
    views: Count | None = None
    """What the frozen layers see of a training image, once for all epochs: its plain view and so many less one augmented ones; each
    is computed once. Default: the plain view for the linear probe, and a new augmentation in every epoch for
    `partial`, whose frozen layers then run in every epoch."""
    epochs: Count = 12
    """Passes over the training images after the linear probe (which has none: it is fitted to convergence)."""
    batch: Annotated[int, Field(ge=2)] = 32
    rate: Positive = 5e-4
    """Peak learning rate of the last stage, and of all others where `layer_decay` is 1."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Each stage learns at this share of the rate of the one above it (Clark et al., ELECTRA, ICLR 2020); 1 = all alike."""
    head_rate: Positive | None = None
    """Peak learning rate of the head; default: the same as `rate`."""
    weight_decay: AtLeastZero = 1e-4
    """Towards zero, decoupled from the gradient (Loshchilov and Hutter, ICLR 2019); not of biases and norms."""
    l2_sp: AtLeastZero = 0.0
    """Decay towards the pretrained weights (L2-SP: Li et al., ICML 2018), decoupled like `weight_decay`, whose place it takes in the
    network; the head keeps `weight_decay`. 0 = off."""
    warmup: Share = 0.1
    """Share of all steps with a linearly rising rate; a stage that `gradual` adds later rises over as many steps of its own."""
    dropout: Share = 0.2
    """Before the linear head, in training."""
    label_smoothing: Share = 0.05
    mixup: AtLeastZero = 0.0
    """Images and labels of a batch are mixed in pairs, with a share drawn from Beta(mixup, mixup) (Zhang et al., ICLR 2018); 0 = off."""
    cutmix: AtLeastZero = 0.0
    """A rectangle of each image comes from another (Yun et al., ICCV 2019), its area drawn from Beta(cutmix, cutmix); 0 = off. With
    `mixup`, each batch is mixed in one of the two ways."""
    auxiliary: AtLeastZero = 0.0
    """Weight of the loss of an auxiliary classifier in the middle of the network, in training alone (Szegedy et al., CVPR 2016, took
    0.4); for inception_v3, which was made with one, from 299 pixels on. 0 = off."""
    clip: Positive = 1.0
    """Largest gradient norm."""
    batch_norm: Literal["train", "affine", "frozen"] = "train"
    """Of layers that learn: `train`: statistics of the batch, running averages and affine parameters learn. `affine`: running
    averages stay as loaded and are used. `frozen`: affine parameters stay as well. Layers that do not learn are always `frozen`."""
    monitor: Literal["auroc", "auprc", "macro-f1", "balanced-accuracy", "loss"] = "auroc"
    """Judged on validation after every epoch; picks the best checkpoint (and the strength of the probe's penalty)."""
    patience: Count | None = None
    """Stop after so many epochs without a better `monitor`; default: never. Counted once epochs can be kept: with deferred re-weighting
    from its last phase on."""
    ema: Share = 0.0
    """Decay of an exponential moving average of the weights, which is what validation judges and the package holds; 0 = off."""
    soup: Count = 1
    """Average the weights of up to so many of the best epochs, one after the other as long as `monitor` does not fall (greedy soup:
    Wortsman et al., ICML 2022); 1 = the best epoch alone."""
    members: Annotated[int, Field(ge=1, le=10)] = 1
    """Trainings on the same split that differ by their seed alone (`seed`, `seed` + 1 …); the package answers with the mean of their
    probabilities (deep ensemble: Lakshminarayanan et al., NeurIPS 2017). So many times the work, in training and at every answer."""
    probe_penalty: tuple[Positive, ...] = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
    """L2 strengths of the linear probe to choose from on validation (mean loss + penalty / 2 · |w|², standardised features)."""

    @property
    def probed(self) -> bool:
        """Whether the head begins as a linear probe."""
        return self.strategy in ("linear-probe", "partial", "lp-ft", "gradual")

    @property
    def tuned(self) -> bool:
        """Whether layers of the network learn."""
        return self.strategy != "linear-probe"

    @property
    def trainings(self) -> int:
        """How many networks one split trains; a linear probe does not depend on a seed, so that several would be one."""
        return self.members if self.tuned else 1

    @model_validator(mode="after")
    def _possible(self) -> TransferSettings:
        refuse(list(self._contradictions()))
        return self

    def _contradictions(self) -> Iterator[Mistake]:
        """What is asked for and cannot take effect with this strategy. A linear probe passes over all that speaks of fine-tuning."""
        if self.stages != 1 and self.strategy != "partial":
            yield Mistake(("stages",), self.stages, f"is of strategy partial alone, not of {self.strategy}")
        if self.unfreeze_every != 1 and self.strategy != "gradual":
            yield Mistake(("unfreeze_every",), self.unfreeze_every, f"is of strategy gradual alone, not of {self.strategy}")
        if self.views is not None and self.strategy not in ("linear-probe", "partial"):
            yield Mistake(("views",), self.views, f"has no meaning with {self.strategy}: no layer stays frozen; leave it out")
        if self.views is not None and self.tuned and (self.mixup or self.cutmix):
            yield Mistake(("views",), self.views, "lets frozen layers run once, but mixup and cutmix mix images anew; choose one")
        if self.l2_sp and self.strategy == "scratch":
            yield Mistake(("l2_sp",), self.l2_sp, f"has no meaning with {self.strategy}: no pretrained weight moves; leave it out")
        if self.strategy == "scratch" and self.batch_norm != "train":
            yield Mistake(("batch_norm",), self.batch_norm, "keeps what was loaded, but scratch loads nothing; choose train")
        if self.auxiliary and self.strategy in ("partial", "gradual"):
            yield Mistake(
                ("auxiliary",), self.auxiliary, f"needs all layers to learn from the start, not {self.strategy}; choose full or lp-ft"
            )
