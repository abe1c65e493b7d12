#!/usr/bin/env python3
"""Train or evaluate a landmark model.

    python projects/df2_landmarks/train_net.py --num-gpus 8
    python projects/df2_landmarks/train_net.py --num-gpus 8 --resume
    python projects/df2_landmarks/train_net.py --num-gpus 8 --dry-run
    python projects/df2_landmarks/train_net.py --eval-only
    python projects/df2_landmarks/train_net.py --eval-only MODEL.WEIGHTS model_final.pth
    python projects/df2_landmarks/train_net.py --eval-only TEST.AUG.ENABLED True
    python projects/df2_landmarks/train_net.py --eval-only --ground-truth-boxes
    torchrun --nproc-per-node 8 projects/df2_landmarks/train_net.py
    python projects/df2_landmarks/train_net.py --num-gpus 0 \\
        --config-file projects/df2_landmarks/configs/df2_landmark_rcnn_lite0_FPN_demo.yaml

The default config is configs/df2_landmark_rcnn_R_50_FPN_1x.yaml. `--eval-only` evaluates
MODEL.WEIGHTS of the command line, else the last checkpoint of the config's OUTPUT_DIR.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from detectron2.config import CfgNode
from detectron2.evaluation import verify_results
from detectron2.utils import comm

from df2_landmarks.common import run_command
from df2_landmarks.engine import (
    GroundTruthBoxTrainer,
    Trainer,
    argument_parser,
    dry_run,
    evaluation_weights,
    ground_truth_box_config,
    launch,
    load_for_evaluation,
    log_contents,
    setup_run,
    write_pictures,
)
from df2_landmarks.taxonomy import taxonomy_of


def run(args: argparse.Namespace) -> Any:
    """Do the work of one process of a training or an evaluation."""
    with setup_run(args) as cfg:
        if args.dry_run:
            return dry_run(cfg)
        if args.eval_only:
            return evaluate(cfg, args)
        trainer = Trainer(cfg)
        trainer.resume_or_load(resume=args.resume)
        return trainer.train()


def evaluate(cfg: CfgNode, args: argparse.Namespace) -> Any:
    """Evaluate a trained model."""
    weights = evaluation_weights(cfg, args.opts)
    evaluation = Trainer
    if args.ground_truth_boxes:
        evaluation, cfg = GroundTruthBoxTrainer, ground_truth_box_config(cfg)
    model = evaluation.build_model(cfg)
    load_for_evaluation(model, weights, taxonomy_of(cfg))
    log_contents(cfg.DATASETS.TEST)
    results = evaluation.test(cfg, model, weights=weights)
    if comm.is_main_process():
        if not args.ground_truth_boxes:  # the model alone would detect, and not get the boxes
            write_pictures(cfg, model)
        verify_results(cfg, results)
    return results


def main(argv: list[str] | None = None) -> None:
    """Run the command line.

    Raises:
        UserError: the command cannot be carried out. With several processes, the first one's
            mistake.
    """
    launch(run, argument_parser(epilog=__doc__).parse_args(argv))


if __name__ == "__main__":
    sys.exit(run_command(main, "train_net"))
