"""One garment to draw, from the annotations or from the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.taxonomy import LAYOUT, Category


@dataclass(frozen=True)
class Garment:
    """What can be drawn of one garment. All coordinates are continuous, in image pixels.

    Attributes:
        category: its row of the taxonomy.
        box_xyxy: (4,).
        landmarks_xy: (K, 2).
        visibility: (K,) 0 not drawn, 1 occluded (a ring), 2 visible (a dot).
        outlines: polygons (n, 2) of its mask.
        score: confidence of a detection, None for ground truth.
    """

    category: Category
    box_xyxy: NDArray[np.float64]
    landmarks_xy: NDArray[np.float64]
    visibility: NDArray[np.int64]
    outlines: tuple[NDArray[np.float64], ...] = ()
    score: float | None = None


def garments_of_annotations(annotations: list[dict[str, Any]]) -> list[Garment]:
    """Ground truth of one dataset dict (`load_landmark_json`), boxes in XYWH_ABS."""
    garments = []
    for annotation in annotations:
        x, y, width, height = annotation["bbox"]
        landmarks = np.asarray(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
        garments.append(
            Garment(
                category=LAYOUT.categories[annotation["category_id"]],
                box_xyxy=np.array([x, y, x + width, y + height]),
                landmarks_xy=landmarks[:, :2],
                visibility=landmarks[:, 2].astype(np.int64),
                outlines=tuple(np.reshape(p, (-1, 2)) for p in annotation.get("segmentation", [])),
            )
        )
    return garments


def garments_of_instances(instances: Any, min_score: float) -> list[Garment]:
    """Detections of one image (Detectron2's `Instances` on the CPU) that score enough."""
    garments = []
    for index in np.flatnonzero(instances.scores.numpy() >= min_score):
        class_index = int(instances.pred_classes[index])
        own = instances.pred_keypoints[index, : LAYOUT.counts[class_index]].numpy()
        outlines: tuple[NDArray[np.float64], ...] = ()
        if instances.has("pred_masks"):
            outlines = _contours(instances.pred_masks[index].numpy())
        garments.append(
            Garment(
                category=LAYOUT.categories[class_index],
                box_xyxy=instances.pred_boxes.tensor[index].numpy().astype(np.float64),
                landmarks_xy=own[:, :2].astype(np.float64),
                visibility=np.full(len(own), 2),
                outlines=outlines,
                score=float(instances.scores[index]),
            )
        )
    return garments


def _contours(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    contours, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    return tuple(c.reshape(-1, 2) + 0.5 for c in contours)  # pixel index -> continuous
