"""What a submission asks for."""

import pandas as pd
import pytest

from kit.starting.answers import answers_of
from kit.starting.paths import Lead
from kit.starting.tables import Table
from kit.starting.target import Target


def sample(lead=True, **columns):
    """A sample submission of four ids."""
    rows = pd.DataFrame({"id": [f"t{n}" for n in range(4)]} | columns)
    return Table("sample_submission.csv", rows, Lead("id", ("t/{id}.jpg",), 1.0) if lead else None)


def target(kind, *classes, columns=("label",)):
    """A target of classes."""
    return Target(columns, kind, classes, "told")


@pytest.mark.parametrize(
    "given, columns, form, metric",
    [
        (target("classes", "0", "1"), {"label": "0"}, "probability", "roc_auc"),
        (target("classes", "cat", "dog"), {"label": "0.5"}, "probability", "roc_auc"),
        (target("classes", "cat", "dog"), {"label": "0"}, "class", "accuracy"),
        (target("classes", "cat", "dog"), {"label": ""}, "name", "accuracy"),
        (target("classes", "0", "1", "2"), {"label": "0"}, "class", "accuracy"),
        (target("classes", "0", "3", "8"), {"label": "0"}, "name", "accuracy"),
        (target("order", "0", "1", "2"), {"level": "0"}, "class", "quadratic_kappa"),
        (target("labels", "0", "1", "2"), {"ids": "0 1"}, "list", "f1_samples"),
        (target("classes", "a", "b"), {"a": "0", "b": "0"}, "probabilities", "log_loss"),
        (target("classes", "a", "b"), {"A": "0", "B": "0"}, "probabilities", "log_loss"),
        (
            target("labels", "a", "b", columns=("a", "b")),
            {"a": "0", "b": "0"},
            "probabilities",
            "roc_auc",
        ),
    ],
)
def test_the_form_and_its_usual_metric(given, columns, form, metric):
    answers = answers_of(given, [sample(**columns)])
    assert (answers.form, answers.metric, answers.rows, answers.id) == (form, metric, "", "")
    assert answers.templates == ("t/{id}.jpg",)


def test_photos_are_found_through_another_table():
    rows = pd.DataFrame(
        {"image": [f"i{n}" for n in range(8)], "id": [f"t{n // 2}" for n in range(8)]}
    )
    other = Table("test.csv", rows, Lead("image", ("t/{image}.png",), 1.0))
    answers = answers_of(target("classes", "0", "1"), [sample(False, cancer="0"), other])
    assert (answers.test.path, answers.templates) == ("test.csv", ("t/{image}.png",))
    assert (answers.id, answers.rows, answers.column) == ("id", "{id}", "cancer")


def test_photos_that_are_not_found_are_unsure():
    answers = answers_of(target("classes", "0", "1"), [sample(False, label="0")])
    assert any(text.startswith("test_image: ") for text in answers.unsure)


@pytest.mark.parametrize("classes", [("a", "b", "new c"), ("0", "1", "2")])
@pytest.mark.parametrize("answer", ["{0}", "{2}", "{0} {1}"])
def test_several_classes_in_a_row_are_unsure(classes, answer):
    answers = answers_of(target("classes", *classes), [sample(label=answer.format(*classes))])
    several = [text for text in answers.unsure if "several classes in a row" in text]
    assert len(several) == (answer == "{0} {1}")
