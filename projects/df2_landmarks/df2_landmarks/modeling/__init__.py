"""The keypoint heads of the 13 categories, in Detectron2's registries.

* ``landmark_head``: `LandmarkRCNNHead`, the head with a branch per category; ``layers``: its parts.
* ``heatmaps``: landmarks into heatmaps and back; ``landmark_loss``: the losses.
* ``landmark_linear``: a number per landmark from the features where it lies, such as visibility.
* ``oks_branch``: how well landmarks are placed.
* ``rescoring``: scores of detections after their landmarks are known.
* ``inference``: detections with masks above a threshold only.
* ``roi_heads``: the RoI heads around it; ``tta``: the model with test-time augmentation.
* ``backbone``: networks of timm, a room of its own.
* ``checkpoint_layout``: weights of a stock head into those of a head per category, and back.
"""

from df2_landmarks.modeling.backbone import SCHEME as TIMM_SCHEME
from df2_landmarks.modeling.backbone import TimmBackbone, imagenet_weights
from df2_landmarks.modeling.checkpoint_layout import (
    BESIDE,
    HEAD,
    has_category_predictors,
    has_class_convolutions,
    has_single_predictor,
    to_category_predictors,
    to_single_predictor,
)
from df2_landmarks.modeling.heatmaps import (
    STEP_CELLS,
    decode_expected_oks,
    decode_peak,
    encode_cells,
    enlarge_boxes,
)
from df2_landmarks.modeling.inference import detect, padded_size
from df2_landmarks.modeling.landmark_head import LandmarkRCNNHead
from df2_landmarks.modeling.landmark_loss import landmark_loss
from df2_landmarks.modeling.layers import num_spare_regions
from df2_landmarks.modeling.rescoring import new_scores
from df2_landmarks.modeling.roi_heads import LandmarkCascadeROIHeads, LandmarkROIHeads
from df2_landmarks.modeling.tta import LandmarkRCNNWithTTA

__all__ = [
    "BESIDE",
    "HEAD",
    "STEP_CELLS",
    "TIMM_SCHEME",
    "LandmarkCascadeROIHeads",
    "LandmarkRCNNHead",
    "LandmarkRCNNWithTTA",
    "LandmarkROIHeads",
    "TimmBackbone",
    "decode_expected_oks",
    "decode_peak",
    "detect",
    "encode_cells",
    "enlarge_boxes",
    "has_category_predictors",
    "has_class_convolutions",
    "has_single_predictor",
    "imagenet_weights",
    "landmark_loss",
    "new_scores",
    "num_spare_regions",
    "padded_size",
    "to_category_predictors",
    "to_single_predictor",
]
