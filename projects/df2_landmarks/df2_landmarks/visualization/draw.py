"""Masks, boxes, lines, landmarks, measured lengths and texts of garments, drawn into a photo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats import NOT_LABELLED, OCCLUDED, Garment, Landmark, to_continuous
from df2_landmarks.taxonomy import LOW_CONFIDENCE
from df2_landmarks.visualization.pen import WHITE, Color, Image, Pen
from df2_landmarks.visualization.text import TextLayer, around, at_border, beside_box, centered

TINT = 0.25
"""Share of the category's colour in a pixel of the mask."""
LARGEST_PICTURE = 4.0
"""A garment is drawn as in a picture of at most so many times its own side (root of its area)."""
LENGTH_COLOR = WHITE


@dataclass(frozen=True)
class DrawingStyle:
    """What is drawn of each garment.

    Attributes:
        masks: tint the pixels of the garment.
        boxes: draw the box.
        lines: connect the landmarks along the outlines of the category.
        points: draw the landmarks: filled, or hollow where a landmark is occluded or has a
            confidence below `LOW_CONFIDENCE`.
        labels: write the category, and the score of a detection.
        landmark_text: write the name or the number of each landmark beside it. A text that finds
            no free place is left out.
        scale: factor for all widths and text sizes, to be enlarged for a drawing that is shown
            small.
    """

    masks: bool = True
    boxes: bool = True
    lines: bool = True
    points: bool = True
    labels: bool = True
    landmark_text: Literal["names", "numbers"] | None = None
    scale: float = 1.0


class DrawableLength(Protocol):
    """A measured length of a garment, as a drawing needs it.

    Attributes:
        name: of the measurement.
        path: names of the landmarks that the line goes through, two or more.
        pixels: length; None if it could not be measured.
        ratio: length in relation to another one; None without it.
    """

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Sequence[str]: ...
    @property
    def pixels(self) -> float | None: ...
    @property
    def ratio(self) -> float | None: ...


Measured = Sequence[Sequence[DrawableLength]]
EVERYTHING = DrawingStyle()


def draw_garments(
    image_bgr: Image,
    garments: Sequence[Garment],
    style: DrawingStyle = EVERYTHING,
    *,
    measured: Measured = (),
) -> Image:
    """Draw garments into a copy of an image, each in the colour of its category.

    Widths and texts follow the size of the image and, for small garments, that of the garment.
    Lines and points have a halo in black or white, so that they are seen on any background. Texts
    stay inside the image and do not cover each other: a label is at its garment's box or, where
    there is no room, in a legend at the left or right border.

    Args:
        image_bgr: (H, W, 3) uint8.
        garments: the garments to draw, in this order. A landmark that is not labelled is not drawn.
        style: what is drawn of them.
        measured: lengths to draw as dimension lines, one sequence per garment. A length whose
            ``pixels`` is None is not drawn.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        ValueError: there are measured lengths, but not one sequence per garment.

    Example:
        >>> import numpy as np
        >>> from df2_landmarks.visualization import DrawingStyle, draw_garments
        >>> draw_garments(np.zeros((4, 6, 3), np.uint8), [], DrawingStyle(boxes=False)).shape
        (4, 6, 3)
    """
    measured = measured or [()] * len(garments)
    if len(measured) != len(garments):
        raise ValueError(
            f"measured must have one sequence per garment ({len(garments)}), "
            f"but got {len(measured)}"
        )
    canvas = image_bgr.copy()
    side_px = style.scale * math.sqrt(canvas.shape[0] * canvas.shape[1])
    subjects = [
        _Subject(garment, _pen(canvas, garment, style.scale, side_px), lengths)
        for garment, lengths in zip(garments, measured, strict=True)
    ]
    for subject in subjects if style.masks else ():
        _tint(canvas, subject)
    for subject in subjects if style.boxes else ():
        _draw_box(subject)
    for subject in subjects if style.lines else ():
        _draw_skeleton(subject)
    for subject in subjects:
        _draw_lengths(subject)
    texts = _texts(Pen(canvas, side_px), subjects, style)
    for subject in subjects if style.points else ():
        _draw_points(subject)
    texts.paste(canvas)
    return canvas


class _Subject(NamedTuple):
    """A garment, the pen that draws it, and its measured lengths."""

    garment: Garment
    pen: Pen
    lengths: Sequence[DrawableLength]

    @property
    def color(self) -> Color:
        red, green, blue = self.garment.definition.rgb
        return blue, green, red

    @property
    def labelled(self) -> list[Landmark]:
        return [p for p in self.garment.landmarks if p.visibility != NOT_LABELLED]

    @property
    def paths(self) -> list[tuple[DrawableLength, NDArray]]:
        """The lengths that could be measured, and the points (n, 2) that they go through."""
        landmarks = self.garment.landmarks
        return [
            (length, np.array([landmarks[name].xy for name in length.path]))
            for length in self.lengths
            if length.pixels is not None
        ]


def _pen(canvas: Image, garment: Garment, scale: float, picture_side_px: float) -> Pen:
    width, height = garment.box_xyxy[2:] - garment.box_xyxy[:2]
    garment_side_px = math.sqrt(max(0.0, width * height))
    return Pen(canvas, min(picture_side_px, scale * LARGEST_PICTURE * garment_side_px))


