"""The list of training images recognises them, names nobody else, and is refused when damaged."""

from __future__ import annotations

import hashlib
import json

import pytest

from medtl.errors import MedtlError
from medtl.model.seen import FILE, read_seen, truncated, write_seen


def test_seen_images_are_recognised(tmp_path):
    hashes = [hashlib.sha256(bytes([i])).hexdigest() for i in range(5)]
    write_seen([*hashes, hashes[0], ""], tmp_path)
    seen = read_seen(tmp_path)
    assert seen == {truncated(each) for each in hashes}
    assert truncated(hashlib.sha256(b"other").hexdigest()) not in seen
    stored = json.loads((tmp_path / FILE).read_text())["hashes"]
    assert stored == sorted(stored)
    assert all(len(each) == 16 for each in stored)
    assert not any(each[:16] in (tmp_path / FILE).read_text() for each in hashes)


def test_the_order_of_images_does_not_matter(tmp_path):
    write_seen(["b", "a"], tmp_path)
    first = (tmp_path / FILE).read_bytes()
    write_seen(["a", "b"], tmp_path)
    assert (tmp_path / FILE).read_bytes() == first


def test_a_package_may_be_silent(tmp_path):
    assert read_seen(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 1, "hashes": [1]}', '{"format": 9, "hashes": []}'])
def test_a_damaged_list_is_refused(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(MedtlError, match=FILE):
        read_seen(tmp_path)
