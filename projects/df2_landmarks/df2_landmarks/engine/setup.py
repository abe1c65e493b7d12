"""Command-line arguments into a frozen configuration, checked before the hours of work."""

from __future__ import annotations

import argparse
import difflib
import logging
import math
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from detectron2.config import CfgNode, get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.engine import default_argument_parser, default_setup
from detectron2.modeling import BACKBONE_REGISTRY, META_ARCH_REGISTRY, ROI_HEADS_REGISTRY
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager
from detectron2.utils.logger import setup_logger

from df2_landmarks.common import UserError, locked_folder, make_output_folder
from df2_landmarks.config import add_df2_landmarks_config, set_taxonomy
from df2_landmarks.data import EVALUATOR_TYPE, TRAIN, VALIDATION, registered_name
from df2_landmarks.engine.processes import JOIN_MINUTES
from df2_landmarks.formats import read_taxonomy
from df2_landmarks.taxonomy import DEEPFASHION2, TEXT_PREFIX, taxonomy_of

warnings.filterwarnings("ignore", "torch.meshgrid")  # Detectron2's anchors call it the old way

logger = logging.getLogger(__name__)

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
DEFAULT_CONFIG = CONFIGS / "df2_landmark_rcnn_R_50_FPN_1x.yaml"
DRY_RUN_FOLDER = "dry_run"
"""Folder in OUTPUT_DIR for everything that a dry run writes."""

REGISTRIES = {
    "MODEL.META_ARCHITECTURE": META_ARCH_REGISTRY,
    "MODEL.BACKBONE.NAME": BACKBONE_REGISTRY,
    "MODEL.ROI_HEADS.NAME": ROI_HEADS_REGISTRY,
}
"""Key -> what its value may name."""

SHARED_MEMORY = Path("/dev/shm")
BATCHES_AHEAD = 2
"""Batches that each process of a loader keeps ready (PyTorch's ``prefetch_factor``)."""

NOT_NEGATIVE = (
    "MODEL.ROI_LANDMARK_HEAD.TARGET_WIDTH",
    "MODEL.ROI_LANDMARK_HEAD.CONFIDENCE_POWER",
    "SOLVER.CHECKPOINTS_KEPT",
    "SOLVER.EARLY_STOPPING.PATIENCE",
    "TEST.NUM_PICTURES",
    "INPUT.AUGMENT.ROTATION",
    "INPUT.AUGMENT.SQUARE_PX",
    "INPUT.AUGMENT.BLUR",
)
SHARES = ("INPUT.AUGMENT.COLOR", "INPUT.AUGMENT.CUT_OUT", "INPUT.COPY_PASTE")


def argument_parser(epilog: str | None = None) -> argparse.ArgumentParser:
    """Return Detectron2's own arguments and this project's, with this project's defaults."""
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
    parser.add_argument(
        "--join-minutes",
        type=float,
        default=JOIN_MINUTES,
        help="with --num-machines: how long machines wait for each other at the start",
    )
    parser.set_defaults(config_file=str(DEFAULT_CONFIG), num_gpus=None, dist_url=None)
    return parser


def setup_config(
    config_file: str | Path = DEFAULT_CONFIG,
    opts: Sequence[str] = (),
    *,
    on_cpu: bool | None = None,
) -> CfgNode:
    """Return the default configuration + a YAML file + ``KEY VALUE`` pairs, frozen.

    Args:
        config_file: YAML, its values plain data; or the name of one of the project's configs.
        opts: alternating keys and values that override the file.
        on_cpu: use the CPU; by default only if there is no GPU.

    Raises:
        UserError: there is no such file, or it is not the YAML of a configuration, or a key or
            value is unknown or out of range.

    Example:
        >>> cfg = setup_config(opts=["SOLVER.MAX_ITER", "100"], on_cpu=True)
        >>> cfg.SOLVER.MAX_ITER, cfg.MODEL.DEVICE
        (100, 'cpu')
    """
    cfg, path = _default_config(), find_config(config_file)
    if len(opts) % 2:
        raise UserError(f"options must be KEY VALUE pairs, but got {len(opts)} words: {opts}")
    with _user_errors_of_yacs(str(path), set(_keys(cfg))):
        _check_bases(path)
        cfg.merge_from_file(str(path), allow_unsafe=False)
    return _finished(cfg, opts, on_cpu)


def find_config(config_file: str | Path) -> Path:
    """Return the path of a config, which may be the name of one of the project's.

    Raises:
        UserError: there is no such file.
    """
    path = Path(config_file)
    if not path.is_file() and (CONFIGS / path).is_file():
        path = CONFIGS / path
    if not path.is_file():
        raise UserError(f"config file {path} does not exist; the project's are in {CONFIGS}")
    return path


