"""The stock RoI heads, made safe for two gaps in the annotations of a batch."""

from __future__ import annotations

import torch
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, CascadeROIHeads, StandardROIHeads
from detectron2.structures import Instances

from df2_landmarks.modeling.landmark_head import connected_zero


@ROI_HEADS_REGISTRY.register()
class LandmarkROIHeads(StandardROIHeads):
    """`StandardROIHeads` with these differences in training:

    * The mask loss leaves out proposals without a ground-truth polygon. Stock Detectron2 drops such
      garments when it loads them, and their landmarks with them.
    * A batch without any garment has landmark losses 0. The stock heads take the mean of no values.
    """

    def _forward_mask(
        self, features: dict[str, torch.Tensor], instances: list[Instances]
    ) -> dict[str, torch.Tensor] | list[Instances]:
        if self.training and self.mask_on:
            instances = [_with_polygons(x) for x in instances]
        return super()._forward_mask(features, instances)

    def _forward_keypoint(
        self, features: dict[str, torch.Tensor], instances: list[Instances]
    ) -> dict[str, torch.Tensor] | list[Instances]:
        if self.training and self.keypoint_on:
            foreground = [(x.gt_classes < self.num_classes).any() for x in instances]
            if not torch.stack(foreground).any():
                names = getattr(self.keypoint_head, "loss_names", ("loss_keypoint",))
                return dict.fromkeys(names, connected_zero(self.keypoint_head))
        return super()._forward_keypoint(features, instances)


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
