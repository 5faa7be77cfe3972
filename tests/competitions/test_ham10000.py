"""The shipped definition of ham10000, on its drawn sample."""

from shipped import check_definition


def test_the_definition_reads_its_drawn_sample(tmp_path):
    competition, photos = check_definition("ham10000", tmp_path, groups=42)
    assert competition.class_names == ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
    assert competition.answer == "probabilities" and competition.metric == "balanced_accuracy"
    assert competition.tasks[0].of_group and photos["group"].nunique() == 42
