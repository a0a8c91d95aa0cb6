"""Rank items for blocks of users, as `Model.recommend` does it, with nothing but NumPy and Arrow.

It runs in Spark's tasks, whose environment has no compiler.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.blocks import SCORE_BYTES

ITEM_FILES = ("items", "columns", "popularity", "allowed")
"""Names of the arrays of the item side, each in a file `<name>.npy`."""


@dataclass(frozen=True)
class ItemSide:
    """What all tasks read of the items.

    Attributes:
        items: (width, n_columns) float32: a user's row times this are the scores of the columns.
        columns: (n_columns,) int32 item of each column.
        popularity: (n_items,) float32 scores for a user who is not known.
        allowed: (n_items,) which items may be listed.
    """

    items: NDArray[np.float32]
    columns: NDArray[np.int32]
    popularity: NDArray[np.float32]
    allowed: NDArray[np.bool_]

    @classmethod
    def read(cls, paths: dict[str, Path]) -> Self:
        """Map the files into memory, which all processes of a machine share."""
        return cls(**{name: np.load(path, mmap_mode="r") for name, path in paths.items()})

    def rank(self, users: pa.RecordBatch, k: int) -> pa.RecordBatch:
        """Return the lists of some users.

        Args:
            users: `block`, `place`, `known`, `excluded` (list of items), `values` (list of numbers: a row of the user
                side) and `columns` (their columns; null: all).
            k: length of the lists.

        Returns:
            `block`, `place`, `items` and `scores`, each list of length k, filled up with -1 and -inf.
        """
        scores, known = self._scores(users), users.column("known").to_numpy(zero_copy_only=False)
        if len(self.columns) < len(self.popularity):
            by_column, scores = scores, np.empty((len(users), len(self.popularity)), np.float32)
            scores[:] = by_column.min(axis=1, keepdims=True) - np.float32(1)
            scores[:, self.columns] = by_column
        scores[~known] = self.popularity
        if np.isnan(scores).any():
            raise RecsysError("scores are not numbers; the model did not converge")
        excluded = users.column("excluded")
        scores[np.repeat(np.arange(len(users)), excluded.value_lengths()), excluded.flatten()] = -np.inf
        scores[:, ~self.allowed] = -np.inf
        items, values = highest(scores, k)
        lists = (
            pa.FixedSizeListArray.from_arrays(pa.array(one.ravel()), k).cast(pa.list_(type_))
            for one, type_ in ((items, pa.int32()), (values, pa.float32()))
        )
        return pa.RecordBatch.from_arrays(
            [users.column("block"), users.column("place"), *lists], ["block", "place", "items", "scores"]
        )

    def rows_at_once(self) -> int:
        """Return for how many users scores are held at a time."""
        return max(1, SCORE_BYTES // (4 * len(self.popularity)))

    def _scores(self, users: pa.RecordBatch) -> NDArray[np.float32]:
        """Return the (n, n_columns) products of the users' rows with the item side."""
        columns, values = users.column("columns"), users.column("values")
        if columns.null_count:
            dense: NDArray[np.float32] = values.flatten().to_numpy().reshape(len(users), -1) @ self.items
            return dense
        products = np.zeros((len(users), self.items.shape[1]), np.float32)
        ends = np.cumsum(values.value_lengths())
        entries, numbers = columns.flatten().to_numpy(), values.flatten().to_numpy()
        for row, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            products[row] = numbers[start:end] @ self.items[entries[start:end]]
        return products


def highest(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the (n, k) columns of the k highest scores of each row, and these, as `models.base.top_k` does.

    Of equal scores the lower column comes first; -1 and -inf where there is none.
    """
    n, width = scores.shape
    columns, values = np.full((n, k), -1, np.int32), np.full((n, k), -np.inf, np.float32)
    place = max(0, width - k)
    for row, one in enumerate(scores):
        reach = np.flatnonzero((one >= np.partition(one, place)[place]) & (one > -np.inf))
        best = reach[np.argsort(-one[reach], kind="stable")[:k]]
        columns[row, : len(best)], values[row, : len(best)] = best, one[best]
    return columns, values
