"""The groups `models_<family>`: one asset for each model of the registry, which fits it and stores the version."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.attempt import State, attempt
from recsys_dagster.models.base import Model
from recsys_dagster.models.budget import Size
from recsys_dagster.models.capabilities import RatingPredictor
from recsys_dagster.models.ensembles.ensemble import Ensemble
from recsys_dagster.models.rating import RatingModel
from recsys_dagster.models.registry import get_model_class, model_family, model_names
from recsys_dagster.models.reuse import remember
from recsys_dagster.models.selection import budget_of
from recsys_dagster.orchestration.asset_keys import TRAINING_DATA, keys
from recsys_dagster.orchestration.metadata import (
    Materialized,
    location,
    picture,
    source_references,
    stage_tags,
    usage_metadata,
)
from recsys_dagster.orchestration.model_config import choose_params, config_schema
from recsys_dagster.orchestration.outcomes import conclude, fitted_check
from recsys_dagster.orchestration.partitions import Partitioned, for_each_domain
from recsys_dagster.orchestration.pools import FITTING
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.orchestration.spark_pipes import spark_through
from recsys_dagster.reports.model_plots import learning_curves
from recsys_dagster.runtime.resource_usage import track_resources
from recsys_dagster.warehouse.arrays import id_map_hash, load_training_data


def model_description(model_class: type[Model]) -> str:
    """Return the model's summary, as on the report, and its docstring below."""
    text = inspect.getdoc(model_class) or ""
    return text if text.startswith(model_class.summary) else f"{model_class.summary}\n\n{text}".strip()


def _source_of(model_class: type[Model]) -> dict[str, Any]:
    path = inspect.getsourcefile(model_class)
    return source_references(Path(path), inspect.getsourcelines(model_class)[1]) if path else {}


def _model_asset(name: str) -> Partitioned[dg.AssetsDefinition]:
    model_class = get_model_class(name)
    tastes = keys("features", ("user_genre_taste",)) if model_class.reads_user_genre_taste else []

    @for_each_domain(
        dg.asset,
        key=["models", name],
        group_name=f"models_{model_family(name)}",
        description=model_description(model_class),
        kinds=set(model_class.kinds),
        tags=stage_tags(
            "models",
            family=model_family(name),
            predicts="ratings" if issubclass(model_class, RatingPredictor) else "rankings",
        ),
        metadata=_source_of(model_class),
        deps=[*TRAINING_DATA, *tastes],
        check_specs=[fitted_check("models", name)],
        pool=FITTING,
        # Ensembles are fitted last, with the members that were fitted before.
        op_tags={"dagster/priority": "-1" if issubclass(model_class, Ensemble) else "0"},
        config_schema=config_schema(model_class),
    )
    def train(context: dg.AssetExecutionContext, recsys: Recsys) -> Materialized:
        run = recsys.hold(context.partition_key)
        data = load_training_data(run.warehouse)
        chosen = choose_params(model_class, context.op_execution_context.op_config, run)
        model = model_class(chosen.params, seed=run.settings.seed)
        budget = budget_of(run.settings, name)
        metadata: dict[str, Any] = {
            "training_pairs": len(data.train),
            "params": dg.MetadataValue.json(model.params.model_dump(mode="json")),
            "params_from": chosen.source,
        }

        def fit() -> None:
            model.require(data)
            estimate = model.estimate(Size.of(data, run.settings.evaluation_users))
            metadata["expected"] = str(estimate)
            if budget is not None:
                budget.require(estimate)
            model.fit(data)

        index = id_map_hash(run.warehouse)
        with track_resources() as usage, spark_through(context):
            outcome = attempt(name, fit, seconds=run.settings.model_seconds, id_map_hash=index).outcome
        metadata |= usage_metadata(usage, len(data.train))
        if outcome.state is State.FITTED:
            version = ModelStore(run.layout).save(
                run.domain.name,
                model,
                data_version=run.origin.data_version,
                id_map_hash=index,
                usage=usage,
                params_from=chosen.source,
            )
            outcome = replace(outcome, version=version)
            folder = run.layout.model(run.domain.name, name) / version
            metadata |= {"version": version, **location(folder)}
            if isinstance(model, RatingModel):  # what a blend of ratings may contain
                remember(model, data, folder, usage)
            if model.history_:
                metadata["learning_curves"] = picture(learning_curves(model.history_))
        return conclude(run, outcome, metadata)

    return train


models = [_model_asset(name) for name in model_names()]
