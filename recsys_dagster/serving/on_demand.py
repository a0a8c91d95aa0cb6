"""Answer for a user of the data by any model of the last run, over the whole catalogue and with filters.

The published lists hold a hundred items by one model. What they cannot answer is computed here: the model is loaded,
scores every item for this one user, and what the user has is left out. This needs the tables of the domain, which are
read without disturbing a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.serving.cold_start import reason_ids
from recsys_dagster.serving.filters import EVERYTHING, ItemFilter
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.serving.recommendation import Id, Recommendation
from recsys_dagster.serving.rules import Balance, read_rules

if TYPE_CHECKING:
    import numpy as np
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from recsys_dagster.data.interactions import Interactions
    from recsys_dagster.models.base import Model, TopN
    from recsys_dagster.serving.balance import Take
    from recsys_dagster.serving.item_rules import ItemRules
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
    run: "DomainRun",
    published: PublishedFile,
    user_id: Id,
    n: int,
    wanted: ItemFilter = EVERYTHING,
    balance: Balance | None = None,
) -> ModelList:
    """Return the n best items that a filter lets through: of the published list, or else of the whole catalogue.

    What the rules of the domain forbid today is left out, also if it was allowed when the lists were made.

    Args:
        run: the domain.
        published: its published file.
        user_id: id in the source.
        n: length of the list.
        wanted: which items the list may hold.
        balance: how much diversity and calibration weigh; None: as the rules say.

    Raises:
        UsageError: the user, the kind or the genre is unknown.
        RecsysError: the published list does not suffice, and the model cannot be loaded.
    """
    provenance = published.provenance()
    rules = _rules_of(run, published, balance)
    allowed = _allowed_ids(published, wanted, rules)
    listed = published.recommendations(user_id, published.sizes()["items"])
    matching = [one for one in listed if allowed is None or one.item_id in allowed]
    is_enough = allowed is None or len(matching) >= n or len(matching) == len(allowed)
    if is_enough or not run.warehouse.path.exists():  # where only the lists are kept, they are all there is
        if rules is not None and rules.chooses(balance or Balance()):
            matching = _chosen(published, user_id, matching, n, rules, balance)
        return ModelList(provenance.model, provenance.version, matching[:n], True, published.rating_model())
    (by_model,) = _lists_of(run, published, user_id, n, [provenance.model], rules, allowed, balance)
    return by_model


def recommend_by_models(
    run: "DomainRun",
    published: PublishedFile,
    user_id: Id,
    n: int,
    models: Sequence[str],
    wanted: ItemFilter = EVERYTHING,
    balance: Balance | None = None,
) -> list[ModelList]:
    """Return the list of each named model of the last run; the arguments are those of `recommend_to_user`.

    Raises:
        UsageError: the user, the kind or the genre is unknown, or a model is not one of the last run.
        RecsysError: a model cannot be loaded, or the tables have changed since the lists were published.
    """
    rules = _rules_of(run, published, balance)
    return _lists_of(run, published, user_id, n, models, rules, _allowed_ids(published, wanted, rules), balance)


def _lists_of(
    run: "DomainRun",
    published: PublishedFile,
    user_id: Id,
    n: int,
    models: Sequence[str],
    rules: "ItemRules | None",
    allowed: set[Id] | None,
    balance: Balance | None,
) -> list[ModelList]:
    """Return the list of each named model among the ids `allowed`; None: among all."""
    from recsys_dagster.serving.reading import readable

    provenance = published.provenance()
    versions = {provenance.model: provenance.version} | published.models()
    for name in models:
        if name not in versions:
            raise UsageError(f"the last run of {published.domain} had no {name}; it had: {', '.join(versions)}")
    published.check_user(user_id)
    with readable(run) as reading:
        user = read_user(reading, user_id)
    make = partial(_list_of, run, published, user, n, rules=rules, allowed=allowed, balance=balance)
    return [make(name, versions[name]) for name in models]


def _rules_of(run: "DomainRun", published: PublishedFile, balance: Balance | None) -> "ItemRules | None":
    """Return the rules of the domain for its items; None if there is nothing to apply."""
    rules = read_rules(run.layout.rules(run.domain.name))
    if not rules and not balance:  # looking up lists imports little
        return None
    from recsys_dagster.serving.item_rules import rules_of_published

    return rules_of_published(published, rules, balance)


def _allowed_ids(published: PublishedFile, wanted: ItemFilter, rules: "ItemRules | None") -> set[Id] | None:
    """Return the ids of the items that a list may hold; None: all."""
    if rules is None:
        return set(published.items_where(wanted)) if wanted else None
    item_ids = published.indices().item_ids
    by_rules = {item_ids[index] for index in rules.allowed.nonzero()[0].tolist()}
    return by_rules.intersection(published.items_where(wanted)) if wanted else by_rules


def _chosen(
    published: PublishedFile,
    user_id: Id,
    listed: Sequence[Recommendation],
    n: int,
    rules: "ItemRules",
    balance: Balance | None,
) -> list[Recommendation]:
    """Return the n entries of a published list that the rules and the balance choose, numbered from 1."""
    import numpy as np

    from recsys_dagster.models.base import TopN

    index = {item_id: place for place, item_id in enumerate(published.indices().item_ids)}
    # A list that was balanced when it was made is not in the order of the scores.
    entries = list(listed) if balance is None else sorted(listed, key=lambda one: -one.score)
    items = np.array([[index[one.item_id] for one in entries]], np.int32)
    scores = np.array([[one.score for one in entries]], np.float32)
    seen = [index[item_id] for item_id in published.history_items(user_id) if item_id in index]
    history = _history_row(seen, len(index))
    top = rules.lists(lambda _, k: TopN(items[:, :k], scores[:, :k]), 1, n, history, balance or Balance())
    entry = {index[one.item_id]: one for one in entries}
    chosen = [entry[item] for item in top.items[0].tolist() if item >= 0]
    return [replace(one, rank=rank) for rank, one in enumerate(chosen, 1)]


def _history_row(items: "Sequence[int] | NDArray[np.int32]", n_items: int) -> "sp.csr_array":
    """Return the (1, n_items) CSR of ones at the items of a history."""
    import numpy as np
    import scipy.sparse as sp

    return sp.csr_array((np.ones(len(items), np.float32), (np.zeros(len(items), np.int32), items)), shape=(1, n_items))


def read_user(run: "DomainRun", user_id: Id) -> KnownUser:
    """Return a user in the index space of the warehouse; RecsysError if it has no such user."""
    import numpy as np

    from recsys_dagster.warehouse.arrays import read_fold, read_id_map_hash, read_source_ids

    with run.warehouse.connect() as connection:
        user_ids, item_ids = read_source_ids(connection, run.warehouse)
        found = np.flatnonzero(user_ids == user_id)
        if not len(found):
            raise RecsysError(
                f"{run.warehouse.path}: user {user_id} has no interaction that models learn from; "
                "the published list, without '--model' and filters, is what there is"
            )
        index = int(found[0])
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
        ids = read_id_map_hash(connection)
    return KnownUser(index, np.ma.getdata(has).astype(np.int32), train, len(user_ids), len(item_ids), ids)


def _list_of(
    run: "DomainRun",
    published: PublishedFile,
    user: KnownUser,
    n: int,
    name: str,
    version: str,
    *,
    rules: "ItemRules | None",
    allowed: set[Id] | None,
    balance: Balance | None,
) -> ModelList:
    """Return the n best items of one model among the ids `allowed`; None: among all."""
    import numpy as np

    from recsys_dagster.model_store.store import ModelStore

    store = ModelStore(run.layout)
    model, _ = store.load(run.domain.name, name, version, id_map_hash=user.id_map_hash, for_one_user=True)
    item_ids = published.indices().item_ids
    if len(item_ids) != model.n_items_:
        raise RecsysError(
            f"{published.path} and {name} are of different runs; run `recsys run --domain {published.domain}`"
        )
    mask = None if allowed is None else np.array([item_id in allowed for item_id in item_ids], np.bool_)
    take = _candidates(model, user, mask)
    if rules is None:
        top = take(np.zeros(1, np.int64), n)
    else:
        top = rules.lists(take, 1, n, _history_row(user.train.items, user.n_items), balance)
    is_item = top.items[0] >= 0
    items, scores = top.items[0, is_item], top.scores[0, is_item]
    listed = [item_ids[item] for item in items.tolist()]
    because = reason_ids(model, user.train, items, item_ids)
    described = published.describe(listed, scores.tolist(), because) if listed else []
    explained, rated_by = _with_meaning(run, published, user, model, items, described)
    return ModelList(name, version, explained, False, rated_by)


def _candidates(model: "Model", user: KnownUser, allowed: "NDArray[np.bool_] | None") -> "Take":
    """Return what gives the k best items, of the allowed ones, that the user does not have."""
    import numpy as np
    import scipy.sparse as sp

    row = np.full(len(user.has), user.index)
    has = sp.csr_array((np.ones(len(row), np.float32), (row, user.has)), shape=(user.n_users, user.n_items))

    def take(rows: "NDArray[np.int64]", k: int) -> "TopN":  # noqa: ARG001 - there is one user
        return model.recommend(np.array([user.index], np.int32), min(k, user.n_items), exclude=has, allowed=allowed)

    return take


def _with_meaning(
    run: "DomainRun",
    published: PublishedFile,
    user: KnownUser,
    model: "Model",
    items: "NDArray[np.int32]",
    described: list[Recommendation],
) -> tuple[list[Recommendation], str | None]:
    """Add to each item what the model says of it beside its score, and rating and interval by the best rating model.

    Returns:
        The items, and the name of the model that predicted their ratings.
    """
    import numpy as np

    from recsys_dagster.evaluation.score_meaning import meaningful_values
    from recsys_dagster.model_store.store import ModelStore

    users = np.full(len(items), user.index, np.int32)
    rated_by, by_name = published.rating_model(), meaningful_values(model, users, items)
    if "rating" in by_name:
        rated_by = model.name
    elif rated_by is not None:
        version = published.models().get(rated_by)
        rating_model, _ = ModelStore(run.layout).load(
            run.domain.name, rated_by, version, id_map_hash=user.id_map_hash, for_one_user=True
        )
        by_name |= meaningful_values(rating_model, users, items)
    values = {name: column.tolist() for name, column in by_name.items()}
    explained = []
    for place, one in enumerate(described):
        explained.append(replace(one, **{name: column[place] for name, column in values.items()}))
    return explained, rated_by
