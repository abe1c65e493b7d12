"""The 13 keypoint heads, in Detectron2's registries."""

from df2_landmarks.modeling.heatmap_codec import decode_heatmaps, encode_landmarks
from df2_landmarks.modeling.landmark_head import LandmarkRCNNHead
from df2_landmarks.modeling.landmark_loss import landmark_loss
from df2_landmarks.modeling.roi_heads import LandmarkROIHeads

__all__ = [
    "LandmarkRCNNHead",
    "LandmarkROIHeads",
    "decode_heatmaps",
    "encode_landmarks",
    "landmark_loss",
]
