"""Find what the rules of a domain forbid in a published file, or in one that is about to be published."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys_dagster.serving.database import path_without_lock, unreadable
from recsys_dagster.serving.recommendation import Id
from recsys_dagster.serving.rules import Rules, capped_groups, today

_MEMORY_LIMIT = "512MB"


@dataclass(frozen=True)
class RuleHits:
    """What the rules forbid.

    Attributes:
        items: number of items of the catalogue that each rule forbids, by the rule.
        entries: number of entries of lists that each rule forbids, likewise.
        over_caps: number of times that a list holds more items of a group than its cap.
        unknown: ids that a rule names and no item has.
    """

    items: dict[str, int]
    entries: dict[str, int]
    over_caps: int
    unknown: list[str]


def rule_hits(path: Path, rules: Rules) -> RuleHits:
    """Apply the rules of today to the lists of a published file.

    Raises:
        RecsysError: the file cannot be read.
    """
    with path_without_lock(path) as readable:
        try:
            with duckdb.connect(readable, read_only=True) as connection:
                connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
                return _rule_hits(connection, rules)
        except duckdb.Error as error:
            raise unreadable(path, error) from error


def _rule_hits(connection: duckdb.DuckDBPyConnection, rules: Rules) -> RuleHits:
    day = today()
    reasons: dict[Id, str] = {}
    capped: list[tuple[Id, str, int]] = []
    known: set[str] = set()
    reader = connection.sql("SELECT item_id, genres, creators, is_adult FROM items").to_arrow_reader(10_000)
    for batch in reader:
        for item in batch.to_pylist():
            known.add(str(item["item_id"]))
            if (reason := rules.forbids(item, day)) is not None:
                reasons[item["item_id"]] = reason
            if rules.caps:
                capped += [(item["item_id"], group.name, group.cap) for group in capped_groups(rules.caps, item)]
    named = {*rules.never.items, *rules.always.items, *rules.never.unavailable_since}
    return RuleHits(
        dict(Counter(reasons.values())),
        _entries(connection, reasons),
        _over_caps(connection, capped),
        sorted(named - known),
    )


def _entries(connection: duckdb.DuckDBPyConnection, reasons: dict[Id, str]) -> dict[str, int]:
    """Return the number of entries of lists by the rule that forbids their item."""
    import pyarrow as pa

    if not reasons:
        return {}
    connection.register("forbidden", pa.table({"item_id": list(reasons), "reason": list(reasons.values())}))
    query = "SELECT reason, count(*) FROM recommendations JOIN forbidden USING (item_id) GROUP BY ALL ORDER BY ALL"
    return dict(connection.execute(query).fetchall())


def _over_caps(connection: duckdb.DuckDBPyConnection, capped: list[tuple[Id, str, int]]) -> int:
    """Return how many times a list holds more items of a group than its cap.

    Args:
        connection: to the published file.
        capped: (item, group, cap) of each item of each group.
    """
    import pyarrow as pa

    if not capped:
        return 0
    items, groups, caps = zip(*capped, strict=True)
    connection.register("capped", pa.table({"item_id": items, "capped_group": groups, "cap": caps}))
    count: int = connection.execute(
        """
        SELECT count(*)
        FROM (
            SELECT 1
            FROM recommendations
            JOIN capped USING (item_id)
            GROUP BY user_id, capped_group
            HAVING count(*) > any_value(cap)
        )
        """
    ).fetchall()[0][0]
    return count
