"""Answer for a user of the data by any model of the last run, over the whole catalogue and with filters.

The published lists hold a hundred items by one model. What they cannot answer is computed here: the model is loaded,
scores every item for this one user, and what the user has is left out. This needs the tables of the domain, which are
read without disturbing a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.serving.cold_start import reason_ids
from recsys_dagster.serving.filters import EVERYTHING, ItemFilter
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.serving.recommendation import Id, Recommendation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from recsys_dagster.data.interactions import Interactions
    from recsys_dagster.models.base import Model
    from recsys_dagster.warehouse.domain_run import DomainRun


@dataclass(frozen=True)
class ModelList:
    """A list for a user.

    Attributes:
        model, version: whose list it is.
        recommendations: best first.
        is_published: whether it comes from the published file; otherwise the model, as it was evaluated, ranked the
            whole catalogue just now.
        rated_by: name of the model that predicted the ratings; None if they are unknown.
    """

    model: str
    version: str
    recommendations: list[Recommendation]
    is_published: bool
    rated_by: str | None


@dataclass(frozen=True)
class KnownUser:
    """A user in index space, with what must not be recommended.

    Attributes:
        index: of the user.
        has: (n,) int32 indices of the items that the user has.
        train: the user's interactions in the training fold, which the models have learnt from.
        n_users, n_items: sizes of the index spaces.
        id_map_hash: of the warehouse that they belong to.
    """

    index: int
    has: "NDArray[np.int32]"
    train: "Interactions"
    n_users: int
    n_items: int
    id_map_hash: str


def recommend_to_user(
    run: "DomainRun", published: PublishedFile, user_id: Id, n: int, wanted: ItemFilter = EVERYTHING
) -> ModelList:
    """Return the n best items that a filter lets through: of the published list, or else of the whole catalogue.

    Args:
        run: the domain.
        published: its published file.
        user_id: id in the source.
        n: length of the list.
        wanted: which items the list may hold.

    Raises:
        UsageError: the user, the kind or the genre is unknown.
        RecsysError: the published list does not suffice, and the model cannot be loaded.
    """
    provenance = published.provenance()
    allowed = set(published.items_where(wanted)) if wanted else None
    listed = published.recommendations(user_id, published.sizes()["items"])
    matching = [one for one in listed if allowed is None or one.item_id in allowed]
    is_enough = allowed is None or len(matching) >= n or len(matching) == len(allowed)
    if is_enough or not run.warehouse.path.exists():  # where only the lists are kept, they are all there is
        return ModelList(provenance.model, provenance.version, matching[:n], True, published.rating_model())
    (by_model,) = recommend_by_models(run, published, user_id, n, [provenance.model], wanted)
    return by_model


def recommend_by_models(
    run: "DomainRun",
    published: PublishedFile,
    user_id: Id,
    n: int,
    models: Sequence[str],
    wanted: ItemFilter = EVERYTHING,
) -> list[ModelList]:
    """Return the list of each named model of the last run; the arguments are those of `recommend_to_user`.

    Raises:
        UsageError: the user, the kind or the genre is unknown, or a model is not one of the last run.
        RecsysError: a model cannot be loaded, or the tables have changed since the lists were published.
    """
    from recsys_dagster.serving.reading import readable

    provenance = published.provenance()
    versions = {provenance.model: provenance.version} | published.models()
    for name in models:
        if name not in versions:
            raise UsageError(f"the last run of {published.domain} had no {name}; it had: {', '.join(versions)}")
    published.check_user(user_id)
    with readable(run) as reading:
        user = read_user(reading, user_id)
    allowed = published.items_where(wanted) if wanted else None
    return [_list_of(run, published, user, n, name, versions[name], allowed) for name in models]


def read_user(run: "DomainRun", user_id: Id) -> KnownUser:
    """Return a user in the index space of the warehouse; RecsysError if it has no such user."""
    import numpy as np

    from recsys_dagster.warehouse.arrays import id_map_hash, load_source_ids, read_fold

    user_ids, item_ids = load_source_ids(run.warehouse)
    found = np.flatnonzero(user_ids == user_id)
    if not len(found):
        raise RecsysError(
            f"{run.warehouse.path}: user {user_id} has no interaction that models learn from; "
            "the published list, without '--model' and filters, is what there is"
        )
    index = int(found[0])
    with run.warehouse.connect() as connection:
        has = connection.execute(
            """
            SELECT item_idx FROM features.interactions WHERE user_idx = $index
            UNION
            SELECT item_idx
            FROM clean.interactions
            INNER JOIN features.users USING (user_id)
            INNER JOIN features.items USING (item_id)
            WHERE user_idx = $index AND status NOT IN ('watching', 'completed', 'plan_to_watch')
            """,
            {"index": index},
        ).fetchnumpy()["item_idx"]
        train = read_fold(connection, "train", user=index)
    return KnownUser(
        index, np.ma.getdata(has).astype(np.int32), train, len(user_ids), len(item_ids), id_map_hash(run.warehouse)
    )


def _list_of(
    run: "DomainRun",
    published: PublishedFile,
    user: KnownUser,
    n: int,
    name: str,
    version: str,
    allowed: Sequence[Id] | None,
) -> ModelList:
    """Return the n best items of one model among the ids `allowed`; None: among all."""
    from recsys_dagster.model_store.store import ModelStore

    model, _ = ModelStore(run.layout).load(run.domain.name, name, version, id_map_hash=user.id_map_hash)
    item_ids = published.indices().item_ids
    if len(item_ids) != model.n_items_:
        raise RecsysError(
            f"{published.path} and {name} are of different runs; run `recsys run --domain {published.domain}`"
        )
    items, scores = _ranked(model, user, n if allowed is None else None)
    if allowed is not None:
        among = set(allowed)
        kept = [place for place, item in enumerate(items.tolist()) if item_ids[item] in among][:n]
        items, scores = items[kept], scores[kept]
    listed = [item_ids[item] for item in items.tolist()]
    because = reason_ids(model, user.train, items, item_ids)
    described = published.describe(listed, scores.tolist(), len(listed), because=because) if listed else []
    explained, rated_by = _with_meaning(run, published, user, model, items, described)
    return ModelList(name, version, explained, False, rated_by)


def _ranked(model: "Model", user: KnownUser, n: int | None) -> "tuple[NDArray[np.int32], NDArray[np.float32]]":
    """Return the n best items, or all, that the user does not have, best first, and their scores."""
    import numpy as np
    import scipy.sparse as sp

    row = np.full(len(user.has), user.index)
    has = sp.csr_array((np.ones(len(row), np.float32), (row, user.has)), shape=(user.n_users, user.n_items))
    top = model.recommend(np.array([user.index], np.int32), min(n or user.n_items, user.n_items), exclude=has)
    listed = top.items[0] >= 0
    return top.items[0, listed], top.scores[0, listed]


def _with_meaning(
    run: "DomainRun",
    published: PublishedFile,
    user: KnownUser,
    model: "Model",
    items: "NDArray[np.int32]",
    described: list[Recommendation],
) -> tuple[list[Recommendation], str | None]:
    """Add to each item what the model says of it beside its score, and the rating by the best rating model.

    Returns:
        The items, and the name of the model that predicted their ratings.
    """
    import numpy as np

    from recsys_dagster.evaluation.score_meaning import Meaning, meaning_of, meaningful_values
    from recsys_dagster.model_store.store import ModelStore

    users = np.full(len(items), user.index, np.int32)
    meaning, rated_by, by_name = meaning_of(model), published.rating_model(), {}
    if meaning is not None:
        by_name[str(meaning)] = meaningful_values(model, users, items)
    if meaning is Meaning.RATING:
        rated_by = model.name
    elif rated_by is not None:
        version = published.models().get(rated_by)
        rating_model, _ = ModelStore(run.layout).load(run.domain.name, rated_by, version, id_map_hash=user.id_map_hash)
        by_name[str(Meaning.RATING)] = meaningful_values(rating_model, users, items)
    values = {name: column.tolist() for name, column in by_name.items() if column is not None}
    explained = []
    for place, one in enumerate(described):
        explained.append(replace(one, **{name: column[place] for name, column in values.items()}))
    return explained, rated_by
