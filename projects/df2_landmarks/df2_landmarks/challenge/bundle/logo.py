"""The picture of a competition: an item of its data, drawn."""

from __future__ import annotations

import cv2
import numpy as np

from df2_landmarks.formats import GroundTruth
from df2_landmarks.visualization import DrawingStyle, draw_garments, drawable_garment

SIDE_PX = 512
MARGIN = 0.12


def draw_logo(ground_truth: GroundTruth) -> bytes:
    """Return a PNG of the item with the most labelled landmarks, of the first one among equals.

    The landmarks are drawn on white, stretched to the size of the picture.
    """
    labelled = [(truth.visibility > 0).sum(axis=1) for truth in ground_truth.classes]
    class_index = int(np.argmax([counts.max(initial=0) for counts in labelled]))
    truth = ground_truth.classes[class_index]
    row = int(np.argmax(labelled[class_index]))
    xy, visibility = truth.landmarks_xy[row], truth.visibility[row]
    low, high = xy[visibility > 0].min(axis=0), xy[visibility > 0].max(axis=0)
    scale = SIDE_PX * (1 - 2 * MARGIN) / max(float((high - low).max()), 1.0)
    drawn_xy = SIDE_PX / 2 + scale * (xy - (low + high) / 2)
    box = np.array([0.0, 0.0, SIDE_PX, SIDE_PX])
    category = ground_truth.taxonomy.categories[class_index]
    style = DrawingStyle(masks=False, boxes=False, labels=False, scale=2)
    white = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
    picture = draw_garments(white, [drawable_garment(category, box, drawn_xy, visibility)], style)
    is_encoded, png = cv2.imencode(".png", picture)
    assert is_encoded, picture.shape
    return png.tobytes()
