"""The records that `df2 predict` writes: one line of JSON per picture.

`json_schema` derives the JSON Schema of the documentation from these types. Coordinates are
continuous, in pixels of the upright picture; numbers between 0 and 1 are fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from df2_landmarks.formats import Garment
from df2_landmarks.predict.garments import Garments
from df2_landmarks.taxonomy import MeasuredLength

Measure = Callable[[Garment], Sequence[MeasuredLength]]

Share = Annotated[float, Meta(ge=0, le=1)]
Box = Annotated[list[float], Meta(min_length=4, max_length=4, description="x1, y1, x2, y2")]
Covariance = Annotated[
    list[float],
    Meta(
        min_length=3,
        max_length=3,
        description="variances of x and y and their covariance, in square pixels",
    ),
]
Size = Annotated[list[int], Meta(min_length=2, max_length=2, description="height, width")]


class LandmarkRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A landmark: its number in the category (from 1), position, expected OKS, and the probability
    that it is visible and the covariance of its position, where the model says so."""

    number: Annotated[int, Meta(ge=1)]
    x: float
    y: float
    confidence: Share
    visible: Share | UnsetType = UNSET
    covariance: Covariance | UnsetType = UNSET


class MaskRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A mask in COCO's compressed run-length encoding."""

    size: Size
    counts: str


class MeasurementRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A length along landmarks, or the reason why there is none. ``ratio`` is to the garment's
    length."""

    pixels: float | None
    ratio: float | None
    centimetres: float | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class GarmentRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A garment with all landmarks of its category, by name."""

    category: str
    category_id: Annotated[int, Meta(ge=1)]
    score: Share
    box_xyxy: Box
    landmarks: dict[str, LandmarkRecord]
    mask: MaskRecord | UnsetType = UNSET
    measurements: dict[str, MeasurementRecord] | UnsetType = UNSET


class PictureRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A picture, or a frame of a video (``frame`` from 0, ``seconds`` from its start), and the
    garments in it, best first. If it could not be read, ``error`` says why and nothing else is
    there. ``model`` is the fingerprint of the model; ``best_score`` is that of everything detected,
    below the threshold too."""

    file: str
    model: str
    width: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    height: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    best_score: Share | UnsetType = UNSET
    garments: list[GarmentRecord] | UnsetType = UNSET
    error: str | UnsetType = UNSET
    frame: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    seconds: float | UnsetType = UNSET
    last_frame: bool | UnsetType = UNSET


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a line."""
    schema = msgspec.json.schema(PictureRecord)
    for definition in schema["$defs"].values():
        definition["description"] = " ".join(definition["description"].split())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def picture_record(
    file: str,
    fingerprint: str,
    garments: Garments,
    *,
    frame: Mapping[str, Any] | None = None,
    with_masks: bool = True,
    measure: Measure | None = None,
) -> dict[str, Any]:
    """Return the record of a picture, as plain data (`PictureRecord`).

    Args:
        file: its name.
        fingerprint: of the model.
        garments: in it.
        frame: what says which frame of a video it is.
        with_masks: whether the record has masks.
        measure: the lengths of a garment; None: no lengths.
    """
    found = garments.to_dict(with_masks=with_masks)
    record = {"file": file, "model": fingerprint, **(frame or {}), **found}
    if measure is not None:
        for garment, fields in zip(garments, record["garments"], strict=True):
            fields["measurements"] = {m.name: _length(m) for m in measure(garment)}
    return record


def _length(measured: MeasuredLength) -> dict[str, Any]:
    fields: dict[str, Any] = {"pixels": None, "ratio": None}
    if measured.pixels is not None:
        fields["pixels"] = round(measured.pixels, 2)
    if measured.ratio is not None:
        fields["ratio"] = round(measured.ratio, 4)
    if measured.centimetres is not None:
        fields["centimetres"] = round(measured.centimetres, 2)
    if measured.reason:
        fields["reason"] = measured.reason
    return fields
