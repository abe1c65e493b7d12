"""The costliest pictures of a result as PNG files: ground truth beside prediction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError, atomic_write, make_output_folder
from df2_landmarks.evaluation import Score
from df2_landmarks.evaluation.diagnosis import Cases, ImageCase
from df2_landmarks.formats import (
    Garment,
    GroundTruth,
    Landmarks,
    read_image_records,
    read_picture,
    to_continuous,
)
from df2_landmarks.report.pictures import line_about
from df2_landmarks.taxonomy import Category
from df2_landmarks.visualization import contact_sheet, draw_garments

TILE_PX = 480
FAR_PX = 100_000
"""What lies farther outside is drawn there: drawing needs numbers of 32 bits."""


def images_beside(annotations: Path) -> Path | None:
    """Return the folder of the photos of ``annotations/<split>.json``, None if there is none."""
    split = annotations.name.partition(".")[0]
    folder = annotations.resolve().parent.parent
    found = (folder / split / "image", folder / "images")
    return next((path for path in found if path.is_dir()), None)


def write_worst_pictures(
    folder: Path,
    ground_truth_file: Path,
    images: Path,
    ground_truth: GroundTruth,
    result: Score,
    *,
    count: int,
) -> Iterator[Path]:
    """Write the costliest pictures (`evaluation.diagnosis.Cases`), the costliest first.

    Args:
        folder: to write into.
        ground_truth_file: COCO JSON, for the names of the photos.
        images: folder of the photos.
        ground_truth: read from the file.
        result: of the detections.
        count: at most so many.

    Yields:
        Each file that was written.

    Raises:
        UserError: the folder cannot be written to, or a photo not be read.
    """
    make_output_folder(folder, "--pictures")
    cases = Cases(ground_truth, result)
    indices = [index for index in cases.worst(count) if cases.image_losses[index] > 0]
    ids = {int(ground_truth.image_ids[index]) for index in indices}
    records = read_image_records(ground_truth_file, ids)
    for rank, index in enumerate(indices, 1):
        image_id = int(ground_truth.image_ids[index])
        name = records[image_id].file_name
        if not name:
            raise UserError(f"{ground_truth_file}: image {image_id} has no file_name")
        picture = np.ascontiguousarray(read_picture(images / name)[:, :, ::-1])
        case = cases.of_image(index)
        row = [
            draw_garments(picture, _true_garments(ground_truth, case)),
            draw_garments(picture, _predicted_garments(result, case)),
        ]
        lines = [f"{name} (image {image_id}) costs {case.loss:.2f}"]
        lines += [line_about(garment, ground_truth.taxonomy) for garment in case.garments]
        sheet = contact_sheet([row], captions=[lines], num_columns=1, tile_px=TILE_PX)
        path = folder / f"{rank:03d}_image_{image_id}.png"
        with atomic_write(path) as file:
            file.write(cv2.imencode(".png", sheet)[1].tobytes())
        yield path


def _true_garments(ground_truth: GroundTruth, case: ImageCase) -> list[Garment]:
    garments = []
    for c, row in (garment.item for garment in case.garments if garment.item is not None):
        truth, category = ground_truth.classes[c], ground_truth.taxonomy.categories[c]
        garments.append(
            _garment(
                category, truth.boxes_xywh[row], truth.landmarks_xy[row], truth.visibility[row]
            )
        )
    return garments


def _predicted_garments(result: Score, case: ImageCase) -> list[Garment]:
    garments = []
    for garment in case.garments:
        if garment.detection is None:
            continue
        c, row = garment.detection
        part, category = result.pairs.ranked[c], result.pairs.taxonomy.categories[c]
        xy, box_xywh = part.landmarks_xy[row], part.boxes_xywh[row]
        if np.isnan(box_xywh).any():  # the results have no boxes
            box_xywh = np.concatenate([xy.min(axis=0), np.ptp(xy, axis=0)])
        visibility = np.full(len(xy), 2)
        garments.append(_garment(category, box_xywh, xy, visibility, garment.score))
    return garments


def _garment(
    category: Category,
    box_xywh: NDArray[np.float64],
    landmarks_xy: NDArray[np.float64],
    visibility: NDArray,
    score: float | None = None,
) -> Garment:
    x, y, w, h = box_xywh
    box_xyxy = np.clip(np.array([x, y, x + w, y + h]), -FAR_PX, FAR_PX)
    xy = np.clip(to_continuous(landmarks_xy), -FAR_PX, FAR_PX)
    landmarks = Landmarks(category.landmark_names, xy, visibility)
    return Garment(category, box_xyxy, landmarks, score=score)
