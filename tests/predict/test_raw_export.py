"""Predictions as raw annotations: the project's own converter reads them back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters import deepfashion2_to_coco
from df2_landmarks.common import UserError
from df2_landmarks.formats import Mask, read_ground_truth
from df2_landmarks.predict.exports import check_formats, write_raw
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

WIDTH, HEIGHT = 120, 90


def garment(class_index: int, *, with_mask: bool = True) -> dict:
    category = DEEPFASHION2.categories[class_index]
    xy = np.random.default_rng(class_index).uniform(10, 80, (category.num_landmarks, 2)).round(2)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:60, 30:90] = True
    return {
        "category": category.name,
        "category_id": category.id,
        "score": 0.9,
        "box_xyxy": [5.25, 6.5, 100.0, 85.75],
        "landmarks": {
            name: {
                "number": n,
                "x": x,
                "y": y,
                "confidence": 0.8,
                "visible": 0.1 if n == 2 else 0.9,
            }
            for n, (name, (x, y)) in enumerate(
                zip(category.landmark_names, xy.tolist(), strict=True), 1
            )
        },
        **({"mask": Mask.from_array(mask).rle} if with_mask else {}),
    }


def lines(path: Path, *records: dict) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def record(file: str, *garments: dict, **more: object) -> dict:
    return {"file": file, "width": WIDTH, "height": HEIGHT, "garments": list(garments), **more}


def test_the_converter_gives_back_what_was_predicted(tmp_path: Path) -> None:
    found = [garment(0), garment(8, with_mask=False)]
    predictions = lines(
        tmp_path / "predictions.jsonl",
        record("photos/000007.jpg", *found),
        record("photos/000008.jpg"),
        {"file": "photos/broken.jpg", "error": "not a picture"},
    )
    write_raw(predictions, tmp_path / "annos")
    assert [path.name for path in (tmp_path / "annos").iterdir()] == ["000007.json"]
    (tmp_path / "image").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "image/000007.jpg")
    folders = ["--annos", tmp_path / "annos", "--images", tmp_path / "image"]
    target = tmp_path / "train.json"
    assert deepfashion2_to_coco.main([*map(str, folders), "--output", str(target)]) == 0
    truth = read_ground_truth(target)
    for expected in found:
        part = truth.classes[expected["category_id"] - 1]
        points = list(expected["landmarks"].values())
        xy = [(point["x"] - 0.5, point["y"] - 0.5) for point in points]
        np.testing.assert_allclose(part.landmarks_xy[0], xy, atol=0.006)
        assert part.visibility[0].tolist() == [2 if p["visible"] >= 0.5 else 1 for p in points]
        x, y, w, h = part.boxes_xywh[0]
        np.testing.assert_allclose((x, y, x + w, y + h), expected["box_xyxy"], atol=0.006)
    (with_mask,) = [
        a for a in json.loads(target.read_text())["annotations"] if a["category_id"] == 1
    ]
    assert with_mask["segmentation"][0][:2] == [30, 20]


def test_two_pictures_of_one_name_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    predictions = lines(
        tmp_path / "predictions.jsonl", record("a/1.jpg", garment(0)), record("b/1.png", garment(0))
    )
    with pytest.raises(UserError, match=r"a/1\.jpg and b/1\.png would both be 1\.json"):
        write_raw(predictions, tmp_path / "annos")
    assert not (tmp_path / "annos").exists()


def test_files_that_are_there_are_never_replaced(tmp_path: Path) -> None:
    """They may be corrected by hand, or be the annotations of a data set."""
    predictions = lines(tmp_path / "predictions.jsonl", record("1.jpg", garment(0)))
    (tmp_path / "annos").mkdir()
    write_raw(predictions, tmp_path / "annos")
    (tmp_path / "annos/1.json").write_text("corrected")
    with pytest.raises(UserError, match=r"annos must be new or empty, but has files"):
        write_raw(predictions, tmp_path / "annos")
    assert (tmp_path / "annos/1.json").read_text() == "corrected"


def test_a_raw_form_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    tops = Taxonomy("tops", DEEPFASHION2.categories[:2])
    check_formats(["csv", "raw"], tmp_path, DEEPFASHION2)
    with pytest.raises(UserError, match="not for tops"):
        check_formats(["raw"], tmp_path, tops)
    (tmp_path / "annos").mkdir()
    (tmp_path / "annos/1.json").touch()
    with pytest.raises(UserError, match="must be new or empty"):
        check_formats(["raw"], tmp_path, DEEPFASHION2)


def test_frames_of_a_video_have_files_of_their_own(tmp_path: Path) -> None:
    frames = [record("walk.mp4", garment(0), frame=number) for number in (0, 12)]
    write_raw(lines(tmp_path / "predictions.jsonl", *frames), tmp_path / "annos")
    names = sorted(path.name for path in (tmp_path / "annos").iterdir())
    assert names == ["walk_000000.json", "walk_000012.json"]


def test_other_categories_have_no_raw_form(tmp_path: Path) -> None:
    tops = Taxonomy("tops", DEEPFASHION2.categories[:2])
    with pytest.raises(UserError, match="for DeepFashion2's categories, not for tops"):
        write_raw(lines(tmp_path / "predictions.jsonl"), tmp_path / "annos", tops)
