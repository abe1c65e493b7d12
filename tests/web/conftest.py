"""A server that most tests ask, and the tiny model in files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.predict.conftest import model_file, onnx_file  # noqa: F401 (fixtures)
from tests.web.served import Server, served


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """With the usual limits and without tokens; its log has no traceback at the end."""
    with served() as running_server:
        yield running_server
    assert "Traceback" not in "".join(running_server.log)
