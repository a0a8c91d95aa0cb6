"""Say how lists that are about to be published differ from the live ones, so that a person can decide."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from recsys_dagster.data.list_lengths import SHORT_LIST
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, RATING_METRIC, label_of
from recsys_dagster.evaluation.store import CHOOSING_FOLD, MetricRow
from recsys_dagster.model_store.decisions import Decision
from recsys_dagster.serving.changes import COMPARED, comparing
from recsys_dagster.serving.item_names import name_sql
from recsys_dagster.serving.lookup import PublishedFile, open_without_lock
from recsys_dagster.serving.recommendation import Id
from recsys_dagster.serving.rule_hits import rule_hits
from recsys_dagster.serving.rules import read_rules
from recsys_dagster.warehouse.arrays import load_source_ids, load_user_activity
from recsys_dagster.warehouse.domain_run import DomainRun

SHOWN_USERS, SHOWN_ITEMS = 20, 10
PARTS = ("light", "medium", "heavy")
"""Thirds of the users by their number of interactions."""
METRICS = (
    CHOOSING_METRIC,
    MetricKey("recall", SHORT_LIST),
    MetricKey("coverage", SHORT_LIST),
    MetricKey("novelty", SHORT_LIST),
    MetricKey("genre_diversity", SHORT_LIST),
    MetricKey("miscalibration", SHORT_LIST),
    RATING_METRIC,
)


@dataclass(frozen=True)
class Figure:
    """A metric on validation with its 95 % interval, where it has one."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class MetricChange:
    """A metric of the model of the live lists and of that of the new ones; None where it has none today."""

    metric: str
    live: Figure | None
    new: Figure | None


@dataclass(frozen=True)
class PartChange:
    """How the first ten places changed for a part of the users.

    Attributes:
        part: `all`, `light`, `medium` or `heavy`.
        users: number of users who have a list in both.
        kept: mean share of the new first ten that was there before.
        unchanged: share of the users whose first ten hold the same items.
    """

    part: str
    users: int
    kept: float
    unchanged: float


@dataclass(frozen=True)
class ItemChange:
    """In how many lists an item was and is among the first ten."""

    title: str
    live: int
    new: int


@dataclass(frozen=True)
class RuleHit:
    """How many items a rule forbids, and how many entries of the live lists."""

    rule: str
    items: int
    live_entries: int


@dataclass(frozen=True)
class UserChange:
    """The titles of the first ten places of a user, and how many of the new ones were there before."""

    user_id: Id
    kept: int
    live: list[str]
    new: list[str]


@dataclass(frozen=True)
class Review:
    """How new lists differ from the live ones.

    Attributes:
        metrics: of both models on today's validation fold.
        parts: of the users; empty if nothing is live.
        gained, lost: number of items that are among the first ten of a list only now, or no longer.
        rising, falling: the items whose number of lists grew or fell most.
        rules: what the rules of the domain do.
        users: users from the most to the least changed, evenly spaced.
    """

    metrics: list[MetricChange]
    parts: list[PartChange]
    gained: int
    lost: int
    rising: list[ItemChange]
    falling: list[ItemChange]
    rules: list[RuleHit]
    users: list[UserChange]


def make_review(run: DomainRun, decision: Decision) -> Review:
    """Compare the built lists of a domain with the live ones.

    Raises:
        RecsysError: a file cannot be read.
    """
    built, live = run.layout.built(run.domain.name), run.layout.published(run.domain.name)
    with open_without_lock(built) as new:
        figures, first_users = new.metrics(CHOOSING_FOLD), new.users_with_lists(SHOWN_USERS)
        if not live.exists():
            users = [UserChange(user, 0, [], _titles(new, user)) for user in first_users]
            return Review(_metrics(figures, None, decision.model), [], 0, 0, [], [], _rules(run), users)
    with open_without_lock(live) as old:
        metrics = _metrics(figures, old.provenance().model, decision.model)
    with comparing(live, built) as connection:
        connection.register("activity", _activity(run))
        gained, lost, rising, falling = _items(connection)
        shown = _spaced_users(connection)
        parts = _parts(connection)
    with open_without_lock(live) as old, open_without_lock(built) as new:
        users = [UserChange(user, kept, _titles(old, user), _titles(new, user)) for user, kept in shown]
    return Review(metrics, parts, gained, lost, rising, falling, _rules(run), users)


