"""The page in a real browser that reaches nothing but this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from df2_landmarks.taxonomy import DEEPFASHION2
from tests.predict.fake_model import SKIRT
from tests.web.browser import REASON, browser, is_there
from tests.web.served import Server, grey_photo, served
from tests.web.test_guard import LINE, TOKEN

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not is_there(), reason=REASON)]
NAMES = DEEPFASHION2.categories[SKIRT].landmark_names
SHOWN = "[...document.querySelectorAll('#overlay circle')].length"


class Page:
    """The page of a server, opened."""

    def __init__(self, driver: Any, server: Server, folder: Path) -> None:
        self.driver, self.folder = driver, folder
        self.url = server.url
        driver.get(server.url)
        self.until("!document.getElementById('try').hidden")

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def until(self, script: str) -> Any:
        """Wait until an expression is true."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 30).until(lambda _: self.run(f"return {script}"))

    def text(self, selector: str) -> str:
        return self.run(f"return document.querySelector({selector!r}).innerText")

    def add(self, *photos: tuple[str, bytes]) -> None:
        """Choose photos, and wait for what is found."""
        paths = []
        for name, content in photos:
            path = self.folder / name
            path.write_bytes(content)
            paths.append(str(path))
        self.driver.find_element("id", "photos").send_keys("\n".join(paths))
        self.until(f"document.querySelectorAll('#queue li').length >= {len(photos)}")
        self.until(
            "[...document.querySelectorAll('#queue small')].every("
            "(note) => !/waiting|finding/.test(note.textContent))"
        )

    def saved(self, answer: str, name: str) -> bytes:
        """Download an answer."""
        self.driver.find_element("css selector", f"[data-answer={answer}]").click()
        path = self.folder / name
        self.until(f"!document.querySelector('[data-answer={answer}]').disabled")
        for _ in range(100):
            if path.exists() and path.stat().st_size:
                return path.read_bytes()
            self.until("true")
            self.driver.execute_async_script("setTimeout(arguments[0], 50)")
        raise AssertionError(sorted(self.folder.iterdir()))

    def addresses(self) -> set[str]:
        """Addresses that were asked for, all of them."""
        messages = [
            json.loads(row["message"])["message"] for row in self.driver.get_log("performance")
        ]
        return {
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        }

    def complaints(self) -> list[str]:
        """Errors and warnings of the console; violations of the policy are among them."""
        return [
            row["message"]
            for row in self.driver.get_log("browser")
            if row["level"] in ("SEVERE", "WARNING")
        ]


@pytest.fixture
def page(server: Server, tmp_path: Path) -> Iterator[Page]:
    """The page; at the end it has no complaints and has asked nobody but its server."""
    with browser(tmp_path) as driver:
        opened = Page(driver, server, tmp_path)
        yield opened
        assert opened.complaints() == []
        asked = opened.addresses()
        assert f"{server.url}about" in asked
        outside = {u for u in asked if not u.startswith((server.url, f"blob:{server.url}"))}
        assert outside == set()


def test_a_photo_shows_its_garments_with_named_landmarks(page: Page) -> None:
    page.add(("photo.png", grey_photo()))
    assert page.text("#queue") == "photo.png\n1 garment"
    assert page.text("summary").strip() == "skirt 0.75, 8 landmarks"
    rows = page.text("#garments table").splitlines()[2:]
    assert [row.split()[:2] for row in rows] == [
        [str(number), name] for number, name in enumerate(NAMES, 1)
    ]
    assert page.run(f"return {SHOWN}") == len(NAMES)
    assert "hem_width" in page.text("#garments table:nth-of-type(1)") + page.text("#garments")
    from selenium.webdriver import ActionChains

    circles = page.driver.find_elements("css selector", "#overlay circle")
    for place in (0, 5):
        ActionChains(page.driver).move_to_element(circles[place]).perform()
        page.until("!document.getElementById('tip').hidden")
        assert page.text("#tip") == f"{place + 1} {NAMES[place]}"
        assert page.text("tr.shown").split()[1] == NAMES[place]


def test_the_slider_hides_what_is_below_it(page: Page) -> None:
    page.add(("photo.png", grey_photo()))
    slide = "const s = document.getElementById('min-score'); s.value = '{}'; "
    event = "s.dispatchEvent(new Event('input'));"
    page.run(slide.format(0.8) + event)
    assert page.run(f"return {SHOWN}") == 0
    assert page.text("#queue small") == "none; the best score is 0.75"
    page.run(slide.format(0.75) + event)
    assert page.run(f"return {SHOWN}") == len(NAMES)


