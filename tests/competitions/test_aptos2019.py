"""The shipped definition of aptos2019, on its drawn sample."""

from shipped import check_definition


def test_the_definition_reads_its_drawn_sample(tmp_path):
    competition, _ = check_definition("aptos2019", tmp_path)
    assert competition.kind == "order" and competition.class_names == tuple("01234")
    assert competition.answer == "class" and competition.metric == "quadratic_kappa"
    assert competition.tasks[0].ordered and not competition.is_grouped
