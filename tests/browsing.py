"""Open pages in Debian's chromium, driven by playwright, as a reader would."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian package chromium)")

PLOTS = """
() => [...document.querySelectorAll("svg")].map(svg => {
  for (let box = svg.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  const figure = svg.closest("figure"), area = svg.getBoundingClientRect();
  return {
    name: figure.getAttribute("aria-label"),
    shapes: svg.querySelectorAll("path, use, rect").length,
    texts: [...svg.querySelectorAll("text")].map(text => text.textContent.trim()),
    size: [area.width, area.height],
    overflowing: [...svg.querySelectorAll("text")].filter(text => {
      const box = text.getBoundingClientRect();
      return box.left < area.left - 4 || box.right > area.right + 4;
    }).map(text => text.textContent),
  };
})
"""
"""JavaScript that opens every section and returns a description of every plot of the page."""


@contextmanager
def open_browser() -> Iterator[Any]:
    """Open a browser; meanwhile no other event loop can run in this thread."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class OpenedPage:
    """A page opened in a browser.

    Attributes:
        page: playwright's page.
        problems: messages of the console, errors of scripts, and requests over the network.
    """

    def __init__(self, browser: Any, path: Path, width: int = 1280, scheme: str = "light") -> None:
        self.problems: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on(
            "request", lambda request: self.problems.append(request.url) if request.url.startswith("http") else None
        )
        self.page.goto(path.as_uri())

    def column(self, number: int) -> list[str | None]:
        """Return the sort keys of a column of the leaderboard, from the top."""
        values: list[str | None] = self.page.eval_on_selector_all(
            ".board tbody tr", f"rows => rows.map(row => row.cells[{number}].dataset.value ?? null)"
        )
        return values
