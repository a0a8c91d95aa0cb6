"""The groups `models_<family>`: one asset for each model of the registry, which fits it and stores the version."""

import inspect
from dataclasses import replace
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.model_store.tuned import read_tuned, tuned_path
from recsys_dagster.models.attempt import State, attempt
from recsys_dagster.models.base import Model, Params
from recsys_dagster.models.budget import Size
from recsys_dagster.models.registry import get_model_class, model_family, model_names
from recsys_dagster.models.selection import budget_of
from recsys_dagster.orchestration.asset_keys import TRAINING_DATA, keys
from recsys_dagster.orchestration.metadata import Materialized, picture, usage_metadata
from recsys_dagster.orchestration.outcomes import conclude, fitted_check
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.orchestration.pools import FITTING
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.reports.model_plots import learning_curves
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.resource_usage import track_resources
from recsys_dagster.warehouse.arrays import id_map_hash, load_training_data
from recsys_dagster.warehouse.domain_run import DomainRun

TUNED, DEFAULT = "tuned", "default"


def config_type(cls: type[Model]) -> type[dg.Config]:
    """The parameters of a model as Dagster's Launchpad shows them, and the choice of a preset."""
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in cls.params_type.model_fields.items()}
    presets = ", ".join([DEFAULT, *(name for name in cls.presets if name != DEFAULT)])
    description = f"Where unset parameters come from: {TUNED} by `recsys tune`, or else default; or {presets}."
    fields["preset"] = (str, Field(TUNED, description=description))
    return create_model(f"{cls.__name__}Config", __base__=dg.Config, **fields)


def chosen_params(cls: type[Model], config: dg.Config, run: DomainRun) -> tuple[Params, str]:
    """The preset's parameters, with those that differ from the defaults laid over them; and where they come from.

    A search's result that does not fit the model or the data is passed over, and it is said why.

    Raises:
        dg.Failure: there is no preset of that name.
    """
    values = config.model_dump()
    preset = values.pop("preset")
    defaults = cls.params_type().model_dump()
    changed = {name: value for name, value in values.items() if value != defaults[name]}
    if preset == TUNED:
        base, source = _tuned_params(cls, run)
    elif preset == DEFAULT:
        base, source = cls.params_type(), DEFAULT
    elif preset in cls.presets:
        base, source = cls.presets[preset], preset
    else:
        raise dg.Failure(f"{cls.name} has no preset {preset!r}; known: {TUNED}, {DEFAULT}, {', '.join(cls.presets)}")
    if changed:
        source += f"; changed by hand: {', '.join(changed)}"
    return cls.params_type(**{**base.model_dump(), **changed}), source


def _tuned_params(cls: type[Model], run: DomainRun) -> tuple[Params, str]:
    try:
        found = read_tuned(run.layout, run.domain.name, cls, run.dataset.id)
    except RecsysError as error:
        announce(f"{cls.name}: fitted with its defaults. {error}")
        return cls.params_type(), f"{DEFAULT}, for {error}"
    if found is None:
        return cls.params_type(), DEFAULT
    params, tuned = found
    return params, f"{tuned}; to go back, remove {tuned_path(run.layout, run.domain.name, cls.name)}"


def model_description(cls: type[Model]) -> str:
    """Return the model's summary, as on the report, and its docstring below."""
    text = inspect.getdoc(cls) or ""
    return text if text.startswith(cls.summary) else f"{cls.summary}\n\n{text}".strip()


def _model_asset(name: str) -> dg.AssetsDefinition:
    cls = get_model_class(name)
    tastes = keys("features", ("user_genre_taste",)) if cls.reads_user_genre_taste else []
    config_class: Any = config_type(cls)

    @dg.asset(
        key=["models", name],
        group_name=f"models_{model_family(name)}",
        partitions_def=domain_partitions,
        description=model_description(cls),
        kinds=set(cls.kinds),
        deps=[*TRAINING_DATA, *tastes],
        check_specs=[fitted_check("models", name)],
        pool=FITTING,
    )
    def train(
        context: dg.AssetExecutionContext, config: config_class, recsys: dg.ResourceParam[Recsys]
    ) -> Materialized:
        run = recsys.hold(context.partition_key)
        warehouse = run.warehouse
        data = load_training_data(warehouse, run.domain)
        params, params_from = chosen_params(cls, config, run)
        model = cls(params, seed=run.settings.seed)
        budget = budget_of(run.settings, name)
        metadata: dict[str, Any] = {
            "training_pairs": len(data.train),
            "params": dg.MetadataValue.json(model.params.model_dump()),
            "params_from": params_from,
        }

        def fit() -> None:
            estimate = model.estimate(Size.of(data))
            metadata["expected"] = str(estimate)
            if budget is not None:
                budget.require(estimate)
            model.fit(data)

        index = id_map_hash(warehouse)
        with track_resources() as usage:
            outcome = attempt(name, fit, seconds=run.settings.model_seconds, id_map_hash=index).outcome
        metadata |= usage_metadata(usage, len(data.train))
        if outcome.state is State.FITTED:
            data_version = run.manifest.data_version
            version = ModelStore(run.layout).save(
                run.domain.name,
                model,
                data_version=data_version,
                id_map_hash=index,
                usage=usage,
                params_from=params_from,
            )
            outcome = replace(outcome, version=version)
            metadata["version"] = version
            if model.history_:
                metadata["learning_curves"] = picture(learning_curves(model.history_))
        return conclude(run, outcome, metadata)

    return train


models = [_model_asset(name) for name in model_names()]