def test_the_mask_is_drawn_where_it_is_and_can_be_hidden(page: Page) -> None:
    page.add(("photo.png", grey_photo()))
    alpha = page.run(
        "const canvas = document.getElementById('masks');"
        "const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);"
        "return [canvas.width, canvas.height, [...data].filter((_, place) => place % 4 === 3)]"
    )
    width, height, values = alpha
    shown = np.reshape(values, (height, width)) > 0
    expected = np.zeros((320, 336), bool)
    expected[80:240, 84:252] = True
    assert (shown != expected).mean() < 0.01
    page.run("document.querySelector('[name=masks]').click()")
    assert page.run("return document.getElementById('masks').hidden") is True


def test_what_is_downloaded_is_what_the_api_answers(page: Page, server: Server) -> None:
    page.add(("photo.png", grey_photo()))
    assert json.loads(page.saved("json", "photo.json")) == server.predict(grey_photo()).json
    for kind, ending in (("csv", "csv"), ("measurements", "measurements.csv")):
        assert page.saved(kind, f"photo.{ending}") == server.predict(grey_photo(), answer=kind).body
    drawn = page.saved("drawing", "photo.drawing.jpg")
    assert drawn == server.predict(grey_photo(), answer="drawing").body
    assert cv2.imdecode(np.frombuffer(drawn, np.uint8), 1).shape == (320, 336, 3)


def test_dropped_photos_are_taken(page: Page) -> None:
    page.run(
        "const data = new DataTransfer();"
        f"const bytes = new Uint8Array({list(grey_photo())});"
        "data.items.add(new File([bytes], 'dropped.png', { type: 'image/png' }));"
        "document.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));"
    )
    page.until(SHOWN)
    assert page.text("#queue").startswith("dropped.png")


def test_markup_in_a_name_is_text(page: Page) -> None:
    name = "<img src=x onerror=alert(1)>{{7*7}}.png"
    page.add((name, grey_photo()))
    assert page.text("#queue span") == name
    assert name in page.text("#caption")
    assert page.run("return document.querySelectorAll('#queue img, #caption img').length") == 0


def test_what_is_no_picture_is_told_beside_the_others(server: Server, tmp_path: Path) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    with browser(tmp_path) as driver:
        page = Page(driver, server, tmp_path)
        page.add(("a.svg", svg), ("b.png", grey_photo()))
        assert "not a picture that can be read" in page.text("#queue small.error")
        assert page.run(f"return {SHOWN}") == len(NAMES)
        (complaint,) = page.complaints()  # the browser's own line about the status
        assert "415" in complaint


def test_a_photo_that_the_browser_cannot_show_is_drawn_without_it(page: Page) -> None:
    tiff = cv2.imencode(".tiff", np.full((320, 336, 3), 90, np.uint8))[1].tobytes()
    page.add(("photo.tiff", tiff))
    page.until("document.getElementById('caption').textContent.includes('cannot show')")
    width, height = page.run(
        "const box = document.getElementById('stage').getBoundingClientRect();"
        "return [box.width, box.height]"
    )
    assert width / height == pytest.approx(336 / 320, rel=0.02)
    assert page.run(f"return {SHOWN}") == len(NAMES)


def test_a_token_is_asked_for_and_sent(tmp_path: Path) -> None:
    with served(tokens=LINE) as server, browser(tmp_path) as driver:
        page = Page(driver, server, tmp_path)
        page.until("!document.getElementById('token-form').hidden")
        page.add(("a.png", grey_photo()))
        assert "needs a token" in page.text("#queue small.error")
        driver.find_element("id", "token").send_keys(TOKEN)
        page.add(("b.png", grey_photo()))
        assert page.run(f"return {SHOWN}") == len(NAMES)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_narrow_and_wide_light_and_dark(
    server: Server, tmp_path: Path, width: int, dark: bool
) -> None:
    with browser(tmp_path, width=width, dark=dark) as driver:
        page = Page(driver, server, tmp_path)
        page.add(("photo.png", grey_photo()))
        assert page.run("return document.documentElement.scrollWidth") <= width
        paper, ink = (
            page.run(f"return getComputedStyle(document.body).{name}")
            for name in ("backgroundColor", "color")
        )
        light, deep = (ink, paper) if dark else (paper, ink)
        brightness = [sum(map(int, c[4:-1].split(","))) for c in (light, deep)]
        assert brightness[0] > 600 > 200 > brightness[1]
