"""The shipped definition of plant2021, on its drawn sample."""

from shipped import check_definition


def test_the_definition_reads_its_drawn_sample(tmp_path):
    competition, photos = check_definition("plant2021", tmp_path)
    assert competition.several_labels and competition.answer == "list"
    assert "healthy" in competition.class_names and competition.num_classes == 6
    assert photos["label"].str.contains(" ").any()
