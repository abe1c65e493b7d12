"""Masks, boxes, lines, landmarks, measured lengths and texts of garments, drawn into a photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats import NOT_LABELLED, OCCLUDED, Garment, Landmark, to_continuous
from df2_landmarks.visualization.pen import WHITE, Color, Image, Pen
from df2_landmarks.visualization.text import TextLayer, around, at_border, beside_box, centered

LOW_CONFIDENCE = 0.3
"""A predicted landmark below this confidence (expected OKS) is drawn hollow."""
TINT = 0.25
"""Share of the category's colour in a pixel of the mask."""
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

    Widths and texts follow the size of the image. Lines and points have a halo in black or white,
    so that they are seen on any background. Texts stay inside the image and do not cover each
    other: a label is at its garment's box or, where there is no room, in a legend at the left or
    right border.

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
    lengths = [
        (garment, length)
        for garment, own_lengths in zip(garments, measured, strict=True)
        for length in own_lengths
        if length.pixels is not None
    ]
    pen = Pen(image_bgr.copy(), style.scale)
    for garment in garments if style.masks else ():
        _tint(pen.canvas, garment)
    for garment in garments if style.boxes else ():
        _draw_box(pen, garment)
    for garment in garments if style.lines else ():
        pen.line(_skeleton(garment), _color(garment), width_px=pen.line_px)
    for garment, length in lengths:
        _draw_length(pen, _path(garment, length))
    texts = _texts(pen, garments, style, lengths)
    for garment in garments if style.points else ():
        _draw_points(pen, garment)
    texts.paste(pen.canvas)
    return pen.canvas


def _color(garment: Garment) -> Color:
    red, green, blue = garment.definition.rgb
    return blue, green, red


def _labelled(garment: Garment) -> list[Landmark]:
    return [landmark for landmark in garment.landmarks if landmark.visibility != NOT_LABELLED]


def _tint(canvas: Image, garment: Garment) -> None:
    """Mix the category's colour into the pixels of the mask."""
    if garment.mask is None:
        return
    inside = garment.mask.array
    rows = np.flatnonzero(inside.any(axis=1))
    columns = np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    color = np.array(_color(garment))[:, None]
    tinted = cv2.transform(canvas[window], np.hstack([(1 - TINT) * np.eye(3), TINT * color]))
    cv2.copyTo(tinted, inside[window].view(np.uint8), canvas[window])


def _draw_box(pen: Pen, garment: Garment) -> None:
    """Draw the box through the centres of pixels of the picture."""
    last_pixel = np.tile(pen.canvas.shape[1::-1], 2) - 1
    pixels = np.clip(np.floor(garment.box_xyxy), 0, last_pixel)
    x1, y1, x2, y2 = to_continuous(pixels)
    path = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]])
    pen.line([path], _color(garment), width_px=pen.thin_px)


def _skeleton(garment: Garment) -> list[NDArray]:
    """Return the edges (2, 2) between labelled landmarks."""
    is_labelled, xy = garment.landmarks.visibility != NOT_LABELLED, garment.landmarks.xy
    return [
        xy[[a - 1, b - 1]]
        for a, b in garment.definition.skeleton
        if is_labelled[a - 1] and is_labelled[b - 1]
    ]


def _draw_points(pen: Pen, garment: Garment) -> None:
    for landmark in _labelled(garment):
        is_unsure = landmark.confidence is not None and landmark.confidence < LOW_CONFIDENCE
        is_hollow = landmark.visibility == OCCLUDED or is_unsure
        pen.point(landmark.xy, _color(garment), is_hollow=is_hollow)


def _path(garment: Garment, length: DrawableLength) -> NDArray:
    """Return the points (n, 2) that a measured length goes through."""
    return np.array([garment.landmarks[name].xy for name in length.path])


def _draw_length(pen: Pen, path_xy: NDArray) -> None:
    """Draw a dimension line: the path, and a stroke across each of its ends."""
    strokes = [path_xy]
    for end, neighbour in (path_xy[:2], path_xy[:-3:-1]):
        along = (neighbour - end) / max(1e-6, float(np.hypot(*(neighbour - end))))
        across = 3 * pen.radius * along[::-1] * (-1, 1)
        strokes.append(np.array([end - across, end + across]))
    pen.line(strokes, LENGTH_COLOR, width_px=pen.thin_px)


def _points_along(path_xy: NDArray) -> NDArray:
    """Return points (N, 2) on a path (n, 2): half way along it, then to both sides of that."""
    steps = np.hypot(*np.diff(path_xy, axis=0).T)
    walked = np.concatenate([[0.0], np.cumsum(steps)])
    at = walked[-1] * np.array([0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8])
    return np.stack([np.interp(at, walked, path_xy[:, axis]) for axis in (0, 1)], axis=1)


def _texts(
    pen: Pen,
    garments: Sequence[Garment],
    style: DrawingStyle,
    lengths: Sequence[tuple[Garment, DrawableLength]],
) -> TextLayer:
    """Place all texts, the labels first, and draw the leaders between landmarks and their texts."""
    height, width = pen.canvas.shape[:2]
    marks = [landmark.xy for garment in garments for landmark in _labelled(garment)]
    texts = TextLayer(
        height, width, np.reshape(marks, (-1, 2)), mark_radius=pen.radius, gap=pen.thin_px
    )
    for garment in garments if style.labels else ():
        wishes = beside_box(garment.box_xyxy), at_border(height, width)
        texts.add(_label(garment), pen.text_px, _color(garment), *wishes)
    for garment, length in lengths:
        points = _points_along(_path(garment, length))
        wishes = centered(points), around(points[0], np.array([0, 1]), 2 * pen.radius)
        texts.add(_length_text(length), pen.small_text_px, LENGTH_COLOR, *wishes)
    for garment in garments if style.landmark_text else ():
        _add_landmark_texts(texts, pen, garment, are_names=style.landmark_text == "names")
    return texts


def _label(garment: Garment) -> str:
    return garment.category if garment.score is None else f"{garment.category} {garment.score:.2f}"


def _length_text(length: DrawableLength) -> str:
    text = f"{length.name.replace('_', ' ')} {length.pixels:.0f} px"
    return text if length.ratio is None else f"{text} ({length.ratio:.2f})"


def _add_landmark_texts(texts: TextLayer, pen: Pen, garment: Garment, *, are_names: bool) -> None:
    """Place the texts on the outer side of their landmarks, and draw the leaders."""
    labelled, color = _labelled(garment), _color(garment)
    center = np.mean([landmark.xy for landmark in labelled], axis=0) if labelled else None
    for landmark in labelled:
        xy = np.array(landmark.xy)
        text = landmark.name if are_names else str(landmark.number)
        wish = around(xy, xy - center, 2 * pen.radius)
        middle = texts.add(text, pen.small_text_px, color, wish)
        if middle is not None:
            pen.line([np.array([xy, middle])], color, width_px=pen.thin_px)
