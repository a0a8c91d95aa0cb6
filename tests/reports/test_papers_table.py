"""Every row of the table of the papers' parts leads to what it names."""

import html
import re
import shlex
from pathlib import Path

import pytest
import typer
from report_of import report

from recsys_dagster.cli.main import app
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.papers.as_published import PAPERS
from recsys_dagster.reports.explorations import EXPLORATIONS
from recsys_dagster.reports.page import write_report

TABLE = Path(__file__).parents[2] / "docs" / "papers.md"
LINES = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][2:]
ROWS = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in LINES]
ON_PAGE = re.compile(r'"([^"]+)"')
PLACES = re.compile(r"`([^`]+)`")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a report in which everything is there that a page can show, without its tags."""
    path = tmp_path_factory.mktemp("papers") / "index.html"
    write_report(path, report())
    text = path.read_text(encoding="utf-8")
    labels = " ".join(re.findall('aria-label="([^"]*)"', text))
    return " ".join(html.unescape(f"{labels} {re.sub(r'<[^>]+>', ' ', text)}").split())


def check_place(place: str) -> None:
    word, _, rest = place.partition(" ")
    if word == "recsys":
        words = shlex.split(rest)
        group = typer.main.get_command(app)
        name, command, arguments = group.resolve_command(group.make_context("recsys", list(words)), list(words))
        command.make_context(name, list(arguments))
    elif word == "explore":
        assert rest in EXPLORATIONS
    else:
        assert word == "preset", place
        model, preset = rest.split()
        assert preset in get_model_class(model).presets


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1]}: {row[2]}"[:60])
def test_the_part_is_where_the_table_says(row: tuple[str, ...], page: str) -> None:
    paper, part, what, where = row
    shown = ON_PAGE.findall(where) if "page " in where else []
    places = PLACES.findall(ON_PAGE.sub("", where))
    assert shown or places, "a row without a place"
    for place in places:
        check_place(place)
    for text in shown:
        assert " ".join(text.split()) in page
    assert part in {"data", "cleaning", "exploration", "model", "training", "figure", "output", "fault"}
    assert what
    assert paper in {*PAPERS, "all"}


def test_every_paper_has_rows_of_data_model_figure_and_output() -> None:
    for paper in PAPERS:
        assert {"data", "model", "figure", "output"} <= {row[1] for row in ROWS if row[0] == paper}
