"""`Section`: a tab of the page with its routes. And what the routes of all sections share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

MAX_FIELDS = 32
MAX_FIELD_BYTES = 64 * 1024


class ErrorRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why a request was refused."""

    error: str


@dataclass(frozen=True)
class Section:
    """A tab of the page, and its part of the API.

    Attributes:
        name: id of its panel in the page, and its key in ``/about``.
        routes: its paths.
        open_paths: those of them that need no token.
        body_limits: path -> bytes of a request; other paths take `guard.SMALL_BODY_BYTES`.
        about: what the page must know before the first request, as plain data.
        health: its state, for ``/healthz``; ``ok`` says whether it works.
        paths: its part of the OpenAPI document: path -> path item.
        structs: types that ``paths`` refers to as ``#/components/schemas/NAME``.
        lifespan: entered when the server starts, left when it ends.
    """

    name: str
    routes: Sequence[BaseRoute]
    open_paths: frozenset[str] = frozenset()
    body_limits: Mapping[str, int] = field(default_factory=dict)
    about: Callable[[], dict[str, Any]] = dict
    health: Callable[[], dict[str, Any]] = lambda: {"ok": True}
    paths: Mapping[str, Any] = field(default_factory=dict)
    structs: Sequence[type] = ()
    lifespan: Callable[[], AbstractAsyncContextManager[None]] | None = None


def refusal(status: int, message: str, *, retry_after: int | None = None) -> HTTPException:
    """Return what to raise so that a request is answered with an `ErrorRecord`.

    Args:
        status: of HTTP.
        message: one sentence: what is wrong, what was expected, what to do.
        retry_after: seconds after which the same request may succeed.
    """
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return HTTPException(status, message, headers)


def json_answer(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a struct or plain data as a response."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def error_answer(error: HTTPException) -> Response:
    """Return the response to what `refusal` returned, or the framework raised."""
    return json_answer(ErrorRecord(error=error.detail), error.status_code, error.headers)


@asynccontextmanager
async def read_form(request: Request, *, files: int = 1) -> AsyncIterator[FormData]:
    """Read a form with files for the time of a block; large files are on disk, not in memory.

    Args:
        request: with a body of multipart/form-data.
        files: that it may have at most.

    Raises:
        HTTPException: 415, it is another kind of body; 400, it is damaged or has too many parts.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise refusal(415, f"the request must be multipart/form-data, but is {kind or 'untyped'}")
    async with request.form(
        max_files=files, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
    ) as form:
        yield form
