"""The challenge's submission: one flat zip with one JSON list of results."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import atomic_path
from df2_landmarks.formats.detections import Detections
from df2_landmarks.formats.results import write_results

MEMBERS = {"val": "val_keypoints.json", "test": "test_keypoints.json"}
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def write_submission(
    path: str | Path, detections: Detections, image_ids: NDArray[np.int64], *, split: str
) -> int:
    """Writes the zip: the best 20 detections per image and category, 294 slots each.

    The same detections give the same bytes. Nothing half-written is left behind.

    Args:
        path: the zip; the challenge page does not say what its name must be.
        detections: what to submit.
        image_ids: (I,) ids that ``image_index`` points to.
        split: "val" or "test", which names the file in the zip.

    Returns:
        Number of records.
    """
    path = Path(path)
    member = zipfile.ZipInfo(MEMBERS[split], _TIMESTAMP)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    best = replace(detections, classes=tuple(found.ranked() for found in detections.classes))
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_path(path) as partial,
        zipfile.ZipFile(partial, "w") as archive,
        archive.open(member, "w", force_zip64=True) as stream,
    ):
        return write_results(cast(BinaryIO, stream), best, image_ids)
