"""Build the Definitions: one builder, which production, the command line and the tests all use."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

import dagster as dg

from recsys_dagster.ingest.domain_lookup import known_domains
from recsys_dagster.models.registry import model_names
from recsys_dagster.models.selection import selected_models
from recsys_dagster.orchestration.assets import evaluation, explore, models, papers, raw, serving, tables
from recsys_dagster.orchestration.checks import checks
from recsys_dagster.orchestration.jobs import build_jobs
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.orchestration.previews import ignore_preview_warnings
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.orchestration.schedules import build_schedules
from recsys_dagster.orchestration.sensors import build_sensors
from recsys_dagster.orchestration.staleness import lists_are_fresh
from recsys_dagster.settings import Settings


class Overrides(TypedDict, total=False):
    """The arguments of `dg.Definitions` that a caller may replace."""

    resources: Mapping[str, Any]
    loggers: Mapping[str, dg.LoggerDefinition]
    executor: dg.ExecutorDefinition


def build_definitions(settings: Settings, **overrides: Unpack[Overrides]) -> dg.Definitions:
    """Return all assets, checks, jobs, schedules and sensors over the given settings; opens nothing.

    Steps run in one process: the warehouse has one writer, and TensorFlow is imported once.

    Args:
        settings: of the deployment.
        overrides: replace arguments of `dg.Definitions`, such as `loggers` to show progress in another way.
    """
    ignore_preview_warnings()
    domains = known_domains(settings)
    partitions = domain_partitions(domains)
    clean = tables.with_engine(tables.clean(partitions), settings.engine)
    assets = [
        raw.raw_files(partitions),
        clean,
        explore.data_profile(partitions),
        tables.with_engine(tables.features(partitions), settings.engine),
        *(model(partitions) for model in models.models),
        *(evaluated(partitions) for evaluated in evaluation.evaluations),
        evaluation.leaderboard(partitions),
        serving.champion(partitions),
        serving.lists(partitions),
        serving.recommendations(partitions),
        serving.export(partitions),
        serving.report(partitions),
        serving.domain_comparison,
        *(paper(partitions) for paper in papers.papers),
        papers.faults(partitions),
    ]
    defaults: dict[str, Any] = {
        "resources": {"recsys": Recsys.of(settings)},
        "executor": dg.in_process_executor,
    }
    return dg.Definitions(
        assets=dg.with_source_code_references(assets),
        asset_checks=[*checks(partitions), *tables.schema_checks(clean), lists_are_fresh(partitions)],
        jobs=build_jobs(skipped=set(model_names()) - set(selected_models(settings))),
        schedules=build_schedules(settings, domains),
        sensors=build_sensors(settings, domains),
        **{**defaults, **overrides},
    )
