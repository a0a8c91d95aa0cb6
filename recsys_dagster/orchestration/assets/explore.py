"""The group `explore`: what one wants to see of new data."""

import dagster as dg

from recsys_dagster.orchestration.asset_keys import keys
from recsys_dagster.orchestration.metadata import Materialized, picture, usage_metadata
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.reports.data_plots import profile_figures
from recsys_dagster.reports.data_profile import read_profile
from recsys_dagster.runtime.resource_usage import track_resources


@dg.asset(
    key=["explore", "profile"],
    group_name="explore",
    partitions_def=domain_partitions,
    kinds={"duckdb", "matplotlib"},
    deps=keys("clean", ("items", "ratings", "interactions", "rejected")),
)
def data_profile(context: dg.AssetExecutionContext, recsys: dg.ResourceParam[Recsys]) -> Materialized:
    """The data at a glance: ratings, kinds, genres, years, activity of users and titles."""
    run = recsys.hold(context.partition_key)
    with track_resources() as usage:
        with run.warehouse.connect() as connection:
            found = read_profile(connection)
        pictures = {title: picture(svg) for title, svg in profile_figures(found)}
    return dg.MaterializeResult(metadata={**found.counts, **pictures, **usage_metadata(usage)})
