"""What a model file says about itself: configuration, categories, metric and version.

Plain data, in a checkpoint under `RECORD_KEY`, so that a model needs no second file to be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from df2_landmarks.common import UserError
from df2_landmarks.formats.detections import MAX_DETECTIONS
from df2_landmarks.taxonomy import LAYOUT

RECORD_KEY = "df2_landmarks"
METRIC = (
    "OKS AP of the DeepFashion2 challenge 2019, Track 1: thresholds .50:.05:.95, at most "
    f"{MAX_DETECTIONS} detections per image and category"
)


def model_record(config: str) -> dict[str, Any]:
    """Return the record of a model that is trained by this version on this taxonomy.

    Args:
        config: the whole configuration as YAML.
    """
    return {
        "version": code_version(),
        "config": config,
        "metric": METRIC,
        "categories": category_table(),
    }


def code_version() -> str:
    """Return the version of the installed package."""
    try:
        return metadata.version("df2_landmarks")
    except metadata.PackageNotFoundError:  # run from the source tree without installation
        return "unknown"


def category_table() -> list[dict[str, Any]]:
    """Return the categories with their landmarks, pairs and sigmas as plain data."""
    return [
        {
            "id": category.id,
            "name": category.name,
            "landmarks": list(category.landmark_names),
            "flip_pairs": [list(pair) for pair in category.flip_pairs],
            "sigmas": LAYOUT.sigmas(class_index).tolist(),
        }
        for class_index, category in enumerate(LAYOUT.categories)
    ]


def check_record(record: Mapping[str, Any], where: str) -> None:
    """Check that a model was made for this project's categories.

    Args:
        record: of `model_record`.
        where: the file, for the message.

    Raises:
        UserError: it was made for others, or the record is damaged.
    """
    if not isinstance(record, dict) or not isinstance(record.get("config"), str):
        raise UserError(f"{where}: its record ({RECORD_KEY}) is damaged; train or export it again")
    given, expected = record.get("categories"), category_table()
    if given == expected:
        return
    difference = _difference(given, expected)
    raise UserError(
        f"{where}: a model of another table of categories ({difference}). Use the version of the "
        f"project that it was trained with ({record.get('version')}), or train again"
    )


def _difference(given: Any, expected: list[dict[str, Any]]) -> str:
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        return "its own cannot be read"
    if len(given) != len(expected):
        return f"it has {len(given)}, here are {len(expected)}"
    for theirs, ours in zip(given, expected, strict=True):
        for key, value in ours.items():
            if theirs.get(key) != value:
                return f"category {ours['id']} ({ours['name']}) differs in its {key}"
    return "it has other fields"
