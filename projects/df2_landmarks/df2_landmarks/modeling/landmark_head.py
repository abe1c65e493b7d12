"""The keypoint head with one branch per category.

Shapes: R = regions (RoIs) of the batch, C = categories, K = landmarks of one category, M = the most
that a category has, S = side of a heatmap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from detectron2.layers import ConvTranspose2d, ShapeSpec, cat
from detectron2.modeling.roi_heads import ROI_KEYPOINT_HEAD_REGISTRY
from detectron2.structures import Instances
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.modeling.heatmaps import (
    decode_expected_oks,
    decode_peak,
    encode_cells,
    encode_soft,
    enlarge_boxes,
    heatmap_covariance,
)
from df2_landmarks.modeling.landmark_linear import LandmarkLinear
from df2_landmarks.modeling.landmark_loss import (
    landmark_loss,
    probability_loss,
    soft_landmark_loss,
)
from df2_landmarks.modeling.layers import (
    STRIDE,
    CategoryBranch,
    CoordinateConv,
    channels_by_name,
    connected_zero,
    conv3x3,
    num_spare_regions,
    predictor,
    upsample,
)
from df2_landmarks.modeling.oks_branch import OksBranch, similarity
from df2_landmarks.modeling.rescoring import rescore
from df2_landmarks.taxonomy import taxonomy_of

DECODERS = ("peak", "expected_oks")
RATED_STEP = 4
"""The OKS branch learns from every fourth region of a batch: to decode 500 heatmaps takes 28 ms of
CPU time, a training step of the demo 380 ms."""


class ClassOutput(NamedTuple):
    """What the head computes for the regions of one class.

    Attributes:
        class_index: the class.
        rows: (rows,) its regions among all regions.
        logits: (rows, K, S, S) heatmaps.
        visibility: (rows, K) probability 0..1 that a landmark is visible; None without a predictor.
        evidence: (rows, K) of the OKS branch, for `LandmarkRCNNHead.decode`; None without one.
    """

    class_index: int
    rows: torch.Tensor
    logits: torch.Tensor
    visibility: torch.Tensor | None
    evidence: torch.Tensor | None = None


class _Maps(NamedTuple):
    """Of the regions of one class, in the routed order: rows, and S / 4 or S / 2 cells a side.

    Attributes:
        class_index: the class.
        features: (rows, channels, S / 4, S / 4) pooled features.
        trunk: (rows, trunk channels, S / 4, S / 4) of the shared convolutions.
        lowres: (rows, K, S / 2, S / 2) heatmaps before the upsampling.
    """

    class_index: int
    features: torch.Tensor
    trunk: torch.Tensor
    lowres: torch.Tensor


@ROI_KEYPOINT_HEAD_REGISTRY.register()
class LandmarkRCNNHead(nn.Module):
    """Shared convolutions, then a branch per category; a region passes through one branch only.

    In training that is the branch of the ground-truth category of the region, at inference the one
    of the predicted category. The shared convolutions have the names and shapes of Detectron2's
    `KRCNNConvDeconvUpsampleHead`, so that weights trained on COCO persons load into them.

    A region is a box, enlarged by `box_scale`; its heatmaps span it. Whoever pools the features
    enlarges the boxes by the same factor; the head is given the boxes as they are.
    """

    counts: torch.Tensor
    sigmas: torch.Tensor
    shared_predictor: ConvTranspose2d | None

    @configurable
    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_landmarks: Sequence[int],
        conv_dims: Sequence[int],
        class_conv_dims: Sequence[int] = (),
        norm: str = "",
        box_scale: float = 1.0,
        coordinates: bool = False,
        shared_names: Sequence[Sequence[str]] | None = None,
        sigmas: Sequence[Sequence[float]] | None = None,
        target_width: float = 0.0,
        decoder: str = "peak",
        confidence_power: float = 0.0,
        suppress_across_categories: bool = False,
        loss_weight: float = 1.0,
        visibility: bool = False,
        oks_branch: bool = False,
        second_look: bool = False,
        covariance: bool = False,
    ) -> None:
        """
        Args:
            input_shape: shape of the pooled features.
            num_landmarks: K of each category.
            conv_dims: output channels of the shared convolutions.
            class_conv_dims: output channels of each category's own convolutions.
            norm: normalization of all convolutions, "" or a name that Detectron2 knows ("GN").
            box_scale: width and height of a region in those of the box.
            coordinates: the first shared convolution also sees x and y in the region.
            shared_names: names of each category's landmarks. Landmarks with the same name, in
                whatever category, share a predictor, and each adds one of its own. None: each has
                its own only.
            sigmas: OKS sigmas of each category's landmarks, for `target_width` and "expected_oks".
            target_width: standard deviation of the training target in those of OKS; 0: one cell.
            decoder: "peak" (`decode_peak`, as stock) or "expected_oks" (`decode_expected_oks`).
            confidence_power: passed to `rescore`; 0 leaves the scores of the box head.
            suppress_across_categories: passed to `rescore`.
            loss_weight: factor of the loss.
            visibility: also predict whether each landmark is visible or occluded.
            oks_branch: the confidence of a landmark is the similarity that an `OksBranch` predicts.
                Needs "expected_oks".
            second_look: at inference, whoever pools the features does so again, in
                `landmark_boxes` of the first landmarks.
            covariance: also give the covariance of each landmark's heatmap.

        Raises:
            UserError: there is no such decoder or normalization, no shared convolution that could
                see coordinates, or no "expected_oks" for the OKS branch.
        """
        super().__init__()
        if decoder not in DECODERS:
            raise UserError(
                f"MODEL.ROI_LANDMARK_HEAD.DECODER must be one of {DECODERS}, but got {decoder!r}"
            )
        if coordinates and not conv_dims:
            raise UserError(
                "MODEL.ROI_LANDMARK_HEAD.COORDINATES needs a shared convolution, but "
                "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS is empty"
            )
        if oks_branch and decoder != "expected_oks":
            raise UserError(
                "MODEL.ROI_LANDMARK_HEAD.OKS_BRANCH needs DECODER expected_oks, whose confidence "
                f"it corrects, but got {decoder!r}"
            )
        needs_sigmas = target_width > 0 or decoder == "expected_oks"
        assert sigmas is not None or not needs_sigmas, (target_width, decoder)
        assert sigmas is None or [len(row) for row in sigmas] == list(num_landmarks), num_landmarks
        self.num_landmarks = tuple(num_landmarks)
        self.box_scale = box_scale
        self.second_look = second_look
        self.covariance = covariance
        self.target_width = target_width
        self.decoder = decoder
        self.confidence_power = confidence_power
        self.suppress_across_categories = suppress_across_categories
        self.loss_weight = loss_weight
        self.trunk_names: list[str] = []
        channels = input_shape.channels
        for index, out_channels in enumerate(conv_dims, 1):
            name = f"conv_fcn{index}"
            self.add_module(name, conv3x3(channels, out_channels, norm))
            self.trunk_names.append(name)
            channels = out_channels
        # Buffers outside of checkpoints: they come from the taxonomy.
        self.register_buffer("counts", torch.tensor(self.num_landmarks), persistent=False)
        # Sigmas are shares of the square root of an area: here of the region's.
        rows = [torch.tensor(row, dtype=torch.float32) / box_scale for row in sigmas or ()]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True) if rows else None
        self.register_buffer("sigmas", padded, persistent=False)  # (C, M)
        self.branches = nn.ModuleList(
            CategoryBranch(channels, count, conv_dims=class_conv_dims, norm=norm)
            for count in self.num_landmarks
        )
        self.shared_predictor = None
        if shared_names is not None:
            num_names, channels_of = channels_by_name(shared_names)
            self.shared_predictor = predictor((channels, *class_conv_dims)[-1], num_names)
            for class_index, places in enumerate(channels_of):
                values = torch.tensor(places)
                self.register_buffer(f"shared_channels{class_index}", values, persistent=False)
        for parameter_name, parameter in self.named_parameters():
            if parameter_name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif self.shared_predictor and parameter_name.endswith("score_lowres.weight"):
                nn.init.zeros_(parameter)  # a category learns its difference to the shared one
            elif parameter.dim() > 1:  # not the scales of a normalization
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")
        self.coordinates = CoordinateConv(conv_dims[0]) if coordinates else None
        self.visibility: LandmarkLinear | None = None
        if visibility:
            self.visibility = LandmarkLinear(
                input_shape.channels, self.num_landmarks, shared_names=shared_names
            )
        self.oks_branch: OksBranch | None = None
        if oks_branch:
            self.oks_branch = OksBranch(channels, self.num_landmarks, shared_names=shared_names)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec) -> dict[str, Any]:
        taxonomy = taxonomy_of(cfg)
        return {
            "input_shape": input_shape,
            "num_landmarks": taxonomy.counts,
            "conv_dims": cfg.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS,
            "class_conv_dims": cfg.MODEL.ROI_LANDMARK_HEAD.CLASS_CONV_DIMS,
            "norm": cfg.MODEL.ROI_LANDMARK_HEAD.NORM,
            "box_scale": cfg.MODEL.ROI_LANDMARK_HEAD.BOX_SCALE,
            "coordinates": cfg.MODEL.ROI_LANDMARK_HEAD.COORDINATES,
            "shared_names": (
                [category.landmark_names for category in taxonomy.categories]
                if cfg.MODEL.ROI_LANDMARK_HEAD.SHARE_BY_NAME
                else None
            ),
            "sigmas": [taxonomy.sigmas(c).tolist() for c in range(taxonomy.num_categories)],
            "target_width": cfg.MODEL.ROI_LANDMARK_HEAD.TARGET_WIDTH,
            "decoder": cfg.MODEL.ROI_LANDMARK_HEAD.DECODER,
            "confidence_power": cfg.MODEL.ROI_LANDMARK_HEAD.CONFIDENCE_POWER,
            "suppress_across_categories": cfg.MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES,
            "loss_weight": cfg.MODEL.ROI_KEYPOINT_HEAD.LOSS_WEIGHT,
            "visibility": cfg.MODEL.ROI_LANDMARK_HEAD.VISIBILITY,
            "oks_branch": cfg.MODEL.ROI_LANDMARK_HEAD.OKS_BRANCH,
            "second_look": cfg.MODEL.ROI_LANDMARK_HEAD.SECOND_LOOK,
            "covariance": cfg.MODEL.ROI_LANDMARK_HEAD.COVARIANCE,
        }

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the losses that `forward` returns in training."""
        return (
            "loss_keypoint",
            *(() if self.visibility is None else ("loss_visibility",)),
            *(() if self.oks_branch is None else ("loss_oks",)),
        )

    @property
    def num_values(self) -> int:
        """Numbers of a landmark: x, y, confidence, and those of `heatmap_covariance` if asked."""
        return 6 if self.covariance else 3

    def forward(
        self, features: torch.Tensor, instances: list[Instances]
    ) -> dict[str, torch.Tensor] | list[Instances]:
        """
        Args:
            features: (R, channels, height, width) pooled features of the regions of all images.
            instances: per image. In training the foreground proposals with `proposal_boxes`,
                `gt_classes` and `gt_keypoints` (category-local, padded to M), with an OKS branch
                `gt_boxes` too; at inference the detections with `pred_boxes` and `pred_classes`.

        Returns:
            In training scalars by the names of `loss_names`; at inference `instances`, each with
            `pred_keypoints` (detections, M, 3): x and y in continuous image coordinates, and the
            confidence that the decoder or the OKS branch gives; zeros in the padding. With a
            visibility predictor also `pred_visibility` (detections, M): the probability 0..1 that
            the landmark is visible; zeros in the padding. With `covariance` also `pred_covariance`
            (detections, M, 3) of `heatmap_covariance`, which no postprocessing scales to another
            size of the image. Where rescoring is configured they come with new `scores`, best
            first. No heatmaps are kept.
        """
        if self.training:
            return self._losses(features, instances)
        boxes_xyxy = cat([x.pred_boxes.tensor for x in instances])
        classes = cat([x.pred_classes for x in instances])
        return self.with_landmarks(instances, *self.predict(features, boxes_xyxy, classes))

    def predict(
        self, features: torch.Tensor, boxes_xyxy: torch.Tensor, classes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Place the landmarks of regions, without rescoring.

        Args:
            features: (R, channels, height, width) pooled features of the regions of all images.
            boxes_xyxy: (R, 4) in image space.
            classes: (R,) class of each region.

        Returns:
            (R, M, num_values) landmarks and (R, M) visibility, None without a predictor; zeros in
            the padding.
        """
        landmarks = boxes_xyxy.new_zeros(len(classes), max(self.num_landmarks), self.num_values)
        visibility = landmarks.new_zeros(landmarks.shape[:2])
        for output in self.class_outputs(features, classes):
            rows = output.rows
            decoded = self.decode(
                output.logits, boxes_xyxy[rows], output.class_index, output.evidence
            )
            landmarks[rows, : decoded.shape[1]] = decoded
            if output.visibility is not None:
                visibility[rows, : decoded.shape[1]] = output.visibility
        return landmarks, None if self.visibility is None else visibility

    def with_landmarks(
        self, instances: list[Instances], landmarks: torch.Tensor, visibility: torch.Tensor | None
    ) -> list[Instances]:
        """Give the detections of all images what `predict` returned for them, and rescore them."""
        counts = [len(x) for x in instances]
        for x, landmarks_of_image in zip(instances, landmarks.split(counts), strict=True):
            x.pred_keypoints = landmarks_of_image[..., :3]
            if self.covariance:
                x.pred_covariance = landmarks_of_image[..., 3:]
        if visibility is not None:
            for x, visibility_of_image in zip(instances, visibility.split(counts), strict=True):
                x.pred_visibility = visibility_of_image
        return [self.rescore(x) for x in instances]

    def landmark_boxes(self, landmarks: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Return the (R, 4) boxes around (R, M, 3) landmarks of (R,) classes: the second look's."""
        is_own = (
            torch.arange(landmarks.shape[1], device=classes.device) < self.counts[classes][:, None]
        )
        xy = torch.where(is_own[..., None], landmarks[..., :2], landmarks[:, :1, :2])
        return torch.cat((xy.amin(dim=1), xy.amax(dim=1)), dim=1)

    def class_outputs(self, features: torch.Tensor, classes: torch.Tensor) -> Iterator[ClassOutput]:
        """Yield the outputs of one category after the other; one without regions has none.

        Args:
            features: (R, channels, height, width).
            classes: (R,) class of each region.
        """
        order, counts = self._route(classes)
        rows = order.split(counts)
        for maps in self._class_maps(features, order, counts):
            visibility = self._visibility_logits(maps)
            yield ClassOutput(
                maps.class_index,
                rows[maps.class_index],
                upsample(maps.lowres),
                None if visibility is None else visibility.sigmoid(),
                self._evidence(maps),
            )

    def _class_maps(
        self, features: torch.Tensor, order: torch.Tensor, counts: list[int]
    ) -> Iterator[_Maps]:
        """Yield the maps of one category after the other; one without regions has none."""
        # Sorted once and split: indexing once per category would cost a gradient of the size of
        # all features for each of them.
        features = features.index_select(0, order)
        trunk = self._trunk(features)
        per_class = zip(self.branches, features.split(counts), trunk.split(counts), strict=True)
        for class_index, (branch, class_features, class_trunk) in enumerate(per_class):
            if len(class_features):
                lowres = branch(class_trunk, self._shared(class_index))
                yield _Maps(class_index, class_features, class_trunk, lowres)

    def _visibility_logits(self, maps: _Maps) -> torch.Tensor | None:
        if self.visibility is None:
            return None
        return self.visibility(maps.features, maps.lowres, maps.class_index)

    def _evidence(self, maps: _Maps) -> torch.Tensor | None:
        if self.oks_branch is None:
            return None
        return self.oks_branch(maps.trunk, maps.lowres, maps.class_index)

    def _trunk(self, features: torch.Tensor) -> torch.Tensor:
        for index, name in enumerate(self.trunk_names):
            features = getattr(self, name)(features)
            if index == 0 and self.coordinates is not None:
                features = features + self.coordinates(int(features.shape[-1]))
            features = F.relu(features)
        return features

    def _shared(self, class_index: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Weight and bias of the shared predictor for a class's landmarks."""
        if self.shared_predictor is None:
            return None
        channels = getattr(self, f"shared_channels{class_index}")
        shared = self.shared_predictor
        return shared.weight.index_select(1, channels), shared.bias.index_select(0, channels)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        """Load; a shared predictor and coordinates that the given weights lack are set to zero."""
        branch_key = f"{prefix}branches.0.score_lowres.weight"
        if self.shared_predictor is not None and branch_key in state_dict:
            for name, parameter in self.shared_predictor.named_parameters():
                key = f"{prefix}shared_predictor.{name}"
                state_dict.setdefault(key, torch.zeros_like(parameter))
        if self.coordinates is not None:
            zero = torch.zeros_like(self.coordinates.weight)
            state_dict.setdefault(f"{prefix}coordinates.weight", zero)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def predict_for_export(
        self, features: torch.Tensor, boxes_xyxy: torch.Tensor, classes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Predict as `predict`, in operations that a tracer can record.

        `predict` splits the regions by their number per category, and a tracer would keep the
        numbers of its example. Here each category selects its regions in the graph; one without
        regions computes on empty tensors.

        Args:
            features: (R, channels, height, width) pooled features of the regions of one image.
            boxes_xyxy: (R, 4) in image space.
            classes: (R,) class of each region.

        Returns:
            What `predict` returns.
        """
        num_regions, spare = features.shape[0], num_spare_regions(self)
        if spare:  # of no class; every class computes it
            features = F.pad(features, (0, 0, 0, 0, 0, 0, 0, spare))
            boxes_xyxy = F.pad(boxes_xyxy, (0, 0, 0, spare))
            classes = F.pad(classes, (0, spare), value=-1)
        trunk = self._trunk(features)
        rows_of_class, landmarks, visibility = [], [], []
        for class_index, branch in enumerate(self.branches):
            is_routed = (classes == class_index) | (classes == -1)
            rows = is_routed.nonzero()[:, 0]
            padding = max(self.num_landmarks) - self.num_landmarks[class_index]
            lowres = branch(trunk[rows], self._shared(class_index))
            maps = _Maps(class_index, features[rows], trunk[rows], lowres)
            decoded = self.decode(
                *(upsample(lowres), boxes_xyxy[rows], class_index, self._evidence(maps)),
                exporting=True,
            )
            in_image = rows < num_regions
            rows_of_class.append(rows[in_image])
            landmarks.append(F.pad(decoded, (0, 0, 0, padding))[in_image])
            visible = self._visibility_logits(maps)
            if visible is not None:
                visibility.append(F.pad(visible.sigmoid(), (0, padding))[in_image])
        place = torch.cat(rows_of_class).argsort()  # of each region among the routed ones
        in_order = torch.cat(landmarks)[place]
        return in_order, torch.cat(visibility)[place] if visibility else None

    def decode(
        self,
        logits: torch.Tensor,
        boxes_xyxy: torch.Tensor,
        class_index: int,
        evidence: torch.Tensor | None = None,
        *,
        exporting: bool = False,
    ) -> torch.Tensor:
        """Decode (rows, K, S, S) heatmaps of a class, of (rows, 4) boxes: (rows, K, num_values).

        `evidence` (rows, K) is that of the OKS branch. `exporting` is passed to
        `decode_expected_oks`; `decode_peak` cannot be exported.
        """
        regions_xyxy = enlarge_boxes(boxes_xyxy, self.box_scale)
        if self.decoder == "expected_oks":
            sigmas = self.sigmas[class_index, : self.num_landmarks[class_index]]
            decoded = decode_expected_oks(logits, regions_xyxy, sigmas, exporting=exporting)
        else:
            assert not exporting, self.decoder
            decoded = decode_peak(logits, regions_xyxy)
        if self.oks_branch is not None:
            assert evidence is not None
            confidence = self.oks_branch.similarity_logits(decoded[..., 2], evidence, class_index)
            decoded = torch.cat((decoded[..., :2], confidence.sigmoid()[..., None]), dim=-1)
        if self.covariance:
            decoded = torch.cat((decoded, heatmap_covariance(logits, regions_xyxy)), dim=-1)
        return decoded

    def _losses(
        self, features: torch.Tensor, instances: list[Instances]
    ) -> dict[str, torch.Tensor]:
        if len(features) == 0:
            return dict.fromkeys(self.loss_names, features.sum() * 0 + connected_zero(self))
        regions_xyxy = enlarge_boxes(
            cat([x.proposal_boxes.tensor for x in instances]), self.box_scale
        )
        landmarks = cat([x.gt_keypoints.tensor for x in instances if len(x)])
        classes = cat([x.gt_classes for x in instances])
        order, counts = self._route(classes)
        # In the routed order, as everything below.
        landmarks, regions_xyxy, classes = landmarks[order], regions_xyxy[order], classes[order]
        side = STRIDE * features.shape[-1]
        cells, valid = encode_cells(landmarks, regions_xyxy, side)
        is_own = torch.arange(valid.shape[1], device=valid.device) < self.counts[classes][:, None]
        valid &= is_own
        is_rated = torch.zeros_like(valid)
        if self.oks_branch is not None:
            # The OKS counts labelled landmarks outside of the region too.
            is_rated[::RATED_STEP] = (is_own & (landmarks[..., 2] > 0))[::RATED_STEP]
        row, local = (valid | is_rated).nonzero(as_tuple=True)
        num_used = torch.bincount(classes[row], minlength=len(counts)).tolist()
        used_of_class = [*zip(row.split(num_used), local.split(num_used), strict=True)]
        chosen: list[torch.Tensor] = []
        visibility_logits: list[torch.Tensor] = []
        evidence: list[torch.Tensor] = []
        first_row = 0
        for maps in self._class_maps(features, order, counts):
            class_row, class_local = used_of_class[maps.class_index]
            places = (class_row - first_row) * maps.lowres.shape[1] + class_local
            # Chosen before the upsampling, so that only maps with a label are upsampled.
            chosen.append(maps.lowres.flatten(0, 1).index_select(0, places))
            for values, of_class in (
                (visibility_logits, self._visibility_logits(maps)),
                (evidence, self._evidence(maps)),
            ):
                if of_class is not None:
                    values.append(of_class.flatten().index_select(0, places))
            first_row += counts[maps.class_index]
        logits = upsample(torch.cat(chosen))
        visible = torch.cat(visibility_logits) if visibility_logits else None
        losses = {}
        if self.oks_branch is not None:
            areas = cat([x.gt_boxes.area() for x in instances if len(x)])[order]
            rated = is_rated[row, local].nonzero()[:, 0]
            rated_row, rated_local = row[rated], local[rated]
            losses["loss_oks"] = self._oks_loss(
                logits[rated],
                torch.cat(evidence)[rated],
                regions_xyxy[rated_row],
                classes[rated_row],
                rated_local,
                landmarks[rated_row, rated_local, :2],
                areas[rated_row],
            )
            in_region = valid[row, local]
            row, local, logits = row[in_region], local[in_region], logits[in_region]
            visible = None if visible is None else visible[in_region]
        if self.target_width > 0:
            sigmas, xy = self.sigmas[classes[row], local], landmarks[row, local, :2]
            weights = encode_soft(xy, regions_xyxy[row], sigmas, side, width=self.target_width)
            loss = soft_landmark_loss(logits, weights)
        else:
            loss = landmark_loss(logits, cells[row, local])
        for branch, count in zip(self.branches, counts, strict=True):
            if count == 0:
                # DistributedDataParallel waits for the gradients of all parameters.
                loss = loss + connected_zero(branch)
        losses["loss_keypoint"] = loss * self.loss_weight
        if visible is not None:
            losses["loss_visibility"] = probability_loss(visible, landmarks[row, local, 2] == 2)
        return {name: losses[name] for name in self.loss_names}

    def _oks_loss(
        self,
        logits: torch.Tensor,
        evidence: torch.Tensor,
        regions_xyxy: torch.Tensor,
        classes: torch.Tensor,
        local: torch.Tensor,
        true_xy: torch.Tensor,
        areas: torch.Tensor,
    ) -> torch.Tensor:
        """Return the loss of the OKS branch on the landmarks that the head itself places.

        Args:
            logits: (N, S, S) heatmaps of labelled landmarks.
            evidence: (N,) of the branch.
            regions_xyxy: (N, 4).
            classes: (N,).
            local: (N,) local index of each landmark.
            true_xy: (N, 2) in image space.
            areas: (N,) of the true boxes, in square pixels.
        """
        assert self.oks_branch is not None
        sigmas = self.sigmas[classes, local]
        decoded = decode_expected_oks(logits[:, None], regions_xyxy, sigmas[:, None])[:, 0]
        target = similarity(decoded[:, :2], true_xy, sigmas * self.box_scale, areas)
        predicted = self.oks_branch.similarity_logits(decoded[:, 2], evidence, classes)
        return probability_loss(predicted, target)

    def rescore(self, instances: Instances) -> Instances:
        """Apply `rescoring.rescore` as configured to the detections of one image."""
        if self.confidence_power == 0 and not self.suppress_across_categories:
            return instances
        return rescore(
            instances,
            self.counts,
            confidence_power=self.confidence_power,
            suppress_across_categories=self.suppress_across_categories,
        )

    def _route(self, classes: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
        """Rows sorted by category and the number of rows of each; one host synchronisation."""
        order = torch.argsort(classes, stable=True)
        counts = torch.bincount(classes, minlength=len(self.branches))
        return order, counts.tolist()
