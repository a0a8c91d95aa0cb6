"""Lists chosen from candidates: by diversity, by calibration, within caps."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from recsys_dagster.models.base import TopN
from recsys_dagster.serving.balance import Capped, candidates_of, choose, fill_lists
from recsys_dagster.serving.rules import Balance

# Genres: items 0 and 1 are dramas, 2 is a comedy, 3 is both, 4 has none.
GENRES = sp.csr_array(np.array([[1, 0], [1, 0], [0, 1], [1, 1], [0, 0]], np.float32))


def no_caps(n_items: int) -> Capped:
    return Capped(sp.csr_array((n_items, 0), dtype=np.float32), np.empty(0, np.int64))


def candidates(items: list[int], scores: list[float]) -> TopN:
    return TopN(np.array([items], np.int32), np.array([scores], np.float32))


def chosen(top: TopN, n: int, balance: Balance, tastes: list[float] | None = None) -> list[int]:
    taste = None if tastes is None else np.array([tastes])
    return choose(top, n, GENRES, balance, no_caps(5), taste).items[0].tolist()


def test_mmr_takes_the_items_worked_out_by_hand() -> None:
    # Scores 10, 9, 6, 5, 0 become 1, .9, .6, .5, 0. With d = .5, first .5 · 1: item 0.
    # Then item 1: .45 − .5 · 1 = −.05; item 2: .3; item 3: .25 − .5 / √2 = −.10; item 4: 0. Item 2 is taken.
    # Then item 1: −.05; item 3: −.10; item 4: 0. Item 4 is taken, then item 1, then item 3.
    top = candidates([0, 1, 2, 3, 4], [10, 9, 6, 5, 0])
    assert chosen(top, 5, Balance(diversity=0.5)) == [0, 2, 4, 1, 3]
    # With d = .1 item 1 has .81 − .1 = .71, item 2 .54: the order of the scores stays.
    assert chosen(top, 5, Balance(diversity=0.1)) == [0, 1, 2, 3, 4]


def test_calibration_takes_the_items_worked_out_by_hand() -> None:
    # Steck's greedy with p = (.5, .5), α = .01, λ = .5. First, KL of a list of one drama is
    # .5 log(.5 / .995) + .5 log(.5 / .005) = 1.9585; of item 3, which is both, 0.
    drama = 0.5 * math.log(0.5 / 0.995) + 0.5 * math.log(0.5 / 0.005)
    assert drama == pytest.approx(1.9585, abs=1e-4)
    # .5 s − .5 KL: item 0 .5 − .98, item 3 .5 · .5 − 0 = .25: item 3 is first.
    # Then list (3, 0): q = (.75, .25); item 0 or 1 diverge by KL = .5 log(.5 / .7475) + .5 log(.5 / .2525) = .1405.
    # .5 · 1 − .0702 = .4298 for item 0, .5 · .6 − .0702 for item 2. Item 0; then q = (2.5, .5) / 3 with item 1 against
    # (1.5, 1.5) / 3 with item 2: item 1 .45 − .5 · .2862 = .307; item 2 .3 − 0 = .3. Item 1 by a hair.
    top = candidates([0, 1, 2, 3, 4], [10, 9, 6, 5, 0])
    assert chosen(top, 3, Balance(calibration=0.5), [0.5, 0.5]) == [3, 0, 1]
    # One who only has dramas keeps the order of the scores.
    assert chosen(top, 3, Balance(calibration=0.5), [1.0, 0.0]) == [0, 1, 3]


def test_a_user_without_a_history_is_not_calibrated() -> None:
    top = candidates([0, 1, 2], [3, 2, 1])
    assert chosen(top, 3, Balance(calibration=0.9), [np.nan, np.nan]) == [0, 1, 2]
    assert chosen(top, 3, Balance(calibration=0.9)) == [0, 1, 2]


def test_a_cap_leaves_out_what_is_too_much_and_goes_on() -> None:
    drama = Capped(sp.csr_array(np.array([[1], [1], [0], [1], [0]], np.float32)), np.array([1], np.int64))
    top = candidates([0, 1, 2, 3, 4], [5, 4, 3, 2, 1])
    listed = choose(top, 5, GENRES, Balance(), drama)
    assert listed.items[0].tolist() == [0, 2, 4, -1, -1]
    assert listed.scores[0].tolist() == [5, 3, 1, -np.inf, -np.inf]


WORLDS = st.integers(1, 40).flatmap(
    lambda n_items: st.tuples(
        st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=n_items, max_size=n_items),
        st.lists(
            st.tuples(st.permutations(range(n_items)), st.lists(st.floats(-5, 5, width=32), min_size=n_items)),
            min_size=1,
            max_size=4,
        ),
        st.integers(1, 12),
    )
)


def _top(rows: list[tuple[list[int], list[float]]], n_items: int) -> TopN:
    items = np.array([order for order, _ in rows], np.int32)
    scores = -np.sort(-np.array([values[:n_items] for _, values in rows], np.float32), axis=1)
    return TopN(items, scores)


@given(WORLDS)
def test_without_weights_the_lists_are_the_candidates(world: tuple) -> None:
    flags, rows, n = world
    genres, top = sp.csr_array(np.array(flags, np.float32)), _top(rows, len(flags))
    listed = choose(top, n, genres, Balance(), no_caps(len(flags)))
    assert np.array_equal(listed.items, top.items[:, :n])
    assert np.array_equal(listed.scores, top.scores[:, :n])


@given(WORLDS, st.floats(0, 0.5), st.floats(0, 0.5), st.integers(1, 4))
def test_every_list_keeps_within_its_caps_repeats_nothing_and_is_as_long_as_it_can_be(
    world: tuple, diversity: float, calibration: float, cap: int
) -> None:
    flags, rows, n = world
    n_items = len(flags)
    genres, top = sp.csr_array(np.array(flags, np.float32)), _top(rows, n_items)
    caps = Capped(genres, np.full(3, cap, np.int64))
    tastes = np.full((len(rows), 3), 1 / 3)
    listed = choose(top, n, genres, Balance(diversity, calibration), caps, tastes).items
    for row in listed:
        items = row[row >= 0]
        assert len(set(items.tolist())) == len(items)
        counts = genres.toarray()[items].sum(axis=0)
        assert (counts <= cap).all()
        if len(items) < min(n, n_items):  # then whatever is left would break a cap
            left = np.setdiff1d(np.arange(n_items), items)
            assert all((genres.toarray()[[item]][0] + counts > cap).any() for item in left)


def test_more_candidates_are_asked_for_until_the_lists_are_full() -> None:
    n_items = 2 * candidates_of(10)
    # All but the last twenty items are of one group, of which a list may hold one.
    flags = np.zeros((n_items, 1), np.float32)
    flags[:-20] = 1
    asked = []

    def take(rows: np.ndarray, k: int) -> TopN:
        asked.append((len(rows), k))
        items = np.tile(np.arange(k, dtype=np.int32), (len(rows), 1))
        items[rows == 1] = items[rows == 1][:, ::-1] if k == n_items else np.arange(n_items - 1, n_items - 1 - k, -1)
        return TopN(items, -np.tile(np.arange(k, dtype=np.float32), (len(rows), 1)))

    caps = Capped(sp.csr_array(flags), np.array([1], np.int64))
    listed = fill_lists(take, 2, 10, sp.csr_array((n_items, 2), dtype=np.float32), Balance(), caps).items
    assert asked == [(2, 100), (1, n_items)]  # the second user was served by the first candidates
    assert listed[0].tolist() == [0, *range(n_items - 20, n_items - 11)]
    assert listed[1].tolist() == list(range(n_items - 1, n_items - 11, -1))
