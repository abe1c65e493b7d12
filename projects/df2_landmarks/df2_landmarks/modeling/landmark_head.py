"""Keypoint head with one branch per category.

Shapes: R = regions (RoIs) of the batch, C = categories, K = landmarks of one category, M = the most
that a category has, S = side of a heatmap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from detectron2.layers import Conv2d, ConvTranspose2d, ShapeSpec, cat, get_norm
from detectron2.modeling.roi_heads import ROI_KEYPOINT_HEAD_REGISTRY
from detectron2.structures import Instances
from torch import nn

from df2_landmarks.modeling.heatmap_codec import decode_heatmaps, encode_landmarks
from df2_landmarks.modeling.landmark_loss import landmark_loss, soft_landmark_loss
from df2_landmarks.modeling.oks_heatmaps import decode_expected_oks, encode_soft
from df2_landmarks.modeling.rescoring import rescore
from df2_landmarks.taxonomy import LAYOUT

UPSAMPLING = 2
"""Bilinear upsampling after the deconvolution, as in the stock head: 14 -> 28 -> 56 cells."""

DECODERS = ("peak", "expected_oks")


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
        sigmas: Sequence[Sequence[float]] | None = None,
        target_width: float = 0.0,
        decoder: str = "peak",
        confidence_power: float = 0.0,
        suppress_across_categories: bool = False,
        loss_weight: float = 1.0,
    ) -> None:
        """
        Args:
            input_shape: shape of the pooled features.
            num_landmarks: K of each category.
            conv_dims: output channels of the shared convolutions.
            class_conv_dims: output channels of each category's own convolutions.
            norm: normalization of all convolutions, "" or a name that Detectron2 knows ("GN").
            sigmas: OKS sigmas of each category's landmarks, for `target_width` and "expected_oks".
            target_width: standard deviation of the training target in those of OKS; 0: one cell.
            decoder: "peak" (`decode_heatmaps`, as stock) or "expected_oks" (`decode_expected_oks`).
            confidence_power: of `rescore`; 0 leaves the scores of the box head.
            suppress_across_categories: of `rescore`.
            loss_weight: factor of the loss.

        Raises:
            ValueError: there is no such decoder, or the sigmas are missing or not K per category.
        """
        super().__init__()
        if decoder not in DECODERS:
            raise ValueError(
                f"MODEL.ROI_LANDMARK_HEAD.DECODER must be one of {DECODERS}, got {decoder!r}"
            )
        self.num_landmarks = tuple(num_landmarks)
        self.target_width = target_width
        self.decoder = decoder
        self.confidence_power = confidence_power
        self.suppress_across_categories = suppress_across_categories
        self.loss_weight = loss_weight
        if sigmas is None and (target_width > 0 or decoder == "expected_oks"):
            raise ValueError("target_width and the decoder expected_oks need sigmas")
        if sigmas is not None and [len(own) for own in sigmas] != list(num_landmarks):
            raise ValueError(
                f"sigmas must be {list(num_landmarks)} numbers for each category, "
                f"got {[len(own) for own in sigmas]}"
            )
        self.trunk_names: list[str] = []
        channels = input_shape.channels
        for index, out_channels in enumerate(conv_dims, 1):
            name = f"conv_fcn{index}"
            self.add_module(name, _conv(channels, out_channels, norm))
            self.trunk_names.append(name)
            channels = out_channels
        for class_index, own in enumerate(sigmas or ()):
            # no parameter, and no part of checkpoints: it comes from the taxonomy
            values = torch.tensor(own, dtype=torch.float32)
            self.register_buffer(f"sigmas{class_index}", values, persistent=False)
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
            "sigmas": [LAYOUT.sigmas(c).tolist() for c in range(LAYOUT.num_categories)],
            "target_width": cfg.MODEL.ROI_LANDMARK_HEAD.TARGET_WIDTH,
            "decoder": cfg.MODEL.ROI_LANDMARK_HEAD.DECODER,
            "confidence_power": cfg.MODEL.ROI_LANDMARK_HEAD.CONFIDENCE_POWER,
            "suppress_across_categories": (cfg.MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES),
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
            confidence that the decoder gives; zeros in the padding. Where rescoring is configured
            they come with new `scores`, best first. No heatmaps are kept.
        """
        if self.training:
            return {"loss_keypoint": self._loss(features, instances) * self.loss_weight}
        return self._predict(features, instances)

    def heatmaps(
        self, features: torch.Tensor, classes: torch.Tensor
    ) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """Heatmaps of one category after the other; categories without a region are left out.

        Args:
            features: (R, channels, height, width).
            classes: (R,) class of each region.

        Yields:
            The class, its rows among the regions, and (rows, K, S, S) logits.
        """
        for class_index, rows, lowres in self._lowres_maps(features, classes):
            yield class_index, rows, upsample(lowres)

    def _lowres_maps(
        self, features: torch.Tensor, classes: torch.Tensor
    ) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """`heatmaps` before the upsampling: (rows, K, S / 2, S / 2)."""
        order, counts = self._route(classes)
        # Sorted once and split: to index once per category would cost a gradient of the size of
        # all features for each.
        features = features.index_select(0, order)
        for name in self.trunk_names:
            features = F.relu(getattr(self, name)(features))
        parts = zip(order.split(counts), features.split(counts), self.branches, strict=True)
        for class_index, (rows, own_features, branch) in enumerate(parts):
            if len(rows):
                yield class_index, rows, branch(own_features)

    def decode(
        self, logits: torch.Tensor, boxes_xyxy: torch.Tensor, class_index: int
    ) -> torch.Tensor:
        """(rows, K, S, S) heatmaps of a class in (rows, 4) boxes -> (rows, K, 3) x, y, score."""
        if self.decoder == "expected_oks":
            return decode_expected_oks(logits, boxes_xyxy, self._sigmas(class_index))
        return decode_heatmaps(logits, boxes_xyxy)

    def _sigmas(self, class_index: int) -> torch.Tensor:
        sigmas: torch.Tensor = getattr(self, f"sigmas{class_index}")
        return sigmas

    def _loss(self, features: torch.Tensor, instances: list[Instances]) -> torch.Tensor:
        if len(features) == 0:
            return features.sum() * 0 + connected_zero(self)
        boxes_xyxy = cat([x.proposal_boxes.tensor for x in instances])
        landmarks = cat([x.gt_keypoints.tensor for x in instances if len(x)])
        classes = cat([x.gt_classes for x in instances])
        loss = torch.zeros((), device=features.device)
        num_labelled = 0
        absent = set(range(len(self.branches)))
        for class_index, rows, lowres in self._lowres_maps(features, classes):
            own, boxes = landmarks[rows, : lowres.shape[1]], boxes_xyxy[rows]
            side = UPSAMPLING * lowres.shape[-1]
            cells, valid = encode_landmarks(own, boxes, side)
            labelled = valid.flatten().nonzero()[:, 0]
            # The small maps are chosen, so that only those with a label are upsampled.
            logits = upsample(lowres.flatten(0, 1).index_select(0, labelled))
            if self.target_width > 0:
                sigmas = self._sigmas(class_index)
                weights = encode_soft(own, boxes, sigmas, side, width=self.target_width)
                loss = loss + soft_landmark_loss(logits, weights.flatten(0, 1)[labelled])
            else:
                loss = loss + landmark_loss(logits, cells.flatten()[labelled])
            num_labelled += len(labelled)
            absent.remove(class_index)
        for class_index in absent:
            # keeps DistributedDataParallel from waiting for gradients that never come
            loss = loss + connected_zero(self.branches[class_index])
        return loss / max(1, num_labelled)

    def _predict(self, features: torch.Tensor, instances: list[Instances]) -> list[Instances]:
        boxes_xyxy = cat([x.pred_boxes.tensor for x in instances])
        classes = cat([x.pred_classes for x in instances])
        landmarks = boxes_xyxy.new_zeros(len(classes), max(self.num_landmarks), 3)
        for class_index, rows, logits in self.heatmaps(features, classes):
            decoded = self.decode(logits, boxes_xyxy[rows], class_index)
            landmarks[rows, : decoded.shape[1]] = decoded
        per_image = landmarks.split([len(x) for x in instances])
        for x, landmarks_of_image in zip(instances, per_image, strict=True):
            x.pred_keypoints = landmarks_of_image
        return [self.rescore(x) for x in instances]

    def rescore(self, instances: Instances) -> Instances:
        """`rescoring.rescore` as configured, for the detections of one image."""
        if self.confidence_power == 0 and not self.suppress_across_categories:
            return instances
        return rescore(
            instances,
            torch.tensor(self.num_landmarks, device=instances.scores.device),
            confidence_power=self.confidence_power,
            suppress_across_categories=self.suppress_across_categories,
        )

    def _route(self, classes: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
        """Rows sorted by category, and the number of each category's. One host synchronisation."""
        order = torch.argsort(classes, stable=True)
        counts = torch.bincount(classes, minlength=len(self.branches))
        return order, counts.tolist()


class CategoryBranch(nn.Sequential):
    """A category's convolutions and predictor: features -> logits (R, K, S / 2, S / 2)."""

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


def upsample(lowres: torch.Tensor) -> torch.Tensor:
    """Bilinear interpolation of maps (..., S / 2, S / 2) to (..., S, S), in float32.

    It is `F.interpolate`, as a product with the weights of one axis on either side. The backward
    pass of that is slow on a CPU, and not reproducible on a GPU.
    """
    with torch.autocast(lowres.device.type, enabled=False):
        cells = torch.eye(lowres.shape[-1], device=lowres.device)[None]
        weights = F.interpolate(cells, scale_factor=UPSAMPLING, mode="linear")[0]
        return weights.T @ lowres.float() @ weights


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
