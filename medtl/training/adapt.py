"""From labelled source images and unlabelled target images to an adapted, calibrated classifier.

One mechanism for each place where a method takes hold: a penalty beside the loss, in fine-tuning or in the fit of a probe; the statistics
of batch norms; images (which the job's store shows changed). Validation, by which thresholds and calibration are fitted, is the source's.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtl.adaptation import method_file
from medtl.adaptation.statistics import re_estimate, statistics_of
from medtl.batches import Part
from medtl.module.classifier import Classifier
from medtl.training.adapted_probe import adapted_probe
from medtl.training.adapting import Adapting
from medtl.training.fit import Fitted, build_classifier, calibrate, fit
from medtl.training.heads import probe, probed_logits, retrain
from medtl.training.job import Job
from medtl.training.norms import StoredBatches, learning_norms


def fit_adapted(job: Job, root: Path) -> Fitted:
    """Fit to `job.adapting`'s target. Of the target no image but its training images is read, and no label is known."""
    adapting = job.adapting
    assert adapting is not None
    if adapting.settings.weight == 0 or adapting.kind == "inputs":  # the store shows changed images
        return fit(replace(job, adapting=None), root)
    classifier = build_classifier(job.experiment, root)
    history: dict[str, Any] = {"weights": classifier.network.provenance}
    if adapting.continues:
        adapting.begin(classifier)
    if adapting.kind == "statistics":
        method_file(adapting.settings).build(adapting.settings, classifier.network, StoredBatches(job, adapting.target))
        return _as_source(job, classifier, history)
    if not job.experiment.transfer.tuned:
        history["probe"] = adapted_probe(job, classifier)
        return _fitted(job, classifier, probed_logits(job, classifier), job.balanced.prior_shift, history)
    return _tuned(job, classifier, adapting, history)


def _tuned(job: Job, classifier: Classifier, adapting: Adapting, history: dict[str, Any]) -> Fitted:
    """Fine-tune beside the target."""
    from medtl.training.finetune import finetune  # Lightning, which a probe does without

    transfer, norms = job.experiment.transfer, learning_norms(job.experiment.transfer, classifier)
    if adapting.continues and norms:
        re_estimate(classifier.network, norms, StoredBatches(job, adapting.target))
    elif job.begins_as_probe:
        history["probe"] = probe(job, classifier)
    history["tuned"] = finetune(job, classifier, _pairs(job, classifier, adapting)).history(transfer)
    if not adapting.labelled:
        return _as_source(job, classifier, history)
    shift = job.balanced.prior_shift
    with statistics_of(classifier.network, norms, StoredBatches(job, job.train.positions)):  # each domain is judged by its own
        again = retrain(job, classifier)
        if again is not None:
            shift, history["retrained"] = again[0].prior_shift, again[1]
        logits = job.validation_logits(classifier)
    return replace(_fitted(job, classifier, logits, shift, history), logits=job.validation_logits(classifier))


def _fitted(job: Job, classifier: Classifier, logits: NDArray[np.float64], shift: tuple[float, ...], history: dict[str, Any]) -> Fitted:
    """Calibrated on the source's validation images, by these logits (N, K) of them."""
    decided = calibrate(job.experiment, logits[None], shift, job.validation.targets)
    return Fitted(classifier, shift, decided.calibration, decided.threshold, decided.rule, logits, history, decided.prevalence)


def _pairs(job: Job, classifier: Classifier, adapting: Adapting) -> Any:
    """Batches of both domains; of maps only where memory holds those of both."""
    from medtl.datamodule import StoredImages, StoredPairs
    from medtl.training.frozen import batches

    nothing = np.zeros((len(adapting.target), *job.train.targets.shape[1:]), job.train.targets.dtype)
    of_target = replace(job, train=Part(adapting.target, nothing), balanced=replace(job.balanced, weights=None))
    both = [batches(each, classifier) for each in (job, of_target)]
    if both[0].maps != both[1].maps:
        e = job.experiment
        both = [
            StoredImages(each.store, each.train, each.validation, e.augmentation, e.transfer.batch, e.seed, each.balanced.weights)
            for each in (job, of_target)
        ]
    return StoredPairs(*both, labelled=adapting.labelled)


def _as_source(job: Job, classifier: Classifier, history: dict[str, Any]) -> Fitted:
    """The classifier with prior shift, calibration and threshold of the source-only model.

    What learned without source data, or has the target's own statistics, shows source images as the target's are to be seen: nothing can be
    fitted on what it says of them.
    """
    from medtl.model.model import Model

    assert job.adapting is not None
    source = Model.load(job.adapting.source_only, "cpu")
    logits = job.validation_logits(classifier)
    point, shift = source.package.operating_point, tuple(source.package.prior_shift[0])
    return Fitted(classifier, shift, source.calibration, source.threshold, point.rule, logits, history, point.prevalence)
