"""Losses of landmarks, averaged over the labelled ones, never over all 294.

Shapes: N = labelled landmarks, S = side of a heatmap.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def landmark_loss(logits: torch.Tensor, target_cells: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy with the cell that holds the landmark.

    Keypoint R-CNN's loss (https://arxiv.org/abs/1703.06870, section 5).

    Args:
        logits: (N, S, S), one heatmap for each labelled landmark of each region.
        target_cells: (N,) int64, row * S + column of the cell.

    Returns:
        Scalar; zero and connected to `logits` where nothing is labelled.
    """
    total = F.cross_entropy(logits.flatten(1).float(), target_cells, reduction="sum")
    return total / max(1, len(logits))


def soft_landmark_loss(logits: torch.Tensor, target_weights: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy with a distribution over the cells: one along x times one along y.

    Args:
        logits: (N, S, S).
        target_weights: (N, 2, S) of the columns and the rows, from `encode_soft`.

    Returns:
        Scalar; zero and connected to `logits` where nothing is labelled.
    """
    columns, rows = target_weights.unbind(dim=1)
    # Not as a matrix product, which autocast would compute in bfloat16.
    target = rows[:, :, None] * columns[:, None, :]
    total = F.cross_entropy(logits.flatten(1).float(), target.flatten(1), reduction="sum")
    return total / max(1, len(logits))


def probability_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the binary cross-entropy, least where the probabilities are the targets' means.

    Args:
        logits: (N,) of the probabilities.
        targets: (N,) in 0..1, bool or float.

    Returns:
        Scalar; zero and connected to `logits` where nothing is labelled.
    """
    total = F.binary_cross_entropy_with_logits(
        logits.float(), targets.to(torch.float32), reduction="sum"
    )
    return total / max(1, len(logits))
