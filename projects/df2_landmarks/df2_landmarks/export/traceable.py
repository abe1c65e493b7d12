"""The inference of a trained model as one function of tensors, for tracers.

Detectron2's own inference passes `Instances` around and splits lists by numbers that are known in
Python only; a tracer keeps the numbers of its example. `TraceableRCNN` uses the modules of the
trained model and repeats what is between them, one picture at a time. Whoever builds it exports:
nothing here or below asks whether a tracer is running.

Shapes: N = detections, M = the most landmarks that a category has, m = side of a mask.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.poolers import ROIPooler
from detectron2.modeling.proposal_generator import RPN
from detectron2.modeling.roi_heads import FastRCNNOutputLayers
from detectron2.modeling.roi_heads.mask_head import BaseMaskRCNNHead
from detectron2.structures import Boxes
from torch import nn
from torchvision.ops import nms

from df2_landmarks.common import UserError
from df2_landmarks.modeling import (
    LandmarkCascadeROIHeads,
    LandmarkRCNNHead,
    LandmarkROIHeads,
    enlarge_boxes,
    new_scores,
    num_spare_regions,
)


class TraceableRCNN(nn.Module):
    """A `GeneralizedRCNN` with `LandmarkROIHeads`: a picture in, detections out."""

    def __init__(self, model: Any) -> None:
        """
        Args:
            model: trained; its modules are used, not copied.

        Raises:
            UserError: a part of it is of a class that is not repeated here.
        """
        super().__init__()
        _check_parts(model)
        self.model = model
        self.has_masks = bool(model.roi_heads.mask_on)
        self.has_visibility = model.roi_heads.keypoint_head.visibility is not None
        self.eval()  # the exporter returns all modules to the mode of this one

    @property
    def box_stages(self) -> list[tuple[nn.Module, FastRCNNOutputLayers]]:
        """Each box head and its predictor: one, or those of a cascade in their order."""
        heads = self.model.roi_heads
        if isinstance(heads, LandmarkCascadeROIHeads):
            return [*zip(heads.box_head, heads.box_predictor, strict=True)]
        return [(heads.box_head, heads.box_predictor)]

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of what `forward` returns."""
        return (
            *("boxes", "scores", "classes", "landmarks", "best_score"),
            *(("visible",) if self.has_visibility else ()),
            *(("masks",) if self.has_masks else ()),
        )

    def forward(self, image: torch.Tensor, min_score: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """
        Args:
            image: (H, W, 3) uint8, resized, channels in the order of INPUT.FORMAT.
            min_score: () float32, 0..1; detections below are left out.

        Returns:
            The detections, best first, in continuous coordinates of the resized image:

            * boxes (N, 4) x1, y1, x2, y2 and scores (N,), float32; classes (N,) int64
            * landmarks (N, M, 3) float32: x, y, confidence; zeros in the padding
            * best_score () float32, of all detections, below `min_score` too; 0 without any
            * visible (N, M) float32, probabilities, if the model has a predictor of visibility
            * masks (N, m, m) float32, probabilities inside the box, if the model has a mask head
        """
        heads = self.model.roi_heads
        size = torch.stack((torch.as_tensor(image.shape[1]), torch.as_tensor(image.shape[0])))
        features = self.model.backbone(self._normalized(image))
        proposals = self._proposals(features, size)
        boxes, scores, classes = self._boxes(features, proposals, size)

        head = heads.keypoint_head
        landmarks, visible = self._landmarks(features, boxes, classes)
        if head.second_look:
            boxes_of_landmarks = head.landmark_boxes(landmarks, classes)
            landmarks, visible = self._landmarks(features, boxes_of_landmarks, classes)
        scores = new_scores(
            scores,
            classes,
            Boxes(boxes),
            landmarks,
            head.counts,
            confidence_power=head.confidence_power,
            suppress_across_categories=head.suppress_across_categories,
        )
        best_score = torch.cat((scores, scores.new_zeros(1))).max()
        scores, order = scores.sort(descending=True)
        order = order[scores >= min_score]
        scores = scores[scores >= min_score]
        boxes, classes, landmarks = boxes[order], classes[order], landmarks[order]
        outputs = [boxes, scores, classes, landmarks, best_score]
        if visible is not None:
            outputs.append(visible[order])
        if self.has_masks:
            outputs.append(self._masks(features, boxes, classes))
        return tuple(outputs)

    def _normalized(self, image: torch.Tensor) -> torch.Tensor:
        """(H, W, 3) uint8 -> (1, 3, height, width) padded to the stride, as `preprocess_image`."""
        model = self.model
        planes = (image.permute(2, 0, 1).float() - model.pixel_mean) / model.pixel_std
        step = max(1, model.backbone.size_divisibility)
        height, width = image.shape[:2]
        bottom = (height + step - 1) // step * step - height
        right = (width + step - 1) // step * step - width
        return F.pad(planes[None], (0, right, 0, bottom))

    def _proposals(self, features: dict[str, torch.Tensor], size: torch.Tensor) -> torch.Tensor:
        """Return (P, 4) proposals in the image, best first, as `find_top_rpn_proposals`."""
        rpn = self.model.proposal_generator
        levels = [features[name] for name in rpn.in_features]
        logits_of_level, deltas_of_level = rpn.rpn_head(levels)
        boxes_of_level, scores_of_level = [], []
        for anchors, logits, deltas in zip(
            rpn.anchor_generator(levels), logits_of_level, deltas_of_level, strict=True
        ):
            logits = logits.permute(0, 2, 3, 1).flatten()  # (height * width * A,)
            # (1, A * 4, height, width) -> (height * width * A, 4)
            deltas = deltas.permute(0, 2, 3, 1).reshape(-1, 4)
            # Not clamp: OpenVINO 2026.4 reads an integer's clamp from above as 0.
            count = torch.minimum(
                torch.as_tensor(logits.shape[0]), torch.as_tensor(rpn.pre_nms_topk[False])
            )
            scores, best = logits.topk(count)
            boxes = rpn.box2box_transform.apply_deltas(deltas[best], anchors.tensor[best])
            boxes = _clipped(boxes, size)
            kept = (_sizes(boxes) > rpn.min_box_size).all(dim=1)
            boxes, scores = boxes[kept], scores[kept]
            kept = nms(boxes, scores, rpn.nms_thresh)
            boxes_of_level.append(boxes[kept])
            scores_of_level.append(scores[kept])
        order = torch.cat(scores_of_level).argsort(descending=True)
        return torch.cat(boxes_of_level)[order[: rpn.post_nms_topk[False]]]

    def _boxes(
        self, features: dict[str, torch.Tensor], proposals: torch.Tensor, size: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return boxes, scores and classes, as `fast_rcnn_inference_single_image`.

        The box heads of a cascade refine the proposals one after the other; the score of a class is
        the mean of all of theirs.
        """
        *earlier, (last_head, predictor) = self.box_stages
        regions, probabilities_of_stage = proposals, []
        for box_head, earlier_predictor in earlier:
            probabilities, deltas = self._box_stage(features, regions, box_head, earlier_predictor)
            regions = earlier_predictor.box2box_transform.apply_deltas(deltas, regions)
            regions = _clipped(regions, size)
            probabilities_of_stage.append(probabilities)
        probabilities, deltas = self._box_stage(features, regions, last_head, predictor)
        probabilities = torch.stack((*probabilities_of_stage, probabilities)).mean(dim=0)
        rows, classes = (probabilities > predictor.test_score_thresh).nonzero().unbind(dim=1)
        scores = probabilities[rows, classes]
        deltas = deltas.reshape(-1, deltas.shape[1] // 4, 4)
        # One box for all classes, or one for each.
        deltas = deltas[rows, 0] if deltas.shape[1] == 1 else deltas[rows, classes]
        boxes = predictor.box2box_transform.apply_deltas(deltas, regions[rows])
        boxes = _clipped(boxes, size)
        # Boxes of different classes are moved apart, as torchvision's `batched_nms` does.
        step = torch.cat((boxes.flatten(), boxes.new_zeros(1))).max() + 1
        kept = nms(boxes + (classes * step)[:, None], scores, predictor.test_nms_thresh)
        kept = kept[: predictor.test_topk_per_image]
        return boxes[kept], scores[kept], classes[kept]

    def _box_stage(
        self,
        features: dict[str, torch.Tensor],
        regions: torch.Tensor,
        box_head: nn.Module,
        predictor: FastRCNNOutputLayers,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (R, C) probabilities of the classes and (R, 4 or C * 4) deltas of regions."""
        heads = self.model.roi_heads
        pooled = _pooled(heads.box_pooler, features, heads.box_in_features, regions)
        spare = num_spare_regions(box_head)
        logits, deltas = predictor(box_head(F.pad(pooled, (0, 0, 0, 0, 0, 0, 0, spare))))
        num_regions = regions.shape[0]
        return logits[:num_regions].softmax(dim=-1)[:, :-1], deltas[:num_regions]

    def _landmarks(
        self, features: dict[str, torch.Tensor], boxes: torch.Tensor, classes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return what `LandmarkRCNNHead.predict` returns for (N, 4) boxes."""
        heads = self.model.roi_heads
        head: LandmarkRCNNHead = heads.keypoint_head
        regions = enlarge_boxes(boxes, head.box_scale)
        pooled = _pooled(heads.keypoint_pooler, features, heads.keypoint_in_features, regions)
        return head.predict_for_export(pooled, boxes, classes)

    def _masks(
        self, features: dict[str, torch.Tensor], boxes: torch.Tensor, classes: torch.Tensor
    ) -> torch.Tensor:
        """Return (N, m, m) probabilities, as `mask_rcnn_inference`."""
        heads = self.model.roi_heads
        pooled = _pooled(heads.mask_pooler, features, heads.mask_in_features, boxes)
        spare = num_spare_regions(heads.mask_head)
        logits = heads.mask_head.layers(F.pad(pooled, (0, 0, 0, 0, 0, 0, 0, spare)))
        logits = logits[: boxes.shape[0]]
        if logits.shape[1] == 1:  # one mask for all classes
            return logits[:, 0].sigmoid()
        rows = torch.arange(logits.shape[0], device=logits.device)
        return logits[rows, classes].sigmoid()


def _pooled(
    pooler: ROIPooler, features: dict[str, torch.Tensor], names: list[str], boxes: torch.Tensor
) -> torch.Tensor:
    """Pool (N, 4) boxes from the levels of a pyramid, as `ROIPooler`: (N, channels, side, side)."""
    rois = torch.cat((torch.zeros_like(boxes[:, :1]), boxes), dim=1)  # all of image 0
    poolers = list(pooler.level_poolers)
    if len(poolers) == 1:
        pooled: torch.Tensor = poolers[0](features[names[0]], rois)
        return pooled
    box_size = _sizes(boxes).prod(dim=1).sqrt()
    level = pooler.canonical_level + torch.log2(box_size / pooler.canonical_box_size + 1e-8)
    level = level.floor().clamp(min=pooler.min_level, max=pooler.max_level) - pooler.min_level
    rows_of_level, pooled_of_level = [], []
    for index, (name, level_pooler) in enumerate(zip(names, poolers, strict=True)):
        rows = (level == index).nonzero()[:, 0]
        rows_of_level.append(rows)
        pooled_of_level.append(level_pooler(features[name], rois[rows]))
    return torch.cat(pooled_of_level)[torch.cat(rows_of_level).argsort()]


def _sizes(boxes_xyxy: torch.Tensor) -> torch.Tensor:
    """(N, 4) -> (N, 2) width and height."""
    return boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]


def _clipped(boxes_xyxy: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Clip (N, 4) boxes to an image of (2,) width and height."""
    limit = torch.cat((size, size)).to(boxes_xyxy.dtype)
    return torch.minimum(boxes_xyxy.clamp(min=0), limit)


def _check_parts(model: Any) -> None:
    """Check that the parts whose inference is repeated here are of the known classes.

    Raises:
        UserError: one is not.
    """
    heads: Any = getattr(model, "roi_heads", None)
    is_cascade = type(heads) is LandmarkCascadeROIHeads
    parts: list[tuple[str, Any, type]] = [
        ("MODEL.META_ARCHITECTURE", model, GeneralizedRCNN),
        ("MODEL.PROPOSAL_GENERATOR.NAME", getattr(model, "proposal_generator", None), RPN),
        (
            "MODEL.ROI_HEADS.NAME",
            heads,
            LandmarkCascadeROIHeads if is_cascade else LandmarkROIHeads,
        ),
    ]
    predictors: list[Any] = []
    if isinstance(heads, LandmarkROIHeads):
        predictors = [*heads.box_predictor] if is_cascade else [heads.box_predictor]
        parts += [("the box predictor", part, FastRCNNOutputLayers) for part in predictors]
        parts.append(("MODEL.ROI_KEYPOINT_HEAD.NAME", heads.keypoint_head, LandmarkRCNNHead))
    for key, part, known in parts:
        if type(part) is not known:
            raise UserError(
                f"{key}: the export knows {known.__name__}, but the model has "
                f"{type(part).__name__}; use the model with Predictor as it is"
            )
    if heads.mask_on and not isinstance(heads.mask_head, BaseMaskRCNNHead):
        raise UserError(
            f"MODEL.ROI_MASK_HEAD.NAME: {type(heads.mask_head).__name__} cannot be exported; give "
            "--opts MODEL.MASK_ON False to leave the masks out"
        )
    if any(getattr(part, "use_sigmoid_ce", False) for part in predictors):
        raise UserError("MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE: cannot be exported; only softmax can")
    if heads.keypoint_head.covariance:
        raise UserError(
            "MODEL.ROI_LANDMARK_HEAD.COVARIANCE: cannot be exported; give --opts "
            "MODEL.ROI_LANDMARK_HEAD.COVARIANCE False (the weights are the same)"
        )
    if heads.keypoint_head.decoder != "expected_oks":
        raise UserError(
            "MODEL.ROI_LANDMARK_HEAD.DECODER: the export decodes with expected_oks, but the model "
            f"has {heads.keypoint_head.decoder}, whose maps have the size of each box; give --opts "
            "MODEL.ROI_LANDMARK_HEAD.DECODER expected_oks (the weights are the same)"
        )
