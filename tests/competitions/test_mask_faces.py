"""Who is drawn, and what a person's looks follow from."""

from collections import Counter

import numpy as np
import pytest

from kit.competitions.mask_faces import (
    EVAL,
    TRAIN,
    Person,
    draw_person,
    draw_photo,
    make_face,
    plan_people,
)
from kit.competitions.mask_labels import SHOTS


@pytest.mark.parametrize("people", [6, 25, 200])
def test_genders_and_ages_have_their_shares(people):
    for seed in range(5):
        plan = plan_people(people, seed)
        classes = Counter((p.gender, np.digitize(p.age, [30, 60]).item()) for p in plan)
        # One more or less: two people get the age of a group that is another's, as traps.
        for (_, age), number in classes.items():
            assert abs(number - people * 0.5 * (0.4, 0.4, 0.2)[age]) <= 1
        assert len(plan) == people and len(classes) == 6
        assert all(18 <= p.age <= 60 for p in plan) and len({p.path for p in plan}) == people


def test_people_follow_from_the_seed_and_the_split():
    assert plan_people(30, 1) == plan_people(30, 1) != plan_people(30, 2)
    assert plan_people(30, 1, TRAIN) != plan_people(30, 1, EVAL)
    assert Person("000012", 1, 44).path == "000012_female_Asian_44"


def test_a_face_follows_from_its_draws_and_greys_with_the_years():
    def grey(age):
        faces = [make_face(Person("1", 0, age), np.random.default_rng(s)) for s in range(20)]
        return np.mean([face.grey for face in faces]), np.mean([face.lines for face in faces])

    young, middle, old = (grey(age) for age in (20, 45, 60))
    assert young[0] < middle[0] < 0.1 < 0.5 < old[0] and young[1] < middle[1] < old[1]
    one, same = (make_face(Person("1", 1, 30), np.random.default_rng(7)) for _ in range(2))
    assert (one.w, one.skin, one.style) == (same.w, same.skin, same.style)
    assert (one.strands == same.strands).all()


def test_a_person_has_seven_photos_of_the_frame_of_which_masks_cover_the_mouth():
    person, rng = Person("1", 0, 25), np.random.default_rng(0)
    photos = dict(draw_person(person, rng))
    assert list(photos) == list(SHOTS)
    assert {(photo.size, photo.mode) for photo in photos.values()} == {((384, 512), "RGB")}
    face = make_face(person, np.random.default_rng(0))
    bare, masked = (
        np.asarray(draw_photo(face, shot, "blue", np.random.default_rng(1)), float)
        for shot in ("normal", "mask1")
    )
    bluer = (masked - bare)[..., 2] - (masked - bare)[..., 0]
    assert bluer[275:300, 170:214].mean() > 40 and abs(bluer[150:175, 170:214].mean()) < 10
