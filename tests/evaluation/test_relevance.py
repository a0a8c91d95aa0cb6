import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_dagster.evaluation.relevance import RelevantPairs

N_ROWS, N_ITEMS = 4, 6


@given(
    st.sets(st.tuples(st.integers(0, N_ROWS - 1), st.integers(0, N_ITEMS - 1))),
    st.lists(st.tuples(st.integers(0, N_ROWS - 1), *[st.integers(-1, N_ITEMS - 1)] * 3)),
)
def test_listed_items_are_found_among_the_relevant_items_of_their_own_row(
    pairs: set[tuple[int, int]], lists: list[tuple[int, ...]]
) -> None:
    of_pairs = np.array(sorted(pairs), dtype=np.int32).reshape(-1, 2)
    relevant = RelevantPairs.of(of_pairs[:, 0], of_pairs[:, 1], N_ITEMS)
    table = np.array(lists, dtype=np.int32).reshape(-1, 4)

    positions = relevant.positions(table[:, 0], table[:, 1:])

    assert positions.shape == (len(lists), 3)
    for (row, *items), places in zip(lists, positions, strict=True):
        for item, place in zip(items, places, strict=True):
            assert (place >= 0) == ((row, item) in pairs)
            if place >= 0:
                assert (relevant.rows[place], relevant.items[place]) == (row, item)
    of_rows = relevant.matrix(table[:, 0]).toarray()
    expected = [[float((row, item) in pairs) for item in range(N_ITEMS)] for row in table[:, 0]]
    np.testing.assert_array_equal(of_rows, np.array(expected, dtype=np.float32).reshape(-1, N_ITEMS))
