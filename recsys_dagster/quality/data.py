"""Check the clean tables, by themselves and against the data of the published lists."""

import math
from collections.abc import Sequence

from recsys_dagster.ingest.feedback import FEEDBACK_FILE
from recsys_dagster.quality.findings import Finding, none_of
from recsys_dagster.quality.reference import ITEM_RATINGS, NOTHING_YET, RATING_COUNTS, VOLUMES, with_reference
from recsys_dagster.runtime.formatting import format_row, format_share
from recsys_dagster.runtime.text import printable
from recsys_dagster.warehouse.build import reconcile
from recsys_dagster.warehouse.domain_run import DomainRun

FLOOR = 1e-4
"""Least share in the stability index, which would be infinite for a share of 0."""


def every_row_is_kept_or_rejected(run: DomainRun) -> list[Finding]:
    """Each row of each raw file is in a clean table or in clean.rejected: rows in = kept + rejected.

    Cure: this is a fault of the SQL under sql/, not of the data; compare the rows of clean.source_files with the file,
    and do not publish until it is fixed.
    """
    return [
        Finding(
            f"rows of {account.file}",
            f"{account.rows_in:,}",
            f"{account.kept:,} kept + {sum(account.rejected.values()):,} rejected",
            account.rows_in == account.kept + sum(account.rejected.values()),
        )
        for account in reconcile(run.warehouse)
    ]


def few_rows_are_rejected(run: DomainRun) -> list[Finding]:
    """The share of rejected rows is at most RECSYS_MAX_REJECTED in every raw file of the source.

    Feedback is not meant: users click again and again, and on items that have gone since.

    Cure: `SELECT reason, count(*) FROM clean.rejected GROUP BY ALL` shows the reasons; the columns `source_file`,
    `line` and `raw` show the rows. Fix the file, or sql/sources/ if its format has changed; if the rows are rightly
    rejected, set RECSYS_MAX_REJECTED higher.
    """
    limit = run.settings.max_rejected
    accounts = [account for account in reconcile(run.warehouse) if account.file != FEEDBACK_FILE]
    with run.warehouse.connect() as connection:
        examples = {
            (file, reason): (line, raw)
            for file, reason, line, raw in connection.execute(
                "SELECT source_file, reason, min(line), arg_min(raw, line) FROM clean.rejected GROUP BY ALL"
            ).fetchall()
        }
    findings = []
    for account in accounts:
        rejected = sum(account.rejected.values())
        share = rejected / max(account.rows_in, 1)
        reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in account.rejected.items())
        message = (
            f"{account.file}: {format_share(share)} of {account.rows_in:,} rows were rejected"
            f" (at most {format_share(limit)})"
        )
        if account.rejected:
            commonest = max(account.rejected, key=account.rejected.__getitem__)
            message += f": {reasons}, such as {format_row(*examples[account.file, commonest])}"
        found = format_share(share) + (f" ({reasons})" if reasons else "")
        findings.append(
            Finding(
                f"rejected rows of {account.file}", f"at most {format_share(limit)}", found, share <= limit, message
            )
        )
    return findings


def few_times_are_lost(run: DomainRun) -> list[Finding]:
    """The share of times that cannot be read, or are implausible, is at most RECSYS_MAX_REJECTED in every raw file.

    Cure: write times as seconds, milli-, micro- or nanoseconds since 1970, or as text such as 2013-03-03 10:52:53, and
    fetch again; or say `time_format`, such as day-first, in the declaration of a dataset. Without it the run goes on:
    these ratings have no time and, if they are more than 1 %, folds are cut by hash.
    """
    limit = run.settings.max_rejected
    with run.warehouse.connect() as connection:
        files = connection.execute(
            "SELECT source_file, times, times_lost, lost_time FROM clean.source_files WHERE times > 0 ORDER BY ALL"
        ).fetchall()
    findings = []
    for file, times, lost, example in files:
        message = f"{file}: {format_share(lost / times)} of {times:,} times were lost (at most {format_share(limit)})"
        message += f", such as `{printable(example[:100])}`" if example else ""
        findings.append(
            Finding(
                f"lost times of {file}",
                f"at most {format_share(limit)}",
                format_share(lost / times),
                lost / times <= limit,
                message,
            )
        )
    return findings


def ratings_are_on_the_scale(run: DomainRun) -> list[Finding]:
    """Every clean rating is a number on the scale of the dataset, and there is at least one.

    With implicit feedback there is at least one interaction, and no rating.

    Cure: look up the scale of the source in its README; another scale is mapped in sql/sources/<format>/.
    """
    scale = run.origin.scale
    with run.warehouse.connect() as connection:
        if scale is None:
            interactions, ratings = connection.execute(
                "SELECT (SELECT count(*) FROM clean.interactions), (SELECT count(*) FROM clean.ratings)"
            ).fetchall()[0]
            return [
                Finding("interactions", "at least 1", f"{interactions:,}", interactions > 0),
                none_of("ratings in implicit feedback", ratings),
            ]
        low, high = scale
        rows, outside = connection.execute(
            "SELECT count(*), count(*) FILTER (rating IS NULL OR isnan(rating) OR rating NOT BETWEEN ? AND ?)"
            " FROM clean.ratings",
            [low, high],
        ).fetchall()[0]
    return [
        Finding("ratings", "at least 1", f"{rows:,}", rows > 0),
        none_of(f"ratings outside of {low:g} to {high:g}", outside),
    ]


