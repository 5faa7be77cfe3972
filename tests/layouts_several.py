"""Layouts with several labels, several tasks, or several photos an answer."""

from layout_case import Case, case

SEVERAL: dict[str, Case] = {
    "hpa": case(
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
    "bengali": case(
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
    "ranzcr": case(
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
    "rsna": case(
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
