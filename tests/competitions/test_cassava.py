"""The shipped definition of cassava: its drawn sample is one of its layout."""

from shipped import check_definition


def test_the_definition_reads_its_drawn_sample(tmp_path):
    check_definition("cassava", tmp_path)
