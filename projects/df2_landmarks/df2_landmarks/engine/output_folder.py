"""Where a run writes: tried before the work, not after it."""

from __future__ import annotations

import os
from pathlib import Path


def make_output_folder(folder: Path, name: str) -> None:
    """Make a folder, and those above it, unless it is there.

    Args:
        folder: the folder.
        name: what gave it, for the message, such as "OUTPUT_DIR".

    Raises:
        ValueError: it cannot be made, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{name} {folder}: no folder can be made there ({error.strerror}); give another one"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{name} {folder}: may not be written to; give another one")
