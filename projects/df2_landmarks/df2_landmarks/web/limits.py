"""What a server allows one request, and all of them together."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from df2_landmarks.common import UserError

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """What a server allows.

    Attributes:
        upload_mb: megabytes of a request with a photo.
        upload_seconds: until a request must have arrived as a whole.
        uploads: requests with a body that are received or answered at the same time.
        megapixels: of a photo, as its header says; a larger one is not decoded.
        seconds: for the garments of a photo; then the process that finds them is killed.
        memory_gb: that this process may take for a photo, above what the loaded model takes.
        queue: photos that wait for the process or are in it.

    Raises:
        UserError: one of them is not a positive number.

    Example:
        >>> from df2_landmarks.web import Limits
        >>> Limits(megapixels=24).queue
        8
    """

    upload_mb: float = 32
    upload_seconds: float = 60
    uploads: int = 32
    megapixels: float = 50
    seconds: float = 60
    memory_gb: float = 4
    queue: int = 8

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < math.inf:
                name = field.name.replace("_", "-")
                raise UserError(f"--{name} must be more than 0, but got {value:g}", exit_code=2)
