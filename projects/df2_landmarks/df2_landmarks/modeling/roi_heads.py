"""The stock RoI heads, made safe for two gaps in the annotations of a batch."""

from __future__ import annotations

import torch
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, StandardROIHeads
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
            instances = [x[x.gt_masks.nonempty()] if x.has("gt_masks") else x for x in instances]
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
