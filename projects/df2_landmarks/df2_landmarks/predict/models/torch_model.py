"""A trained model of Detectron2, as `Predictor` needs it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.structures import Instances
from numpy.typing import NDArray
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.engine import (
    LandmarkCheckpointer,
    last_checkpoint,
    read_checkpoint,
    recorded_config,
    setup_config,
)
from df2_landmarks.formats import RECORD_KEY, Mask, check_record, recorded_config_text
from df2_landmarks.modeling import LandmarkRCNNWithTTA, detect, padded_size
from df2_landmarks.predict.models.model import Detected, Prepared, detected_in_picture
from df2_landmarks.predict.models.resizing import resized, squashed
from df2_landmarks.taxonomy import taxonomy_of

FINGERPRINT_DIGITS = 16


class TorchModel:
    """A `GeneralizedRCNN` with its resizing."""

    def __init__(self, cfg: CfgNode, model: Any, *, half: bool = False, tta: bool = False) -> None:
        """
        Args:
            cfg: its configuration.
            model: a trained `GeneralizedRCNN`, on its device.
            half: compute in bfloat16 where it is safe.
            tta: test-time augmentation, with the views of TEST.AUG.
        """
        self.cfg = cfg
        self.taxonomy = taxonomy_of(cfg)
        self.max_pixels = cfg.INPUT.MAX_PIXELS
        self.model = model.eval()
        self.half = half
        self.fingerprint = _fingerprint(cfg, model, half=half, tta=tta)
        self._augmented = LandmarkRCNNWithTTA(cfg, model) if tta else None
        self._device = torch.device(cfg.MODEL.DEVICE)
        self._num_threads = torch.get_num_threads()
        self.is_parallel = self._device.type == "cpu" and not tta
        if self._device.type == "cpu":
            self.model.to(memory_format=torch.channels_last)

    @classmethod
    def load(
        cls,
        file: Path,
        *,
        config: str | os.PathLike[str] | None,
        opts: Sequence[str],
        device: str | None,
        half: bool,
        tta: bool,
    ) -> TorchModel:
        """Load a model; the arguments are those of `Predictor.load`.

        Raises:
            UserError: the file, its configuration or an option is wrong.
        """
        if file.is_dir():
            file = _last_of(file)
        if device is None and "MODEL.DEVICE" in opts[::2]:
            device = dict(zip(opts[::2], opts[1::2], strict=False))["MODEL.DEVICE"]
        opts = [*opts, "MODEL.DEVICE", _checked_device(device)]
        checkpoint = read_checkpoint(file)
        if config is not None:
            cfg = setup_config(Path(config), opts, on_cpu=False)
        elif RECORD_KEY in checkpoint:
            text = recorded_config_text(checkpoint[RECORD_KEY], str(file))
            cfg = recorded_config(text, str(file), opts, on_cpu=False)
        else:
            raise UserError(
                f"{file}: does not contain its configuration (written by an earlier version, or by "
                "other software); give the YAML that it was trained with: config="
            )
        taxonomy = taxonomy_of(cfg)
        if RECORD_KEY in checkpoint:
            check_record(checkpoint[RECORD_KEY], str(file), taxonomy)
        if not cfg.MODEL.KEYPOINT_ON:
            raise UserError(f"{file}: MODEL.KEYPOINT_ON is False: a model without landmarks")
        model = build_model(cfg)
        LandmarkCheckpointer(model, complete=True, taxonomy=taxonomy).load_weights(
            checkpoint, str(file)
        )
        return cls(cfg, model, half=half, tta=tta)

    def prepare(self, rgb: NDArray[np.uint8]) -> Prepared:
        """Resize as the evaluation does, but for rounding."""
        height, width = rgb.shape[:2]
        if self._augmented is None:
            image = resized(rgb, self.cfg.INPUT.MIN_SIZE_TEST, self.cfg.INPUT.MAX_SIZE_TEST)
        else:  # each view is resized on its own
            image = squashed(rgb, self.cfg.TEST.AUG.MAX_SIZE)
        if self.cfg.INPUT.FORMAT != "RGB":
            image = image[:, :, ::-1]  # after the resizing: there are fewer pixels to copy
        tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        size = padded_size(tensor.shape[1:], self.model.backbone.size_divisibility)
        return Prepared(height, width, tensor, size)

    def enter_thread(self, threads: int) -> None:
        """Let torch use a share of its threads (OMP_NUM_THREADS) in this one."""
        torch.set_num_threads(max(1, self._num_threads // threads))

    @torch.inference_mode()
    def detect(self, batch: Sequence[Prepared], min_score: float) -> list[Detected]:
        """Return the detections with at least a score, for pictures of one group."""
        inputs = [{"image": p.data, "height": p.height, "width": p.width} for p in batch]
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.half):
            if self._augmented is not None:
                return [self._detect_augmented(image, min_score) for image in inputs]
            outputs = detect(self.model, inputs, min_score)
        return [
            _in_picture(instances, prepared, best)
            for prepared, (instances, best) in zip(batch, outputs, strict=True)
        ]

    def _detect_augmented(self, image: dict[str, Any], min_score: float) -> Detected:
        assert self._augmented is not None
        instances = self._augmented([image])[0]["instances"].to("cpu")
        best = float(instances.scores.max()) if len(instances) else 0.0
        instances = instances[instances.scores >= min_score]
        masks = None
        if instances.has("pred_masks"):
            masks = [Mask.from_array(mask.numpy()) for mask in instances.pred_masks]
        return Detected(
            classes=instances.pred_classes.numpy(),
            scores=instances.scores.float().numpy(),
            boxes_xyxy=instances.pred_boxes.tensor.numpy(),
            landmarks=instances.pred_keypoints.float().numpy(),
            visible=_optional(instances, "pred_visibility"),
            masks=masks,
            best_score=best,
            covariance=_optional(instances, "pred_covariance"),
        )


def _in_picture(instances: Instances, prepared: Prepared, best: float) -> Detected:
    """Move detections from the resized image to the picture."""
    instances = instances.to("cpu")
    return detected_in_picture(
        prepared,
        instances.image_size,
        classes=instances.pred_classes.numpy(),
        scores=instances.scores.float().numpy(),
        boxes_xyxy=instances.pred_boxes.tensor.float().numpy(),
        landmarks=instances.pred_keypoints.float().numpy(),
        visible=_optional(instances, "pred_visibility"),
        probabilities=(
            instances.pred_masks[:, 0].float().numpy() if instances.has("pred_masks") else None
        ),
        best_score=best,
        covariance=_optional(instances, "pred_covariance"),
    )


def _optional(instances: Instances, field: str) -> NDArray[np.float32] | None:
    if not instances.has(field):
        return None
    values: NDArray[np.float32] = instances.get(field).float().numpy()
    return values


def _last_of(folder: Path) -> Path:
    last = last_checkpoint(folder)
    if last is None:
        raise UserError(
            f"{folder}: this folder holds no checkpoint (last_checkpoint). Train a model, such as "
            "by `make demo`, or give the path of a .pth file"
        )
    return last


def _checked_device(device: str | None) -> str:
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda"):
        raise UserError(
            f'device must be "cpu", "cuda" or "cuda:N", but got {device!r}', exit_code=2
        )
    available = torch.cuda.device_count()
    if chosen.type == "cuda" and (chosen.index or 0) >= available:
        raise UserError(
            f"device {device}: this machine has {available} GPUs that torch can use", exit_code=2
        )
    return str(chosen)


def _fingerprint(cfg: CfgNode, model: nn.Module, *, half: bool, tta: bool) -> str:
    """Hash what decides the results: weights, options, configuration of model, input and test."""
    digest = hashlib.sha256(f"half={half} tta={tta}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    parts = CfgNode({"MODEL": cfg.MODEL, "INPUT": cfg.INPUT, "TEST": cfg.TEST}).clone()
    parts.defrost()
    parts.MODEL.WEIGHTS = parts.MODEL.DEVICE = ""
    digest.update(json.dumps(parts, sort_keys=True).encode())  # YAML names shared lists
    return digest.hexdigest()[:FINGERPRINT_DIGITS]
