"""Lists for people who are not in the data: by titles that they rate, or by what they think of each genre.

The models are those of the run that published, in the versions that its leaderboard names, and ids and titles are the
published ones: a run that is under way neither holds up an answer nor gets mixed up with it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.serving.item_finder import ItemFinder, NamedItem, tolerant
from recsys_dagster.serving.lookup import Published, Recommendation

if TYPE_CHECKING:
    from recsys_dagster.model_store.store import ModelStore
    from recsys_dagster.models.base import Model

FALLBACK = "popularity"
"""Of every run; raises or lowers titles by stated genres where no model has a better way."""


@dataclass(frozen=True)
class Answer:
    """A list for somebody new.

    Attributes:
        model, version: which model of the last run made it.
        understood: what was stated: titles with their ids, or genres, as they stand in the data, and the ratings.
        recommendations: best first.
    """

    model: str
    version: str
    understood: dict[str, float]
    recommendations: list[Recommendation]


def recommend_by_ratings(
    published: Published,
    store: "ModelStore",
    stated: Sequence[str],
    n: int,
    *,
    kind: str | None = None,
    model: str | None = None,
) -> Answer:
    """Return n titles for somebody who rates some, those left out.

    Args:
        published: of the domain.
        store: the models of the same home.
        stated: each "NAME=RATING"; the name is found as `ItemFinder` does.
        n: at most so many.
        kind: only titles of this kind; their ranks stay those of the whole list.
        model: which answers; else the best of the last run that goes by a history.

    Raises:
        UsageError: a statement is not of that form, names no title or several, or rates beyond the scale; no such kind;
            the model is not of the last run, or cannot do this. The message says what is known.
        RecsysError: the model's files are missing or damaged, or what is published is older than this function.
    """
    import numpy as np

    from recsys_dagster.data.interactions import Interactions
    from recsys_dagster.models.capabilities import FoldIn

    finder, scale = ItemFinder(published.named_titles()), published.provenance().scale
    rated: dict[int, tuple[NamedItem, float]] = {}
    for name, rating in (_parsed(text, "--rated", scale) for text in stated):
        title = finder.find(name)
        if title.item_id in rated:
            raise UsageError(f"{title.label} is rated twice")
        rated[title.item_id] = (title, rating)
    item_ids = published.indices().item_ids
    index = {item_id: place for place, item_id in enumerate(item_ids)}
    history = Interactions(
        users=np.zeros(len(rated), np.int32),
        items=np.array([index[item_id] for item_id in rated], np.int32),
        ratings=np.array([rating for _, rating in rated.values()], np.float32),
    )
    chosen, version = _model(published, store, model, "goes by rated titles", FoldIn)
    return Answer(
        chosen.name,
        version,
        {f"{title.label} #{title.item_id}": rating for title, rating in rated.values()},
        _ranked(published, chosen, n, kind, history=history),
    )


def recommend_by_tastes(
    published: Published,
    store: "ModelStore",
    stated: Sequence[str],
    n: int,
    *,
    kind: str | None = None,
    model: str | None = None,
) -> Answer:
    """Return n titles for somebody who rates genres; as `recommend_by_ratings`, each statement "GENRE=RATING"."""
    import numpy as np

    from recsys_dagster.models.capabilities import StatedTastes

    genre_names, scale = published.indices().genre_names, published.provenance().scale
    known = {tolerant(genre): genre for genre in genre_names}
    understood: dict[str, float] = {}
    for name, rating in (_parsed(text, "--taste", scale) for text in stated):
        genre = known.get(tolerant(name))
        if genre is None:
            raise UsageError(f"unknown genre {name!r} in {published.path.stem}; known: {', '.join(genre_names)}")
        if genre in understood:
            raise UsageError(f"{genre} is rated twice")
        understood[genre] = rating
    tastes = np.array([[understood.get(genre, np.nan) for genre in genre_names]], np.float32)
    chosen, version = _model(published, store, model, "goes by tastes", StatedTastes)
    return Answer(chosen.name, version, understood, _ranked(published, chosen, n, kind, tastes=tastes))


def _parsed(text: str, option: str, scale: tuple[float, float]) -> tuple[str, float]:
    """Return the name and the rating of "NAME=RATING"; the name may have the sign in it, the rating comes last."""
    name, _, number = text.rpartition("=")
    name, low, high = name.strip(), *scale
    try:
        rating = float(number)
    except ValueError:
        rating = math.nan
    if not name or math.isnan(rating):
        what = "NAME" if option == "--rated" else "GENRE"
        raise UsageError(f"{option} {text!r}: write {what}=RATING, with a number from {low:g} to {high:g} at the end")
    if not low <= rating <= high:
        raise UsageError(f"{option} {text!r}: {rating:g} is outside of the scale from {low:g} to {high:g}")
    return name, rating


def _model(
    published: Published, store: "ModelStore", name: str | None, task: str, capability: type
) -> "tuple[Model, str]":
    """Return the named model of the last run or, unless one is named, the best with the capability; and its version."""
    from recsys_dagster.models.registry import get_model_class, model_names

    domain, provenance = published.path.stem, published.provenance()
    ids = store.record(domain, provenance.model, provenance.version).id_map_hash
    # What an earlier run left in the leaderboard may mean other titles by its indices.
    versions = {
        candidate: version
        for candidate, version in ({provenance.model: provenance.version} | published.models()).items()
        if candidate in model_names() and store.record(domain, candidate, version).id_map_hash == ids
    }
    capable = [candidate for candidate in versions if issubclass(get_model_class(candidate), capability)]
    if name is None:
        name = next(iter(capable), FALLBACK)
    elif not issubclass(get_model_class(name), capability) and name != FALLBACK:
        raise UsageError(f"{name} is no model that {task}; of the last run: {', '.join(capable) or FALLBACK}")
    if name not in versions:
        raise UsageError(f"the last run of {domain} had no {name}; it had: {', '.join(versions)}")
    model, _ = store.load(domain, name, versions[name], id_map_hash=ids)
    return model, versions[name]


def _ranked(published: Published, model: "Model", n: int, kind: str | None, **person: Any) -> list[Recommendation]:
    """Return the n best titles of that kind for a single person, who is given as to `Model.recommend_for`."""
    item_ids = published.indices().item_ids
    if len(item_ids) != model.n_items_:
        raise RecsysError(f"{published.path}: not of the run that {model.name} is of; run the domain again")
    # Of a kind there may be few, anywhere in the list.
    top = model.recommend_for(n if kind is None else len(item_ids), **person)
    listed = top.items[0] >= 0
    items, scores = top.items[0, listed].tolist(), top.scores[0, listed].tolist()
    return published.ranked([item_ids[item] for item in items], scores, n, kind)