def recorded_config(
    text: str, where: str, opts: Sequence[str] = (), *, on_cpu: bool | None = None
) -> CfgNode:
    """Return the configuration that a model file holds, frozen.

    Keys that this version of Detectron2 does not have are left out, with a warning.

    Args:
        text: YAML of a whole configuration.
        where: the file, for messages.
        opts: alternating keys and values that override it.
        on_cpu: use the CPU; by default only if there is no GPU.

    Raises:
        UserError: it is not the YAML of a configuration, or a value is out of range.
    """
    cfg = _default_config()
    with _user_errors_of_yacs(where, set(_keys(cfg))):
        recorded = CfgNode.load_cfg(text)
        unknown = _remove_unknown(recorded, cfg)
        cfg.merge_from_other_cfg(recorded)
    if unknown:
        logger.warning(f"{where}: this Detectron2 does not know {', '.join(unknown)}")
    return _finished(cfg, opts, on_cpu)


def _check_bases(path: Path) -> None:
    """Check that a config and what it is based on (`_BASE_`) are files, and end somewhere.

    Raises:
        UserError: a base is fetched from a network, or a file is based on itself.
    """
    seen: list[Path] = []
    while True:
        if path.resolve() in seen:
            raise UserError(f"{seen[0]}: _BASE_ {path} is based on itself")
        seen.append(path.resolve())
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        base = content.get("_BASE_") if isinstance(content, dict) else None
        if not isinstance(base, str):
            return
        if "://" in base:
            raise UserError(f"{path}: _BASE_ must be a file of this machine, but got {base}")
        path = path.parent / Path(base).expanduser()


def _default_config() -> CfgNode:
    cfg = get_cfg()
    add_df2_landmarks_config(cfg)
    return cfg


def _finished(cfg: CfgNode, opts: Sequence[str], on_cpu: bool | None) -> CfgNode:
    with _user_errors_of_yacs("command line", set(_keys(cfg))):
        cfg.merge_from_list(list(opts))
    resolve_taxonomy(cfg)
    check_values(cfg)
    if on_cpu is None:
        on_cpu = not torch.cuda.is_available()
    if on_cpu:
        cfg.MODEL.DEVICE = "cpu"
    cfg.freeze()
    return cfg


def _remove_unknown(node: CfgNode, known: CfgNode, prefix: str = "") -> list[str]:
    """Remove from ``node``, in place, the keys that ``known`` lacks, and return their names."""
    removed = []
    for name in list(node):
        if name not in known:
            del node[name]
            removed.append(prefix + name)
        elif isinstance(node[name], CfgNode) and isinstance(known[name], CfgNode):
            removed += _remove_unknown(node[name], known[name], f"{prefix}{name}.")
    return removed


@contextmanager
def setup_run(args: argparse.Namespace) -> Iterator[CfgNode]:
    """Give the configuration of one process of a run; set up Detectron2's logging and seed.

    Until the block ends, no other run can write into OUTPUT_DIR.

    Args:
        args: of `argument_parser`, with ``num_gpus`` resolved.

    Raises:
        UserError: the arguments contradict each other, the configuration would fail later, or a
            file or folder that is needed later is missing.
    """
    if args.dry_run and (args.eval_only or args.resume):
        raise UserError("--dry-run tries a training from its start: without --eval-only, --resume")
    if args.ground_truth_boxes and not args.eval_only:
        raise UserError("--ground-truth-boxes only works in an evaluation: add --eval-only")
    args.config_file = str(find_config(args.config_file))  # Detectron2 reads it once more
    cfg = setup_config(args.config_file, args.opts, on_cpu=args.num_gpus == 0)
    cfg = with_registered_data(cfg, with_training=not args.eval_only)
    check_parts(cfg)
    check_evaluation(cfg)
    if not args.eval_only:
        check_training(cfg)
    if args.dry_run:
        cfg.defrost()
        # In a folder of its own, so that the files of an earlier training stay.
        cfg.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR, DRY_RUN_FOLDER))
        cfg.freeze()
    make_output_folder(cfg.OUTPUT_DIR, "OUTPUT_DIR")
    with ExitStack() as stack:
        if comm.is_main_process():
            stack.enter_context(locked_folder(cfg.OUTPUT_DIR, "OUTPUT_DIR"))
        default_setup(cfg, args)
        setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="df2_landmarks")
        if not args.eval_only:
            log_contents(dict.fromkeys((*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST)))
        yield cfg


