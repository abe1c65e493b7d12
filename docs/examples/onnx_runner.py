"""Garments with named landmarks from a model that `df2 export` wrote. Copy it into your program.

    python onnx_runner.py model.onnx photo.jpg ...

It needs numpy, Pillow and onnxruntime; neither df2_landmarks nor torch. Everything that it knows of
the model is in the model's file. It prints a JSON object per picture.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

LAYOUT = 1
"""Of the inputs and outputs that this program knows."""


class Runner:
    """An exported model.

    Attributes:
        record: what the file says of itself: names, left-right pairs and sigmas of the landmarks,
            sizes, thresholds, versions, the fingerprint of the weights.
    """

    def __init__(self, file: str) -> None:
        self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        metadata = self.session.get_modelmeta().custom_metadata_map
        if "df2_landmarks" not in metadata:
            raise ValueError(f"{file}: not a file of df2 export")
        self.record = json.loads(metadata["df2_landmarks"])
        layout = self.record["export"]["layout"]
        if layout != LAYOUT:
            raise ValueError(f"{file}: layout {layout}, but this program knows {LAYOUT}")
        self.names = [output.name for output in self.session.get_outputs()]

    def __call__(self, image: Image.Image, min_score: float = 0.3) -> list[dict[str, Any]]:
        """Return the garments in a picture, best first.

        Args:
            image: the picture.
            min_score: 0..1, of the garments that are returned.

        Returns:
            Per garment the category and its id, score, box_xyxy, and its own landmarks by name: x
            and y in pixels of the picture (the centre of the first pixel is 0.5), confidence, and
            the probability that it is visible. If the model has masks, (H, W) bool.
        """
        rgb = ImageOps.exif_transpose(image).convert("RGB")
        size = self.record["export"]["input"]
        small = resized(rgb, size["min_size_px"], size["max_size_px"])
        pixels = np.asarray(small)
        if size["channels"] == "BGR":
            pixels = pixels[:, :, ::-1]
        inputs = {
            "image": np.ascontiguousarray(pixels),
            "min_score": np.array(min_score, dtype=np.float32),
        }
        outputs = dict(zip(self.names, self.session.run(None, inputs), strict=True))
        scale = np.array([rgb.width / small.width, rgb.height / small.height])
        garments = []
        for row, class_index in enumerate(outputs["classes"]):
            category = self.record["categories"][class_index]
            box = np.clip(outputs["boxes"][row].reshape(2, 2) * scale, 0, rgb.size)
            if not (box[1] > box[0]).all():
                continue
            landmarks = {}
            for place, name in enumerate(category["keypoints"]):
                x, y, confidence = outputs["landmarks"][row, place]
                landmarks[name] = {
                    "x": float(x * scale[0]),
                    "y": float(y * scale[1]),
                    "confidence": float(confidence),
                }
                if "visible" in outputs:
                    landmarks[name]["visible"] = float(outputs["visible"][row, place])
            garment = {
                "category": category["name"],
                "category_id": category["id"],
                "score": float(outputs["scores"][row]),
                "box_xyxy": box.ravel().tolist(),
                "landmarks": landmarks,
            }
            if "masks" in outputs:
                garment["mask"] = pasted(outputs["masks"][row], box, rgb.height, rgb.width)
            garments.append(garment)
        return garments


def resized(image: Image.Image, min_size: int, max_size: int) -> Image.Image:
    """Resize a picture to a short side of `min_size`, and a long one of `max_size` at most."""
    width, height = image.size
    longest = max_size * min(width, height)  # a thinner picture is squashed: no side becomes 0
    if max(width, height) > longest:
        image = image.resize((min(width, longest), min(height, longest)), Image.BILINEAR)
    if min_size == 0:
        return image
    scale = min_size / min(image.size)
    sides = [side * scale for side in image.size]
    if max(sides) > max_size:
        scale = max_size / max(sides)
        sides = [side * scale for side in sides]
    return image.resize([int(side + 0.5) for side in sides], Image.BILINEAR)


def pasted(probabilities: np.ndarray, box: np.ndarray, height: int, width: int) -> np.ndarray:
    """Paste (m, m) probabilities inside a box into a picture: (H, W), true inside the garment."""
    columns, rows = (
        weights(start, end, probabilities.shape[0], length)
        for start, end, length in zip(box[0], box[1], (width, height), strict=True)
    )
    return rows @ probabilities @ columns.T >= 0.5


def weights(start: float, end: float, cells: int, length: int) -> np.ndarray:
    """Return (length, cells) weights that interpolate cells at the centres of pixels."""
    position = (np.arange(length) + 0.5 - start) / ((end - start) / cells) - 0.5
    return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(cells))).astype(np.float32)


def main(file: str, pictures: list[str]) -> None:
    """Print the garments of each picture as a line of JSON, without the masks."""
    runner = Runner(file)
    for picture in pictures:
        with Image.open(picture) as image:
            garments = runner(image)
        for garment in garments:
            garment.pop("mask", None)
        sys.stdout.write(json.dumps({"file": picture, "garments": garments}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
