"""`listen` and `serve`: the process that answers."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from df2_landmarks.common import UserError

CONNECTIONS = 200
"""Open connections; above, uvicorn itself answers 503."""
HEADER_SECONDS = 20
"""Until the line and the headers of a request must have arrived, and a response must be read."""
KEEP_ALIVE_SECONDS = 5
SHUTDOWN_SECONDS = 10


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, for `serve`.

    Args:
        host: address to listen on.
        port: 0: a free one.

    Raises:
        UserError: the port is in use, or the address is not of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} is in use; give another one with --port (0: a free one)", exit_code=2
            ) from None
        raise UserError(
            f"--host {host} --port {port}: cannot be listened on: {error.strerror}", exit_code=2
        ) from None


def serve(app: Starlette, listener: socket.socket, started: Callable[[str], None]) -> None:
    """Answer requests until the process gets SIGINT or SIGTERM.

    Args:
        app: what `create_app` returned.
        listener: what `listen` returned; it is closed at the end.
        started: called with the address of the page, once connections are accepted.
    """
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    with listener:
        started(_address(*listener.getsockname()[:2]))
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_level="error",  # not a line for each damaged request
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[listener])


class _Protocol(H11Protocol):
    """HTTP of uvicorn, but for two things.

    uvicorn would wait for headers without end. And where a body turns out to be damaged while its
    request is being answered, it would answer twice, and fail.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def send_400_response(self, msg: str) -> None:
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # the application is not to answer any more
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        super().send_400_response(msg)

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(HEADER_SECONDS, self._end_unless_answering)

    def _end_unless_answering(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
