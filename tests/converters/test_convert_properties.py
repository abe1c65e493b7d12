"""Mutated annotation files: never a traceback, never an item that is neither written nor listed."""

import contextlib
import copy
import io
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converters.deepfashion2_to_coco import main

NUMBERS = st.one_of(
    st.integers(-5, 200),
    st.integers(),
    st.floats(),
    st.sampled_from([1e300, -0.0, 2.0, 10**30, 10**400, True, 2**53, 1e6, 1e6 + 1]),
)
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
ITEM_KEY = re.compile("item[0-9]+$")


def paths_of(value, prefix=()):
    """The path of every value in nested lists and dicts."""
    yield prefix
    children = value.items() if isinstance(value, dict) else enumerate(value)
    if isinstance(value, dict | list):
        for key, child in children:
            yield from (
                paths_of(child, (*prefix, key))
                if isinstance(child, dict | list)
                else [(*prefix, key)]
            )


@st.composite
def mutated_contents(draw, content):
    """A valid content with one to three values replaced, removed or added."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(sorted(paths_of(content), key=str)))
        if not path:
            continue
        parent = content
        for key in path[:-1]:
            parent = parent[key]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            parent[path[-1]] = draw(NUMBERS | JSON_VALUES)
        elif action == "remove":
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.insert(path[-1], draw(NUMBERS))
        else:
            keys = st.sampled_from(["item3", "item03", "item", "Item1", "x", "item1 "])
            parent[draw(keys)] = draw(JSON_VALUES | st.just(copy.deepcopy(content.get("item1"))))
    return content


@pytest.fixture(scope="module")
def convert_text(tmp_path_factory, make_raw_folder):
    """convert_text(bytes, *arguments) -> (code, stderr, coco, report) of a split of one image."""
    root = tmp_path_factory.mktemp("properties")
    folder = make_raw_folder(root / "train")
    folder.add(1)
    output, report = root / "out.json", root / "report.json"
    command = ["--annos", folder.annos, "--images", folder.images, "--output", output]
    command = [str(a) for a in (*command, "--report", report)]

    def run(text, *arguments):
        (folder.annos / "000001.json").write_bytes(text)
        output.unlink(missing_ok=True)
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = main([*command, *arguments])
        if code:
            assert not output.exists()
            return code, errors.getvalue(), None, None
        coco = json.loads(output.read_bytes(), parse_constant=pytest.fail)
        return code, errors.getvalue(), coco, json.loads(report.read_text())["out"]

    return run


def assert_nothing_is_lost(text, convert_text):
    """Convert ``text`` in both modes and compare what was read, written and listed."""
    code, error, coco, report = convert_text(text, "--on-error", "skip")
    assert code == 0, error
    assert report["files"] == len(coco["images"]) + len(report["skipped_files"]) == 1
    assert report["items"] == len(coco["annotations"]) + len(report["skipped_items"])
    if coco["images"]:
        keys = [key for key, _ in json.loads(text, object_pairs_hook=list)]
        assert report["items"] == sum(bool(ITEM_KEY.match(key)) for key in keys)
    for annotation in coco["annotations"]:
        assert len(annotation["keypoints"]) == 882
        x, y, width, height = annotation["bbox"]
        assert x >= 0 and y >= 0 and width > 0 and height > 0
        assert x + width <= 120 + 1e-9 and y + height <= 160 + 1e-9
    listed = report["skipped_files"] + report["skipped_items"]
    code, error, _, _ = convert_text(text)
    assert code == (1 if listed else 0)
    if listed:
        assert error.startswith("deepfashion2_to_coco: ") and error.count("\n") == 1


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutated_values_are_written_or_listed(data, raw_item, convert_text):
    valid = {"source": "user", "pair_id": 1, "item1": raw_item(9), "item2": raw_item(7)}
    content = data.draw(mutated_contents(valid))
    assert_nothing_is_lost(json.dumps(content).encode(), convert_text)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_bytes_are_written_or_listed(data, raw_item, convert_text):
    valid = {"source": "user", "item2": raw_item(9), "pair_id": 1, "item1": raw_item(7)}
    text = bytearray(json.dumps(valid).encode())
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.sampled_from([0, 1, 2, 5, 50, len(text)]))
    text[start : start + length] = data.draw(st.binary(max_size=4))
    assert_nothing_is_lost(bytes(text), convert_text)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.binary(max_size=30) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_files_are_written_or_listed(text, convert_text):
    assert_nothing_is_lost(text, convert_text)


def test_deeply_nested_file_is_listed(convert_text):
    for text in (b"[" * 100_000, b'{"x":' * 100_000, b'{"item1":{"x":' + b"[" * 100_000):
        assert_nothing_is_lost(text, convert_text)
