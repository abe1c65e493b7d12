"""Published landmark scores on the real validation set, printed beside the score of a user.

Sources: the challenge page's baseline, and Table 5 of the DeepFashion2 paper (arXiv 1901.07973),
AP as (visible, visible and occluded).
"""

from __future__ import annotations

from df2_landmarks.formats import VISIBLE, VISIBLE_AND_OCCLUDED, GroundTruth

BASELINE: dict[str, dict[str, float]] = {
    VISIBLE: {"AP": 0.605, "AP50": 0.790, "AP75": 0.684},
    VISIBLE_AND_OCCLUDED: {"AP": 0.529, "AP50": 0.775, "AP75": 0.596},
}

PAPER: dict[str, dict[str, tuple[float, float]]] = {
    "scale": {"small": (0.587, 0.497), "moderate": (0.687, 0.607), "large": (0.599, 0.555)},
    "occlusion": {"slight": (0.669, 0.643), "medium": (0.631, 0.530), "heavy": (0.398, 0.248)},
    "zoom_in": {"no": (0.688, 0.616), "medium": (0.559, 0.489), "large": (0.375, 0.319)},
    "viewpoint": {
        "no wear": (0.527, 0.510),
        "frontal": (0.677, 0.596),
        "side or back": (0.536, 0.456),
    },
}

NUM_IMAGES, NUM_ITEMS = 32_153, 51_490
"""Size of the released validation set."""


def is_real_validation_set(ground_truth: GroundTruth) -> bool:
    """Return True if the sizes are those of the released validation set."""
    sizes = (len(ground_truth.image_ids), ground_truth.num_items)
    return sizes == (NUM_IMAGES, NUM_ITEMS)


def paper_ap(axis: str, value: str, protocol: str) -> float | None:
    """Return the AP of the paper's Table 5, None where it has none."""
    aps = PAPER.get(axis, {}).get(value)
    return None if aps is None else aps[0 if protocol == VISIBLE else 1]
