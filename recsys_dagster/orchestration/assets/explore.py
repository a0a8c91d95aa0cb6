"""The group `explore`: what to look at first in new data."""

import dagster as dg

from recsys_dagster.orchestration.asset_keys import keys
from recsys_dagster.orchestration.metadata import Materialized, picture, stage_tags, usage_metadata
from recsys_dagster.orchestration.partitions import for_each_domain
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.reports.data_plots import profile_figures
from recsys_dagster.reports.data_profile import read_profile
from recsys_dagster.runtime.resource_usage import track_resources


@for_each_domain(
    dg.asset,
    key=["explore", "profile"],
    group_name="explore",
    kinds={"duckdb", "matplotlib"},
    tags=stage_tags("explore"),
    deps=keys("clean", ("items", "ratings", "interactions", "rejected")),
)
def data_profile(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
    """The data at a glance: plots of ratings, kinds, genres, years, and the activity of users and items."""
    run = recsys.hold(context.partition_key)
    with track_resources() as usage:
        with run.warehouse.connect() as connection:
            summary = read_profile(connection)
        pictures = {title: picture(svg) for title, svg in profile_figures(summary)}
    return dg.MaterializeResult(metadata={**summary.counts, **pictures, **usage_metadata(usage)})
