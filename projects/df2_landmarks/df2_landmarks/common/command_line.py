"""What every command shares: errors as one line, exit codes, output, and argument types."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Callable

from df2_landmarks.common.errors import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + the number of the signal, as shells have it."""


def run_command(
    command: Callable[[], int | None],
    program: str,
    *,
    advice: str = "",
    interrupted: str = "interrupted",
) -> int:
    """Run a command and return its exit code.

    A `UserError` is printed to stderr as one line, and so is a full disk, wherever it is noticed.
    Any other exception is a bug: it is raised.

    Args:
        command: returns an exit code, or None for 0.
        program: name of the command, put before the message.
        advice: what to do about wrong data, appended to a message with exit code 1.
        interrupted: what to print after Ctrl-C.

    Returns:
        0, 1 (wrong data), 2 (the command cannot be carried out) or 130 (interrupted).
    """
    try:
        return command() or 0
    except UserError as error:
        message = _message(error)
        if advice and error.exit_code == 1:
            message += f"; {advice}"
        print(f"{program}: {_one_line(message)}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"{program}: {_one_line(f'{where}{error.strerror}')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: {interrupted}", file=sys.stderr)
        return INTERRUPTED


def _message(error: UserError) -> str:
    """The error's own line.

    A data loader's worker hands its error over with the traceback in front of the message
    (torch.utils.data.ExceptionWrapper); the type survives.
    """
    marker = f"{UserError.__name__}: "
    return str(error).rpartition(marker)[2].strip()


def _one_line(message: str) -> str:
    return printable(message).replace("\n", "\\n")


def say(text: str) -> None:
    """Print a line to stdout at once.

    Control characters (of the name of a file, say) and what stdout cannot encode are escaped. When
    the reader has closed the pipe (``... | head -1``), nothing more is printed and the command is
    carried out all the same.

    Raises:
        UserError: the output cannot be written, for example to a full disk.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(printable(text).encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        sys.stdout = None  # print() and the flush at exit then do nothing
    except OSError as error:
        sys.stdout = None
        raise UserError(f"the output cannot be written: {error.strerror}") from error


def printable(text: str) -> str:
    r"""Return a text whose control characters, but for tab and line break, are escaped.

    Example:
        >>> from df2_landmarks.common import printable
        >>> print(printable("a name with \x1b[2J"))
        a name with \x1b[2J
    """
    return text.translate(_ESCAPED)


_ESCAPED = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"
}


def positive(text: str) -> int:
    """Argument type: a whole number from 1."""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, but got {text!r}")
    return int(text)
