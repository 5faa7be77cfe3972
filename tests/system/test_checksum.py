"""Checksums of JSON objects and of lines: every change is found, and another form is none."""

import json
import random

import pytest

from kit.system.checksum import CHECKSUM, line_checksums, with_checksum, without_checksum

CONTENT = {"a": [1, 2.5, None], "이름": {"b": "값", "c": [True, float("nan")]}, "\udcff": "x"}


def test_a_json_object_comes_back_in_whatever_form():
    for form in ({}, {"indent": 1}, {"ensure_ascii": False, "separators": (",", ":")}):
        read = json.loads(json.dumps(with_checksum(CONTENT), **form))
        assert json.dumps(without_checksum(read)) == json.dumps(CONTENT)
    again = with_checksum(with_checksum(CONTENT))  # of its own values alone
    assert again == with_checksum(CONTENT) and list(again)[-1] == CHECKSUM


def test_every_flipped_bit_of_a_json_object_is_found():
    text, rng = json.dumps(with_checksum(CONTENT)).encode(), random.Random(0)
    for _ in range(1000):
        flipped = bytearray(text)
        flipped[rng.randrange(len(text))] ^= 1 << rng.randrange(8)
        try:
            content = json.loads(flipped)
        except ValueError:
            continue
        if json.dumps(content) != json.dumps(with_checksum(CONTENT)):  # \uDCFF is \udcff
            with pytest.raises(ValueError, match="does not fit"):
                without_checksum(content)


def test_an_object_without_its_checksum_is_refused():
    for content in (CONTENT, with_checksum(CONTENT) | {"a": 0}, {CHECKSUM: ""}, {}):
        with pytest.raises(ValueError, match="does not fit"):
            without_checksum(content)


def test_lines_are_found_changed_moved_or_gone():
    lines = ["a,b", "1,2", "3,4"]
    whole = line_checksums(lines, "of")
    assert whole == line_checksums(lines, "of") and len(set(whole)) == 3
    for other in (["a,b", "1,3", "3,4"], ["a,b", "3,4", "1,2"], ["a,b", "3,4"], lines[:2]):
        assert line_checksums(other, "of")[-1] not in whole
    assert line_checksums(lines, "of another") != whole and line_checksums([], "of") == []
