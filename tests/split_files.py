"""Small splits, written as the Parquet files that `recsys evaluate` reads."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PAIRS = pa.schema([("user_id", pa.int64()), ("item_id", pa.int64()), ("rating", pa.float32())])


def write_pairs(path: Path, rows: list[tuple[int, int, float | None]]) -> Path:
    """Write (user_id, item_id, rating) rows in the order given."""
    users, items, ratings = zip(*rows, strict=True)
    pq.write_table(pa.table([users, items, ratings], schema=PAIRS), path)
    return path


def write_titles(path: Path, genres: dict[int, list[str]]) -> Path:
    """Write titles of these genres, all of kind TV."""
    columns = {
        "item_id": pa.array(genres, pa.int32()),
        "title": [f"Title {item}" for item in genres],
        "kind": ["TV"] * len(genres),
        "year": pa.array([2000] * len(genres), pa.int16()),
        "genres": pa.array(genres.values(), pa.list_(pa.string())),
        "site_score": pa.array([None] * len(genres), pa.float32()),
    }
    pq.write_table(pa.table(columns), path)
    return path


TRAIN = [
    (10, 100, 5),
    (10, 200, 3),
    (20, 100, 4),
    (20, 200, None),
    (20, 300, 2),
    (30, 100, 1),
]  # fmt: skip
"""Item 100 has three pairs, 200 two, 300 one; the mean rating is 3."""

TEST = [
    (30, 300, 5),
    (10, 300, 4),
    (99, 400, 3),
    (20, 400, 5),
    (10, 400, None),
    (30, 200, 3),
    (99, 100, 5),
]  # fmt: skip
"""User 99 and item 400 are not in `TRAIN`. Liked from 4 on: by 10 300 and 400, by 20 400, by 30 300, by 99 100."""
