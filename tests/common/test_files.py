"""Files and folders appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from df2_landmarks.common import (
    UserError,
    atomic_path,
    atomic_write,
    check_output_file,
    locked_folder,
    remove_leftovers,
)
from df2_landmarks.common.files import _machine as machine
from tests.support import ROOT


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "scores.json"
    with atomic_write(path) as file:
        file.write(b"{}")
        assert not path.exists()
    assert path.read_bytes() == b"{}"
    assert os.listdir(path.parent) == ["scores.json"]


def test_after_an_error_the_old_file_stays_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["scores.json"]


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    with atomic_path(path) as temporary:
        temporary.mkdir()
        (temporary / "records").write_bytes(b"1")
        assert not path.exists()
    assert os.listdir(tmp_path) == ["cache"]
    assert (path / "records").read_bytes() == b"1"


def test_a_half_made_folder_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "cache") as temporary:
        temporary.mkdir()
        (temporary / "records").write_bytes(b"1")
        raise ZeroDivisionError
    assert not os.listdir(tmp_path)


def test_what_a_killed_process_left_is_removed_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    dead = tmp_path / f".scores.json.{machine()}-{2**22 + 1}-0.partial"
    running = tmp_path / f".scores.json.{machine()}-{os.getppid()}-0.partial"
    other = tmp_path / f".other.json.{machine()}-{2**22 + 1}-0.partial"
    for leftover in (dead, running, other):
        leftover.write_text("half")
    with atomic_write(path) as file:
        file.write(b"{}")
    assert set(os.listdir(tmp_path)) == {"scores.json", running.name, other.name}


def test_what_another_machine_writes_is_left_alone(tmp_path: Path) -> None:
    """Its process numbers mean nothing here."""
    elsewhere = tmp_path / f".scores.json.abcdef-{2**22 + 1}-0.partial"
    elsewhere.write_text("half")
    with atomic_write(tmp_path / "scores.json") as file:
        file.write(b"{}")
    assert elsewhere.exists()


def test_two_writers_of_one_name_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write(b"first")
        second.write(b"second, longer")
    assert path.read_bytes() in (b"first", b"second, longer")
    assert os.listdir(tmp_path) == ["scores.json"]


def test_a_link_stays_and_the_file_that_it_names_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "there" / "scores.json", tmp_path / "link.json"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink() and target.read_text() == "new"


def test_a_pipe_gets_the_content_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        received = pool.submit(pipe.read_bytes)
        with atomic_write(pipe) as file:
            file.write(b"content")
        assert received.result(timeout=20) == b"content"
    assert pipe.is_fifo()


def test_a_device_stays_a_device() -> None:
    with atomic_write("/dev/null") as file:
        file.write(b"content")
    assert Path("/dev/null").is_char_device()


LOCKING = """
import sys
from df2_landmarks.common import locked_folder
with locked_folder(sys.argv[1], "OUTPUT_DIR"):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_folder_lets_one_process_in_until_it_ends_however_that_is(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", LOCKING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert other.stdout and other.stdout.readline() == b"locked\n"
    message = rf"OUTPUT_DIR .*: process {other.pid} is writing into this folder"
    with pytest.raises(UserError, match=message), locked_folder(tmp_path, "OUTPUT_DIR"):
        pass
    other.kill()
    other.communicate()
    with locked_folder(tmp_path, "OUTPUT_DIR"):
        pass
    with pytest.raises(ZeroDivisionError), locked_folder(tmp_path, "OUTPUT_DIR"):
        raise ZeroDivisionError


def test_leftovers_of_a_folder_with_many_files_are_removed_at_once(tmp_path: Path) -> None:
    dead = [tmp_path / f".{name}.{machine()}-999999999-0.partial" for name in ("1.jpg", "2.jpg")]
    running = tmp_path / f".3.jpg.{machine()}-{os.getpid()}-7.partial"
    for leftover in (*dead, running):
        leftover.write_text("half")
    with atomic_write(tmp_path / "1.jpg", many=True) as file:
        file.write(b"whole")
    assert all(leftover.exists() for leftover in dead)
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([running, tmp_path / "1.jpg"])


def test_a_leftover_that_another_run_removes_first_is_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = tmp_path / f".scores.json.{machine()}-{2**22 + 1}-0.partial"
    leftover.write_text("half")

    def end_and_remove(process_id: int, number: int) -> None:
        leftover.unlink()
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", end_and_remove)
    with atomic_write(tmp_path / "scores.json") as file:
        file.write(b"{}")
    assert os.listdir(tmp_path) == ["scores.json"]


@pytest.mark.parametrize("place", ["file/scores.json", "/proc/missing/folder/scores.json"])
def test_a_place_that_cannot_be_written_is_a_user_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=f"{place}: cannot be written: ") as caught,
        atomic_write(tmp_path / place),
    ):
        pass
    assert caught.value.exit_code == 2


def test_a_file_that_cannot_be_made_in_a_new_folder_is_a_user_error(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="cache: cannot be written: "),
        atomic_path(tmp_path / "cache") as temporary,
    ):
        (temporary / "missing" / "records").write_bytes(b"1")


def test_an_unreadable_input_is_not_taken_for_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input"), atomic_write(tmp_path / "out") as file:
        file.write((tmp_path / "input").read_bytes())
    assert not os.listdir(tmp_path)


def test_an_output_is_checked_before_the_work(tmp_path: Path) -> None:
    check_output_file("--json", tmp_path / "scores.json")
    with pytest.raises(UserError, match=rf"^--json {tmp_path}: must be a file, but is a folder$"):
        check_output_file("--json", tmp_path)
    with pytest.raises(UserError, match="its folder does not exist"):
        check_output_file("--json", tmp_path / "missing" / "scores.json")
