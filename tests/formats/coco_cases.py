"""One small COCO file after another: four garments that are right, and what tools make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from df2_landmarks.taxonomy import DEEPFASHION2

Json = dict[str, Any]
WIDTH, HEIGHT = 200, 300


def own_landmarks(class_index: int) -> list[float]:
    """x, y, v of all landmarks of a class, in a box 40, 60, 100, 200; the first is occluded."""
    count = DEEPFASHION2.counts[class_index]
    values: list[float] = []
    for k in range(count):
        values += [40 + 100 * k // (count - 1), 60 + 200 * (k * 7 % count) // (count - 1), 2]
    values[2] = 1
    return values


def all_slots(class_index: int) -> list[float]:
    """The same in 294 slots."""
    values = [0.0] * (3 * DEEPFASHION2.num_slots)
    slots = DEEPFASHION2.slots(class_index)
    values[3 * slots.start : 3 * slots.stop] = own_landmarks(class_index)
    return values


def coco(classes: tuple[int, ...] = (0, 7, 12, 0), *, own: bool = True) -> Json:
    """Two images and a garment of each class, in turns."""
    images = [
        {"id": i, "file_name": f"{i:06d}.jpg", "width": WIDTH, "height": HEIGHT} for i in (5, 9)
    ]
    annotations = [
        {
            "id": number,
            "image_id": (5, 9)[number % 2],
            "category_id": class_index + 1,
            "bbox": [40, 60, 100, 200],
            "area": 20000,
            "iscrowd": 0,
            "num_keypoints": DEEPFASHION2.counts[class_index],
            "segmentation": [[40, 60, 140, 60, 140, 260]],
            "keypoints": own_landmarks(class_index) if own else all_slots(class_index),
        }
        for number, class_index in enumerate(classes, 1)
    ]
    categories = [{"id": c.id, "name": c.official_name} for c in DEEPFASHION2.categories]
    return {"images": images, "categories": categories, "annotations": annotations}


def write(path: Path, content: Any) -> Path:
    """Write JSON, or text or bytes as they are."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path
