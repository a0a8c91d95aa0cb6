"""Check the finished lists in the file that is about to be published."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_dagster.errors import RecsysError
from recsys_dagster.quality.findings import Finding, none_of
from recsys_dagster.quality.reference import attach
from recsys_dagster.serving.database import path_without_lock
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.serving.rule_hits import rule_hits
from recsys_dagster.serving.rules import read_rules
from recsys_dagster.warehouse.domain_run import DomainRun
from recsys_dagster.warehouse.origin import Origin, origin_of

if TYPE_CHECKING:
    import duckdb

EXCLUDED = "is_rated OR coalesce(status, 'completed') <> 'plan_to_watch'"
"""Condition on clean.interactions: all but the items that a user only plans may not be recommended."""


def lists_hold_nothing_seen(run: DomainRun) -> list[Finding]:
    """No list has an item that its user has rated, watched, dropped or put on hold.

    Cure: this is a fault of the model's code or of the ids of its indices. The published lists are unchanged; remove
    the model from RECSYS_MODELS and run again.
    """
    query = f"SELECT count(*) FROM listed JOIN clean.interactions USING (user_id, item_id) WHERE {EXCLUDED}"
    return [none_of("recommended items that the user has", _count(run, query))]


def lists_hold_known_items(run: DomainRun) -> list[Finding]:
    """Every item in a list is in clean.items.

    Cure: the lists were made from other items than the warehouse has now; materialise serving/lists again.
    """
    query = "SELECT count(*) FROM listed ANTI JOIN clean.items USING (item_id)"
    return [none_of("recommended items that are unknown", _count(run, query))]


def lists_hold_nothing_twice(run: DomainRun) -> list[Finding]:
    """No list repeats an item or a rank.

    Cure: this is a fault of the model's code; remove the model from RECSYS_MODELS and run again.
    """
    repeated = "SELECT count(*) FROM (SELECT 1 FROM built.recommendations GROUP BY user_id, {0} HAVING count(*) > 1)"
    return [
        none_of(f"{what} that are repeated in a list", _count(run, repeated.format(column)))
        for what, column in (("items", "item_id"), ("ranks", "rank"))
    ]


def every_user_has_a_list(run: DomainRun) -> list[Finding]:
    """Every user has a list, except those who have every item that any user has.

    Cure: find the users without a list and what the model knows of them; every model must fall back to popularity.
    """
    query = f"""
        SELECT count(*)
        FROM features.users
        LEFT JOIN (
            SELECT user_id, count(*) AS items FROM clean.interactions WHERE {EXCLUDED} GROUP BY user_id
        ) USING (user_id)
        WHERE
            user_id NOT IN (SELECT user_id FROM listed WHERE user_id IS NOT NULL)
            AND coalesce(items, 0) < (SELECT count(DISTINCT item_idx) FROM features.interactions)
    """
    return [none_of("users without a list", _count(run, query))]


def lists_hold_nothing_forbidden(run: DomainRun) -> list[Finding]:
    """No list has an item that the rules of the domain forbid today, or more of a genre or creator than they allow.

    Cure: the rules changed, or a day came, after the lists were made; materialise serving/lists again.
    """
    return forbidden_in(_built(run), run.layout.rules(run.domain.name))


def forbidden_in(lists: Path, rules_file: Path) -> list[Finding]:
    """Return the findings of `lists_hold_nothing_forbidden` on a file, which need nothing but that file and the rules.

    Raises:
        RecsysError: the rules or the lists cannot be read.
    """
    rules = read_rules(rules_file)
    if not rules:
        return [none_of("recommended items that a rule forbids", 0)]
    hits = rule_hits(lists, rules)
    by_rule = ", ".join(hits.entries)
    return [
        none_of(
            f"recommended items that a rule forbids{f' ({by_rule})' if by_rule else ''}", sum(hits.entries.values())
        ),
        none_of("groups of a list that exceed a cap of the rules", hits.over_caps),
    ]


OF_LISTS = (
    lists_hold_nothing_seen,
    lists_hold_known_items,
    lists_hold_nothing_twice,
    every_user_has_a_list,
    lists_hold_nothing_forbidden,
)


def failed_list_checks(run: DomainRun) -> list[Finding]:
    """Return the failed findings on the lists that are about to be published."""
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
    with _connect_with_built(run) as connection:
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


def _built(run: DomainRun) -> Path:
    path = run.layout.built(run.domain.name)
    if not path.exists():
        raise RecsysError(f"{path}: no lists are ready to be published; materialise serving/lists first")
    return path


@contextmanager
def _connect_with_built(run: DomainRun) -> "Iterator[duckdb.DuckDBPyConnection]":
    with path_without_lock(_built(run)) as readable, run.warehouse.connect() as connection:
        attach(connection, readable, "built")
        _create_listed(connection, origin_of(connection, run.warehouse))
        yield connection


def _create_listed(connection: "duckdb.DuckDBPyConnection", origin: Origin) -> None:
    """Create the view `listed`: the recommended pairs by the keys of the warehouse; NULL for an id that has none."""
    keys, joins = [], []
    for kind, ids in (("user", origin.user_ids), ("item", origin.item_ids)):
        keys.append(f"{f'{kind}s' if ids == 'text' else 'listed'}.{kind}_id")
        if ids == "text":
            joins.append(f"LEFT JOIN clean.{kind}s AS {kind}s ON {kind}s.source_id = listed.{kind}_id")
    connection.execute(
        f"CREATE TEMP VIEW listed AS SELECT {keys[0]} AS user_id, {keys[1]} AS item_id"
        f" FROM built.recommendations AS listed {' '.join(joins)}"
    )


def _count(run: DomainRun, query: str) -> int:
    with _connect_with_built(run) as connection:
        count: int = connection.execute(query).fetchall()[0][0]
    return count
