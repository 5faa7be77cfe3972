"""A drawn data set in the mask competition's layout, with its traps."""

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kit.competitions.mask_faces import EVAL, TRAIN, draw_person, plan_people
from kit.competitions.mask_labels import AGE, GENDER, SHOTS
from kit.competitions.mask_pen import DARK, WHITE
from kit.competitions.sample_folder import check_sizes, new_sample, write_text
from kit.system.console import Progress

# A photo on the contact sheet.
_SMALL: Final = (96, 128)
# What macOS leaves among the photos; neither is an image, whatever its name says.
_APPLE_DOUBLE: Final = b"\0\5\x16\7\0\2\0\0Mac OS X        ".ljust(120, b"\0")
_DS_STORE: Final = b"\0\0\0\1Bud1".ljust(6148, b"\0")


def draw_sample(
    out: Path, people: int = 60, eval_people: int = 20, seed: int = 0, force: bool = False
) -> Path:
    """Draw a data set into the folder `out`, whole or not at all, and return the folder.

    The same arguments give the same bytes. `force` replaces a folder that this function has made,
    and no other. Raises `KitError` for arguments out of range, or when `out` exists.
    """
    check_sizes(
        {
            "--groups": (people, 6, "one for each gender and age class"),
            "--test-groups": (eval_people, 1, ""),
            "--seed": (seed, 0, ""),
        }
    )
    record = {"seed": seed, "people": people, "eval_people": eval_people}
    with new_sample(out, record, force) as folder:
        with Progress("drawing", (people + eval_people) * len(SHOTS)) as progress:
            _draw_train(folder, people, seed, progress)
            _draw_eval(folder, eval_people, seed, progress)
    return Path(out).resolve()


def _save(image: Image.Image, path: Path) -> None:
    options = {"compress_level": 3} if path.suffix == ".png" else {"quality": 88}
    image.save(path, **options)  # type: ignore[arg-type]


def _draw_train(folder: Path, people: int, seed: int, progress: Progress) -> None:
    images = folder / "train" / "images"
    plan = plan_people(people, seed)
    rows = []
    shown: dict[tuple[int, int], tuple[str, list[Image.Image]]] = {}
    for row, person in enumerate(plan):
        (images / person.path).mkdir(parents=True)
        small = []
        for i, (shot, photo) in enumerate(
            draw_person(person, np.random.default_rng([seed, TRAIN, row, 1]))
        ):
            extension = "png" if (row + i) % 9 == 0 else "jpeg" if row % 4 == 1 else "jpg"
            _save(photo, images / person.path / f"{shot}.{extension}")
            if row % 3 == 0 and i == 0:
                (images / person.path / f"._{shot}.{extension}").write_bytes(_APPLE_DOUBLE)
            small.append(photo.resize(_SMALL, Image.Resampling.BOX))
            progress.advance()
        if row % 5 == 2:
            (images / person.path / ".DS_Store").write_bytes(_DS_STORE)
        shown.setdefault(
            (person.gender, int(AGE.class_of(np.array(person.age)))),
            (f"{GENDER.classes[person.gender]}, {person.age}", small),
        )
        rows.append(f"{person.id},{GENDER.classes[person.gender]},Asian,{person.age},{person.path}")
    (images / ".DS_Store").write_bytes(_DS_STORE)
    write_text(folder / "train" / "train.csv", "\n".join(["id,gender,race,age,path", *rows]) + "\n")
    _draw_contact_sheet(folder / "contact_sheet.png", shown)


def _draw_eval(folder: Path, people: int, seed: int, progress: Progress) -> None:
    images = folder / "eval" / "images"
    images.mkdir(parents=True)
    answers = []
    for row, person in enumerate(plan_people(people, seed, EVAL)):
        rng = np.random.default_rng([seed, EVAL, row, 1])
        age = int(AGE.class_of(np.array(person.age)))
        for shot, photo in draw_person(person, rng):
            name = f"{rng.bytes(20).hex()}.jpg"
            _save(photo, images / name)
            answers.append((name, SHOTS[shot] * 6 + person.gender * 3 + age, f"eval{row:05d}"))
            progress.advance()
    # Neither the photos' order nor the names' may say who is on them; this rng is of no person.
    answers = [answers[i] for i in np.random.default_rng([seed, EVAL]).permutation(len(answers))]
    write_text(
        folder / "eval" / "info.csv",
        "\n".join(["ImageID,ans", *(f"{name},0" for name, _, _ in answers)]) + "\n",
    )
    write_text(
        folder / "answers.csv",
        "\n".join(["ImageID,ans,person", *(",".join(map(str, row)) for row in answers)]) + "\n",
    )


def _draw_contact_sheet(
    path: Path, shown: dict[tuple[int, int], tuple[str, list[Image.Image]]]
) -> None:
    """Draw the contact sheet: one person a row, one photo a column.

    `shown` holds labels and small photos by gender and age class.
    """
    left, head, gap, (width, height) = 90, 30, 4, _SMALL
    sheet = Image.new(
        "RGB", (left + len(SHOTS) * (width + gap), head + len(shown) * (height + gap)), WHITE
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for i, shot in enumerate(SHOTS):
        draw.text((left + i * (width + gap) + width / 2, head / 2), shot, DARK, font, anchor="mm")
    for row, key in enumerate(sorted(shown)):
        label, photos = shown[key]
        y = head + row * (height + gap)
        draw.text((left - 10, y + height / 2), label, DARK, font, anchor="rm")
        for i, photo in enumerate(photos):
            sheet.paste(photo, (left + i * (width + gap), y))
    # A palette keeps the file small.
    sheet.quantize(256).save(path, optimize=True)
