"""From a checkpoint to an exported file that was compared with it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import detectron2
import numpy as np
import torch
import torchvision

from df2_landmarks.common import UserError, atomic_path, atomic_write
from df2_landmarks.export.formats import find_format
from df2_landmarks.export.parity import Parity, compare, drawn_pictures
from df2_landmarks.export.traceable import TraceableRCNN
from df2_landmarks.formats import (
    EXPORT_LAYOUT,
    Channels,
    ExportInput,
    ExportRecord,
    model_record,
    read_picture,
)
from df2_landmarks.modeling import STEP_CELLS
from df2_landmarks.predict import load_exported, load_model

PARITY_SUFFIX = ".parity.txt"


def export_model(
    weights: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    format_name: str = "onnx",
    config: str | os.PathLike[str] | None = None,
    opts: Sequence[str] = (),
    pictures: Sequence[Any] = (),
    report: Callable[[Parity], None] = lambda parity: None,
) -> Path:
    """Export a trained model, and compare the file with it.

    Args:
        weights: a checkpoint, or an output folder, as of `Predictor.load`.
        output: the file to write; its suffix must be that of the format. Beside it the table of
            parity is written.
        format_name: one of `FORMATS`.
        config: YAML that it was trained with, for a checkpoint without its own.
        opts: alternating keys and values that override the configuration.
        pictures: compared as well: paths, or (H, W, 3) uint8 RGB arrays.
        report: called with the comparison, before a failure is raised.

    Returns:
        The file with the table of parity.

    Raises:
        UserError: the model or the format is wrong, a file cannot be written, or the exported file
            does not compute what the model computes; then no file is left.
    """
    output = Path(output)
    file_format = find_format(format_name)
    if output.suffix != file_format.suffix:
        raise UserError(
            f"--output {output}: a file of format {format_name} must end in {file_format.suffix}",
            exit_code=2,
        )
    model: Any = load_model(Path(weights), config=config, opts=opts, device="cpu")
    if not hasattr(model, "cfg"):
        raise UserError(f"{weights}: is an exported file; give the checkpoint that it came from")
    traceable = TraceableRCNN(model.model)
    compared = drawn_pictures()
    for source in pictures:
        channels: Channels | None = "RGB" if isinstance(source, np.ndarray) else None
        rgb = read_picture(source, channels=channels, max_pixels=model.max_pixels)
        name = "given" if isinstance(source, np.ndarray) else Path(source).name
        compared.append((f"{name}, {rgb.shape[1]} x {rgb.shape[0]}", rgb))
    image = model.prepare(compared[0][1]).data.permute(1, 2, 0).contiguous()
    writer = importlib.import_module(f"df2_landmarks.export.{file_format.name}_file")
    with atomic_path(output) as temporary:
        with torch.inference_mode(False), torch.no_grad():
            writer.write(
                temporary,
                traceable,
                (image, torch.tensor(0.0)),
                model_record(model.cfg.dump(), model.taxonomy),
                _export_record(model, traceable, format_name),
            )
        exported = load_exported(temporary, file_format.suffix)
        heads = model.model.roi_heads
        side = heads.keypoint_pooler.output_size[0] * 4
        step = heads.keypoint_head.box_scale * STEP_CELLS / side
        parity = compare(model, exported, compared, step=step)
        report(parity)
        if not parity.is_equal:
            different = [row.picture for row in parity.rows if not row.is_small]
            raise UserError(
                f"{output}: not written: the exported model differs from {weights} on "
                f"{len(different)} of {len(parity.rows)} pictures ({'; '.join(different)})"
            )
        table = output.with_name(output.name + PARITY_SUFFIX)
        with atomic_write(table) as file:
            file.write(f"{parity.text()}\n".encode())
    return table


def _export_record(model: Any, traceable: TraceableRCNN, format_name: str) -> ExportRecord:
    cfg = model.cfg
    _, predictor = traceable.box_stages[-1]
    return ExportRecord(
        layout=EXPORT_LAYOUT,
        format=format_name,
        fingerprint=model.fingerprint,
        input=ExportInput(
            channels=cfg.INPUT.FORMAT,
            min_size_px=cfg.INPUT.MIN_SIZE_TEST,
            max_size_px=cfg.INPUT.MAX_SIZE_TEST,
            max_pixels=cfg.INPUT.MAX_PIXELS,
            stride=max(1, model.model.backbone.size_divisibility),
            mean=np.ravel(cfg.MODEL.PIXEL_MEAN).tolist(),
            std=np.ravel(cfg.MODEL.PIXEL_STD).tolist(),
        ),
        thresholds={
            "score": predictor.test_score_thresh,
            "nms": predictor.test_nms_thresh,
            "detections": predictor.test_topk_per_image,
        },
        outputs=list(traceable.output_names),
        software={
            "torch": str(torch.__version__),
            "torchvision": torchvision.__version__,
            "detectron2": detectron2.__version__,
        },
    )
