"""The costliest pictures of a result as PNG files: ground truth beside prediction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from df2_landmarks.common import UserError, atomic_write, make_output_folder
from df2_landmarks.evaluation import Score
from df2_landmarks.evaluation.diagnosis import Cases, ImageCase
from df2_landmarks.formats import Garment, GroundTruth, read_image_records, read_picture
from df2_landmarks.report.pictures import line_about
from df2_landmarks.visualization import (
    contact_sheet,
    draw_garments,
    drawable_detection,
    drawable_garment,
)

TILE_PX = 480


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
            drawable_garment(
                category, truth.boxes_xywh[row], truth.landmarks_xy[row], truth.visibility[row]
            )
        )
    return garments


def _predicted_garments(result: Score, case: ImageCase) -> list[Garment]:
    places = (garment.detection for garment in case.garments if garment.detection is not None)
    return [
        drawable_detection(result.pairs.ranked[c], row, result.pairs.taxonomy.categories[c])
        for c, row in places
    ]
