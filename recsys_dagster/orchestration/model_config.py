"""The parameters of a model in the Launchpad: what it offers, and what a fit makes of the choice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import ValidationError, create_model

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.tuned import read_tuned, tuned_path
from recsys_dagster.models.base import Model
from recsys_dagster.models.params import Params
from recsys_dagster.warehouse.domain_run import DomainRun

TUNED, DEFAULT = "tuned", "default"


@dataclass(frozen=True)
class ChosenParams:
    """The parameters of a fit.

    Attributes:
        params: all of them.
        source: where they come from, for the record of the model and the UI.
    """

    params: Params
    source: str


def config_schema(model_class: type[Model]) -> dict[str, dg.Field]:
    """Return the Launchpad's fields of a model: a preset, and every parameter.

    The parameters have no defaults here. So a value that is set explicitly can be distinguished from one that is not
    set, even if it equals the model's default, and takes precedence over the preset.
    """
    params = model_class.params_type.model_fields
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in params.items()}
    shape: type[dg.Config] = create_model(f"{model_class.__name__}Config", __base__=dg.Config, **fields)
    defaults = model_class.params_type().model_dump()
    schema = {
        name: dg.Field(
            field.config_type,
            is_required=False,
            description=f"{field.description or name} Unset: from the preset; default {_shown(defaults[name])}.",
        )
        for name, field in shape.to_fields_dict().items()
    }
    return {"preset": dg.Field(str, default_value=TUNED, description=_preset_description(model_class)), **schema}


def choose_params(model_class: type[Model], config: Mapping[str, Any], run: DomainRun) -> ChosenParams:
    """Return the parameters of the preset, replaced by those that are set explicitly.

    The result of `recsys tune` is ignored, with the reason in `source`, if it does not fit the model or the dataset.

    Args:
        model_class: the model.
        config: from the Launchpad: `preset`, and the parameters that are set.
        run: the domain.

    Raises:
        RecsysError: there is no preset of that name, or a value is not allowed.
    """
    explicit = {name: value for name, value in config.items() if name != "preset"}
    chosen = _preset(model_class, str(config.get("preset", TUNED)), run)
    if not explicit:
        return chosen
    try:
        params = model_class.params_type(**{**chosen.params.model_dump(), **explicit})
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}={fault['input']}: {fault['msg']}" for fault in error.errors())
        raise RecsysError(f"{model_class.name}: {'; '.join(faults)}; correct it in the Launchpad") from None
    values = ", ".join(f"{name}={_shown(value)}" for name, value in explicit.items())
    return ChosenParams(params, f"{chosen.source}; set explicitly: {values}")


def _preset(model_class: type[Model], name: str, run: DomainRun) -> ChosenParams:
    if name == TUNED:
        return _tuned(model_class, run)
    if name in model_class.presets:
        return ChosenParams(model_class.presets[name], name)
    if name == DEFAULT:
        return ChosenParams(model_class.params_type(), DEFAULT)
    known = ", ".join(dict.fromkeys([TUNED, DEFAULT, *model_class.presets]))
    raise RecsysError(f"{model_class.name} has no preset {name!r}; known: {known}")


def _tuned(model_class: type[Model], run: DomainRun) -> ChosenParams:
    """Return the result of the search, else the defaults and why."""
    dataset = run.origin.dataset_id
    try:
        result = read_tuned(run.layout, run.domain.name, model_class, dataset)
    except RecsysError as error:
        return ChosenParams(model_class.params_type(), f"{DEFAULT}, because the preset {TUNED} cannot be used: {error}")
    if result is None:
        return ChosenParams(
            model_class.params_type(),
            f"{DEFAULT}, because `recsys tune --model {model_class.name}` has not been run on {dataset}",
        )
    params, tuned = result
    path = tuned_path(run.layout, run.domain.name, model_class.name)
    return ChosenParams(params, f"{tuned}; to use the defaults again, remove {path}")


def _preset_description(model_class: type[Model]) -> str:
    defaults = model_class.params_type().model_dump()
    lines = [
        f"`{TUNED}`: the result of `recsys tune --model {model_class.name}` if there is one, else `{DEFAULT}`; "
        "the run's metadata `params_from` says which it was.",
        f"`{DEFAULT}`: the default of every parameter.",
    ]
    for name, params in model_class.presets.items():
        if name != DEFAULT:
            different = {key: value for key, value in params.model_dump().items() if value != defaults[key]}
            values = ", ".join(f"{key}={_shown(value)}" for key, value in different.items())
            lines.append(f"`{name}`: {values or 'as the defaults'}.")
    return " ".join(lines)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
