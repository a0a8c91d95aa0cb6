"""How old the published lists of each domain are.

A freshness policy of Dagster's is of an asset as a whole, and one domain's lists would hide the age of the other's; so
this is a check that is judged for each domain on its own: in every retrain, and in between by a sensor.
"""

import time
import warnings

import dagster as dg

from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.runtime.units import DAY_SECONDS

# Checks with partitions are a preview in 1.13: that, and no other warning, is expected.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


@dg.asset_check(asset=["serving", "recommendations"], partitions_def=domain_partitions)
def lists_are_fresh(context: dg.AssetCheckExecutionContext, recsys: dg.ResourceParam[Recsys]) -> dg.AssetCheckResult:
    """The published lists are not older than RECSYS_STALE_DAYS."""
    passed, said = judge_age(recsys, context.partition_key)
    return dg.AssetCheckResult(passed=passed, description=said)


def judge_age(recsys: Recsys, domain: str) -> tuple[bool, str]:
    """Return whether the domain's lists are as new as they have to be, and their age in words."""
    path, allowed = recsys.layout.published(domain), recsys.settings.stale_days
    if not path.exists():
        return False, f"{domain}: no lists are published yet"
    days = (time.time() - path.stat().st_mtime) / DAY_SECONDS
    return days <= allowed, f"{domain}: the lists are {days:.1f} days old; {allowed:g} are allowed"
