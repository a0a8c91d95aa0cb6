"""Time to find and publish the top 100 items of every user, compared with `implicit` finding the same lists."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from benchmarks.measurement import FOLDER, measure
from benchmarks.result import Result, at_least, at_most, peak, ratio
from benchmarks.sizes import Size
from benchmarks.synthetic import Factors, random_data
from recsys_dagster.models.base import TopN
from recsys_dagster.runtime.blocks import USERS_PER_BLOCK
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.publishing import publish

TITLE = "Top 100 for every user"
K = 100
PAIRS_A_USER = 144
"""Average of MovieLens-20M."""


def lists(users: int, items: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Find the lists block by block, without storing them."""
    model = _model(users, items)
    with track_resources() as usage:
        total = sum(float(top.scores.sum(dtype=np.float64)) for _, top in _blocks(model))
    return usage, {"scores": total}


def published(users: int, items: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Find the lists and write the published file."""
    model = _model(users, items)
    path = FOLDER / "published.duckdb"
    known = {"item_id": np.arange(items, dtype=np.int32), "title": [f"item {n}" for n in range(items)]}
    with track_resources() as usage:
        written = publish(
            path,
            lists=_blocks(model),
            user_ids=np.arange(users),
            item_ids=np.arange(items, dtype=np.int32),
            items=pa.table({**{name: pa.nulls(items) for name in _UNKNOWN}, **known}),
            genre_names=("none",),
            leaderboard=pa.table({name: pa.nulls(0) for name in _LEADERBOARD}),
            provenance=Provenance(
                domain="movie",
                dataset="random",
                data_version="",
                licence="",
                model="factors",
                version="1",
                trained_rows=users * PAIRS_A_USER,
                scale=(1, 5),
                packages={},
                created_at=datetime(2026, 1, 1),
            ),
        )
    size = path.stat().st_size
    path.unlink()
    return usage, {"rows": written.rows, "bytes": size}


def implicit_lists(users: int, items: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Find the same lists by `implicit`'s `recommend`, with its own threads and a single BLAS thread, as it advises."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    model = _model(users, items)
    theirs = AlternatingLeastSquares(factors=model.factors)
    theirs.user_factors, theirs.item_factors = model.user_factors_, model.item_factors_
    seen = sp.csr_matrix(model.seen_)
    with threadpool_limits(1, "blas"), track_resources() as usage:
        _, scores = theirs.recommend(np.arange(users), seen, N=K, filter_already_liked_items=True)
    return usage, {"scores": float(scores.sum(dtype=np.float64))}


def results(size: Size) -> list[Result]:
    """Return the peer's time as a multiple of ours, without and with publishing, and the peak memory."""
    arguments = {"users": size.listed_users, "items": size.listed_items}
    ours, written, theirs = (measure(function, **arguments) for function in (lists, published, implicit_lists))
    description = f"{K} of {size.listed_items:,} items for {size.listed_users:,} users, {Factors.factors} factors"
    difference = abs(ours.facts["scores"] / theirs.facts["scores"] - 1)
    return [
        at_least(f"{description}: implicit's recommend", ratio(ours, theirs), 1, "× our time", ours, theirs),
        at_least(
            f"{description}: the same, with our publishing", ratio(written, theirs), 1, "× our time", written, theirs
        ),
        peak(f"{description}, published", 2, written),
        at_most(f"{description}: relative difference of the sums of scores", difference, 1e-6, "", ours, theirs),
    ]


_UNKNOWN = ("title_english", "kind", "year", "genres", "episodes", "members", "site_score", "synopsis", "is_adult")
_LEADERBOARD = ("model", "version", "protocol", "fold", "metric", "k", "value", "low", "high", "users")


def _model(users: int, items: int) -> Factors:
    """Return the model, after the loops that find lists were compiled."""
    model = Factors().fit(random_data(users, items, PAIRS_A_USER, 0)[0])
    model.recommend(np.arange(10, dtype=np.int32), K)
    return model


def _blocks(model: Factors) -> Iterator[tuple[np.ndarray, TopN]]:
    for start in range(0, model.n_users_, USERS_PER_BLOCK):
        users = np.arange(start, min(model.n_users_, start + USERS_PER_BLOCK), dtype=np.int32)
        yield users, model.recommend(users, K)
