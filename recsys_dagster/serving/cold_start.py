"""Recommend to users who are not in the data, by items or genres that they rate or like.

The models are those of the run that published, in the versions of its leaderboard, and ids and titles are those of the
published file. A run that is active meanwhile neither delays an answer nor gets mixed up with it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.serving.filters import EVERYTHING, ItemFilter
from recsys_dagster.serving.item_finder import ItemFinder, NamedItem, normalise
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.recommendation import Id, Recommendation
from recsys_dagster.serving.rules import Balance, read_rules

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from recsys_dagster.data.interactions import Interactions
    from recsys_dagster.model_store.store import ModelStore
    from recsys_dagster.models.base import Model

FALLBACK = "popularity"
"""Part of every run; it adjusts popularity by the stated genres if no model can do better."""


@dataclass(frozen=True)
class ColdStartList:
    """Recommendations for a user who is not in the data.

    Attributes:
        model, version: the model of the last run that made them.
        ratings: the ratings that the user gave, by the name of the item or genre as it is in the data; None for one
            that the user likes.
        recommendations: best first.
    """

    model: str
    version: str
    ratings: dict[str, float | None]
    recommendations: list[Recommendation]


def recommend_by_ratings(
    published: PublishedFile,
    store: "ModelStore",
    statements: Sequence[str],
    n: int,
    *,
    liked: Sequence[str] = (),
    wanted: ItemFilter = EVERYTHING,
    model: str | None = None,
    balance: Balance | None = None,
) -> ColdStartList:
    """Recommend items to a new user who rates or likes some items; these are excluded.

    Args:
        published: the published file of the domain.
        store: the model store of the same home.
        statements: "NAME=RATING" each; the name is looked up by `ItemFinder`.
        liked: names of items that the user likes, without a rating.
        n: largest number of items.
        wanted: which items the list may hold, beside those that the rules of the domain forbid.
        model: name of the model to use; default: the best model of the last run that can score by a history.
        balance: how much diversity and calibration weigh; None: as the rules say.

    Raises:
        UsageError: a statement is malformed, its name is unknown or ambiguous, or its rating is outside of the scale;
            the kind or genre is unknown; or the model is not part of the last run or cannot score by a history.
        RecsysError: the model's files are missing or damaged.
    """
    import numpy as np

    from recsys_dagster.data.interactions import Interactions
    from recsys_dagster.models.capabilities import FoldIn

    finder, scale = ItemFinder(published.named_items()), published.provenance().scale
    rated: dict[Id, tuple[NamedItem, float | None]] = {}
    named: list[tuple[str, float | None]] = [_parse(text, "--rated", scale) for text in statements]
    for name, rating in [*named, *((name, None) for name in liked)]:
        item = finder.find(name)
        if item.item_id in rated:
            raise UsageError(f"{item.label} is named twice")
        rated[item.item_id] = (item, rating)
    item_ids = published.indices().item_ids
    index = {item_id: number for number, item_id in enumerate(item_ids)}
    history = Interactions(
        users=np.zeros(len(rated), np.int32),
        items=np.array([index[item_id] for item_id in rated], np.int32),
        ratings=np.array([np.nan if rating is None else rating for _, rating in rated.values()], np.float32),
    )
    chosen, version = _load_model(published, store, model, "can recommend by rated titles", FoldIn)
    return ColdStartList(
        chosen.name,
        version,
        {item.label_with_id: rating for item, rating in rated.values()},
        _recommend(published, store, chosen, n, wanted, balance, history=history),
    )


def recommend_by_tastes(
    published: PublishedFile,
    store: "ModelStore",
    statements: Sequence[str],
    n: int,
    *,
    wanted: ItemFilter = EVERYTHING,
    model: str | None = None,
    balance: Balance | None = None,
) -> ColdStartList:
    """Recommend items to a new user who rates genres, by statements "GENRE=RATING"; see `recommend_by_ratings`.

    In a domain without ratings a statement is the name of a genre that the user likes.
    """
    import numpy as np

    from recsys_dagster.data.tastes import TASTE_SCALE
    from recsys_dagster.models.capabilities import StatedTastes

    genre_names, scale = published.indices().genre_names, published.provenance().scale
    genres = {normalise(genre): genre for genre in genre_names}
    ratings: dict[str, float | None] = {}
    named: list[tuple[str, float | None]] = (
        [(name, None) for name in statements]
        if scale is None
        else [_parse(text, "--taste", scale) for text in statements]
    )
    for name, rating in named:
        genre = genres.get(normalise(name))
        if genre is None:
            raise UsageError(f"unknown genre {name!r} in {published.path.stem}; known: {', '.join(genre_names)}")
        if genre in ratings:
            raise UsageError(f"{genre} is rated twice")
        ratings[genre] = rating
    stated = {genre: TASTE_SCALE[1] if rating is None else rating for genre, rating in ratings.items()}
    tastes = np.array([[stated.get(genre, np.nan) for genre in genre_names]], np.float32)
    chosen, version = _load_model(published, store, model, "can recommend by genres", StatedTastes)
    listed = _recommend(published, store, chosen, n, wanted, balance, tastes=tastes)
    return ColdStartList(chosen.name, version, ratings, listed)


def _parse(text: str, option: str, scale: tuple[float, float] | None) -> tuple[str, float]:
    """Return the name and the rating of "NAME=RATING"; the last = separates them, so that a name may contain one."""
    if scale is None:
        raise UsageError(f"{option} {text!r}: this domain has no ratings; name what the user likes with '--liked'")
    name, _, number = text.rpartition("=")
    name, low, high = name.strip(), *scale
    try:
        rating = float(number)
    except ValueError:
        rating = math.nan
    if not name or math.isnan(rating):
        placeholder = "NAME" if option == "--rated" else "GENRE"
        raise UsageError(f"{option} {text!r}: expected {placeholder}=RATING with a number from {low:g} to {high:g}")
    if not low <= rating <= high:
        raise UsageError(f"{option} {text!r}: {rating:g} is outside of the scale from {low:g} to {high:g}")
    return name, rating


def models_of_last_run(
    store: "ModelStore", provenance: Provenance, evaluated: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """Return the version of each model of the run that published, and the hash of that run's ids.

    Args:
        store: the model store of the same home.
        provenance: of the published lists.
        evaluated: the version of each model of the leaderboard, the best first. It may contain models of an earlier
            run, whose indices stand for other items.

    Raises:
        RecsysError: the record of a model is missing or damaged.
    """
    from recsys_dagster.models.registry import model_names

    domain = provenance.domain
    ids = store.record(domain, provenance.model, provenance.version).id_map_hash
    versions = {
        name: version
        for name, version in ({provenance.model: provenance.version} | dict(evaluated)).items()
        if name in model_names() and store.record(domain, name, version).id_map_hash == ids
    }
    return versions, ids


def _load_model(
    published: PublishedFile, store: "ModelStore", name: str | None, task: str, capability: type
) -> "tuple[Model, str]":
    """Return the named model of the last run, or else the best one with the capability, and its version."""
    from recsys_dagster.models.registry import get_model_class

    domain = published.path.stem
    versions, ids = models_of_last_run(store, published.provenance(), published.models())
    capable = [candidate for candidate in versions if issubclass(get_model_class(candidate), capability)]
    if name is None:
        name = next(iter(capable), FALLBACK)
    elif not issubclass(get_model_class(name), capability) and name != FALLBACK:
        able = ", ".join(capable) or FALLBACK
        raise UsageError(f"{name} is not a model that {task}; models of the last run that do: {able}")
    if name not in versions:
        raise UsageError(f"the last run of {domain} had no {name}; it had: {', '.join(versions)}")
    model, _ = store.load(domain, name, versions[name], id_map_hash=ids, for_one_user=True)
    return model, versions[name]


def _recommend(
    published: PublishedFile,
    store: "ModelStore",
    model: "Model",
    n: int,
    wanted: ItemFilter,
    balance: Balance | None,
    *,
    history: "Interactions | None" = None,
    tastes: "NDArray[np.float32] | None" = None,
) -> list[Recommendation]:
    """Return the n best items for one new user, who is given as for `Model.recommend_for`."""
    import numpy as np

    from recsys_dagster.models.base import TopN
    from recsys_dagster.serving.item_rules import rules_of_published

    item_ids = published.indices().item_ids
    if len(item_ids) != model.n_items_:
        raise RecsysError(
            f"{published.path} and {model.name} are of different runs; run `recsys run --domain {published.path.stem}`"
        )
    rules = rules_of_published(published, read_rules(store.layout.rules(published.domain)), balance)
    allowed = np.ones(len(item_ids), np.bool_) if rules is None else rules.allowed
    if wanted:
        among = set(published.items_where(wanted))
        allowed = allowed & [item_id in among for item_id in item_ids]

    def take(rows: "NDArray[np.int64]", k: int) -> TopN:  # noqa: ARG001 - there is one user
        return model.recommend_for(min(k, len(item_ids)), history=history, tastes=tastes, allowed=allowed)

    compared = None if history is None else history.matrix(1, len(item_ids))
    top = take(np.zeros(1, np.int64), n) if rules is None else rules.lists(take, 1, n, compared, balance)
    listed = top.items[0] >= 0
    items, scores = top.items[0, listed].tolist(), top.scores[0, listed].tolist()
    because = None if history is None else reason_ids(model, history, top.items[0, listed], item_ids)
    return published.describe([item_ids[item] for item in items], scores, because)


def reason_ids(
    model: "Model", history: "Interactions", items: "NDArray[np.int32]", item_ids: Sequence[Id]
) -> list[list[Id]] | None:
    """Return the ids of the items of a user's history that each item is recommended for; None if the model cannot say.

    Args:
        model: made the list.
        history: interactions of the user, in index space.
        items: (n,) indices of the items of the list.
        item_ids: id of each item index.
    """
    from recsys_dagster.models.explaining import explaining_model, reasons

    explaining = explaining_model([model])
    if explaining is None:
        return None
    return [[item_ids[one] for one in row if one >= 0] for row in reasons(explaining, history, items).tolist()]
