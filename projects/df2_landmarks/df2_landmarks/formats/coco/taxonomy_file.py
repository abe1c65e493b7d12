"""Taxonomies from files: YAML or JSON of their own, or the ``categories`` of a COCO file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from df2_landmarks.common import UserError, atomic_write, check_input_file
from df2_landmarks.formats.coco.categories import find_categories, plain_name
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy, category_rows, taxonomy_from_rows

YAML_SUFFIXES = (".yaml", ".yml")
MAX_YAML_BYTES = 4 << 20
"""DeepFashion2's taxonomy has 22 kB."""


def read_taxonomy(path: str | Path) -> Taxonomy:
    """Read a taxonomy: a YAML or JSON file of its own, or any COCO file with ``categories``.

    What the file does not say is assumed, and said in `Taxonomy.notes`: flip pairs from "left" and
    "right" in the names, and a default for sigmas.

    Args:
        path: the file; its form is in ``docs/reference/taxonomy.schema.json``.

    Raises:
        UserError: the file cannot be read, or its table is wrong; the message names the category.

    Example:
        >>> from pathlib import Path
        >>> from df2_landmarks.formats import read_taxonomy
        >>> text = "categories: [{name: fox, keypoints: [ear_left, ear_right, nose], sigmas: .06}]"
        >>> _ = Path("foxes.yaml").write_text(text)
        >>> foxes = read_taxonomy("foxes.yaml")
        >>> foxes.name, foxes.counts, foxes.categories[0].sigmas
        ('foxes', (3,), (0.06, 0.06, 0.06))
    """
    path = Path(path)
    check_input_file(path)
    name = path.stem
    rows: Any
    if path.suffix.lower() in YAML_SUFFIXES:
        content = _yaml(path)
        if not isinstance(content, Mapping) or not isinstance(content.get("categories"), list):
            raise UserError(f"{path.name}: must be a mapping with a list named categories")
        rows, name = content["categories"], str(content.get("name") or name)
    else:
        records = find_categories(path)
        every = [msgspec.structs.asdict(record) for record in records]
        rows = [{key: value for key, value in row.items() if value is not None} for row in every]
        if path.parent.name == "annotations":  # as `make convert` has it: foxes/annotations/train
            name = path.absolute().parent.parent.name
    if not rows:
        raise UserError(f"{path.name}: has no categories; they name the landmarks")
    if _are_of_deepfashion2(rows):
        return DEEPFASHION2
    return taxonomy_from_rows(rows, name=name, where=path.name)


def write_taxonomy(taxonomy: Taxonomy, path: str | Path) -> None:
    """Write a taxonomy as YAML, with all that was assumed, to be corrected and used.

    Raises:
        UserError: the file cannot be written.
    """
    import yaml

    content = {"name": taxonomy.name, "categories": category_rows(taxonomy)}
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=99)
    with atomic_write(path) as stream:
        stream.write(text.encode())


def _yaml(path: Path) -> Any:
    """Return the content of a YAML file without aliases, which could stand for endless content."""
    import yaml

    with path.open("rb") as stream:
        content = stream.read(MAX_YAML_BYTES + 1)
    if len(content) > MAX_YAML_BYTES:
        raise UserError(f"{path.name}: must have at most {MAX_YAML_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise UserError(f"{path.name}: must have no aliases (*name)")
        return yaml.safe_load(text)
    except UnicodeDecodeError:
        raise UserError(f"{path.name}: must be UTF-8 text") from None
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is a ValueError
        message = " ".join(str(error).split())
        raise UserError(f"{path.name}: must be YAML, but: {message}") from None
    except RecursionError:
        raise UserError(f"{path.name}: must be YAML, but is nested deeply") from None


def _are_of_deepfashion2(rows: Sequence[Any]) -> bool:
    """Return whether these are the categories of a DeepFashion2 file with all slots."""
    names = [plain_name(str(row.get("name"))) for row in rows if isinstance(row, Mapping)]
    return names == [
        plain_name(category.official_name) for category in DEEPFASHION2.categories
    ] and all(len(row.get("keypoints") or ()) == DEEPFASHION2.num_slots for row in rows)
