"""Checks of the cleaned tables, against themselves and against what is published."""

import math
from collections.abc import Sequence

from recsys_dagster.quality.findings import Finding, none_of
from recsys_dagster.quality.reference import ITEM_RATINGS, NOTHING_YET, RATING_COUNTS, VOLUMES, with_reference
from recsys_dagster.warehouse.build import reconcile
from recsys_dagster.warehouse.domain_run import DomainRun

FLOOR = 1e-4
"""Share that stands for none, so that the index stays finite."""


def every_row_is_kept_or_rejected(run: DomainRun) -> list[Finding]:
    """Each line of each raw file is in a cleaned table or in clean.rejected: rows in = kept + rejected.

    Cure: this is a fault of the SQL under sql/, not of the data; compare the rows of clean.source_files with the file,
    and do not publish until it is mended.
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
    """Of no raw file is a greater share of the rows rejected than RECSYS_MAX_REJECTED.

    Cure: `SELECT reason, count(*) FROM clean.rejected GROUP BY ALL` says why; the columns `source_file`, `line` and
    `raw` show which lines. A changed format of the publisher is mended in sql/sources/; if the rows are rightly
    rejected, set RECSYS_MAX_REJECTED higher.
    """
    limit = run.settings.max_rejected
    findings = []
    for account in reconcile(run.warehouse):
        share = sum(account.rejected.values()) / max(account.rows_in, 1)
        reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in account.rejected.items())
        found = f"{share:.2%}" + (f" ({reasons})" if reasons else "")
        findings.append(Finding(f"rejected rows of {account.file}", f"at most {limit:.0%}", found, share <= limit))
    return findings


def ratings_are_on_the_scale(run: DomainRun) -> list[Finding]:
    """Every cleaned rating is a number on the domain's scale, and there is one at least.

    Cure: look for the source's scale in its README; a source with another one is mapped in sql/sources/<format>/.
    """
    low, high = run.domain.scale
    with run.warehouse.connect() as connection:
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
    """Every rating and every watch is of a title that is in clean.items.

    Cure: this is a fault of the SQL under sql/clean/, which rejects such rows; build `clean` again, and if it stays
    red, look at the ids of clean.ratings that clean.items lacks.
    """
    with run.warehouse.connect() as connection:
        return [
            none_of(
                f"rows of clean.{table} without a title",
                connection.execute(
                    f"SELECT count(*) FROM clean.{table} ANTI JOIN clean.items USING (item_id)"
                ).fetchall()[0][0],
            )
            for table in ("ratings", "interactions")
        ]


def volumes_are_as_before(run: DomainRun) -> list[Finding]:
    """No table has lost or won more rows against the published lists' data than the settings allow.

    Cure: a loss is most often a file that was cut short on its way: compare the manifest under raw/ with the publisher
    and fetch again. If the change is right, allow it for one run: RECSYS_VOLUME_LOSS, RECSYS_VOLUME_GROWTH.
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
    """The ratings are distributed as in the published lists' data: population stability index within RECSYS_MAX_DRIFT.

    Below 0.1 nothing has changed, above 0.25 it is another distribution.

    Cure: look at the histogram in explore/profile. A jump in one value is most often a "not rated" that is taken for a
    rating. If people do rate otherwise now, allow it for one run: RECSYS_MAX_DRIFT.
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
    return [_drift("stability index of the ratings", rows, run.settings.max_drift)]


def items_are_as_popular_as_before(run: DomainRun) -> list[Finding]:
    """Items draw the share of the ratings that they drew in the published lists' data, by tenths of popularity.

    The titles are put in order of their ratings then and cut into ten parts with a tenth of the ratings each; new
    titles count to the least popular part. The population stability index of the parts is within RECSYS_MAX_DRIFT.

    Cure: look which titles won: a bot or a broken import rates a few titles very often. If the change is real, allow it
    for one run: RECSYS_MAX_DRIFT.
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
                SELECT item_id, ratings, (upto - 1) * 10 // (SELECT max(upto) FROM summed) AS part FROM summed
            )

            SELECT sum(coalesce(old.ratings, 0)), sum(coalesce(new.ratings, 0))
            FROM old
            FULL JOIN ({ITEM_RATINGS}) AS new USING (item_id)
            GROUP BY coalesce(old.part, 9)
            """
        ).fetchall()
    return [_drift("stability index of the titles' popularity", rows, run.settings.max_drift)]


def stability_index(counts: Sequence[tuple[int, int]]) -> float:
    """Return the population stability index of (old, new) counts: the sum of (q - p) ln(q / p) over their shares.

    Of two identical distributions it is 0. A share below 0.0001 is taken for that.

    Source: Siddiqi, Credit Risk Scorecards, 2006, chapter 10.
    """
    total_old, total_new = (max(sum(column), 1) for column in zip(*counts, strict=True))
    shares = [(max(old / total_old, FLOOR), max(new / total_new, FLOOR)) for old, new in counts]
    return math.fsum((q - p) * math.log(q / p) for p, q in shares)


def _drift(what: str, counts: Sequence[tuple[int, int]], limit: float) -> Finding:
    found = stability_index(counts)
    return Finding(what, f"at most {limit:g}", f"{found:.4f}", found <= limit)
