"""The group `models`: one asset for each line of the registry."""

from dataclasses import replace
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from recsys_dagster.costs import measuring
from recsys_dagster.models import Model, Params, State, attempt, model_class, model_names
from recsys_dagster.orchestration.metadata import Materialized, cost_metadata, picture
from recsys_dagster.orchestration.outcomes import conclude, fitted_check
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.orchestration.pools import FITTING
from recsys_dagster.reports import plot_learning_curves
from recsys_dagster.warehouse import id_map_hash, load_training_data
from recsys_dagster.workspace import Workspace


def config_type(cls: type[Model]) -> type[dg.Config]:
    """The parameters of a model as Dagster's Launchpad shows them, and the choice of a preset."""
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in cls.params_type.model_fields.items()}
    presets = ", ".join(["default", *(name for name in cls.presets if name != "default")])
    fields["preset"] = (str, Field("default", description=f"Where unset parameters come from: {presets}."))
    return create_model(f"{cls.__name__}Config", __base__=dg.Config, **fields)


def chosen_params(cls: type[Model], config: dg.Config) -> Params:
    """The preset's parameters, with those that differ from the defaults laid over them.

    Raises:
        dg.DagsterInvalidConfigError: there is no preset of that name.
    """
    values = config.model_dump()
    preset = values.pop("preset")
    if preset == "default":
        return cls.params_type(**values)
    if preset not in cls.presets:
        raise dg.Failure(f"{cls.name} has no preset {preset!r}; known: default, {', '.join(cls.presets)}")
    defaults = cls.params_type().model_dump()
    changed = {name: value for name, value in values.items() if value != defaults[name]}
    return cls.params_type(**{**cls.presets[preset].model_dump(), **changed})


def _model_asset(name: str) -> dg.AssetsDefinition:
    cls = model_class(name)
    config_class: Any = config_type(cls)

    @dg.asset(
        key=["models", name],
        group_name="models",
        partitions_def=domain_partitions,
        description=cls.__doc__,
        kinds=set(cls.kinds),
        deps=[["features", table] for table in ("users", "items", "interactions", "title_genres")],
        check_specs=[fitted_check("models", name)],
        pool=FITTING,
    )
    def train(
        context: dg.AssetExecutionContext, config: config_class, workspace: dg.ResourceParam[Workspace]
    ) -> Materialized:
        domain = workspace.claim(context.partition_key)
        warehouse = workspace.warehouse(domain)
        data = load_training_data(warehouse, domain)
        model = cls(chosen_params(cls, config), seed=workspace.settings.seed)
        index = id_map_hash(warehouse)
        with measuring() as cost:
            outcome = attempt(
                name, lambda: model.fit(data), seconds=workspace.settings.model_seconds, id_map_hash=index
            )
        metadata: dict[str, Any] = {
            "training_pairs": len(data.train),
            "params": dg.MetadataValue.json(model.params.model_dump()),
            **cost_metadata(cost),
        }
        if outcome.state is State.FITTED:
            data_version = workspace.manifest(domain).data_version
            version = workspace.store.save(domain.name, model, data_version=data_version, id_map_hash=index, cost=cost)
            outcome = replace(outcome, version=version)
            metadata["version"] = version
            if model.history_:
                metadata["learning_curves"] = picture(plot_learning_curves(model.history_))
        return conclude(workspace, domain.name, outcome, metadata)

    return train


models = [_model_asset(name) for name in model_names()]
