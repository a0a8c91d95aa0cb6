"""The script of the page works in a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import OpenedPage, needs_chromium, open_browser
from report_of import report

from recsys_dagster.reports.page import write_report

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home") / "index.html"
    write_report(path, report())
    return path


def test_a_click_sorts_the_leaderboard_best_first_then_worst_first(browser: Any, path: Path) -> None:
    opened = OpenedPage(browser, path, 390)
    ndcg, rmse = 1, 3
    heads = opened.page.locator(".board thead th")

    heads.nth(rmse).get_by_role("button").click()
    assert opened.column(rmse) == ["0.8765", "1.0432", None]
    assert heads.nth(rmse).get_attribute("aria-sort") == "ascending"
    heads.nth(rmse).get_by_role("button").click()
    assert opened.column(rmse) == ["1.0432", "0.8765", None]
    heads.nth(ndcg).get_by_role("button").click()
    assert opened.column(ndcg) == ["0.1234", "0.12", None]
    assert heads.nth(rmse).get_attribute("aria-sort") is None
    heads.nth(0).get_by_role("button").click()
    assert opened.column(0) == ["constant", "embedding_mlp", "popularity"]
    assert opened.problems == []


def test_choosing_a_model_shows_its_lists_for_every_user(browser: Any, path: Path) -> None:
    page = OpenedPage(browser, path).page
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")

    assert page.locator("[data-list-of=popularity] li").first.is_visible()
    page.locator("select").last.select_option("embedding_mlp")
    shown = page.eval_on_selector_all(
        "[data-list-of]", "lists => lists.filter(l => !l.hidden).map(l => l.dataset.listOf)"
    )
    assert shown == ["embedding_mlp"] * 2
    assert page.eval_on_selector_all("select", "choices => choices.map(c => c.value)") == ["embedding_mlp"] * 2


def test_a_link_to_a_model_opens_it(browser: Any, path: Path) -> None:
    page = OpenedPage(browser, path).page
    assert not page.locator("#model-popularity .params").first.is_visible()
    page.locator(".board a", has_text="popularity").click()
    page.locator("#model-popularity .params").first.wait_for(state="visible", timeout=2000)