def nothing_is_orphaned(run: DomainRun) -> list[Finding]:
    """Every rating and every interaction is of an item in clean.items.

    Cure: this is a fault of the SQL under sql/clean/, which rejects such rows; build `clean` again, and if it still
    fails, look for the ids in clean.ratings that clean.items lacks.
    """
    with run.warehouse.connect() as connection:
        return [
            none_of(
                f"rows of clean.{table} without an item",
                connection.execute(
                    f"SELECT count(*) FROM clean.{table} ANTI JOIN clean.items USING (item_id)"
                ).fetchall()[0][0],
            )
            for table in ("ratings", "interactions")
        ]


def volumes_are_as_before(run: DomainRun) -> list[Finding]:
    """No table has lost or gained more rows since the published lists were made than the settings allow.

    Cure: most losses are incomplete downloads: compare the manifest under raw/ with the publisher and fetch again. If
    the change is right, allow it for one run: RECSYS_VOLUME_LOSS, RECSYS_VOLUME_GROWTH.
    """
    least, most = 1 - run.settings.volume_loss, 1 + run.settings.volume_growth
    with with_reference(run) as (connection, comparable):
        if not comparable:
            return [NOTHING_YET]
        rows = connection.execute(
            f"SELECT name, old.rows, new.rows FROM last_volumes AS old JOIN ({VOLUMES}) AS new USING (name) ORDER BY 1"
        ).fetchall()
    return [
        Finding(name, f"{least * old:,.0f} to {most * old:,.0f}", f"{new:,}", least * old <= new <= most * old)
        for name, old, new in rows
    ]


def ratings_are_distributed_as_before(run: DomainRun) -> list[Finding]:
    """The ratings have the distribution that they had when the published lists were made.

    Their population stability index is at most RECSYS_MAX_DRIFT; below 0.1 is no change, above 0.25 is another
    distribution.

    Cure: look at the histogram in explore/profile. A jump of one value is most often a "not rated" that was read as a
    rating. If users really rate differently now, allow it for one run: RECSYS_MAX_DRIFT.
    """
    with with_reference(run) as (connection, comparable):
        if not comparable:
            return [NOTHING_YET]
        rows = connection.execute(
            f"""
            SELECT coalesce(old.ratings, 0), coalesce(new.ratings, 0)
            FROM last_rating_counts AS old
            FULL JOIN ({RATING_COUNTS}) AS new USING (rating)
            """
        ).fetchall()
    if not rows:
        return [Finding("ratings", "distributed as before", "none, before and now", True)]
    return [_drift("stability index of the ratings", rows, run.settings.max_drift)]


def items_are_as_popular_as_before(run: DomainRun) -> list[Finding]:
    """Popular and less popular items have the share of ratings that they had when the published lists were made.

    The items are sorted by their number of ratings then and cut into ten parts with a tenth of the ratings each; new
    items are in the least popular part. The population stability index of the parts is at most RECSYS_MAX_DRIFT. Where
    there are no ratings, interactions count.

    Cure: look for the items with many new ratings: a bot or a broken import rates a few items very often. If the change
    is real, allow it for one run: RECSYS_MAX_DRIFT.
    """
    with with_reference(run) as (connection, comparable):
        if not comparable:
            return [NOTHING_YET]
        rows = connection.execute(
            f"""
            WITH summed AS (
                SELECT item_id, ratings, sum(ratings) OVER (ORDER BY ratings DESC, item_id) AS upto
                FROM last_item_ratings
            ),

            old AS (
                SELECT item_id::VARCHAR AS item_id, ratings, (upto - 1) * 10 // (SELECT max(upto) FROM summed) AS part
                FROM summed
            )

            SELECT sum(coalesce(old.ratings, 0)), sum(coalesce(new.ratings, 0))
            FROM old
            FULL JOIN ({ITEM_RATINGS}) AS new USING (item_id)
            GROUP BY coalesce(old.part, 9)
            """
        ).fetchall()
    return [_drift("stability index of the popularity of items", rows, run.settings.max_drift)]


def stability_index(counts: Sequence[tuple[int, int]]) -> float:
    """Compute the population stability index: the sum of (q - p) ln(q / p) over the old shares p and new shares q.

    It is 0 for identical distributions. Shares below 0.0001 count as 0.0001.

    Source: Siddiqi, Credit Risk Scorecards, 2006, chapter 10.

    Args:
        counts: (old, new) count of each value.
    """
    total_old, total_new = (max(sum(column), 1) for column in zip(*counts, strict=True))
    shares = [(max(old / total_old, FLOOR), max(new / total_new, FLOOR)) for old, new in counts]
    return math.fsum((q - p) * math.log(q / p) for p, q in shares)


def _drift(what: str, counts: Sequence[tuple[int, int]], limit: float) -> Finding:
    index = stability_index(counts)
    return Finding(what, f"at most {limit:g}", f"{index:.4f}", index <= limit)
