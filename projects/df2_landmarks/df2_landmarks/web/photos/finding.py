"""From a photo's bytes to the answer; in the process that has the model, or anywhere."""

from __future__ import annotations

from functools import partial

import msgspec
import numpy as np

from df2_landmarks.common import UserError
from df2_landmarks.formats import Garment, TooManyPixelsError, read_picture
from df2_landmarks.predict import (
    Garments,
    Predictor,
    encoded_drawing,
    landmark_table,
    measurement_table,
    picture_record,
)
from df2_landmarks.visualization import DrawingStyle, draw_garments
from df2_landmarks.web.photos.records import Outcome, PredictOptions, Reply, Task

CSV = "text/csv; charset=utf-8"
TABLES = {"csv": landmark_table, "measurements": measurement_table}


def answer(
    predictor: Predictor, task: Task, photo: bytes, *, max_pixels: int
) -> tuple[Reply, bytes]:
    """Find the garments in a photo; return what became of it, and the bytes of the answer.

    Args:
        predictor: whose model is used; the score threshold is that of the task.
        task: what is wanted.
        photo: bytes of a file; its format is told by its content.
        max_pixels: a photo with more is not decoded.
    """
    options = task.options
    try:
        rgb = read_picture(photo, max_pixels=min(max_pixels, predictor.model.max_pixels))
    except UserError as error:
        outcome: Outcome = "too large" if isinstance(error, TooManyPixelsError) else "no picture"
        _, _, reason = str(error).partition(": ")  # before it: that these are bytes
        return Reply(outcome=outcome, message=f"the photo: {reason}"), b""
    finder = Predictor(predictor.model, min_score=options.min_score)
    garments = finder(rgb, channels="RGB")
    if options.answer == "drawing":
        drawn, media_type = encoded_drawing(_drawn(rgb, garments, options))
        return Reply(outcome="found", media_type=media_type), drawn
    measured = partial(Garment.measurements, pixels_per_cm=options.pixels_per_cm)
    record = picture_record(
        task.file,
        finder.fingerprint,
        garments,
        with_masks=options.masks,
        measure=measured if options.measure or options.answer == "measurements" else None,
    )
    if options.answer in TABLES:
        table = TABLES[options.answer]([record])
        return Reply(outcome="found", media_type=CSV), table.encode("utf-8", "replace")
    return Reply(outcome="found"), msgspec.json.encode(record)


def _drawn(rgb: np.ndarray, garments: Garments, options: PredictOptions) -> np.ndarray:
    text = None if options.landmark_text == "none" else options.landmark_text
    style = DrawingStyle(masks=options.masks, landmark_text=text)
    return draw_garments(np.ascontiguousarray(rgb[:, :, ::-1]), garments, style)
