"""Checkpoint files: which of a folder is the newest whole one, and reading one as data only."""

from __future__ import annotations

import logging
import os
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from df2_landmarks.common import UserError, check_input_file
from df2_landmarks.formats import RECORD_KEY

logger = logging.getLogger(__name__)

LAST = "last_checkpoint"
"""File in OUTPUT_DIR with the name of the newest checkpoint, as Detectron2 writes it."""
RUN_FILE = "run"
"""File in OUTPUT_DIR with a name for the newest training in it, which its checkpoints have too."""

ARRAY_GLOBALS = {
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *(
        (f"{core}.{module}", name)
        for core in ("numpy.core", "numpy._core")  # numpy 1 and 2
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    ),
}
"""All names that a pickle of arrays needs."""


def last_checkpoint(folder: str | Path) -> Path | None:
    """Return the newest whole checkpoint of an output folder, None if it holds none.

    That is the one that ``last_checkpoint`` names. If it is missing or damaged, or the name is, the
    newest whole one beside it is taken, with a warning that says why. Checkpoints of an earlier
    training in the folder do not count (`run_of`).
    """
    folder = Path(folder)
    if not folder.is_dir():
        return None
    run, named = run_of(folder), _named_checkpoint(folder)
    others = sorted(folder.glob("model_*.pth"), key=_age)
    problems: list[str] = []
    for path in dict.fromkeys([*([named] if named else []), *others]):
        if path.name == "model_best.pth":  # without the state of its training
            continue
        problem = _problem(path) or (run is not None and _foreign(path, run))
        if not problem:
            for line in problems:
                logger.warning(f"{line}; taking {path.name}")
            return path
        problems.append(f"{path} {problem}")
    for line in problems:
        logger.warning(line)
    return None


def run_of(folder: str | Path) -> str | None:
    """Return the name of the newest training in an output folder, None if it has none."""
    try:
        return Path(folder, RUN_FILE).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _foreign(path: Path, run: str) -> str:
    """Return why a whole file is not of a training, "" if it is, or does not say of which it is."""
    try:
        with _unreadable_is_user_error(str(path)):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except UserError:
        return "is not a checkpoint"
    record = checkpoint.get(RECORD_KEY) if isinstance(checkpoint, dict) else None
    saved_by = record.get("run") if isinstance(record, dict) else None
    return "" if saved_by in (run, None) else "is of an earlier training"


def _named_checkpoint(folder: Path) -> Path | None:
    """Return the file that ``last_checkpoint`` names, None if that is missing or damaged."""
    try:
        name = Path(folder, LAST).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not name or name != os.path.basename(name) or "\0" in name:
        return None
    return folder / name


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def _problem(path: Path) -> str:
    """Return why a file is not a whole checkpoint, "" if it is one."""
    try:
        stat = path.stat()
    except OSError:
        return "does not exist"
    return _damage(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _damage(path: str, size: int, mtime_ns: int) -> str:
    """Return what is wrong with a file of `torch.save`, "" if it is whole to the last bit.

    The file is a zip with a checksum for each part, which torch itself does not compare.
    """
    if not size:
        return "is empty"
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            is_packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
            if is_packed or sum(part.file_size for part in parts) > size:
                return "is packed, as no file of torch.save is"
            damaged = archive.testzip()
    except Exception as error:  # damaged bytes may raise anything
        return f"is damaged or cut off ({error})"
    return f"is damaged (the checksum of {damaged})" if damaged else ""


def read_checkpoint(path: Path, *, bare: bool = False) -> dict[str, Any]:
    """Read a file of `torch.save` that holds tensors by name in "model". No code in it is run.

    Args:
        path: the file.
        bare: the tensors may also be the file itself, as of backbones.

    Raises:
        UserError: there is no such file, or it is not such a file.
    """
    check_input_file(path)
    if _is_zip(path) and (problem := _problem(path)):  # older files of torch.save are none
        raise UserError(f"{path}: {problem}; take another checkpoint, or copy it again")
    with _unreadable_is_user_error(str(path)):
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    if bare and isinstance(checkpoint, dict) and "model" not in checkpoint:
        checkpoint = {"model": checkpoint}
    is_checkpoint = isinstance(checkpoint, dict)
    check_weights(str(path), checkpoint.get("model") if is_checkpoint else None)
    return checkpoint


@contextmanager
def _unreadable_is_user_error(path: str) -> Iterator[None]:
    """Put around the one call that decodes a file's bytes: damaged bytes may raise anything."""
    try:
        yield
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if reason.startswith("Weights only load failed"):  # continues with how to allow code
            reason = "it is not a file of torch.save, or holds more than tensors and plain data"
        raise UserError(f"{path}: not a readable checkpoint ({reason})") from error


def check_weights(path: str, weights: Any) -> None:
    """Check that these are tensors by name, of finite numbers.

    Raises:
        UserError: they are not.
    """
    is_valid = isinstance(weights, dict) and all(
        isinstance(name, str) and isinstance(value, (torch.Tensor, np.ndarray))
        for name, value in weights.items()
    )
    if not is_valid:
        raise UserError(f"{path}: not a checkpoint of Detectron2, which has tensors in 'model'")
    for name, value in weights.items():
        if not _is_finite(value):
            raise UserError(
                f"{path}: its weights are not finite numbers ({name}); take an earlier checkpoint"
            )


def _is_finite(value: torch.Tensor | np.ndarray) -> bool:
    """Return whether these are finite numbers; False for sparse, quantized and other tensors."""
    try:
        return bool(torch.isfinite(torch.as_tensor(value)).all())
    except (RuntimeError, TypeError, NotImplementedError):
        return False


def read_model_zoo_pickle(filename: str) -> dict[str, Any]:
    """Read Detectron2's model-zoo format, a pickled dict of arrays, as data only.

    Raises:
        UserError: it is not such a file, or holds more than arrays.
    """
    with open(filename, "rb") as file, _unreadable_is_user_error(filename):
        data = _ArrayUnpickler(file, encoding="latin1").load()
    if not isinstance(data, dict):
        return {}
    if "model" in data and "__author__" in data:
        return data
    blobs = data.get("blobs", data)  # Caffe2's
    check_weights(filename, blobs)
    arrays = {name: array for name, array in blobs.items() if not name.endswith("_momentum")}
    return {"model": arrays, "__author__": "Caffe2", "matching_heuristics": True}


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler of arrays and plain containers; it refuses everything that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAY_GLOBALS:
            raise pickle.UnpicklingError(f"it wants to use {module}.{name}, more than arrays need")
        return super().find_class(module, name)
