"""A model file says what it is, and one of other categories is refused."""

from __future__ import annotations

import json

import pytest
import torch

from df2_landmarks.common import UserError
from df2_landmarks.formats import check_record, model_record
from df2_landmarks.formats.model_record import METRIC
from df2_landmarks.taxonomy import DEEPFASHION2


@pytest.fixture
def record():
    return model_record("VERSION: 2\n", DEEPFASHION2)


def test_it_holds_configuration_categories_metric_and_version(record):
    assert set(record) == {"version", "config", "metric", "taxonomy", "categories"}
    assert record["config"] == "VERSION: 2\n" and record["metric"] == METRIC
    assert record["version"][0].isdigit()
    assert json.loads(json.dumps(record)) == record, "plain data, so that weights_only loads it"
    for row, category in zip(record["categories"], DEEPFASHION2.categories, strict=True):
        assert (row["id"], row["name"]) == (category.id, category.name)
        assert row["keypoints"] == list(category.landmark_names)
        assert len(row["sigmas"]) == category.num_landmarks
        assert {tuple(pair) for pair in row["flip_pairs"]} == set(category.flip_pairs)
    assert sum(len(row["keypoints"]) for row in record["categories"]) == DEEPFASHION2.num_slots


def test_a_record_of_this_version_passes_also_from_a_file(record, tmp_path):
    check_record(record, "model.pth", DEEPFASHION2)
    torch.save(record, tmp_path / "record.pth")
    check_record(torch.load(tmp_path / "record.pth", weights_only=True), "model.pth", DEEPFASHION2)


def change(key, value):
    def changed(record):
        record["categories"][8][key] = value

    return changed


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (lambda r: r["categories"].pop(), r"the file has 12 categories, the configuration has 13"),
        (
            change("name", "kilt"),
            r"name of category 9 \(kilt\): 'kilt' in the file, 'skirt' in the c",
        ),
        (
            change("sigmas", [0.1] * 8),
            r"sigmas of category 9 \(skirt\): 0.1 as number 1 in the file",
        ),
        (
            change("flip_pairs", []),
            r"flip pairs of category 9 \(skirt\): 0 in the file, 3 in the configuration",
        ),
    ],
)
def test_a_model_of_another_taxonomy_is_refused(record, changed, difference):
    changed(record)
    with pytest.raises(UserError, match=rf"model\.pth: a model of another taxonomy .*{difference}"):
        check_record(record, "model.pth", DEEPFASHION2)


@pytest.mark.parametrize("categories", [None, 13, "x", [1] * 13, {}, torch.zeros(13)])
def test_a_table_that_is_none_is_refused(record, categories):
    record["categories"] = categories
    with pytest.raises(UserError, match=r"model\.pth, categories: "):
        check_record(record, "model.pth", DEEPFASHION2)


def test_a_record_of_the_first_days_is_of_deepfashion2(record):
    del record["taxonomy"]
    kept = ("id", "name", "flip_pairs", "sigmas")
    record["categories"] = [
        {"landmarks": row["keypoints"], **{key: row[key] for key in kept}}
        for row in record["categories"]
    ]
    check_record(record, "model.pth", DEEPFASHION2)


@pytest.mark.parametrize("record", [None, [], "text", {}, {"config": 3}, {"categories": []}])
def test_a_damaged_record_is_refused(record):
    with pytest.raises(UserError, match=r"model\.pth: its record \(df2_landmarks\) is damaged"):
        check_record(record, "model.pth", DEEPFASHION2)
