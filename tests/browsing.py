"""Debian's chromium, driven by playwright, for looking at pages as a person would."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: chromium)")

PLOTS = """
() => [...document.querySelectorAll("svg")].map(svg => {
  for (let box = svg.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  const figure = svg.closest("figure"), area = svg.getBoundingClientRect();
  return {
    name: figure.getAttribute("aria-label"),
    marks: svg.querySelectorAll("path, use, rect").length,
    words: [...svg.querySelectorAll("text")].map(text => text.textContent.trim()),
    size: [area.width, area.height],
    spilt: [...svg.querySelectorAll("text")].filter(text => {
      const box = text.getBoundingClientRect();
      return box.left < area.left - 4 || box.right > area.right + 4;
    }).map(text => text.textContent),
  };
})
"""


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser; while it is open no event loop of somebody else's can run in this thread."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Looked:
    """A page as opened: what the browser complained of, and the addresses that it asked for."""

    def __init__(self, browser: Any, path: Path, width: int = 1280, scheme: str = "light") -> None:
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "request", lambda request: self.complaints.append(request.url) if request.url[:5] == "http:" else None
        )
        self.page.goto(path.as_uri())

    def column(self, number: int) -> list[str | None]:
        found: list[str | None] = self.page.eval_on_selector_all(
            ".board tbody tr", f"rows => rows.map(row => row.cells[{number}].dataset.value ?? null)"
        )
        return found
