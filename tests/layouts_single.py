"""Layouts of competitions with one class a photo."""

from layout_case import Case, case

SINGLE: dict[str, Case] = {
    "siim": case(
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
    "plant2020": case(
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
    "pcam": case(
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
    "seedlings": case(
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
    "iwildcam": case(
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
}
