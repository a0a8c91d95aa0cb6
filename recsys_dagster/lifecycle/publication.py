"""Publish the lists of a champion: build them in a file that nobody reads, check it, swap it in.

The caller holds the domain (`with DomainRun(…)`).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_dagster.data.split import Ids
from recsys_dagster.errors import RecsysError
from recsys_dagster.lifecycle.list_details import rating_model, similar_items
from recsys_dagster.lifecycle.pending import choice_of_gate, settle, write_pending
from recsys_dagster.model_store.decisions import Decision
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.base import Model, TopN
from recsys_dagster.models.explaining import explain_by, explaining_model
from recsys_dagster.quality.lists import failed_list_checks
from recsys_dagster.quality.reference import reference_tables
from recsys_dagster.runtime.blocks import USERS_PER_BLOCK
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.versions import code_version
from recsys_dagster.serving.item_rules import ItemRules
from recsys_dagster.serving.lookup import PublishedFile, open_without_lock
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.publishing import PublishedCounts, publish
from recsys_dagster.serving.rules import check_names, read_rules, today
from recsys_dagster.serving.spark_lists import problem_on_spark, spark_lists
from recsys_dagster.serving.swap import swap_in
from recsys_dagster.serving.tradeoff import measure_tradeoff, write_tradeoff
from recsys_dagster.warehouse.arrays import (
    id_map_hash,
    load_excluded,
    load_fold,
    load_histories,
    load_popularity,
    load_source_ids,
    load_training_data,
)
from recsys_dagster.warehouse.domain_run import DomainRun


def build_lists(run: DomainRun, decision: Decision | None = None) -> PublishedCounts:
    """Refit the champion on all folds, and write its list of every user to `Layout.built`, which no reader opens.

    Before that, what diversity and calibration cost is measured on validation, for the page.

    Args:
        run: the domain.
        decision: makes another version the champion and is not recorded yet; None: that of the gate, or else the
            recorded one.

    Raises:
        RecsysError: there is no champion, it cannot be loaded, or its lists cannot be written.
    """
    warehouse, store = run.warehouse, ModelStore(run.layout)
    origin, history = run.origin, store.history(run.domain.name)
    decision = decision or choice_of_gate(run.layout, run.domain.name)
    if decision is None:
        name, version = store.champion(run.domain.name)
    else:
        name, version = decision.model, decision.version
        history = [*history, decision]
    chosen, record = store.load(run.domain.name, name, version, id_map_hash=id_map_hash(warehouse))
    user_ids, item_ids = load_source_ids(warehouse)
    holdout = load_training_data(warehouse)
    tradeoff = measure_tradeoff(chosen, version, holdout, run.settings.top_n, seed=run.settings.seed)
    if tradeoff is not None:
        write_tradeoff(tradeoff, run.layout.tradeoff(run.domain.name, name))
    data = holdout.with_all(load_fold(warehouse, "test"))
    model = chosen.for_refit()
    del chosen  # its state may take gigabytes, and so may that of the refitted model
    model.fit(data)
    explaining = explaining_model([model])
    excluded = load_excluded(warehouse)
    rules = read_rules(run.layout.rules(run.domain.name))
    check_names(rules, data.item_features.genre_names, run.layout.rules(run.domain.name))
    with warehouse.connect() as connection:
        columns = "* REPLACE (source_id AS item_id)" if origin.item_ids == "text" else "*"
        items = connection.sql(f"SELECT {columns} FROM clean.items ORDER BY item_id").to_arrow_table()
        metrics = connection.sql("SELECT * FROM evaluation.metrics ORDER BY ALL").to_arrow_table()
        reference = reference_tables(connection)
    by_rules = ItemRules.of(rules, _in_order(items, item_ids), today())
    return publish(
        run.layout.built(run.domain.name),
        lists=_lists(run, model, user_ids, excluded, by_rules),
        user_ids=user_ids,
        item_ids=item_ids,
        items=items,
        genre_names=data.item_features.genre_names,
        leaderboard=metrics,
        history=history,
        provenance=Provenance(
            domain=run.domain.name,
            dataset=origin.dataset_id,
            data_version=origin.data_version,
            licence=origin.licence,
            model=name,
            version=version,
            trained_rows=len(data.train),
            scale=data.scale,
            user_ids=origin.user_ids,
            item_ids=origin.item_ids,
            packages={"recsys-dagster": code_version(), **record.packages},
        ),
        explain=explain_by(explaining, data.train, data.n_users) if explaining else None,
        similar=similar_items(run, explaining, by_rules.allowed),
        popularity=load_popularity(warehouse),
        histories=load_histories(warehouse, user_ids, item_ids),
        reference=reference,
        predict=rating_model(run),
    )


def publish_built(run: DomainRun) -> Provenance:
    """Swap in the built lists, record the gate's decision on their model, and remove old model versions.

    Returns:
        The origin of the lists.

    Raises:
        RecsysError: no lists were built, they are not the champion's, or they fail a check; what is published stays.
    """
    provenance, decision = checked_choice(run)
    swap_in_lists(run, run.layout.built(run.domain.name), decision, provenance)
    remove_old_versions(run)
    return provenance


def checked_choice(run: DomainRun) -> tuple[Provenance, Decision | None]:
    """Return the origin of the built lists, and the gate's decision that they are of; None: the champion is as before.

    Raises:
        RecsysError: no lists were built, they are not the champion's, or they fail a check.
    """
    layout, domain = run.layout, run.domain.name
    provenance, decision = checked_provenance(run), choice_of_gate(layout, domain)
    chosen = (decision.model, decision.version) if decision else ModelStore(layout).champion(domain)
    if (provenance.model, provenance.version) != chosen:
        raise RecsysError(f"{layout.built(domain)}: not the champion's lists; materialise serving/lists again")
    return provenance, decision


def checked_provenance(run: DomainRun) -> Provenance:
    """Return the origin of the built lists.

    Raises:
        RecsysError: no lists were built, or they fail a check.
    """
    built, faults = run.layout.built(run.domain.name), failed_list_checks(run)
    if faults:
        raise RecsysError(f"{built}: not published: {'; '.join(map(str, faults))}; what was published before stays")
    with PublishedFile(built) as lists:
        return lists.provenance()


def swap_in_lists(run: DomainRun, lists: Path, decision: Decision | None, provenance: Provenance) -> None:
    """Put checked lists in the place of the published ones, which are kept for `recsys rollback`.

    Args:
        run: the domain.
        lists: the file to publish.
        decision: is recorded with it; None: the champion is as before.
        provenance: of the lists.
    """
    domain, layout = run.domain.name, run.layout
    if decision is not None:
        write_pending(layout, domain, decision, provenance)
    swap_in(lists, layout.published(domain), *previous_files(layout, domain, run.settings.keep_lists))
    settle(layout, domain)


def previous_files(layout: Layout, domain: str, steps: int) -> list[Path]:
    """Return where earlier published files are kept, the newest first."""
    return [layout.previous(domain, step) for step in range(1, steps + 1)]


def remove_old_versions(run: DomainRun) -> None:
    """Keep RECSYS_KEEP_VERSIONS of each model, and the versions that published, earlier and waiting lists name."""
    named: set[tuple[str, str]] = set()
    earlier = previous_files(run.layout, run.domain.name, run.settings.keep_lists)
    for path in (run.layout.published(run.domain.name), run.layout.waiting(run.domain.name), *earlier):
        # The lists are published already: an earlier file that cannot be read any more must not fail the run.
        with contextlib.suppress(RecsysError), open_without_lock(path) as lists:
            provenance = lists.provenance()
            named |= {(provenance.model, provenance.version), *lists.models().items()}
    ModelStore(run.layout).prune(run.domain.name, run.settings.keep_versions, also=named)


def _in_order(items: pa.Table, item_ids: Ids) -> Iterator[dict[str, Any]]:
    """Give what rules look at of each item, by index."""
    described = items.select(["item_id", "genres", "creators", "is_adult"])
    place = pc.index_in(pa.array(item_ids, described.column("item_id").type), described.column("item_id"))
    for batch in described.take(place).to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()


def _lists(
    run: DomainRun, model: Model, user_ids: Ids, excluded: sp.csr_array, rules: ItemRules
) -> Iterator[tuple[NDArray[np.int32], TopN]]:
    """Give the lists of all users in blocks, ordered by user id; made on Spark if it is the engine and can."""
    order, k = np.argsort(user_ids).astype(np.int32), run.settings.top_n
    if run.settings.engine == "spark":
        problem = "rules choose among the candidates" if rules.chooses() else problem_on_spark(model)
        if problem is None:
            yield from spark_lists(model, order, k, excluded, rules.allowed, run.layout)
            return
        announce(f"lists are made on this machine, not on Spark: {problem}")
    for start in range(0, len(order), USERS_PER_BLOCK):
        users = order[start : start + USERS_PER_BLOCK]

        def take(rows: NDArray[np.int64], n: int, block: NDArray[np.int32] = users) -> TopN:
            return model.recommend(block[rows], n, exclude=excluded, allowed=rules.allowed)

        histories = model.seen_[users] if rules.balance.calibration else None
        yield users, rules.lists(take, len(users), k, histories)
