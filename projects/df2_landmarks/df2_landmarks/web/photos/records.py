"""What a request about a photo may say, and what the process that answers it says."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from df2_landmarks.formats import MIN_SCORE


class PredictOptions(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """What is wanted of a photo. ``answer``: the record of `df2 predict` (json), a row per landmark
    (csv) or per measurement (measurements), or the photo with the garments drawn into it (drawing).
    """

    answer: Literal["json", "csv", "measurements", "drawing"] = "json"
    min_score: Annotated[float, Meta(ge=0, le=1)] = MIN_SCORE
    masks: bool = True
    measure: bool = True
    pixels_per_cm: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    landmark_text: Literal["none", "names", "numbers"] = "none"


class Task(msgspec.Struct, kw_only=True):
    """A photo for the process; its bytes follow."""

    file: str
    options: PredictOptions


Outcome = Literal["found", "no picture", "too large", "no memory", "failed"]


class Reply(msgspec.Struct, kw_only=True):
    """What became of a photo; the answer's bytes follow if there is one."""

    outcome: Outcome
    media_type: str = "application/json"
    message: str = ""


class Loaded(msgspec.Struct, kw_only=True):
    """Whether the process could load its model, and what that model is."""

    error: str = ""
    exit_code: int = 1
    fingerprint: str = ""
    categories: msgspec.Raw = msgspec.Raw(b"[]")
