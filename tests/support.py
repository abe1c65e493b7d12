"""What the tests share: children started as a shell starts them, a tiny model, a data set."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def default_signals() -> None:
    """Give a child process the default handling of Ctrl-C; for ``preexec_fn``.

    A suite that runs under nohup or in the background of a shell ignores SIGINT, and its children
    would inherit that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_python(
    *arguments: object, cwd: Path = ROOT, timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of the repository as a user does: `run_python("-m", "df2_landmarks.cli.main")`.

    Args:
        arguments: of Python.
        cwd: working folder.
        timeout: seconds until the child is killed and the test fails.
        environment: variables set on top of this process's.
    """
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        preexec_fn=default_signals,
    )
