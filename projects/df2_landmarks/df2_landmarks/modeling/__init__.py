"""The 13 keypoint heads, in Detectron2's registries."""

from df2_landmarks.modeling.checkpoint_layout import (
    HEAD,
    has_category_predictors,
    has_class_convolutions,
    has_single_predictor,
    to_category_predictors,
    to_single_predictor,
)
from df2_landmarks.modeling.heatmap_codec import decode_heatmaps, encode_landmarks
from df2_landmarks.modeling.landmark_head import LandmarkRCNNHead
from df2_landmarks.modeling.landmark_loss import landmark_loss
from df2_landmarks.modeling.oks_heatmaps import decode_expected_oks
from df2_landmarks.modeling.roi_heads import LandmarkROIHeads
from df2_landmarks.modeling.tta import LandmarkRCNNWithTTA

__all__ = [
    "HEAD",
    "LandmarkRCNNHead",
    "LandmarkRCNNWithTTA",
    "LandmarkROIHeads",
    "decode_expected_oks",
    "decode_heatmaps",
    "encode_landmarks",
    "has_category_predictors",
    "has_class_convolutions",
    "has_single_predictor",
    "landmark_loss",
    "to_category_predictors",
    "to_single_predictor",
]
