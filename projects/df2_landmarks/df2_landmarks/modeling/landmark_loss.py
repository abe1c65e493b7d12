"""Loss over the landmarks of the routed category."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def landmark_loss(
    logits: torch.Tensor, target_cells: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """Summed cross-entropy over the cells of each labelled landmark's heatmap.

    Keypoint R-CNN's loss (https://arxiv.org/abs/1703.06870, section 5) for one category. The caller
    divides the sum over all categories by the number of labelled landmarks, never by all 294.

    Args:
        logits: (R, K, S, S) heatmaps of R regions of the category.
        target_cells: (R, K) int64, row * S + column of the cell that holds the landmark.
        valid: (R, K) bool, True for a labelled landmark inside its region.

    Returns:
        Scalar; zero and connected to `logits` where nothing is labelled.
    """
    chosen = logits.flatten(2)[valid].float()
    return F.cross_entropy(chosen, target_cells[valid], reduction="sum")
