"""What is installed works without the repository: the wheel contains the configurations."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from tests.support import ROOT

PROGRAM = """
import df2_landmarks
from df2_landmarks.engine import CONFIGS, setup_config
cfg = setup_config("df2_landmark_rcnn_R_18_FPN_demo.yaml", on_cpu=True)
print(cfg.MODEL.RESNETS.DEPTH, df2_landmarks.__file__, CONFIGS)
"""


def pip(*arguments):
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy: the build writes into its source."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(
        [*listed, "setup.py", "pyproject.toml", "LICENSE", "README.md", "projects"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    source.mkdir()
    archive = subprocess.run(
        ["tar", "-c", "--null", "-T", "-"], cwd=ROOT, input=names, capture_output=True, check=True
    ).stdout
    subprocess.run(["tar", "-x"], cwd=source, input=archive, check=True)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_contains_every_configuration(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    configs = sorted(name for name in names if name.endswith(".yaml"))
    expected = (ROOT / "projects/df2_landmarks/configs").glob("*.yaml")
    assert configs == sorted(f"df2_landmarks/configs/{path.name}" for path in expected)
    assert "df2_landmarks/py.typed" in names
    page = ("page.html", "page.css", "page.js", "icon.svg")
    assert {f"df2_landmarks/web/{name}" for name in page} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "converters/"))]


@pytest.mark.slow
def test_an_installed_copy_finds_its_configurations(wheel, tmp_path):
    target = tmp_path / "site"
    pip("install", "--no-deps", "--target", str(target), str(wheel))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={"PYTHONPATH": str(target), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    depth, module, configs = done.stdout.split()[-3:]
    assert depth == "18"
    assert module.startswith(str(target)) and configs.startswith(str(target))
