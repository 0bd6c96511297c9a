"""The card says what a reader must know, and no name in it becomes markup."""

from __future__ import annotations

import pytest

from medtl import card

SHARE = {"value": 0.5, "low": 0.25, "high": 0.75}


@pytest.fixture
def package():
    return {
        "name": "lungs",
        "task": {"classes": {"normal": ["N"], "ill": ["I"]}, "positive": "ill"},
        "scope": {"modality": ["CR"], "body_part": [], "view": ["PA"], "age": [0, 18]},
        "image": {"size": 224},
        "network": {"architecture": "resnet18"},
        "weights": [{"file": "weights-0.safetensors", "provenance": {"source": "file", "file": "r.safetensors", "sha256": "ab" * 32}}],
        "training": {
            "images": {"train": {"ill": 1200, "normal": 30}, "validation": {"ill": 5, "normal": 4}},
            "history": [{"weights": {"source": "file"}, "tuned": {"epochs": 12, "best_epoch": 7, "validation_auroc": 0.98765}}],
        },
        "calibration": {"temperature": 1.5},
        "operating_point": {"rule": "youden", "threshold": 0.4321, "split": "validation", "n": 9},
        "fingerprint": "f" * 64,
        "medtl": "0.1.0",
        "created": "2026-01-02T03:04:05+00:00",
    }


@pytest.fixture
def metrics():
    per_class = {"ill": {"precision": {"value": None, "reason": "never predicted"}, "recall": SHARE, "f1": SHARE, "support": 5}}
    split = {"n": 9, "groups": 8, "auroc": SHARE, "per_class": per_class}
    return {"format": 1, "unit": "patient", "looks": 2, "splits": {"validation": split, "test": split}}


def test_the_card_says_what_matters(package, metrics):
    text = card.text(package, metrics)
    for words in (
        "Tells normal from ill",
        "the positive class is ill",
        "Research use only",
        "modality: CR",
        "age: 0 to 18 years",
        "train images: ill 1,200, normal 30",
        "resnet18",
        "r.safetensors (sha256 abababababab…)",
        "best epoch 7, validation auroc 0.9877",
        "by patient",
        "looked at twice.",
        "### test: 9 images, 8 groups",
        "| ill | 5 | n/a (never predicted) | 0.500 (0.250 to 0.750) | 0.500 (0.250 to 0.750) |",
        "Positive from a probability of 0.4321 on (rule: youden)",
        "fitted on 9 validation images",
        "f" * 64,
    ):
        assert words in text


def test_answers_that_were_not_given_are_counted(package, metrics):
    counts = {"normal": {"n": 4, "unanswered": 1}, "ill": {"n": 5, "unanswered": 2}}
    metrics["splits"]["test"] |= {"answering": {"coverage": {"value": 2 / 3}, "counts": counts, "all_comers": {}}}
    text = card.text(package, metrics)
    assert "had its answer been given: 66.7 % got one. Without an answer: normal 1 of 4, ill 2 of 5." in text


def test_networks_of_several_seeds_are_judged_together(package, metrics):
    package["weights"] *= 2
    package["ensemble"] = {"verified": True, "groups": 8, "of": "seeds"}
    text = card.text(package, metrics)
    assert "Judged were both networks together." in text
    assert "did not learn from it" not in text


def test_nothing_judged_nothing_claimed(package):
    text = card.text(package, None)
    assert "Not judged yet" in text
    assert "AUROC" not in text


def test_an_ensemble_says_that_its_parts_were_judged(package, metrics):
    package["weights"] *= 3
    assert "one of the 3 networks that did not learn from it" in card.text(package, metrics)


@pytest.mark.parametrize("ensemble", [{}, {"ensemble": None}, {"ensemble": {"verified": False, "groups": 0}}])
def test_an_ensemble_that_was_never_checked_says_so(package, ensemble):
    assert "verified" not in card.text({**package, **ensemble}, None), "it does not apply to a single network"
    several = {**package, **ensemble, "weights": package["weights"] * 3}
    assert "**The ensemble's threshold and calibration were never checked on images that none" in card.text(several, None)
    several["operating_point"] = {**several["operating_point"], "threshold": None}
    assert "**The ensemble's calibration was never checked" in card.text(several, None)
    checked = card.text({**several, "ensemble": {"verified": True, "groups": 1042}}, None)
    assert "unverified" not in checked
    assert "These images, of 1,042 groups, none of the 3 networks has seen." in checked


def test_several_classes_are_decided_by_the_largest_probability(package):
    package["task"] = {"classes": {"a": [], "b": [], "c": []}, "positive": None}
    package["operating_point"]["threshold"] = None
    text = card.text(package, None)
    assert "Tells 3 classes apart" in text
    assert "largest probability. " in text
    package["operating_point"]["rule"] = "adjusted"
    assert "largest probability, each weighed against how frequent the class is. " in card.text(package, None)


def test_names_do_not_become_markup(package, metrics):
    package["name"] = "<script>alert(1)</script> [x](http://evil)\n# heading"
    text = card.text(package, metrics)
    assert "<script" not in text.replace("\\<script", "")
    assert "](http" not in text.replace("\\](http", "")
    assert text.splitlines()[0].startswith("# \\<script")
    assert text.count("\n# ") == 0


def test_an_estimate_without_interval_says_why():
    assert card.estimate({"value": 1.0, "low": None, "high": None, "reason": "one group only"}) == "1.000 (one group only)"
    assert card.estimate({"value": 0.5, "low": None, "high": None}) == "0.500"
    assert card.estimate(None) == "n/a (not measured)"


def test_what_is_almost_one_is_not_called_one(package, metrics):
    package["operating_point"]["threshold"] = 0.99998
    metrics["splits"]["test"]["auroc"] = {"value": 0.99962, "low": 0.9, "high": 0.99999}
    text = card.text(package, metrics)
    assert r"from a probability of \>0.9999 on" in text or "from a probability of >0.9999 on" in text
    assert r"AUROC: 0.9996 (0.900 to \>0.9999)" in text


def test_a_model_of_made_images_is_called_synthetic(package, metrics):
    assert "SYNTHETIC IMAGES" in card.text({**package, "synthetic": True}, metrics)
    assert "SYNTHETIC" not in card.text(package, metrics)


def test_one_network_says_what_its_intervals_do_not_speak_of(package, metrics):
    said = "Intervals speak of test patients, not of training luck."
    assert said in card.text(package, metrics)
    assert said not in card.text({**package, "weights": package["weights"] * 3}, metrics)
    assert said not in card.text(package, None)
