"""What the methods say of the model: network, weights, what learned and how, rare classes, calibration and the rule of decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medtl import card
from medtl.errors import listed
from medtl.estimates import number
from medtl.paper.references import bracketed, cite, cite_file
from medtl.report import summary
from medtl.report.contents import Contents
from medtl.report.figures.learning import MONITORS
from medtl.report.training import STRATEGIES, last_kept

ARCHITECTURES = {
    "alexnet": "krizhevsky2012",
    "vgg": "simonyan2015",
    "googlenet": "szegedy2015",
    "inception_v3": "szegedy2016",
    "resnext": "xie2017",
    "resnet": "he2016",
    "squeezenet": "iandola2016",
    "densenet": "huang2017",
    "mobilenetv2": "sandler2018",
    "mobilenet_v2": "sandler2018",
    "mobilenetv3": "howard2019",
    "mobilenet_v3": "howard2019",
    "efficientnetv2": "tan2021",
    "tf_efficientnetv2": "tan2021",
    "efficientnet": "tan2019",
    "tf_efficientnet": "tan2019",
    "regnet": "radosavovic2020",
    "convnext": "liu2022",
}
"""Beginnings of networks' names → who described them; of the longest that fits."""
LIBRARIES = {"torch": "paszke2019", "timm": "wightman2019", "lightning": "falcon2019", "monai": "cardoso2022"}
BATCH_NORMS = {
    "train": "batch norms learned and kept running averages",
    "affine": "batch norms kept their loaded averages",
    "frozen": "batch norms stayed as they were loaded",
}


def network_text(package: Mapping[str, Any]) -> Iterator[str]:
    """The network, its head and where its weights came from."""
    network, count = package["network"], len(package["weights"])
    name = str(network.get("architecture", "unknown"))
    fits = [start for start in ARCHITECTURES if name.startswith(start)]
    paper = bracketed([ARCHITECTURES[max(fits, key=len)]]) if fits else " (medtl does not know who described it: cite that yourself)"
    library = f" of {network['library']}" if network.get("library") else ""
    many = f"Probabilities of {count} networks were averaged; each was" if count > 1 else "The network was"
    dim = f", whose {network['dim']:,} features went into one linear layer" if network.get("dim") else ""
    yield f"{many} `{name}`{library}{paper}{dim}."
    yield from sorted({_weights(member.get("provenance", {})) for member in package["weights"]})
    unverified = card.unverified(package)
    if unverified:
        yield unverified


def _weights(provenance: Mapping[str, Any]) -> str:
    if not provenance:
        return "Where its weights came from is not recorded."
    if provenance.get("source") == "none":
        return "Its weights were random at the start: no transfer."
    named = str(provenance.get("origin") or provenance.get("package") or provenance.get("file") or provenance.get("source"))
    imagenet = bracketed(["deng2009"]) if "imagenet" in named.lower() or provenance.get("source") == "imagenet" else ""
    digest = f", SHA-256 {provenance['sha256']}" if provenance.get("sha256") else ""
    taken = f"; {provenance['fitted']:,} of {provenance['tensors']:,} tensors were taken over" if provenance.get("tensors") else ""
    return f"Its layers started from pretrained weights (`{named}`{imagenet}{digest}{taken})."


def training_text(contents: Contents) -> Iterator[str]:
    """What learned from what, and what chose the weights that were kept."""
    settings = contents.experiment
    if not settings:
        yield "How the model was trained is not in this folder: it came as a package."
        return
    transfer = settings["transfer"]
    strategy = transfer["strategy"]
    yield f"Strategy `{strategy}`{cite('transfer', 'strategy', strategy)}: {STRATEGIES.get(strategy, 'as the settings say')}."
    if strategy not in ("scratch", "full"):
        yield _probe(transfer, contents.package)
    if strategy != "linear-probe":
        yield from _optimisation(transfer)
        if any(event.get("event") == "begun" for log in contents.logs.values() for event in log):
            yield "Before the first step batch norms that learn took the training images' statistics, to which the head was fitted anew."
        yield _augmentation(settings["augmentation"], transfer.get("views"))
    yield from _chosen(contents)
    if contents.release:
        yield from _adaptation(contents.release)
    trainer = settings["trainer"]
    yield f"It ran on {trainer['device']} in {trainer['precision']}; random seed {settings['seed']}."


def _probe(transfer: Mapping[str, Any], package: Mapping[str, Any]) -> str:
    tried = ", ".join(f"{value:g}" for value in transfer["probe_penalty"])
    probes = [facts["probe"] for facts in package["training"].get("history", []) if "probe" in facts]
    taken = ", ".join(f"{probe['penalty']:g}" for probe in probes if "penalty" in probe)
    return (
        "The linear probe was a logistic regression on standardised features; the strength of its L2 penalty was chosen on validation from "
        + tried
        + (f" (taken: {taken})." if taken else ".")
    )


