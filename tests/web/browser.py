"""A headless Chromium that reaches 127.0.0.1 and nothing else, driven by selenium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import CHROMIUM

CHROMEDRIVER = shutil.which("chromedriver")
REASON = "there is no Chromium with its driver"


def is_there() -> bool:
    """Whether pages can be opened here."""
    return CHROMIUM is not None and CHROMEDRIVER is not None


@contextmanager
def browser(downloads: Path, *, width: int = 1280, dark: bool = False) -> Iterator[Any]:
    """Give a driver; files that pages offer go into a folder.

    Args:
        downloads: where saved files go.
        width: of the window in pixels.
        dark: ask for the dark colours.
    """
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--window-size={width},900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    try:
        # A window is never narrower than 500 pixels; a page can be.
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
        yield driver
    finally:
        driver.quit()
