"""Annotators' noise: landmarks moved with the official spread of each landmark."""

from __future__ import annotations

from typing import Any

import numpy as np

from df2_landmarks.taxonomy import DEEPFASHION2


def with_landmark_noise(
    record: dict[str, Any], rng: np.random.Generator, size: tuple[int, int]
) -> dict[str, Any]:
    """Return a copy of an annotation whose labelled landmarks are moved as annotators differ.

    The OKS sigma of a landmark is the spread of annotators over the square root of the object's
    area (https://cocodataset.org/#keypoints-eval), so a landmark moves by a normal distance of
    sigma * sqrt(box area) in x and in y.

    Args:
        record: raw annotation of a picture.
        rng: for the distances.
        size: (height, width); landmarks stay inside the picture.
    """
    out = dict(record)
    for key in sorted(record):
        if not key.startswith("item"):
            continue
        item = record[key]
        x1, y1, x2, y2 = item["bounding_box"]
        landmarks = np.reshape(item["landmarks"], (-1, 3))
        spread = DEEPFASHION2.sigmas(item["category_id"] - 1) * np.sqrt((x2 - x1) * (y2 - y1))
        moved = landmarks[:, :2] + rng.normal(0.0, 1.0, (len(landmarks), 2)) * spread[:, None]
        limits = [size[1] - 1, size[0] - 1]
        xy = np.floor(moved + 0.5).clip(0, limits).astype(np.int64) * (landmarks[:, 2:] > 0)
        noisy = np.column_stack([xy, landmarks[:, 2]])
        out[key] = {**item, "landmarks": [int(v) for v in noisy.ravel()]}
    return out
