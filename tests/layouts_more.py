"""Layouts of competitions that differ from others in little."""

from layout_case import Case, case

MORE: dict[str, Case] = {
    "paddy": case(
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
    "cactus": case(
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
    "imet": case(
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
    "dogsvscats": case(
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
    "document": case(
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
    "sketch": case(
        {
            "name": "sketch",
            "train": "train.csv",
            "image": "train/{image_path}",
            "target": "target",
            "test": "test.csv",
            "test_image": "test/{image_path}",
            "answer": "class",
            "answer_rows": "{image_path}",
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
    "rock": case(
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
    "hecto": case(
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
