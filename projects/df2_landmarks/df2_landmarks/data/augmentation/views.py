"""Augmentations of a picture as a whole, from the configuration.

A picture is resized, then turned, then cut to its frame, then mirrored. Only the cut loses anything
of it, so that a landmark is in the frame if and only if its place in the picture is.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import cv2
import numpy as np
from detectron2.config import CfgNode
from detectron2.data import detection_utils
from detectron2.data import transforms as T
from numpy.typing import NDArray

from df2_landmarks.data.resize import FastResize, FastResizeShortestEdge

MIN_SIGMA_PX = 0.1
"""A blur below changes nothing."""


def build_augmentation(cfg: CfgNode, is_train: bool) -> list[T.Augmentation]:
    """Return Detectron2's augmentations (random crop, resize, flip), and those of `INPUT.AUGMENT`.

    Example:
        >>> from df2_landmarks.engine import setup_config
        >>> cfg = setup_config(opts=["INPUT.AUGMENT.BLUR", "1.5"], on_cpu=True)
        >>> resize, flip, blur = build_augmentation(cfg, is_train=True)
        >>> blur.max_sigma_px
        1.5
    """
    resize, *flips = detection_utils.build_augmentation(cfg, is_train)
    resize = FastResizeShortestEdge.like(resize)
    if not is_train:
        return [resize, *flips]
    augment = cfg.INPUT.AUGMENT
    augmentations: list[T.Augmentation] = []
    if cfg.INPUT.CROP.ENABLED:
        augmentations.append(T.RandomCrop(cfg.INPUT.CROP.TYPE, cfg.INPUT.CROP.SIZE))
    if augment.ROTATION or augment.SQUARE_PX or tuple(augment.SCALE) != (1, 1):
        resize = RandomView(resize, augment.SCALE, augment.ROTATION, augment.SQUARE_PX)
    augmentations += [resize, *flips]
    if augment.COLOR:
        factors = 1 - augment.COLOR, 1 + augment.COLOR
        # Saturation takes its grey from RGB; from BGR it weighs red as blue, which is as good here.
        kinds = (T.RandomBrightness, T.RandomContrast, T.RandomSaturation)
        augmentations += [kind(*factors) for kind in kinds]
    if augment.BLUR:
        augmentations.append(RandomBlur(augment.BLUR))
    return augmentations


class RandomView(T.Augmentation):
    """A resized and turned picture in a frame: padded where it is smaller, cut where it is larger.

    With a square frame and a wide range of sizes: the large-scale jittering of Detectron2's new
    baselines.
    """

    def __init__(
        self,
        resize: FastResizeShortestEdge,
        scale: tuple[float, float],
        degrees: float,
        square_px: int,
    ) -> None:
        """
        Args:
            resize: gives the size of the frame, unless it is square.
            scale: range of the picture's size, as a factor of the frame's.
            degrees: largest rotation, in either direction.
            square_px: side of a square frame; 0: as `resize`.
        """
        super().__init__()
        self.resize = resize
        self.scale = scale
        self.degrees = degrees
        self.square_px = square_px

    def get_transform(self, image: NDArray[Any]) -> T.Transform:
        frame = self._frame(image)
        fitted = T.ResizeScale(*self.scale, *frame).get_transform(image)
        height, width = max(1, int(fitted.new_h)), max(1, int(fitted.new_w))
        steps: list[T.Transform] = [FastResize(*image.shape[:2], height, width)]
        if self.degrees:
            angle = np.random.uniform(-self.degrees, self.degrees)
            turn = T.RotationTransform(height, width, angle, expand=True)
            height, width = int(turn.bound_h), int(turn.bound_w)
            steps.append(turn)
        resized = np.broadcast_to(np.uint8(0), (height, width))  # only its shape is looked at
        return T.TransformList([*steps, T.FixedSizeCrop(frame).get_transform(resized)])

    def _frame(self, image: NDArray[Any]) -> tuple[int, int]:
        if self.square_px:
            return self.square_px, self.square_px
        resized = self.resize.get_transform(image)
        if not isinstance(resized, T.ResizeTransform):  # size 0 means "do not resize"
            return image.shape[0], image.shape[1]
        return int(resized.new_h), int(resized.new_w)


class RandomBlur(T.Augmentation):
    """A Gaussian blur of random strength."""

    def __init__(self, max_sigma_px: float) -> None:
        """
        Args:
            max_sigma_px: largest standard deviation, in pixels of the resized picture.
        """
        super().__init__()
        self.max_sigma_px = max_sigma_px

    def get_transform(self, image: NDArray[Any]) -> T.Transform:
        sigma_px = np.random.uniform(0, self.max_sigma_px)
        if sigma_px < MIN_SIGMA_PX:
            return T.NoOpTransform()
        return T.ColorTransform(partial(cv2.GaussianBlur, ksize=(0, 0), sigmaX=sigma_px))
