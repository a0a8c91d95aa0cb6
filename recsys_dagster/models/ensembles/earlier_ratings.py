"""Describe how a user rated shortly before a moment: a mood, a session or a page of similar items shows in it.

Only ratings strictly before the moment count, which is what a service knows when it predicts.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import UNKNOWN_TIME, Interactions

LATEST = (1, 3, 10, 30)
"""Numbers of latest ratings whose mean residual is given."""
SESSION = 4 * 3600
"""Seconds before the moment that count as the same session."""
DAMPING = 3.0
"""Residuals of zero that the means over a session, and over everything before, are damped by."""


class EarlierRatings(NamedTuple):
    """The residuals of all ratings with a time, by user and time.

    Attributes:
        keys: (n,) int64, rising: user · width of the span + seconds since the start of the span.
        sums: (n + 1,) float64, sums of the residuals before each place.
        span: (2,) int64, the time of the first rating, in seconds since 1970, and the width of the span in seconds, by
            which a moment after the last rating is inside; empty if no time is known.
    """

    keys: NDArray[np.int64]
    sums: NDArray[np.float64]
    span: NDArray[np.int64]

    @classmethod
    def of(cls, rated: Interactions, residuals: NDArray[np.float32]) -> Self:
        """Return the ratings, n pairs with (n,) residuals, in order."""
        known = np.zeros(len(rated), np.bool_) if rated.times is None else rated.times != UNKNOWN_TIME
        if rated.times is None or not known.any():
            return cls(np.empty(0, np.int64), np.zeros(1), np.empty(0, np.int64))
        times = rated.times[known]
        first, width = int(times.min()), int(times.max() - times.min()) + 2
        keys = rated.users[known].astype(np.int64) * width + (times - first)
        order = np.argsort(keys, kind="stable")
        sums = np.concatenate([[0.0], np.cumsum(residuals[known][order], dtype=np.float64)])
        return cls(keys[order], sums, np.array([first, width]))

    def facts(self, users: NDArray[np.int32], times: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """Return what the users' ratings before the moments say, NaN for the time since a rating that is not there.

        The columns are log(1 + number of ratings), log(1 + days since the first), log(1 + seconds since the last), the
        damped mean residual of all; the damped mean residual of the latest, for each of `LATEST`; log(1 + number of
        ratings in the session), and their damped mean residual.

        Args:
            users: (n,).
            times: (n,) moments in seconds since 1970; None, or `UNKNOWN_TIME`: just after the last rating of all.

        Returns:
            (n, 10) float32.
        """
        first, width = self.span
        latest = np.full(len(users), first + width - 1)
        moments = latest if times is None else np.where(times == UNKNOWN_TIME, latest, times)
        begin = np.searchsorted(self.keys, users * width)
        end = self._place(users, moments)
        count = end - begin
        # Clipped, because a user without a rating has no first one, and its place may be beyond the last of all.
        last_place = len(self.keys) - 1
        since_first, since_last = (
            np.where(count > 0, moments - first - (self.keys[np.clip(place, 0, last_place)] - users * width), np.nan)
            for place in (begin, end - 1)
        )
        session = self._place(users, moments - SESSION)
        columns = [
            np.log1p(count),
            np.log1p(since_first / 86400),
            np.log1p(since_last),
            self._mean(begin, end, DAMPING),
            *(self._mean(np.maximum(begin, end - number), end, 1) for number in LATEST),
            np.log1p(end - session),
            self._mean(session, end, DAMPING),
        ]
        return np.column_stack(columns).astype(np.float32)

    def _place(self, users: NDArray[np.int32], moments: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the (n,) places of the first rating of each user that is not before the moment."""
        first, width = self.span
        places: NDArray[np.int64] = np.searchsorted(self.keys, users * width + np.clip(moments - first, 0, width - 1))
        return places

    def _mean(self, begin: NDArray[np.int64], end: NDArray[np.int64], damping: float) -> NDArray[np.float64]:
        means: NDArray[np.float64] = (self.sums[end] - self.sums[begin]) / (end - begin + damping)
        return means
