"""`create_app`: one application of its sections, behind the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from df2_landmarks.common import DISK_FULL
from df2_landmarks.formats import code_version
from df2_landmarks.web.guard import Guard
from df2_landmarks.web.limits import Limits
from df2_landmarks.web.openapi import openapi_document
from df2_landmarks.web.section import Section, error_answer, json_answer, refusal
from df2_landmarks.web.tokens import Tokens

FILES = {
    "/": ("page.html", "text/html"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
"""Path -> file of the page, and its media type."""
OPEN_PATHS = frozenset((*FILES, "/about", "/healthz", "/openapi.json"))


def create_app(
    sections: Sequence[Section],
    *,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    names: Collection[str] = (),
    tokens: Tokens | None = None,
) -> Starlette:
    """Return the application: the page, its sections, ``/about``, ``/healthz``, ``/openapi.json``.

    Args:
        sections: the tabs of the page, in their order.
        limits: of time, and of requests at once.
        names: of the server in the network, beside localhost and addresses in digits.
        tokens: that are accepted; None: everyone who reaches the server may use it.

    Example:
        >>> from df2_landmarks.web import create_app
        >>> create_app([]).url_path_for("healthz")
        '/healthz'
    """
    return Starlette(
        routes=[
            *_page_routes(),
            *_common_routes(sections, needs_token=tokens is not None),
            *(route for section in sections for route in section.routes),
        ],
        middleware=[
            Middleware(
                Guard,
                limits=limits,
                names=names,
                tokens=tokens,
                open_paths=OPEN_PATHS.union(*(section.open_paths for section in sections)),
                body_limits={k: v for section in sections for k, v in section.body_limits.items()},
            )
        ],
        exception_handlers={
            HTTPException: _refused,
            ClientDisconnect: _gone,
            OSError: _disk_full,
            Exception: _failed,
        },
        lifespan=_lifespan(sections),
    )


def _page_routes() -> list[BaseRoute]:
    return [_file_route(path, *file) for path, file in FILES.items()]


def _file_route(path: str, name: str, media_type: str) -> BaseRoute:
    content = Path(__file__).with_name(name).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return Route(path, answer)


def _common_routes(sections: Sequence[Section], *, needs_token: bool) -> list[BaseRoute]:
    document = openapi_document(sections, needs_token=needs_token)

    async def about(_: Request) -> Response:
        parts = {section.name: section.about() for section in sections}
        return json_answer(
            {"version": code_version(), "needs_token": needs_token, "sections": parts}
        )

    async def healthz(_: Request) -> Response:
        parts = {section.name: section.health() for section in sections}
        is_well = all(part["ok"] for part in parts.values())
        return json_answer({"ok": is_well, "sections": parts}, 200 if is_well else 503)

    async def openapi(_: Request) -> Response:
        return json_answer(document)

    return [Route("/about", about), Route("/healthz", healthz), Route("/openapi.json", openapi)]


def _lifespan(
    sections: Sequence[Section],
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for section in sections:
                if section.lifespan is not None:
                    await stack.enter_async_context(section.lifespan())
            yield

    return lifespan


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_answer(error)


def _gone(_: Request, __: Exception) -> Response:
    """Answer a client that has closed the connection: nobody reads it."""
    return Response(status_code=400)


def _disk_full(_: Request, error: Exception) -> Response:
    """Answer where there is no room for an upload; any other error of the system is a bug."""
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return error_answer(refusal(507, "the disk of the server is full"))
    raise error


def _failed(_: Request, __: Exception) -> Response:
    """Answer after a bug. The server's log has the traceback."""
    return error_answer(refusal(500, "the server made an error; its log has the details"))
