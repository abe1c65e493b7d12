"""Keypoint head with one branch per category.

Shapes: R = regions (RoIs) of the batch, C = categories, K = landmarks of one category, M = the most
that a category has, S = side of a heatmap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from detectron2.layers import Conv2d, ConvTranspose2d, ShapeSpec, cat, get_norm
from detectron2.modeling.roi_heads import ROI_KEYPOINT_HEAD_REGISTRY
from detectron2.structures import Instances
from torch import nn

from df2_landmarks.modeling.heatmap_codec import decode_heatmaps, encode_landmarks
from df2_landmarks.modeling.landmark_loss import landmark_loss
from df2_landmarks.taxonomy import LAYOUT

UPSAMPLING = 2
"""Bilinear upsampling after the deconvolution, as in the stock head: 14 -> 28 -> 56 cells."""


@ROI_KEYPOINT_HEAD_REGISTRY.register()
class LandmarkRCNNHead(nn.Module):
    """Shared convolutions, then a branch per category; a region passes through one branch only.

    In training that is the branch of the ground-truth category of the region, at inference the one
    of the predicted category. The shared convolutions have the names and shapes of Detectron2's
    `KRCNNConvDeconvUpsampleHead`, so that weights trained on COCO persons load into them.
    """

    @configurable
    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_landmarks: Sequence[int],
        conv_dims: Sequence[int],
        class_conv_dims: Sequence[int] = (),
        norm: str = "",
        loss_weight: float = 1.0,
    ) -> None:
        """
        Args:
            input_shape: shape of the pooled features.
            num_landmarks: K of each category.
            conv_dims: output channels of the shared convolutions.
            class_conv_dims: output channels of each category's own convolutions.
            norm: normalization of all convolutions, "" or a name that Detectron2 knows ("GN").
            loss_weight: factor of the loss.
        """
        super().__init__()
        self.num_landmarks = tuple(num_landmarks)
        self.loss_weight = loss_weight
        self.trunk_names: list[str] = []
        channels = input_shape.channels
        for index, out_channels in enumerate(conv_dims, 1):
            name = f"conv_fcn{index}"
            self.add_module(name, _conv(channels, out_channels, norm))
            self.trunk_names.append(name)
            channels = out_channels
        self.branches = nn.ModuleList(
            CategoryBranch(channels, count, conv_dims=class_conv_dims, norm=norm)
            for count in self.num_landmarks
        )
        for parameter_name, parameter in self.named_parameters():
            if parameter_name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() > 1:  # not the scales of a normalization
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec) -> dict[str, Any]:
        return {
            "input_shape": input_shape,
            "num_landmarks": LAYOUT.counts,
            "conv_dims": cfg.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS,
            "class_conv_dims": cfg.MODEL.ROI_LANDMARK_HEAD.CLASS_CONV_DIMS,
            "norm": cfg.MODEL.ROI_LANDMARK_HEAD.NORM,
            "loss_weight": cfg.MODEL.ROI_KEYPOINT_HEAD.LOSS_WEIGHT,
        }

    def forward(
        self, features: torch.Tensor, instances: list[Instances]
    ) -> dict[str, torch.Tensor] | list[Instances]:
        """
        Args:
            features: (R, channels, height, width) pooled features of the regions of all images.
            instances: per image. In training the foreground proposals with `proposal_boxes`,
                `gt_classes` and `gt_keypoints` (category-local, padded to M); at inference the
                detections with `pred_boxes` and `pred_classes`.

        Returns:
            In training ``{"loss_keypoint": scalar}``; at inference `instances`, each with
            `pred_keypoints` (detections, M, 3): x and y in continuous image coordinates, and the
            score of `decode_heatmaps`; zeros in the padding. No heatmaps are kept.
        """
        trunk = self._trunk(features)
        if self.training:
            return {"loss_keypoint": self._loss(trunk, instances) * self.loss_weight}
        return self._predict(trunk, instances)

    def _trunk(self, features: torch.Tensor) -> torch.Tensor:
        for name in self.trunk_names:
            features = F.relu(getattr(self, name)(features))
        return features

    def _loss(self, trunk: torch.Tensor, instances: list[Instances]) -> torch.Tensor:
        if len(trunk) == 0:
            return trunk.sum() * 0 + connected_zero(self)
        boxes_xyxy = cat([x.proposal_boxes.tensor for x in instances])
        landmarks = cat([x.gt_keypoints.tensor for x in instances if len(x)])
        classes = cat([x.gt_classes for x in instances])
        loss = trunk.new_zeros((), dtype=torch.float32)
        num_labelled = trunk.new_zeros((), dtype=torch.int64)
        for branch, rows in zip(self.branches, self._routes(classes), strict=True):
            if len(rows) == 0:
                # keeps DistributedDataParallel from waiting for gradients that never come
                loss = loss + connected_zero(branch)
                continue
            logits = branch(trunk[rows])
            own = landmarks[rows, : logits.shape[1]]
            cells, valid = encode_landmarks(own, boxes_xyxy[rows], logits.shape[-1])
            loss = loss + landmark_loss(logits, cells, valid)
            num_labelled = num_labelled + valid.sum()
        return loss / num_labelled.clamp(min=1)

    def _predict(self, trunk: torch.Tensor, instances: list[Instances]) -> list[Instances]:
        boxes_xyxy = cat([x.pred_boxes.tensor for x in instances])
        classes = cat([x.pred_classes for x in instances])
        landmarks = boxes_xyxy.new_zeros(len(classes), max(self.num_landmarks), 3)
        for branch, rows in zip(self.branches, self._routes(classes), strict=True):
            if len(rows):
                decoded = decode_heatmaps(branch(trunk[rows]), boxes_xyxy[rows])
                landmarks[rows, : decoded.shape[1]] = decoded
        per_image = landmarks.split([len(x) for x in instances])
        for x, landmarks_of_image in zip(instances, per_image, strict=True):
            x.pred_keypoints = landmarks_of_image
        return instances

    def _routes(self, classes: torch.Tensor) -> list[torch.Tensor]:
        """Rows of each category. One host synchronisation for all of them together."""
        order = torch.argsort(classes, stable=True)
        counts = torch.bincount(classes, minlength=len(self.branches))
        return list(order.split(counts.tolist()))


class CategoryBranch(nn.Sequential):
    """A category's convolutions and predictor: features -> heatmap logits (R, K, S, S)."""

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
            self.add_module(f"conv_fcn{index}", _conv(in_channels, out_channels, norm))
            self.add_module(f"relu{index}", nn.ReLU())
            in_channels = out_channels
        self.add_module(
            "score_lowres",
            ConvTranspose2d(in_channels, num_landmarks, kernel_size=4, stride=2, padding=1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits = super().forward(features)
        return F.interpolate(logits, scale_factor=UPSAMPLING, mode="bilinear", align_corners=False)


def _conv(in_channels: int, out_channels: int, norm: str) -> Conv2d:
    return Conv2d(
        in_channels,
        out_channels,
        kernel_size=3,
        padding=1,
        bias=not norm,
        norm=get_norm(norm, out_channels),
    )


def connected_zero(module: nn.Module) -> torch.Tensor:
    """0 with a gradient path to every parameter of `module`."""
    return sum((parameter.sum() * 0 for parameter in module.parameters()), torch.tensor(0.0))
