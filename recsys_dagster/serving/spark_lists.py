"""Make the lists of all users on Spark: rows of users go there in blocks, and their lists come back."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.models.base import Model, TopN
from recsys_dagster.models.capabilities import FactoredScores, ScoreFactors
from recsys_dagster.runtime.blocks import USERS_PER_BLOCK
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.spark_process import run_spark, shared_folder
from recsys_dagster.runtime.units import GIB

JOB = "recsys_dagster.spark.lists:recommend"
LARGEST_ITEM_SIDE = 4 * GIB
"""Bytes of the item side that each node is expected to hold beside Spark."""


def problem_on_spark(model: Model) -> str | None:
    """Return why the lists of a model cannot be made on Spark, in one line; None if they can."""
    if not isinstance(model, FactoredScores):
        return f"{model.name}: its scores are no product of a row of the user and a matrix of the items"
    size = model.factored_scores().items.nbytes
    if size > LARGEST_ITEM_SIDE:
        return f"{model.name}: each node would hold {size / GIB:.1f} GiB, more than {LARGEST_ITEM_SIDE // GIB} GiB"
    return None


def spark_lists(
    model: Model, users: NDArray[np.int32], k: int, excluded: sp.csr_array, allowed: NDArray[np.bool_], layout: Layout
) -> Iterator[tuple[NDArray[np.int32], TopN]]:
    """Give the lists of `Model.recommend` in blocks of users, in the order of `users`.

    They are equal but for the rounding of float32: items whose scores agree to six digits may change places.

    Args:
        model: a fitted one with FactoredScores.
        users: (n,) indices.
        k: length of the lists.
        excluded: (n_users, n_items) CSR of pairs that are not listed, besides those of the training fold.
        allowed: (n_items,) which items may be listed.
        layout: says where the files are; the nodes of a cluster have to share it.

    Raises:
        RecsysError: Spark is not installed, or the job failed.
    """
    assert isinstance(model, FactoredScores)  # noqa: S101
    factors, k = model.factored_scores(), min(k, model.n_items_)
    blocks = [users[start : start + USERS_PER_BLOCK] for start in range(0, len(users), USERS_PER_BLOCK)]
    with shared_folder(layout) as folder:
        np.save(folder / "items.npy", factors.items)
        np.save(folder / "columns.npy", factors.columns)
        np.save(folder / "popularity.npy", model.popularity_)
        np.save(folder / "allowed.npy", allowed & (model.popularity_ > 0))
        (folder / "users").mkdir()
        for number, block in enumerate(blocks):
            rows = user_rows(model, factors, block, excluded, number)
            pq.write_table(pa.Table.from_batches([rows]), folder / "users" / f"{number:06}.parquet")
        run_spark(JOB, {"folder": str(folder), "k": k})
        for number, block in enumerate(blocks):
            yield block, _read(folder / "lists" / f"block={number}", len(block), k)


def user_rows(
    model: Model, factors: ScoreFactors, users: NDArray[np.int32], excluded: sp.csr_array, number: int
) -> pa.RecordBatch:
    """Return what `ItemSide.rank` takes of a block of users."""
    rows, seen = factors.users[users], model.seen_[users]
    known = factors.known[users] & (np.diff(seen.indptr) > 0)
    if not isinstance(rows, np.ndarray):
        columns, values = _lists(rows, rows.indices), _lists(rows, rows.data)
    else:
        values = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1]).cast(pa.list_(pa.float32()))
        columns = pa.nulls(len(users), pa.list_(pa.int32()))
    without = sp.csr_array(seen + excluded[users])
    return pa.RecordBatch.from_pydict(
        {
            "block": np.full(len(users), number, np.int32),
            "place": np.arange(len(users), dtype=np.int32),
            "known": known,
            "excluded": _lists(without, without.indices),
            "columns": columns,
            "values": values,
        }
    )


def _lists(matrix: sp.csr_array, entries: NDArray[np.generic]) -> pa.ListArray:
    """Return the entries of each row of a CSR matrix."""
    if entries.dtype == np.int64:
        entries = entries.astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(matrix.indptr.astype(np.int32)), pa.array(entries))


def _read(path: Path, n: int, k: int) -> TopN:
    """Return the lists of a block in the order of its users."""
    table = pq.read_table(path, columns=["place", "items", "scores"]).sort_by("place").combine_chunks()
    items, scores = (table.column(name).combine_chunks().flatten().to_numpy() for name in ("items", "scores"))
    return TopN(items.reshape(n, k), scores.reshape(n, k))
