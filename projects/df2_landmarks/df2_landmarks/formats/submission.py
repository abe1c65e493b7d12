"""The challenge's submission: one flat zip with one JSON list of results. Write and check it."""

from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import (
    UserError,
    atomic_path,
    check_input_file,
    member_name,
    open_only_member,
)
from df2_landmarks.formats.detections import MAX_DETECTIONS, Detections
from df2_landmarks.formats.json_stream import fail_record
from df2_landmarks.formats.results import result_records, write_results
from df2_landmarks.taxonomy import DEEPFASHION2

MEMBERS = {"val": "val_keypoints.json", "test": "test_keypoints.json"}
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def write_submission(path: str | Path, detections: Detections, *, split: str) -> int:
    """Write the zip: the best 20 detections per image and category, 294 slots each.

    The same detections give the same bytes. The file appears whole or not at all.

    Args:
        path: the zip; the challenge page does not say what its name must be.
        detections: what to submit.
        split: "val" or "test", which names the file in the zip.

    Returns:
        Number of records.
    """
    member = zipfile.ZipInfo(MEMBERS[split], _TIMESTAMP)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    best = replace(detections, classes=tuple(part.ranked() for part in detections.classes))
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        archive.open(member, "w", force_zip64=True) as stream,
    ):
        return write_results(cast(BinaryIO, stream), best)


@dataclass(frozen=True)
class SubmissionFacts:
    """What a valid submission holds.

    Attributes:
        member: name of the file in the zip.
        num_records: results.
        num_images: images with at least one result.
        num_beyond: results beyond the 20 best of their image and category, which do not count.
        zip_bytes: size of the zip.
        json_bytes: size of the file in it.
    """

    member: str
    num_records: int
    num_images: int
    num_beyond: int
    zip_bytes: int
    json_bytes: int


def check_submission(
    path: str | Path, *, split: str | None = None, image_ids: NDArray[np.int64] | None = None
) -> SubmissionFacts:
    """Check a submission: read it once, record by record, and keep nothing but counts.

    Args:
        path: the zip.
        split: "val" or "test"; either by default.
        image_ids: ids of the split's images; not checked by default.

    Raises:
        UserError: there is no such file, or the zip is not as the challenge wants it; names
            record, field, expected, got.
    """
    path = Path(path)
    check_input_file(path)
    names = list(MEMBERS.values()) if split is None else [MEMBERS[split]]
    known_ids = None if image_ids is None else set(image_ids.tolist())
    per_cell: Counter[tuple[int, int]] = Counter()
    with open_only_member(path) as (stream, info):
        if info.filename not in names:
            raise UserError(
                f"{path.name}: must hold {' or '.join(names)} without a folder, but holds "
                f"{info.filename[:80]!r}"
            )
        name = member_name(path, info)
        for record, result, slots in result_records(stream, name):
            if slots.are_alone:
                expected = f"keypoints: a submission needs all {DEEPFASHION2.num_slots} landmarks"
                fail_record(name, record, f"{expected}; `df2 submission pack` writes them")
            _check_v(slots.own[2::3], name, record)
            if known_ids is not None and result.image_id not in known_ids:
                expected = "image_id: must be an image of the split"
                fail_record(name, record, f"{expected}, but got {result.image_id}")
            per_cell[result.image_id, result.category_id] += 1
    counts = per_cell.values()
    return SubmissionFacts(
        member=info.filename,
        num_records=sum(counts),
        num_images=len({image_id for image_id, _ in per_cell}),
        num_beyond=sum(max(0, count - MAX_DETECTIONS) for count in counts),
        zip_bytes=path.stat().st_size,
        json_bytes=info.file_size,
    )


def _check_v(own_v: list[float], name: str, record: int) -> None:
    for number, v in enumerate(own_v, 1):
        if v != 1:
            expected = "keypoints: v must be 1 in the category's own slots"
            fail_record(name, record, f"{expected}, but landmark {number} has {v:g}")
