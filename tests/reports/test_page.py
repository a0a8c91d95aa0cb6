import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_of import report

from recsys_dagster.reports import write_report

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


class Outline(HTMLParser):
    """Collects what the page would load, its scripts, its text, and whether every element is closed."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "path", "use", "rect"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "poster")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home") / "reports" / "anime" / "index.html"
    write_report(path, report())
    return path


@pytest.fixture
def page(path: Path) -> Outline:
    return Outline(path.read_text(encoding="utf-8"))


def test_the_page_loads_nothing_and_runs_nothing(path: Path, page: Outline) -> None:
    assert all(load.startswith(("#", "data:")) for load in page.loads)
    assert "script" not in page.tags
    assert not re.search(r"url\((?!#)|@import|https?:", path.read_text(encoding="utf-8"))
    assert page.open == []


def test_titles_licences_and_genres_are_escaped(path: Path, page: Outline) -> None:
    html = path.read_text(encoding="utf-8")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; $m^2$ 銀魂" in html
    assert "free & <easy>" in page.text
    assert "Comedy <3 · Sci-Fi" in page.text


def test_the_page_says_where_it_comes_from(page: Outline) -> None:
    for said in ("sample-anime", "0123456789ab", "20260102T030405-abcdef", "recsys-dagster 0.1.0", "66 interactions"):
        assert said in page.text


def test_the_leaderboard_has_intervals_the_champion_and_what_is_missing(path: Path, page: Outline) -> None:
    board = re.search(r'<table class="board">.*?</table>', path.read_text(encoding="utf-8"), re.DOTALL)
    assert board is not None
    rows = [" ".join(Outline(row).text.split()) for row in re.findall(r"<tr.*?</tr>", board[0], re.DOTALL)]
    assert rows == [
        "Model NDCG@10 Coverage@10 RMSE",
        "popularity champion 0.1234 0.1134 – 0.1334 0.5000 –",
        "embedding_mlp not distinguishable from the best 0.1200 0.1100 – 0.1300 – 0.8765 0.8665 – 0.8865",
        "constant – – 1.0432 1.0332 – 1.0532",
    ]
    assert "embedding_mlp is not distinguishable from popularity." in page.text


def test_rows_kept_and_rejected_are_told_with_the_reason(page: Outline) -> None:
    assert "ratings.csv 67 66 1 unparsable 1" in " ".join(page.text.split())


def test_readers_are_shown_with_history_and_list(page: Outline) -> None:
    text = " ".join(page.text.split())
    assert "User 1 1 title" in text
    assert "67,310" in text
    assert "Gintama — Comedy <3 · Sci-Fi" in text
    assert "Nothing: this user already has every title" in text
    assert page.tags.count("details") == 10


def test_what_is_unknown_is_left_out_rather_than_drawn_empty(tmp_path: Path) -> None:
    whole = report()
    path = tmp_path / "index.html"
    write_report(path, replace(whole, profile=replace(whole.profile, months=[], kinds=[("Movie", 5)]), curves={}))

    text = Outline(path.read_text(encoding="utf-8")).text
    assert "This source says not when its users watched or rated" in text
    assert "Interactions over time" not in text
    assert "Titles by kind" not in text
    assert "Training" not in text


def test_a_page_that_cannot_be_made_leaves_the_previous_one(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(Exception, match="no attribute"):
        write_report(path, replace(report(), files=[object()]))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(BROWSER is None, reason="no chromium here to look at the page with")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_the_page_without_overflow_or_complaint(path: Path, tmp_path: Path, width: int) -> None:
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"""
        <iframe src="{path.as_uri()}" style="border:0;width:{width}px;height:900px"></iframe>
        <script>
          onload = () => {{
            const page = document.querySelector("iframe").contentDocument.documentElement;
            const figures = page.querySelectorAll("svg").length;
            document.title = `${{page.clientWidth}} wide, ${{page.scrollWidth}} filled, ${{figures}} figures`;
          }};
        </script>
        """,
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--allow-file-access-from-files", "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'browser'}",
            f"--window-size={width + 100},1000", "--dump-dom", frame.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert f"<title>{width} wide, {width} filled, 10 figures</title>" in done.stdout
    assert "CONSOLE" not in done.stderr
