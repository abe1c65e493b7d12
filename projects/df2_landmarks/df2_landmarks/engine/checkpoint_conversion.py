"""Checkpoint files of a stock head into those of a head per category, and back."""

from __future__ import annotations

from pathlib import Path

import torch

from df2_landmarks.engine.checkpoint import UNREADABLE, unreadable
from df2_landmarks.engine.output_folder import make_output_folder
from df2_landmarks.modeling import to_category_predictors, to_single_predictor

CONVERSIONS = {"single": to_single_predictor, "per-category": to_category_predictors}


def convert_checkpoint(source: Path, target: Path, *, to: str) -> int:
    """Write the converted weights of `source`; what else it holds (the optimizer) is left out.

    Args:
        source: a checkpoint of Detectron2.
        target: the new file; replaced when the new one is complete.
        to: one of `CONVERSIONS`.

    Returns:
        Number of tensors written.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, or cannot be converted so or written there.
    """
    if not source.is_file():
        raise FileNotFoundError(f"{source} does not exist")
    if target.is_dir():
        raise ValueError(f"{target}: is a folder; give the name of a file")
    make_output_folder(target.parent, "the folder of OUT,")
    try:
        checkpoint = torch.load(source, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise unreadable(str(source), error) from error
    weights = checkpoint.get("model") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict):
        raise ValueError(f"{source}: not a checkpoint of Detectron2, which has 'model' in it")
    try:
        converted = CONVERSIONS[to](weights)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    partial = target.with_name(f"{target.name}.partial")
    torch.save({"model": converted}, partial)
    partial.replace(target)
    return len(converted)
