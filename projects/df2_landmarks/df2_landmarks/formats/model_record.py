"""What a model file says about itself: configuration, categories, metric and version.

Plain data, in a checkpoint under `RECORD_KEY`, so that a model needs no second file to be used; in
the metadata of an exported file as JSON under the same name, with an `ExportRecord`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

import msgspec

from df2_landmarks.common import UserError
from df2_landmarks.formats.detections import MAX_DETECTIONS
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy, category_rows, taxonomy_from_rows

RECORD_KEY = "df2_landmarks"
METRIC = (
    f"OKS AP: thresholds .50:.05:.95, at most {MAX_DETECTIONS} detections per image and category"
)

EXPORT_KEY = "export"
EXPORT_LAYOUT = 1
"""Of inputs, outputs and record of an exported file: to be raised when a reader must know."""


class ExportInput(msgspec.Struct, kw_only=True):
    """What becomes of a picture: before the graph (size, channels), and in it (the rest).

    Attributes:
        channels: their order, "RGB" or "BGR".
        min_size_px: of the short side; 0 leaves the size.
        max_size_px: of the long side, at most.
        max_pixels: a picture with more is not decoded.
        stride: the graph pads to a multiple of it.
        mean, std: of each channel; the graph subtracts and divides.
    """

    channels: str
    min_size_px: int
    max_size_px: int
    max_pixels: int
    stride: int
    mean: list[float]
    std: list[float]


class ExportRecord(msgspec.Struct, kw_only=True):
    """What is known of an exported file beside the record of its model.

    Attributes:
        layout: `EXPORT_LAYOUT` of the writer.
        format: name of the format.
        fingerprint: of weights and configuration, `Predictor.fingerprint`.
        input: what becomes of a picture.
        thresholds: those in the graph: ``score``, ``nms`` and the number of ``detections``.
        outputs: names of the outputs, in their order.
        software: name -> version, of what wrote it.
        graph_bytes: the file's first bytes that are the graph; 0 if they are not checked.
        graph_sha256: of these bytes.
    """

    layout: int
    format: str
    fingerprint: str
    input: ExportInput
    thresholds: dict[str, float]
    outputs: list[str]
    software: dict[str, str]
    graph_bytes: int = 0
    graph_sha256: str = ""


def export_metadata(record: Mapping[str, Any], export: ExportRecord) -> dict[str, str]:
    """Return the metadata of an exported file.

    Args:
        record: of `model_record`.
        export: what else is known.
    """
    content = {**record, EXPORT_KEY: msgspec.to_builtins(export)}
    return {RECORD_KEY: json.dumps(content, sort_keys=True)}


def read_export_record(metadata: Mapping[str, str], where: str) -> ExportRecord:
    """Return what an exported file says of itself.

    Args:
        metadata: of the file.
        where: the file, for messages.

    Raises:
        UserError: it says nothing, or its record is damaged or of a newer version.
    """
    export = _export_content(metadata, where).get(EXPORT_KEY)
    layout = export.get("layout") if isinstance(export, dict) else None
    if isinstance(layout, int) and layout > EXPORT_LAYOUT:
        raise UserError(
            f"{where}: written by a newer df2_landmarks (layout {layout}, this version reads "
            f"{EXPORT_LAYOUT}): update it, or export the model again"
        )
    try:
        return msgspec.convert(export, ExportRecord)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{where}: its record ({RECORD_KEY}) is damaged ({error}); export the model again"
        ) from None


def exported_taxonomy(metadata: Mapping[str, str], where: str) -> Taxonomy:
    """Return the categories of an exported file.

    Raises:
        UserError: the file has none, or its table is wrong.
    """
    return recorded_taxonomy(_export_content(metadata, where), where)


def check_graph(metadata: Mapping[str, str], where: str, digest: Callable[[int], str]) -> None:
    """Check that the graph of an exported file is the one that was written.

    Args:
        metadata: of the file.
        where: the file, for the message.
        digest: returns the SHA-256 of so many bytes at the beginning of the file.

    Raises:
        UserError: it is another one, or the file says nothing of itself.
    """
    export = read_export_record(metadata, where)
    if export.graph_bytes and digest(export.graph_bytes) != export.graph_sha256:
        raise UserError(f"{where}: damaged since it was written; copy it or export it again")


def _export_content(metadata: Mapping[str, str], where: str) -> dict[str, Any]:
    if RECORD_KEY not in metadata:
        raise UserError(f"{where}: not a file of df2 export: its metadata have no {RECORD_KEY}")
    try:
        content = json.loads(metadata[RECORD_KEY])
    except ValueError as error:
        content = error
    if not isinstance(content, dict):
        raise UserError(
            f"{where}: its record ({RECORD_KEY}) is damaged: no JSON object; export the model again"
        )
    return content


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
