"""The stock RoI heads, made safe for two gaps in the annotations of a batch, and their pooler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec, cat
from detectron2.modeling.poolers import ROIPooler
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, CascadeROIHeads, StandardROIHeads
from detectron2.structures import Boxes, Instances

from df2_landmarks.modeling.heatmaps import enlarge_boxes
from df2_landmarks.modeling.landmark_head import LandmarkRCNNHead
from df2_landmarks.modeling.layers import connected_zero


class RegionPooler(ROIPooler):
    """`ROIPooler` of boxes that are enlarged by a factor; the regions of `LandmarkRCNNHead`."""

    def __init__(self, *, box_scale: float, **kwargs: Any) -> None:
        """
        Args:
            box_scale: width and height of a region in those of the box.
            **kwargs: passed to `ROIPooler`.
        """
        super().__init__(**kwargs)
        self.box_scale = box_scale

    def forward(self, x: list[torch.Tensor], box_lists: list[Boxes]) -> torch.Tensor:
        regions = [Boxes(enlarge_boxes(boxes.tensor, self.box_scale)) for boxes in box_lists]
        pooled: torch.Tensor = super().forward(x, regions)
        return pooled


@ROI_HEADS_REGISTRY.register()
class LandmarkROIHeads(StandardROIHeads):
    """`StandardROIHeads` with these differences:

    * The landmark head gets the features of its regions: boxes with their surroundings. At
      inference it may look a second time, at the boxes of its first landmarks.
    * In training the mask loss leaves out proposals without a ground-truth polygon. Stock
      Detectron2 drops such garments when it loads them, and their landmarks with them.
    * In training a batch without any garment has landmark losses 0. The stock heads take the mean
      of no values.
    """

    @classmethod
    def _init_keypoint_head(
        cls, cfg: CfgNode, input_shape: Mapping[str, ShapeSpec]
    ) -> dict[str, Any]:
        parts: dict[str, Any] = super()._init_keypoint_head(cfg, input_shape)
        box_scale = getattr(parts.get("keypoint_head"), "box_scale", 1.0)
        if box_scale != 1:
            names = parts["keypoint_in_features"]
            parts["keypoint_pooler"] = RegionPooler(
                box_scale=box_scale,
                output_size=cfg.MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION,
                scales=[1 / input_shape[name].stride for name in names],
                sampling_ratio=cfg.MODEL.ROI_KEYPOINT_HEAD.POOLER_SAMPLING_RATIO,
                pooler_type=cfg.MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE,
            )
        return parts

    def _forward_mask(
        self, features: dict[str, torch.Tensor], instances: list[Instances]
    ) -> dict[str, torch.Tensor] | list[Instances]:
        if self.training and self.mask_on:
            instances = [_with_polygons(x) for x in instances]
        return super()._forward_mask(features, instances)

    def _forward_keypoint(
        self, features: dict[str, torch.Tensor], instances: list[Instances]
    ) -> dict[str, torch.Tensor] | list[Instances]:
        if not self.keypoint_on:
            return super()._forward_keypoint(features, instances)
        if self.training:
            foreground = [(x.gt_classes < self.num_classes).any() for x in instances]
            if not torch.stack(foreground).any():
                names = getattr(self.keypoint_head, "loss_names", ("loss_keypoint",))
                return dict.fromkeys(names, connected_zero(self.keypoint_head))
        elif getattr(self.keypoint_head, "second_look", False):
            return self._look_twice(features, instances)
        return super()._forward_keypoint(features, instances)

    def _look_twice(
        self, features: dict[str, torch.Tensor], detections: list[Instances]
    ) -> list[Instances]:
        """Place the landmarks of detections in the boxes of the landmarks that are placed first."""
        head: LandmarkRCNNHead = self.keypoint_head
        levels = [features[name] for name in self.keypoint_in_features]
        classes = cat([x.pred_classes for x in detections])
        first = [x.pred_boxes for x in detections]
        boxes_xyxy = cat([boxes.tensor for boxes in first])
        landmarks, _ = head.predict(self.keypoint_pooler(levels, first), boxes_xyxy, classes)
        boxes_xyxy = head.landmark_boxes(landmarks, classes)
        second = [Boxes(boxes) for boxes in boxes_xyxy.split([len(x) for x in detections])]
        pooled = self.keypoint_pooler(levels, second)
        return head.with_landmarks(detections, *head.predict(pooled, boxes_xyxy, classes))


@ROI_HEADS_REGISTRY.register()
class LandmarkCascadeROIHeads(LandmarkROIHeads, CascadeROIHeads):
    """`LandmarkROIHeads` with box heads behind each other (Cascade R-CNN).

    Needs `MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG`.
    """


def _with_polygons(proposals: Instances) -> Instances:
    """Return the proposals that have a ground-truth polygon, mostly all: then as they are."""
    if not proposals.has("gt_masks"):
        return proposals
    has_polygon = proposals.gt_masks.nonempty()
    return proposals if has_polygon.all() else proposals[has_polygon]
