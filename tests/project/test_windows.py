"""Scorer, converter and predictor need nothing that only Unix has."""

from __future__ import annotations

import pytest

from tests.support import run_python

PROGRAM = """
import sys
for name in ("fcntl", "resource", "grp", "termios"):
    sys.modules[name] = None  # an import of it fails
import {module}
"""


@pytest.mark.parametrize(
    "module",
    [
        *("df2_landmarks.cli.score", "df2_landmarks.cli.submission", "df2_landmarks.cli.check"),
        "converters.deepfashion2_to_coco",
        pytest.param("df2_landmarks.predict", marks=pytest.mark.slow),
    ],
)
def test_it_is_imported_without_modules_of_unix(module: str) -> None:
    done = run_python("-c", PROGRAM.format(module=module))
    assert done.returncode == 0, done.stderr