def _optimisation(transfer: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Fine-tuning: AdamW{cite('transfer', 'weight_decay')}, {transfer['epochs']} epochs, batches of {transfer['batch']}, peak rate "
        f"{transfer['rate']:g} after a linear warm-up over {100 * transfer['warmup']:g} % of the steps and with cosine decay, weight decay "
        f"{transfer['weight_decay']:g} (not of biases and norms{cite('module.learning', 'optimizer_groups')}), dropout "
        f"{transfer['dropout']:g}, gradients clipped at a norm of {transfer['clip']:g}; {BATCH_NORMS[transfer['batch_norm']]}."
    )
    used = [text for text in _techniques(transfer) if text]
    if used:
        yield f"Further: {'; '.join(used)}."


def _techniques(transfer: Mapping[str, Any]) -> Iterator[str]:
    """The optional ones that did something, each with its source."""
    settings = {"stages": 1, "layer_decay": 1, "l2_sp": 0, "mixup": 0, "cutmix": 0, "auxiliary": 0, "ema": 0, "soup": 1, **transfer}
    if transfer["label_smoothing"]:
        yield f"label smoothing {transfer['label_smoothing']:g}{cite('imbalance.losses.cross_entropy')}"
    if transfer["strategy"] == "partial":
        yield f"the last {settings['stages']} stage(s) learned"
    words = {
        "layer_decay": (1, "each stage at {:g} of the rate of the one above it"),
        "l2_sp": (0, "decay towards the pretrained weights, {:g}"),
        "mixup": (0, "mixup, {:g}"),
        "cutmix": (0, "cutmix, {:g}"),
        "auxiliary": (0, "an auxiliary classifier in training, weight {:g}"),
        "ema": (0, "an exponential moving average of the weights, decay {:g}"),
        "soup": (1, "the mean of up to {:g} good epochs' weights"),
    }
    for name, (neutral, text) in words.items():
        if settings[name] != neutral:
            yield text.format(settings[name]) + cite("transfer", name)


def _augmentation(settings: Mapping[str, Any], views: int | None) -> str:
    flips = {"none": "not mirrored", "horizontal": "mirrored left-right", "both": "mirrored left-right and up-down"}
    when = f"once, into {views} fixed views" if views else "in every epoch"
    return (
        f"Training images were changed at random {when}: {flips[settings['flip']]}, turned by up to {settings['rotate']:g}°, scaled by up "
        f"to {100 * settings['scale']:g} %, shifted by up to {100 * settings['translate']:g} % of the side, brightness changed by up to "
        f"{settings['brightness']:g} of the range and contrast by up to {100 * settings['contrast']:g} %."
    )


def _adaptation(release: Mapping[str, Any]) -> Iterator[str]:
    """What was trained beside the source's own model, and why which was released."""
    methods = [name for name in release["scores"] if name != "source-only"]
    yield (
        f"Beside a model of the source alone (source-only), {listed(methods, most=len(methods))} adapted to {release['target_images']:,} "
        f"training images of '{release['target']}' without their labels; AUROC there had to be shown not worse than source-only's "
        f"by a margin of {number(release['margin'])}."
    )
    reason = release["reason"]
    yield f"Released was {release['released']}: {reason}{'' if reason.endswith('.') else '.'}"


def _chosen(contents: Contents) -> Iterator[str]:
    """Which epoch was kept, and of how many, as the package remembers."""
    monitor = contents.experiment["transfer"]["monitor"]
    tuned = [facts["tuned"] for facts in contents.package["training"].get("history", []) if "tuned" in facts]
    if tuned and contents.experiment["transfer"].get("soup", 1) == 1:
        kept = ", ".join(str(facts["best_epoch"]) for facts in tuned if "best_epoch" in facts)
        which = f"{'epochs' if len(tuned) > 1 else 'epoch'} {kept} of {tuned[0]['epochs']}"
        if contents.release and contents.release["released"] in last_kept(contents):
            yield f"The last of {tuned[0]['epochs']} epochs was kept, for source validation would choose the least adapted."
            return
        yield f"The epoch with the best validation score ({MONITORS.get(monitor, monitor)}) was kept: {which}."


