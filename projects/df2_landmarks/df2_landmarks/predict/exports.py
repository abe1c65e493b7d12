"""Predictions in the forms of other tools, made from the lines of `predictions.jsonl`.

Every writer streams: memory does not grow with the number of pictures.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import msgspec

from df2_landmarks.common import UserError, atomic_path, atomic_write
from df2_landmarks.formats import Mask, to_pixel_indices
from df2_landmarks.predict.coco import coco_annotation
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy, category_rows

PARQUET_HELP = "Parquet needs pyarrow: `pip install pyarrow`"
ROWS_PER_GROUP = 1000
COMPRESSION = "zstd"
"""A fifth smaller than Parquet's default, and read by every reader of today."""

CSV_COLUMNS = (
    *("file", "frame", "garment", "category", "score", "landmark", "number"),
    *("x", "y", "confidence", "visible"),
)
MEASUREMENT_COLUMNS = (
    *("file", "frame", "garment", "category", "score", "measurement"),
    *("pixels", "ratio", "centimetres", "reason"),
)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of `predictions.jsonl`."""
    with open(path, "rb") as file:
        yield from map(msgspec.json.decode, file)


def write_coco(predictions: Path, target: Path, taxonomy: Taxonomy = DEEPFASHION2) -> None:
    """Write a COCO file: images, annotations with own landmarks and scores, categories.

    Pictures that could not be read are left out.

    Args:
        predictions: `predictions.jsonl`.
        target: the new file.
        taxonomy: the categories of the model.

    Raises:
        UserError: it cannot be written.
    """
    names = {category.id: category.landmark_names for category in taxonomy.categories}
    with atomic_write(target) as file:
        file.write(b'{"categories": ' + msgspec.json.encode(category_rows(taxonomy)))
        file.write(b',\n"images": [')
        separator = b"\n"
        for image_id, record in _readable(predictions):
            image = {
                "id": image_id,
                "file_name": record["file"],
                "width": record["width"],
                "height": record["height"],
                **({"frame": record["frame"]} if "frame" in record else {}),
            }
            file.write(separator + msgspec.json.encode(image))
            separator = b",\n"
        file.write(b'],\n"annotations": [')
        annotation_id, separator = 1, b"\n"
        for image_id, record in _readable(predictions):
            for garment in record["garments"]:
                annotation = coco_annotation(
                    garment, names[garment["category_id"]], image_id, annotation_id
                )
                file.write(separator + msgspec.json.encode(annotation))
                annotation_id, separator = annotation_id + 1, b",\n"
        file.write(b"]}\n")


def _readable(predictions: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the readable pictures with their ids, their place among all from 1."""
    for image_id, record in enumerate(read_lines(predictions), 1):
        if "error" not in record:
            yield image_id, record


def write_raw(predictions: Path, target: Path, taxonomy: Taxonomy = DEEPFASHION2) -> None:
    """Write a folder of raw DeepFashion2 annotations, to correct by hand: one for each picture.

    A file has the name of its picture. What a prediction does not know (scale, occlusion, zoom,
    viewpoint, style) is 0. Pictures that could not be read, or show nothing, have no file.

    Args:
        predictions: `predictions.jsonl`.
        target: the new folder.
        taxonomy: the categories of the model.

    Raises:
        UserError: these are not DeepFashion2's categories, the folder has files, two pictures have
            one name, or a file cannot be written.
    """
    check_raw(target, taxonomy)
    names: dict[str, str] = {}
    with atomic_path(target) as folder:
        folder.mkdir()
        for _, record in _readable(predictions):
            frame = f"_{record['frame']:06d}" if "frame" in record else ""
            name = f"{Path(record['file']).stem}{frame}.json"
            if name in names:
                raise UserError(
                    f"--format raw: {names[name]} and {record['file']} would both be {name}; "
                    "predict folders with equal names apart"
                )
            names[name] = record["file"]
            if record["garments"]:
                items = {f"item{n}": _raw_item(g) for n, g in enumerate(record["garments"], 1)}
                content = {"source": "user", "pair_id": 0, **items}
                (folder / name).write_bytes(msgspec.json.encode(content))


def check_raw(target: Path, taxonomy: Taxonomy) -> None:
    """Check that `write_raw` may write here. It never replaces files: people correct them by hand.

    Raises:
        UserError: these are not DeepFashion2's categories, or the folder has files.
    """
    if taxonomy != DEEPFASHION2:
        raise UserError(f"--format raw is for DeepFashion2's categories, not for {taxonomy.name}")
    if target.is_dir() and any(target.iterdir()):
        raise UserError(
            f"--format raw: {target} must be new or empty, but has files, which may be corrected "
            "by hand; move it away, or give another --output",
            exit_code=2,
        )


def _raw_item(garment: dict[str, Any]) -> dict[str, Any]:
    category = DEEPFASHION2.categories[garment["category_id"] - 1]
    polygons = Mask.from_rle(garment["mask"]).polygons if "mask" in garment else ()
    unknown = dict.fromkeys(("scale", "occlusion", "zoom_in", "viewpoint", "style"), 0)
    return {
        "category_id": category.id,
        "category_name": category.name,
        "bounding_box": garment["box_xyxy"],
        "landmarks": coco_annotation(garment, category.landmark_names, 0, 0)["keypoints"],
        "segmentation": [to_pixel_indices(p).ravel().tolist() for p in polygons if len(p) > 2],
        **unknown,
    }


def write_csv(predictions: Path, target: Path, _: Taxonomy = DEEPFASHION2) -> None:
    """Write a table with a row per landmark (`CSV_COLUMNS`).

    Args:
        predictions: `predictions.jsonl`.
        target: the new file.

    Raises:
        UserError: it cannot be written.
    """
    _write_table(predictions, target, CSV_COLUMNS, _landmark_rows)


