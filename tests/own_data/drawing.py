"""Data sets that are not about clothes, drawn: coloured shapes with landmarks on their border."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

SIDE = 96
Json = dict[str, Any]

ANIMALS: list[Json] = [
    {"id": 11, "name": "fox", "keypoints": ["ear_left", "ear_right", "nose", "tail"]},
    {
        "id": 4,
        "name": "owl",
        "keypoints": ["eye_left", "eye_right", "beak", "wing_left", "wing_right", "claw"],
    },
    {
        "id": 30,
        "name": "horse",
        "keypoints": [
            *("ear_left", "ear_right", "nose", "withers", "tail"),
            *("front_hoof_left", "front_hoof_right", "hind_hoof_left", "hind_hoof_right"),
        ],
    },
]
"""Three categories of 4, 6 and 9 landmarks, ids in no order; no pairs and no sigmas are given."""

_TOP = "neckline_left neckline_right shoulder_left shoulder_right armpit_left armpit_right"
_CUFFS = "cuff_left_in cuff_left_out cuff_right_in cuff_right_out"
FASHION: list[Json] = [
    {"id": i, "name": name, "keypoints": keypoints.split()}
    for i, (name, keypoints) in enumerate(
        {
            "blouse": f"{_TOP} centre_front {_CUFFS} top_hem_left top_hem_right",
            "dress": f"{_TOP} centre_front waistline_left waistline_right {_CUFFS} "
            "hemline_left hemline_right",
            "outwear": f"{_TOP} waistline_left waistline_right {_CUFFS} top_hem_left top_hem_right",
            "skirt": "waistband_left waistband_right hemline_left hemline_right",
            "trousers": "waistband_left waistband_right crotch bottom_left_in bottom_left_out "
            "bottom_right_in bottom_right_out",
        }.items(),
        1,
    )
]
"""Five categories of 13, 15, 14, 4 and 7 landmarks, as FashionAI's: 53 slots."""

PAIRS = {
    "fox": [(1, 2)],
    "owl": [(1, 2), (4, 5)],
    "horse": [(1, 2), (6, 7), (8, 9)],
    "blouse": [(1, 2), (3, 4), (5, 6), (8, 10), (9, 11), (12, 13)],
    "dress": [(1, 2), (3, 4), (5, 6), (8, 9), (10, 12), (11, 13), (14, 15)],
    "outwear": [(1, 2), (3, 4), (5, 6), (7, 8), (9, 11), (10, 12), (13, 14)],
    "skirt": [(1, 2), (3, 4)],
    "trousers": [(1, 2), (4, 6), (5, 7)],
}
"""Landmarks that change places in a mirrored picture, by hand."""

FASHION_SIGMAS = np.linspace(0.02, 0.1, 53).round(4)
"""One for each slot, no two alike."""


def write_fashion_taxonomy(path: Path) -> Path:
    """Write the YAML that gives FASHION its PAIRS and FASHION_SIGMAS."""
    sigmas = iter(FASHION_SIGMAS.tolist())
    rows = [
        {
            "name": row["name"],
            "keypoints": row["keypoints"],
            "flip_pairs": [list(pair) for pair in PAIRS[row["name"]]],
            "sigmas": [next(sigmas) for _ in row["keypoints"]],
        }
        for row in FASHION
    ]
    path.write_text(yaml.safe_dump({"name": "fashion", "categories": rows}))
    return path


def write_data(folder: Path, rows: Sequence[Json], *, all_slots: bool) -> Path:
    """Write a training and a validation split in the tree of `make convert`.

    Args:
        folder: of the data set.
        rows: the categories.
        all_slots: write the landmarks of all categories, zeros but for the own ones.
    """
    rng = np.random.default_rng(len(rows))
    for split, count in (("train", 3 * len(rows)), ("validation", 2 * len(rows))):
        images, annotations = [], []
        (folder / split / "image").mkdir(parents=True)
        for number in range(1, count + 1):
            image = {"id": number, "file_name": f"{number:06d}.png", "width": SIDE, "height": SIDE}
            images.append(image)
            class_index = number % len(rows)
            picture, annotation = _drawn(rng, rows, class_index, all_slots)
            cv2.imwrite(str(folder / split / "image" / image["file_name"]), picture)
            annotations.append({"id": number, "image_id": number, **annotation})
        content = {"images": images, "annotations": annotations, "categories": list(rows)}
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return folder


def _drawn(
    rng: np.random.Generator, rows: Sequence[Mapping[str, Any]], class_index: int, all_slots: bool
) -> tuple[np.ndarray, Json]:
    counts = [len(row["keypoints"]) for row in rows]
    angles = np.linspace(0, 2 * np.pi, counts[class_index], endpoint=False) + class_index
    width, height = rng.uniform(20, 32, 2)
    middle = rng.uniform(40, 56, 2)
    xy = (middle + np.stack([width * np.cos(angles), height * np.sin(angles)], 1)).round()
    picture = np.full((SIDE, SIDE, 3), 230, np.uint8)
    color = [int(value) for value in np.random.default_rng(class_index).integers(0, 200, 3)]
    cv2.fillPoly(picture, [xy.astype(np.int32)], color)
    own = np.column_stack([xy, np.full(len(xy), 2)])
    own[0, 2] = 1
    keypoints = own
    if all_slots:
        keypoints = np.zeros((sum(counts), 3))
        start = sum(counts[:class_index])
        keypoints[start : start + len(own)] = own
    x, y = xy.min(axis=0).tolist()
    w, h = (xy.max(axis=0) - xy.min(axis=0)).tolist()
    return picture, {
        "category_id": rows[class_index]["id"],
        "scale": 0.9,  # of this data set, not the attributes of DeepFashion2
        "occlusion": "partial",
        "bbox": [x, y, w, h],
        "segmentation": [xy.ravel().tolist()],
        "keypoints": keypoints.ravel().tolist(),
    }
