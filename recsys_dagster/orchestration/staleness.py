"""Check how old the published lists of each domain are.

Dagster's freshness policies apply to a whole asset, so new lists of one domain would hide old lists of another. This
check is evaluated for each domain: in every retrain, and by a sensor in between.
"""

from datetime import UTC, datetime

import dagster as dg

from recsys_dagster.errors import RecsysError
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
    if not path.exists():
        return False, f"{domain}: no lists are published yet"
    try:
        with open_without_lock(path) as published:
            created_at = published.provenance().created_at.replace(tzinfo=UTC)
    except RecsysError as error:
        return False, f"{domain}: {error}"
    days = (datetime.now(UTC) - created_at).total_seconds() / DAY_SECONDS
    return days <= allowed, f"{domain}: the lists are {days:.1f} days old; {allowed:g} are allowed"
