"""The files of the challenge, and what they hold in memory. No torch.

* ``coco``: the reader of COCO annotations. ``annotations``: ground truth from them.
* ``results``, ``submission``: the files, each reader beside its writer.
* ``ground_truth``, ``detections``: arrays per category, for scores.
* ``garment``, ``mask``: one garment with its landmarks by name, for people.
* ``picture``: pictures as a person sees them. ``model_record``: what a model file says of itself.
* ``coordinates``: the half pixel between files and everything else.
* ``slots``: ``keypoints`` as text. ``json_stream``: large JSON files in bounded memory.
"""

from df2_landmarks.formats.annotations import read_boxes_and_masks, read_ground_truth
from df2_landmarks.formats.coco import (
    CocoImage,
    CocoItem,
    CocoReader,
    CocoReport,
    Finding,
    plain_name,
    polygons_of_annotation,
    read_image_records,
    read_taxonomy,
    write_taxonomy,
)
from df2_landmarks.formats.coordinates import to_continuous, to_pixel_indices
from df2_landmarks.formats.detections import (
    MAX_DETECTIONS,
    ClassDetections,
    Detections,
    concatenate_class,
    concatenate_present,
    empty_class,
    rank_in_group,
    zero_padded_areas,
)
from df2_landmarks.formats.garment import (
    MIN_SCORE,
    NOT_LABELLED,
    OCCLUDED,
    SEEN,
    Garment,
    Landmark,
    Landmarks,
    detected_garments,
    garments_of_instances,
    garments_of_record,
    garments_of_targets,
)
from df2_landmarks.formats.ground_truth import (
    ATTRIBUTES,
    PROTOCOLS,
    VISIBLE,
    VISIBLE_AND_OCCLUDED,
    ClassTruth,
    GroundTruth,
)
from df2_landmarks.formats.mask import Mask
from df2_landmarks.formats.model_record import (
    EXPORT_LAYOUT,
    RECORD_KEY,
    ExportInput,
    ExportRecord,
    check_graph,
    check_record,
    code_version,
    export_metadata,
    exported_taxonomy,
    model_record,
    read_export_record,
    recorded_config_text,
    recorded_taxonomy,
)
from df2_landmarks.formats.picture import (
    MAX_PIXELS,
    PICTURE_SUFFIXES,
    RASTER_FORMATS,
    Channels,
    TooManyPixelsError,
    read_picture,
)
from df2_landmarks.formats.results import (
    detections_from_predictions,
    read_results,
    write_results_file,
)
from df2_landmarks.formats.slots import slot_text
from df2_landmarks.formats.submission import (
    MEMBERS,
    check_submission,
    check_unpacked_submission,
    write_submission,
)

__all__ = [
    "ATTRIBUTES",
    "EXPORT_LAYOUT",
    "MAX_DETECTIONS",
    "MAX_PIXELS",
    "MEMBERS",
    "MIN_SCORE",
    "NOT_LABELLED",
    "OCCLUDED",
    "PICTURE_SUFFIXES",
    "PROTOCOLS",
    "RASTER_FORMATS",
    "RECORD_KEY",
    "SEEN",
    "VISIBLE",
    "VISIBLE_AND_OCCLUDED",
    "Channels",
    "ClassDetections",
    "ClassTruth",
    "CocoImage",
    "CocoItem",
    "CocoReader",
    "CocoReport",
    "Detections",
    "ExportInput",
    "ExportRecord",
    "Finding",
    "Garment",
    "GroundTruth",
    "Landmark",
    "Landmarks",
    "Mask",
    "TooManyPixelsError",
    "check_graph",
    "check_record",
    "check_submission",
    "check_unpacked_submission",
    "code_version",
    "concatenate_class",
    "concatenate_present",
    "detected_garments",
    "detections_from_predictions",
    "empty_class",
    "export_metadata",
    "exported_taxonomy",
    "garments_of_instances",
    "garments_of_record",
    "garments_of_targets",
    "model_record",
    "plain_name",
    "polygons_of_annotation",
    "rank_in_group",
    "read_boxes_and_masks",
    "read_export_record",
    "read_ground_truth",
    "read_image_records",
    "read_picture",
    "read_results",
    "read_taxonomy",
    "recorded_config_text",
    "recorded_taxonomy",
    "slot_text",
    "to_continuous",
    "to_pixel_indices",
    "write_results_file",
    "write_submission",
    "write_taxonomy",
    "zero_padded_areas",
]
