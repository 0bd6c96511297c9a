"""What a fit to a target domain works with, beside a job: the method, the target's images, and the model that it begins from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medtl.adaptation import BATCH_NORM, SOURCE_DATA, MethodSettings, method_file, needs, norms_alone
from medtl.adaptation.statistics import norms_of
from medtl.errors import MedtlError
from medtl.features import Frozen, compute
from medtl.module.classifier import Classifier
from medtl.module.learning import norm_groups
from medtl.transfer import TransferSettings

if TYPE_CHECKING:
    from medtl.training.job import Job


@dataclass(frozen=True)
class Adapting:
    """One method on one target."""

    settings: MethodSettings
    target: NDArray[np.int64]
    """Positions in the store of the target's training images; no other image of the target is read."""
    source_only: Path
    """The package of the source-only model."""

    @property
    def kind(self) -> str:
        """Where the method takes hold (see `medtl.adaptation.methods`)."""
        return str(method_file(self.settings).KIND)

    @property
    def continues(self) -> bool:
        """Whether it begins from the source-only model."""
        return self.kind == "statistics" or getattr(method_file(self.settings), "CONTINUES", False)

    @property
    def labelled(self) -> bool:
        """Whether labelled source batches are shown."""
        return SOURCE_DATA in needs(self.settings)

    @property
    def norms_alone(self) -> bool:
        """Whether nothing but batch norms learns."""
        return norms_alone(self.settings)

    def penalty(self, job: Job, classifier: Classifier) -> nn.Module:
        """What is added to the loss."""
        e = job.experiment
        built: nn.Module = method_file(self.settings).build(self.settings, classifier.network.dim, len(e.task.names), e.seed)
        return built

    def begin(self, classifier: Classifier) -> None:
        """Give the classifier the source-only model's weights."""
        from medtl.model.model import Model

        classifier.load_state_dict(Model.load(self.source_only, "cpu").members[0].state_dict())

    def look(self, job: Job, classifier: Classifier) -> tuple[Tensor, Tensor]:
        """Features (N, D) and logits (N, K) of the target's training images as they are, on the CPU, by the network as it stands."""
        training = classifier.training
        frozen = Frozen(classifier.network.features, classifier.network, (classifier.network.dim,))
        features = torch.from_numpy(compute(frozen, job.store, self.target, job.device))
        with torch.no_grad():
            head = classifier.head
            logits = features.double() @ head.weight.detach().cpu().double().T + head.bias.detach().cpu().double()
        classifier.train(training)
        return features, logits.float()


def refuse_network(adaptation: MethodSettings, classifier: Classifier, transfer: TransferSettings) -> None:
    """Raises MedtlError where a method needs batch norms, and the network has none, or none of the layers that learn at once."""
    name = classifier.network.description["architecture"]
    for method in adaptation.methods:
        if BATCH_NORM in needs(method) and not norms_of(classifier.network):
            raise MedtlError(f"adaptation: {method.name} needs a network with batch norms, which {name} has not; choose another method")
        if norms_alone(method) and not any(group.parameters for group in norm_groups(classifier, transfer) if group.start == 0):
            how = f"of {name} learns from the first epoch on with transfer.strategy: {transfer.strategy}"
            raise MedtlError(f"adaptation: {method.name} learns by batch norms alone, and none {how}; choose lp-ft")
