"""What a model file says about itself: configuration, categories, metric and version.

Plain data, in a checkpoint under `RECORD_KEY`, so that a model needs no second file to be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from df2_landmarks.common import UserError
from df2_landmarks.formats.detections import MAX_DETECTIONS
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy, category_rows, taxonomy_from_rows

RECORD_KEY = "df2_landmarks"
METRIC = (
    f"OKS AP: thresholds .50:.05:.95, at most {MAX_DETECTIONS} detections per image and category"
)


def model_record(config: str, taxonomy: Taxonomy) -> dict[str, Any]:
    """Return the record of a model that is trained by this version.

    Args:
        config: the whole configuration as YAML.
        taxonomy: the categories of the model.
    """
    return {
        "version": code_version(),
        "config": config,
        "metric": METRIC,
        "taxonomy": taxonomy.name,
        "categories": category_rows(taxonomy),
    }


def code_version() -> str:
    """Return the version of the installed package."""
    try:
        return metadata.version("df2_landmarks")
    except metadata.PackageNotFoundError:  # run from the source tree without installation
        return "unknown"


def check_record(record: Mapping[str, Any], where: str, taxonomy: Taxonomy) -> None:
    """Check that a model has the categories that it is used with.

    Args:
        record: of `model_record`.
        where: the file, for the message.
        taxonomy: what it is used with: that of the configuration.

    Raises:
        UserError: it has others, or the record is damaged.
    """
    recorded_config_text(record, where)
    own = recorded_taxonomy(record, where)
    if difference := own.difference(taxonomy, ("the file", "the configuration")):
        raise UserError(
            f"{where}: a model of another taxonomy ({difference}). Give the taxonomy that it was "
            "trained with (MODEL.ROI_LANDMARK_HEAD.TAXONOMY), or train again"
        )


def recorded_taxonomy(record: Mapping[str, Any], where: str) -> Taxonomy:
    """Return the categories of a record.

    Raises:
        UserError: its table is wrong.
    """
    rows = record.get("categories")
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        # Records of the first days call the landmarks so, and are of DeepFashion2.
        rows = [{"keypoints": row.get("landmarks"), **row} for row in rows]
        if all("landmarks" in row for row in rows):
            names = {c.name: c.official_name for c in DEEPFASHION2.categories}
            rows = [{"official_name": names.get(row.get("name")), **row} for row in rows]
    name = str(record.get("taxonomy", DEEPFASHION2.name))
    return taxonomy_from_rows(rows, name=name, where=f"{where}, categories")


def recorded_config_text(record: Any, where: str) -> str:
    """Return the configuration of a record, as YAML.

    Raises:
        UserError: the record is damaged.
    """
    if not isinstance(record, dict) or not isinstance(record.get("config"), str):
        raise UserError(f"{where}: its record ({RECORD_KEY}) is damaged; train or export it again")
    text: str = record["config"]
    return text