def with_registered_data(cfg: CfgNode, *, with_training: bool = True) -> CfgNode:
    """Return the configuration with registered names in DATASETS, in place of folders and files.

    Args:
        cfg: frozen; stays as it is.
        with_training: also look at DATASETS.TRAIN.

    Raises:
        UserError: there is no such data set.
    """
    cfg, taxonomy = cfg.clone(), taxonomy_of(cfg)
    cfg.defrost()
    for key, split in (("TRAIN", TRAIN), ("TEST", VALIDATION)):
        if key == "TEST" or with_training:
            names = [
                registered_name(source, split, f"DATASETS.{key}", taxonomy)
                for source in cfg.DATASETS[key]
            ]
            for name in names:
                own = MetadataCatalog.get(name).get("taxonomy", taxonomy)
                if difference := own.difference(taxonomy, ("the data set", "the model")):
                    raise UserError(
                        f"DATASETS.{key} {name}: a data set of another taxonomy than "
                        f"MODEL.ROI_LANDMARK_HEAD.TAXONOMY: {difference}"
                    )
            cfg.DATASETS[key] = tuple(names)
    cfg.freeze()
    return cfg


def log_contents(dataset_names: Iterable[str]) -> None:
    """Read data sets, those of the evaluations too, and log what is in them.

    Raises:
        UserError: a file would train or evaluate badly.
    """
    said: set[str] = set()
    for name in dataset_names:
        if MetadataCatalog.get(name).get("evaluator_type") != EVALUATOR_TYPE:
            continue
        for note in set(MetadataCatalog.get(name).taxonomy.notes) - said:
            logger.warning(f"taxonomy {MetadataCatalog.get(name).taxonomy.name}: {note}")
            said.add(note)
        report = DatasetCatalog.get(name).report
        logger.info(f"{name}: {report.summary()}")
        for finding in report.findings:
            level = logging.WARNING if finding.level == "warning" else logging.INFO
            logger.log(level, f"{name}: {finding.line()}")


def check_values(cfg: CfgNode) -> None:
    """Check values that building the model and the trainer does not check.

    Raises:
        UserError: one of them is out of its range.
    """
    for key in (*NOT_NEGATIVE, *SHARES):
        value = value_of(cfg, key)
        if value is None or not 0 <= value < math.inf:
            raise UserError(f"{key} must be 0 or more, but got {value}")
        if key in SHARES and value > 1:
            raise UserError(f"{key} must be 0 to 1, but got {value}")
    scale = cfg.MODEL.ROI_LANDMARK_HEAD.BOX_SCALE
    if scale is None or not 1 <= scale < math.inf:
        raise UserError(f"MODEL.ROI_LANDMARK_HEAD.BOX_SCALE must be 1 or more, but got {scale}")
    check_augmentation(cfg)
    if cfg.INPUT.FORMAT not in ("RGB", "BGR"):
        raise UserError(f'INPUT.FORMAT must be "RGB" or "BGR", but got {cfg.INPUT.FORMAT!r}')
    if cfg.INPUT.ON_BAD_IMAGE not in ("stop", "skip"):
        got = cfg.INPUT.ON_BAD_IMAGE
        raise UserError(f'INPUT.ON_BAD_IMAGE must be "stop" or "skip", but got {got!r}')
    is_cascade = cfg.MODEL.ROI_HEADS.NAME == "LandmarkCascadeROIHeads"
    if is_cascade and not cfg.MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG:
        raise UserError(
            "MODEL.ROI_HEADS.NAME LandmarkCascadeROIHeads needs "
            "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG True"
        )
    dims = cfg.MODEL.ROI_LANDMARK_HEAD.CLASS_CONV_DIMS
    if dims is None or not all(isinstance(number, int) and number > 0 for number in dims):
        raise UserError(
            "MODEL.ROI_LANDMARK_HEAD.CLASS_CONV_DIMS must be numbers of channels, such as [64], "
            f"but got {dims}"
        )


def value_of(cfg: CfgNode, key: str) -> Any:
    """Return the value of a key such as "MODEL.MASK_ON"."""
    for name in key.split("."):
        cfg = cfg[name]
    return cfg


def check_augmentation(cfg: CfgNode) -> None:
    """Check values of INPUT that contradict each other or other parts of the configuration.

    Raises:
        UserError: they do.
    """
    scale = cfg.INPUT.AUGMENT.SCALE
    if scale is None or len(scale) != 2 or not 0 < scale[0] <= scale[1] < math.inf:
        raise UserError(
            f"INPUT.AUGMENT.SCALE must be two factors, such as (0.5, 1.5), but got {scale}"
        )
    if cfg.INPUT.COPY_PASTE and not cfg.MODEL.MASK_ON:
        raise UserError("INPUT.COPY_PASTE cuts garments out by their masks: set MODEL.MASK_ON True")
    augment = cfg.INPUT.AUGMENT
    has_frame = augment.ROTATION or augment.SQUARE_PX or tuple(scale) != (1, 1)
    if cfg.INPUT.CROP.ENABLED and has_frame:
        raise UserError(
            "INPUT.CROP.ENABLED cuts pictures before INPUT.AUGMENT turns or pads them, which would "
            "label landmarks that were cut off; use one of them (INPUT.AUGMENT.SCALE cuts too)"
        )


