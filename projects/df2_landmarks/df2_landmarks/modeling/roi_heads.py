"""Stock RoI heads, but a garment without a usable polygon teaches no mask."""

from __future__ import annotations

import torch
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, StandardROIHeads
from detectron2.structures import Instances


@ROI_HEADS_REGISTRY.register()
class LandmarkROIHeads(StandardROIHeads):
    """`StandardROIHeads` whose mask loss leaves out proposals without a ground-truth polygon.

    Stock Detectron2 drops such garments when it loads them, and their landmarks with them.
    """

    def _forward_mask(
        self, features: dict[str, torch.Tensor], instances: list[Instances]
    ) -> dict[str, torch.Tensor] | list[Instances]:
        if self.training and self.mask_on:
            instances = [x[x.gt_masks.nonempty()] if x.has("gt_masks") else x for x in instances]
        return super()._forward_mask(features, instances)
