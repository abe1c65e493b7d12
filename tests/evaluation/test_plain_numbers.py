"""Numbers found and parsed by their bytes are exactly those of a JSON parser."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from df2_landmarks.formats.plain_numbers import cut_plain, parse_plain
from df2_landmarks.formats.slot_text import ParsedSlots, RecordError, SlotTexts
from df2_landmarks.taxonomy import LAYOUT

NUM_NUMBERS = 3 * LAYOUT.num_slots

plain = st.one_of(
    st.integers(-999_999, 9_999_999).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,2})\.[0-9]{1,2}", fullmatch=True),
    st.from_regex(r"(0|[1-9])\.[0-9]{1,5}", fullmatch=True),
    st.sampled_from(
        ["-0", "-0.0", "0", "0.0", "-0.00", "9999999", "-999999", "0.00001", "1234.56"]
    ),
)
any_number = st.one_of(
    plain,
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**40), 10**40).map(str),
    st.sampled_from(["1e5", "-2E-3", "1.5e+2", "12345678", "-1234.56", "0.1234567", "1" * 300]),
)
gap = st.sampled_from(["", " ", "  ", "\n", "\t", "\r\n "])


def reference(texts: list[str]) -> np.ndarray:
    """(N, M) what Python's parser makes of the texts."""
    return np.array([[float(value) for value in json.loads(f"[{text}]")] for text in texts])


def assert_same(got: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(wanted))


@given(st.data(), st.integers(1, 4), st.integers(1, 3), st.sampled_from([",", ", "]))
def test_plain_numbers_are_parsed_as_json_does(data, num_texts, num_landmarks, separator):
    numbers = st.lists(plain, min_size=3 * num_landmarks, max_size=3 * num_landmarks)
    texts = [separator.join(data.draw(numbers)) for _ in range(num_texts)]
    wanted = reference(texts).reshape(num_texts, num_landmarks, 3).transpose(2, 0, 1)
    encoded = [text.encode() for text in texts]
    got = parse_plain(encoded, num_landmarks)
    assert got is not None
    assert_same(got, wanted)
    assert_same(parse_plain(encoded, num_landmarks, with_v=False), wanted[:2])


@given(st.data(), st.integers(1, 4))
def test_any_other_number_is_parsed_as_json_does_or_left_to_it(data, num_texts):
    texts = [
        ",".join(data.draw(gap) + data.draw(any_number) + data.draw(gap) for _ in range(6))
        for _ in range(num_texts)
    ]
    encoded = [text.encode() for text in texts]
    wanted = reference(texts).reshape(num_texts, 2, 3).transpose(2, 0, 1)
    for with_v in (True, False):
        got = parse_plain(encoded, 2, with_v=with_v)
        if got is not None:
            assert_same(got, wanted[: 2 + with_v])
    cut = cut_plain(encoded, 6, 1, 4)
    if cut is not None:
        assert_same(reference([some.decode() for some in cut]), reference(texts)[:, 1:4])


@pytest.mark.parametrize("texts", [["10, -20, 30", "-40,-50,60"], ["10, -20,-30"], ["10,-20, -30"]])
@pytest.mark.parametrize("with_v", [True, False])
def test_texts_with_and_without_spaces_lose_no_character(texts, with_v):
    got = parse_plain([text.encode() for text in texts], 1, with_v=with_v)
    if got is not None:
        wanted = reference(texts).reshape(len(texts), 1, 3).transpose(2, 0, 1)
        assert_same(got, wanted[: 2 + with_v])


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (3, 6), (0, 9), (6, 9), (4, 5)])
def test_cutting_counts_commas(start: int, stop: int) -> None:
    texts = [", ".join(str(10**k) for k in range(9)), ",".join("0" * 9), "1.5," * 8 + "-3"]
    wanted = [[number.strip() for number in text.split(",")[start:stop]] for text in texts]
    cut = cut_plain([text.encode() for text in texts], 9, start, stop)
    assert cut is not None
    assert [[n.strip() for n in some.decode().split(",")] for some in cut] == wanted


