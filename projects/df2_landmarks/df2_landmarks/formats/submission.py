"""The challenge's submission: one flat zip with one JSON list of results. Write and check it.

Categories are DeepFashion2's, or those of a challenge with a taxonomy of its own.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Collection, Mapping
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
    zip_member,
)
from df2_landmarks.formats.detections import MAX_DETECTIONS, Detections
from df2_landmarks.formats.json_stream import fail_record
from df2_landmarks.formats.results import result_records, write_results
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

MEMBERS = {"val": "val_keypoints.json", "test": "test_keypoints.json"}
MAX_UNPACKED_BYTES = 8 << 30
"""Bounds what a server reads of one submission."""


def write_submission(
    path: str | Path,
    detections: Detections,
    *,
    split: str,
    class_of_id: Mapping[int, int] | None = None,
) -> int:
    """Write the zip: the best 20 detections per image and category.

    Each has all 294 slots; of another taxonomy than DeepFashion2's, its own landmarks only.

    The same detections give the same bytes. The file appears whole or not at all.

    Args:
        path: the zip; the challenge page does not say what its name must be.
        detections: what to submit.
        split: "val" or "test", which names the file in the zip.
        class_of_id: category id -> class, see `GroundTruth`; by default the ids of the taxonomy.

    Returns:
        Number of records.
    """
    best = replace(detections, classes=tuple(part.ranked() for part in detections.classes))
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        archive.open(zip_member(MEMBERS[split]), "w", force_zip64=True) as stream,
    ):
        return write_results(
            cast(BinaryIO, stream),
            best,
            own_landmarks=detections.taxonomy != DEEPFASHION2,
            class_of_id=class_of_id,
        )


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
    path: str | Path,
    *,
    split: str | None = None,
    image_ids: NDArray[np.int64] | None = None,
    taxonomy: Taxonomy = DEEPFASHION2,
    class_of_id: Mapping[int, int] | None = None,
) -> SubmissionFacts:
    """Check a submission: read it once, record by record, and keep nothing but counts.

    With another taxonomy than DeepFashion2's, a record may have the landmarks of its own category
    only, and v is not looked at.

    Args:
        path: the zip.
        split: "val" or "test"; either by default.
        image_ids: ids of the split's images; not checked by default.
        taxonomy: the categories.
        class_of_id: category id -> class, see `GroundTruth`; by default the ids of the taxonomy.

    Raises:
        UserError: there is no such file, or the zip is not as the challenge wants it; names
            record, field, expected, got.
    """
    path = Path(path)
    check_input_file(path)
    names = list(MEMBERS.values()) if split is None else [MEMBERS[split]]
    with open_only_member(path) as (stream, info):
        if info.filename not in names:
            raise UserError(
                f"{path.name}: must hold {' or '.join(names)} without a folder, but holds "
                f"{info.filename[:80]!r}"
            )
        name = member_name(path, info)
        counts = _checked_counts(stream, name, image_ids, taxonomy, class_of_id)
    return _facts(info.filename, counts, path.stat().st_size, info.file_size)


def check_unpacked_submission(
    folder: str | Path,
    *,
    split: str,
    image_ids: NDArray[np.int64],
    taxonomy: Taxonomy = DEEPFASHION2,
    class_of_id: Mapping[int, int] | None = None,
    skipped: Collection[str] = (),
) -> SubmissionFacts:
    """Check a submission that a server has unpacked into a folder, as `check_submission`.

    Args:
        folder: what was in the zip.
        split: "val" or "test".
        image_ids: ids of the split's images.
        taxonomy: the categories.
        class_of_id: category id -> class, see `GroundTruth`; by default the ids of the taxonomy.
        skipped: names of files that the server adds, or that archivers do.

    Raises:
        UserError: the file is missing, in a folder, not alone, a link, too large, or not as the
            challenge wants it.
    """
    folder, member = Path(folder), MEMBERS[split]
    names = sorted(entry.name for entry in folder.iterdir() if entry.name not in skipped)
    path = folder / member
    if member not in names:
        raise UserError(_what_to_do_without(folder, names, member))
    if names != [member]:
        others = _listed([name for name in names if name != member])
        raise UserError(f"the zip must hold {member} alone, but also holds {others}; leave it out")
    if path.is_symlink() or not path.is_file():
        raise UserError(f"{member}: must be a plain file, but is a link or a folder; zip the file")
    size = path.stat().st_size
    if size > MAX_UNPACKED_BYTES:
        raise UserError(
            f"{member}: must have at most {MAX_UNPACKED_BYTES} bytes, but has {size}; "
            "`df2 submission pack` leaves out what does not count"
        )
    with path.open("rb") as stream:
        counts = _checked_counts(stream, member, image_ids, taxonomy, class_of_id)
    return _facts(member, counts, size, size)


def _what_to_do_without(folder: Path, names: list[str], member: str) -> str:
    inside = next((name for name in names if (folder / name / member).is_file()), None)
    if inside is not None:
        return (
            f"the zip must hold {member} without a folder, but holds the folder {inside[:60]!r}; "
            f"zip the file itself: `zip -j submission.zip {member}`"
        )
    is_other = any(other in names for other in MEMBERS.values())
    advice = "; that is of the other split: is this the right phase?" if is_other else ""
    return f"the zip must hold {member}, but holds {_listed(names) or 'nothing'}{advice}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(repr(name[:60]) for name in names[:3]) + more


_Cells = Counter[tuple[int, int]]
"""(image id, category id) -> results."""


def _checked_counts(
    stream: BinaryIO,
    name: str,
    image_ids: NDArray[np.int64] | None,
    taxonomy: Taxonomy,
    class_of_id: Mapping[int, int] | None,
) -> _Cells:
    known_ids = None if image_ids is None else set(image_ids.tolist())
    is_official = taxonomy == DEEPFASHION2
    per_cell: _Cells = Counter()
    for record, result, slots in result_records(stream, name, taxonomy, class_of_id):
        if is_official:
            if slots.are_alone:
                expected = f"keypoints: a submission needs all {taxonomy.num_slots} landmarks"
                fail_record(name, record, f"{expected}; `df2 submission pack` writes them")
            _check_v(slots.own[2::3], name, record)
        if known_ids is not None and result.image_id not in known_ids:
            expected = "image_id: must be an image of the split"
            fail_record(name, record, f"{expected}, but got {result.image_id}")
        per_cell[result.image_id, result.category_id] += 1
    return per_cell


def _facts(member: str, per_cell: _Cells, zip_bytes: int, json_bytes: int) -> SubmissionFacts:
    counts = per_cell.values()
    return SubmissionFacts(
        member=member,
        num_records=sum(counts),
        num_images=len({image_id for image_id, _ in per_cell}),
        num_beyond=sum(max(0, count - MAX_DETECTIONS) for count in counts),
        zip_bytes=zip_bytes,
        json_bytes=json_bytes,
    )


def _check_v(own_v: list[float], name: str, record: int) -> None:
    for number, v in enumerate(own_v, 1):
        if v != 1:
            expected = "keypoints: v must be 1 in the category's own slots"
            fail_record(name, record, f"{expected}, but landmark {number} has {v:g}")
