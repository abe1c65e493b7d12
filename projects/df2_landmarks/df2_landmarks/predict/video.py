"""Videos: frames in, drawn frames out, by OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError, atomic_path

Frame = NDArray[np.uint8]

CODEC = "mp4v"  # the one that every OpenCV wheel can write
FRAMES_PER_SECOND = 25.0
"""Of a video that does not say."""


class VideoReader:
    """The frames of a video, upright, in order.

    Attributes:
        frames_per_second: of the video.
    """

    def __init__(self, path: str) -> None:
        """
        Args:
            path: of the video.

        Raises:
            UserError: it is not a video that can be read.
        """
        if not os.path.isfile(path):
            raise UserError(f"{path}: cannot be read: there is no such file")
        self._capture = cv2.VideoCapture(path)
        self._path = path
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.frames_per_second = rate if 0 < rate < 1000 else FRAMES_PER_SECOND

    def frames(self) -> Iterator[tuple[Frame, bool]]:
        """Yield each frame as (H, W, 3) RGB, and whether it is the last.

        Raises:
            UserError: there is not a single frame.
        """
        try:
            ok, frame = self._capture.read()
            if not ok:
                raise UserError(f"{self._path}: not a video that can be read")
            while ok:
                more, following = self._capture.read()
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), not more
                ok, frame = more, following
        finally:
            self._capture.release()


class VideoWriter:
    """A video that appears under its name when it is complete. A context manager."""

    def __init__(self, path: Path, frames_per_second: float) -> None:
        """
        Args:
            path: of the video, ``.mp4``.
            frames_per_second: of the video.
        """
        self._writing = atomic_path(path)
        self._path = path
        self._rate = frames_per_second
        self._writer: cv2.VideoWriter | None = None

    def __enter__(self) -> VideoWriter:
        # OpenCV chooses the container by the ending.
        self._temporary = self._writing.__enter__()
        self._file = self._temporary.with_name(self._temporary.name + ".mp4")
        return self

    def write(self, frame_bgr: Frame) -> None:
        """Add a frame; the first one decides the size.

        Raises:
            UserError: OpenCV cannot write such a video.
        """
        if self._writer is None:
            height, width = frame_bgr.shape[:2]
            codec = cv2.VideoWriter.fourcc(*CODEC)
            self._writer = cv2.VideoWriter(str(self._file), codec, self._rate, (width, height))
            if not self._writer.isOpened():
                raise UserError(f"{self._path}: OpenCV cannot write this video ({CODEC})")
        self._writer.write(np.ascontiguousarray(frame_bgr))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        if kind is None and self._writer is not None:
            os.replace(self._file, self._temporary)
        else:
            self._file.unlink(missing_ok=True)
        self._writing.__exit__(kind, error, traceback)
