import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import date

import pytest
from report_of import leaderboard

from recsys_dagster.reports import (
    plot_activity,
    plot_counts,
    plot_leaderboard,
    plot_learning_curves,
    plot_over_time,
    plot_ratings,
    plot_years,
    to_png,
    to_svg,
)

FIGURES = {
    "leaderboard": lambda: plot_leaderboard(leaderboard()),
    "learning curves": lambda: plot_learning_curves({"loss": [2, 1], "val_loss": [2, 1.5], "mae": [1, 0.5]}),
    "one epoch": lambda: plot_learning_curves({"loss": [2]}),
    "ratings": lambda: plot_ratings([(0.5, 10), (1, 1_234_567)]),
    "activity": lambda: plot_activity([(0, 5), (1, 3), (11, 1)], of="users"),
    "years": lambda: plot_years([(1950, 3), (2001, 5)]),
    "months": lambda: plot_over_time([(date(2020, 1, 1), 4), (date(2020, 2, 1), 9)]),
    "counts": lambda: plot_counts([("Drama <& $x$", 9), ("Škola", 2)], label="titles"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_has_a_label_and_nothing_falls_off_the_figure(name: str) -> None:
    figure = FIGURES[name]()
    png = to_png(figure)

    assert png.startswith(b"\x89PNG")
    width, height = figure.get_size_inches() * figure.dpi
    for axes in figure.axes:
        assert axes.get_ylabel() or axes.get_yticklabels()[0].get_text()
        box = axes.get_tightbbox()
        assert box is not None
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= width + 1
        assert box.y1 <= height + 1
    assert figure.axes[-1].get_xlabel()


@pytest.mark.parametrize("name", FIGURES)
def test_an_svg_is_well_formed_takes_the_colours_of_the_page_and_loads_nothing(name: str) -> None:
    svg = to_svg(FIGURES[name]())

    ET.fromstring(svg)
    assert "viewBox" in svg.partition(">")[0]
    assert not re.search(r"\b(width|height)=", svg.partition(">")[0])
    assert "var(--accent)" in svg
    assert "http" not in svg
    assert not re.search(r"#[0-9a-f]{6}", svg), "a colour that does not follow light and dark"


def test_names_are_text_as_they_are() -> None:
    svg = to_svg(FIGURES["counts"]())
    assert "Drama &lt;&amp; $x$" in svg
    assert "Škola" in svg


def test_the_same_figure_is_the_same_svg() -> None:
    assert to_svg(FIGURES["learning curves"]()) == to_svg(FIGURES["learning curves"]())


def test_the_leaderboard_shows_the_models_that_have_the_metric_best_first() -> None:
    figure = plot_leaderboard(leaderboard(), ("rmse", None))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["embedding_mlp", "constant"]
    assert figure.axes[0].get_xlabel() == "RMSE"


def test_bins_that_double_say_where_they_begin_and_end() -> None:
    axes = plot_activity([(0, 5), (1, 3), (3, 1)], of="users").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2–3", "4–7", "8–15"]
    assert [bar.get_height() for bar in axes.patches] == [5, 3, 0, 1]


def test_importing_reports_draws_nothing_yet() -> None:
    code = "import sys, recsys_dagster.reports; print({'matplotlib', 'jinja2', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
