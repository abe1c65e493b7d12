"""Evaluation with test-time augmentation, beside the plain one."""

from __future__ import annotations

import logging
from collections import OrderedDict
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode

logger = logging.getLogger(__name__)

SUFFIX = "_TTA"
"""Of the tasks' names, as in Detectron2's own projects."""

FOLDER = "inference_TTA"
"""In OUTPUT_DIR: the files of the augmented evaluation."""


def tta_config(cfg: CfgNode) -> CfgNode:
    """Configuration of the augmented pass: files in a folder of their own, images as they are.

    The views are made from the original image. Stock projects make them from the image that is
    resized for the plain evaluation, which resizes twice.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR, FOLDER))
    cfg.INPUT.MIN_SIZE_TEST = 0  # Detectron2's word for "do not resize"
    cfg.freeze()
    views = cfg.TEST.AUG
    logger.info(
        f"Once more with test-time augmentation: short sides {views.MIN_SIZES}, "
        f"{'each also mirrored' if views.FLIP else 'not mirrored'}; files in {cfg.OUTPUT_DIR}"
    )
    return cfg


def merge_results(plain: dict[str, Any], augmented: dict[str, Any], cfg: CfgNode) -> dict[str, Any]:
    """Plain results of `DefaultTrainer.test`, and the augmented ones under ``<task>_TTA``."""
    if len(cfg.DATASETS.TEST) > 1:  # then there is a level of data sets above the tasks
        return OrderedDict((name, _side_by_side(plain[name], augmented[name])) for name in plain)
    return _side_by_side(plain, augmented)


def _side_by_side(plain: dict[str, Any], augmented: dict[str, Any]) -> dict[str, Any]:
    return OrderedDict({**plain, **{task + SUFFIX: v for task, v in augmented.items()}})
