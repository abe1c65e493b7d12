"""`serve`: the process that listens."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from df2_landmarks.common import UserError

CONNECTIONS = 200
"""Open connections; above, uvicorn itself answers 503."""
KEEP_ALIVE_SECONDS = 5
SHUTDOWN_SECONDS = 10


def serve(app: Starlette, host: str, port: int, started: Callable[[str], None]) -> None:
    """Listen until the process gets SIGINT or SIGTERM.

    Args:
        app: what `create_app` returned.
        host: address to listen on.
        port: 0: a free one.
        started: called with the address of the page, once connections are accepted.

    Raises:
        UserError: the port is in use, or the address is not of this machine.
    """
    with _listening(host, port) as listener:
        started(_address(*listener.getsockname()[:2]))
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[listener])


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listening(host: str, port: int) -> socket.socket:
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


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
