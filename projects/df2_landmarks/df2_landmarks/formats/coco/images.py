"""The records of images of a COCO file, without its annotations."""

from __future__ import annotations

from pathlib import Path

from df2_landmarks.common import open_input
from df2_landmarks.formats.coco.records import CocoImage, RecordDecoder
from df2_landmarks.formats.json_stream import read_members


def read_image_records(path: str | Path, wanted: set[int]) -> dict[int, CocoImage]:
    """Return the wanted records of ``images`` of a COCO file by their ids.

    Raises:
        UserError: the file cannot be read.
    """
    found: dict[int, CocoImage] = {}
    decoder = RecordDecoder(CocoImage)
    with open_input(path) as (stream, name):
        members = read_members(stream, name, {"images": decoder}, stop_after="images")
        for _, _, records in members:
            found |= {record.id: record for record in records if record.id in wanted}
    return found