@pytest.mark.parametrize(
    "odd",
    # other numbers of numbers, even if they make up for each other, and what is no plain number
    [["1,2", "1,2,3,4"], ["", "1,2,3,4,5"], ['1,"2",3', "1,2,3"], ["1,null,3", "1,2,3"]]
    + [["1,[2],3", "1,2,3"], ["1,1e9,3", "1,2,3"], ["1,{},3", "1,2,3"], ["1,true,3", "1,2,3"]],
)
def test_odd_texts_are_left_to_the_parser(odd: list[str]) -> None:
    texts = [text.encode() for text in odd]
    assert parse_plain(texts, 1) is None
    assert parse_plain(texts, 1, with_v=False) is None
    assert cut_plain(texts, 3, 0, 1) is None


def parsed(texts: list[str], class_index: int, *, all_slots: bool, with_v: bool) -> list:
    """What comes out of SlotTexts, by record."""
    slots = SlotTexts(class_index, batch_size=4, with_v=with_v)
    found: list[ParsedSlots] = []
    for row, text in enumerate(texts):
        if slots.add(row, text.encode(), f"extra {row}", all_slots=all_slots):
            found.extend(slots.parse())
    found.extend(slots.parse())
    records = [
        (row, extra, part.own[i], None if part.full is None else part.full[i])
        for part in found
        for i, (row, extra) in enumerate(zip(part.rows, part.extras, strict=True))
    ]
    return sorted(records, key=lambda record: record[0])


@settings(max_examples=30, deadline=None)
@given(st.data(), st.sampled_from([0, 4, 12]), st.booleans(), st.booleans())
def test_records_hold_what_json_holds(data, class_index, all_slots, with_v):
    own = LAYOUT.slots(class_index)
    texts, values = [], []
    for _ in range(data.draw(st.integers(1, 20))):
        style = data.draw(st.sampled_from(["zeros", "filled", "any"]))
        some = data.draw(st.lists(any_number if style == "any" else plain, min_size=5, max_size=9))
        numbers = ["0" if style == "zeros" else some[i % len(some)] for i in range(NUM_NUMBERS)]
        for i in range(3 * own.start, 3 * own.stop):
            numbers[i] = some[i % 4]
        separator = data.draw(st.sampled_from([",", ", ", " ,", ",\n"]))
        texts.append("[" + separator.join(numbers) + "]")
        values.append(np.array(numbers, dtype=object))
    records = parsed(texts, class_index, all_slots=all_slots, with_v=with_v)
    assert [record[:2] for record in records] == [(i, f"extra {i}") for i in range(len(texts))]
    for text, (_, _, got_own, got_full) in zip(texts, records, strict=True):
        wanted = reference([text[1:-1]]).reshape(LAYOUT.num_slots, 3)[:, : 2 + with_v]
        assert_same(got_own, wanted[own])
        if got_full is not None:
            assert_same(got_full, wanted)
        elif all_slots:
            foreign = np.delete(wanted, np.arange(own.start, own.stop), axis=0)
            assert not foreign.any()


@pytest.mark.parametrize(
    ("place", "number", "message"),
    [
        (0, '"1"', 'keypoints[0]: must be a finite number, but got "1"'),
        (2, "null", "keypoints[2]: must be a finite number, but got null"),
        (1, "1e999", "keypoints[1]: must be a finite number, but got 1e999"),
        (NUM_NUMBERS - 1, "9" * 400, f"keypoints[{NUM_NUMBERS - 1}]: must be a finite number"),
        (7, "1,1", f"keypoints: needs 294 landmarks = 882 numbers, got {NUM_NUMBERS + 1}"),
    ],
)
@pytest.mark.parametrize("with_v", [True, False])
def test_a_wrong_record_among_good_ones_is_named(place, number, message, with_v):
    good = "[" + ", ".join(["1.5"] * NUM_NUMBERS) + "]"
    numbers = ["1.5"] * NUM_NUMBERS
    numbers[place] = number
    wrong = "[" + ", ".join(numbers) + "]"
    with pytest.raises(RecordError) as caught:
        parsed([good, good, wrong, good], 4, all_slots=True, with_v=with_v)
    assert caught.value.row == 2
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("before", [*range(1, 160, 7)])
@pytest.mark.parametrize("after", [0, 1, 100])
def test_a_number_too_large_for_a_float_is_not_cut_out_unseen(before: int, after: int) -> None:
    numbers = ["1"] * before + ["9" * 309] + ["1"] * after
    text = ",".join(numbers).encode()
    assert cut_plain([text], len(numbers), 0, 1) is None
    shorter = text.replace(b"9" * 309, b"9" * 100)
    assert cut_plain([shorter], len(numbers), 0, 1) == [b"1"]
