"""Values of a configuration that would fail late in a training, or do something else in silence."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils.file_io import PathManager

from df2_landmarks.taxonomy import LAYOUT

NOT_NEGATIVE = (
    "MODEL.ROI_LANDMARK_HEAD.TARGET_WIDTH",
    "MODEL.ROI_LANDMARK_HEAD.CONFIDENCE_POWER",
    "SOLVER.EARLY_STOPPING.PATIENCE",
    "TEST.NUM_PICTURES",
)


def check_values(cfg: CfgNode) -> None:
    """Check values that building the model and the trainer does not.

    Raises:
        ValueError: one is out of its range.
    """
    for key in NOT_NEGATIVE:
        value = cfg
        for name in key.split("."):
            value = value[name]
        if value is None or not 0 <= value < math.inf:
            raise ValueError(f"{key} must be 0 or more, but got {value}")
    dims = cfg.MODEL.ROI_LANDMARK_HEAD.CLASS_CONV_DIMS
    if dims is None or not all(isinstance(number, int) and number > 0 for number in dims):
        raise ValueError(
            "MODEL.ROI_LANDMARK_HEAD.CLASS_CONV_DIMS must be numbers of channels, such as [64], "
            f"but got {dims}"
        )
    if LAYOUT.num_categories != cfg.MODEL.ROI_HEADS.NUM_CLASSES:
        raise ValueError(
            f"MODEL.ROI_HEADS.NUM_CLASSES must be {LAYOUT.num_categories}, the categories of "
            f"DeepFashion2, but got {cfg.MODEL.ROI_HEADS.NUM_CLASSES}"
        )


def check_evaluation(cfg: CfgNode) -> None:
    """Check what an evaluation needs, which may be hours away.

    Raises:
        ValueError: there is no such data set, or the model or its augmentation cannot be evaluated.
    """
    check_names(cfg.DATASETS.TEST, "DATASETS.TEST")
    if cfg.DATASETS.TEST and not cfg.MODEL.KEYPOINT_ON:
        raise ValueError("MODEL.KEYPOINT_ON must be True: landmarks are what is evaluated")
    if cfg.TEST.AUG.ENABLED and not cfg.TEST.AUG.MIN_SIZES:
        raise ValueError("TEST.AUG.ENABLED needs at least one size in TEST.AUG.MIN_SIZES")


def check_training(cfg: CfgNode) -> None:
    """Check the data sets that a training is to learn from, and those that it comes to later.

    Raises:
        FileNotFoundError: one to be evaluated has no annotation file.
        ValueError: there is no such data set.
    """
    check_names(cfg.DATASETS.TRAIN, "DATASETS.TRAIN")
    for name in cfg.DATASETS.TEST:
        json_file = MetadataCatalog.get(name).get("json_file")
        if json_file is not None and not PathManager.isfile(json_file):
            raise FileNotFoundError(
                f"DATASETS.TEST {name}: {json_file} does not exist. Put the raw data in place and "
                "run `make convert`, point DETECTRON2_DATASETS to the folder that holds it (see "
                'datasets/README.md), or train without evaluation: DATASETS.TEST "()"'
            )


def check_names(names: Sequence[str], key: str) -> None:
    """Check that data sets are registered.

    Raises:
        ValueError: one is not.
    """
    known = DatasetCatalog.list()
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]}?" if close else "Add it by register_landmark_dataset"
            raise ValueError(f"{key}: there is no data set {name!r}. {hint}")
