"""The pages of a whole run, looked at by a browser at the width of a phone and of a desk."""

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import PLOTS, Looked, browsing, needs_chromium

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser(movie_run: Any) -> Iterator[Any]:
    """Opened after the run, which has an event loop of its own."""
    with browsing() as browser:
        yield browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_the_page_of_a_run_whole_and_without_complaint(
    browser: Any, movie_run: Any, width: int, scheme: str
) -> None:
    looked = Looked(browser, movie_run.layout.report("movie"), width, scheme)
    plots = looked.page.evaluate(PLOTS)
    assert looked.page.evaluate("document.documentElement.scrollWidth") == width
    assert len(plots) > 15
    for plot in plots:
        assert plot["marks"] >= 2 or plot["name"] == "Words in the titles", plot
        assert len(plot["words"]) > 3, plot
        assert all(plot["words"]), plot
        assert min(plot["size"]) > 100, plot
        assert plot["spilt"] == [], plot
    # ink on paper: the text of the plots follows the scheme
    ink = looked.page.eval_on_selector("svg text", "text => getComputedStyle(text).fill")
    assert (ink == "rgb(102, 112, 124)") == (scheme == "light")
    assert looked.complaints == []
    assert looked.asked == []
    looked.page.close()
