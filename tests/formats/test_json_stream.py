"""Large JSON files are read in pieces, and it makes no difference where a piece ends."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from df2_landmarks.common import UserError as DataError
from df2_landmarks.formats import json_stream
from df2_landmarks.formats.json_stream import read_members, read_records

ANY = msgspec.json.Decoder(list[dict[str, Any]])
TEXTS = st.text(alphabet='ab{}[],:"\\\n é', max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=8)


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> Any:
    patch = pytest.MonkeyPatch()
    patch.setattr(json_stream, "CHUNK_BYTES", 7)
    yield
    patch.undo()


@settings(deadline=None, max_examples=60)
@given(records=RECORDS, indent=st.sampled_from([None, 1]))
def test_a_list_comes_back_whatever_is_in_it(records: list[Any], indent: int | None) -> None:
    stream = io.BytesIO(json.dumps(records, indent=indent).encode())
    found = []
    for first, some in read_records(stream, "file", ANY):
        assert first == len(found)
        found += some
    assert found == records


@settings(deadline=None, max_examples=60)
@given(
    images=RECORDS,
    items=RECORDS,
    other=VALUES,
    order=st.permutations(["images", "annotations", "info", "licenses"]),
    indent=st.sampled_from([None, 1]),
)
def test_the_lists_of_an_object_come_back_in_any_order(
    images: list[Any], items: list[Any], other: Any, order: list[str], indent: int | None
) -> None:
    content = {"images": images, "annotations": items, "info": other, "licenses": [other]}
    stream = io.BytesIO(json.dumps({k: content[k] for k in order}, indent=indent).encode())
    found: dict[str, list[Any]] = {}
    for key, _, some in read_members(stream, "file", {"images": ANY, "annotations": ANY}):
        found.setdefault(key, []).extend(some)
    lists = {"images": images, "annotations": items}
    assert found == {key: records for key, records in lists.items() if records}


@pytest.mark.parametrize("text", ["x" * 5000, 'a"\\' * 2000, "}" * 5000])
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_is_skipped_may_be_longer_than_a_record(
    monkeypatch: pytest.MonkeyPatch, text: str, wrapped: bool
) -> None:
    monkeypatch.setattr(json_stream, "MAX_RECORD_BYTES", 1000)
    content = {"info": {"picture": [text]} if wrapped else text, "images": [{"a": 1}]}
    stream = io.BytesIO(json.dumps(content).encode())
    found = [some for _, _, some in read_members(stream, "file", {"images": ANY})]
    assert found == [[{"a": 1}]]


@pytest.mark.parametrize("end", range(1, 40, 3))
def test_a_file_that_was_cut_off_is_refused(end: int) -> None:
    text = json.dumps([{"a": "}]", "b": [1, {"c": 2}]}, {"a": 1}]).encode()[:end]
    with pytest.raises(DataError, match=r"^file"):
        list(read_records(io.BytesIO(text), "file", ANY))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", r"expected a JSON object, got '\[\]'"),
        ("7", "expected a JSON object"),
        ('"images"', "expected a JSON object"),
        ('{"images": [{"a": 7}', "expected ',' or ']', got the end of the file"),
        ('{"info": 7', "the file ends in the middle"),
        ('{"images" 7}', "the file ends in the middle"),
        ("{7: 1}", r"expected a key, got '7: 1\}'"),
        (r'{"\x": 1}', "expected a key, got "),
        ('{"images": []} {"images": []}', r"expected the end of the file, got '\{\"imag"),
        ('{"images": []}, "annotations": []}', "expected the end of the file, got ', "),
        ('{"images": [], "info": 1, "images": []}', "'images' must occur once, but occurs again"),
        ('{"images": [],}', r"expected a key, got '\}'"),
        ('{"images": [] "info": 1}', "expected ',' or '}' after 'images', got '\"info\""),
        ('{"info": 1 "images": []}', "expected ',' or '}' after 'info', got ': "),
        ('{"images": }', r"expected a JSON list of records, got '\}'"),
        ('{"images": 7}', r"expected a JSON list of records, got '7\}'"),
        ('{"info":, "images": []}', "expected the value of 'info', got ', "),
    ],
)
def test_what_is_no_object_of_lists_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"^file(, images)?: {message}"):
        list(read_members(io.BytesIO(text.encode()), "file", {"images": ANY}))


def test_keys_may_be_written_with_escapes() -> None:
    text = rb'{"im\u0061ges": [{"a": 1}], "\"}": 2}'
    found = [some for _, _, some in read_members(io.BytesIO(text), "file", {"images": ANY})]
    assert found == [[{"a": 1}]]


@pytest.mark.parametrize("seed", range(8))
def test_a_skipped_value_of_many_chunks_ends_where_json_says(seed: int) -> None:
    rng = random.Random(seed)
    texts = (
        ["]}[{", 'say \\"]\\"', "\\\\", "plain", "\u00e9", ""] if seed % 2 else ["]}[{", "plain"]
    )
    value = [
        {rng.choice(texts) + str(i): [rng.choice(texts), i, [i] * rng.randrange(40), {"a": {}}]}
        for i in range(8000)
    ]
    text = json.dumps({"skipped": value, "kept": [{"id": 7}], "more": value}).encode()
    assert len(text) > 5 * json_stream.CHUNK_BYTES
    decoders = {"kept": msgspec.json.Decoder(list[dict[str, int]])}
    assert list(read_members(io.BytesIO(text), "file", decoders)) == [("kept", 0, [{"id": 7}])]
