"""Choose the entries of an answer by the rules of the domain, and by how diverse and calibrated it is to be."""

import asyncio
from http import HTTPStatus

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.errors import UsageError
from recsys_dagster.models.base import TopN
from recsys_dagster.serving.rules import Balance, balance_of
from recsys_dagster.serving.service.problems import ProblemError
from recsys_dagster.serving.service.snapshot import Snapshot


def requested_balance(snapshot: Snapshot, diversity: float | None, calibration: float | None) -> Balance | None:
    """Return what a request asks for; None if it asks for nothing.

    Raises:
        ProblemError: the weights together are more than 1, or no item has genres (422).
    """
    try:
        balance = balance_of(diversity, calibration)
        if balance:
            snapshot.rules.require_genres()
    except UsageError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), "diversity") from None
    return balance


async def choose(
    snapshot: Snapshot,
    allowed: NDArray[np.int64],
    items: NDArray[np.int32],
    scores: NDArray[np.float32],
    n: int,
    history: NDArray[np.int32],
    balance: Balance,
) -> NDArray[np.int64]:
    """Return the places of at most n of the items, in the order in which they are to be listed.

    Args:
        snapshot: the publication.
        allowed: places of the candidates among the items, the best first.
        items: (m,) positions of the items.
        scores: (m,) score of each.
        n: length of the list.
        history: positions of the user's items.
        balance: how much diversity and calibration weigh.
    """
    if not snapshot.rules.chooses(balance):
        return allowed[:n]
    chosen = await asyncio.to_thread(_choose, snapshot, items[allowed], scores[allowed], n, history, balance)
    listed: NDArray[np.int64] = allowed[chosen]
    return listed


def _choose(
    snapshot: Snapshot,
    items: NDArray[np.int32],
    scores: NDArray[np.float32],
    n: int,
    history: NDArray[np.int32],
    balance: Balance,
) -> NDArray[np.int64]:
    seen = sp.csr_array(
        (np.ones(len(history), np.float32), (np.zeros_like(history), history)), shape=(1, len(snapshot.items))
    )

    def take(rows: NDArray[np.int64], k: int) -> TopN:  # noqa: ARG001 - there is one list
        return TopN(items[None, :k], scores[None, :k])

    chosen = snapshot.rules.lists(take, 1, n, seen, balance).items[0]
    order = np.argsort(items, kind="stable")
    places: NDArray[np.int64] = order[np.searchsorted(items, chosen[chosen >= 0], sorter=order)]
    return places
