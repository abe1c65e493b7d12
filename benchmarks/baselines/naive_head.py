"""The naive way to landmarks per category: one stock Keypoint R-CNN head with all 294 channels.

Every region gets a heatmap for every slot; the loss counts the slots of the region's own category,
since all others are unlabelled. Shapes: N = instances, M = the most landmarks of a category (width
of category-local rows), S = all slots.
"""

from __future__ import annotations

from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec, cat
from detectron2.modeling.roi_heads import ROI_KEYPOINT_HEAD_REGISTRY, KRCNNConvDeconvUpsampleHead
from detectron2.structures import Instances, Keypoints, heatmaps_to_keypoints

from df2_landmarks.taxonomy import DEEPFASHION2


@ROI_KEYPOINT_HEAD_REGISTRY.register()
class NaiveLandmarkHead(KRCNNConvDeconvUpsampleHead):
    """The stock head between this project's data and evaluator; loss and decoding are stock."""

    decode_all_slots = False
    """Decode the maps of all slots, as stock Detectron2 does. Off: those of the predicted category
    alone, which gives the same landmarks in a fraction of the time."""

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec) -> dict[str, Any]:
        return {**super().from_config(cfg, input_shape), "num_keypoints": DEEPFASHION2.num_slots}

    def layers(self, x: torch.Tensor) -> torch.Tensor:
        # the stock loss cannot read the channels-last maps that training on a CPU gives
        return super().layers(x).contiguous()

    def forward(self, x: torch.Tensor, instances: list[Instances]) -> Any:
        if not self.training:
            return self._predict(self.layers(x), instances)
        wide = []
        for proposals in instances:
            # On a copy: other heads may read the proposals.
            copy = Instances(proposals.image_size, **proposals.get_fields())
            landmarks = to_slots(proposals.gt_keypoints.tensor, proposals.gt_classes)
            copy.gt_keypoints = Keypoints(landmarks)
            wide.append(copy)
        return super().forward(x, wide)

    def _predict(self, logits: torch.Tensor, instances: list[Instances]) -> list[Instances]:
        boxes_xyxy = cat([x.pred_boxes.tensor for x in instances])
        classes = cat([x.pred_classes for x in instances]).tolist()
        landmarks = boxes_xyxy.new_zeros(len(classes), DEEPFASHION2.max_landmarks, 3)
        everything = None
        if self.decode_all_slots:
            everything = heatmaps_to_keypoints(logits, boxes_xyxy)
        for row, class_index in enumerate(classes):
            slots = DEEPFASHION2.slots(class_index)
            if everything is None:
                maps = logits[row : row + 1, slots].contiguous()
                decoded = heatmaps_to_keypoints(maps, boxes_xyxy[row : row + 1])[0]
            else:
                decoded = everything[row, slots]
            landmarks[row, : len(decoded)] = decoded[:, [0, 1, 3]]
        per_image = landmarks.split([len(x) for x in instances])
        for detections, landmarks_of_image in zip(instances, per_image, strict=True):
            detections.pred_keypoints = landmarks_of_image
        return instances


def to_slots(keypoints: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Place (N, M, 3) category-local landmarks of (N,) classes in (N, S, 3), else zeros."""
    wide = keypoints.new_zeros(len(keypoints), DEEPFASHION2.num_slots, 3)
    for row, class_index in enumerate(classes.tolist()):
        slots = DEEPFASHION2.slots(class_index)
        wide[row, slots] = keypoints[row, : slots.stop - slots.start]
    return wide
