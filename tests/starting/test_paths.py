"""Which columns lead to photos, by which template."""

import numpy as np
import pandas as pd
import pytest

from kit.starting.paths import PhotoIndex, find_leads

N = 40


def table(**columns):
    """A table of N rows of templates over `n`."""
    return pd.DataFrame(
        {name: [text.format(n=n, m=n % 4) for n in range(N)] for name, text in columns.items()}
    )


@pytest.mark.parametrize(
    "columns, photos, template",
    [
        ({"id": "x{n}"}, ["train/x{n}.png"], "train/{id}.png"),
        ({"id": "x{n}.png"}, ["train/x{n}.png"], "train/{id}"),
        ({"id": "{n}"}, ["train/{n}.jpg", "test/{n}.jpg"], "train/{id}.jpg"),
        ({"id": "{n}"}, ["a/train_{n}.jpg"], "a/train_{id}.jpg"),
        ({"id": "{n}"}, ["{n}.jpg"], "{id}.jpg"),
        ({"path": "./train/a/{n}.jpg"}, ["train/a/{n}.jpg"], "{path}"),
        ({"path": "a/{n}.jpg"}, ["data/train/a/{n}.jpg"], "data/train/{path}"),
        ({"c": "c{m}", "id": "x{n}.jpg"}, ["imgs/c{m}/x{n}.jpg"], "imgs/{c}/{id}"),
        ({"p": "{m}", "same": "k", "id": "{n}"}, ["k/{m}/{n}.jpg"], "k/{p}/{id}.jpg"),
        ({"id": "{n}"}, ["train/{n}.dcm.png", "train/{n}.jpg"], "train/{id}.jpg"),
    ],
)
def test_a_template_is_found(columns, photos, template):
    names = [photo.format(n=n, m=n % 4) for n in range(N) for photo in photos]
    index = PhotoIndex(tuple(names))
    lead = find_leads(table(**columns), index, "train")[0]
    assert lead.templates == (template,) and lead.share == 1
    assert set(lead.fill(table(**columns))) <= index.known
    assert len(set(lead.fill(table(**columns)))) == N


def test_channels_are_in_their_usual_order():
    ends = ("blue", "green", "red", "yellow")
    index = PhotoIndex(tuple(f"train/id-{n}-b_{end}.png" for n in range(N) for end in ends))
    lead = find_leads(table(Id="id-{n}-b"), index)[0]
    assert lead.templates == tuple(
        f"train/{{Id}}_{end}.png" for end in ("red", "green", "blue", "yellow")
    )


def test_a_column_of_classes_leads_to_nothing():
    index = PhotoIndex(tuple(f"test/{n}.jpg" for n in range(10)))
    assert find_leads(table(label="{m}"), index) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_few_missing_photos_are_borne_and_many_are_not(seed):
    rng = np.random.default_rng(seed)
    there = rng.permutation(N)
    for number, found in ((37, True), (30, False)):
        index = PhotoIndex(tuple(f"a/x{n}.jpg" for n in sorted(there[:number])))
        assert bool(find_leads(table(id="x{n}"), index)) is found
