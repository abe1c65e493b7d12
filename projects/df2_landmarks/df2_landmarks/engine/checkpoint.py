"""Checkpoints of a training and an evaluation, and their conversion between layouts."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import CfgNode
from fvcore.common.checkpoint import _IncompatibleKeys
from torch import nn

from df2_landmarks.common import UserError, atomic_write, check_input_file
from df2_landmarks.engine.checkpoint_files import (
    LAST,
    RUN_FILE,
    check_weights,
    last_checkpoint,
    read_checkpoint,
    read_model_zoo_pickle,
    run_of,
)
from df2_landmarks.engine.training import WeightAverage
from df2_landmarks.formats import (
    RECORD_KEY,
    check_record,
    recorded_config_text,
    recorded_taxonomy,
)
from df2_landmarks.modeling import (
    BESIDE,
    HEAD,
    TIMM_SCHEME,
    has_category_predictors,
    has_class_convolutions,
    has_single_predictor,
    imagenet_weights,
    to_category_predictors,
    to_single_predictor,
)
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

logger = logging.getLogger(__name__)

NO_NETWORK_HELP = (
    "Train from scratch with MODEL.WEIGHTS '' MODEL.BACKBONE.FREEZE_AT 0 MODEL.RESNETS.NORM BN, or "
    "fetch the file on a machine with a network and give its path as MODEL.WEIGHTS"
)

CONVERSIONS = {"single": to_single_predictor, "per-category": to_category_predictors}


class LandmarkCheckpointer(DetectionCheckpointer):
    """`DetectionCheckpointer` that loads data only, and says what is wrong with a file.

    The ``model`` of a file has the weights to evaluate. Where weights are averaged, these are the
    average, and the raw weights, from which a training is resumed, are in ``ema`` beside it.
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str = "",
        *,
        complete: bool = False,
        average: WeightAverage | None = None,
        record: dict[str, Any] | None = None,
        taxonomy: Taxonomy = DEEPFASHION2,
        num_kept: int = 0,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            model: the model that is trained, or evaluated.
            save_dir: folder of the saved files.
            complete: a file must have every parameter of the model, and no other parameter of a
                landmark head but those `BESIDE` the landmarks, as evaluation needs. Otherwise
                (training) it must have at least one parameter of the model.
            average: the average of the model's weights.
            record: what each saved file says about the model (`model_record`).
            taxonomy: the categories of the model.
            num_kept: checkpoints of iterations that stay when `save` adds one; 0: all.
            **kwargs: passed to `DetectionCheckpointer`.
        """
        if average is not None:
            kwargs["ema"] = average
        super().__init__(model, save_dir, **kwargs)
        self.complete = complete
        self._average = average
        self._record = {} if record is None else {RECORD_KEY: record}
        self._taxonomy = taxonomy
        self._num_kept = num_kept
        self._resumes = False

    def start_run(self, *, new: bool) -> None:
        """Give the training a name, which its checkpoints get, or go on under that of the folder.

        Raises:
            UserError: the name cannot be written.
        """
        run = None if new else run_of(self.save_dir)
        if run is None:
            run = uuid.uuid4().hex[:12]
            if self.save_to_disk:
                with atomic_write(Path(self.save_dir, RUN_FILE)) as file:
                    file.write(f"{run}\n".encode())
        if RECORD_KEY in self._record:
            self._record[RECORD_KEY]["run"] = run

    @property
    def evaluated_model(self) -> nn.Module:
        """The model to evaluate: the average where there is one."""
        return self.model if self._average is None else self._average.model

    def save(self, name: str, **kwargs: Any) -> None:
        """Save the weights to evaluate and the state of the training; tag it as the last file.

        Raises:
            UserError: the file cannot be written; the last checkpoint stays.
        """
        if not self.save_dir or not self.save_to_disk:
            return
        state = {key: value.state_dict() for key, value in self.checkpointables.items()}
        self.save_weights(name, **state, **kwargs)
        self.tag_last_checkpoint(f"{name}.pth")
        if self._num_kept:
            saved = Path(self.save_dir).glob("model_[0-9]*.pth")
            for path in sorted(saved, key=lambda path: path.stat().st_mtime_ns)[: -self._num_kept]:
                path.unlink()

    def save_weights(self, name: str, **extra: Any) -> None:
        """Save the weights to evaluate only; `--resume` still continues from the last `save`.

        Raises:
            UserError: the file cannot be written; an older one of that name stays as it was.
        """
        if not self.save_to_disk:
            return
        path = self.path_of(name)
        logger.info(f"Saving checkpoint to {path}")
        with atomic_write(path) as file:
            weights = self.evaluated_model.state_dict()
            try:
                torch.save({"model": weights, **self._record, **extra}, file)
            except RuntimeError as error:  # torch's own about a file that the disk did not take
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        """Note the name of the newest file, whole or not at all."""
        with atomic_write(Path(self.save_dir, LAST)) as file:
            file.write(last_filename_basename.encode())

    def has_checkpoint(self) -> bool:
        """Return whether there is a whole checkpoint to resume from."""
        return bool(self.get_checkpoint_file())

    def get_checkpoint_file(self) -> str:
        """Return the newest whole checkpoint of this training, "" if there is none."""
        path = last_checkpoint(self.save_dir)
        return "" if path is None else str(path)

    def path_of(self, name: str) -> Path:
        """Return the file that `save` and `save_weights` write for a name."""
        return Path(self.save_dir, f"{name}.pth")

    def load(self, path: str, checkpointables: list[str] | None = None) -> dict[str, Any]:
        """Load weights.

        Raises:
            UserError: there is no such local file, or it cannot be fetched or read, or is of
                another model.
        """
        self._resumes = checkpointables is None
        if path.startswith(TIMM_SCHEME):
            logger.info(f"Loading weights of {path}")
            self.load_weights({"model": imagenet_weights(path, self.model.state_dict())}, path)
            return {}
        if path:
            path = _local_path(path, self.path_manager)
        self._path = path
        rest = super().load(path, checkpointables)
        if checkpointables is None and self._average is None and "ema" in rest:
            logger.warning(
                f"{path} was trained with SOLVER.EMA_DECAY, which is off now: training continues "
                "from the averaged weights"
            )
        return rest

    def load_weights(self, checkpoint: dict[str, Any], path: str) -> None:
        """Load the weights of a checkpoint that was read already.

        Args:
            checkpoint: of `read_checkpoint`; its weights are taken out.
            path: of its file, for messages.

        Raises:
            UserError: it is of another model.
        """
        self._path = path
        self._load_model(checkpoint)

    def _load_file(self, filename: str) -> dict[str, Any]:
        if filename.endswith(".pkl"):
            checkpoint = read_model_zoo_pickle(filename)
            check_weights(filename, checkpoint.get("model"))
        else:
            checkpoint = read_checkpoint(Path(filename), bare=True)
        if (self.complete or self._resumes) and RECORD_KEY in checkpoint:
            check_record(checkpoint[RECORD_KEY], filename, self._taxonomy)
            self._check_box_scale(checkpoint[RECORD_KEY], filename)
        return checkpoint

    def _check_box_scale(self, record: dict[str, Any], filename: str) -> None:
        """Check that the head sees what it saw in training, which no weight tells.

        Raises:
            UserError: it does not.
        """
        head = getattr(getattr(self.model, "roi_heads", None), "keypoint_head", None)
        expected, found = getattr(head, "box_scale", None), _box_scale(record, filename)
        if expected not in (None, found):
            raise UserError(
                f"{filename}: was trained with MODEL.ROI_LANDMARK_HEAD.BOX_SCALE {found}, but the "
                f"model has {expected}: set MODEL.ROI_LANDMARK_HEAD.BOX_SCALE {found}"
            )

    def _load_model(self, checkpoint: dict[str, Any]) -> _IncompatibleKeys:
        names = self.model.state_dict()
        taxonomy = self._taxonomy
        by_category = has_category_predictors(names, taxonomy) and not has_class_convolutions(names)
        if by_category and has_single_predictor(checkpoint["model"], taxonomy):
            logger.info(
                f"{self._path}: the channels of its stock landmark head go to one head per category"
            )
            checkpoint["model"] = to_category_predictors(checkpoint["model"], taxonomy)
        num_given = len(checkpoint["model"])  # the stock method empties it
        incompatible = super()._load_model(checkpoint)
        lacking = {name for name, *_ in incompatible.incorrect_shapes}
        lacking.update(incompatible.missing_keys)
        total = len(names.keys() - {"pixel_mean", "pixel_std"})
        if self.complete and lacking and all(name.startswith(tuple(BESIDE)) for name in lacking):
            options = [
                f"MODEL.ROI_LANDMARK_HEAD.{key}"
                for prefix, key in BESIDE.items()
                if any(name.startswith(prefix) for name in lacking)
            ]
            raise UserError(
                f"{self._path}: was trained without {' and '.join(options)}: set "
                f"{' '.join(f'{option} False' for option in options)}"
            )
        whole = self.complete or self._resumes
        if (whole and lacking) or len(lacking) >= total:
            raise UserError(
                f"{self._path}: a checkpoint of another model. {len(lacking)} of this model's "
                f"{total} tensors are not among its {num_given} or have another shape, such as "
                f"{', '.join(sorted(lacking)[:3])}. Give the config that it was trained with "
                "(--config-file), or another MODEL.WEIGHTS"
            )
        unused = sorted(
            key
            for key in incompatible.unexpected_keys
            if key.startswith(HEAD) and not key.startswith(tuple(BESIDE))
        )
        if whole and unused:  # without them the head computes something else
            raise UserError(
                f"{self._path}: its landmark head has {len(unused)} tensors that this model does "
                f"not have, such as {', '.join(unused[:3])}. Give the config that it was trained "
                "with: MODEL.ROI_LANDMARK_HEAD and MODEL.ROI_KEYPOINT_HEAD"
            )
        return incompatible


def evaluation_weights(cfg: CfgNode, opts: Sequence[str]) -> str:
    """Return the path of the weights that `--eval-only` evaluates.

    They are MODEL.WEIGHTS of the command line, else the last checkpoint of the output folder. The
    weights that a config file names are the start of a training, and are never evaluated.

    Raises:
        UserError: there are neither.
    """
    if "MODEL.WEIGHTS" in opts[::2]:
        return cfg.MODEL.WEIGHTS
    last = last_checkpoint(cfg.OUTPUT_DIR)
    if last is not None:
        return str(last)
    raise UserError(
        f"nothing to evaluate: {cfg.OUTPUT_DIR} holds no checkpoint. Train first with this config "
        "and OUTPUT_DIR, or give a trained model: MODEL.WEIGHTS path/to/model_final.pth"
    )


def load_for_evaluation(model: nn.Module, path: str, taxonomy: Taxonomy = DEEPFASHION2) -> None:
    """Load every parameter of a model.

    Args:
        model: the model.
        path: a checkpoint file.
        taxonomy: the categories of the model.

    Raises:
        UserError: the path is empty, there is no such file, or it is unreadable or of another
            model.
    """
    if not path:
        raise UserError("MODEL.WEIGHTS is empty: give a trained model, such as model_final.pth")
    LandmarkCheckpointer(model, complete=True, taxonomy=taxonomy).load(path, checkpointables=[])


def convert_checkpoint(source: Path, target: Path, *, to: str) -> int:
    """Write the converted weights of a checkpoint; its other entries (optimizer) are left out.

    Args:
        source: a checkpoint of Detectron2.
        target: the new file; an older one is replaced when the new one is complete.
        to: one of `CONVERSIONS`.

    Returns:
        Number of tensors written.

    Raises:
        UserError: there is no such file, it cannot be converted, or the new one cannot be written.
    """
    check_input_file(source)
    if target.is_dir():
        raise UserError(f"{target}: is a folder; give the name of a file")
    with atomic_write(target) as file:
        checkpoint = read_checkpoint(source)
        if to == "single" and RECORD_KEY in checkpoint:
            box_scale = _box_scale(checkpoint[RECORD_KEY], str(source))
            if box_scale != 1:
                raise UserError(
                    f"{source}: its head sees boxes enlarged by {box_scale} "
                    "(MODEL.ROI_LANDMARK_HEAD.BOX_SCALE), and a stock head the boxes: it cannot be "
                    "merged into one"
                )
        try:
            converted = CONVERSIONS[to](checkpoint["model"], _taxonomy_of(checkpoint, str(source)))
        except UserError as error:
            raise UserError(f"{source}: {error}") from error
        torch.save({"model": converted}, file)
    return len(converted)


def _box_scale(record: Any, where: str) -> float:
    """Return the BOX_SCALE of a recorded configuration; 1.0 if it is older than that key."""
    config = CfgNode.load_cfg(recorded_config_text(record, where))
    head = config.get("MODEL", {}).get("ROI_LANDMARK_HEAD", {})
    return float(head.get("BOX_SCALE", 1.0))


def _taxonomy_of(checkpoint: Mapping[str, Any], where: str) -> Taxonomy:
    """Return the taxonomy that a checkpoint records, DeepFashion2's if it records none."""
    record = checkpoint.get(RECORD_KEY)
    if not isinstance(record, dict) or "categories" not in record:
        return DEEPFASHION2
    return recorded_taxonomy(record, where)


def _local_path(path: str, path_manager: Any) -> str:
    if "://" not in path:
        if not Path(path).is_file():
            raise UserError(f"MODEL.WEIGHTS {path} does not exist")
        return path
    try:
        return path_manager.get_local_path(path)
    except Exception as error:  # a download may raise anything
        raise UserError(
            f"cannot fetch MODEL.WEIGHTS {path} ({error}). {NO_NETWORK_HELP}", exit_code=2
        ) from error
