"""Generate the latent model behind a sample: items with latent factors, users with latent tastes.

Every genre has a latent vector. The vector of an item is that of its franchise (the mean over its genres plus noise)
with a small variation. The vector of a user is a mixture of liked and disliked genres that drifts over time. Which
items a user interacts with depends on popularity and taste, so ratings are missing not at random, and personalised
models do better than popularity.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.samples.kernel import FACTORS, alias_table, choose_and_rate
from recsys_dagster.runtime.units import DAY_SECONDS

BLOCK_ROWS = 250_000
"""Approximate number of rows of a block; a few blocks are in memory at a time."""

# Quantiles of a logistic distribution: an item of affinity x is accepted with probability σ(2.2 (x - 0.7)).
_QUANTILE = (np.arange(4096) + 0.5) / 4096
_THRESHOLDS = (0.7 + np.log(_QUANTILE / (1 - _QUANTILE)) / 2.2).astype(np.float32)


@dataclass(frozen=True)
class WorldParameters:
    """Parameters of the generated users, items and ratings of a domain; ratings are counted in levels from 0.

    Attributes:
        genres: share of the items that have each genre, as in the real data.
        levels: number of rating levels.
        mean: mean rating level.
        item_spread, user_spread, affinity, noise: standard deviations of the components of a rating, in levels.
        whole_stars: share of users who use only every second level.
        opened, closed: years of the first and the last rating.
        oldest: release year of the oldest item.
        head, tail: the popularity of rank r is (r + head · n_items) ** -tail (Zipf–Mandelbrot).
        activity: standard deviation of the logarithm of a user's number of ratings.
        least: smallest number of ratings of a user, if the sizes allow it.
        fullest: largest share of all items that a user rates.
    """

    genres: dict[str, float]
    levels: int
    mean: float
    item_spread: float
    user_spread: float
    affinity: float
    noise: float
    whole_stars: float
    opened: float
    closed: float
    oldest: float
    head: float
    tail: float
    activity: float
    least: int
    fullest: float


@dataclass(frozen=True)
class WorldItems:
    """The items of a world, indexed in the order of their ids.

    Attributes:
        ids: (n,) ascending, with gaps.
        genres: (n, n_genres) bool, in the order of `WorldParameters.genres`.
        franchise, part: (n,) number of the franchise, and position in it from 0.
        year: (n,) release time in years, with fraction.
        popularity: (n,) sums to 1.
        factors: (n, FACTORS) of about unit length.
        bias: (n,) in rating levels.
        sequel: (n,) index of the next item of the franchise, or -1.
    """

    ids: NDArray[np.int32]
    genres: NDArray[np.bool_]
    franchise: NDArray[np.int32]
    part: NDArray[np.int32]
    year: NDArray[np.float64]
    popularity: NDArray[np.float64]
    factors: NDArray[np.float32]
    bias: NDArray[np.float32]
    sequel: NDArray[np.int32]


@dataclass(frozen=True)
class Block:
    """The generated rows of consecutive users.

    Attributes:
        number: number of the block, from 0.
        users: (rows,) int32 user indices.
        rated: (rows,) bool, whether the row is a rating; the ratings of a user come first.
        items, codes, seconds: (rows,) item index, rating level from 0, epoch second.
    """

    number: int
    users: NDArray[np.int32]
    rated: NDArray[np.bool_]
    items: NDArray[np.int32]
    codes: NDArray[np.int8]
    seconds: NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """Everything that blocks are generated from.

    Attributes:
        parameters: parameters of the domain.
        seed: seed of all random numbers.
        items: the items.
        genre_vectors: (n_genres, FACTORS) latent vectors of the genres.
        rated, rows: (n_users,) number of ratings, and of all rows, of each user.
        keep, alias: (n_items,) alias table of the popularity.
        mean: rating level of an average item for an average user, before users select what they like.
    """

    parameters: WorldParameters
    seed: int
    items: WorldItems
    genre_vectors: NDArray[np.float32]
    rated: NDArray[np.int64]
    rows: NDArray[np.int64]
    keep: NDArray[np.uint64]
    alias: NDArray[np.int32]
    mean: float

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """Yield (number, first user, last user + 1) of each block of about BLOCK_ROWS rows."""
        block_of = (np.cumsum(self.rows) - self.rows) // BLOCK_ROWS
        first = np.flatnonzero(np.diff(block_of, prepend=-1))
        ends = [*first[1:], len(self.rows)]
        yield from ((number, int(a), int(b)) for number, (a, b) in enumerate(zip(first, ends, strict=True)))

    def generate(self, number: int, first: int, last: int) -> Block:
        """Generate the rows of the users first … last - 1; equal arguments give equal rows."""
        parameters, items = self.parameters, self.items
        rng = np.random.default_rng((self.seed, 1, first))
        n = last - first
        rows = self.rows[first:last]
        start = np.concatenate([[0], np.cumsum(rows)])
        joined, lifetime, sessions = _calendar(parameters, rows, rng)
        chosen, codes, seconds = choose_and_rate(
            self.keep,
            self.alias,
            items.factors,
            items.bias,
            _epoch(items.year),
            items.sequel,
            start,
            rng.integers(0, 2**64, n, dtype=np.uint64),
            _tastes(self.genre_vectors, n, rng, 1.0),
            _tastes(self.genre_vectors, n, rng, 0.8),
            (self.mean + parameters.user_spread * rng.standard_normal(n)).astype(np.float32),
            np.where(rng.random(n) < parameters.whole_stars, 2, 1).astype(np.int32),
            joined,
            lifetime,
            sessions,
            _THRESHOLDS,
            follow=0.3,
            affinity=parameters.affinity,
            noise=parameters.noise,
            levels=parameters.levels,
        )
        users = np.repeat(np.arange(first, last, dtype=np.int32), rows)
        rated = np.arange(start[-1]) < np.repeat(start[:-1] + self.rated[first:last], rows)
        return Block(number, users, rated, chosen, codes, seconds)


def make_world(
    parameters: WorldParameters, n_items: int, rated: NDArray[np.int64], rows: NDArray[np.int64], seed: int
) -> World:
    """Generate a world with `n_items` items, and users with the given numbers of ratings and of rows."""
    rng = np.random.default_rng((seed, 0))
    vectors = rng.standard_normal((len(parameters.genres), FACTORS)).astype(np.float32)
    items = _make_items(parameters, vectors, n_items, rng)
    keep, alias = alias_table(items.popularity)
    world = World(parameters, seed, items, vectors, rated, rows, keep, alias, parameters.mean)
    # Users choose items that they like, which raises the mean by an amount that depends on the sizes: measure it.
    some = 1 + int(np.searchsorted(np.cumsum(rows), min(rows.sum() - 1, BLOCK_ROWS)))
    for _ in range(3):
        trial = world.generate(0, 0, some)
        world = replace(world, mean=world.mean + parameters.mean - float(trial.codes[trial.rated].mean()))
    return world


def activity(parameters: WorldParameters, n_users: int, n_items: int, n_ratings: int, seed: int) -> NDArray[np.int64]:
    """Return the (n_users,) number of ratings of each user: log-normal within bounds, with sum `n_ratings`.

    Raises:
        RecsysError: there are fewer ratings than users, or more than the users can give.
    """
    most = int(n_items * parameters.fullest)
    if not 0 < n_users <= n_ratings <= n_users * most:
        raise RecsysError(
            f"{n_users} users and {n_items} items cannot have {n_ratings} ratings; "
            f"ask for {n_users} to {n_users * most}, or for other sizes"
        )
    rng = np.random.default_rng((seed, 2))
    least = max(1, min(parameters.least, n_ratings // n_users // 2))
    weight = rng.lognormal(0, parameters.activity, n_users)

    def sizes(scale: float) -> NDArray[np.int64]:
        return least + np.minimum(scale * weight, most - least).astype(np.int64)

    low, high = 0.0, float(most) / weight.min()
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sizes(middle).sum() <= n_ratings else (low, middle)
    rows = sizes(low)
    while missing := n_ratings - int(rows.sum()):
        rows[rng.permutation(np.flatnonzero(rows < most))[:missing]] += 1
    return rows


def _make_items(
    parameters: WorldParameters, vectors: NDArray[np.float32], n: int, rng: np.random.Generator
) -> WorldItems:
    """Generate franchises and their parts, then sort the items by id."""
    sizes = np.minimum(rng.geometric(0.7, n), 8)
    franchise = np.repeat(np.arange(n), sizes)[:n]
    n_franchises = int(franchise[-1]) + 1
    part = np.arange(n) - np.searchsorted(franchise, franchise)

    share = np.array(list(parameters.genres.values()))
    count = np.clip(rng.poisson(share.sum(), n_franchises), 1, 6)
    order = np.argsort(-(np.log(share) + rng.gumbel(size=(n_franchises, len(share)))), axis=1)
    genres = np.zeros((n_franchises, len(share)), dtype=bool)
    np.put_along_axis(genres, order, np.arange(len(share)) < count[:, None], axis=1)

    core = _unit_length(genres.astype(np.float32) @ vectors)
    core = _unit_length(core + 0.6 * _unit_length(rng.standard_normal((n_franchises, FACTORS))))
    factors = _unit_length(core[franchise] + 0.35 * _unit_length(rng.standard_normal((n, FACTORS))))

    fame = rng.standard_normal(n_franchises)[franchise] - 0.35 * part + 0.6 * rng.standard_normal(n)
    rank = np.argsort(np.argsort(-fame))
    weight = (rank + parameters.head * n + 1.0) ** -parameters.tail
    quality = 0.4 * fame + rng.standard_normal(n)
    bias = parameters.item_spread * (quality - quality.mean()) / quality.std()

    # Half of the items are older than the site, most of them by a few years only.
    age = np.where(rng.random(n_franchises) < 0.5, -1, 1) * rng.random(n_franchises) ** np.where(
        rng.random(n_franchises) < 0.7, 2, 1
    )
    debut = np.where(
        age < 0,
        parameters.opened + age * (parameters.opened - parameters.oldest),
        parameters.closed - age * (parameters.closed - parameters.opened),
    )
    year = np.minimum(debut[franchise] + part * rng.uniform(0.8, 3, n), parameters.closed - rng.random(n) / 2)

    added = np.maximum(year, parameters.opened) + rng.uniform(0, 2, n)
    by_id = np.argsort(added)
    place = np.empty(n, dtype=np.int64)
    place[by_id] = np.arange(n)
    has_sequel = np.append(franchise[1:] == franchise[:-1], False)
    sequel = np.full(n, -1)
    sequel[has_sequel] = place[np.flatnonzero(has_sequel) + 1]
    ids = np.cumsum(np.where(np.arange(n) < n // 3, 1, rng.geometric(0.25, n)))
    return WorldItems(
        ids.astype(np.int32),
        genres[franchise[by_id]],
        franchise[by_id].astype(np.int32),
        part[by_id].astype(np.int32),
        year[by_id],
        (weight / weight.sum())[by_id],
        factors[by_id].astype(np.float32),
        bias[by_id].astype(np.float32),
        sequel[by_id].astype(np.int32),
    )


def _tastes(vectors: NDArray[np.float32], n: int, rng: np.random.Generator, size: float) -> NDArray[np.float32]:
    """Return (n, FACTORS) tastes; their product with an item's factors has a standard deviation of about `size`."""
    liking = rng.laplace(size=(n, len(vectors)))
    taste = _unit_length(liking @ vectors) + 0.5 * _unit_length(rng.standard_normal((n, FACTORS)))
    return np.asarray(size * np.sqrt(FACTORS) * _unit_length(taste), np.float32)


def _calendar(
    parameters: WorldParameters, rows: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return when each user joins, for how many seconds they are active, and the number of their sessions.

    A third of the users has a single session; the others stay for years, longer if they rate more.
    """
    n = len(rows)
    opened, closed = (float(_epoch(np.array(year))) for year in (parameters.opened, parameters.closed))
    joined = opened + rng.random(n) * (closed - opened - 7 * DAY_SECONDS)
    years = rng.exponential(2.5, n) * (1 + np.log1p(rows / rows.mean()))
    lifetime = np.where(rng.random(n) < 1 / 3, 0, np.minimum(years * 365 * DAY_SECONDS, closed - joined - DAY_SECONDS))
    sessions = np.where(lifetime > 0, 1 + rng.poisson(lifetime / (40 * DAY_SECONDS)), 1)
    return joined.astype(np.int64), lifetime.astype(np.int64), np.minimum(sessions, rows)


def _epoch(year: NDArray[np.float64]) -> NDArray[np.int64]:
    """Convert years with fractions to epoch seconds."""
    return ((year - 1970) * 365.25 * DAY_SECONDS).astype(np.int64)


def _unit_length(rows: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Scale each row to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))
