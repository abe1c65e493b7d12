"""Is this zip a valid submission? Read once, record by record, keeping nothing but counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError, check_input_file, member_name, open_only_member
from df2_landmarks.formats.detections import MAX_DETECTIONS
from df2_landmarks.formats.json_stream import read_records
from df2_landmarks.formats.record_errors import check_category, fail
from df2_landmarks.formats.results_reader import RECORDS
from df2_landmarks.formats.slot_text import ParsedSlots, RecordError, SlotTexts
from df2_landmarks.formats.submission import MEMBERS
from df2_landmarks.taxonomy import LAYOUT


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
    """Checks a submission.

    Args:
        path: the zip.
        split: "val" or "test"; either by default.
        image_ids: ids of the split's images; not checked by default.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the zip is not as the challenge wants it; names record, field, expected, got.
    """
    path = Path(path)
    check_input_file(path)
    wanted = list(MEMBERS.values()) if split is None else [MEMBERS[split]]
    with open_only_member(path) as (stream, info):
        if info.filename not in wanted:
            raise UserError(
                f"{path.name}: must hold {' or '.join(wanted)} without a folder, but holds "
                f"{info.filename[:80]!r}"
            )
        checker = _Checker(member_name(path, info), image_ids)
        for first, records in read_records(stream, checker.name, RECORDS):
            for row, record in enumerate(records, first):
                checker.check(row, record.image_id, record.category_id, bytes(record.keypoints))
        checker.finish()
    counts = checker.per_cell.values()
    return SubmissionFacts(
        member=info.filename,
        num_records=sum(counts),
        num_images=len({image_id for image_id, _ in checker.per_cell}),
        num_beyond=sum(max(0, count - MAX_DETECTIONS) for count in counts),
        zip_bytes=path.stat().st_size,
        json_bytes=info.file_size,
    )


class _Checker:
    def __init__(self, name: str, image_ids: NDArray[np.int64] | None) -> None:
        self.name = name
        self.per_cell: Counter[tuple[int, int]] = Counter()
        self._image_ids = None if image_ids is None else set(image_ids.tolist())
        self._texts = [SlotTexts(c, batch_size=256) for c in range(LAYOUT.num_categories)]

    def check(self, row: int, image_id: int, category_id: int, text: bytes) -> None:
        c = check_category(category_id, name=self.name, record=row)
        if self._image_ids is not None and image_id not in self._image_ids:
            fail(self.name, row, f"image_id: must be an image of the split, but got {image_id}")
        self.per_cell[image_id, category_id] += 1
        try:
            if self._texts[c].add(row, text, None, all_slots=False):
                self._parse(c)
        except RecordError as error:
            fail(self.name, error.row, str(error))

    def finish(self) -> None:
        try:
            for c in range(LAYOUT.num_categories):
                self._parse(c)
        except RecordError as error:
            fail(self.name, error.row, str(error))

    def _parse(self, class_index: int) -> None:
        for parsed in self._texts[class_index].parse():
            _check_v(parsed)


def _check_v(parsed: ParsedSlots) -> None:
    wrong = parsed.own[:, :, 2] != 1
    if wrong.any():
        row, local = np.argwhere(wrong)[0]
        raise RecordError(
            int(parsed.rows[row]),
            f"keypoints: v must be 1 in the category's own slots, but landmark {local + 1} has "
            f"{parsed.own[row, local, 2]:g}",
        )
