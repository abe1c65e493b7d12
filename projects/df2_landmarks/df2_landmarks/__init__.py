"""Clothes landmark estimation on DeepFashion2 with Detectron2.

    from df2_landmarks import Predictor
    garments = Predictor.load("output/demo/model_final.pth")("photo.jpg")

Nothing is imported before it is used, so that the converter and the scorer start without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from df2_landmarks.formats import Garment
    from df2_landmarks.predict import Predictor

__all__ = ["Garment", "Predictor"]


def __getattr__(name: str) -> Any:
    if name == "Predictor":
        from df2_landmarks.predict import Predictor

        return Predictor
    if name == "Garment":
        from df2_landmarks.formats import Garment

        return Garment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
