from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from small_publication import items_table, publish_small

from recsys_dagster.serving.filters import EVERYTHING, ItemFilter
from recsys_dagster.serving.lookup import PublishedFile


@pytest.fixture
def published(tmp_path: Path) -> Iterator[PublishedFile]:
    """Three items of which all is known, 100 a film of 2016, and 205, of which nothing is known."""
    rows = items_table().to_pylist()
    rows[1] |= {"kind": None, "is_adult": None}
    rows[3] |= {"kind": "movie", "genres": ["drama"], "is_adult": True}
    publish_small(tmp_path / "anime.duckdb", items=pa.Table.from_pylist(rows))
    with PublishedFile(tmp_path / "anime.duckdb") as file:
        yield file


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ItemFilter("MOVIE"), [100, 999]),
        (ItemFilter("tv"), [310]),
        (ItemFilter(genre="DRAMA"), [100, 310, 999]),
        (ItemFilter(genre="slice of life"), [100, 310]),
        (ItemFilter(years=(2005, 2016)), [100, 310]),
        (ItemFilter(years=(1999, 1999)), [999]),
        (ItemFilter(no_adult=True), [100, 205, 310]),
        (ItemFilter("Movie", "Drama", (1990, 2020), no_adult=True), [100]),
        (EVERYTHING, [100, 205, 310, 999]),
    ],
    ids=str,
)
def test_a_filter_lets_through_what_is_all_that_it_asks_for(
    published: PublishedFile, wanted: ItemFilter, found: list[int]
) -> None:
    assert published.items_where(wanted) == found


def test_a_filter_is_written_in_words() -> None:
    assert str(ItemFilter("Movie", "Drama", (1990, 1999), no_adult=True)) == "Movie, Drama, 1990–1999, not adult"
    assert str(ItemFilter(years=(1995, 1995))) == "1995"
    assert not EVERYTHING
