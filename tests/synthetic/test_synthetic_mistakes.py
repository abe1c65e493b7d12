"""What drawing a data set says to a mistake: a clear line before anything is written."""

import re
from collections import namedtuple

import pytest

from df2_landmarks.common import UserError
from df2_landmarks.synthetic import write_dataset

SPLITS = {"train": 6, "validation": 3, "test": 2}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn") / "data"
    write_dataset(root, {"train": 2}, seed=7, size_px=100)
    return root


def tree(root):
    """Relative path -> content of every file below a folder."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_resume_with_other_options_is_refused(dataset):
    before = tree(dataset)
    with pytest.raises(UserError, match="was drawn with another seed, size_px"):
        write_dataset(dataset, SPLITS, seed=8, size_px=200, resume=True)
    assert tree(dataset) == before


def test_resume_with_fewer_pictures_is_refused(dataset):
    with pytest.raises(UserError, match="at least the 2 train pictures"):
        write_dataset(dataset, {"train": 1}, seed=7, size_px=100, resume=True)


def test_a_damaged_record_is_named(dataset, tmp_path):
    (tmp_path / "synthetic.json").write_text("{")
    with pytest.raises(UserError, match=r"synthetic\.json: must be the record"):
        write_dataset(tmp_path, {"train": 1})


def test_an_existing_data_set_is_not_overwritten(dataset):
    with pytest.raises(UserError, match="--resume"):
        write_dataset(dataset, SPLITS, seed=7, size_px=100)


def test_a_folder_with_other_files_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="other files"):
        write_dataset(tmp_path, SPLITS)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_full_disk_is_noticed_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10, 9, 1))
    with pytest.raises(UserError, match="are free"):
        write_dataset(tmp_path / "data", SPLITS)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size_px": 20}, "size must be 64..2048 px, but got 20"),
        ({"balance": "odd"}, "balance must be uniform or real, but got 'odd'"),
        ({"seed": -1}, "seed must be 0 or more, but got -1"),
        ({"workers": 0}, "workers must be 1 or more, but got 0"),
        ({"splits": {"dev": 3}}, "splits must be among train, validation, test, but got dev"),
        (
            {"splits": {"train": 0}},
            "number of pictures must be 1 or more, but got 0",
        ),
        ({"splits": {"train": -3}}, "number of train pictures must be 0..999999, but got -3"),
    ],
)
def test_an_impossible_option_is_named_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(UserError, match=re.escape(message)) as mistake:
        write_dataset(tmp_path / "data", **{"splits": SPLITS, **options})
    assert mistake.value.exit_code == 2
    assert not (tmp_path / "data").exists()
