"""The same pictures through a model and through its exported file. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation import table
from df2_landmarks.predict import Detected, Model
from df2_landmarks.synthetic import MODERATE, Recipe, draw_picture

BOX_PX, LANDMARK_PX, SCORE, MASK_SHARE = 0.05, 0.1, 1e-4, 1e-3
"""Largest differences: in pixels of the picture; of scores, confidences and visibility; of the
share of the picture's pixels."""
TIE = 1e-5
"""Two places with confidences so near to each other are equally good for the decoder."""
SIZES_PX = (160, 320, 640)
NOTHING = "nothing on it"


@dataclass
class Difference:
    """What one picture's detections differ in.

    Attributes:
        picture: what it is.
        counts: detections of the model and of the file.
        unmatched: detections of the model for which the file has none of the category near.
        box_px, landmark_px, score, visible, mask_share: largest differences.
        ties: landmarks that are at another place of the decoder's grid, at most one step of the
            longer side away, with the same confidence. They are left out of ``landmark_px``.
    """

    picture: str
    counts: tuple[int, int]
    unmatched: int = 0
    box_px: float = 0.0
    landmark_px: float = 0.0
    score: float = 0.0
    visible: float = 0.0
    mask_share: float = 0.0
    ties: int = 0

    @property
    def is_small(self) -> bool:
        """Whether it is within the limits."""
        return (
            self.counts[0] == self.counts[1]
            and not self.unmatched
            and self.box_px <= BOX_PX
            and self.landmark_px <= LANDMARK_PX
            and max(self.score, self.visible) <= SCORE
            and self.mask_share <= MASK_SHARE
        )


@dataclass
class Parity:
    """The differences of all pictures."""

    rows: list[Difference] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether each is within the limits."""
        return all(row.is_small for row in self.rows)

    @property
    def num_compared(self) -> int:
        """Number of detections that were compared."""
        return sum(row.counts[0] for row in self.rows)

    def text(self) -> str:
        """Return a table."""
        header = (
            *("picture", "garments", "exported", "box px", "landmark px", "score", "visible"),
            *("mask", "ties", ""),
        )
        rows = [
            [
                *(row.picture, str(row.counts[0]), str(row.counts[1])),
                *(f"{row.box_px:.5f}", f"{row.landmark_px:.5f}", f"{row.score:.1e}"),
                *(f"{row.visible:.1e}", f"{row.mask_share:.1e}", str(row.ties)),
                "same" if row.is_small else "DIFFERENT",
            ]
            for row in self.rows
        ]
        limits = ("limit", "", "", str(BOX_PX), str(LANDMARK_PX), f"{SCORE:g}", f"{SCORE:g}")
        text = table(header, [*rows, [*limits, f"{MASK_SHARE:g}", "", ""]], left=(0, 9))
        if not self.num_compared:
            text += "\nThe model finds nothing in these drawings: no garment was compared"
        return text


def drawn_pictures() -> list[tuple[str, NDArray[np.uint8]]]:
    """Return drawn pictures of three sizes, one of them lying, and an empty one; (H, W, 3) RGB."""
    pictures = []
    for index, size_px in enumerate(SIZES_PX):
        drawn = draw_picture(Recipe(size_px=size_px, difficulty=MODERATE), "validation", index)
        image = drawn.image[:, :, ::-1]
        pictures.append(image.transpose(1, 0, 2) if index == 1 else image)
    pictures.append(_wall(200, 150))
    names = [f"drawn, {image.shape[1]} x {image.shape[0]}" for image in pictures[:-1]] + [NOTHING]
    return [*zip(names, map(np.ascontiguousarray, pictures), strict=True)]


def _wall(height: int, width: int) -> NDArray[np.uint8]:
    """Return a wall, lit from one side, as a camera sees it.

    In a picture of one value all places are equally good for a model: rounding would choose.
    """
    light = np.linspace(160, 220, width)[None, :, None] + np.linspace(0, 20, height)[:, None, None]
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 3))
    return np.clip(light + noise, 0, 255).astype(np.uint8)


def compare(
    model: Model,
    exported: Model,
    pictures: Sequence[tuple[str, NDArray[np.uint8]]],
    *,
    step: float,
) -> Parity:
    """Run pictures through a model and its exported file, and compare all that both detect.

    Args:
        model: the model.
        exported: its file.
        pictures: names, and (H, W, 3) RGB.
        step: of the grid on which the decoder places landmarks, as a share of the box's side.
    """
    parity = Parity()
    for name, rgb in pictures:
        detected, again = (m.detect([m.prepare(rgb)], min_score=0.0)[0] for m in (model, exported))
        parity.rows.append(_difference(name, detected, again, rgb.shape[:2], step))
    return parity


def _difference(
    name: str, detected: Detected, again: Detected, size: tuple[int, ...], step: float
) -> Difference:
    difference = Difference(name, (len(detected.scores), len(again.scores)))
    difference.score = abs(detected.best_score - again.best_score)
    left = list(range(len(again.scores)))
    for row, (class_index, box) in enumerate(
        zip(detected.classes, detected.boxes_xyxy, strict=True)
    ):
        same_class = [other for other in left if again.classes[other] == class_index]
        if not same_class:
            difference.unmatched += 1
            continue
        distances = np.abs(again.boxes_xyxy[same_class] - box).max(axis=1)
        other = same_class[int(distances.argmin())]
        left.remove(other)
        _add(difference, detected, again, row, other, size, step)
    return difference


def _add(
    difference: Difference,
    detected: Detected,
    again: Detected,
    row: int,
    other: int,
    size: tuple[int, ...],
    step: float,
) -> None:
    """Add the differences between two detections of one garment, in place."""
    box = detected.boxes_xyxy[row]
    a, b = detected.landmarks[row], again.landmarks[other]
    moved_px, confidence = np.abs(a[:, :2] - b[:, :2]), np.abs(a[:, 2] - b[:, 2])
    is_moved = moved_px.max(axis=1) > LANDMARK_PX
    # Along the short side of a narrow box many steps change nothing.
    reach_px = max((box[2:] - box[:2]).max(), 1) * step + LANDMARK_PX
    is_tie = is_moved & (moved_px <= reach_px).all(axis=1) & (confidence <= TIE)
    difference.ties += int(is_tie.sum())
    found = {
        "box_px": np.abs(box - again.boxes_xyxy[other]).max(),
        "landmark_px": moved_px[~is_tie].max(initial=0),
        "score": max(abs(detected.scores[row] - again.scores[other]), confidence.max(initial=0)),
    }
    if detected.visible is not None and again.visible is not None:
        found["visible"] = np.abs(detected.visible[row] - again.visible[other]).max(initial=0)
    if detected.masks is not None and again.masks is not None:
        different = detected.masks[row].array != again.masks[other].array
        found["mask_share"] = different.sum() / (size[0] * size[1])
    for name, value in found.items():
        setattr(difference, name, max(getattr(difference, name), float(value)))
