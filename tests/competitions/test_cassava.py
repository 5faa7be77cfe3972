"""The shipped definition of cassava, on its drawn sample."""

from shipped import check_definition


def test_the_definition_reads_its_drawn_sample(tmp_path):
    competition, photos = check_definition("cassava", tmp_path)
    assert competition.kind == "classes" and competition.class_names == tuple("01234")
    assert competition.answer == "class" and competition.metric == "accuracy"
    assert photos["label"].value_counts().idxmax() == 3
