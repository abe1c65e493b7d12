"""``keypoints`` as text: what is written and read is exactly what a JSON parser makes of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from df2_landmarks.common import UserError
from df2_landmarks.formats.slots import read_slots, slot_text
from df2_landmarks.taxonomy import DEEPFASHION2

NUM_NUMBERS = 3 * DEEPFASHION2.num_slots
NUMBERS = st.one_of(
    st.integers(-999_999, 9_999_999).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**40), 10**40).map(str),
    st.sampled_from(["-0", "-0.0", "0", "0.0", "-0.00", "1e5", "-2E-3", "1.5e+2", "1" * 300]),
)


def read(class_index: int, text: str):
    return read_slots(DEEPFASHION2, class_index, text.encode(), name="file", record=2)


@settings(max_examples=60, deadline=None)
@given(
    class_index=st.integers(0, DEEPFASHION2.num_categories - 1),
    foreign=st.sampled_from(["0", "0.0", "0.00", "mixed", "filled"]),
    separator=st.sampled_from([",", ", ", " ,", ",\n"]),
    values=st.lists(NUMBERS, min_size=5, max_size=9),
)
def test_slots_hold_what_json_holds_in_any_notation(class_index, foreign, separator, values):
    slots = DEEPFASHION2.slots(class_index)
    numbers = [values[i % len(values)] for i in range(NUM_NUMBERS)]
    for i in (*range(3 * slots.start), *range(3 * slots.stop, NUM_NUMBERS)):
        if foreign != "filled":
            numbers[i] = ("0", "0.0")[i % 2] if foreign == "mixed" else foreign
    expected = [float(number) for number in numbers]
    got = read(class_index, f"[{separator.join(numbers)}]")
    assert got.class_index == class_index
    assert got.own == expected[3 * slots.start : 3 * slots.stop]
    if got.every is not None:
        assert got.every == expected
    else:
        assert not any(expected[: 3 * slots.start] + expected[3 * slots.stop :])


@pytest.mark.parametrize("class_index", range(DEEPFASHION2.num_categories))
def test_a_written_list_has_882_numbers_and_is_read_by_its_own_ones_alone(class_index):
    count = 3 * DEEPFASHION2.counts[class_index]
    text = slot_text(DEEPFASHION2, class_index, ",".join(map(str, range(1, count + 1))).encode())
    numbers = json.loads(text)
    slots = DEEPFASHION2.slots(class_index)
    expected = np.zeros(NUM_NUMBERS)
    expected[3 * slots.start : 3 * slots.stop] = np.arange(1, count + 1)
    assert numbers == expected.tolist()
    got = read(class_index, text.decode())
    assert got.own == list(range(1, count + 1))
    assert got.every is None


@pytest.mark.parametrize(
    ("place", "number", "message"),
    [
        (0, '"1"', r'keypoints\[0\]: must be a finite number, but got "1"'),
        (2, "null", r"keypoints\[2\]: must be a finite number, but got null"),
        (300, "[1]", r"keypoints\[300\]: must be a finite number, but got \[1\]"),
        (1, "1e999", r"keypoints\[1\]: must be a finite number, but got 1e999"),
        (881, "9" * 400, r"keypoints\[881\]: must be a finite number, but got 9{20}$"),
        (7, "1,1", "keypoints: needs 294 landmarks = 882 numbers, got 883"),
    ],
)
@pytest.mark.parametrize("class_index", [0, 4, 12])
@pytest.mark.parametrize("filler", ["1.5", "0"])
def test_a_wrong_list_is_named(class_index, filler, place, number, message):
    numbers = [filler] * NUM_NUMBERS
    numbers[place] = number
    with pytest.raises(UserError, match=f"^file, record 2: {message}"):
        read(class_index, f"[{', '.join(numbers)}]")


@pytest.mark.parametrize("count", [0, 1, 25, 74, 858, 881, 883])
@pytest.mark.parametrize("separator", [",", ", "])
def test_zeros_of_another_number_are_not_taken_for_the_known_ones(count, separator):
    for class_index in range(DEEPFASHION2.num_categories):
        with pytest.raises(UserError, match=f"needs 294 landmarks = 882 numbers, got {count} "):
            read(class_index, f"[{separator.join('0' * count)}]")


@pytest.mark.parametrize("class_index", range(DEEPFASHION2.num_categories))
def test_own_landmarks_alone_are_read_as_they_are(class_index):
    numbers = list(range(3 * DEEPFASHION2.counts[class_index]))
    got = read(class_index, json.dumps(numbers))
    assert got.own == numbers
    assert got.every is None


def test_the_own_landmarks_of_another_category_are_refused_with_both_numbers():
    text = json.dumps([0] * (3 * DEEPFASHION2.counts[1]))
    message = (
        r"needs 294 .* 882 numbers, got 99 \(75 would be the 25 of short_sleeved_shirt alone\)$"
    )
    with pytest.raises(UserError, match=message):
        read(0, text)


def test_a_number_too_many_here_does_not_make_up_for_one_missing_there():
    text = slot_text(DEEPFASHION2, 4, b"1," * (3 * DEEPFASHION2.counts[4]) + b"1")
    assert text.count(b",") == NUM_NUMBERS
    with pytest.raises(UserError, match=r"got 883 "):
        read(4, text.decode())


@pytest.mark.parametrize("text", ['"0,0"', "null", "7", "{}", "true"])
def test_what_is_not_a_list_is_named(text):
    with pytest.raises(UserError, match="keypoints: must be a list of numbers, but got "):
        read(3, text)
