"""The user's own measurements: what a file may say, and the line that a wrong one gets."""

import doctest
import importlib
from itertools import pairwise

import pytest

from df2_landmarks.common import UserError
from df2_landmarks.taxonomy import DEEPFASHION2, Measurement, measurements_of, read_measurements

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefghi")
)
MERGES = "a: &a {length: [1, 2]}\n" + "".join(
    f"{new}: &{new}\n  <<: [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefghi")
)

MEASUREMENTS = {c.id: measurements_of(c) for c in DEEPFASHION2.categories}


def written(tmp_path, content):
    file = tmp_path / "own.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_own_measurements_by_name_and_by_number(tmp_path):
    file = written(
        tmp_path,
        """
# comments and both vocabularies of category names
vest dress:
  length: [neckline_left, hem_left]
  hip width: [10, side_right_3]
short_sleeved_shirt: {length: [1, 16]}
""",
    )
    tables = read_measurements(file)
    assert tables[12] == (
        Measurement("length", ("neckline_left", "hem_left")),
        Measurement("hip width", ("side_left_3", "side_right_3")),
    )
    assert tables[1] == (Measurement("length", ("neckline_back_centre", "hem_centre")),)
    kept = [c.id for c in DEEPFASHION2.categories if c.id not in (1, 12)]
    assert {i: tables[i] for i in kept} == {i: MEASUREMENTS[i] for i in kept}
    assert list(tables) == list(MEASUREMENTS)


def test_tags_of_yaml_construct_nothing(tmp_path):
    file = written(tmp_path, "vest: {length: !!python/object/apply:os.abort [1, 11]}")
    assert read_measurements(file)[5][0].path == ("neckline_back_centre", "hem_centre")


def test_categories_may_share_a_table_by_an_alias(tmp_path):
    tables = read_measurements(written(tmp_path, "vest: &v {length: [1, 11]}\nsling: *v\n"))
    assert tables[5] == tables[6]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "own.yaml: must be a mapping of categories"),
        ("- vest", "own.yaml: must be a mapping of categories"),
        ("vest:", "line 1: must be a mapping of measurements"),
        ("vest: {}", "line 1: must be a mapping of measurements"),
        ("vest: [1, 2]", "line 1: must be a mapping of measurements"),
        ("? [vest]\n: {length: [1, 2]}", "line 1: must be a mapping of categories, but a key is"),
        ("vset: {length: [1, 2]}", "line 1: unknown category 'vset'. Did you mean vest?"),
        ("zzz: {length: [1, 2]}", "unknown category 'zzz'; must be one of short sleeve top, "),
        ("vest: {length: 2}", "line 1: 'length' must be a list of landmarks"),
        ("vest: {length: [[1, 2], 3]}", "line 1: 'length' must be a list of landmarks"),
        ("vest: {length: []}", "line 1: length must have 2 landmarks or more, but has 0"),
        ("vest:\n  length: [4]", "line 2: length must have 2 landmarks or more, but has 1"),
        ("vest: {length: [1, 1]}", "length must not have neckline_back_centre twice in a row"),
        ("vest: {'': [1, 2]}", "line 1: the name must be printable text, but got ''"),
        (
            "vest:\n  a: [1, 2]\n  length: [hem_lft, 2]",
            "line 3: vest has no landmark 'hem_lft'. Did you mean hem_left?",
        ),
        ("vest: {length: [1, 16]}", "landmark numbers of vest must be 1..15, but got 16"),
        ("vest: {length: [0, 1]}", "must be 1..15, but got 0"),
        ("vest: {length: [1, -1]}", "must be 1..15, but got -1"),
        ("vest: {length: [1, 2.0]}", "vest has no landmark '2.0'"),
        ("vest: {length: [1, " + "9" * 5000 + "]}", "must be 1..15, but got 99"),
        (
            "vest: {length: [1, 2]}\nvest: {length: [1, 2]}",
            "own.yaml, line 2: 'vest' must not be there twice",
        ),
        ("vest:\n  a: [1, 2]\n  a: [1, 3]", "line 3: 'a' must not be there twice"),
        (
            "vest dress: {a: [1, 2]}\nvest_dress: {a: [1, 2]}",
            "line 2: vest dress must not be in the file twice",
        ),
        ("vest: {length: [1, 2]", "own.yaml: must be YAML, but: "),
        ("vest: {length: [1, 2]}\n---\nskirt: {length: [1, 2]}", "must be YAML, but: expected a"),
        ("vest: *nobody", "must be YAML, but: found undefined alias"),
        ("&r vest: &a {length: *a}", "line 1: 'length' must be a list of landmarks"),
        ("vest: {length: &a [*a, 2]}", "line 1: 'length' must be a list of landmarks"),
        (LAUGHS, "line 1: unknown category 'a'"),
        (MERGES, "line 1: unknown category 'a'"),
        (MERGES.replace("a: &a", "vest: &a", 1), "line 2: unknown category 'b'"),
        ("[" * 100_000, "own.yaml: must be YAML of two levels, but is nested deeply"),
        ("#" * 300_000, "own.yaml: must have at most 262144 bytes"),
        (b"\xef\xbb\xbfvest: {length: [1, 2]}", "must be UTF-8 without a byte order mark"),
        ("vest: {length: [1, 2]}".encode("utf-16"), "must be UTF-8 without a byte order mark"),
        (b"vest: {l\xe4nge: [1, 2]}", "own.yaml: must be UTF-8 text"),
        (b"vest: {\x00: [1, 2]}", "own.yaml: must be YAML, but: unacceptable character"),
    ],
)
def test_a_wrong_file_is_refused_with_one_line(tmp_path, content, message):
    with pytest.raises(UserError) as caught:
        read_measurements(written(tmp_path, content))
    line = str(caught.value)
    assert message in line and line.startswith("own.yaml")
    assert "\n" not in line and len(line) < 1000


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        read_measurements(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="must be a file, but is a folder"):
        read_measurements(tmp_path)


def test_the_example_of_the_docstring_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tested = doctest.testmod(importlib.import_module("df2_landmarks.taxonomy.measurement_file"))
    assert tested.attempted > 2 and tested.failed == 0