def imbalance_text(contents: Contents) -> Iterator[str]:
    """Loss, sampler, and what was undone of the prior that they shift."""
    settings = contents.experiment
    if not settings:
        yield "Loss and sampler are not in this folder."
        return
    imbalance = settings["imbalance"]
    loss, sampler = imbalance["loss"]["name"], imbalance["sampler"]["name"]
    of_loss = "" if loss == "cross-entropy" else cite(_component("losses", loss))  # what plain cross-entropy cites is label smoothing
    of_sampler = cite(_component("samplers", sampler))
    yield f"Loss: {_chosen_words(imbalance['loss'])}{of_loss}. Sampling: {_chosen_words(imbalance['sampler'])}{of_sampler}."
    if imbalance.get("retrain_classifier"):
        yield f"The head was fitted anew after fine-tuning{cite('imbalance', 'retrain_classifier')}."
    if any(value for member in contents.package.get("prior_shift", []) for value in member):
        yield f"The shift of the classes' prior that this brings was taken off the logits{cite('decisions.prior')}."


def _component(folder: str, name: str) -> str:
    return f"imbalance.{folder}.{name.replace('-', '_')}"


def _chosen_words(chosen: Mapping[str, Any]) -> str:
    """`focal (gamma 2, power 0)`."""
    own = _options({key: value for key, value in chosen.items() if key != "name"})
    return str(chosen["name"]) + (f" ({own})" if own else "")


def _options(settings: Mapping[str, Any]) -> str:
    """`gamma 2, power 0`; what is not set is left out."""
    given = {key: value for key, value in settings.items() if value is not None}
    return ", ".join(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in given.items())


def decision_text(contents: Contents) -> Iterator[str]:
    """Views, calibration, and where the threshold stands; what else is set about decisions, as it is set."""
    package, settings = contents.package, contents.experiment.get("decision", {})
    point, method = package["operating_point"], settings.get("calibration")
    if package.get("flips", "none") != "none":
        yield "An answer is the mean of the logits of the image and of its mirror images."
    if method == "none":
        yield "Probabilities were not calibrated."
    else:
        usual = "decisions.per_class" if isinstance(point["threshold"], list | tuple) else "decisions.calibration"
        named = f" ({method})" if isinstance(method, str) else ""
        source = cite_file("decisions", method or "") or cite(usual)
        yield f"Probabilities were calibrated{named}{source} on {card.origins(point)[1]}."
    yield _rule(point, contents.task.names)
    yield from summary.promised(contents)
    others = [_as_set(name, value) for name, value in settings.items() if name not in _TOLD and value not in (None, False, "none")]
    if others:
        yield f"Further settings of the decision: {'; '.join(others)}."


def _as_set(name: str, value: Any) -> str:
    own = f" ({_options(value)})" if isinstance(value, Mapping) else f" {value}"
    return f"{name}{own}{cite_file('decisions', name)}"


_TOLD = ("flips", "calibration", "threshold", "adjust")
"""Settings of `decision` that have words of their own."""


def _rule(point: Mapping[str, Any], classes: Sequence[str]) -> str:
    rule = str(point["rule"])
    source = cite("decisions.rules.youden") if rule == "youden" else cite("decisions.settings", "adjust") if rule == "adjusted" else ""
    threshold_on, promise = card.origins(point)[0], point.get("guarantee") or {"wrong": ()}
    beyond = f", where that is out of reach on {point['calibrated_on']['split']}" if threshold_on and None in promise["wrong"] else ""
    chosen_on = f"{threshold_on} that chose nothing else{beyond}" if threshold_on else point["split"]
    where = f"chosen on {chosen_on} by the rule `{rule}`{source}"
    if isinstance(point["threshold"], list | tuple):
        cuts = ", ".join(f"{name} {number(cut)}" for name, cut in zip(classes, point["threshold"], strict=True))
        return f"A finding was called from a probability of {cuts} on, {where}."
    if point["threshold"] is None:
        weighed = f", each weighed against how frequent the class is{source}" if rule == "adjusted" else ""
        return f"The class of the largest probability was answered{weighed}."
    return f"The positive class was called from a probability of {number(point['threshold'])} on, {where}."


def software_text(contents: Contents) -> Iterator[str]:
    """Versions, and the state of the code."""
    environment = contents.environment
    yield f"medtl {contents.package['medtl']}" + (f", commit `{environment['code']}`" if environment.get("code") else "") + "."
    versions = {name: version for name, version in environment.get("libraries", {}).items() if version}
    if versions:
        named = ", ".join(
            f"{name} {version}{bracketed([LIBRARIES[name]]) if name in LIBRARIES else ''}" for name, version in versions.items()
        )
        yield f"Python {environment.get('python', 'of unknown version')} on {environment.get('platform', 'an unknown platform')}: {named}."
    else:
        yield "The versions of the libraries that it was trained with are not in this folder."
    yield f"Fingerprint of the model: `{contents.package['fingerprint']}`."
