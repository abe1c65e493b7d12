"""How well the landmarks are placed: the OKS of a detection, predicted by a branch of its own.

Shapes: R = regions of one category, K = its landmarks, N = landmarks of any category, S = side of a
heatmap.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from df2_landmarks.modeling.landmark_linear import LandmarkLinear

MIN_PROBABILITY = 1e-4
"""Confidences are kept this far from 0 and 1, where their logit is infinite."""


class OksBranch(nn.Module):
    """Predict the similarity of each landmark, its term in the OKS of the detection.

    The decoder's confidence is what the heatmap expects of itself. The branch learns what the
    heatmap does not know: its logit is

        (1 + slope of the category) * logit of the confidence
        + a linear function of the features where the heatmap lies, per landmark
        + a linear function of the mean features of the region, per category.

    All weights start at zero, without random numbers: the similarity is then the confidence. No
    gradient flows into features and heatmaps. The mean over a detection's landmarks is its OKS.
    """

    def __init__(
        self,
        in_channels: int,
        num_landmarks: Sequence[int],
        *,
        shared_names: Sequence[Sequence[str]] | None = None,
    ) -> None:
        """
        Args:
            in_channels: channels of the features.
            num_landmarks: K of each category.
            shared_names: passed to `LandmarkLinear`.
        """
        super().__init__()
        num_categories = len(num_landmarks)
        self.local = LandmarkLinear(in_channels, num_landmarks, shared_names=shared_names)
        self.region_weight = nn.Parameter(torch.zeros(num_categories, in_channels))
        self.slope = nn.Parameter(torch.zeros(num_categories))

    def forward(
        self, features: torch.Tensor, lowres: torch.Tensor, class_index: int
    ) -> torch.Tensor:
        """Return what the features say, (R, K) float32, to be added to the logit of the confidence.

        Args:
            features: (R, in_channels, S / 4, S / 4) of the regions of a class.
            lowres: (R, K, S / 2, S / 2) logits of their heatmaps, before the upsampling.
            class_index: the class.
        """
        features = features.detach()
        of_region = features.float().mean(dim=(2, 3)) @ self.region_weight[class_index]
        return self.local(features, lowres, class_index) + of_region[:, None]

    def similarity_logits(
        self, confidence: torch.Tensor, evidence: torch.Tensor, classes: torch.Tensor | int
    ) -> torch.Tensor:
        """Return the logits of the predicted similarities.

        Args:
            confidence: (...) of the decoder, 0..1.
            evidence: (...) of `forward`.
            classes: one class, or (...) class of each.
        """
        confidence = confidence.detach().clamp(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        return (1 + self.slope[classes]) * confidence.logit() + evidence


def similarity(
    found_xy: torch.Tensor, true_xy: torch.Tensor, sigmas: torch.Tensor, areas: torch.Tensor
) -> torch.Tensor:
    """Return the similarity of found landmarks, whose mean over a garment is its OKS.

    Args:
        found_xy: (N, 2) in image space.
        true_xy: (N, 2) in image space.
        sigmas: (N,) OKS sigmas.
        areas: (N,) of the garments, in square pixels.

    Returns:
        (N,) exp(-d^2 / (2 (2 sigma)^2 area)) for the distance d.
    """
    squared = (found_xy - true_xy).square().sum(dim=1)
    return (-squared / (8 * sigmas.square() * areas.clamp(min=1))).exp()
