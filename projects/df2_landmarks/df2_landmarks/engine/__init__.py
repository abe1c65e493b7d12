"""Training and testing with Detectron2: what joins data, model and evaluation."""

from df2_landmarks.engine.checkpoint import evaluation_weights, load_for_evaluation
from df2_landmarks.engine.checkpoint_conversion import convert_checkpoint
from df2_landmarks.engine.dry_run import dry_run
from df2_landmarks.engine.ground_truth_boxes import GroundTruthBoxTrainer, ground_truth_box_config
from df2_landmarks.engine.landmark_evaluator import RESULTS_FILE
from df2_landmarks.engine.landmark_pictures import landmark_pictures
from df2_landmarks.engine.setup import (
    CONFIGS,
    argument_parser,
    resolve_num_gpus,
    setup_config,
    setup_run,
)
from df2_landmarks.engine.timed_training import train_within
from df2_landmarks.engine.trainer import Trainer

__all__ = [
    "CONFIGS",
    "RESULTS_FILE",
    "GroundTruthBoxTrainer",
    "Trainer",
    "argument_parser",
    "convert_checkpoint",
    "dry_run",
    "evaluation_weights",
    "ground_truth_box_config",
    "landmark_pictures",
    "load_for_evaluation",
    "resolve_num_gpus",
    "setup_config",
    "setup_run",
    "train_within",
]
