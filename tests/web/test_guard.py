"""Who gets an answer: names, origins and tokens; and the headers of every answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from df2_landmarks.common import UserError
from df2_landmarks.web import Limits, Tokens, new_token
from tests.web.served import Server, form, grey_photo, served

TOKEN, LINE = new_token("anna")
OTHER_TOKEN, OTHER_LINE = new_token("bert")


@pytest.fixture(scope="module")
def closed() -> Iterator[Server]:
    """A server with a name and tokens."""
    with served(tokens=f"# of the team\n{LINE}\n\n{OTHER_LINE}\n", names=["Df2.example.org"]) as s:
        yield s


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("127.0.0.1", 200), ("127.0.0.1:8000", 200), ("localhost:1", 200), ("[::1]:8000", 200)),
        *(("LOCALHOST", 200), ("192.168.1.5", 200)),
        *(("attacker.example", 403), ("attacker.example:8000", 403), ("127.0.0.1.nip.io", 403)),
        *(("localhost.attacker.example", 403), ("", 403), ("df2.example.org", 403), ("[x", 403)),
    ],
)
def test_a_request_must_name_this_server(server: Server, host: str, status: int) -> None:
    """Otherwise a page of another site reaches it by a name that points to 127.0.0.1."""
    for path in ("", "about", "healthz", "predict"):
        answer = server.ask(path, Host=host)
        assert answer.status == (405 if path == "predict" and status == 200 else status)


def test_a_name_that_was_given_is_taken(closed: Server) -> None:
    assert closed.ask("about", Host="df2.example.org").status == 200
    assert closed.ask("about", Host="attacker.example").status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:8000", "Host": "127.0.0.1:8000"}, 200),
        ({"Origin": "https://localhost", "Host": "localhost"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://127.0.0.1:8001", "Host": "127.0.0.1:8000"}, 403),
        ({"Origin": "http://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_the_page_of_another_site_cannot_post(server: Server, headers: dict, status: int) -> None:
    assert server.predict(grey_photo(), headers=headers).status == status


def test_photos_need_a_token_where_there_are_tokens(closed: Server) -> None:
    for headers in (
        *({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}),
        *({"Authorization": "Bearer"}, {"Authorization": f"Basic {TOKEN}"}),
        *({"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": "Bearer \xe9"}),
        {"Authorization": f"Bearer {LINE.split()[1]}"},  # what the file has is no token
    ):
        answer = closed.predict(grey_photo(), headers=headers)
        assert answer.status == 401, headers
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    for token in (TOKEN, OTHER_TOKEN):
        headers = {"Authorization": f"Bearer {token}"}
        assert closed.predict(grey_photo(), headers=headers).status == 200


def test_the_page_and_its_facts_need_none(closed: Server) -> None:
    for path in ("", "page.js", "page.css", "icon.svg", "about", "healthz", "openapi.json"):
        assert closed.ask(path).status == 200
    assert closed.ask("about").json["needs_token"] is True
    assert closed.ask("openapi.json").json["security"] == [{"token": []}]
    assert closed.ask("something").status == 401


def test_a_token_is_not_in_its_file() -> None:
    assert TOKEN not in LINE
    assert Tokens.from_text(LINE).holder(TOKEN) == "anna"
    assert Tokens.from_text(LINE).holder(OTHER_TOKEN) is None
    assert new_token("anna")[0] != TOKEN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no token"),
        ("anna secret", "tokens, line 1"),
        (f"{LINE}\n{TOKEN}", "tokens, line 2"),
        (f"two words {LINE}", "tokens, line 1"),
    ],
)
def test_a_damaged_file_of_tokens_is_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Tokens.from_text(text)


@pytest.mark.parametrize("name", ["", "two words", "a\x1b[2J", "#anna"])
def test_the_name_of_a_token_is_a_word(name: str) -> None:
    with pytest.raises(UserError, match="must be a word"):
        new_token(name)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_is_a_number_above_zero(value: float) -> None:
    with pytest.raises(UserError, match="--upload-mb must be more than 0"):
        Limits(upload_mb=value)


def test_paths_and_methods_that_do_not_exist_are_refused(server: Server) -> None:
    for path in ("something", "page.html", "..%2f..%2fetc%2fpasswd", "%00", "static/x"):
        answer = server.ask(path)
        assert (answer.status, answer.error) == (404, "Not Found")
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        assert server.ask("predict", method=method).status == 405
    assert server.ask("about", method="POST").status == 405


def test_every_answer_has_the_headers_that_keep_others_out(server: Server) -> None:
    kind, body = form([], [])
    answers = [
        *(server.ask(path) for path in ("", "page.js", "about", "something", "predict")),
        *(server.ask(Host="attacker.example"), server.ask("predict", body, Content_Type=kind)),
        server.predict(grey_photo()),
    ]
    assert {answer.status for answer in answers} == {200, 400, 403, 404, 405}
    for answer in answers:
        policy = dict(
            rule.strip().split(" ", 1)
            for rule in answer.headers["Content-Security-Policy"].split(";")
        )
        assert policy.pop("default-src") == "'none'"
        assert policy.pop("img-src") == "'self' blob:"
        assert set(policy.values()) == {"'self'", "'none'"}
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Server" not in answer.headers
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_healthz_says_how_long_the_queue_is(server: Server) -> None:
    answer = server.ask("healthz")
    assert answer.status == 200
    assert answer.json == {
        "ok": True,
        "sections": {
            "try": {"ok": True, "model": "0123456789abcdef", "in_queue": 0, "queue": 8},
        },
    }
