"""Layouts of real competitions: their definitions as a person writes them, and what is drawn.

The drawings are tiny. `kit.start` must find the definitions, and all commands must work on them.
"""

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kit.competition import Competition
from kit.competitions.layout import Layout

SIZE: Final = (24, 32)


@dataclasses.dataclass(frozen=True)
class Case:
    """A competition: the fields of its definition, its drawing, and the groups that are drawn."""

    fields: Mapping[str, Any]
    layout: Layout
    groups: int = 12

    @property
    def competition(self) -> Competition:
        """The definition."""
        return Competition(**self.fields)

    def draw(self, out: Path, seed: int = 0) -> Path:
        """Draw a data set of it."""
        return self.layout.draw(
            self.competition, out, self.groups, max(2, self.groups // 4), seed, False
        )

    def write(self, path: Path, **more: Any) -> None:
        """Write the definition as a file."""
        fields = {**self.fields, **more}
        lines = [f"    {name}={value!r}," for name, value in fields.items()]
        text = "\n".join(
            ["from kit.competition import Competition", "", "competition = Competition("]
        )
        path.write_text("\n".join([text, *lines, ")", ""]), encoding="utf-8")


def shipped(name: str, groups: int = 12, **changes: Any) -> Case:
    """The case of a shipped definition."""
    module = importlib.import_module(f"kit.competitions.{name}")
    written = {
        field.name: value
        for field in dataclasses.fields(Competition)
        if field.name not in ("draw", "groups")
        and (value := getattr(module.competition, field.name))
        != getattr(Competition(name="x"), field.name)
    }
    return Case(written, dataclasses.replace(module.LAYOUT, size=SIZE, **changes), groups)


def _case(fields: dict[str, Any], layout: dict[str, Any], groups: int = 12) -> Case:
    return Case(fields, Layout(**{"size": SIZE, **layout}), groups)


CASES: Final[dict[str, Case]] = {
    "statefarm": shipped("statefarm", photos=10),
    "ham10000": shipped("ham10000", 42, photos=2),
    "aptos2019": shipped("aptos2019"),
    "cassava": shipped("cassava", wrong=0.0),
    "dogbreed": shipped("dogbreed", photos=32),
    "plant2021": shipped("plant2021"),
    "siim": _case(
        {
            "name": "siim",
            "train": "train.csv",
            "image": "jpeg/train/{image_name}.jpg",
            "target": "target",
            "group": "patient_id",
            "test_image": "jpeg/test/{image_name}.jpg",
            "answer": "probability",
            "metric": "roc_auc",
        },
        {
            "classes": ("0", "1"),
            "train": {
                "image_name": "ISIC_{number:07d}",
                "patient_id": "IP_{group:07d}",
                "sex": "female",
                "age_approx": "4{n}.0",
                "benign_malignant": "is {label}",
                "target": "{label}",
            },
            "answers": {"image_name": "ISIC_{number:07d}", "target": "{label}"},
            "shares": (0.7, 0.3),
        },
    ),
    "plant2020": _case(
        {
            "name": "plant2020",
            "train": "train.csv",
            "image": "images/{image_id}.jpg",
            "target": ("healthy", "multiple_diseases", "rust", "scab"),
            "test_image": "images/{image_id}.jpg",
            "answer": "probabilities",
            "metric": "roc_auc",
        },
        {
            "classes": ("healthy", "multiple_diseases", "rust", "scab"),
            "train": {"image_id": "Train_{number}", "*": ""},
            "answers": {"image_id": "Test_{number}", "*": ""},
            "blank": "0.25",
        },
    ),
    "hpa": _case(
        {
            "name": "hpa",
            "kind": "labels",
            "train": "train.csv",
            "image": tuple(f"train/{{Id}}_{c}.png" for c in ("red", "green", "blue", "yellow")),
            "target": "Target",
            "test_image": tuple(f"test/{{Id}}_{c}.png" for c in ("red", "green", "blue", "yellow")),
            "answer": "list",
            "metric": "f1_macro",
        },
        {
            "classes": ("0", "1", "2", "3", "4"),
            "train": {"Id": "{number:x}-bb-{number}", "Target": "{labels}"},
            "answers": {"Id": "{number:x}-bb-{number}", "Predicted": "{labels}"},
            "several": True,
        },
    ),
    "pcam": _case(
        {
            "name": "pcam",
            "train": "train_labels.csv",
            "image": "train/{id}.tif",
            "target": "label",
            "test_image": "test/{id}.tif",
            "answer": "probability",
            "metric": "roc_auc",
        },
        {
            "classes": ("0", "1"),
            "train": {"id": "{number:040x}", "label": "{label}"},
            "answers": {"id": "{number:040x}", "label": "{label}"},
        },
    ),
    "bengali": _case(
        {
            "name": "bengali",
            "kind": "tasks",
            "train": "train.csv",
            "image": "images/{image_id}.png",
            "target": ("grapheme_root", "vowel_diacritic", "consonant_diacritic"),
            "test": "test.csv",
            "test_image": "images/{image_id}.png",
            "id": "row_id",
            "answer_rows": "{image_id}_{task}",
            "answer": "class",
            "answer_column": "target",
            "metric": "accuracy",
        },
        {
            "tasks": {
                "grapheme_root": ("0", "1", "2", "3"),
                "vowel_diacritic": ("0", "1"),
                "consonant_diacritic": ("0", "1"),
            },
            "train": {
                "image_id": "Train_{number}",
                "grapheme_root": "{grapheme_root}",
                "vowel_diacritic": "{vowel_diacritic}",
                "consonant_diacritic": "{consonant_diacritic}",
            },
            "test": {
                "row_id": "Test_{number}_{task}",
                "image_id": "Test_{number}",
                "component": "{task}",
            },
            "answers": {"row_id": "Test_{number}_{task}", "target": "{answer}"},
        },
    ),
    "seedlings": _case(
        {
            "name": "seedlings",
            "train": "train/*/*.png",
            "target_pattern": "train/([^/]+)/",
            "test_image": "test/{file}",
            "answer": "name",
            "metric": "f1_micro",
        },
        {
            "classes": ("Black-grass", "Charlock", "Common wheat"),
            "image": "train/{label}/{number:x}.png",
            "answers": {"file": "{number:x}.png", "species": "{label}"},
            "blank": "Sugar beet",
        },
    ),
    "iwildcam": _case(
        {
            "name": "iwildcam",
            "train": "train.csv",
            "image": "train_images/{file_name}",
            "target": "category_id",
            "group": "location",
            "test_image": "test_images/{Id}.jpg",
            "answer": "name",
            "metric": "f1_macro",
        },
        {
            "classes": ("0", "3", "8", "19"),
            "train": {
                "category_id": "{label}",
                "date_captured": "2011-05-13 23:43:{n:02d}",
                "file_name": "{number:x}-23d2.jpg",
                "seq_id": "s{group}{side}",
                "id": "{number:x}-23d2",
                "location": "{group}",
            },
            "test": {
                "file_name": "{number:x}-23d2.jpg",
                "id": "{number:x}-23d2",
                "location": "{group}",
            },
            "answers": {"Id": "{number:x}-23d2", "Predicted": "{label}"},
        },
    ),
    "ranzcr": _case(
        {
            "name": "ranzcr",
            "kind": "labels",
            "train": "train.csv",
            "image": "train/{StudyInstanceUID}.jpg",
            "target": ("ETT - Abnormal", "ETT - Normal", "CVC - Normal"),
            "group": "PatientID",
            "test_image": "test/{StudyInstanceUID}.jpg",
            "answer": "probabilities",
            "metric": "roc_auc",
        },
        {
            "classes": ("ETT - Abnormal", "ETT - Normal", "CVC - Normal"),
            "train": {
                "StudyInstanceUID": "1.2.826.{number}",
                "*": "",
                "PatientID": "ec89{group:04d}",
            },
            "answers": {"StudyInstanceUID": "1.2.826.{number}", "*": ""},
            "several": True,
            "empty": 0.15,
        },
    ),
    "rsna": _case(
        {
            "name": "rsna",
            "train": "train.csv",
            "image": "train_images/{patient_id}/{image_id}.png",
            "target": "cancer",
            "group": "patient_id",
            "test": "test.csv",
            "test_image": "test_images/{patient_id}/{image_id}.png",
            "id": "prediction_id",
            "answer_rows": "{prediction_id}",
            "answer": "probability",
            "answer_column": "cancer",
            "metric": "roc_auc",
        },
        {
            "classes": ("0", "1"),
            "train": {
                "site_id": "1",
                "patient_id": "{group}",
                "image_id": "{number}",
                "laterality": "{side}",
                "cancer": "{label}",
            },
            "test": {
                "site_id": "1",
                "patient_id": "{group}",
                "image_id": "{number}",
                "laterality": "{side}",
                "prediction_id": "{group}_{side}",
            },
            "answers": {"prediction_id": "{group}_{side}", "cancer": "{label}"},
            "one_class": True,
        },
    ),
}
# Layouts that `kit.start` finds, beside those.
MORE: Final[dict[str, Case]] = {
    "paddy": _case(
        {
            "name": "paddy",
            "train": "train.csv",
            "image": "train_images/{label}/{image_id}",
            "target": "label",
            "test_image": "test_images/{image_id}",
            "answer": "name",
            "metric": "accuracy",
        },
        {
            "classes": ("bacterial_leaf_blight", "blast", "normal"),
            "train": {
                "image_id": "{number}.jpg",
                "label": "{label}",
                "variety": "V{n}",
                "age": "4{n}",
            },
            "answers": {"image_id": "{number}.jpg", "label": "{label}"},
            "blank": "",
        },
    ),
    "cactus": _case(
        {
            "name": "cactus",
            "train": "train.csv",
            "image": "train/{id}",
            "target": "has_cactus",
            "test_image": "test/{id}",
            "answer": "probability",
            "metric": "roc_auc",
        },
        {
            "classes": ("0", "1"),
            "train": {"id": "{number:032x}.jpg", "has_cactus": "{label}"},
            "answers": {"id": "{number:032x}.jpg", "has_cactus": "{label}"},
            "blank": "0.5",
        },
    ),
    "imet": _case(
        {
            "name": "imet",
            "kind": "labels",
            "train": "train.csv",
            "image": "train/{id}.png",
            "target": "attribute_ids",
            "test_image": "test/{id}.png",
            "answer": "list",
            "metric": "f1_samples",
        },
        {
            "classes": tuple(str(n) for n in range(12)),
            "train": {"id": "{number:x}", "attribute_ids": "{labels}"},
            "answers": {"id": "{number:x}", "attribute_ids": "{labels}"},
            "several": True,
            "blank": "0 1 2",
        },
    ),
    "dogsvscats": _case(
        {
            "name": "dogsvscats",
            "train": "train/*.jpg",
            "target_pattern": r"([^/]*[A-Za-z가-힣])[._ -]*[0-9]+\.[A-Za-z]+$",
            "test_image": "test/{id}.jpg",
            "answer": "probability",
            "metric": "roc_auc",
        },
        {
            "classes": ("cat", "dog"),
            "image": "train/{label}.{number}.jpg",
            "answers": {"id": "{number}", "label": "{c}"},
            "blank": "0.5",
        },
    ),
    "document": _case(
        {
            "name": "document",
            "train": "train.csv",
            "image": "train/{ID}",
            "target": "target",
            "test_image": "test/{ID}",
            "answer": "class",
            "metric": "accuracy",
        },
        {
            "classes": ("0", "1", "2", "3"),
            "train": {"ID": "{number:016x}.jpg", "target": "{label}"},
            "answers": {"ID": "{number:016x}.jpg", "target": "{label}"},
        },
    ),
    "sketch": _case(
        {
            "name": "sketch",
            "train": "train.csv",
            "image": "train/{image_path}",
            "target": "target",
            "test": "test.csv",
            "test_image": "test/{image_path}",
            "answer": "class",
            "metric": "accuracy",
        },
        {
            "classes": ("0", "1", "2", "3"),
            "train": {
                "class_name": "n0{label}",
                "image_path": "n0{label}/sketch_{number}.JPEG",
                "target": "{label}",
            },
            "answers": {"image_path": "{number}.JPEG"},
        },
    ),
    "rock": _case(
        {
            "name": "rock",
            "train": "train/*/*.jpg",
            "target_pattern": "train/([^/]+)/",
            "test_image": "test/{ID}.jpg",
            "answer": "name",
            "metric": "accuracy",
        },
        {
            "classes": ("Andesite", "Basalt", "Mud_Sandstone"),
            "image": "train/{label}/TRAIN_{number}.jpg",
            "test": {"ID": "TEST_{number}", "img_path": "./test/TEST_{number}.jpg"},
            "answers": {"ID": "TEST_{number}", "rock_type": "{label}"},
            "blank": "Andesite",
        },
    ),
    "hecto": _case(
        {
            "name": "hecto",
            "train": "train/*/*.jpg",
            "target_pattern": "train/([^/]+)/",
            "test_image": "test/{ID}.jpg",
            "answer": "probabilities",
            "metric": "log_loss",
        },
        {
            "classes": ("1시리즈_F20_2013_2015", "K5 3세대 2018", "RAY_2014"),
            "image": "train/{label}/{label}_{number}.jpg",
            "test": {"ID": "TEST_{number}", "img_path": "./test/TEST_{number}.jpg"},
            "answers": {"ID": "TEST_{number}", "*": ""},
        },
    ),
}
