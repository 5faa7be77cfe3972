"""The shipped definition of plant2021: its drawn sample is one of its layout."""

from shipped import check_definition


def test_the_definition_reads_its_drawn_sample(tmp_path):
    check_definition("plant2021", tmp_path)
