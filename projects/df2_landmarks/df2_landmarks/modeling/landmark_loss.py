"""Losses over the landmarks of the routed category.

Both are cross-entropies over the cells of each labelled landmark's heatmap (Keypoint R-CNN's loss,
https://arxiv.org/abs/1703.06870, section 5), summed; the caller divides the sum over all categories
by the number of labelled landmarks, never by all 294. Shapes: N = labelled landmarks of all regions
of the category, S = side of a heatmap.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def landmark_loss(logits: torch.Tensor, target_cells: torch.Tensor) -> torch.Tensor:
    """The target is the cell that holds the landmark.

    Args:
        logits: (N, S, S).
        target_cells: (N,) int64, row * S + column of the cell.

    Returns:
        Scalar; zero and connected to `logits` where nothing is labelled.
    """
    return F.cross_entropy(logits.flatten(1).float(), target_cells, reduction="sum")


def soft_landmark_loss(logits: torch.Tensor, target_weights: torch.Tensor) -> torch.Tensor:
    """The target is a distribution over the cells, a product of one along x and one along y.

    Args:
        logits: (N, S, S).
        target_weights: (N, 2, S) of the columns and the rows, of `encode_soft`.

    Returns:
        Scalar; zero and connected to `logits` where nothing is labelled.
    """
    logits = logits.float()
    columns, rows = target_weights.unbind(dim=1)
    expected_logit = torch.einsum("nij,ni,nj->n", logits, rows, columns)
    return (logits.flatten(1).logsumexp(dim=1) - expected_logit).sum()
