"""One garment for people: from the annotations or from the model, without padding or tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats.coordinates import to_continuous
from df2_landmarks.taxonomy import LAYOUT, Category


@dataclass(frozen=True)
class Garment:
    """One garment in a photo. All coordinates are continuous, in image pixels.

    Attributes:
        category: its row of the taxonomy; K is its number of landmarks.
        box_xyxy: (4,).
        landmarks_xy: (K, 2) its own landmarks.
        visibility: (K,) 0 not labelled, 1 occluded, 2 visible; 2 for all landmarks of a detection.
        outlines: polygons (n, 2) of its mask.
        score: confidence 0..1 of a detection, None for ground truth.
    """

    category: Category
    box_xyxy: NDArray[np.float64]
    landmarks_xy: NDArray[np.float64]
    visibility: NDArray[np.int64]
    outlines: tuple[NDArray[np.float64], ...] = ()
    score: float | None = None


def garments_of_annotations(annotations: list[dict[str, Any]]) -> list[Garment]:
    """Return the garments of one dataset dict's annotations (`load_landmark_json`).

    Args:
        annotations: ``bbox`` (x, y, width, height), ``category_id`` (the class, 0..C-1),
            ``keypoints`` (3 * K numbers x, y, v, continuous) and, if any, ``segmentation``.
    """
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
    """Return the detections of one image with at least a score.

    Args:
        instances: Detectron2's `Instances` on the CPU: ``pred_boxes``, ``scores``,
            ``pred_classes``, ``pred_keypoints`` (N, M, 3) and, if any, ``pred_masks`` (N, H, W).
        min_score: 0..1.
    """
    garments = []
    for index in np.flatnonzero(instances.scores.numpy() >= min_score):
        class_index = int(instances.pred_classes[index])
        own_landmarks = instances.pred_keypoints[index, : LAYOUT.counts[class_index]].numpy()
        outlines: tuple[NDArray[np.float64], ...] = ()
        if instances.has("pred_masks"):
            outlines = _contours(instances.pred_masks[index].numpy())
        garments.append(
            Garment(
                category=LAYOUT.categories[class_index],
                box_xyxy=instances.pred_boxes.tensor[index].numpy().astype(np.float64),
                landmarks_xy=own_landmarks[:, :2].astype(np.float64),
                visibility=np.full(len(own_landmarks), 2),
                outlines=outlines,
                score=float(instances.scores[index]),
            )
        )
    return garments


def _contours(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    import cv2  # 0.1 s, and the scorer and the converters do not draw

    contours, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    return tuple(to_continuous(c.reshape(-1, 2)) for c in contours)
