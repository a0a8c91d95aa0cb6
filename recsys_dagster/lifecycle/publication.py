"""From a champion to published lists: built beside, checked, swapped in; and back to the lists before.

The caller holds the domain (`with DomainRun(…)`).
"""

import contextlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.base import Model, TopN
from recsys_dagster.quality.lists import failed_list_checks
from recsys_dagster.quality.reference import reference_tables
from recsys_dagster.runtime.blocks import USERS_PER_BLOCK
from recsys_dagster.runtime.versions import code_version
from recsys_dagster.serving.lookup import Provenance, PublishedFile, open_without_lock
from recsys_dagster.serving.publishing import PublishedCounts, publish
from recsys_dagster.serving.swap import swap_in
from recsys_dagster.warehouse.arrays import id_map_hash, load_excluded, load_fold, load_ids, load_training_data
from recsys_dagster.warehouse.domain_run import DomainRun


def build_lists(run: DomainRun) -> PublishedCounts:
    """Refit the champion on every fold and write its list for every user to `Layout.built`, where nobody reads yet.

    Raises:
        RecsysError: there is no champion, it cannot be loaded, or its lists cannot be written.
    """
    warehouse, store = run.warehouse, ModelStore(run.layout)
    manifest = run.manifest
    name, version = store.champion(run.domain.name)
    chosen, record = store.load(run.domain.name, name, version, id_map_hash=id_map_hash(warehouse))
    user_ids, item_ids = load_ids(warehouse)
    data = load_training_data(warehouse, run.domain).with_all(load_fold(warehouse, "test"))
    model = type(chosen)(chosen.refit_params(), seed=chosen.seed)
    del chosen  # what it learnt may take gigabytes, and so may what is learnt now
    model.fit(data)
    owned = load_excluded(warehouse)
    with warehouse.connect() as connection:
        items = connection.sql("SELECT * FROM clean.items ORDER BY item_id").to_arrow_table()
        metrics = connection.sql("SELECT * FROM evaluation.metrics ORDER BY ALL").to_arrow_table()
        reference = reference_tables(connection)
    return publish(
        run.layout.built(run.domain.name),
        lists=_lists(model, user_ids, run.settings.top_n, owned),
        user_ids=user_ids,
        item_ids=item_ids,
        items=items,
        genre_names=data.item_features.genre_names,
        leaderboard=metrics,
        history=store.history(run.domain.name),
        provenance=Provenance(
            domain=run.domain.name,
            dataset=manifest.dataset_id,
            data_version=manifest.data_version,
            licence=manifest.licence,
            model=name,
            version=version,
            trained_rows=len(data.train),
            scale=run.domain.scale,
            packages={"recsys-dagster": code_version(), **record.packages},
        ),
        reference=reference,
    )


def publish_built(run: DomainRun) -> Provenance:
    """Swap the built lists in for readers and remove old model versions; return where the lists come from.

    Raises:
        RecsysError: no lists were built, they are not the champion's, or they fail a check; what is published stays.
    """
    layout = run.layout
    faults = failed_list_checks(run)
    built, published, previous = (of(run.domain.name) for of in (layout.built, layout.published, layout.previous))
    if faults:
        raise RecsysError(f"{built}: not published: {'; '.join(map(str, faults))}; what was published before stays")
    with PublishedFile(built) as lists:
        provenance = lists.provenance()
    if (provenance.model, provenance.version) != ModelStore(run.layout).champion(run.domain.name):
        raise RecsysError(f"{built}: not the champion's lists; materialise serving/lists again")
    swap_in(built, published, previous)
    remove_old_versions(run)
    return provenance


def remove_old_versions(run: DomainRun) -> None:
    """Keep RECSYS_KEEP_VERSIONS of each model, and those that the published lists and the previous ones name."""
    named: set[tuple[str, str]] = set()
    for path in (run.layout.published(run.domain.name), run.layout.previous(run.domain.name)):
        # The lists are published already: a previous file that cannot be read any more must not fail the run.
        with contextlib.suppress(RecsysError), open_without_lock(path) as lists:
            provenance = lists.provenance()
            named |= {(provenance.model, provenance.version), *lists.models().items()}
    ModelStore(run.layout).prune(run.domain.name, run.settings.keep_versions, also=named)


def _lists(
    model: Model, user_ids: NDArray[np.int64], k: int, owned: object
) -> Iterator[tuple[NDArray[np.int32], TopN]]:
    """The lists of all users, block by block, user ids rising."""
    order = np.argsort(user_ids).astype(np.int32)
    for start in range(0, len(order), USERS_PER_BLOCK):
        users = order[start : start + USERS_PER_BLOCK]
        yield users, model.recommend(users, k, exclude=owned)
