"""The parts of the landmark head: a category's branch, predictor, convolution and upsampling.

Shapes: R = regions, K = landmarks of the category, S = side of a heatmap.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from detectron2.layers import Conv2d, ConvTranspose2d, get_norm
from torch import nn

from df2_landmarks.common import UserError

UPSAMPLING = 2
"""Bilinear upsampling after the transposed convolution, as in the stock head."""

STRIDE = 2 * UPSAMPLING
"""Cells of the heatmap per cell of the features, along a side: 14 -> 28 -> 56."""


class CategoryBranch(nn.Sequential):
    """A category's convolutions and predictor."""

    score_lowres: ConvTranspose2d

    def __init__(
        self, in_channels: int, num_landmarks: int, *, conv_dims: Sequence[int], norm: str
    ) -> None:
        """
        Args:
            in_channels: channels of the shared features.
            num_landmarks: K, the number of output channels.
            conv_dims: output channels of the category's own convolutions.
            norm: their normalization, "" or a name that Detectron2 knows.
        """
        super().__init__()
        for index, out_channels in enumerate(conv_dims, 1):
            self.add_module(f"conv_fcn{index}", conv3x3(in_channels, out_channels, norm))
            self.add_module(f"relu{index}", nn.ReLU())
            in_channels = out_channels
        self.add_module("score_lowres", predictor(in_channels, num_landmarks))

    def forward(
        self, features: torch.Tensor, shared: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """
        Args:
            features: (R, channels, S / 4, S / 4).
            shared: weight and bias that are added to those of the predictor.

        Returns:
            (R, K, S / 2, S / 2) logits.
        """
        for layer in list(self)[:-1]:
            features = layer(features)
        last = self.score_lowres
        if shared is None:
            logits: torch.Tensor = last(features)
            return logits
        weight, bias = last.weight + shared[0], last.bias + shared[1]
        return F.conv_transpose2d(features, weight, bias, stride=last.stride, padding=last.padding)


class CoordinateConv(nn.Module):
    """The output of a 3x3 convolution of two channels, x and y from -1 to 1 over a map.

    Added to the output of another convolution, it is as if that one had the channels as further
    inputs (CoordConv, arXiv 1807.03247). The weights start at zero.
    """

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(out_channels, 2, 3, 3))

    def forward(self, side: int) -> torch.Tensor:
        """Return (1, out_channels, side, side)."""
        place = torch.linspace(-1, 1, side, device=self.weight.device).expand(side, side)
        return F.conv2d(torch.stack((place, place.T))[None], self.weight, padding=1)


def predictor(in_channels: int, num_landmarks: int) -> ConvTranspose2d:
    """Return the transposed convolution of the stock head."""
    return ConvTranspose2d(in_channels, num_landmarks, kernel_size=4, stride=2, padding=1)


def channels_by_name(names: Sequence[Sequence[str]]) -> tuple[int, list[list[int]]]:
    """Number the different names, as channels of a predictor that landmarks share by name.

    Args:
        names: of the landmarks of each category.

    Returns:
        The number of different names, and each landmark's channel; in order of appearance.
    """
    different = [*dict.fromkeys(name for category in names for name in category)]
    return len(different), [[different.index(name) for name in category] for category in names]


def upsample(lowres: torch.Tensor) -> torch.Tensor:
    """Interpolate maps (..., S / 2, S / 2) bilinearly to (..., S, S), in float32.

    Equals `F.interpolate`, whose backward pass is slow on a CPU and not reproducible on a GPU. Here
    the maps are multiplied by the weights of one axis from either side.
    """
    with torch.autocast(lowres.device.type, enabled=False):
        cells = torch.eye(int(lowres.shape[-1]), device=lowres.device)[None]
        weights = F.interpolate(cells, scale_factor=UPSAMPLING, mode="linear")[0]
        return weights.T @ lowres.float() @ weights


def conv3x3(in_channels: int, out_channels: int, norm: str) -> Conv2d:
    """Return a 3x3 convolution that keeps the size.

    Raises:
        UserError: Detectron2 has no such normalization, or it does not take `out_channels`.
    """
    try:
        normalization = get_norm(norm, out_channels)
    except (KeyError, ValueError) as error:
        raise UserError(
            'MODEL.ROI_LANDMARK_HEAD.NORM must be "" or a normalization of Detectron2 that takes '
            f'{out_channels} channels ("GN" takes multiples of 32), but got {norm!r}'
        ) from error
    return Conv2d(
        in_channels,
        out_channels,
        kernel_size=3,
        padding=1,
        bias=not norm,
        norm=normalization,
    )


def num_spare_regions(module: nn.Module) -> int:
    """Return 1 if a module needs a spare region where it is exported, so that none has no region.

    ONNX Runtime cannot group-normalize an empty tensor.
    """
    return int(any(isinstance(part, nn.GroupNorm) for part in module.modules()))


def connected_zero(module: nn.Module) -> torch.Tensor:
    """Return 0 with a gradient path to every parameter of `module`."""
    return sum((parameter.sum() * 0 for parameter in module.parameters()), torch.tensor(0.0))