def resolve_taxonomy(cfg: CfgNode) -> None:
    """Put the taxonomy itself in the place of the file that names it, with its numbers, in place.

    Raises:
        UserError: the file is no taxonomy, or the numbers are set to others.
    """
    text = cfg.MODEL.ROI_LANDMARK_HEAD.TAXONOMY
    is_file = bool(text) and not text.startswith(TEXT_PREFIX)
    taxonomy = read_taxonomy(text) if is_file else taxonomy_of(cfg)
    given = cfg.MODEL.ROI_HEADS.NUM_CLASSES
    if given not in (DEEPFASHION2.num_categories, taxonomy.num_categories):
        raise UserError(
            f"MODEL.ROI_HEADS.NUM_CLASSES must be {taxonomy.num_categories}, the categories of "
            f"{taxonomy.name}, but got {given}"
        )
    set_taxonomy(cfg, taxonomy)


def check_parts(cfg: CfgNode) -> None:
    """Check that this Detectron2 has the parts that the model is made of.

    Raises:
        UserError: it has not, such as a ViT: that is for its Python configs.
    """
    for key, registry in REGISTRIES.items():
        name = value_of(cfg, key)
        if name not in registry:
            known = sorted(known for known, _ in registry)
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
            raise UserError(f"{key}: this Detectron2 has no {name!r} for YAML configs; {hint}")


def check_evaluation(cfg: CfgNode) -> None:
    """Check what an evaluation needs, which may be hours away.

    Raises:
        UserError: the model or its augmentation cannot be evaluated.
    """
    if cfg.DATASETS.TEST and not cfg.MODEL.KEYPOINT_ON:
        raise UserError("MODEL.KEYPOINT_ON must be True: the evaluation scores landmarks")
    if cfg.TEST.AUG.ENABLED and not cfg.TEST.AUG.MIN_SIZES:
        raise UserError("TEST.AUG.ENABLED needs at least one size in TEST.AUG.MIN_SIZES")


def check_training(cfg: CfgNode) -> None:
    """Check the data sets of the evaluations of a training, which come later.

    Raises:
        UserError: one of them has no annotation file.
    """
    for name in cfg.DATASETS.TEST:
        json_file = MetadataCatalog.get(name).get("json_file")
        if json_file is not None and not PathManager.isfile(json_file):
            raise UserError(
                f"DATASETS.TEST {name}: {json_file} does not exist. Put the raw data in place and "
                "run `make convert`, point DETECTRON2_DATASETS to the folder that holds it (see "
                'datasets/README.md), or train without evaluation: DATASETS.TEST "()"'
            )
    check_shared_memory(cfg)
    if cfg.SOLVER.AMP.ENABLED and cfg.MODEL.DEVICE == "cpu":
        raise UserError(
            "SOLVER.AMP.ENABLED is for GPUs; on a CPU switch it off, and SOLVER.BF16_ON_CPU on "
            "where the processor computes in bfloat16"
        )


def check_shared_memory(cfg: CfgNode, folder: Path = SHARED_MEMORY) -> None:
    """Check that the batches of all processes of the loader fit into the shared memory.

    Where they do not (Docker gives 64 MB), the loader would wait for ever.

    Raises:
        UserError: they do not fit.
    """
    workers = cfg.DATALOADER.NUM_WORKERS
    if not workers or not folder.is_dir():
        return
    batch = max(1, cfg.SOLVER.IMS_PER_BATCH // comm.get_world_size())
    sides = min(max(cfg.INPUT.MIN_SIZE_TRAIN), cfg.INPUT.MAX_SIZE_TRAIN), cfg.INPUT.MAX_SIZE_TRAIN
    if cfg.INPUT.AUGMENT.SQUARE_PX:
        sides = cfg.INPUT.AUGMENT.SQUARE_PX, cfg.INPUT.AUGMENT.SQUARE_PX
    needed = 3 * sides[0] * sides[1] * batch * workers * BATCHES_AHEAD
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder} has {free >> 20} MB free, but the {workers} processes of the loader need up "
            f"to {needed >> 20} MB for their batches. Give the container more (docker run "
            "--shm-size 2g, or --ipc host), or use fewer processes: DATALOADER.NUM_WORKERS 0"
        )


@contextmanager
def _user_errors_of_yacs(where: str, known: set[str]) -> Iterator[None]:
    """Put around the one call by which yacs reads what the user wrote."""
    try:
        yield
    except UserError:
        raise
    except (KeyError, AssertionError, ValueError, OSError, yaml.YAMLError) as error:
        raise UserError(_explain(where, error, known)) from error
    except (TypeError, AttributeError, RecursionError) as error:  # such as a file that is a list
        raise UserError(
            f"{where}: must be sections of keys and values, as in {DEFAULT_CONFIG}, with one "
            "such file as _BASE_ at most"
        ) from error


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
