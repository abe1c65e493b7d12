"""A user's mistake is one line with exit code 1 or 2; a bug keeps its traceback."""

from __future__ import annotations

import errno
import io
import pickle
import sys

import pytest
from torch.utils.data import DataLoader

from df2_landmarks.common import UserError, run_command, say
from tests.support import run_python


def raise_error(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("exit_code", [1, 2])
def test_a_user_error_is_one_line_and_its_exit_code(
    capsys: pytest.CaptureFixture[str], exit_code: int
) -> None:
    error = UserError("a.json: must be a list, but got 3", exit_code=exit_code)
    assert run_command(lambda: raise_error(error), "tool") == exit_code
    assert capsys.readouterr().err == "tool: a.json: must be a list, but got 3\n"


@pytest.mark.parametrize(
    ("file", "line"),
    [("out/a.json", "tool: out/a.json: No space left on device\n"), (None, "tool: No space left")],
)
def test_a_full_disk_is_one_line_wherever_it_is_noticed(
    capsys: pytest.CaptureFixture[str], file: str | None, line: str
) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", file)
    assert run_command(lambda: raise_error(error), "tool") == 1
    assert capsys.readouterr().err.startswith(line)
    with pytest.raises(OSError, match="Input"):
        run_command(lambda: raise_error(OSError(errno.EIO, "Input/output error")), "tool")


def test_control_characters_do_not_reach_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """They come from names of files, and could clear the screen or hide what was said."""
    say("a\x1b[2Jb\tc\x9b\r")
    error = UserError("\x07name\nof two lines")
    assert run_command(lambda: raise_error(error), "tool") == 1
    out, err = capsys.readouterr()
    assert out == "a\\x1b[2Jb\tc\\x9b\\x0d\n"
    assert err == "tool: \\x07name\\nof two lines\n"


def test_advice_is_given_for_wrong_data_only(capsys: pytest.CaptureFixture[str]) -> None:
    for exit_code in (1, 2):
        error = UserError("wrong", exit_code=exit_code)
        run_command(lambda error=error: raise_error(error), "tool", advice="correct it")
    assert capsys.readouterr().err == "tool: wrong; correct it\ntool: wrong\n"


@pytest.mark.parametrize(
    "bug",
    [
        ValueError("not enough values to unpack (expected 2, got 1)"),
        KeyError("image_id"),
        FileNotFoundError(2, "No such file or directory", "a.json"),
        AssertionError("free < 0"),
    ],
)
def test_any_other_exception_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)) as caught:
        run_command(lambda: raise_error(bug), "tool")
    assert caught.value is bug


def test_an_interrupt_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command(
        lambda: raise_error(KeyboardInterrupt()), "tool", interrupted="resume with --resume"
    )
    assert code == 130
    assert capsys.readouterr().err == "tool: resume with --resume\n"


def test_a_command_without_an_exit_code_succeeds() -> None:
    assert run_command(lambda: None, "tool") == 0
    assert run_command(lambda: 3, "tool") == 3


class BrokenRecords:
    """A data set of one record that cannot be read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        raise UserError(f"{index:06d}.jpg: not a readable image", exit_code=2)


def test_an_error_of_a_data_loader_s_worker_is_its_own_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """torch puts the traceback of the worker in front of the message."""
    loader = DataLoader(BrokenRecords(), num_workers=1)
    assert run_command(lambda: next(iter(loader)), "tool") == 1
    assert capsys.readouterr().err == "tool: 000000.jpg: not a readable image\n"


def test_an_error_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(UserError("wrong", exit_code=2)))
    assert (str(error), error.exit_code) == ("wrong", 2)


def test_characters_that_the_terminal_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    say("größe 裙")
    assert raw.getvalue() == b"gr\\xf6\\xdfe \\u88d9\n"


def test_the_list_of_commands_and_an_unknown_command() -> None:
    listed = run_python("-m", "df2_landmarks.cli.main")
    assert listed.returncode == 0
    for command in ("check", "score", "submission", "demo", "convert-checkpoint"):
        assert f"\n  {command} " in listed.stdout
        described = run_python("-m", "df2_landmarks.cli.main", command, "--help")
        assert described.returncode == 0
        assert described.stdout.startswith(f"usage: df2 {command}")
    unknown = run_python("-m", "df2_landmarks.cli.main", "scroe")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("df2: there is no command 'scroe'")
    assert "Traceback" not in unknown.stderr
