"""Numbers beside the heatmaps: of each landmark one, from the features where it lies.

Shapes: R = regions of one category, K = its landmarks, S = side of a heatmap.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from df2_landmarks.modeling.layers import channels_by_name


class LandmarkLinear(nn.Module):
    """A linear function per landmark of a region's features, averaged where its heatmap lies.

    The average is weighted by the softmax of the heatmap. No gradient flows into features and
    heatmaps, and the weights start at zero, without drawing random numbers. So landmarks and their
    training are the same with this module and without it.
    """

    channels: torch.Tensor

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
            shared_names: names of each category's landmarks. Landmarks with the same name share
                weights, and each adds its own. None: each has its own only.
        """
        super().__init__()
        self.num_landmarks = tuple(num_landmarks)
        total = sum(num_landmarks)
        self.weight = nn.Parameter(torch.zeros(total, in_channels))
        self.bias = nn.Parameter(torch.zeros(total))
        self.shared_weight: nn.Parameter | None = None
        if shared_names is not None:
            num_names, channels_of = channels_by_name(shared_names)
            self.shared_weight = nn.Parameter(torch.zeros(num_names, in_channels))
            channels = torch.tensor([channel for row in channels_of for channel in row])
            self.register_buffer("channels", channels, persistent=False)

    def forward(
        self, features: torch.Tensor, lowres: torch.Tensor, class_index: int
    ) -> torch.Tensor:
        """
        Args:
            features: (R, in_channels, S / 4, S / 4) of the regions of a class.
            lowres: (R, K, S / 2, S / 2) logits of their heatmaps, before the upsampling.
            class_index: the class.

        Returns:
            (R, K) float32.
        """
        channels, side = self.weight.shape[1], int(lowres.shape[-1])
        count, half = self.num_landmarks[class_index], side // 2
        with torch.no_grad():
            share = lowres.float().reshape(-1, count, side * side).softmax(dim=2)
            share = share.reshape(-1, count, side, side)
            # The sums of 2 x 2 cells. OpenVINO cannot pool an empty tensor of an exported graph.
            share = share[:, :, 0::2] + share[:, :, 1::2]
            share = share[..., 0::2] + share[..., 1::2]
            share = share.reshape(-1, count, half * half).to(features.dtype)
            values = features.reshape(-1, channels, half * half)
            expected = share @ values.transpose(1, 2)  # (R, K, in_channels)
        weight = self.weight.split(self.num_landmarks)[class_index]
        if self.shared_weight is not None:
            channels = self.channels.split(self.num_landmarks)[class_index]
            weight = weight + self.shared_weight.index_select(0, channels)
        bias = self.bias.split(self.num_landmarks)[class_index]
        return (expected.float() * weight).sum(dim=2) + bias
