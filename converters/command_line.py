"""What the commands of this folder share: exit codes, output, progress, argument types."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator

from converters.raw.problems import DataError, UsageError


def run_command(command: Callable[[], int], advice: str = "") -> int:
    """Run a command; turn its errors into one line on stderr and an exit code.

    Args:
        command: returns the exit code of a run without errors.
        advice: what to do about data that is wrong, appended to the line.

    Returns:
        The exit code: 1 for wrong data, 2 for a command that cannot be carried out.
    """
    try:
        return command()
    except DataError as error:
        return _fail(f"{error}; {advice}" if advice else str(error), 1)
    except UsageError as error:
        return _fail(str(error), 2)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 2)
    except KeyboardInterrupt:
        return _fail("interrupted; files that were complete stay, nothing else was written", 130)


def _fail(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


def show(text: str) -> None:
    """Print to stdout; nothing more once its reader has had enough (``... | head -1``).

    Characters that stdout has no bytes for are escaped.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        sys.stdout = None  # nothing more to print, nor to flush at exit


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Gives ``show(done, total)``: a bar with rate and time left, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from tqdm import tqdm  # here because it takes 0.03 s to import

    tqdm.monitor_interval = 0  # no thread of its own: worker processes are forked
    with tqdm(desc=name, unit=" images", dynamic_ncols=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def positive(text: str) -> int:
    """Argument type: a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, but got {text!r}")
    return int(text)
