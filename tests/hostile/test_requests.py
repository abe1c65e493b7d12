"""Whatever the bytes of a request, `df2 web` answers or closes, and its log has no traceback."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

from tests.hostile.test_mutations import MUTATIONS, SEED, mutated
from tests.web.served import Server, form, grey_photo, served

THREADS = 8
NUM_BLOCKS = 10
HEAD = (
    "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    "Content-Type: {}\r\n{}\r\n\r\n"
)


def requests() -> list[bytes]:
    """The same request with a length, and in chunks."""
    photo = grey_photo(height=32, width=40)
    kind, body = form([("photo", "a.png", photo)], [("min_score", 0.3), ("answer", "json")])
    size = -(-len(body) // NUM_BLOCKS)
    blocks = (body[start : start + size] for start in range(0, len(body), size))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(block), block) for block in blocks)
    return [
        HEAD.format(kind, f"Content-Length: {len(body)}").encode() + body,
        HEAD.format(kind, "Transfer-Encoding: chunked").encode() + chunks + b"0\r\n\r\n",
    ]


def answered(server: Server, request: bytes) -> bytes:
    """Return the first line of the answer; empty if the connection was closed without one.

    Raises:
        TimeoutError: neither came.
    """
    with server.connect() as connection:
        try:
            connection.sendall(request)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:
            return b""
    return answer.partition(b"\r\n")[0]


def test_a_damaged_request_is_answered_or_ended() -> None:
    rng = random.Random(SEED)
    tried = [*requests(), *(mutated(rng.choice(requests()), rng) for _ in range(MUTATIONS))]
    limits = {"upload_mb": 1, "upload_seconds": 0.3}
    with served(limits=limits, header_seconds=0.3) as server, ThreadPoolExecutor(THREADS) as pool:
        lines = list(pool.map(lambda request: answered(server, request), tried))
        assert lines[:2] == [b"HTTP/1.1 200 OK"] * 2
        known = (b"HTTP/1.1 200 ", b"HTTP/1.1 4", b"HTTP/1.1 503 ")
        assert not [line for line in lines if line and not line.startswith(known)]
        assert server.predict(grey_photo()).status == 200
        assert server.ask("healthz").json["sections"]["try"]["in_queue"] == 0
    assert "Traceback" not in "".join(server.log)
