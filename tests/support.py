"""What the tests share: children started as a shell starts them, a tiny model, a data set."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detectron2.config import CfgNode

    from df2_landmarks.taxonomy import Category

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "projects/df2_landmarks/configs/df2_landmark_rcnn_R_18_FPN_demo.yaml"
TINY = (
    *("MODEL.FPN.OUT_CHANNELS", "16", "MODEL.ROI_BOX_HEAD.FC_DIM", "16"),
    *("MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "[16]", "MODEL.ROI_MASK_HEAD.CONV_DIM", "8"),
    *("INPUT.MIN_SIZE_TRAIN", "(96,)", "INPUT.MIN_SIZE_TEST", "96"),
    *("DATALOADER.NUM_WORKERS", "0", "SOLVER.IMS_PER_BATCH", "2", "TEST.NUM_PICTURES", "0"),
)
"""Options that make the demo's model and images tiny."""


def category_named(name: str) -> Category:
    """Return a garment that a module of tests is about; without it the module is skipped."""
    import pytest

    from df2_landmarks.taxonomy import DEEPFASHION2

    found = [category for category in DEEPFASHION2.categories if category.name == name]
    return (
        found[0]
        if found
        else pytest.skip(f"the default taxonomy has no {name}", allow_module_level=True)
    )


def tiny_config(*opts: object, on_cpu: bool = True) -> CfgNode:
    """Return the demo's configuration with a tiny model.

    Args:
        opts: alternating keys and values, set last.
        on_cpu: use the CPU.
    """
    from df2_landmarks.engine import setup_config

    return setup_config(DEMO, [*TINY, *map(str, opts)], on_cpu=on_cpu)


@contextmanager
def registered(
    datasets: Path, split: str, *, name: str = "", json_file: Path | None = None
) -> Iterator[str]:
    """Register a split of the drawn data set of `tiny_datasets` inside; give its name.

    Args:
        datasets: the folder of the fixture.
        split: "train", "validation" or "test".
        name: of the data set, by default "drawn_<split>".
        json_file: other annotations of the split's images.
    """
    from detectron2.data import DatasetCatalog, MetadataCatalog

    from df2_landmarks.data import register_landmark_dataset

    data = datasets / "deepfashion2_synthetic"
    name = name or f"drawn_{split}"
    json_file = json_file or data / "annotations" / f"{split}.json"
    register_landmark_dataset(name, json_file, data / split / "image")
    try:
        yield name
    finally:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def default_signals() -> None:
    """Give a child process the default handling of Ctrl-C; for ``preexec_fn``.

    A suite that runs under nohup or in the background of a shell ignores SIGINT, and its children
    would inherit that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_python(
    *arguments: object, cwd: Path = ROOT, timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of the repository as a user does: `run_python("-m", "df2_landmarks.cli.main")`.

    Args:
        arguments: of Python.
        cwd: working folder.
        timeout: seconds until the child is killed and the test fails.
        environment: variables set on top of this process's.
    """
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        preexec_fn=default_signals,
    )


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def probed(page: Path, script: str, *, dark: bool = False) -> str:
    """Open a page in Chromium with a script at its end; return what the script puts out.

    Args:
        page: HTML; a copy with the script is written beside it.
        script: calls ``say(text)``.
        dark: ask for the dark colours.
    """
    say = 'const say = (text) => document.body.setAttribute("data-probe", text);'
    text = page.read_text(encoding="utf-8")
    copy = page.with_name("probe.html")
    copy.write_text(
        text.replace("</body>", f"<script>{{{say}{script}}}</script></body>"), encoding="utf-8"
    )
    done = subprocess.run(
        [
            *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--enable-logging=stderr", f"--blink-settings=preferredColorScheme={int(not dark)}"),
            f"--user-data-dir={page.parent / 'profile'}",
            copy.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert found, done.stdout[-2000:]
    return found[1]
