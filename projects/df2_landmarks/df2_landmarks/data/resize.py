"""Resizing as Pillow does it, by torch, which is faster."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from detectron2.data import transforms as T
from numpy.typing import NDArray
from PIL import Image


class FastResize(T.ResizeTransform):
    """`ResizeTransform` whose bilinear filter for uint8 images is torch's.

    It filters as Pillow's, which Detectron2 uses; values differ by 1 at most (of 255, in rounding).
    A photo of 750 x 1000 px takes about a fifth of the time.
    """

    def apply_image(self, img: NDArray[Any], interp: int | None = None) -> NDArray[Any]:
        if (
            img.dtype != np.uint8
            or img.ndim != 3
            or interp not in (None, Image.Resampling.BILINEAR)
        ):
            return super().apply_image(img, interp)
        step = -1 if img.strides[2] < 0 else 1  # BGR is a view of RGB, which is slow to copy
        source = np.require(img[:, :, ::step], requirements="W")
        resized = F.interpolate(
            torch.from_numpy(source).permute(2, 0, 1)[None],
            (self.new_h, self.new_w),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )
        return resized[0].permute(1, 2, 0).numpy()[:, :, ::step]


class FastResizeShortestEdge(T.ResizeShortestEdge):
    """`ResizeShortestEdge` by `FastResize`."""

    @classmethod
    def like(cls, augmentation: T.ResizeShortestEdge) -> FastResizeShortestEdge:
        """Return one with the sizes of an augmentation of Detectron2."""
        return cls(
            augmentation.short_edge_length,
            augmentation.max_size,
            "range" if augmentation.is_range else "choice",
        )

    def get_transform(self, image: NDArray[Any]) -> T.Transform:
        chosen = super().get_transform(image)
        if not isinstance(chosen, T.ResizeTransform):  # size 0 means "do not resize"
            return chosen
        return FastResize(chosen.h, chosen.w, chosen.new_h, chosen.new_w)
