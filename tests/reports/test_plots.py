import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date

import pytest
from report_of import CONFUSION, IMPORTANCES, SLICES, leaderboard

from recsys_dagster.evaluation.metrics.registry import RATING_METRIC
from recsys_dagster.papers.records import FaultRow
from recsys_dagster.reports.data_plots import (
    plot_activity,
    plot_counts,
    plot_joint,
    plot_named_items,
    plot_over_time,
    plot_ratings,
    plot_words,
    plot_years,
)
from recsys_dagster.reports.figures import plot_columns, to_png, to_svg
from recsys_dagster.reports.model_plots import (
    plot_confusion,
    plot_fault_effects,
    plot_importance,
    plot_leaderboard,
    plot_learning_curves,
    plot_slices,
    plot_tradeoff,
)
from recsys_dagster.runtime.text import printable

FIGURES = {
    "leaderboard": lambda: plot_leaderboard(leaderboard()),
    "learning curves": lambda: plot_learning_curves({"loss": [2, 1], "val_loss": [2, 1.5], "mae": [1, 0.5]}),
    "one epoch": lambda: plot_learning_curves({"loss": [2]}),
    "ratings": lambda: plot_ratings([(0.5, 10), (1, 1_234_567)]),
    "activity": lambda: plot_activity([(0, 5), (1, 3), (11, 1)], of="users"),
    "years": lambda: plot_years([(1950, 3), (2001, 5)]),
    "months": lambda: plot_over_time([(date(2020, 1, 1), 4), (date(2020, 2, 1), 9)]),
    "joint": lambda: plot_joint([(0, 4, 10), (0, 8, 110), (5, 12, 20)]),
    "named items": lambda: plot_named_items([("Drama <& $x$ " * 9, 9), ("Škola", 2)], label="members"),
    "tradeoff": lambda: plot_tradeoff(
        {f"model_{n}": (1.0 + n % 3, 0.1) for n in range(12)} | {"far": (1e4, 0.2)}, "seconds to fit", "NDCG@10", "far"
    ),
    "confusion": lambda: plot_confusion(CONFUSION),
    "slices": lambda: plot_slices([*SLICES[:3], replace(SLICES[2], part="War", position=1)]),
    "importance": lambda: plot_importance(IMPORTANCES),
    "fault effects": lambda: plot_fault_effects(
        [
            FaultRow("stack-in-sample", "002", "d", system, "rmse", 1.2, 1.1, -0.2, -0.05)
            for system in ("als", f"stack of {', '.join(['beta_network_100'] * 9)}")
        ]
    ),
    "counts": lambda: plot_counts([("Drama <& $x$", 9), ("Škola", 2)], label="titles"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_has_a_label_and_nothing_lies_outside_the_figure(name: str) -> None:
    figure = FIGURES[name]()
    png = to_png(figure)

    assert png.startswith(b"\x89PNG")
    width, height = figure.get_size_inches() * figure.dpi
    for axes in figure.axes:
        siblings = axes.get_shared_y_axes().get_siblings(axes)
        assert any(one.get_ylabel() or one.texts for one in siblings)
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
    assert "var(--accent)" in svg or "var(--second)" in svg
    assert "http" not in svg
    assert not re.search(r"#[0-9a-f]{6}", svg), "a colour that does not follow light and dark"


FORMULA = r"$\frac{ {x} <&$ a_{" + "\x1b[2J\x00"
"""A name that matplotlib would parse as a formula, and a broken one, with characters that no XML may hold."""
NAMED = {
    "counts": lambda: plot_counts([(FORMULA, 9), ("Škola", 2)], label="titles"),
    "named items": lambda: plot_named_items([(FORMULA, 9), ("Škola", 2)], label="members"),
    "tradeoff": lambda: plot_tradeoff({FORMULA: (1.0, 0.1), "m": (3.0, 0.2)}, "seconds to fit", "NDCG@10", "m"),
    "slices": lambda: plot_slices([replace(SLICES[2], part=part, position=n) for n, part in enumerate((FORMULA, "b"))]),
    "importance": lambda: plot_importance([replace(IMPORTANCES[0], input=FORMULA)]),
    "words": lambda: plot_words([(FORMULA, 9), ("dragon", 2)]),
    "columns": lambda: plot_columns([FORMULA, "b"], [1, 2], FORMULA, "titles"),
}


@pytest.mark.parametrize("name", NAMED)
def test_names_are_shown_literally_never_as_formulas(name: str) -> None:
    to_png(NAMED[name]())
    texts = [text.text or "" for text in ET.fromstring(to_svg(NAMED[name]())).iter("text")]
    assert any(printable(FORMULA) in text for text in texts)


@pytest.mark.filterwarnings("error")
def test_a_title_in_a_script_that_the_font_lacks_is_drawn_without_a_warning() -> None:
    figure = plot_named_items([("銀魂", 9), ("Škola", 2)], label="members")
    assert to_png(figure)
    assert ">銀魂</text>" in to_svg(figure)


def test_the_same_figure_is_the_same_svg() -> None:
    assert to_svg(FIGURES["learning curves"]()) == to_svg(FIGURES["learning curves"]())


def test_the_leaderboard_shows_the_models_that_have_the_metric_best_first() -> None:
    figure = plot_leaderboard(leaderboard(), RATING_METRIC)
    assert [text.get_text() for text in figure.axes[0].texts][:2] == ["embedding_mlp", "constant"]
    assert figure.axes[0].get_xlabel() == "RMSE"


def test_no_name_of_a_tradeoff_covers_another() -> None:
    figure = FIGURES["tradeoff"]()
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert len(boxes) == 13
    assert not [(a, b) for place, a in enumerate(boxes) for b in boxes[:place] if a.overlaps(b)]


def test_every_word_of_a_cloud_is_inside_and_the_commonest_is_the_largest() -> None:
    axes = plot_words([("night", 90), ("day", 40), ("dragon", 20), ("Škola", 5), ("wolf", 5)]).axes[0]
    axes.figure.draw_without_rendering()
    sizes = {text.get_text(): text.get_fontsize() for text in axes.texts}
    assert max(sizes, key=lambda word: sizes[word]) == "night"
    assert set(sizes) == {"night", "day", "dragon", "Škola", "wolf"}
    boxes = [text.get_window_extent() for text in axes.texts]
    inside = axes.get_window_extent()
    assert all(inside.x0 - 1 <= box.x0 and box.x1 <= inside.x1 + 1 for box in boxes)
    assert all(inside.y0 - 1 <= box.y0 and box.y1 <= inside.y1 + 1 for box in boxes)


def test_numbers_in_text_keep_their_digits() -> None:
    assert ">0.1234<" in to_svg(plot_counts([("0.1234", 3), ("b", 2)], label="titles"))


def test_a_cell_of_a_confusion_matrix_is_its_share_of_the_given_ratings() -> None:
    axes = plot_confusion(CONFUSION).axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["100", "100", "25", "75"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["6", "7", "8", "10"]


def test_of_many_groups_those_with_most_pairs_are_shown_in_their_order() -> None:
    many = [replace(SLICES[0], dimension="genre", part=f"g{n}", position=n, pairs=100 - n % 20) for n in range(40)]
    labels = [text.get_text() for text in plot_slices(many).axes[0].texts]
    assert labels == ["Genres:", *(f"g{n}  ({100 - n % 20})" for n in (0, 1, 2, 3, 4, 20, 21, 22, 23, 24))]


def test_bins_of_activity_are_labelled_with_their_bounds() -> None:
    axes = plot_activity([(0, 5), (1, 3), (3, 1)], of="users").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2–3", "4–7", "8–15"]
    assert [bar.get_height() for bar in axes.patches] == [5, 3, 0, 1]


def test_importing_reports_draws_nothing_yet() -> None:
    code = "import sys, recsys_dagster.reports; print({'matplotlib', 'jinja2', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
