"""Compare the published lists with those that were published before."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys_dagster.runtime.layout import MAX_KEPT_LISTS, Layout
from recsys_dagster.serving.database import path_without_lock, unreadable
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.recommendation import Id
from recsys_dagster.serving.swap import earlier_files

COMPARED = 10
"""Places of each list that are compared."""

_MEMORY_LIMIT = "512MB"

# Ids are compared as text: new rows may have made numbers into texts.
_KEPT = f"""
CREATE TEMP TABLE kept AS
SELECT
    now.user_id,
    count(*) AS listed,
    count(before.item_id) AS kept
FROM (SELECT user_id, item_id FROM now.recommendations WHERE rank <= {COMPARED}) AS now
LEFT JOIN (SELECT user_id, item_id FROM before.recommendations WHERE rank <= {COMPARED}) AS before
    ON now.user_id::VARCHAR = before.user_id::VARCHAR AND now.item_id::VARCHAR = before.item_id::VARCHAR
WHERE now.user_id::VARCHAR IN (SELECT user_id::VARCHAR FROM before.users)
GROUP BY now.user_id
"""


@dataclass(frozen=True)
class Changes:
    """How the first COMPARED places of the lists have changed.

    Attributes:
        before: origin of the earlier lists.
        kept: share of the listed items that were listed before, over the users known to both; None if there are none.
        users: the users whose lists have kept the fewest items, each with the number of these and of all listed.
    """

    before: Provenance
    kept: float | None
    users: list[tuple[Id, int, int]]


@contextlib.contextmanager
def earlier_publication(layout: Layout, provenance: Provenance) -> Iterator[PublishedFile | None]:
    """Give the lists that were published before those of a provenance; None if they are not kept.

    Raises:
        RecsysError: an earlier file cannot be read.
    """
    domain = provenance.domain
    previous = [layout.previous(domain, step) for step in range(1, MAX_KEPT_LISTS + 1)]
    for path in earlier_files(layout.published(domain), *previous):
        with path_without_lock(path) as readable, PublishedFile(readable) as earlier:
            # Lists that have just been replaced may not be known as replaced yet.
            if earlier.provenance().created_at < provenance.created_at:
                yield earlier
                return
    yield None


@contextlib.contextmanager
def comparing(before: Path, now: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection to two published files, `before` and `now`, with a table `kept`.

    It has a row for each user known to both who has a list now: `user_id`, `listed` items of the first COMPARED places,
    and how many of these were `kept`.

    Raises:
        RecsysError: a file cannot be read.
    """
    with contextlib.ExitStack() as stack:
        paths = {
            name: stack.enter_context(path_without_lock(path)) for name, path in (("before", before), ("now", now))
        }
        connection = stack.enter_context(duckdb.connect(config={"memory_limit": _MEMORY_LIMIT}))
        try:
            for name, path in paths.items():
                connection.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS {name} (READ_ONLY)")
            connection.execute(_KEPT)
        except duckdb.Error as error:
            raise unreadable(now, error) from error
        yield connection


def compare(earlier: PublishedFile, published: Path, n: int) -> Changes:
    """Return how the lists of a published file differ from earlier ones, with the n users of the largest change.

    Raises:
        RecsysError: a file cannot be read.
    """
    with comparing(earlier.path, published) as connection:
        ((share,),) = connection.execute("SELECT sum(kept) / sum(listed) FROM kept").fetchall()
        users = connection.execute(
            "SELECT user_id, kept, listed FROM kept ORDER BY kept / listed, user_id LIMIT ?", [n]
        ).fetchall()
    return Changes(earlier.provenance(), share, users)
