"""The pages of a whole run, opened at by a browser at the width of a phone and of a desk."""

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import PLOTS, OpenedPage, needs_chromium, open_browser

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser(movie_run: Any) -> Iterator[Any]:
    """Open the browser after the run, which has its own event loop."""
    with open_browser() as browser:
        yield browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_the_page_of_a_run_completely_and_without_problems(
    browser: Any, movie_run: Any, width: int, scheme: str
) -> None:
    opened = OpenedPage(browser, movie_run.layout.report("movie"), width, scheme)
    plots = opened.page.evaluate(PLOTS)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    if width >= 1280:
        shown, whole = opened.page.eval_on_selector(
            ".board", "table => [table.parentElement.clientWidth, table.scrollWidth]"
        )
        assert whole <= shown, "columns of the leaderboard are hidden"
    assert len(plots) > 15
    for plot in plots:
        assert plot["shapes"] >= 2 or plot["name"] == "Words in the titles", plot
        assert len(plot["texts"]) > 3, plot
        assert all(plot["texts"]), plot
        assert min(plot["size"]) > 100, plot
        assert plot["overflowing"] == [], plot
    # ink on paper: the text of the plots follows the scheme
    ink = opened.page.eval_on_selector("svg text", "text => getComputedStyle(text).fill")
    assert (ink == "rgb(102, 112, 124)") == (scheme == "light")
    assert opened.problems == []
    opened.page.close()
