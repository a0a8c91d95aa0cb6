"""Check how old the published lists of each domain are.

Dagster's freshness policies apply to a whole asset, so new lists of one domain would hide old lists of another. This
check is evaluated for each domain: in every retrain, and by a sensor in between.
"""

from datetime import UTC, datetime

import dagster as dg

from recsys_dagster.errors import RecsysError
from recsys_dagster.lifecycle.waiting import Waiting, find_waiting
from recsys_dagster.orchestration.partitions import for_each_domain
from recsys_dagster.orchestration.previews import ignore_preview_warnings
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.runtime.units import DAY_SECONDS
from recsys_dagster.serving.lookup import open_without_lock

ignore_preview_warnings()


FRESH = dg.AssetCheckKey(dg.AssetKey(["serving", "recommendations"]), "lists_are_fresh")


@for_each_domain(dg.asset_check, asset=FRESH.asset_key)
def lists_are_fresh(context: dg.AssetCheckExecutionContext, recsys: Recsys) -> dg.AssetCheckResult:
    """The published lists are not older than RECSYS_STALE_DAYS."""
    passed, description = check_age(recsys, context.partition_key)
    return dg.AssetCheckResult(passed=passed, description=description)


def check_age(recsys: Recsys, domain: str) -> tuple[bool, str]:
    """Return whether the lists of the domain are newer than RECSYS_STALE_DAYS, and a description of their age."""
    path, allowed = recsys.layout.published(domain), recsys.settings.stale_days
    waiting = find_waiting(recsys.layout, domain)
    if not path.exists():
        is_waiting = waiting is not None and _days_since(waiting.lists.made_at) <= allowed
        return is_waiting, f"{domain}: no lists are published yet{_hint(waiting)}"
    try:
        with open_without_lock(path) as published:
            days = _days_since(published.provenance().created_at)
    except RecsysError as error:
        return False, f"{domain}: {error}"
    return days <= allowed, f"{domain}: the lists are {days:.1f} days old; {allowed:g} are allowed{_hint(waiting)}"


def _days_since(made_at: datetime) -> float:
    return (datetime.now(UTC) - made_at.replace(tzinfo=UTC)).total_seconds() / DAY_SECONDS


def _hint(waiting: Waiting | None) -> str:
    return f"; those of {waiting.decision.model} wait for `recsys approve`" if waiting else ""
