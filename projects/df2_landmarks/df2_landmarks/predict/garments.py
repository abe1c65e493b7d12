"""The garments of one picture, as a list and in the forms that other tools read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError
from df2_landmarks.formats import Channels, Garment, read_picture
from df2_landmarks.predict.coco import coco_annotation
from df2_landmarks.visualization import DrawingStyle, draw_garments

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True, eq=False)
class Garments(Sequence[Garment]):
    """The garments found in one picture, best first.

    Attributes:
        items: the garments.
        width, height: of the picture, upright.
        best_score: of everything detected, below the threshold too; 0 if there is nothing.
    """

    items: tuple[Garment, ...]
    width: int
    height: int
    best_score: float

    @overload
    def __getitem__(self, index: int) -> Garment: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Garment]: ...

    def __getitem__(self, index: int | slice) -> Garment | Sequence[Garment]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Garment]:
        return iter(self.items)

    def __repr__(self) -> str:
        return f"Garments({list(self.items)})"

    def to_dict(self, *, with_masks: bool = True) -> dict[str, Any]:
        """Return plain data: the form of a line of `df2 predict`, without the file's name."""
        return {
            "width": self.width,
            "height": self.height,
            "best_score": round(self.best_score, 4),
            "garments": [garment.to_dict(with_mask=with_masks) for garment in self.items],
        }

    def to_coco(self, image_id: int = 1, *, first_id: int = 1) -> list[dict[str, Any]]:
        """Return COCO annotations, with the landmarks of the own category only.

        Landmarks are in pixel indices (`to_pixel_indices`), as in all COCO files; the order of the
        landmarks is that of ``keypoints`` in `category_rows`.

        Args:
            image_id: of the picture.
            first_id: id of the first annotation.
        """
        return [
            coco_annotation(
                garment.to_dict(), garment.definition.landmark_names, image_id, first_id + place
            )
            for place, garment in enumerate(self.items)
        ]

    def to_supervision(self) -> tuple[supervision.Detections, supervision.KeyPoints]:
        """Return supervision's detections and key points, in the order of the garments.

        The rows of the key points are padded to the longest of these garments; what is padding, and
        what is not a landmark, is marked in ``visible``.

        Raises:
            UserError: supervision is not installed.
        """
        try:
            import supervision
        except ImportError:
            raise UserError(
                "to_supervision needs supervision: `pip install supervision`", exit_code=2
            ) from None
        return _to_supervision(supervision, self.items, self.height, self.width)

    def draw(
        self,
        image: Any,
        style: DrawingStyle = DrawingStyle(),  # noqa: B008 (frozen)
        *,
        channels: Channels | None = None,
    ) -> NDArray[np.uint8]:
        """Draw the garments into a copy of their picture.

        Args:
            image: the picture, in any form that the predictor takes.
            style: what is drawn of them.
            channels: order of the channels of an array.

        Returns:
            (H, W, 3) uint8, RGB; BGR if ``channels`` is "BGR".

        Raises:
            UserError: the picture cannot be read or has another size.
        """
        rgb = read_picture(image, channels=channels)
        if rgb.shape[:2] != (self.height, self.width):
            raise UserError(
                f"draw: the garments are of a picture of {self.width} x {self.height}, but this "
                f"one has {rgb.shape[1]} x {rgb.shape[0]}"
            )
        drawn = draw_garments(np.ascontiguousarray(rgb[:, :, ::-1]), self.items, style)
        return drawn if channels == "BGR" else np.ascontiguousarray(drawn[:, :, ::-1])


def _to_supervision(
    supervision: Any, garments: Sequence[Garment], height: int, width: int
) -> tuple[Any, Any]:
    names = np.array([garment.category for garment in garments], dtype=str)
    scores = np.array([garment.score or 0 for garment in garments], dtype=np.float32)
    class_ids = np.array([garment.category_id - 1 for garment in garments], dtype=int)
    masks = None
    if any(garment.mask is not None for garment in garments):
        masks = np.zeros((len(garments), height, width), dtype=bool)
        for row, garment in enumerate(garments):
            if garment.mask is not None:
                masks[row] = garment.mask.array
    detections = supervision.Detections(
        xyxy=np.array([garment.box_xyxy for garment in garments]).reshape(-1, 4),
        mask=masks,
        confidence=scores,
        class_id=class_ids,
        data={"class_name": names},
    )
    if not garments:
        return detections, supervision.KeyPoints.empty()
    longest = max(len(garment.landmarks) for garment in garments)
    xy = np.zeros((len(garments), longest, 2), dtype=np.float32)
    confidence = np.zeros((len(garments), longest), dtype=np.float32)
    visible = np.zeros((len(garments), longest), dtype=bool)
    for row, garment in enumerate(garments):
        count = len(garment.landmarks)
        xy[row, :count] = garment.landmarks.xy
        if garment.landmarks.confidence is not None:
            confidence[row, :count] = garment.landmarks.confidence
        visible[row, :count] = garment.landmarks.visibility > 0
    return detections, supervision.KeyPoints(
        xy=xy,
        keypoint_confidence=confidence,
        visible=visible,
        class_id=class_ids,
        data={"class_name": names},
    )
