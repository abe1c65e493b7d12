"""How far each part of a detector limits AP: from a floor that any network must beat to oracles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from df2_landmarks.evaluation.diagnosis.association import Association, associate
from df2_landmarks.evaluation.diagnosis.corrections import (
    Shapes,
    with_ideal_scores,
    with_true_boxes,
    with_true_category,
    with_true_landmarks,
)
from df2_landmarks.evaluation.diagnosis.landmark_errors import ClassLandmarks, classify_landmarks
from df2_landmarks.evaluation.diagnosis.rescoring import Mended, Rescorer, ap_of
from df2_landmarks.evaluation.mean_shape import place_mean_shapes
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import Detections


def oracle_ladder(
    run: Rescorer,
    base: Score,
    association: Association,
    landmarks: Sequence[ClassLandmarks],
    shapes: Shapes,
) -> dict[str, Mended]:
    """AP by name of the step; each oracle stands alone, the last step has all of them."""
    ranked = Detections("ranked", base.pairs.image_ids, base.pairs.ranked)
    everything = [np.ones_like(some.kind, dtype=bool) for some in landmarks]
    true_landmarks = with_true_landmarks(run.ground_truth, base, landmarks, everything)
    categories = with_true_category(run.ground_truth, base, association, shapes)
    return {
        "floor: mean shape in the predicted box": run(place_mean_shapes(ranked, shapes)),
        "as it is": ap_of(base.curves),
        "true category": run(categories),
        "true box": run(with_true_boxes(base, association, landmarks)),
        "true landmarks": run(true_landmarks),
        "ideal scores": run(with_ideal_scores(base, association)),
        "all of these": run(_all_oracles(run, categories, shapes)),
    }


def _all_oracles(run: Rescorer, categories: Detections, shapes: Shapes) -> Detections:
    """True category, then true landmarks, then ideal scores; only missed garments are left."""
    corrected = run.score(categories)
    association = associate(run.ground_truth, corrected)
    landmarks = classify_landmarks(run.ground_truth, corrected, association)
    everything = [np.ones_like(some.kind, dtype=bool) for some in landmarks]
    true = with_true_landmarks(run.ground_truth, corrected, landmarks, everything)
    again = run.score(true)
    return with_ideal_scores(again, associate(run.ground_truth, again))
