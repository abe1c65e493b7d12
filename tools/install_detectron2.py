#!/usr/bin/env python3
"""Install Detectron2 into the environment of the Python that runs this script.

    python tools/install_detectron2.py                 # keep an importable one; else git or index
    python tools/install_detectron2.py --source git    # its own repository, pinned commit
    python tools/install_detectron2.py --source index  # v0.5 from the package index, pure Python

The package index has no release of Detectron2 itself, but a source archive whose Python files are
those of the tag v0.5. It holds no C++ sources, so it is installed as pure Python: `detectron2._C`
becomes a stub, and three names that newer numpy and Pillow have dropped are brought up to date.
Keypoint and Mask R-CNN need no more: RoIAlign and NMS come from torchvision.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

GIT_URL = "https://github.com/facebookresearch/detectron2"
GIT_COMMIT = "02b5c4e295e990042a714712c21dc79b731e8833"
INDEX_PROJECT = "detectron2-cdo"
INDEX_ARCHIVE = "detectron2_cdo-0.5.tar.gz"
INDEX_SHA256 = "53c9e79e9cc943e80419c588ea44b5479507a8628ed14a4e06bd093e29311b18"
INDEX_VERSION = "0.5+pure.python"
REACH_TIMEOUT_S = 10

REPLACEMENTS = (
    (re.compile(r"\bnp\.(bool|int|float|str)\b"), r"\1"),  # removed from numpy 1.24
    (re.compile(r"\bImage\.LINEAR\b"), "Image.BILINEAR"),  # removed from Pillow 10
)

STUB = '''"""Stands in for the compiled extension, which a pure-Python install does not have."""


def get_compiler_version() -> str:
    return "none (pure-Python install)"


def get_cuda_version() -> str:
    return "none (pure-Python install)"


def has_cuda() -> bool:
    return False


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(
        f"detectron2._C.{name} needs Detectron2's compiled extension, but this is a pure-Python "
        "install. Run: python tools/install_detectron2.py --source git (needs a C++ compiler)"
    )
'''

PYPROJECT = f"""[build-system]
requires = ["setuptools>=70.1"]
build-backend = "setuptools.build_meta"
[project]
name = "detectron2"
version = "{INDEX_VERSION}"
[tool.setuptools.packages.find]
include = ["detectron2*"]
"""


class InstallError(Exception):
    """A source cannot be installed; the message says what was tried and what to do."""


def installed_source() -> str | None:
    """Name of the source of an importable Detectron2 ("git", "index", "other"), else None."""
    probe = subprocess.run(
        [sys.executable, "-c", "import detectron2; print(detectron2.__file__)"],
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode != 0:
        return None
    try:
        distribution = importlib.metadata.distribution("detectron2")
    except importlib.metadata.PackageNotFoundError:
        # Between the installed packages, that is what an interrupted installation leaves.
        cut_off = Path(sysconfig.get_path("purelib")) in Path(probe.stdout.splitlines()[-1]).parents
        return None if cut_off else "other"
    if distribution.version == INDEX_VERSION:
        return "index"
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    return "git" if origin.get("vcs_info", {}).get("commit_id") == GIT_COMMIT else "other"


def git_obstacle() -> str | None:
    """Why Detectron2's own repository cannot be built here, or None."""
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        return "no C++ compiler (c++, g++ or clang++) on the PATH"
    if not shutil.which("git"):
        return "no git on the PATH"
    try:
        subprocess.run(
            ["git", "ls-remote", GIT_URL, "HEAD"],
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            timeout=REACH_TIMEOUT_S,
            check=True,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return f"{GIT_URL} cannot be reached within {REACH_TIMEOUT_S} s"
    return None


def install_from_git() -> None:
    """Build the pinned commit with this environment's torch.

    Raises:
        InstallError: the repository cannot be reached or built.
    """
    obstacle = git_obstacle()
    if obstacle:
        raise InstallError(f"cannot use --source git: {obstacle}")
    pip_install(f"detectron2 @ git+{GIT_URL}@{GIT_COMMIT}")


def install_from_index() -> None:
    """Fetch, check, adapt and install the index's source archive as pure Python.

    Raises:
        InstallError: the archive cannot be fetched, is not the expected one, or does not install.
    """
    data = fetch_archive()
    digest = hashlib.sha256(data).hexdigest()
    if digest != INDEX_SHA256:
        raise InstallError(
            f"{INDEX_ARCHIVE}: expected sha256 {INDEX_SHA256}, but got {digest}. "
            "Nothing was installed; use --source git"
        )
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, INDEX_ARCHIVE)
        archive.write_bytes(data)
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(folder)
        source = Path(folder, INDEX_ARCHIVE.removesuffix(".tar.gz"))
        make_pure_python(source)
        pip_install(str(source))


