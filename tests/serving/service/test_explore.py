"""Similar items, histories and reasons over HTTP, and the page that shows them, in a browser."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from browsing import needs_chromium, open_browser
from running_service import Serve
from small_publication import provenance, publish_small

from recsys_dagster.models.base import TopN
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.swap import swap_in

BOLD = "<b>Bold</b> & [red]Brash[/red]"
SIMILAR = (np.array([[1, -1], [0, 2], [-1, -1], [-1, -1]], np.int32), np.array([[0.5, -np.inf], [0.5, 0.25]] * 2))
"""By index: 310 is like 100; 100 is like 310 and 205."""


def explain(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """The first item of a list is recommended for item 310."""
    reasons = np.full((*items.shape, 3), -1, np.int32)
    reasons[:, 0, 0] = 0
    return reasons


def predict(users: np.ndarray, items: np.ndarray) -> dict[str, np.ndarray]:
    """Every rating is to be 7, from 5 to 8.25."""
    columns = {"rating": 7, "rating_low": 5, "rating_high": 8.25}
    return {name: np.full(len(users), value, np.float32) for name, value in columns.items()}


def history_table() -> pa.Table:
    return pa.table(
        {
            "user_id": [7, 7, 11],
            "position": pa.array([1, 2, 1], pa.int32()),
            "item_id": [310, 999, 205],
            "rating": pa.array([9, None, 4], pa.float32()),
            "at": pa.array([1_700_000_000, None, None], pa.timestamp("s")),
        }
    )


def publish_everything(path: Path) -> None:
    publish_small(path, explain=explain, similar=SIMILAR, histories=[history_table()], predict=predict)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    publish_everything(tmp_path / "home" / "published" / "anime.duckdb")
    return tmp_path / "home"


def test_an_item_has_its_similar_items_with_their_scores(serve: Serve) -> None:
    items = serve().get("/v1/anime/items/100/similar").json()["items"]
    assert [(item["item_id"], item["title"], item["score"]) for item in items] == [
        (310, "Mushishi", 0.5),
        (205, "<b>Bold</b> & [red]Brash[/red]", 0.25),
    ]
    assert serve().get("/v1/anime/items/12345/similar").status_code == 404


def test_a_user_has_a_history_with_ratings_and_times(serve: Serve) -> None:
    client = serve()
    history = client.get("/v1/anime/users/7/history").json()["history"]
    assert [(item["item_id"], item["rating"], item["at"]) for item in history] == [
        (310, 9.0, "2023-11-14T22:13:20+00:00"),
        (999, None, None),
    ]
    assert client.get("/v1/anime/users/7/history", params={"n": 1}).json()["history"] == history[:1]
    assert client.get("/v1/anime/users/12345/history").status_code == 404


def test_a_recommendation_says_what_it_is_made_for(serve: Serve) -> None:
    listed = serve().get("/v1/anime/users/7/recommendations").json()["recommendations"]
    assert listed[0]["because"] == [{"item_id": 310, "title": "Mushishi"}]
    assert "because" not in listed[1]


def test_a_recommendation_has_the_predicted_rating_and_its_interval(serve: Serve) -> None:
    listed = serve().get("/v1/anime/users/7/recommendations").json()["recommendations"]
    assert {(one["rating"], one["rating_low"], one["rating_high"]) for one in listed} == {(7, 5, 8.25)}


def test_users_to_look_at_are_chosen_by_their_histories(serve: Serve) -> None:
    client = serve()
    first = {like: client.get("/v1/anime/users", params={"like": like, "n": 1}).json() for like in ("light", "heavy")}
    assert first["light"]["users"] == [{"user_id": 11, "interactions": 1}]
    assert first["heavy"]["users"] == [{"user_id": 7, "interactions": 2}]
    assert client.get("/v1/anime/users", params={"like": "odd"}).status_code == 422


@pytest.fixture
def page(serve: Serve) -> Iterator[Any]:
    """The explore page, opened, with what its console said in `problems`."""
    url = str(serve().base_url)
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 900})
        page.problems = []
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("request", lambda one: None if one.url.startswith((url, "data:")) else page.problems.append(one.url))
        page.goto(url)
        page.wait_for_selector("#published li")
        yield page


@needs_chromium
def test_the_page_shows_a_user_an_item_and_the_leaderboard_on_a_phone(page: Any) -> None:
    assert page.input_value("#user") == "7"
    assert page.locator("#history li").all_inner_texts()[0].startswith("Mushishi")
    assert "★ 7.0 (5.0 – 8.3)" in page.locator("#published li").all_inner_texts()[0]
    assert "because of Mushishi" in page.evaluate(
        "getComputedStyle(document.querySelector('.because'), '::before').content.slice(1, -1)"
        " + document.querySelector('.because').textContent"
    )
    page.fill("#user", "11")
    page.keyboard.press("Enter")
    page.wait_for_selector("#history li >> text=Brash")
    page.focus("#tab-user")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.fill("#item-query", "your name")
    page.click("#found button")
    page.wait_for_selector("#similar li >> text=Mushishi")
    page.click("#tab-board")
    assert page.locator("#board tr").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.problems == []


def publish_again(home: Path, minutes: int, version: str, **changes: Any) -> None:
    """Publish as a run does, with a time of so many minutes later; the file from before is kept."""
    layout = Layout(home)
    origin = provenance(version)
    later = replace(origin, created_at=origin.created_at + timedelta(minutes=minutes))
    publish_small(layout.built("anime"), provenance=later, **changes)
    swap_in(layout.built("anime"), layout.published("anime"), layout.previous("anime", 1), layout.previous("anime", 2))


def changed_lists() -> tuple[tuple[np.ndarray, TopN], ...]:
    """User 7 has items 205 and 310 in place of 100, 310 and 205; the list of user 11 is as before; 40 has item 999."""
    inf = np.inf
    top = TopN(
        np.array([[2, 0, -1], [2, 1, -1], [3, -1, -1]], np.int32),
        np.array([[3, 2, -inf], [3, 2, -inf], [1, -inf, -inf]], np.float32),
    )
    return ((np.array([1, 2, 0], np.int32), top),)


def test_the_last_two_publications_are_compared_user_by_user(serve: Serve, home: Path) -> None:
    client = serve()
    assert client.get("/v1/anime/changes").json()["before"] is None
    assert client.get("/v1/anime/users/7/changes").status_code == 404
    publish_again(home, 5, "second", lists=changed_lists())
    _wait_until(lambda: client.get("/v1/anime/changes").json()["before"] is not None)
    changes = client.get("/v1/anime/changes").json()
    assert (changes["before"]["version"], changes["now"]["version"]) == ("20260102T030405-abcdef", "second")
    assert changes["kept"] == 4 / 5
    assert changes["users"] == [
        {"user_id": 40, "kept": 0, "listed": 1},
        {"user_id": 7, "kept": 2, "listed": 2},
        {"user_id": 11, "kept": 2, "listed": 2},
    ]
    lists = client.get("/v1/anime/users/7/changes").json()
    assert [item["item_id"] for item in lists["before"]["recommendations"]] == [100, 310, 205]
    assert [item["item_id"] for item in lists["recommendations"]] == [205, 310]
    assert client.get("/v1/anime/users/12345/changes").status_code == 404


def _wait_until(is_done: Callable[[], bool]) -> None:
    for _ in range(100):
        if is_done():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within ten seconds")


@needs_chromium
def test_the_page_compares_two_publications_and_follows_a_third(page: Any, home: Path) -> None:
    page.click("#tab-changes")
    assert "nothing to compare" in page.inner_text("#changed")
    publish_again(home, 5, "second", lists=changed_lists())
    page.wait_for_selector("#list-now li")
    assert "80\xa0% were listed before" in page.inner_text("#changed")
    assert page.input_value("#changed-user") == "40"
    assert "1 of 3" in page.inner_text("#changed-place")
    page.click("#changed-next")
    page.wait_for_function("document.querySelector('#changed-user').value === '7'")
    page.wait_for_selector("#list-now li >> text=▲")
    assert page.locator("#list-before li .number").all_inner_texts() == ["gone", "", ""]
    texts = page.locator("#list-now li .number").all_inner_texts()
    assert texts == ["▲ 2", ""]
    page.fill("#changed-user", "11")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#changed-place').textContent === '3 of 3'")
    publish_again(home, 10, "third")
    page.wait_for_function("[...document.querySelectorAll('#list-before li')].length === 2")
    page.wait_for_function("document.querySelector('#changed').textContent.includes('67\\u00a0%')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.problems == []


@needs_chromium
def test_the_open_page_follows_a_publication_and_says_what_is_wrong(page: Any, home: Path) -> None:
    before = page.inner_text("#origin")
    page.fill("#user", "nobody")
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem:not([hidden])")
    assert "unknown user" in page.inner_text("#problem")
    page.fill("#user", "7")
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem", state="hidden")
    page.wait_for_timeout(1100)  # the time of a publication is in seconds
    publish_everything(home / "published" / "anime.duckdb")
    page.wait_for_function("text => document.querySelector('#origin').textContent !== text", arg=before)
    assert page.locator("#published li").count() == 3


@needs_chromium
@pytest.mark.usefixtures("compiled")
def test_a_slider_makes_the_lists_more_diverse_and_a_button_takes_it_back(page: Any) -> None:
    titles = page.locator("#published .title")
    by_score, diverse = ["Kimi no Na wa.", "Mushishi", BOLD], ["Kimi no Na wa.", BOLD, "Mushishi"]
    slider = page.get_by_role("slider", name="Diversity")
    assert titles.all_inner_texts() == by_score
    assert slider.get_attribute("aria-valuetext") == "as published"
    height = page.evaluate("document.documentElement.scrollHeight")
    slider.focus()
    for _ in range(5):  # the first two titles share their genres, the third has none
        page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelectorAll('#published .title')[1].textContent.includes('Brash')")
    assert titles.all_inner_texts() == diverse
    assert page.inner_text("#view-user .diversity output") == "0.5"
    page.get_by_role("button", name="as published").click()
    page.wait_for_function("document.querySelectorAll('#published .title')[1].textContent === 'Mushishi'")
    assert titles.all_inner_texts() == by_score
    assert page.get_by_role("button", name="as published").is_disabled()
    assert page.evaluate("document.documentElement.scrollHeight") == height
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.problems == []
