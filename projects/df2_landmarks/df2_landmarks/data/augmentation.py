"""Augmentation lists, from the configuration's INPUT section."""

from __future__ import annotations

from detectron2.config import CfgNode
from detectron2.data import detection_utils
from detectron2.data import transforms as T


def build_augmentation(cfg: CfgNode, is_train: bool) -> list[T.Augmentation]:
    """Detectron2's default list (resize, flip), after its random crop where that is enabled."""
    augmentations = detection_utils.build_augmentation(cfg, is_train)
    if is_train and cfg.INPUT.CROP.ENABLED:
        augmentations.insert(0, T.RandomCrop(cfg.INPUT.CROP.TYPE, cfg.INPUT.CROP.SIZE))
    return augmentations