def write_measurements(predictions: Path, target: Path) -> None:
    """Write a table with a row per measurement (`MEASUREMENT_COLUMNS`).

    Args:
        predictions: `predictions.jsonl` of a run with measurements.
        target: the new file.

    Raises:
        UserError: it cannot be written.
    """
    _write_table(predictions, target, MEASUREMENT_COLUMNS, _measurement_rows)


def _landmark_rows(garment: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, landmark in garment["landmarks"].items():
        yield {"landmark": name, **landmark}


def _measurement_rows(garment: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, values in garment.get("measurements", {}).items():
        yield {"measurement": name, **values}


def landmark_table(records: Iterable[dict[str, Any]]) -> str:
    """Return records as the text that `write_csv` writes."""
    text = io.StringIO(newline="")
    _write_rows(text, records, CSV_COLUMNS, _landmark_rows)
    return text.getvalue()


def measurement_table(records: Iterable[dict[str, Any]]) -> str:
    """Return records as the text that `write_measurements` writes."""
    text = io.StringIO(newline="")
    _write_rows(text, records, MEASUREMENT_COLUMNS, _measurement_rows)
    return text.getvalue()


RowsOf = Callable[[dict[str, Any]], Iterator[dict[str, Any]]]


def _write_table(
    predictions: Path, target: Path, columns: tuple[str, ...], rows_of: RowsOf
) -> None:
    with atomic_write(target) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        _write_rows(text, read_lines(predictions), columns, rows_of)
        text.detach()


def _write_rows(
    text: TextIO, records: Iterable[dict[str, Any]], columns: tuple[str, ...], rows_of: RowsOf
) -> None:
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for record in records:
        for number, garment in enumerate(record.get("garments", []), 1):
            common = {
                "file": record["file"],
                "frame": record.get("frame"),
                "garment": number,
                "category": garment["category"],
                "score": garment["score"],
            }
            writer.writerows({**common, **row} for row in rows_of(garment))


def write_parquet(predictions: Path, target: Path, _: Taxonomy = DEEPFASHION2) -> None:
    """Write a table with a row per picture, its garments nested (`parquet_schema`).

    Args:
        predictions: `predictions.jsonl`.
        target: the new file.

    Raises:
        UserError: pyarrow is not installed, or the file cannot be written.
    """
    write_rows(target, parquet_schema(), map(table_row, read_lines(predictions)))


def write_rows(target: Path, schema: Any, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows into a Parquet file, `ROWS_PER_GROUP` at a time.

    Args:
        target: the new file.
        schema: pyarrow's.
        rows: column -> value.

    Raises:
        UserError: it cannot be written.
    """
    import pyarrow
    from pyarrow import parquet

    with (
        atomic_path(target) as temporary,
        parquet.ParquetWriter(temporary, schema, compression=COMPRESSION) as writer,
    ):
        while group := list(islice(rows, ROWS_PER_GROUP)):
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))


def table_row(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as a row of `parquet_schema`: dicts by name become lists with names."""
    if "garments" not in record:
        return {**record, "garments": []}
    return {**record, "garments": [_nested(garment) for garment in record["garments"]]}


def _nested(garment: dict[str, Any]) -> dict[str, Any]:
    lists: dict[str, Any] = {
        key: [{"name": name, **values} for name, values in garment[key].items()]
        for key in ("landmarks", "measurements")
        if key in garment
    }
    return {**garment, **lists}


def parquet_schema() -> Any:
    """Return pyarrow's schema of a row: one picture or frame, its garments nested.

    Raises:
        UserError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise UserError(PARQUET_HELP, exit_code=2) from None
    number, text, whole = pa.float32(), pa.string(), pa.int32()
    landmark = pa.struct(
        [
            ("name", text),
            ("number", whole),
            *((key, number) for key in ("x", "y", "confidence", "visible")),
        ]
    )
    measurement = pa.struct(
        [
            ("name", text),
            *((key, number) for key in ("pixels", "ratio", "centimetres")),
            ("reason", text),
        ]
    )
    garment = pa.struct(
        [
            ("category", text),
            ("category_id", whole),
            ("score", number),
            ("box_xyxy", pa.list_(number)),
            ("landmarks", pa.list_(landmark)),
            ("mask", pa.struct([("size", pa.list_(whole)), ("counts", text)])),
            ("measurements", pa.list_(measurement)),
        ]
    )
    return pa.schema(
        [
            ("file", text),
            ("model", text),
            ("width", whole),
            ("height", whole),
            ("best_score", number),
            ("garments", pa.list_(garment)),
            ("error", text),
            ("frame", whole),
            ("seconds", number),
            ("last_frame", pa.bool_()),
        ]
    )


FORMATS: dict[str, tuple[str, Callable[[Path, Path, Taxonomy], None]]] = {
    "coco": ("predictions.coco.json", write_coco),
    "csv": ("predictions.csv", write_csv),
    "parquet": ("predictions.parquet", write_parquet),
    "raw": ("annos", write_raw),
}
"""Name of a format -> its file or folder, and what writes it from `predictions.jsonl`."""


def check_formats(names: list[str], output: Path, taxonomy: Taxonomy) -> None:
    """Check before the work that the formats can be written.

    Args:
        names: of FORMATS.
        output: the folder of the results.
        taxonomy: the categories of the model.

    Raises:
        UserError: a package is missing, or `check_raw` refuses.
    """
    if "parquet" in names:
        parquet_schema()
    if "raw" in names:
        check_raw(output / FORMATS["raw"][0], taxonomy)
