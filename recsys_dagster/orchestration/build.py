"""The one place where Definitions are put together; production, the command line and the tests all use it."""

from collections.abc import Mapping

import dagster as dg

from recsys_dagster.models.registry import model_names
from recsys_dagster.models.selection import selected_models
from recsys_dagster.orchestration.assets import evaluation, explore, models, papers, raw, serving, tables
from recsys_dagster.orchestration.checks import checks
from recsys_dagster.orchestration.jobs import build_jobs
from recsys_dagster.orchestration.resource import recsys_resource
from recsys_dagster.orchestration.schedules import build_schedules
from recsys_dagster.orchestration.sensors import build_sensors
from recsys_dagster.orchestration.staleness import lists_are_fresh
from recsys_dagster.settings import Settings


def build_definitions(settings: Settings, loggers: Mapping[str, dg.LoggerDefinition] | None = None) -> dg.Definitions:
    """Return all assets, checks, jobs, schedules and sensors over the given settings; opens nothing.

    Steps run in one process: the warehouse has one writer, and TensorFlow is imported once.

    Args:
        settings: what the deployment chose.
        loggers: beside Dagster's own, for those who show progress in another way.
    """
    return dg.Definitions(
        assets=[
            raw.raw_files,
            tables.clean,
            explore.data_profile,
            tables.features,
            *models.models,
            *evaluation.evaluations,
            evaluation.leaderboard,
            serving.champion,
            serving.lists,
            serving.recommendations,
            serving.report,
            serving.domain_comparison,
            papers.as_published,
            papers.faults,
        ],
        asset_checks=[*checks, lists_are_fresh],
        jobs=build_jobs(skipped=set(model_names()) - set(selected_models(settings))),
        schedules=build_schedules(settings),
        sensors=build_sensors(settings),
        resources={"recsys": recsys_resource(settings)},
        loggers=dict(loggers or {}),
        executor=dg.in_process_executor,
    )
