"""The shipped definition of dogbreed, on its drawn sample."""

from shipped import check_definition


def test_the_definition_reads_its_drawn_sample(tmp_path):
    competition, photos = check_definition("dogbreed", tmp_path, groups=40)
    assert competition.num_classes == 120 and competition.answer == "probabilities"
    assert competition.metric == "log_loss" and competition.frame == (96, 128)
    assert photos["image"].str.startswith("train/").all()
