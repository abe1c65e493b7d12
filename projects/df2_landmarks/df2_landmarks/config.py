"""All configuration keys that this project adds to Detectron2's, with their defaults."""

from __future__ import annotations

from detectron2.config import CfgNode

from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy, taxonomy_text


def add_df2_landmarks_config(cfg: CfgNode) -> None:
    """Add the project's keys to a configuration in place.

    Numbers of categories and landmarks come from the taxonomy, so that no YAML contains them.
    """
    cfg.MODEL.ROI_HEADS.NAME = "LandmarkROIHeads"
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = DEEPFASHION2.num_categories
    cfg.MODEL.ROI_KEYPOINT_HEAD.NAME = "LandmarkRCNNHead"
    # Width of the padded landmark tensors in memory: the most landmarks that a category has.
    cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS = DEEPFASHION2.max_landmarks
    # Fewest labelled landmarks of an image to train on. 0: garments without any labelled landmark
    # still train the detector and the mask head.
    cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE = 0

    cfg.MODEL.ROI_LANDMARK_HEAD = CfgNode()
    # The categories and their landmarks: "" for DeepFashion2's; a taxonomy file (YAML or JSON), or
    # a COCO file with `categories`. A finished configuration holds the taxonomy itself, as JSON.
    cfg.MODEL.ROI_LANDMARK_HEAD.TAXONOMY = ""
    # Output channels of each category's own 3x3 convolutions, between the shared trunk
    # (ROI_KEYPOINT_HEAD.CONV_DIMS) and its predictor. Empty: the predictor alone.
    cfg.MODEL.ROI_LANDMARK_HEAD.CLASS_CONV_DIMS = []
    # Normalization of the trunk and of the category convolutions: "" (as stock) or "GN".
    cfg.MODEL.ROI_LANDMARK_HEAD.NORM = ""
    # Width and height of the region that the landmark head sees, in those of the box, with the same
    # centre. 1: the box (as stock). 1.2: landmarks at its border have surroundings, and those of a
    # box that is too small are still within reach.
    cfg.MODEL.ROI_LANDMARK_HEAD.BOX_SCALE = 1.0
    # At inference, look a second time: in the box of the landmarks that were placed first. The box
    # of the detection stays.
    cfg.MODEL.ROI_LANDMARK_HEAD.SECOND_LOOK = False
    # The first convolution of the trunk also sees where in the region it is: x and y from -1 to 1.
    # Its weights for them start at 0 and are separate, so that stock weights load.
    cfg.MODEL.ROI_LANDMARK_HEAD.COORDINATES = False
    # Landmarks with the same name (such as hem_left), in whatever category, share a predictor, to
    # which each landmark adds its own.
    cfg.MODEL.ROI_LANDMARK_HEAD.SHARE_BY_NAME = False
    # Training target of a landmark. 0: the cell that holds it (as stock). Else a distribution with
    # the shape of OKS around it, this many times as wide (1: as wide as the metric).
    cfg.MODEL.ROI_LANDMARK_HEAD.TARGET_WIDTH = 0.0
    # Where a landmark is placed: "peak", the maximum of its heatmap (stock Detectron2's decoding),
    # or "expected_oks", where the OKS is highest in expectation over its heatmap.
    cfg.MODEL.ROI_LANDMARK_HEAD.DECODER = "peak"
    # A detection's score is multiplied by this power of the mean confidence of its landmarks, which
    # should be that of "expected_oks". 0: the score stays that of the box head.
    cfg.MODEL.ROI_LANDMARK_HEAD.CONFIDENCE_POWER = 0.0
    # A small branch learns how well each landmark is placed, its similarity, from the head's own
    # landmarks beside the true ones. It becomes the landmark's confidence, whose mean is then the
    # predicted OKS of the detection: CONFIDENCE_POWER multiplies that into the score. Needs
    # "expected_oks". Landmarks and their training stay the same.
    cfg.MODEL.ROI_LANDMARK_HEAD.OKS_BRANCH = False
    # Lower the score of a detection where a better detection of another category overlaps it: a
    # duplicate of the same garment.
    cfg.MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES = False
    # Also give how far each landmark's heatmap spreads (`pred_covariance`, and `covariance` in
    # predictions): variances of x and y and their covariance, in square pixels. Needs no weights.
    cfg.MODEL.ROI_LANDMARK_HEAD.COVARIANCE = False
    # Also predict the probability that each landmark is visible, not occluded (`pred_visibility`).
    # Landmarks and their training stay the same.
    cfg.MODEL.ROI_LANDMARK_HEAD.VISIBILITY = False

    cfg.MODEL.TIMM = CfgNode()
    # A network of timm, for MODEL.BACKBONE.NAME "build_timm_fpn_backbone"; its weights from
    # ImageNet: MODEL.WEIGHTS "timm://" + the name. MODEL.BACKBONE.FREEZE_AT counts its features.
    cfg.MODEL.TIMM.NAME = ""
    # Its batch normalization: "FrozenBN" keeps statistics and weights, "BN" trains them.
    cfg.MODEL.TIMM.NORM = "FrozenBN"

    # What a training does with an image that is missing or cannot be read: "stop", or "skip" it, up
    # to 100 in each process of the loader.
    cfg.INPUT.ON_BAD_IMAGE = "stop"
    # Pictures with more pixels are not decoded, in training and prediction.
    cfg.INPUT.MAX_PIXELS = 100_000_000

    cfg.INPUT.AUGMENT = CfgNode()  # boxes, masks and landmarks follow; `df2 view` shows the result
    # Largest random rotation, in degrees in either direction.
    cfg.INPUT.AUGMENT.ROTATION = 0.0
    # Range of the random size of a picture, as a factor of the size of its frame: a smaller picture
    # is padded, of a larger one a random part is seen.
    cfg.INPUT.AUGMENT.SCALE = (1.0, 1.0)
    # Side of a square frame of all pictures. 0: frames of INPUT.MIN_SIZE_TRAIN.
    cfg.INPUT.AUGMENT.SQUARE_PX = 0
    # Random factors 1 - this to 1 + this of brightness, contrast and saturation.
    cfg.INPUT.AUGMENT.COLOR = 0.0
    # Largest random standard deviation of a Gaussian blur, in pixels of the resized picture.
    cfg.INPUT.AUGMENT.BLUR = 0.0
    # A grey rectangle hides up to this share of a picture's width and height. What is hidden of a
    # garment is no part of its mask; hidden landmarks become occluded.
    cfg.INPUT.AUGMENT.CUT_OUT = 0.0
    # Share of the pictures into which garments of another picture are pasted, cut out by their
    # masks. They hide what is behind them as a cut-out does.
    cfg.INPUT.COPY_PASTE = 0.0

    # "SGD" (Detectron2's) or "AdamW" (from-scratch training).
    cfg.SOLVER.OPTIMIZER = "SGD"
    # Train in bfloat16 on a CPU that computes in bfloat16 natively. No effect on other CPUs and on
    # a GPU, where Detectron2's SOLVER.AMP does this.
    cfg.SOLVER.BF16_ON_CPU = False
    # Exponential moving average of the weights: the share of the past that an iteration keeps, such
    # as 0.999; 0: no average. The average is evaluated, and is the model of a checkpoint.
    cfg.SOLVER.EMA_DECAY = 0.0
    # Micro-batches into which a batch of SOLVER.IMS_PER_BATCH is split, so that the recipe of
    # several GPUs fits into the memory of one. Must divide the images that a process gets.
    cfg.SOLVER.ACCUMULATE_STEPS = 1
    # Checkpoints of SOLVER.CHECKPOINT_PERIOD that stay: the newest ones; 0: all. model_best.pth and
    # model_final.pth always stay.
    cfg.SOLVER.CHECKPOINTS_KEPT = 5
    cfg.SOLVER.EARLY_STOPPING = CfgNode()
    # Number of evaluations (TEST.EVAL_PERIOD) in a row without a new best landmark AP that ends the
    # training; 0: train to the end.
    cfg.SOLVER.EARLY_STOPPING.PATIENCE = 0
    # Number of pictures of each data set in DATASETS.TEST, ground truth beside detections:
    # in TensorBoard at each evaluation of a training, in OUTPUT_DIR/pictures with --eval-only.
    cfg.TEST.NUM_PICTURES = 4


def set_taxonomy(cfg: CfgNode, taxonomy: Taxonomy) -> None:
    """Set a taxonomy, and the numbers of categories and landmarks, in a configuration in place."""
    cfg.MODEL.ROI_LANDMARK_HEAD.TAXONOMY = taxonomy_text(taxonomy)
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = taxonomy.num_categories
    cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS = taxonomy.max_landmarks
