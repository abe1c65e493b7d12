"""Every configuration key that this project adds to Detectron2's, with its default."""

from __future__ import annotations

from detectron2.config import CfgNode

from df2_landmarks.taxonomy import LAYOUT


def add_df2_landmarks_config(cfg: CfgNode) -> None:
    """Add the project's keys to `cfg` in place.

    Numbers of categories and landmarks come from the taxonomy, so that no YAML contains them.
    """
    cfg.MODEL.ROI_HEADS.NAME = "LandmarkROIHeads"
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = LAYOUT.num_categories
    cfg.MODEL.ROI_KEYPOINT_HEAD.NAME = "LandmarkRCNNHead"
    # Width of the padded landmark tensors in memory: the most landmarks that a category has.
    cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS = LAYOUT.max_landmarks
    # Landmarks that an image must have to be trained on. 0: garments without any labelled landmark
    # still train the detector and the mask head.
    cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE = 0

    cfg.MODEL.ROI_LANDMARK_HEAD = CfgNode()
    # Output channels of the 3x3 convolutions that each category has of its own, between the shared
    # trunk (ROI_KEYPOINT_HEAD.CONV_DIMS) and its predictor. Empty: the predictor alone.
    cfg.MODEL.ROI_LANDMARK_HEAD.CLASS_CONV_DIMS = []
    # Normalization of the trunk and of the category convolutions: "" (as stock) or "GN".
    cfg.MODEL.ROI_LANDMARK_HEAD.NORM = ""
    # Landmarks with the same name (such as hem_left), in whatever category, share a predictor, to
    # which each adds one of its own.
    cfg.MODEL.ROI_LANDMARK_HEAD.SHARE_BY_NAME = False
    # Training target of a landmark: 0: the cell that holds it (as stock). Else a distribution with
    # the shape of OKS around it, this many times as wide (1: as wide as the metric).
    cfg.MODEL.ROI_LANDMARK_HEAD.TARGET_WIDTH = 0.0
    # Where a landmark is put: "peak", the maximum of its heatmap (as stock), or "expected_oks",
    # where the OKS is highest in expectation over its heatmap.
    cfg.MODEL.ROI_LANDMARK_HEAD.DECODER = "peak"
    # A detection's score is multiplied by this power of the mean confidence of its landmarks, which
    # should be that of "expected_oks". 0: the score stays that of the box head.
    cfg.MODEL.ROI_LANDMARK_HEAD.CONFIDENCE_POWER = 0.0
    # Lower the score of a detection where a better one of another category claims the same garment.
    cfg.MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES = False

    # "SGD" (Detectron2's) or "AdamW" (from-scratch training).
    cfg.SOLVER.OPTIMIZER = "SGD"
    # Train in bfloat16 on a CPU that computes in it natively; no effect on others or on a GPU
    # (there: Detectron2's SOLVER.AMP).
    cfg.SOLVER.BF16_ON_CPU = False
    # Exponential moving average of the weights: the share of the past that an iteration keeps, such
    # as 0.999; 0: none. The average is what is evaluated and what a checkpoint holds as its model.
    cfg.SOLVER.EMA_DECAY = 0.0
    # Micro-batches that a batch of SOLVER.IMS_PER_BATCH is split into, for a smaller memory: one
    # GPU keeps the recipe of several. Must divide the images that a process gets.
    cfg.SOLVER.ACCUMULATE_STEPS = 1
    cfg.SOLVER.EARLY_STOPPING = CfgNode()
    # Evaluations (TEST.EVAL_PERIOD) in a row without a new best landmark AP that end the training;
    # 0: train to the end.
    cfg.SOLVER.EARLY_STOPPING.PATIENCE = 0
    # Pictures of ground truth beside detections in TensorBoard at each evaluation; 0: none.
    cfg.TEST.NUM_PICTURES = 4