def _tint(canvas: Image, subject: _Subject) -> None:
    """Mix the category's colour into the pixels of the mask, within its window."""
    if subject.garment.mask is None:
        return
    inside = subject.garment.mask.array
    rows = np.flatnonzero(inside.any(axis=1))
    columns = np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    color = np.array(subject.color)[:, None]
    tinted = cv2.transform(canvas[window], np.hstack([(1 - TINT) * np.eye(3), TINT * color]))
    cv2.copyTo(tinted, inside[window].view(np.uint8), canvas[window])


def _draw_box(subject: _Subject) -> None:
    """Draw the box through the centres of pixels of the picture."""
    last_pixel = np.tile(subject.pen.canvas.shape[1::-1], 2) - 1
    pixels = np.clip(np.floor(subject.garment.box_xyxy), 0, last_pixel)
    x1, y1, x2, y2 = to_continuous(pixels)
    path = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]])
    subject.pen.line([path], subject.color, width_px=subject.pen.thin_px)


def _draw_skeleton(subject: _Subject) -> None:
    """Draw the edges between labelled landmarks."""
    landmarks = subject.garment.landmarks
    is_labelled = landmarks.visibility != NOT_LABELLED
    edges = [
        landmarks.xy[[a - 1, b - 1]]
        for a, b in subject.garment.definition.skeleton
        if is_labelled[a - 1] and is_labelled[b - 1]
    ]
    subject.pen.line(edges, subject.color, width_px=subject.pen.line_px)


def _draw_points(subject: _Subject) -> None:
    for landmark in subject.labelled:
        is_unsure = landmark.confidence is not None and landmark.confidence < LOW_CONFIDENCE
        is_hollow = landmark.visibility == OCCLUDED or is_unsure
        subject.pen.point(landmark.xy, subject.color, is_hollow=is_hollow)


def _draw_lengths(subject: _Subject) -> None:
    """Draw dimension lines: the path of a length, and a stroke across each of its ends."""
    for _, path_xy in subject.paths:
        strokes = [path_xy]
        for end, neighbour in (path_xy[:2], path_xy[:-3:-1]):
            along = (neighbour - end) / max(1e-6, float(np.hypot(*(neighbour - end))))
            across = 3 * subject.pen.radius * along[::-1] * (-1, 1)
            strokes.append(np.array([end - across, end + across]))
        subject.pen.line(strokes, LENGTH_COLOR, width_px=subject.pen.thin_px)


def _points_along(path_xy: NDArray) -> NDArray:
    """Return points (N, 2) on a path (n, 2): half way along it, then to both sides of that."""
    steps = np.hypot(*np.diff(path_xy, axis=0).T)
    walked = np.concatenate([[0.0], np.cumsum(steps)])
    at = walked[-1] * np.array([0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8])
    return np.stack([np.interp(at, walked, path_xy[:, axis]) for axis in (0, 1)], axis=1)


def _texts(picture_pen: Pen, subjects: Sequence[_Subject], style: DrawingStyle) -> TextLayer:
    """Place all texts, the labels first, and draw the leaders between landmarks and their texts."""
    height, width = picture_pen.canvas.shape[:2]
    marks_xy = [landmark.xy for subject in subjects for landmark in subject.labelled]
    texts = TextLayer(
        height,
        width,
        np.reshape(marks_xy, (-1, 2)),
        mark_radius=picture_pen.radius,
        gap=picture_pen.thin_px,
    )
    for subject in subjects if style.labels else ():
        wishes = beside_box(subject.garment.box_xyxy), at_border(height, width)
        texts.add(_label(subject.garment), picture_pen.text_px, subject.color, *wishes)
    for subject in subjects:
        _add_length_texts(texts, subject)
    for subject in subjects if style.landmark_text else ():
        _add_landmark_texts(texts, subject, are_names=style.landmark_text == "names")
    return texts


def _label(garment: Garment) -> str:
    return garment.category if garment.score is None else f"{garment.category} {garment.score:.2f}"


def _add_length_texts(texts: TextLayer, subject: _Subject) -> None:
    """Place the texts on their dimension lines or, where there is no room, around the middle."""
    pen = subject.pen
    for length, path_xy in subject.paths:
        text = f"{length.name.replace('_', ' ')} {length.pixels:.0f} px"
        if length.ratio is not None:
            text += f" ({length.ratio:.2f})"
        points = _points_along(path_xy)
        wishes = centered(points), around(points[0], np.array([0, 1]), 2 * pen.radius)
        texts.add(text, pen.small_text_px, LENGTH_COLOR, *wishes)


def _add_landmark_texts(texts: TextLayer, subject: _Subject, *, are_names: bool) -> None:
    """Place the texts on the outer side of their landmarks, and draw the leaders."""
    pen, labelled = subject.pen, subject.labelled
    points_xy = np.reshape([landmark.xy for landmark in labelled], (-1, 2))
    for landmark, xy in zip(labelled, points_xy, strict=True):
        text = landmark.name if are_names else str(landmark.number)
        wish = around(xy, xy - points_xy.mean(axis=0), 2 * pen.radius)
        middle = texts.add(text, pen.small_text_px, subject.color, wish)
        if middle is not None:
            pen.line([np.array([xy, middle])], subject.color, width_px=pen.thin_px)
