"""Track fits in MLflow, where RECSYS_MLFLOW_URI names a server or a database; without it nothing here imports MLflow.

Each fitted version of a model is a run of the experiment `recsys/<domain>` and a version of the registered model of the
same domain, whose aliases `champion` and `challenger` follow what is published. MLflow only shows what the model store
and the warehouse hold: nothing is read back from it.
"""

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.store import MetricRow
from recsys_dagster.lifecycle.waiting import find_waiting
from recsys_dagster.model_store.store import ModelRecord, ModelStore
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
"""Aliases: the model of the published lists, and the one that waits for approval or else is next on validation."""
_MODEL, _VERSION = "recsys.model", "recsys.version"


def track_fit(
    settings: Settings, domain: str, record: ModelRecord, rows: Sequence[MetricRow], figures: Mapping[str, str]
) -> str | None:
    """Show a fitted and evaluated version as a run, once also if it is evaluated again.

    Args:
        settings: where to; without `mlflow_uri` nothing happens.
        domain: the domain.
        record: the version.
        rows: its metrics; `low` and `high` become metrics of their own.
        figures: SVG of each figure, by title.

    Returns:
        The id of the run; None if nothing is tracked.

    Raises:
        RecsysError: MLflow is not installed, or it cannot be reached.
    """
    if settings.mlflow_uri is None:
        return None
    with _client(settings) as client:
        experiment = _experiment(client, settings, domain)
        known = client.search_runs(
            [experiment],
            f"tags.`{_MODEL}` = '{record.model}' and tags.`{_VERSION}` = '{record.version}'",
            max_results=1,
        )
        run = known[0] if known else client.create_run(experiment, run_name=f"{record.model} {record.version}")
        _log(client, run.info.run_id, record, rows)
        for title, svg in figures.items():
            client.log_text(run.info.run_id, svg, f"figures/{title}.svg")
        client.log_text(run.info.run_id, json.dumps(asdict(record), indent=2, default=str), "model/model.json")
        client.set_terminated(run.info.run_id)
        if not known:
            tags = {_MODEL: record.model, _VERSION: record.version}
            source = f"{run.info.artifact_uri}/model"
            client.create_model_version(_registered(client, domain), source, run.info.run_id, tags=tags)
        return str(run.info.run_id)


def track_champion(settings: Settings, domain: str) -> None:
    """Let the aliases follow what is published, and what waits or is next; nothing happens without `mlflow_uri`.

    A version that was fitted before RECSYS_MLFLOW_URI was set has no run, and gets no alias.

    Raises:
        RecsysError: MLflow is not installed or cannot be reached, or nothing is published.
    """
    if settings.mlflow_uri is None:
        return
    with _client(settings) as client:
        name = _registered(client, domain)
        for alias, chosen in _chosen(Layout(settings.home), domain).items():
            version = None if chosen is None else _version_of(client, name, *chosen)
            if version is None:
                client.delete_registered_model_alias(name, alias)
            else:
                client.set_registered_model_alias(name, alias, version)


def _chosen(layout: Layout, domain: str) -> dict[str, tuple[str, str] | None]:
    """Return the (model, version) of each alias."""
    chosen: dict[str, tuple[str, str] | None] = dict.fromkeys((CHAMPION, CHALLENGER))
    waiting = find_waiting(layout, domain)
    if layout.published(domain).exists():
        chosen[CHAMPION] = champion = ModelStore(layout).champion(domain)
        with open_without_lock(layout.published(domain)) as published:
            others = [one for one in published.models().items() if one[0] != champion[0]]
        chosen[CHALLENGER] = others[0] if others else None
    if waiting is not None:
        chosen[CHALLENGER] = waiting.decision.model, waiting.decision.version
    return chosen


def _log(client: "MlflowClient", run_id: str, record: ModelRecord, rows: Sequence[MetricRow]) -> None:
    """Log the parameters, the metrics with their intervals, the cost, and the origin of a version."""
    from mlflow.entities import Metric, Param, RunTag

    values: dict[str, float | None] = {"fit_seconds": record.fit_seconds, "fit_peak_bytes": record.peak_bytes}
    for row in rows:
        name = f"{row.fold}/{row.metric}" + ("" if row.k is None else f"_at_{row.k}")
        values |= {name: row.value, f"{name}/low": row.low, f"{name}/high": row.high}
    tags = {
        _MODEL: record.model,
        _VERSION: record.version,
        "recsys.data_version": record.data_version,
        "recsys.code_version": record.code_version,
        "recsys.params_from": record.params_from,
        "recsys.packages": json.dumps(record.packages, sort_keys=True),
    }
    client.log_batch(
        run_id,
        metrics=[
            Metric(name, float(value), timestamp=0, step=0)
            for name, value in values.items()
            if value is not None and math.isfinite(value)
        ],
        params=[Param(name, str(value)) for name, value in {**record.params, "seed": record.seed}.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )


def _experiment(client: "MlflowClient", settings: Settings, domain: str) -> str:
    """Return the id of the experiment of a domain, which is created if it does not exist.

    Files of runs go where a server says; those of a bare database, which says nothing, under RECSYS_HOME.
    """
    name = f"recsys/{domain}"
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    is_server = str(client.tracking_uri).startswith(("http://", "https://"))
    location = None if is_server else (settings.home.absolute() / "mlflow" / domain).as_uri()
    return str(client.create_experiment(name, artifact_location=location))


def _registered(client: "MlflowClient", domain: str) -> str:
    """Return the name of the registered model of a domain, which is created if it does not exist."""
    name = f"recsys-{domain}"
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description=f"What recsys_dagster fits for the domain {domain}.")
    return name


def _version_of(client: "MlflowClient", name: str, model: str, version: str) -> str | None:
    """Return the number in the registry of a version of the model store; None if it has none."""
    wanted = {_MODEL: model, _VERSION: version}
    for one in client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"]):
        if wanted.items() <= dict(one.tags).items():
            return str(one.version)
    return None


@contextlib.contextmanager
def _client(settings: Settings) -> "Iterator[MlflowClient]":
    """Give a client of the server or database, whose errors become one line without its address."""
    # MLflow would tell its makers that it is used, and wait for minutes for a server that does not answer.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise RecsysError(
            f"RECSYS_MLFLOW_URI is set, but MLflow cannot be imported ({error}); install recsys-dagster[mlflow]"
        ) from error
    assert settings.mlflow_uri is not None  # noqa: S101 - the callers ask
    uri = settings.mlflow_uri.get_secret_value()
    try:
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, OSError) as error:
        reason = str(error).partition("\n")[0].replace(uri, "…")
        raise RecsysError(f"RECSYS_MLFLOW_URI: {reason}") from error


def describe_untracked(error: RecsysError) -> str:
    """Return in one line that something is not shown in MLflow, while everything else is as it should be."""
    return f"not tracked, while results and lists are as they should be: {error}"
