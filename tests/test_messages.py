"""Every message says what to do; the catalogue has all of them. `recorder.py` sees each one got."""

import pytest
from messages import CATALOGUE, UNTRIED, WITHOUT_REMEDY, Site, catalogue, listed, sites

ERRORS = [site for site in sites() if site.maker != "warn"]


def test_every_error_says_what_to_do_behind_a_semicolon():
    silent = [
        f"kit/{site.module} line {site.lines.start}: {site.text}"
        for site in ERRORS
        if "; " not in site.text and not listed(site, WITHOUT_REMEDY)
    ]
    assert silent == []


@pytest.mark.parametrize("listing", [WITHOUT_REMEDY, UNTRIED])
def test_what_is_listed_is_a_message_that_needs_it(listing):
    for (module, part), why in listing.items():
        found = [s for s in sites() if s.module == module and part in s.text]
        assert len(found) == 1 and why, (module, part, found)
        assert listing is UNTRIED or "; " not in found[0].text, part


def test_the_catalogue_has_every_message():
    assert CATALOGUE.read_text(encoding="utf-8") == catalogue(), "run python tests/messages.py"


def test_a_site_s_text_has_what_the_code_says():
    texts = [site.text for site in sites() if site.module == "data/plan.py"]
    assert "{path}: there is no fold plan; make one with python -m kit.folds" in texts
    assert len(ERRORS) > 300 and isinstance(ERRORS[0], Site)
