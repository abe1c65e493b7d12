"""A user's mistake ends with one line and exit code 1; a program's mistake with its traceback."""

import shutil

import pytest
import torch

from df2_landmarks.engine.errors import run_cli, user_message


def test_an_error_raised_by_the_package_is_one_line(capsys):
    from df2_landmarks.engine.setup import setup_config

    def main():
        setup_config("nowhere.yaml")

    assert run_cli(main, "tool") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tool: config file nowhere.yaml does not exist")
    assert captured.err.count("\n") == 1


def test_so_it_is_where_the_package_is_installed(tmp_path, root, run_python):
    package = root / "projects" / "df2_landmarks" / "df2_landmarks"
    shutil.copytree(package, tmp_path / "df2_landmarks")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from df2_landmarks.engine.errors import run_cli\n"
        "from df2_landmarks.taxonomy import CATEGORIES\n"
        "from df2_landmarks.taxonomy.layout import Layout\n"
        "sys.exit(run_cli(lambda: Layout(CATEGORIES[1:], {}), 'tool'))"
    )
    done = run_python("-c", program)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("tool: category ids must be 1..12")


def test_an_error_of_other_code_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_cli(lambda: 1 // 0, "tool")
    with pytest.raises(ValueError, match="invalid literal"):
        run_cli(lambda: int("x"), "tool")


def test_interrupt_is_one_line(capsys):
    def main():
        raise KeyboardInterrupt

    assert run_cli(main, "tool") == 130
    assert capsys.readouterr().err == "tool: interrupted\n"


class Broken(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        from df2_landmarks.data import load_landmark_json

        return load_landmark_json("nowhere.json", ".")


def test_an_error_in_a_loader_process_is_one_line():
    loader = torch.utils.data.DataLoader(Broken(), num_workers=1)
    with pytest.raises(FileNotFoundError) as caught:
        next(iter(loader))
    message = user_message(caught.value)
    assert message is not None
    assert message.startswith("nowhere.json does not exist")
    assert "\n" not in message


def test_success_is_zero():
    assert run_cli(lambda: None, "tool") == 0
    assert run_cli(lambda: 3, "tool") == 3
