"""Networks of timm behind Detectron2's feature pyramid, and their weights from ImageNet.

* ``timm_backbone``: `TimmBackbone`, and ``build_timm_fpn_backbone`` in Detectron2's registry.
* ``imagenet``: `imagenet_weights`, from an installed package or from timm's hub.
"""

from df2_landmarks.modeling.backbone.imagenet import SCHEME, imagenet_weights, lite0_weights
from df2_landmarks.modeling.backbone.timm_backbone import TimmBackbone

__all__ = ["SCHEME", "TimmBackbone", "imagenet_weights", "lite0_weights"]
