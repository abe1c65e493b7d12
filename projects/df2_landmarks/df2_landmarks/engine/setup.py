"""Command-line arguments -> a frozen configuration."""

from __future__ import annotations

import argparse
import difflib
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import yaml
from detectron2.config import CfgNode, get_cfg
from detectron2.engine import default_argument_parser, default_setup
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

from df2_landmarks.config import add_df2_landmarks_config
from df2_landmarks.engine.config_check import check_evaluation, check_training, check_values
from df2_landmarks.engine.output_folder import make_output_folder

warnings.filterwarnings("ignore", "torch.meshgrid")  # Detectron2's anchors call it the old way

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
DEFAULT_CONFIG = CONFIGS / "df2_landmark_rcnn_R_50_FPN_1x.yaml"
DRY_RUN_FOLDER = "dry_run"
"""In the OUTPUT_DIR of the config: everything that a dry run writes."""


def argument_parser(epilog: str | None = None) -> argparse.ArgumentParser:
    """Detectron2's own arguments, with this project's defaults."""
    parser = default_argument_parser(epilog)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="try a few iterations and an evaluation, and estimate time, memory and disk",
    )
    parser.add_argument(
        "--ground-truth-boxes",
        action="store_true",
        help="with --eval-only: score the landmarks in the annotations' boxes and categories",
    )
    parser.set_defaults(config_file=str(DEFAULT_CONFIG), num_gpus=None)
    return parser


def resolve_num_gpus(num_gpus: int | None) -> int:
    """Number of GPUs to use; by default one where there is one.

    Raises:
        ValueError: there are not that many.
    """
    available = torch.cuda.device_count()
    if num_gpus is None:
        return min(1, available)
    if num_gpus < 0:
        raise ValueError(f"--num-gpus must be 0 (CPU) or more, but got {num_gpus}")
    if num_gpus > available:
        raise ValueError(
            f"{num_gpus} GPUs were asked for, but this machine has {available}. "
            f"Use GPUS={available} (--num-gpus {available})"
            + ("; 0 trains on the CPU" if available == 0 else "")
        )
    return num_gpus


def setup_config(
    config_file: str | Path = DEFAULT_CONFIG,
    opts: Sequence[str] = (),
    *,
    on_cpu: bool | None = None,
) -> CfgNode:
    """Default configuration + a YAML file + ``KEY VALUE`` pairs, frozen.

    Args:
        config_file: YAML; its values must be plain data.
        opts: alternating keys and values that overrule the file.
        on_cpu: use the CPU; by default where there is no GPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no YAML of a configuration, or names another one that is not there,
            or a key or value is not the configuration's.
    """
    cfg = get_cfg()
    add_df2_landmarks_config(cfg)
    path = Path(config_file)
    if not path.is_file():
        raise FileNotFoundError(
            f"config file {path} does not exist; the project's are in {CONFIGS}"
        )
    if len(opts) % 2:
        raise ValueError(f"options must be KEY VALUE pairs, but got {len(opts)} words: {opts}")
    known = set(_keys(cfg))
    try:
        where = str(path)
        cfg.merge_from_file(str(path), allow_unsafe=False)
        where = "command line"
        cfg.merge_from_list(list(opts))
    except (KeyError, AssertionError, ValueError, OSError, yaml.YAMLError) as error:
        raise ValueError(_explain(where, error, known)) from error
    except (TypeError, AttributeError, RecursionError) as error:  # of a file that is a list, say
        raise ValueError(
            f"{where}: must be sections of keys and values, as in {DEFAULT_CONFIG}, with one "
            "such file as _BASE_ at most"
        ) from error
    check_values(cfg)
    if on_cpu is None:
        on_cpu = not torch.cuda.is_available()
    if on_cpu:
        cfg.MODEL.DEVICE = "cpu"
    cfg.freeze()
    return cfg


def setup_run(args: argparse.Namespace) -> CfgNode:
    """Configuration of one process of a run, with Detectron2's logging and seeding set up.

    Raises:
        FileNotFoundError: a file that is needed later is missing.
        ValueError: the arguments do not go together, or the configuration would fail later.
    """
    if args.dry_run and (args.eval_only or args.resume):
        raise ValueError("--dry-run tries a training from its start: without --eval-only, --resume")
    if args.ground_truth_boxes and not args.eval_only:
        raise ValueError("--ground-truth-boxes is a way to evaluate: give --eval-only, too")
    cfg = setup_config(args.config_file, args.opts, on_cpu=args.num_gpus == 0)
    check_evaluation(cfg)
    if not args.eval_only:
        check_training(cfg)
    if args.dry_run:
        cfg.defrost()
        # what an earlier training left stays as it is
        cfg.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR, DRY_RUN_FOLDER))
        cfg.freeze()
    make_output_folder(Path(cfg.OUTPUT_DIR), "OUTPUT_DIR")
    default_setup(cfg, args)
    setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="df2_landmarks")
    return cfg


def _keys(node: CfgNode, prefix: str = "") -> Iterator[str]:
    for name, value in node.items():
        if isinstance(value, CfgNode):
            yield from _keys(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _explain(where: str, error: Exception, known: set[str]) -> str:
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    message = " ".join(str(text).split()) or type(error).__name__
    if isinstance(error, yaml.YAMLError):
        message = f"must be YAML, but: {message}"
    match = re.search(r"Non-existent (?:config )?key: (\S+)", message)
    if not match:
        return f"{where}: {message}"
    close = difflib.get_close_matches(match.group(1), known, n=1, cutoff=0.8)
    hint = f"Did you mean {close[0]}?" if close else "config.py and Detectron2's docs list the keys"
    return f"{where}: unknown config key {match.group(1)}. {hint}"
