"""The examples of docs/how-to/web.md run as they stand there, against a server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import pytest

from df2_landmarks.web import Limits
from tests.support import ROOT
from tests.web.served import Server, grey_photo

PAGE = (ROOT / "docs/how-to/web.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000/"


def block(language: str, server: Server) -> str:
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert ADDRESS in code
    return code.replace(ADDRESS, server.url)


@pytest.fixture(autouse=True)
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").write_bytes(grey_photo())


def test_the_python_example_prints_landmarks(server: Server, capsys) -> None:
    pytest.importorskip("requests")
    exec(compile(block("python", server), "web.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["skirt 0.75", "  waist_left 84.0 160.0"]
    assert len(printed) == 9


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_examples_with_curl_answer(server: Server) -> None:
    first, second = block("bash", server).splitlines()
    said = subprocess.run(["bash", "-c", f"{first} --silent"], capture_output=True, check=True)
    assert json.loads(said.stdout)["garments"][0]["category"] == "skirt"
    subprocess.run(["bash", "-c", f"{second} --silent"], check=True)
    assert cv2.imread("drawing.jpg").shape == (320, 336, 3)


def test_the_tables_name_every_field_status_and_limit(server: Server) -> None:
    post = server.ask("openapi.json").json["paths"]["/predict"]["post"]
    body = post["requestBody"]["content"]["multipart/form-data"]["schema"]
    fields = dict(re.findall(r"^\| `([a-z_]+)` \| *`?([\w.]*)`? *\|", PAGE, re.MULTILINE))
    defaults = {name: schema.get("default") for name, schema in body["properties"].items()}
    assert fields == {
        name: "" if default is None else str(default).lower() for name, default in defaults.items()
    }
    statuses = set(re.findall(r"^\| (\d{3}) \|", PAGE, re.MULTILINE))
    assert statuses == set(post["responses"]) - {"200"}
    limits = dict(re.findall(r"^\| `--([a-z-]+)` \| (\d+) \|", PAGE, re.MULTILINE))
    assert limits == {
        name.replace("_", "-"): f"{getattr(Limits(), name):g}"
        for name in ("upload_mb", "megapixels", "seconds", "memory_gb", "queue")
    }
