"""Raw files -> COCO JSON -> loader -> results: the original landmarks come back."""

import io
import json

import numpy as np
import pytest

from converters.deepfashion2_to_coco import main
from df2_landmarks.data.loading import load_landmark_json
from df2_landmarks.formats.detections import Detections
from df2_landmarks.formats.results import detections_from_predictions, write_results
from df2_landmarks.taxonomy import DEEPFASHION2


@pytest.fixture
def raw(raw_folder, raw_item):
    """A split with one garment of each category, landmarks anywhere in the image."""
    generator = np.random.default_rng(0)
    folder, landmarks = raw_folder("train"), {}
    for category_id in range(1, 14):
        num = DEEPFASHION2.counts[category_id - 1]
        xyv = np.column_stack(
            [
                generator.integers(0, 120, num),
                generator.integers(0, 160, num),
                generator.integers(0, 3, num),
            ]
        )
        landmarks[category_id] = xyv
        item = raw_item(category_id, landmarks=xyv.ravel().tolist())
        folder.add(category_id, item)
    return folder, landmarks


def test_round_trip_gives_the_landmarks_back(raw, tmp_path):
    folder, landmarks = raw
    output = tmp_path / "train.json"
    paths = ["--annos", folder.annos, "--images", folder.images, "--output", output]
    assert main([str(p) for p in paths]) == 0
    records = load_landmark_json(output, folder.images)
    image_ids = np.array([record["image_id"] for record in records])
    found = []
    for class_index in range(DEEPFASHION2.num_categories):
        (annotation,) = records[class_index]["annotations"]
        assert annotation["category_id"] == class_index
        # The loader's landmarks are continuous, as a model's predictions.
        predicted = np.array(annotation["keypoints"]).reshape(1, -1, 3)[..., :2]
        found.append(
            detections_from_predictions(
                taxonomy=DEEPFASHION2,
                image_ids=image_ids,
                records=np.array([class_index]),
                class_index=class_index,
                prediction_image_ids=image_ids[[class_index]],
                scores=np.ones(1),
                landmarks_xy=predicted,
                boxes_xyxy=np.zeros((1, 4)),
            )
        )
    stream = io.BytesIO()
    write_results(stream, Detections("ground truth", image_ids, tuple(found)))
    for result in json.loads(stream.getvalue()):
        expected = landmarks[result["category_id"]]
        slots = DEEPFASHION2.slots(result["category_id"] - 1)
        written = np.array(result["keypoints"]).reshape(-1, 3)[slots]
        labelled = expected[:, 2] > 0
        np.testing.assert_array_equal(written[labelled, :2], expected[labelled, :2])
        assert result["image_id"] == result["category_id"]
