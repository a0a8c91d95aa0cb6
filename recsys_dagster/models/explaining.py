"""Say for each recommended item which items of the user's history it is recommended for."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import ItemContributions
from recsys_dagster.models.ensembles.ensemble import Ensemble

REASONS = 3
"""Items of the history that are named for each recommended item."""

Explain = Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.int32]]
"""Takes (n,) users and the (n, k) items of their lists; returns what `reasons` does."""


def explaining_model(models: Iterable[Model]) -> ItemContributions | None:
    """Return the first model, or member of an ensemble among the models, that knows its contributions."""
    for model in models:
        candidates = model._members if isinstance(model, Ensemble) else [model]
        for candidate in candidates:
            if isinstance(candidate, ItemContributions):
                return candidate
    return None


def explain_by(model: ItemContributions, history: Interactions, n_users: int) -> Explain:
    """Return a function that explains lists by the histories of all users.

    Args:
        model: says what contributes to a score.
        history: interactions of all users, in any order.
        n_users: size of the index space.
    """
    order = np.argsort(history.users, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(history.users, minlength=n_users))])

    def explain(users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.int32]:
        rows = (order[starts[user] : starts[user + 1]] for user in users)
        return np.stack([reasons(model, history.take(row), listed) for row, listed in zip(rows, items, strict=True)])

    return explain


def reasons(model: ItemContributions, history: Interactions, items: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the items of one user's history that contribute most to each item of a list.

    Args:
        model: says what contributes to a score.
        history: interactions of the user.
        items: (k,) indices of the list; -1 where it is shorter.

    Returns:
        (k, REASONS) int32 items of the history, the largest contribution first; -1 where no more contribute above zero.
    """
    chosen = np.full((len(items), REASONS), -1, np.int32)
    listed = items >= 0
    liked, shares = model.contributions(history, items[listed])
    n = min(REASONS, len(liked))
    if n and listed.any():
        best = np.argsort(-shares, axis=0, kind="stable")[:n]
        is_positive = np.take_along_axis(shares, best, axis=0) > 0
        chosen[listed, :n] = np.where(is_positive, liked[best], -1).T
    return chosen
