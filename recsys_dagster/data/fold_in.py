"""Fold in what users had done by the moment at which lists are made for them, as a service does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import UNKNOWN_TIME, Interactions
from recsys_dagster.errors import RecsysError


@dataclass(frozen=True)
class FoldedIn:
    """The interactions of the users of a fold, before and after the moment at which lists are made for each of them.

    Attributes:
        history: all that they had done before their moment, in earlier folds too, by rising user and time.
        later: the pairs of the fold from their moment on, which are to be predicted.
    """

    history: Interactions
    later: Interactions

    @classmethod
    def at(cls, moments: NDArray[np.int64], fold: Interactions, earlier: Sequence[Interactions]) -> "FoldedIn":
        """Divide the interactions of the users of a fold, all or some of its users.

        Args:
            moments: (n_users,) moment of each user, in seconds since 1970.
            fold: the pairs of the fold, all of which have a time.
            earlier: the folds before it.
        """
        is_evaluated = np.zeros(len(moments), np.bool_)
        is_evaluated[fold.users] = True
        known = [part.where(is_evaluated[part.users]) for part in (*earlier, fold)]
        history = Interactions.concatenate(*(part.where(_times(part) < moments[part.users]) for part in known))
        order = np.lexsort((_times(history), history.users))
        return cls(history.take(order), fold.where(_times(fold) >= moments[fold.users]))

    def require_causal(self) -> None:
        """Check that everything in the history of a user is earlier than all that is to be predicted of that user.

        Raises:
            RecsysError: a pair of the history is as late as the user's first pair that is to be predicted.
        """
        first = first_times(self.later, int(self.history.users.max(initial=-1)) + 1)
        refuse_late("that are folded in", self.history, first[self.history.users])


def first_times(pairs: Interactions, n_users: int) -> NDArray[np.int64]:
    """Return the (n_users,) time of the first pair of each user, the largest int64 where there is none."""
    is_within = pairs.users < n_users
    first = np.full(n_users, np.iinfo(np.int64).max)
    np.minimum.at(first, pairs.users[is_within], _times(pairs)[is_within])
    return first


def refuse_late(name: str, pairs: Interactions, moments: NDArray[np.int64]) -> None:
    """Raise RecsysError if any of the pairs, which the name describes, is not before its moment, (n,) in seconds."""
    late = int(np.count_nonzero(_times(pairs) >= moments))
    if late:
        raise RecsysError(
            f"the split leaks: {late:,} pairs {name} are no earlier than what they are to predict; "
            "cut them off at the first pair of the test"
        )


def _times(pairs: Interactions) -> NDArray[np.int64]:
    """Return the times, unknown ones as the distant past."""
    return np.full(len(pairs), UNKNOWN_TIME) if pairs.times is None else pairs.times
