"""A model file says what it is, and one of other categories is refused."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from df2_landmarks.common import UserError
from df2_landmarks.formats import check_record, model_record
from df2_landmarks.formats.model_record import METRIC, category_table
from df2_landmarks.taxonomy import CATEGORIES, LAYOUT


@pytest.fixture
def record():
    return copy.deepcopy(model_record("VERSION: 2\n"))


def test_it_holds_configuration_categories_metric_and_version(record):
    assert set(record) == {"version", "config", "metric", "categories"}
    assert record["config"] == "VERSION: 2\n" and record["metric"] == METRIC
    assert record["version"][0].isdigit()
    assert json.loads(json.dumps(record)) == record, "plain data, so that weights_only loads it"
    for row, category in zip(record["categories"], CATEGORIES, strict=True):
        assert (row["id"], row["name"]) == (category.id, category.name)
        assert row["landmarks"] == list(category.landmark_names)
        assert len(row["sigmas"]) == category.num_landmarks
        assert {tuple(pair) for pair in row["flip_pairs"]} == set(category.flip_pairs)
    assert sum(len(row["landmarks"]) for row in record["categories"]) == LAYOUT.num_slots


def test_a_record_of_this_version_passes_also_from_a_file(record, tmp_path):
    check_record(record, "model.pth")
    torch.save(record, tmp_path / "record.pth")
    check_record(torch.load(tmp_path / "record.pth", weights_only=True), "model.pth")


def change(key, value):
    def changed(record):
        record["categories"][8][key] = value

    return changed


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (lambda record: record["categories"].pop(), "it has 12, here are 13"),
        (change("name", "kilt"), r"category 9 \(skirt\) differs in its name"),
        (change("landmarks", ["waist_left"]), "differs in its landmarks"),
        (change("sigmas", [0.1] * 8), "differs in its sigmas"),
        (change("flip_pairs", []), "differs in its flip_pairs"),
        (change("sigmas", torch.ones(8)), "differs in its sigmas"),
        (lambda record: record["categories"].reverse(), r"category 1 \(.*\) differs in its id"),
        (change("colour", "red"), "it has other fields"),
    ],
)
def test_a_model_of_another_table_is_refused(record, changed, difference):
    changed(record)
    with pytest.raises(UserError, match=rf"model\.pth: a model of another table .*{difference}"):
        check_record(record, "model.pth")


@pytest.mark.parametrize("categories", [None, 13, "x", [1] * 13, {}, torch.zeros(13)])
def test_a_table_that_is_none_is_refused(record, categories):
    record["categories"] = categories
    with pytest.raises(UserError, match=r"another table of categories \(its own cannot be read\)"):
        check_record(record, "model.pth")


@pytest.mark.parametrize("record", [None, [], "text", {}, {"config": 3}, {"categories": []}])
def test_a_damaged_record_is_refused(record):
    with pytest.raises(UserError, match=r"model\.pth: its record \(df2_landmarks\) is damaged"):
        check_record(record, "model.pth")


def test_the_table_is_made_anew_for_each_record():
    category_table()[0]["name"] = "changed"
    assert category_table()[0]["name"] == CATEGORIES[0].name
