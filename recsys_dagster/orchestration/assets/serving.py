"""The group `serving`: the best model, its lists, and the page about both."""

from collections.abc import Iterator
from importlib.metadata import version as installed_version

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from recsys_dagster.costs import measuring
from recsys_dagster.domains import DOMAINS
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation import choose_champion, verdicts
from recsys_dagster.models import Model, TopN
from recsys_dagster.orchestration.metadata import Materialized, cost_metadata, markdown_table, picture
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.orchestration.pools import FITTING
from recsys_dagster.reports import (
    comparison_figures,
    comparison_records,
    gather_report,
    published_results,
    write_comparison,
    write_report,
)
from recsys_dagster.serving import Provenance, publish
from recsys_dagster.warehouse import id_map_hash, load_fold, load_ids, load_owned, load_training_data
from recsys_dagster.workspace import Workspace

USERS_A_BLOCK = 8192


@dg.asset(
    key=["serving", "champion"],
    group_name="serving",
    partitions_def=domain_partitions,
    kinds={"python"},
    deps=[["evaluation", "leaderboard"]],
)
def champion(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Materialized:
    """The model that validation chooses, by NDCG@10; popularity is always a candidate."""
    domain = workspace.claim(context.partition_key)
    metrics = workspace.metrics(domain)
    name = choose_champion(metrics)
    version = workspace.store.current_versions(domain.name)[name]
    workspace.store.set_champion(domain.name, name, version)
    return dg.MaterializeResult(
        metadata={"model": name, "version": version, "reason": verdicts(workspace.leaderboard(domain))[0]}
    )


def _lists(
    model: Model, user_ids: NDArray[np.int64], k: int, owned: object
) -> Iterator[tuple[NDArray[np.int32], TopN]]:
    """The lists of all users, block by block, user ids rising."""
    order = np.argsort(user_ids).astype(np.int32)
    for start in range(0, len(order), USERS_A_BLOCK):
        users = order[start : start + USERS_A_BLOCK]
        yield users, model.recommend(users, k, exclude=owned)


@dg.asset(
    key=["serving", "recommendations"],
    group_name="serving",
    partitions_def=domain_partitions,
    kinds={"python", "duckdb"},
    deps=[["serving", "champion"]],
    pool=FITTING,
)
def recommendations(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Materialized:
    """The champion refitted on every fold, and its list for every user, swapped in for readers as one file."""
    domain = workspace.claim(context.partition_key)
    warehouse = workspace.warehouse(domain)
    manifest = workspace.manifest(domain)
    name, version = workspace.store.champion(domain.name)
    chosen, record = workspace.store.load(domain.name, name, version, id_map_hash=id_map_hash(warehouse))
    user_ids, item_ids = load_ids(warehouse)
    data = load_training_data(warehouse, domain).with_all(load_fold(warehouse, "test"))
    with measuring() as cost:
        model = type(chosen)(chosen.refit_params(), seed=chosen.seed).fit(data)
        owned = load_owned(warehouse)
        with warehouse.connect() as connection:
            titles = connection.sql("SELECT * FROM clean.titles ORDER BY item_id").to_arrow_table()
            metrics = connection.sql("SELECT * FROM evaluation.metrics ORDER BY ALL").to_arrow_table()
        written = publish(
            workspace.layout.published(domain.name),
            lists=_lists(model, user_ids, workspace.settings.top_n, owned),
            user_ids=user_ids,
            item_ids=item_ids,
            titles=titles,
            genre_names=data.titles.genre_names,
            leaderboard=metrics,
            provenance=Provenance(
                domain=domain.name,
                dataset=manifest.dataset_id,
                data_version=manifest.data_version,
                licence=manifest.licence,
                model=name,
                version=version,
                trained_rows=len(data.train),
                scale=domain.scale,
                packages={"recsys-dagster": installed_version("recsys-dagster"), **record.packages},
            ),
        )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": written.rows,
            "users": written.users,
            "model": name,
            "version": version,
            "file": dg.MetadataValue.path(workspace.layout.published(domain.name)),
            **cost_metadata(cost),
        }
    )


@dg.asset(
    key=["serving", "report"],
    group_name="serving",
    partitions_def=domain_partitions,
    kinds={"html"},
    deps=[["serving", "recommendations"]],
)
def report(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Materialized:
    """One self-contained HTML page: the data, the leaderboard, each model, five people's lists."""
    domain = workspace.claim(context.partition_key)
    path = workspace.layout.report(domain.name)
    with measuring() as cost:
        write_report(path, gather_report(workspace, domain))
    return dg.MaterializeResult(
        metadata={"page": dg.MetadataValue.path(path), "bytes": path.stat().st_size, **cost_metadata(cost)}
    )


@dg.asset(
    key=["serving", "domain_comparison"],
    group_name="serving",
    kinds={"html"},
    deps=[["serving", "report"]],
    automation_condition=dg.AutomationCondition.eager(),
)
def domain_comparison(workspace: dg.ResourceParam[Workspace]) -> Materialized:
    """The domains side by side, as they are published: which models are good at more than one kind of title."""
    results = published_results(workspace.layout, list(DOMAINS))
    if not results:
        raise RecsysError("nothing is published yet, so there is nothing to compare; run `recsys run` first")
    path = workspace.layout.comparison()
    with measuring() as cost:
        write_comparison(path, results)
    records = comparison_records(results)
    return dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.path(path),
            "domains": len(results),
            "models": markdown_table(list(records[0]), [list(record.values()) for record in records]),
            **{title: picture(figure) for title, figure in comparison_figures(results)},
            **cost_metadata(cost),
        }
    )
