"""Detection without the work that nobody sees: masks of detections below the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detectron2.structures import Instances


def detect(
    model: Any, batch: list[dict[str, Any]], min_score: float
) -> list[tuple[Instances, float]]:
    """Run a model on images, and its mask head on the detections with at least a score only.

    The same as `GeneralizedRCNN.inference` without its postprocessing, followed by a selection. The
    scores are final once the landmarks are known; the stock order makes all masks before.

    Args:
        model: `GeneralizedRCNN` with `LandmarkROIHeads`, in evaluation mode.
        batch: Detectron2's model inputs, ``image`` (C, H, W). Images of different size are padded
            to the largest; a result is independent of the batch only if all need the same padding.
        min_score: 0..1.

    Returns:
        Per image the detections, best first, in coordinates of the input; masks as ``pred_masks``
        (N, 1, m, m), probabilities inside the box. And the best score of all detections, below the
        threshold too; 0 if there is none.
    """
    images = model.preprocess_image(batch)
    features = model.backbone(images.tensor)
    proposals, _ = model.proposal_generator(images, features, None)
    heads = model.roi_heads
    detected = heads._forward_box(features, proposals)
    if heads.keypoint_on:
        detected = heads._forward_keypoint(features, detected)
    best = [float(x.scores.max()) if len(x) else 0.0 for x in detected]
    kept = [x[x.scores >= min_score] for x in detected]
    if heads.mask_on and any(len(x) for x in kept):
        kept = heads._forward_mask(features, kept)
    return [*zip(kept, best, strict=True)]


def padded_size(size: Sequence[int], divisibility: int) -> tuple[int, int]:
    """Return (height, width) of an image after its padding to multiples of a number."""
    step = max(1, divisibility)
    height, width = (-(-side // step) * step for side in size)
    return height, width
