"""A published file of any size with random lists, for the measurements of the service."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from recsys_dagster.models.base import TopN
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.publishing import publish

DOMAIN = "anime"
K = 100
_GENRES = (
    "Action",
    "Adventure",
    "Comedy",
    "Drama",
    "Fantasy",
    "Romance",
    "School",
    "Sci-Fi",
    "Shounen",
    "Slice of Life",
)
_USERS_PER_BLOCK = 10_000


def publish_random(path: Path, users: int, items: int, version: str) -> None:
    """Publish lists of K items with reasons and predicted ratings; every score is the number in the version.

    Args:
        path: the published file.
        users, items: how many there are.
        version: such as v3; an answer whose scores are not 3 then mixes two publications.
    """
    publish(
        path,
        lists=_lists(users, items, float(version.removeprefix("v"))),
        user_ids=np.arange(users, dtype=np.int64),
        item_ids=np.arange(items, dtype=np.int64),
        items=_items(items),
        genre_names=_GENRES,
        leaderboard=pa.table({name: pa.nulls(0) for name in _LEADERBOARD}),
        provenance=Provenance(DOMAIN, "random", "", "", "random", version, users * K, (1, 10), {}),
        explain=lambda _, listed: np.stack([(listed + step) % items for step in range(3)], axis=-1).astype(np.int32),
        predict=lambda _, listed: 1 + 9 * (listed % 100 / 99).astype(np.float32),
        popularity={None: np.arange(items, 0, -1)},
    )


_LEADERBOARD = ("model", "version", "protocol", "fold", "metric", "k", "value", "low", "high", "users")


def _lists(users: int, items: int, score: float) -> Iterator[tuple[np.ndarray, TopN]]:
    random = np.random.default_rng(0)
    for start in range(0, users, _USERS_PER_BLOCK):
        n = min(_USERS_PER_BLOCK, users - start)
        # Distinct items of each list: steps of one from a random place.
        listed = (random.integers(0, items, (n, 1)) + np.arange(K) * (items // K)) % items
        yield (
            np.arange(start, start + n, dtype=np.int32),
            TopN(listed.astype(np.int32), np.full((n, K), score, np.float32)),
        )


def _items(items: int) -> pa.Table:
    numbers = range(items)
    return pa.table(
        {
            "item_id": np.arange(items, dtype=np.int64),
            "title": [f"The title of item number {n}" for n in numbers],
            "title_english": [f"An English title {n}" for n in numbers],
            "kind": [("TV", "Movie", "OVA")[n % 3] for n in numbers],
            "year": pa.array([1980 + n % 45 for n in numbers], pa.int16()),
            "genres": [[_GENRES[(n + step) % len(_GENRES)] for step in range(3)] for n in numbers],
            "creators": [[f"Studio {n % 200}"] for n in numbers],
            "image_url": [f"https://images.example/anime/{n}.jpg" for n in numbers],
            "is_adult": [n % 50 == 0 for n in numbers],
        }
    )
