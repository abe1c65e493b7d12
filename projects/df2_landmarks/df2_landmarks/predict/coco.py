"""COCO annotations of predicted garments, with the landmarks of the own category only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from df2_landmarks.formats import SEEN, to_pixel_indices


def coco_annotation(
    garment: Mapping[str, Any], landmark_names: Sequence[str], image_id: int, annotation_id: int
) -> dict[str, Any]:
    """Return the COCO annotation of a garment as `Garment.to_dict` gives it.

    Landmarks become pixel indices, as in all COCO files. A landmark that is not there is 0, 0, 0.

    Args:
        garment: the plain data.
        landmark_names: of its category.
        image_id: of the picture.
        annotation_id: of the garment.
    """
    keypoints: list[float] = []
    for name in landmark_names:
        keypoints += _keypoint(garment["landmarks"].get(name))
    x1, y1, x2, y2 = garment["box_xyxy"]
    width, height = round(x2 - x1, 2), round(y2 - y1, 2)
    annotation: dict[str, Any] = {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": garment["category_id"],
        "bbox": [x1, y1, width, height],
        "area": round(width * height, 2),
        "iscrowd": 0,
        "num_keypoints": sum(v > 0 for v in keypoints[2::3]),
        "keypoints": keypoints,
    }
    if "score" in garment:
        annotation["score"] = garment["score"]
    if "mask" in garment:
        from pycocotools import mask as coco_mask

        annotation["segmentation"] = garment["mask"]
        annotation["area"] = int(coco_mask.area(garment["mask"]))
    return annotation


def _keypoint(landmark: Mapping[str, Any] | None) -> list[float]:
    if landmark is None:
        return [0, 0, 0]
    visibility = landmark.get("visibility", 2 if landmark.get("visible", 1) >= SEEN else 1)
    xy = (round(float(to_pixel_indices(landmark[axis])), 2) for axis in "xy")
    return [*xy, visibility]
