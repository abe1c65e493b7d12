"""Test-time augmentation: mirrored and scaled views, for boxes, masks and landmarks.

Shapes: V = views (resized, mirrored) of one image, R = its detections, K = landmarks of a category,
S = side of a heatmap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.modeling import GeneralizedRCNNWithTTA
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Boxes, Instances
from fvcore.transforms import HFlipTransform, TransformList
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.modeling.landmark_head import LandmarkRCNNHead
from df2_landmarks.taxonomy import Taxonomy, taxonomy_of


class LandmarkRCNNWithTTA(GeneralizedRCNNWithTTA):
    """Detectron2's `GeneralizedRCNNWithTTA`, with landmarks.

    It is called like the model. Boxes are merged and masks averaged as in the stock class. The
    landmark head predicts heatmaps for each merged box in every view; they are averaged as
    probabilities in the frame of the box and decoded once, in the original image. The probabilities
    that a landmark is visible are averaged too, and what an OKS branch adds to a confidence.
    """

    def __init__(
        self,
        cfg: CfgNode,
        model: nn.Module,
        tta_mapper: Callable[[dict[str, Any]], list[dict[str, Any]]] | None = None,
        batch_size: int = 3,
    ) -> None:
        """
        Args:
            cfg: configuration whose TEST.AUG lists the views.
            model: a `GeneralizedRCNN` with a `LandmarkRCNNHead`.
            tta_mapper: maps an input to its V views, each with its "transforms".
            batch_size: views that pass through the model together.

        Raises:
            UserError: the model has another landmark head.
        """
        # The stock class refuses landmarks; it reads its configuration for boxes and masks only.
        stock_cfg = cfg.clone()
        stock_cfg.defrost()
        stock_cfg.MODEL.KEYPOINT_ON = False
        super().__init__(stock_cfg, model, tta_mapper, batch_size)
        head = getattr(self.model.roi_heads, "keypoint_head", None)
        if not isinstance(head, LandmarkRCNNHead):
            raise UserError(
                "TEST.AUG.ENABLED needs MODEL.ROI_KEYPOINT_HEAD.NAME LandmarkRCNNHead, but the "
                f"model has {type(head).__name__}; switch TEST.AUG.ENABLED off"
            )
        self._taxonomy = taxonomy_of(cfg)
        # Detectron2's evaluation restores this mode afterwards.
        self.train(self.model.training)

    def __call__(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        return super().__call__([_with_size(image_input) for image_input in batched_inputs])

    def _inference_one_image(self, input: dict[str, Any]) -> dict[str, Instances]:
        image_size = (input["height"], input["width"])
        views, transforms = self._get_augmented_inputs(input)
        with self._turn_off_roi_heads(["mask_on", "keypoint_on"]):
            boxes_scores_classes = self._get_augmented_boxes(views, transforms)
        merged = self._merge_detections(*boxes_scores_classes, image_size)
        detected = self._rescale_detected_boxes(views, merged, transforms)
        head: LandmarkRCNNHead = self.model.roi_heads.keypoint_head
        with self._summed_heatmaps(transforms) as heatmaps:
            outputs = self._batch_inference(views, detected)
        predicted = heatmaps.decode(merged.pred_boxes.tensor)
        if self.cfg.MODEL.MASK_ON:
            merged.pred_masks = self._reduce_pred_masks(outputs, transforms)
        if head.second_look:
            boxes_xyxy = head.landmark_boxes(predicted[0], merged.pred_classes)
            looked_at = Instances(image_size, **merged.get_fields())
            looked_at.pred_boxes = Boxes(boxes_xyxy)
            detected = self._rescale_detected_boxes(views, looked_at, transforms)
            with (
                self._turn_off_roi_heads(["mask_on"]),
                self._summed_heatmaps(transforms) as heatmaps,
            ):
                self._batch_inference(views, detected)
            predicted = heatmaps.decode(boxes_xyxy)
        (with_landmarks,) = head.with_landmarks([merged], *predicted)
        return {"instances": detector_postprocess(with_landmarks, *image_size)}

    @contextmanager
    def _summed_heatmaps(self, transforms: Sequence[TransformList]) -> Iterator[_SummedHeatmaps]:
        """Sum the heatmaps of the views that pass through the model inside, in this order."""
        roi_heads = self.model.roi_heads
        head = roi_heads.keypoint_head
        mirrored = [_is_mirrored(view) for view in transforms]
        roi_heads.keypoint_head = _SummedHeatmaps(head, mirrored, self._taxonomy)
        try:
            yield roi_heads.keypoint_head
        finally:
            roi_heads.keypoint_head = head


class _SummedHeatmaps(nn.Module):
    """A replacement for the landmark head that sums the heatmaps of the views.

    A mirrored view's heatmaps are mirrored back, and left and right landmarks exchanged by the
    pairs of their category. Probabilities are averaged, not logits: where views disagree, the mean
    has several maxima, and a decoder that reads it as a distribution is less confident. Only the
    sum is kept, as logarithms. The same holds for the visibility of landmarks and the evidence of
    an OKS branch, without logarithms.
    """

    def __init__(
        self, head: LandmarkRCNNHead, mirrored: Sequence[bool], taxonomy: Taxonomy
    ) -> None:
        """
        Args:
            head: the landmark head of the model.
            mirrored: whether each view is mirrored, in the order in which they pass.
            taxonomy: the categories.
        """
        super().__init__()
        self.head = head
        self.mirrored = iter(mirrored)
        self.taxonomy = taxonomy
        self.num_views = len(mirrored)
        self.sums: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.visibility_sums: dict[int, torch.Tensor] = {}
        self.evidence_sums: dict[int, torch.Tensor] = {}

    def forward(self, features: torch.Tensor, instances: list[Instances]) -> list[Instances]:
        """
        Args:
            features: pooled features of the R boxes of each view.
            instances: the same R detections, moved into each view.

        Returns:
            `instances`, unchanged.
        """
        pooled = features.split([len(view) for view in instances])
        for view_features, view in zip(pooled, instances, strict=True):
            mirrored = next(self.mirrored)
            for output in self.head.class_outputs(view_features, view.pred_classes):
                class_index, rows, logits, visibility, evidence = output
                if mirrored:
                    logits = mirror_heatmaps(logits, class_index, self.taxonomy)
                maps = logits.flatten(2).log_softmax(dim=2).view_as(logits)
                if class_index in self.sums:
                    maps = torch.logaddexp(self.sums[class_index][1], maps)
                self.sums[class_index] = rows, maps
                for sums, values in (
                    (self.visibility_sums, visibility),
                    (self.evidence_sums, evidence),
                ):
                    if values is not None:
                        if mirrored:
                            values = exchange_left_and_right(values, class_index, self.taxonomy)
                        sums[class_index] = sums.get(class_index, 0) + values
        return instances

    def decode(self, boxes_xyxy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return what `LandmarkRCNNHead.predict` returns, for the R boxes in the original image."""
        num_values = self.head.num_values
        landmarks = boxes_xyxy.new_zeros(len(boxes_xyxy), self.taxonomy.max_landmarks, num_values)
        visibility = landmarks.new_zeros(landmarks.shape[:2])
        for class_index, (rows, maps) in self.sums.items():
            evidence = self.evidence_sums.get(class_index)
            if evidence is not None:
                evidence = evidence / self.num_views
            # Not divided by V: the factor changes neither places nor confidences.
            decoded = self.head.decode(maps, boxes_xyxy[rows], class_index, evidence)
            landmarks[rows, : decoded.shape[1]] = decoded
            if class_index in self.visibility_sums:
                values = self.visibility_sums[class_index] / self.num_views
                visibility[rows, : values.shape[1]] = values
        return landmarks, None if self.head.visibility is None else visibility


def mirror_heatmaps(heatmaps: torch.Tensor, class_index: int, taxonomy: Taxonomy) -> torch.Tensor:
    """Convert heatmaps (R, K, S, S) of a class from the mirrored image to the image."""
    return exchange_left_and_right(heatmaps, class_index, taxonomy).flip(-1)


def exchange_left_and_right(
    values: torch.Tensor, class_index: int, taxonomy: Taxonomy
) -> torch.Tensor:
    """Return (R, K, ...) values of a class's landmarks with those of mirror partners exchanged."""
    order = torch.from_numpy(taxonomy.flip_indices[class_index, : values.shape[1]].copy())
    return values[:, order.to(values.device)]


def _with_size(image_input: dict[str, Any]) -> dict[str, Any]:
    """Add the size of the results, as a model does: by default the size of the image."""
    if "image" not in image_input:  # The stock class reads the file.
        return image_input
    height, width = image_input["image"].shape[1:]
    return {"height": height, "width": width, **image_input}


def _is_mirrored(transforms: TransformList) -> bool:
    return sum(isinstance(t, HFlipTransform) for t in transforms.transforms) % 2 == 1
