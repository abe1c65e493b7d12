"""`df2 web`: the models of files, tokens, and what it says where it cannot start."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from df2_landmarks import Predictor
from df2_landmarks.cli import web
from df2_landmarks.web import Limits, new_token
from tests.web.served import children, grey_photo, running

WEB = ("-m", "df2_landmarks.cli.web", "--port", "0")


def photo(tiny_datasets: Path) -> bytes:
    folder = tiny_datasets / "deepfashion2_synthetic" / "train" / "image"
    return sorted(folder.iterdir())[0].read_bytes()


@pytest.mark.parametrize("kind", ["model_file", "onnx_file"])
def test_it_answers_as_the_predictor_of_the_file(kind: str, tiny_datasets: Path, request) -> None:
    file = request.getfixturevalue(kind)
    picture = photo(tiny_datasets)
    expected = Predictor.load(file, min_score=0.1)(picture).to_dict()
    assert expected["garments"]
    with running(*WEB, file) as server:
        answer = server.predict(picture, min_score=0.1, measure="false")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=30) == 130
    assert "df2 web: stopped" in server.log[-1]
    assert "Traceback" not in "".join(server.log)
    found = answer.json
    assert found.pop("model") == Predictor.load(file).fingerprint
    assert found.pop("file") == "photo.png"
    assert found == expected


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="there is no /proc")
@pytest.mark.parametrize("kind", ["model_file", "onnx_file"])
def test_a_model_has_the_memory_that_was_allowed(kind: str, tiny_datasets: Path, request) -> None:
    """50 megapixels take 150 MB when they are decoded; a small photo is found as before."""
    file = request.getfixturevalue(kind)
    large = cv2.imencode(".jpg", np.full((7000, 7000, 3), 90, np.uint8))[1].tobytes()
    with running(*WEB, file, "--memory-gb", "0.1") as server:
        answer = server.predict(large)
        assert (answer.status, "more memory than 0.1 GB" in answer.error) == (413, True)
        assert server.predict(photo(tiny_datasets)).status == 200


def is_running(process_id: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process_id}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="there is no /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_stays_however_it_ends(end: signal.Signals) -> None:
    with running("-m", "tests.web.served", "{}") as server:
        assert server.predict(grey_photo()).status == 200
        started = children(server)
        assert started
        server.process.send_signal(end)
        server.process.wait(timeout=30)
        for _ in range(100):
            if not any(map(is_running, started)):
                break
            time.sleep(0.1)
    assert not [process_id for process_id in started if is_running(process_id)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.onnx"], "none.onnx"),
        ([], "give the WEIGHTS of a model"),
        (["none.onnx", "--host", "0.0.0.0"], "--tokens FILE is needed"),
        (["none.onnx", "--queue", "0"], "--queue must be more than 0"),
        (["none.onnx", "--tokens", "none.txt"], "none.txt"),
        (["--new-token", "anna"], "--tokens FILE is needed"),
        (["--new-token", "two words", "--tokens", "tokens.txt"], "must be a word"),
    ],
)
def test_a_wrong_call_is_told_in_a_line(arguments, said, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert web.main([*arguments, "--port", "0"]) in (1, 2)
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_limits_of_the_command_are_those_of_the_server() -> None:
    args, limits = web.parse_arguments([]), Limits()
    names = ("upload_mb", "megapixels", "seconds", "memory_gb", "queue")
    assert [getattr(args, n) for n in names] == [getattr(limits, n) for n in names]


def test_a_port_in_use_is_told_before_the_model_is_loaded(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(web, "open_model", lambda *args: pytest.fail("the model was loaded"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert web.main(["model.onnx", "--port", port]) == 2
    assert f"port {port} is in use; give another one with --port" in capsys.readouterr().err
    tokens = tmp_path / "tokens"
    tokens.write_text(new_token("anna")[1])
    elsewhere = ["--host", "203.0.113.1", "--tokens", str(tokens)]
    assert web.main(["model.onnx", *elsewhere]) == 2
    assert "--host 203.0.113.1 --port 8000: cannot be listened on" in capsys.readouterr().err


def test_without_starlette_it_says_what_to_install(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(web, "find_spec", lambda name: None if name == "starlette" else name)
    assert web.main(["none.onnx"]) == 2
    assert "needs starlette: `pip install 'df2_landmarks[web]'`" in capsys.readouterr().err


def test_new_tokens_are_added_to_the_file(tmp_path, capsys) -> None:
    from df2_landmarks.web import Tokens

    file = tmp_path / "tokens.txt"
    tokens = {}
    for name in ("anna", "bert"):
        assert web.main(["--new-token", name, "--tokens", str(file)]) == 0
        tokens[name] = capsys.readouterr().out.splitlines()[0]
    known = Tokens.read(file)
    assert {name: known.holder(token) for name, token in tokens.items()} == {
        name: name for name in tokens
    }
    assert not [token for token in tokens.values() if token in file.read_text()]
