"""A place that nothing can be written to is named before the work."""

import os

import pytest

from df2_landmarks.common import UserError, make_output_folder


def test_a_folder_is_made_and_may_be_there(tmp_path):
    for _ in range(2):
        make_output_folder(tmp_path / "a" / "b", "OUTPUT_DIR")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_in_the_way_is_named(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(
        UserError, match=rf"^OUTPUT_DIR {tmp_path / name}: the folder cannot be made"
    ):
        make_output_folder(tmp_path / name, "OUTPUT_DIR")


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(UserError, match=r"--output .* cannot be written to"):
        make_output_folder(tmp_path, "--output")
