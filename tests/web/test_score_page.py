"""The tab *Score* in a browser: a zip in, the very score of `df2 score` on the leaderboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from df2_landmarks.cli import score as score_command
from tests.challenge.cases import write_zips
from tests.web import browser
from tests.web.test_score import MARKUP, served, submit, wait_for_scores

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not browser.is_there(), reason=browser.REASON),
]


def wait_for_text(driver: Any, place: str, text: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 60).until(lambda _: text in driver.find_element("id", place).text)


def cells(driver: Any, place: str) -> list[list[str]]:
    rows: list[list[str]] = driver.execute_script(
        "return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))",
        place,
    )
    return rows


def requested_hosts(driver: Any) -> set[str | None]:
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    return {urlsplit(url).hostname for url in urls if url.startswith("http")}


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (420, True)])
def test_a_zip_in_and_its_score_on_the_leaderboard(tmp_path: Path, width: int, dark: bool) -> None:
    zips = write_zips(tmp_path)
    with (
        served(tmp_path) as (url, board, token, _),
        browser.browser(tmp_path / "downloads", width=width, dark=dark) as driver,
    ):
        other = board.store.add_team(MARKUP)
        submit(url, other, zips.good, method_description=MARKUP)
        wait_for_scores(url, other)
        driver.get(url)
        wait_for_text(driver, "leaderboard", MARKUP)
        driver.find_element("id", "team-token").send_keys(token)
        driver.find_element("id", "method").send_keys("heatmaps")
        driver.find_element("id", "zip").send_keys(str(zips.better))
        driver.find_element("id", "submit").click()
        wait_for_text(driver, "submission-note", "Accepted as submission 2.")
        wait_for_text(driver, "leaderboard", "tailors")
        gt, out = tmp_path / "validation.json", tmp_path / "scores.json"
        command = ["--gt", gt, "--results", zips.better, "--json", out]
        assert score_command.main(list(map(str, command))) == 0
        scores = json.loads(out.read_text())
        aps = [f"{scores[name]['AP']:.4f}" for name in ("visible_and_occluded", "visible")]
        first, second = cells(driver, "leaderboard")
        assert first[:4] == ["1", "tailors", *aps]
        assert second[:2] == ["2", MARKUP] and second[-1] == MARKUP

        driver.find_element("css selector", "#history button").click()
        wait_for_text(driver, "details", "What limits AP")
        assert cells(driver, "details")[0][:2] == ["visible and occluded", aps[0]]
        driver.find_element("id", "zip").send_keys(str(zips.broken))
        driver.find_element("id", "submit").click()
        wait_for_text(driver, "history", "failed: submission.zip:val_keypoints.json, record 0: ")
        shown, given = driver.execute_script("return [document.body.scrollWidth, innerWidth]")
        assert shown <= given, "the page must not be wider than the window"
        assert driver.get_log("browser") == []
        assert requested_hosts(driver) == {"127.0.0.1"}


def test_a_wrong_token_is_said(tmp_path: Path) -> None:
    with (
        served(tmp_path, scores=False) as (url, *_),
        browser.browser(tmp_path) as driver,
    ):
        driver.get(url)
        wait_for_text(driver, "leaderboard", "Nothing is scored yet.")
        driver.find_element("id", "team-token").send_keys("wrong\t")
        wait_for_text(driver, "notice", "this needs a team's token")
