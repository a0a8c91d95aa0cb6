"""A small publication with known content. Run as a program, it publishes again and again until it is killed."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from recsys_dagster.models.base import TopN
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.publishing import PublishedCounts, publish

ITEMS = [
    {"item_id": 100, "title": "Kimi no Na wa.", "title_english": "Your Name.", "kind": "Movie", "year": 2016},
    {"item_id": 205, "title": "<b>Bold</b> & [red]Brash[/red]", "title_english": None, "kind": "TV", "year": None},
    {"item_id": 310, "title": "Mushishi", "title_english": "Mushi-Shi", "kind": "TV", "year": 2005},
    {"item_id": 999, "title": "Never recommended", "title_english": None, "kind": "OVA", "year": 1999},
]
USER_IDS = np.array([40, 7, 11, 12], dtype=np.int64)
ITEM_IDS = np.array([310, 100, 205, 999], dtype=np.int32)


def small_lists() -> tuple[tuple[np.ndarray, TopN], ...]:
    """Return blocks of lists in index space: users 7, 11 and 40 have items, user 12 has none."""
    inf = np.inf
    first = TopN(
        np.array([[1, 0, 2], [2, 1, -1]], dtype=np.int32), np.array([[4.5, 4.25, 1], [3, 2, -inf]], dtype=np.float32)
    )
    second = TopN(
        np.array([[-1, -1, -1], [0, -1, -1]], dtype=np.int32),
        np.array([[-inf, -inf, -inf], [67310, -inf, -inf]], dtype=np.float32),
    )
    return (np.array([1, 2], dtype=np.int32), first), (np.array([3, 0], dtype=np.int32), second)


def items_table(items: list[dict] | None = None) -> pa.Table:
    """Return the items as a table with all columns of `clean.items`."""
    rows = [
        item
        | {
            "genres": ["Drama", "Slice of Life"] if item["item_id"] != 205 else None,
            "episodes": 1,
            "members": 10,
            "site_score": 8.5,
            "synopsis": "A tale.",
            "is_adult": False,
        }
        for item in items or ITEMS
    ]
    return pa.Table.from_pylist(rows)


def leaderboard_table() -> pa.Table:
    row = {"model": "popularity", "version": "v", "protocol": "holdout", "fold": "test", "metric": "ndcg", "k": 10}
    return pa.Table.from_pylist([row | {"value": 0.25, "low": 0.2, "high": 0.3, "users": 3}])


def provenance(version: str = "20260102T030405-abcdef") -> Provenance:
    return Provenance(
        domain="anime",
        dataset="sample-anime",
        data_version="0123456789abcdef",
        licence="free for any use",
        model="popularity",
        version=version,
        trained_rows=1234,
        scale=(1, 10),
        packages={"recsys-dagster": "0.1.0"},
    )


def publish_small(path: Path, **changes: object) -> PublishedCounts:
    """Publish the small lists; `changes` replace arguments of `publish`."""
    arguments: dict = {
        "lists": small_lists(),
        "user_ids": USER_IDS,
        "item_ids": ITEM_IDS,
        "items": items_table(),
        "genre_names": ["Drama", "Slice of Life"],
        "leaderboard": leaderboard_table(),
        "popularity": {None: np.array([4, 5, 3, 1]), 7: np.array([2, 0, 3, 0])},
        "provenance": provenance(),
    }
    return publish(path, **arguments | changes)


def publish_wide(path: Path, version: str, n_users: int = 1000, k: int = 50) -> PublishedCounts:
    """Publish enough lists for the writing to take a while; every score is the number in the version."""
    items = np.tile(np.arange(k, dtype=np.int32) % 3, (500, 1))
    scores = np.full((500, k), float(version.removeprefix("v")), dtype=np.float32)
    blocks = [(np.arange(start, start + 500, dtype=np.int32), TopN(items, scores)) for start in range(0, n_users, 500)]
    return publish_small(
        path, lists=blocks, user_ids=np.arange(n_users, dtype=np.int64), provenance=provenance(version)
    )


if __name__ == "__main__":
    number = 0
    while True:
        number += 1
        publish_wide(Path(sys.argv[1]), f"v{number}")
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
