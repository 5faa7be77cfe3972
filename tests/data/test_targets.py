"""Labels as arrays: one class a photo, or any number of labels."""

import numpy as np
import pandas as pd
import pytest
from pets_folder import usual

from kit.data.targets import as_texts, check_label_texts, labelled, several, targets
from kit.system.errors import KitError

LABELS = usual(kind="labels", classes=("a", "b", "c"))


@pytest.mark.parametrize("seed", range(5))
def test_texts_and_tables_are_inverse(seed):
    table = (np.random.default_rng(seed).random((20, 12)) < 0.3).astype(np.uint8)
    texts = as_texts(table)
    assert (several(texts, 12) == table).all() and as_texts(several(texts, 12)) == texts
    check_label_texts("x", pd.DataFrame({"image": texts, "label": texts}), 12)


def test_targets_of_both_kinds():
    photos = pd.DataFrame({"label": ["0 2", "", "1"]})
    assert targets(photos, LABELS).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert targets(photos, LABELS).dtype == np.uint8
    one = usual(classes=("a", "b"))
    assert targets(pd.DataFrame({"label": [1, 0]}), one).tolist() == [1, 0]
    assert several([], 3).shape == (0, 3)


def test_each_label_of_each_photo():
    rows, labels = labelled(pd.DataFrame({"label": ["0 2", "", "1"]}), LABELS)
    assert rows.tolist() == [0, 0, 2] and labels.tolist() == [0, 2, 1]
    rows, labels = labelled(pd.DataFrame({"label": [1, 0]}), usual(classes=("a", "b")))
    assert rows.tolist() == [0, 1] and labels.tolist() == [1, 0]


@pytest.mark.parametrize("text", ["3", "1 0", "0 0", "0  1", " 0", "0 ", "x", "01", "-1"])
def test_texts_that_are_no_labels(text):
    with pytest.raises(KitError, match=r"t: column 'label' must hold rising .*'.*' at b.jpg"):
        check_label_texts("t", pd.DataFrame({"image": ["a", "b.jpg"], "label": ["", text]}), 3)


def test_a_number_is_no_text_of_labels_and_no_photos_are_none():
    with pytest.raises(
        KitError, match="^t: .*0..2, such as '0 2', or nothing .1 found: '1' at b.; mend"
    ):
        check_label_texts("t", pd.DataFrame({"image": ["a", "b"], "label": ["1", 1]}), 3)
    with pytest.raises(KitError, match="or nothing; mend these rows"):
        check_label_texts("t", pd.DataFrame({"image": [], "label": []}), 3)
