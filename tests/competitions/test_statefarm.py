"""The shipped definition of statefarm, on its drawn sample."""

from shipped import check_definition


def test_the_definition_reads_its_drawn_sample(tmp_path):
    competition, photos = check_definition("statefarm", tmp_path)
    assert competition.mirrored.tolist() == [0, 3, 4, 1, 2, 5, 6, 7, 8, 9]
    assert competition.answer == "probabilities" and competition.groups == "subjects"
    assert photos["group"].nunique() == 12 and not competition.tasks[0].of_group
