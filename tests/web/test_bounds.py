"""Each bound of the server, with a request that breaks it; after it the server works as before."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.web.served import (
    DIES,
    EATS_MEMORY,
    FAILS,
    HANGS,
    IS_SLOW,
    Server,
    children,
    form,
    grey_photo,
    served,
)

LIMITS = {"upload_mb": 1, "seconds": 2, "queue": 2, "upload_seconds": 2, "memory_gb": 2}


@pytest.fixture(scope="module")
def narrow() -> Iterator[Server]:
    """A server with narrow limits."""
    with served(limits=LIMITS) as server:
        yield server


@pytest.fixture(autouse=True)
def still_works(narrow: Server) -> Iterator[None]:
    """After each test a photo is answered as before it."""
    yield
    for _ in range(60):
        answer = narrow.predict(grey_photo())
        if answer.status != 503:
            break
        time.sleep(0.5)
    assert answer.status == 200
    assert len(answer.json["garments"]) == 1


def huge_png(width: int, height: int) -> bytes:
    """A PNG whose header promises more than its data has."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + grey_photo()[33:]


def test_an_upload_that_is_too_large_is_refused(narrow: Server) -> None:
    answer = narrow.predict(b"x" * 200_000_000)
    assert answer.status == 413
    assert answer.error == "the request is larger than 1.1 MB"


def test_so_is_one_that_does_not_say_its_size(narrow: Server) -> None:
    kind, body = form([("photo", "a.png", b"x" * 20_000_000)], [])
    pieces = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    answer = narrow.ask("predict", pieces, Content_Type=kind, Transfer_Encoding="chunked")
    assert answer.status == 413


def test_other_paths_take_small_bodies_only(narrow: Server) -> None:
    assert narrow.ask("about", b"x" * 100_000, method="POST").status == 413


def test_a_photo_with_too_many_pixels_is_not_decoded(narrow: Server) -> None:
    answer = narrow.predict(huge_png(10_000, 5_001))
    assert answer.status == 413
    assert "10000 x 5001 are more pixels than the limit of 50,000,000" in answer.error
    answer = narrow.predict(huge_png(50_000, 50_000))  # beyond Pillow's own limit
    assert answer.status == 413
    assert "(2500000000 pixels) exceeds limit" in answer.error


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("photo.jpg", b"<!doctype html><script>alert(1)</script>"),
        ("photo.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
        ("photo.png", grey_photo()[:200]),
        ("photo.jpg", b""),
        ("photo.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    ],
)
def test_what_is_no_picture_is_refused_whatever_its_name(
    narrow: Server, name: str, content: bytes
) -> None:
    answer = narrow.predict(content, name=name)
    assert answer.status == 415
    assert answer.error.startswith("the photo: ")
    assert answer.headers["Content-Type"] == "application/json"


def test_a_body_that_is_no_form_is_refused(narrow: Server) -> None:
    assert narrow.ask("predict", grey_photo(), Content_Type="image/png").status == 415
    assert narrow.ask("predict", b"", method="POST").status == 415
    damaged = narrow.ask("predict", b"nonsense", Content_Type="multipart/form-data; boundary=x")
    assert damaged.status == 400
    unbounded = narrow.ask("predict", b"nonsense", Content_Type="multipart/form-data")
    assert unbounded.status == 400


def test_a_photo_that_takes_too_long_ends_the_process_only(narrow: Server) -> None:
    answer = narrow.predict(grey_photo(HANGS))
    assert answer.status == 504
    assert answer.error == "the photo took longer than 2 seconds; send a smaller one"


def test_a_photo_that_takes_too_much_memory_is_refused(narrow: Server) -> None:
    answer = narrow.predict(grey_photo(EATS_MEMORY))
    assert answer.status == 413
    assert answer.error == "the photo needs more memory than 2 GB; send a smaller one"


def test_a_process_that_dies_is_started_again(narrow: Server) -> None:
    answer = narrow.predict(grey_photo(DIES))
    assert answer.status == 502
    assert "started again" in answer.error
    assert answer.headers["Retry-After"] is None  # the photo may be the cause


def test_a_bug_is_told_without_its_details(narrow: Server) -> None:
    answer = narrow.predict(grey_photo(FAILS))
    assert answer.status == 500
    assert "a bug" not in answer.error
    assert narrow.prints("RuntimeError: a bug")


def test_who_finds_the_queue_full_is_told_when_to_come_back(narrow: Server) -> None:
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: narrow.predict(grey_photo(IS_SLOW)), range(5)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [200, 200, 503, 503, 503]
    for answer in answers:
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.error.startswith("busy: 2 photos are waiting")


def head_of_a_form(length: int) -> bytes:
    return (
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; "
        b"boundary=x\r\nContent-Length: %d\r\n\r\n--x\r\n" % length
    )


def test_an_upload_that_is_too_slow_is_ended(narrow: Server) -> None:
    with narrow.connect() as connection:
        connection.sendall(head_of_a_form(1000))
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 2 seconds" in answer


def test_headers_that_do_not_come_are_not_waited_for() -> None:
    with served(header_seconds=0.5) as server, server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0")
        assert connection.recv(1) == b""  # closed


def test_an_upload_that_is_cut_off_leaves_no_trace(narrow: Server) -> None:
    for _ in range(20):
        with narrow.connect() as connection:
            connection.sendall(head_of_a_form(1000))
    time.sleep(0.5)
    assert narrow.ask("healthz").json["sections"]["try"]["in_queue"] == 0
    assert not any("ClientDisconnect" in line for line in narrow.log)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="there is no /proc")
def test_who_leaves_the_queue_is_not_computed(narrow: Server) -> None:
    """The photo of the one who leaves would end the process."""
    kind, body = form([("photo", "a.png", grey_photo(HANGS))], [])
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
    before = children(narrow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(narrow.predict, grey_photo(IS_SLOW))
        time.sleep(0.3)
        with narrow.connect() as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            time.sleep(0.2)
        assert first.result().status == 200
    assert narrow.predict(grey_photo()).status == 200  # its turn was after the one who left
    assert children(narrow) == before


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with served(disk_is_full=True) as server:
        answer = server.predict(b"x" * 3_000_000)
        assert (answer.status, answer.error) == (507, "the disk of the server is full")
        assert server.predict(grey_photo()).status == 200


def test_there_is_a_bound_to_requests_at_once() -> None:
    with served(limits={"uploads": 1}) as server, server.connect() as slow:
        slow.sendall(head_of_a_form(1000))
        time.sleep(0.3)
        answer = server.predict(grey_photo())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert answer.error.startswith("busy: too many requests at once")
        slow.close()
        time.sleep(0.3)
        assert server.predict(grey_photo()).status == 200
