"""What the trees of the rating blend know of the ratings before a moment, against numbers worked out by hand."""

import numpy as np
import pytest

from recsys_dagster.data.interactions import UNKNOWN_TIME, Interactions
from recsys_dagster.models.ensembles.earlier_ratings import EarlierRatings

DAY = 86400
START = 1_000_000_000


@pytest.fixture
def earlier() -> EarlierRatings:
    """User 0 rated at the start, a day and 25 hours later; user 2 once, after all; user 1 at no known time."""
    times = np.array([START + DAY, START, START + DAY + 3600, START + 2 * DAY, UNKNOWN_TIME])
    rated = Interactions(
        np.array([0, 0, 0, 2, 1], np.int32), np.arange(5, dtype=np.int32), np.full(5, 3, np.float32), times
    )
    return EarlierRatings.of(rated, np.array([1, -2, 0.5, 7, 9], np.float32))


def test_only_ratings_before_the_moment_count_and_those_of_four_hours_are_the_session(earlier: EarlierRatings) -> None:
    (facts,) = earlier.facts(np.array([0], np.int32), np.array([START + DAY + 7200]))
    latest = [0.5 / 2, -0.5 / 4, -0.5 / 4, -0.5 / 4]
    expected = [np.log(4), np.log(2 + 1 / 12), np.log(3601), -0.5 / 6, *latest, np.log(3), 1.5 / 5]
    np.testing.assert_allclose(facts, expected, rtol=1e-6)


def test_a_rating_at_the_moment_itself_does_not_count(earlier: EarlierRatings) -> None:
    (facts,) = earlier.facts(np.array([0], np.int32), np.array([START + DAY]))
    np.testing.assert_allclose(facts[[0, 2, 4]], [np.log(2), np.log(DAY + 1), -2 / 2], rtol=1e-6)


def test_later_ratings_change_nothing(earlier: EarlierRatings) -> None:
    moment = START + DAY + 1800
    rated = Interactions(
        np.zeros(3, np.int32),
        np.arange(3, dtype=np.int32),
        np.ones(3, np.float32),
        np.array([START, START + DAY, moment]),
    )
    fewer = EarlierRatings.of(rated, np.array([-2, 1, 5], np.float32))
    first = np.zeros(1, np.int32)
    np.testing.assert_allclose(earlier.facts(first, np.array([moment])), fewer.facts(first, np.array([moment])))


def test_without_an_earlier_rating_there_is_no_time_since(earlier: EarlierRatings) -> None:
    facts = earlier.facts(np.array([1, 0, 2], np.int32), np.array([START + DAY, START - 5, START + DAY]))
    none = [0, np.nan, np.nan, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(facts, [none, none, none])


def test_a_moment_that_is_unknown_is_just_after_the_last_rating_of_all(earlier: EarlierRatings) -> None:
    users = np.array([0, 2], np.int32)
    known, unknown = (earlier.facts(users, np.full(2, time)) for time in (START + 2 * DAY + 1, UNKNOWN_TIME))
    np.testing.assert_array_equal(unknown, known)
    np.testing.assert_array_equal(earlier.facts(users, None), known)
    np.testing.assert_allclose(known[1, [0, 2, 4]], [np.log(2), np.log(2), 7 / 2], rtol=1e-6)


def test_without_any_time_the_span_is_empty() -> None:
    untimed = Interactions(np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones(1, np.float32))
    assert len(EarlierRatings.of(untimed, np.ones(1, np.float32)).span) == 0