def _metrics(rows: Sequence[MetricRow], live: str | None, new: str) -> list[MetricChange]:
    known = {(row.model, row.key): Figure(row.value, row.low, row.high) for row in rows if not np.isnan(row.value)}
    changes = [
        MetricChange(label_of(key), None if live is None else known.get((live, key)), known.get((new, key)))
        for key in METRICS
    ]
    return [one for one in changes if one.live or one.new]


def _titles(lists: PublishedFile, user_id: Id) -> list[str]:
    return [item.title for item in lists.recommendations(user_id, COMPARED)]


def _activity(run: DomainRun) -> pa.Table:
    """Return the number of interactions of each user, by the id in the source."""
    user_ids, _ = load_source_ids(run.warehouse)
    return pa.table({"user_id": user_ids, "interactions": load_user_activity(run.warehouse)})


def _parts(connection: duckdb.DuckDBPyConnection) -> list[PartChange]:
    rows = connection.execute(
        """
        WITH thirds AS (
            SELECT user_id::VARCHAR AS user_id, ntile(3) OVER (ORDER BY interactions, user_id) AS third FROM activity
        )

        SELECT third, count(*), avg(kept / listed), avg((kept = listed)::INTEGER)
        FROM kept
        INNER JOIN thirds ON kept.user_id::VARCHAR = thirds.user_id
        GROUP BY GROUPING SETS ((), (third))
        ORDER BY third NULLS FIRST
        """
    ).fetchall()
    return [
        PartChange("all" if third is None else PARTS[third - 1], users, kept, unchanged)
        for third, users, kept, unchanged in rows
        if users
    ]


def _items(connection: duckdb.DuckDBPyConnection) -> tuple[int, int, list[ItemChange], list[ItemChange]]:
    """Return how many items are new and lost, and those whose number of lists grew and fell most."""
    connection.execute(
        f"""
        CREATE TEMP TABLE items AS
        SELECT
            coalesce(new.item_id, old.item_id) AS item_id,
            coalesce(old.lists, 0) AS live,
            coalesce(new.lists, 0) AS new
        FROM (
            SELECT item_id::VARCHAR AS item_id, count(*) AS lists
            FROM now.recommendations WHERE rank <= {COMPARED} GROUP BY ALL
        ) AS new
        FULL JOIN (
            SELECT item_id::VARCHAR AS item_id, count(*) AS lists
            FROM before.recommendations WHERE rank <= {COMPARED} GROUP BY ALL
        ) AS old USING (item_id)
        """
    )
    counts = connection.execute("SELECT count(*) FILTER (live = 0), count(*) FILTER (new = 0) FROM items").fetchall()[0]
    rising, falling = (
        [
            ItemChange(*row)
            for row in connection.execute(
                f"""
                SELECT coalesce({name_sql("described")}, {name_sql("earlier")}), live, new
                FROM items
                LEFT JOIN now.items AS described ON described.item_id::VARCHAR = items.item_id
                LEFT JOIN before.items AS earlier ON earlier.item_id::VARCHAR = items.item_id
                WHERE {condition}
                ORDER BY new - live {order}, items.item_id
                LIMIT {SHOWN_ITEMS}
                """
            ).fetchall()
        ]
        for condition, order in (("new > live", "DESC"), ("new < live", "ASC"))
    )
    return (*counts, rising, falling)


def _spaced_users(connection: duckdb.DuckDBPyConnection) -> list[tuple[Id, int]]:
    """Return users from the most to the least changed, evenly spaced, with the number of items that they keep."""
    ordered = "SELECT user_id, kept, row_number() OVER (ORDER BY kept / listed, user_id) - 1 AS place FROM kept"
    ((n,),) = connection.execute("SELECT count(*) FROM kept").fetchall()
    places = sorted(set(np.linspace(0, n - 1, min(n, SHOWN_USERS)).astype(int).tolist()))
    query = f"SELECT user_id, kept FROM ({ordered}) WHERE list_contains(?, place) ORDER BY place"
    return connection.execute(query, [places]).fetchall() if places else []


def _rules(run: DomainRun) -> list[RuleHit]:
    rules = read_rules(run.layout.rules(run.domain.name))
    if not rules:
        return []
    live, built = run.layout.published(run.domain.name), run.layout.built(run.domain.name)
    before = rule_hits(live, rules).entries if live.exists() else {}
    items = rule_hits(built, rules).items
    return [RuleHit(rule, items.get(rule, 0), before.get(rule, 0)) for rule in sorted({*items, *before})]
