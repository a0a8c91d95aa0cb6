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


def test_two_models_chosen_freely_show_their_lists_side_by_side_for_every_user(browser: Any, path: Path) -> None:
    page = OpenedPage(browser, path).page
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")

    def shown() -> Any:
        return page.eval_on_selector_all(
            "[data-list-of]", "lists => lists.filter(l => !l.hidden).map(l => l.dataset.listOf)"
        )

    assert shown() == ["popularity", "embedding_mlp"] * 2
    lefts = page.eval_on_selector_all(
        "[data-list-of]", "lists => lists.slice(0, 2).map(l => l.getBoundingClientRect().left)"
    )
    assert lefts[0] < lefts[1]
    page.locator("select[data-side=first]").last.select_option("embedding_mlp")
    assert shown() == ["embedding_mlp"] * 2
    page.locator("select[data-side=second]").last.select_option("popularity")
    assert shown() == ["popularity", "embedding_mlp"] * 2
    values = page.eval_on_selector_all("select", "choices => choices.map(c => c.value)")
    assert values == ["embedding_mlp", "popularity"] * 2


def test_a_figure_opens_large_and_can_be_saved(browser: Any, path: Path) -> None:
    opened = OpenedPage(browser, path)
    page = opened.page
    page.get_by_role("button", name="enlarge: Titles by genre").click()
    large = page.locator("dialog.large")
    assert large.is_visible()
    assert large.locator("svg").bounding_box()["width"] > 500
    with page.expect_download() as download:
        large.get_by_role("link", name="save as SVG").click()
    assert download.value.suggested_filename == "Titles-by-genre.svg"
    saved = download.value.path().read_text(encoding="utf-8")
    assert saved.startswith("<svg")
    assert "Slice of Life" in saved
    assert "var(--" not in saved
    large.get_by_role("button", name="close").click()
    assert not large.is_visible()
    assert opened.problems == []


def test_the_heads_of_a_long_table_stay_in_view(browser: Any, path: Path) -> None:
    page = OpenedPage(browser, path).page
    place = """
    () => {
      const box = document.querySelector("#papers .scroll"), head = box.querySelector("thead th");
      box.style.maxHeight = "120px";
      box.scrollTop = 60;
      return [head.getBoundingClientRect().top - box.getBoundingClientRect().top, box.scrollTop];
    }
    """
    distance, scrolled = page.evaluate(place)
    assert scrolled == 60
    assert abs(distance) < 3


def test_a_link_to_a_model_opens_it(browser: Any, path: Path) -> None:
    page = OpenedPage(browser, path).page
    assert not page.locator("#model-popularity .params").first.is_visible()
    page.locator(".board a", has_text="popularity").click()
    page.locator("#model-popularity .params").first.wait_for(state="visible", timeout=2000)