def make_pure_python(source: Path) -> None:
    """Adapt an unpacked v0.5 tree in place: stub, dropped names, a build file without C++."""
    for path in (source / "detectron2").rglob("*.py"):
        text = original = path.read_text(encoding="utf-8")
        for pattern, replacement in REPLACEMENTS:
            text = pattern.sub(replacement, text)
        if text != original:
            path.write_text(text, encoding="utf-8")
    (source / "detectron2" / "_C.py").write_text(STUB, encoding="utf-8")
    for name in ("setup.py", "setup.cfg"):
        (source / name).unlink(missing_ok=True)
    (source / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")


def fetch_archive() -> bytes:
    """Download the archive from the package index that pip is configured for.

    `pip download` is of no use here: it runs the archive's setup.py before anything can be
    checked, and newer versions refuse its metadata.

    Raises:
        InstallError: the index cannot be reached or does not list the archive.
    """
    page = f"{index_url().rstrip('/')}/{INDEX_PROJECT}/"
    try:
        html = download(page).decode("utf-8", "replace")
        links = (urllib.parse.urljoin(page, link) for link in re.findall(r'href="([^"]+)"', html))
        for link in links:
            if urllib.parse.urlsplit(link).path.endswith(f"/{INDEX_ARCHIVE}"):
                return download(urllib.parse.urldefrag(link).url)
    except (urllib.error.URLError, OSError) as error:
        raise InstallError(
            f"cannot reach the package index at {page} ({error}). Check the network, or pip's "
            "index-url and proxy settings"
        ) from error
    raise InstallError(f"{page} does not list {INDEX_ARCHIVE}; use --source git")


def index_url() -> str:
    """The index that pip uses, with its configuration files and environment applied."""
    text = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--help"],
        env={**os.environ, "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    match = re.search(r"--index-url.*?default\s+(\S+?)\)", text)
    if not match:
        raise InstallError("cannot tell from `pip download --help` which package index pip uses")
    return match.group(1)


def download(url: str) -> bytes:
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
    with urllib.request.urlopen(url, timeout=60, context=context) as response:
        return response.read()


def pip_install(requirement: str) -> None:
    """Install one requirement without its dependencies (constraints.txt pins those)."""
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*command, "--force-reinstall", "-q", requirement], check=False)
    if done.returncode != 0:
        raise InstallError(f"pip could not install {requirement}; its messages stand above")


def install(source: str) -> str:
    """Install and return the name of the source taken.

    Raises:
        InstallError: nothing could be installed.
    """
    present = installed_source()
    if present is not None and source in ("auto", present):
        print(f"Detectron2: keeping the installed one (source: {present})")
        return present
    if source == "auto":
        obstacle = git_obstacle()
        if obstacle is None:
            try:
                print(f"Detectron2: building {GIT_URL} at {GIT_COMMIT[:8]}, a few minutes ...")
                install_from_git()
                return report("git")
            except InstallError as error:
                obstacle = str(error)
        print(f"Detectron2: not from git ({obstacle}); taking v0.5 from the package index")
        source = "index"
    if source == "git":
        install_from_git()
    else:
        install_from_index()
    return report(source)


def report(source: str) -> str:
    print(f"Detectron2: installed from {source}")
    return source


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", choices=("auto", "git", "index"), default="auto")
    args = parser.parse_args(argv)
    try:
        install(args.source)
    except InstallError as error:
        print(f"install_detectron2: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
