"""How long it takes to find 100 titles for everybody and to write them out, beside `implicit` finding the same."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from benchmarks.figures import Figure, at_least, at_most, peak, ratio
from benchmarks.measuring import FOLDER, measure
from benchmarks.sizes import Size
from benchmarks.worlds import Factors, made
from recsys_dagster.lifecycle.publication import USERS_A_BLOCK
from recsys_dagster.models.base import TopN
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources
from recsys_dagster.serving.lookup import Provenance
from recsys_dagster.serving.publishing import publish

TITLE = "Top 100 for everybody"
K = 100
PAIRS_A_USER = 144
"""As in MovieLens-20M."""


def lists(users: int, titles: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Find the lists, block by block, and let them go."""
    model = _model(users, titles)
    with track_resources() as usage:
        total = sum(float(top.scores.sum(dtype=np.float64)) for _, top in _blocks(model))
    return usage, {"scores": total}


def published(users: int, titles: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Find the lists and write the published file."""
    model = _model(users, titles)
    path = FOLDER / "published.duckdb"
    named = {"item_id": np.arange(titles, dtype=np.int32), "title": [f"title {n}" for n in range(titles)]}
    with track_resources() as usage:
        written = publish(
            path,
            lists=_blocks(model),
            user_ids=np.arange(users),
            item_ids=np.arange(titles, dtype=np.int32),
            items=pa.table({**{name: pa.nulls(titles) for name in _UNKNOWN}, **named}),
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


def implicit_lists(users: int, titles: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """The same by `implicit`'s `recommend`, with its own threads and BLAS kept to one, as it asks for."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    model = _model(users, titles)
    theirs = AlternatingLeastSquares(factors=model.factors)
    theirs.user_factors, theirs.item_factors = model.user_factors_, model.item_factors_
    seen = sp.csr_matrix(model.seen_)
    with threadpool_limits(1, "blas"), track_resources() as usage:
        _, scores = theirs.recommend(np.arange(users), seen, N=K, filter_already_liked_items=True)
    return usage, {"scores": float(scores.sum(dtype=np.float64))}


def figures(size: Size) -> list[Figure]:
    """The peer's time as a multiple of ours, without and with the writing, and the peak memory."""
    given = {"users": size.listed_users, "titles": size.listed_titles}
    found, written, theirs = measure(lists, **given), measure(published, **given), measure(implicit_lists, **given)
    asked = f"{K} of {size.listed_titles:,} titles for {size.listed_users:,} users, {Factors.factors} factors"
    difference = abs(found.facts["scores"] / theirs.facts["scores"] - 1)
    return [
        at_least(f"{asked}: implicit's recommend", ratio(found, theirs), 1, "× our time", found, theirs),
        at_least(f"{asked}: … and ours published", ratio(written, theirs), 1, "× our time", written, theirs),
        peak(f"{asked}, published", 2, written),
        at_most(f"{asked}: sum of scores, difference", difference, 1e-6, "of it", found, theirs),
    ]


_UNKNOWN = ("title_english", "kind", "year", "genres", "episodes", "members", "site_score", "synopsis", "is_adult")
_LEADERBOARD = ("model", "version", "protocol", "fold", "metric", "k", "value", "low", "high", "users")


def _model(users: int, titles: int) -> Factors:
    """Return the model, once what finds lists is compiled."""
    model = Factors().fit(made(users, titles, PAIRS_A_USER, 0)[0])
    model.recommend(np.arange(10, dtype=np.int32), K)
    return model


def _blocks(model: Factors) -> Iterator[tuple[np.ndarray, TopN]]:
    for start in range(0, model.n_users_, USERS_A_BLOCK):
        users = np.arange(start, min(model.n_users_, start + USERS_A_BLOCK), dtype=np.int32)
        yield users, model.recommend(users, K)
