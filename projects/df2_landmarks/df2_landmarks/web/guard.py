"""What every request passes before its route: Host, Origin, token, size and time; and headers.

A server on loopback is reached by every web page that its user has open: by a form that another
site posts, and by a name that another site lets point to 127.0.0.1 (DNS rebinding). So a request
must name this server, and must not come from another site.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections.abc import Collection, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from df2_landmarks.web.limits import Limits
from df2_landmarks.web.section import error_answer, refusal
from df2_landmarks.web.tokens import Tokens, bearer_token

SMALL_BODY_BYTES = 64 * 1024
DRAINED_BYTES = 1_000_000_000
DRAIN_SECONDS = 5.0
BUSY_SECONDS = 2
SLOWEST_BYTES_PER_SECOND = 1_000_000
"""Of a sender: 200 MB may take 200 seconds."""
HOLDER = "df2.token_holder"
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def token_holder(request: HTTPConnection) -> str | None:
    """Return the name of whose token a request has; None where the server needs no tokens."""
    holder: str | None = request.scope.get(HOLDER)
    return holder


class Guard:
    """Middleware: lets through what this server is asked for, within its limits.

    An address in digits is always taken as the server's own: DNS rebinding needs a name.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        names: Collection[str] = (),
        tokens: Tokens | None = None,
        open_paths: Collection[str] = (),
        body_limits: Mapping[str, int] | None = None,
    ) -> None:
        """
        Args:
            app: what is guarded.
            limits: of time, and of requests at once.
            names: of this server in the network, beside localhost.
            tokens: that are accepted; None: everyone may ask.
            open_paths: that need no token.
            body_limits: path -> bytes of a request's body.
        """
        self._app = app
        self._limits = limits
        self._names = {"localhost", *(name.lower() for name in names)}
        self._tokens = tokens
        self._open_paths = frozenset(open_paths)
        self._body_limits = dict(body_limits or {})
        self._num_uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        max_bytes = self._body_limits.get(scope["path"], SMALL_BODY_BYTES)
        seconds = max(self._limits.upload_seconds, max_bytes / SLOWEST_BYTES_PER_SECOND)
        body = _Body(receive, send, headers, max_bytes, seconds)
        self._num_uploads += body.is_expected
        try:
            try:
                self._check(scope, headers, body)
            except HTTPException as error:
                await error_answer(error)(scope, body.receive, body.send)
            else:
                await self._app(scope, body.receive, body.send)
        finally:
            self._num_uploads -= body.is_expected

    def _check(self, scope: Scope, headers: Headers, body: _Body) -> None:
        self._check_host(headers)
        self._check_origin(scope, headers)
        self._check_token(scope, headers)
        body.check_length()
        if body.is_expected and self._num_uploads > self._limits.uploads:
            raise refusal(
                503, "busy: too many requests at once; try again", retry_after=BUSY_SECONDS
            )

    def _check_host(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        name = _host_name(hosts[0]) if len(hosts) == 1 else ""
        if not (name in self._names or _is_address(name)):
            raise refusal(
                403,
                "this server does not have that name; ask for it by its address, or start it with "
                "--name",
            )

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is not None:
            is_own = origin.lower() in {
                f"{s}://{headers['host'].lower()}" for s in ("http", "https")
            }
        else:
            safe = scope["method"] in ("GET", "HEAD")
            site = headers.get("sec-fetch-site", "none")
            is_own = safe or site in ("none", "same-origin")
        if not is_own:
            raise refusal(403, "a request from the page of another site is refused")

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        if self._tokens is None or scope["path"] in self._open_paths:
            return
        holder = self._tokens.holder(bearer_token(headers.get("authorization", "")))
        if holder is None:
            raise refusal(401, "this needs a token: the header Authorization: Bearer TOKEN")
        scope[HOLDER] = holder


class _Body:
    """The body of a request on its way in, with its limits, and the response on its way out."""

    def __init__(
        self, receive: Receive, send: Send, headers: Headers, limit: int, seconds: float
    ) -> None:
        self._receive, self._send = receive, send
        self._limit = limit
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._num_bytes = 0
        self._length = _whole_number(headers.get("content-length", "0"))
        self.is_expected = bool(self._length) or "transfer-encoding" in headers
        self._is_complete = not self.is_expected
        self._is_worth_draining = "expect" not in headers  # else the client waits to send it

    def check_length(self) -> None:
        """Refuse a body that says itself that it is too large.

        Raises:
            HTTPException: 413.
        """
        if self._length > self._limit:
            raise self._too_large()

    def _too_large(self) -> Exception:
        return refusal(413, f"the request is larger than {self._limit / 1e6:g} MB")

    async def receive(self) -> Message:
        """Receive a part of the body.

        Raises:
            HTTPException: 413, it is too large; 408, it takes too long.
        """
        if self._is_complete:
            return await self._receive()
        self._is_worth_draining = True
        try:
            async with asyncio.timeout(self._deadline - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            self._is_worth_draining = False
            raise refusal(
                408, f"the request did not arrive within {self._seconds:g} seconds"
            ) from None
        self._note(message)
        if self._num_bytes > self._limit:
            raise self._too_large()
        return message

    def _note(self, message: Message) -> None:
        self._num_bytes += len(message.get("body", b""))
        self._is_complete = message["type"] != "http.request" or not message.get("more_body")

    async def send(self, message: Message) -> None:
        """Send a part of the response, with the headers that all have.

        The rest of a body that nobody wants is received before the response ends: a client that is
        still sending would see a broken connection instead of the response.
        """
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if not self._is_complete:
                headers["Connection"] = "close"
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        if is_last and not self._is_complete and self._is_worth_draining:
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._is_complete and self._num_bytes < DRAINED_BYTES:
                    self._note(await self._receive())


def _host_name(host: str) -> str:
    """Return the name in a Host header, without the port and without brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _whole_number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
