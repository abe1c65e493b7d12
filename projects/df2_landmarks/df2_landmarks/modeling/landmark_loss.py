"""Losses over the landmarks of the routed category.

Both are cross-entropies over the cells of each labelled landmark's heatmap (Keypoint R-CNN's loss,
https://arxiv.org/abs/1703.06870, section 5), summed; the caller divides the sum over all categories
by the number of labelled landmarks, never by all 294. Shapes: R = regions of the category, K = its
landmarks, S = side of a heatmap.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def landmark_loss(
    logits: torch.Tensor, target_cells: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """The target is the cell that holds the landmark.

    Args:
        logits: (R, K, S, S).
        target_cells: (R, K) int64, row * S + column of the cell.
        valid: (R, K) bool, True for a labelled landmark inside its region.

    Returns:
        Scalar; zero and connected to `logits` where nothing is labelled.
    """
    chosen = logits.flatten(2)[valid].float()
    return F.cross_entropy(chosen, target_cells[valid], reduction="sum")


def soft_landmark_loss(
    logits: torch.Tensor, target_weights: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """The target is a distribution over the cells, a product of one along x and one along y.

    Args:
        logits: (R, K, S, S).
        target_weights: (R, K, 2, S) of the columns and the rows, of `encode_soft`.
        valid: (R, K) bool.

    Returns:
        Scalar; zero and connected to `logits` where nothing is labelled.
    """
    chosen = logits[valid].float()
    columns, rows = target_weights[valid].unbind(dim=1)
    expected_logit = torch.einsum("nij,ni,nj->n", chosen, rows, columns)
    return (chosen.flatten(1).logsumexp(dim=1) - expected_logit).sum()
