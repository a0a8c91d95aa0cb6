from recsys_dagster.serving.filters import EVERYTHING, ItemFilter

FILM = {"kind": "Movie", "genres": ["Drama", "Slice of Life"], "year": 1995, "is_adult": False}
UNKNOWN = {"kind": None, "genres": None, "year": None, "is_adult": None}


def test_a_filter_lets_through_what_is_all_that_it_asks_for() -> None:
    assert ItemFilter("movie", "SLICE OF LIFE", (1990, 1999), no_adult=True).matches(FILM)
    assert not ItemFilter("TV").matches(FILM)
    assert not ItemFilter(genre="Slice").matches(FILM), "a genre is compared whole"
    assert not ItemFilter(years=(1996, 1999)).matches(FILM)
    assert not ItemFilter(no_adult=True).matches(FILM | {"is_adult": True})


def test_an_unknown_value_matches_no_kind_genre_or_year_and_is_not_taken_for_adult() -> None:
    for wanted in (ItemFilter("Movie"), ItemFilter(genre="Drama"), ItemFilter(years=(1900, 2100))):
        assert not wanted.matches(UNKNOWN)
    assert ItemFilter(no_adult=True).matches(UNKNOWN)
    assert EVERYTHING.matches(UNKNOWN)


def test_a_filter_is_written_in_words() -> None:
    assert str(ItemFilter("Movie", "Drama", (1990, 1999), no_adult=True)) == "Movie, Drama, 1990–1999, not adult"
    assert str(ItemFilter(years=(1995, 1995))) == "1995"
    assert not EVERYTHING
