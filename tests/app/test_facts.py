"""What stands beside an image: header facts in words, the age as a band, what the person said, and never who it is."""

from __future__ import annotations

import re

import pytest

from medtl.app.page.facts import age_band, markup, stated
from medtl.app.reading import read
from medtl.imaging.settings import ImageSettings


@pytest.fixture(scope="module")
def measurement(files):
    return read(files["dicom"], None, ImageSettings(size=32)).measurement


@pytest.mark.parametrize(
    ("age", "band"),
    [("0.02", "under 1 year"), ("17", "15 to 17 years"), ("18", "18 to 19 years"), ("20", "20 to 29 years"), ("89", "80 to 89 years"),
     ("90", "90 years or older"), ("129", "90 years or older")],
)  # fmt: skip
def test_an_age_points_at_nobody(age, band):
    assert age_band(age) == band


def test_the_header_is_told_and_what_it_does_not_say_is_the_persons(measurement):
    told = dict(
        stated(
            {**measurement, "spacing": "0.143 0.143", "spacing_from": "ImagerPixelSpacing"}, {"view": "PA", "modality": "CT", "age": "44"}
        )
    )
    assert told["Modality"] == "CR (a radiograph)", "the header counts, not the person"
    assert told["View"] == "PA (by you)"
    assert told["Age"] == "40 to 49 years (by you)"
    assert told["Pixel spacing"] == "0.143 × 0.143 mm, at the detector"


def test_the_receipt_says_how_it_was_read_and_nothing_says_who_it_is(measurement):
    text = re.sub(r"<[^>]+>", " ", markup(measurement, {}, 1, 1))
    assert "inverted once" in text
    assert str(measurement["sha256"]) in text
    assert "ZZCANARY" not in text


def test_a_header_cannot_write_markup(measurement):
    evil = {**measurement, "device": "<script>x</script>", "laterality": "<b>", "encoding": "<i>"}
    assert not re.search(r"<(script|b|i)>", markup(evil, {}, 1, 1))
