"""Which weights are loaded, and clear errors where they cannot be."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import CfgNode
from fvcore.common.checkpoint import _IncompatibleKeys
from torch import nn

from df2_landmarks.engine.averaging import WeightAverage
from df2_landmarks.modeling import (
    HEAD,
    has_category_predictors,
    has_class_convolutions,
    has_single_predictor,
    to_category_predictors,
)

logger = logging.getLogger(__name__)

NO_NETWORK_HELP = (
    "Train from scratch with MODEL.WEIGHTS '' MODEL.BACKBONE.FREEZE_AT 0 MODEL.RESNETS.NORM BN, or "
    "fetch the file on a machine with a network and give its path as MODEL.WEIGHTS"
)

ARRAY_GLOBALS = {
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *(
        (f"{core}.{module}", name)
        for core in ("numpy.core", "numpy._core")  # numpy 1 and 2
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    ),
}
"""All that a pickle of arrays needs to name."""


UNREADABLE = (pickle.UnpicklingError, EOFError, RuntimeError, UnicodeDecodeError)
"""What reading a checkpoint may raise, of bytes that are none."""


def unreadable(path: str, error: Exception) -> ValueError:
    """The error for a file whose reading raised one of `UNREADABLE`."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if reason.startswith("Weights only load failed"):  # and how to load it without that safeguard
        reason = "it is no file of torch.save, or holds more than tensors and plain data"
    return ValueError(f"{path}: not a readable checkpoint ({reason})")


class LandmarkCheckpointer(DetectionCheckpointer):
    """`DetectionCheckpointer` that loads data only, and tells what is wrong with a file.

    The ``model`` of a file is what is to be evaluated: where weights are averaged, the average,
    and the raw weights, which training goes on from, are in ``ema`` beside it.
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str = "",
        *,
        complete: bool = False,
        average: WeightAverage | None = None,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            model: the model.
            save_dir: folder of what is saved.
            complete: every parameter of the model must be in a loaded file, and the landmark head's
                may be all that the file has of one, as evaluation needs; otherwise (training) at
                least one parameter must be in it.
            average: of the model's weights.
            **kwargs: as of `DetectionCheckpointer`.
        """
        if average is not None:
            kwargs["ema"] = average
        super().__init__(model, save_dir, **kwargs)
        self.complete = complete
        self._average = average

    def evaluated_weights(self) -> AbstractContextManager[None]:
        """The model has the weights that are evaluated and saved, inside the context."""
        return nullcontext() if self._average is None else self._average.applied()

    def save(self, name: str, **kwargs: Any) -> None:
        with self.evaluated_weights():
            super().save(name, **kwargs)

    def path_of(self, name: str) -> Path:
        """File that `save` and `save_weights` write for a name."""
        return Path(self.save_dir, f"{name}.pth")

    def save_weights(self, name: str, **extra: Any) -> None:
        """Save the weights alone, for evaluation; the last checkpoint stays the one to resume.

        A file of that name is replaced only when the new one is complete.
        """
        if not self.save_to_disk:
            return
        partial = self.path_of(f"{name}.partial")
        with self.evaluated_weights():
            torch.save({"model": self.model.state_dict(), **extra}, partial)
        partial.replace(self.path_of(name))

    def load(self, path: str, checkpointables: list[str] | None = None) -> dict[str, Any]:
        """Load weights.

        Raises:
            FileNotFoundError: there is no such local file.
            ValueError: the file cannot be fetched or read, or is of another model.
        """
        if path:
            path = _local_path(path, self.path_manager)
        self._path = path
        rest = super().load(path, checkpointables)
        if checkpointables is None and self._average is None and "ema" in rest:
            logger.warning(
                f"{path} was trained with SOLVER.EMA_DECAY, which is off now: training goes on "
                "from the averaged weights"
            )
        return rest

    def _load_file(self, filename: str) -> dict[str, Any]:
        try:
            if filename.endswith(".pkl"):
                return _load_model_zoo_pickle(filename)
            return super()._load_file(filename)
        except UNREADABLE as error:
            raise unreadable(filename, error) from error

    def _load_model(self, checkpoint: dict[str, Any]) -> _IncompatibleKeys:
        own = self.model.state_dict()
        has_own_layout = has_category_predictors(own) and not has_class_convolutions(own)
        if has_own_layout and has_single_predictor(checkpoint["model"]):
            logger.info(
                f"{self._path}: the channels of its stock landmark head go to one head per category"
            )
            checkpoint["model"] = to_category_predictors(checkpoint["model"])
        num_given = len(checkpoint["model"])  # the stock method consumes it
        incompatible = super()._load_model(checkpoint)
        lacking = {name for name, *_ in incompatible.incorrect_shapes}
        lacking.update(incompatible.missing_keys)
        total = len(own.keys() - {"pixel_mean", "pixel_std"})
        if (self.complete and lacking) or len(lacking) >= total:
            raise ValueError(
                f"{self._path}: a checkpoint of another model. {len(lacking)} of this model's "
                f"{total} tensors are not among its {num_given} or have another shape, such as "
                f"{', '.join(sorted(lacking)[:3])}. Give the config that it was trained with "
                "(--config-file), or another MODEL.WEIGHTS"
            )
        unused = sorted(key for key in incompatible.unexpected_keys if key.startswith(HEAD))
        if self.complete and unused:  # without them the head computes something else
            raise ValueError(
                f"{self._path}: its landmark head has {len(unused)} tensors that this model's has "
                f"not, such as {', '.join(unused[:3])}. Give the config that it was trained with: "
                "MODEL.ROI_LANDMARK_HEAD and MODEL.ROI_KEYPOINT_HEAD"
            )
        return incompatible


