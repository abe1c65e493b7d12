"""From photos to garments with named landmarks.

* ``predictor``: `Predictor`, from a picture to its `Garments`; ``garments``: what it returns.
* ``models``: a room of its own: checkpoints of Detectron2, and exported files.
* ``inputs``, ``pipeline``, ``journal``, ``video``: many pictures, from the names to the files.
* ``catalogue``: the same on many cores or machines, with Ray Data.
* ``records``: a line of the results; ``exports``, ``coco``: the same in the forms of other tools.
"""

from df2_landmarks.predict.catalogue import (
    Catalogue,
    Cluster,
    Row,
    Work,
    catalogue_schema,
    import_ray,
    predict_catalogue,
    remove_catalogue,
)
from df2_landmarks.predict.coco import coco_annotation
from df2_landmarks.predict.exports import (
    FORMATS,
    check_formats,
    landmark_table,
    measurement_table,
    parquet_schema,
    read_lines,
    table_row,
    write_measurements,
)
from df2_landmarks.predict.garments import Garments
from df2_landmarks.predict.inputs import STDIN, Input, check_inputs, stream_inputs
from df2_landmarks.predict.journal import PREDICTIONS, Journal
from df2_landmarks.predict.models import (
    EXPORT_SUFFIXES,
    Detected,
    ExportedModel,
    Model,
    Prepared,
    load_exported,
    load_model,
)
from df2_landmarks.predict.pipeline import (
    Done,
    Outputs,
    drawing_path,
    encoded_drawing,
    predict_all,
)
from df2_landmarks.predict.predictor import Predictor
from df2_landmarks.predict.records import PictureRecord, json_schema, picture_record

__all__ = [
    "EXPORT_SUFFIXES",
    "FORMATS",
    "PREDICTIONS",
    "STDIN",
    "Catalogue",
    "Cluster",
    "Detected",
    "Done",
    "ExportedModel",
    "Garments",
    "Input",
    "Journal",
    "Model",
    "Outputs",
    "PictureRecord",
    "Predictor",
    "Prepared",
    "Row",
    "Work",
    "catalogue_schema",
    "check_formats",
    "check_inputs",
    "coco_annotation",
    "drawing_path",
    "encoded_drawing",
    "import_ray",
    "json_schema",
    "landmark_table",
    "load_exported",
    "load_model",
    "measurement_table",
    "parquet_schema",
    "picture_record",
    "predict_all",
    "predict_catalogue",
    "read_lines",
    "remove_catalogue",
    "stream_inputs",
    "table_row",
    "write_measurements",
]
