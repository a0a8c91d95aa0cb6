"""Explorations are the same from a warehouse and from DataFrames, and draw the figures of the page."""

import pandas as pd
import pytest
from report_of import clean_tables

from recsys_dagster.errors import UsageError
from recsys_dagster.reports.data_plots import profile_figures
from recsys_dagster.reports.data_profile import COLUMNS, read_profile
from recsys_dagster.reports.explorations import EXPLORATIONS, draw, explore
from recsys_dagster.reports.figures import to_svg
from recsys_dagster.reports.frames import frame_of


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    connection = clean_tables()
    tables = {
        name: frame_of(connection, f"SELECT * FROM clean.{name}") for name in ("items", "ratings", "interactions")
    }
    return tables | {"items": tables["items"].set_index("item_id")}


@pytest.mark.parametrize("name", EXPLORATIONS)
def test_dataframes_and_the_warehouse_give_the_same(name: str, frames: dict[str, pd.DataFrame]) -> None:
    of_frames, of_tables = explore(name, frames), explore(name, clean_tables())
    pd.testing.assert_frame_equal(of_frames, of_tables)
    assert list(of_frames.columns) == list(COLUMNS[name])
    assert len(of_frames) > 0


def test_the_figure_of_a_dataframe_is_the_one_of_the_page(frames: dict[str, pd.DataFrame]) -> None:
    on_page = dict(profile_figures(read_profile(clean_tables())))
    drawn = draw("genres", explore("genres", {"items": frames["items"]}))
    assert to_svg(drawn) == on_page[EXPLORATIONS["genres"].caption]
    assert len(on_page) == len(EXPLORATIONS)


def test_numbers_worked_out_by_hand(frames: dict[str, pd.DataFrame]) -> None:
    genres = explore("genres", {"items": frames["items"]})
    assert genres.set_index("genre")["titles"].to_dict() == {
        "Drama": 10, "Slice of Life": 5, "Comedy <3": 1, "Sci-Fi": 1,
    }  # fmt: skip


def test_an_unknown_exploration_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown exploration 'moods'; known: ratings, joint, "):
        explore("moods", {})
    with pytest.raises(UsageError, match="unknown exploration 'moods'"):
        draw("moods", pd.DataFrame())
