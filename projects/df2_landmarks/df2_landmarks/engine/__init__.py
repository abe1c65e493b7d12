"""Training and testing with Detectron2: what joins data, model and evaluation.

* ``setup``: command line and YAML into a checked configuration. ``processes``: starts those of a
  run.
* ``trainer``: `Trainer`; ``training`` (a room of its own) and ``evaluation_hook``: its parts.
* ``checkpoint``: weights: which are evaluated, writing, conversion; ``checkpoint_files``: which
  file is the newest whole one, and reading it as data only.
* ``evaluation``: a room of its own, what is measured and left behind.
* ``dry_run``, ``timed_training``, ``ground_truth_boxes``: other ways to train and evaluate.
"""

from df2_landmarks.engine.checkpoint import (
    LandmarkCheckpointer,
    convert_checkpoint,
    evaluation_weights,
    load_for_evaluation,
)
from df2_landmarks.engine.checkpoint_files import last_checkpoint, read_checkpoint
from df2_landmarks.engine.dry_run import dry_run
from df2_landmarks.engine.evaluation import (
    RESULTS_FILE,
    TASK_TITLES,
    BoxMaskEvaluator,
    LandmarkEvaluator,
    landmark_pictures,
    write_pictures,
)
from df2_landmarks.engine.ground_truth_boxes import GroundTruthBoxTrainer, ground_truth_box_config
from df2_landmarks.engine.processes import launch
from df2_landmarks.engine.setup import (
    CONFIGS,
    argument_parser,
    find_config,
    log_contents,
    recorded_config,
    setup_config,
    setup_run,
)
from df2_landmarks.engine.timed_training import FEW_ITERATIONS, train_within
from df2_landmarks.engine.trainer import Trainer
from df2_landmarks.engine.training import trains_in_bfloat16

__all__ = [
    "CONFIGS",
    "FEW_ITERATIONS",
    "RESULTS_FILE",
    "TASK_TITLES",
    "BoxMaskEvaluator",
    "GroundTruthBoxTrainer",
    "LandmarkCheckpointer",
    "LandmarkEvaluator",
    "Trainer",
    "argument_parser",
    "convert_checkpoint",
    "dry_run",
    "evaluation_weights",
    "find_config",
    "ground_truth_box_config",
    "landmark_pictures",
    "last_checkpoint",
    "launch",
    "load_for_evaluation",
    "log_contents",
    "read_checkpoint",
    "recorded_config",
    "setup_config",
    "setup_run",
    "train_within",
    "trains_in_bfloat16",
    "write_pictures",
]
