"""One image and its garments as bytes, and as the dict that Detectron2 wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from detectron2.structures import BoxMode


class PackedGarment(msgspec.Struct, array_like=True):
    """A garment. Landmarks are 3*K and polygons 2*n float32 numbers, as bytes."""

    class_index: int
    bbox_xywh: tuple[float, float, float, float]
    iscrowd: int
    landmarks: bytes
    polygons: list[bytes]
    attributes: dict[str, int | str]


class PackedImage(msgspec.Struct, array_like=True):
    """An image; the file name is relative to the folder of the images."""

    file_name: str
    image_id: int
    height: int
    width: int
    garments: list[PackedGarment]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(PackedImage)


def pack(image: PackedImage) -> bytes:
    return _ENCODER.encode(image)


def unpack(data: bytes | memoryview, image_root: Path) -> dict[str, Any]:
    """A dataset dict as `load_landmark_json` describes it."""
    image = _DECODER.decode(data)
    return {
        "file_name": str(image_root / image.file_name),
        "image_id": image.image_id,
        "height": image.height,
        "width": image.width,
        "annotations": [
            {
                "bbox": list(garment.bbox_xywh),
                "bbox_mode": BoxMode.XYWH_ABS,
                "category_id": garment.class_index,
                "segmentation": [np.frombuffer(p, dtype=np.float32) for p in garment.polygons],
                "iscrowd": garment.iscrowd,
                "keypoints": np.frombuffer(garment.landmarks, dtype=np.float32),
                **garment.attributes,
            }
            for garment in image.garments
        ],
    }
