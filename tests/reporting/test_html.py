"""Where a page may be written, and that its template knows no competition."""

import re
from pathlib import Path

import pytest

import kit.reporting
from kit.reporting.html import check_page
from kit.system.errors import KitError


def test_a_page_lies_over_no_input_and_nothing_that_exists(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "a.html").write_text("mine")
    inputs = [tmp_path / "train"]
    check_page(tmp_path / "b.html", inputs, False)
    check_page(tmp_path / "a.html", inputs, True)
    for out, said in (
        (tmp_path / "a.pdf", "let --out end in .html"),
        (tmp_path / "a.html", "exists already"),
        (tmp_path / "train" / "a.html", "is a place of input files"),
    ):
        with pytest.raises(KitError, match=said):
            check_page(out, inputs, False)


def test_the_template_knows_no_competition():
    template = (Path(kit.reporting.__file__).parent / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"(?i)\b(mask|gender|ages?|person|people|years?|512)\b", template)
