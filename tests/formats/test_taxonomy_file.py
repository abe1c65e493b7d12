"""Taxonomy files: YAML, JSON, and the categories of COCO files."""

from __future__ import annotations

import json

import msgspec
import pytest

from df2_landmarks.common import UserError
from df2_landmarks.formats import read_taxonomy, write_taxonomy
from df2_landmarks.taxonomy import DEEPFASHION2, TaxonomyFile
from tests.support import ROOT

YAML = """
name: zoo
categories:
  - name: fox
    keypoints: [ear_left, ear_right, nose]
    sigmas: {ear_left: .03, ear_right: .03, nose: .02}
  - {name: owl, keypoints: [beak], sigmas: .1}
"""


def written(tmp_path, content, name="zoo.yaml"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_yaml_json_and_a_coco_file_give_the_same(tmp_path):
    zoo = read_taxonomy(written(tmp_path, YAML))
    assert zoo.name == "zoo" and zoo.categories[0].sigmas == (0.03, 0.03, 0.02)
    rows = [
        {"id": 7, "name": "owl", "supercategory": "", "keypoints": ["beak"], "sigmas": [0.1]},
        {
            "id": 2,
            "name": "fox",
            "supercategory": "",
            "keypoints": ["ear_left", "ear_right", "nose"],
            "skeleton": [],
            "sigmas": [0.03, 0.03, 0.02],
        },
    ]
    coco = {"images": [], "annotations": [], "categories": rows}
    assert read_taxonomy(written(tmp_path, coco, "zoo.json")) == zoo
    of_tree = read_taxonomy(written(tmp_path, coco, "zoo/annotations/train.json"))
    assert of_tree == zoo and of_tree.name == "zoo"


def test_what_is_written_is_read_again_with_what_was_guessed(tmp_path):
    guessed = read_taxonomy(written(tmp_path, YAML))
    assert guessed.notes
    write_taxonomy(guessed, tmp_path / "written.yaml")
    again = read_taxonomy(tmp_path / "written.yaml")
    assert again == guessed and again.name == "zoo" and again.notes == ()


def test_our_own_coco_files_are_deepfashion2(tiny_datasets):
    path = tiny_datasets / "deepfashion2_synthetic/annotations/train.json"
    assert read_taxonomy(path) is DEEPFASHION2


def test_categories_may_share_their_landmarks(tmp_path):
    """As in data sets of animals: 54 species, 17 landmarks each."""
    rows = [
        {"id": i, "name": name, "keypoints": ["eye_left", "eye_right"]}
        for i, name in ((1, "cat"), (2, "dog"))
    ]
    animals = read_taxonomy(written(tmp_path, {"categories": rows}, "animals.json"))
    assert animals.counts == (2, 2) and animals.num_slots == 4


def test_the_schema_in_the_documents_is_that_of_the_reader():
    published = json.loads((ROOT / "docs/reference/taxonomy.schema.json").read_text())
    schema = msgspec.json.schema(TaxonomyFile)
    for definition in schema["$defs"].values():
        # from Python 3.13 on, docstrings have lost their indentation
        definition["description"] = " ".join(definition["description"].split())
    assert published == schema


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("categories: 3", "a.yaml", "must be a mapping with a list named categories"),
        ("- fox", "a.yaml", "must be a mapping with a list named categories"),
        ("", "a.yml", "must be a mapping"),
        ("categories: []", "a.yaml", "has no categories"),
        (
            "categories: [{name: fox}]",
            "a.yaml",
            "category 1: object missing required field `keypoints`",
        ),
        ("a: &a [1]\ncategories: [*a]", "a.yaml", "must have no aliases"),
        ("a: [", "a.yaml", "must be YAML, but"),
        ("[" * 5000, "a.yaml", "must be YAML, but"),
        (b"\xff\xfe", "a.yaml", "must be UTF-8 text"),
        (b"x" * (5 << 20), "a.yaml", "must have at most 4194304 bytes"),
        ({"images": []}, "a.json", "has no categories"),
        (
            {"categories": [{"id": 1, "name": "dog"}]},
            "a.json",
            "missing required field `keypoints`",
        ),
        ("{", "a.json", "a.json"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, content, name, message):
    with pytest.raises(UserError, match=message):
        read_taxonomy(written(tmp_path, content, name))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml"):
        read_taxonomy(tmp_path / "none.yaml")
