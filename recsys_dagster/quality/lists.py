"""Checks of finished lists, in the file that is to be published and is not yet."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recsys_dagster.errors import RecsysError
from recsys_dagster.quality.findings import Finding, none_of
from recsys_dagster.quality.reference import attach
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.warehouse.domain_run import DomainRun

if TYPE_CHECKING:
    import duckdb

OWNED = "is_rated OR coalesce(status, 'completed') <> 'plan_to_watch'"
"""Of clean.interactions: what is rated, watched, given up or put aside; what is only planned may be recommended."""


def lists_hold_nothing_seen(run: DomainRun) -> list[Finding]:
    """No list has a title that its user has rated, watched, given up or put aside.

    Cure: this is a fault of the model's code or of the ids behind its indices. The published lists are as they were;
    leave the model out of RECSYS_MODELS and run again.
    """
    query = f"SELECT count(*) FROM built.recommendations JOIN clean.interactions USING (user_id, item_id) WHERE {OWNED}"
    return [none_of("recommended titles that the user has", _count(run, query))]


def lists_hold_known_items(run: DomainRun) -> list[Finding]:
    """Every title in a list is in clean.items.

    Cure: the lists were made from other titles than the warehouse has now; materialise serving/lists again.
    """
    query = "SELECT count(*) FROM built.recommendations ANTI JOIN clean.items USING (item_id)"
    return [none_of("recommended titles that are unknown", _count(run, query))]


def lists_hold_nothing_twice(run: DomainRun) -> list[Finding]:
    """No list has a title twice, nor two titles of one rank.

    Cure: this is a fault of the model's code; leave it out of RECSYS_MODELS and run again.
    """
    twice = "SELECT count(*) FROM (SELECT 1 FROM built.recommendations GROUP BY user_id, {0} HAVING count(*) > 1)"
    return [
        none_of(f"{what} that come twice in a list", _count(run, twice.format(column)))
        for what, column in (("titles", "item_id"), ("ranks", "rank"))
    ]


def every_user_has_a_list(run: DomainRun) -> list[Finding]:
    """Every user has a list, but those who own every title that anybody has.

    Cure: look which users have none and what the model knows of them; every model must fall back to popularity.
    """
    query = f"""
        SELECT count(*)
        FROM features.users
        LEFT JOIN (
            SELECT user_id, count(*) AS titles FROM clean.interactions WHERE {OWNED} GROUP BY user_id
        ) USING (user_id)
        WHERE
            user_id NOT IN (SELECT user_id FROM built.recommendations)
            AND coalesce(titles, 0) < (SELECT count(DISTINCT item_idx) FROM features.interactions)
    """
    return [none_of("users without a list", _count(run, query))]


OF_LISTS = (lists_hold_nothing_seen, lists_hold_known_items, lists_hold_nothing_twice, every_user_has_a_list)


def failed_list_checks(run: DomainRun) -> list[Finding]:
    """Return what is wrong with the lists that are to be published; nothing if they may be."""
    return [finding for check in OF_LISTS for finding in check(run) if not finding.passed]


def overlap_with_published(run: DomainRun) -> float | None:
    """Return which share of the first ten published items is also in the first ten of the new lists.

    The mean over the users who have a list in both; None if nothing is published or the published file cannot be read.
    """
    try:
        with open_without_lock(run.layout.published(run.domain.name)) as published:
            last = published.to_arrow("SELECT user_id, item_id FROM recommendations WHERE rank <= 10")
    except RecsysError:
        return None
    with _beside_the_built(run) as connection:
        connection.register("last_recommendations", last)
        rows = connection.execute(
            """
            WITH common AS (
                SELECT old.user_id, avg(CASE WHEN new.item_id IS NULL THEN 0 ELSE 1 END) AS share
                FROM last_recommendations AS old
                LEFT JOIN built.recommendations AS new
                    ON new.user_id = old.user_id AND new.item_id = old.item_id AND new.rank <= 10
                GROUP BY old.user_id
            )

            SELECT avg(share) FROM common WHERE user_id IN (SELECT user_id FROM built.recommendations)
            """
        ).fetchall()
    share: float | None = rows[0][0]
    return share


@contextmanager
def _beside_the_built(run: DomainRun) -> "Iterator[duckdb.DuckDBPyConnection]":
    path = run.layout.built(run.domain.name)
    if not path.exists():
        raise RecsysError(f"{path}: no lists wait to be published; materialise serving/lists first")
    with run.warehouse.connect() as connection:
        attach(connection, path, "built")
        yield connection


def _count(run: DomainRun, query: str) -> int:
    with _beside_the_built(run) as connection:
        count: int = connection.execute(query).fetchall()[0][0]
    return count
