"""The user's own measurements, from a YAML file."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from df2_landmarks.common import UserError, check_input_file
from df2_landmarks.taxonomy.category import Category
from df2_landmarks.taxonomy.deepfashion2 import DEEPFASHION2
from df2_landmarks.taxonomy.measurements import Measurement, measurements_of

MAX_BYTES = 256 << 10
"""About ten times the size of a file with all measurements of all categories."""


def read_measurements(
    path: str | Path, categories: Sequence[Category] = DEEPFASHION2.categories
) -> dict[int, tuple[Measurement, ...]]:
    """Read measurements from a YAML file: category -> measurement -> list of landmarks.

    Landmarks are given by name or by number, from 1. The first measurement of a category is its
    garment's length. Categories that are not in the file keep the project's measurements.

    Args:
        path: of the file, up to 256 KiB.
        categories: that the file may name, by ``name`` or ``official_name``.

    Returns:
        Category id -> its measurements, for all categories.

    Raises:
        UserError: the file cannot be read, is not YAML of this form, or names a category or a
            landmark that does not exist.

    Example:
        >>> from pathlib import Path
        >>> from df2_landmarks.taxonomy import read_measurements
        >>> file = Path("own.yaml")
        >>> _ = file.write_text("skirt: {length: [waist_centre, hem_centre], hem: [5, 6, 7]}")
        >>> for measurement in read_measurements(file)[9]:
        ...     print(measurement.name, *measurement.path)
        length waist_centre hem_centre
        hem hem_left hem_centre hem_right
    """
    file = Path(path)
    by_name = {name: c for c in categories for name in (c.name, c.official_name)}
    tables = {category.id: measurements_of(category) for category in categories}
    replaced: set[int] = set()
    for name, node, where in _entries(_root(file), file.name, "categories"):
        category = by_name.get(name)
        if category is None:
            raise UserError(f"{where}: unknown category {_shown(name)}{_hint(name, by_name)}")
        if category.id in replaced:
            raise UserError(f"{where}: {category.name} must not be in the file twice")
        replaced.add(category.id)
        tables[category.id] = tuple(
            _measurement(category, *entry) for entry in _entries(node, where, "measurements")
        )
    return tables


def _root(file: Path) -> Any:
    """Return the tree of a YAML file. Nothing is constructed from it, and no alias is expanded."""
    import yaml  # the scorer and the converters read no YAML

    check_input_file(file)
    with file.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UserError(f"{file.name}: must have at most {MAX_BYTES} bytes")
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{file.name}: must be UTF-8 without a byte order mark")
    try:
        return yaml.compose(content.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise UserError(f"{file.name}: must be UTF-8 text") from None
    except yaml.YAMLError as error:
        message = " ".join(str(error).split())
        raise UserError(f"{file.name}: must be YAML, but: {message}") from None
    except RecursionError:
        raise UserError(f"{file.name}: must be YAML of two levels, but is nested deeply") from None


def _entries(node: Any, where: str, content: str) -> Iterator[tuple[str, Any, str]]:
    """Yield key, value and place of each entry of a YAML mapping.

    Args:
        node: of the tree; None for an empty file.
        where: place of the mapping, for messages.
        content: what its keys are, for messages.
    """
    if node is None or node.id != "mapping" or not node.value:
        raise UserError(f"{where}: must be a mapping of {content}")
    file_name = where.partition(", line")[0]
    keys: set[str] = set()
    for key, value in node.value:
        place = f"{file_name}, line {key.start_mark.line + 1}"
        if key.id != "scalar":
            raise UserError(f"{place}: must be a mapping of {content}, but a key is a {key.id}")
        if key.value in keys:
            raise UserError(f"{place}: {_shown(key.value)} must not be there twice")
        keys.add(key.value)
        yield key.value, value, place


def _measurement(category: Category, name: str, node: Any, where: str) -> Measurement:
    if node.id != "sequence" or any(item.id != "scalar" for item in node.value):
        raise UserError(f"{where}: {_shown(name)} must be a list of landmarks")
    path = tuple(_landmark(category, item.value, where) for item in node.value)
    try:
        return Measurement(name, path)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def _landmark(category: Category, text: str, where: str) -> str:
    """Return the name of a landmark that is given by name or by number."""
    names = category.landmark_names
    by_text = {**{str(i): name for i, name in enumerate(names, 1)}, **{n: n for n in names}}
    if text in by_text:
        return by_text[text]
    if text.lstrip("-").isdecimal():
        raise UserError(
            f"{where}: landmark numbers of {category.name} must be 1..{len(names)}, "
            f"but got {text[:60]}"
        )
    raise UserError(f"{where}: {category.name} has no landmark {_shown(text)}{_hint(text, names)}")


def _shown(text: str) -> str:
    return repr(text[:60])


def _hint(text: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(text[:60], known, n=1)
    return f". Did you mean {close[0]}?" if close else f"; must be one of {', '.join(known)}"