def evaluation_weights(cfg: CfgNode, opts: Sequence[str]) -> str:
    """Path of the weights that `--eval-only` evaluates.

    MODEL.WEIGHTS of the command line, else the last checkpoint of the output folder. The weights
    that a config names are where training starts from, and are never evaluated.

    Raises:
        FileNotFoundError: there are neither.
    """
    if "MODEL.WEIGHTS" in opts[::2]:
        return cfg.MODEL.WEIGHTS
    last = Path(cfg.OUTPUT_DIR, "last_checkpoint")
    if last.is_file():
        return str(Path(cfg.OUTPUT_DIR, last.read_text().strip()))
    raise FileNotFoundError(
        f"nothing to evaluate: {cfg.OUTPUT_DIR} holds no checkpoint. Train first with this config "
        "and OUTPUT_DIR, or give a trained model: MODEL.WEIGHTS path/to/model_final.pth"
    )


def load_for_evaluation(model: nn.Module, path: str) -> None:
    """Load every parameter of `model` from `path`.

    Raises:
        FileNotFoundError: there is no such local file.
        ValueError: no path is given, or the file is unreadable or of another model.
    """
    if not path:
        raise ValueError("MODEL.WEIGHTS is empty: give a trained model, such as model_final.pth")
    LandmarkCheckpointer(model, complete=True).load(path, checkpointables=[])


def _local_path(path: str, path_manager: Any) -> str:
    if "://" not in path:
        if not Path(path).is_file():
            raise FileNotFoundError(f"MODEL.WEIGHTS {path} does not exist")
        return path
    try:
        return path_manager.get_local_path(path)
    except Exception as error:  # whatever a download may raise
        raise ValueError(
            f"cannot fetch MODEL.WEIGHTS {path} ({error}). {NO_NETWORK_HELP}"
        ) from error


def _load_model_zoo_pickle(filename: str) -> dict[str, Any]:
    """Detectron2's model-zoo format: a pickled dict of arrays."""
    with open(filename, "rb") as file:
        data = _ArrayUnpickler(file, encoding="latin1").load()
    if "model" in data and "__author__" in data:
        return data
    data = data.get("blobs", data)
    arrays = {k: v for k, v in data.items() if not k.endswith("_momentum")}
    return {"model": arrays, "__author__": "Caffe2", "matching_heuristics": True}


class _ArrayUnpickler(pickle.Unpickler):
    """Reads arrays and plain containers; refuses everything that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAY_GLOBALS:
            raise pickle.UnpicklingError(f"it wants to use {module}.{name}, more than arrays need")
        return super().find_class(module, name)
