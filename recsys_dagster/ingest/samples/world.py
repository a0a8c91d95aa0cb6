"""The world behind a generated sample: titles and people with latent tastes.

Genres have latent vectors; a title's vector is that of its franchise (the mean of its genres' and something of its
own), a little varied; a person's is a mixture of liked and disliked genres, and drifts. What people watch follows
popularity and taste, so ratings are missing not at random, and an estimator that knows the person does better than
one that knows only the title.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.samples.kernel import FACTORS, alias_table, choose_and_rate

DAY = 86400
BLOCK_ROWS = 250_000
"""Rows of a block; a few blocks are in memory at a time."""

# Quantiles of a logistic distribution: a title of affinity x is watched with probability σ(2.2 (x - 0.7)).
_QUANTILE = (np.arange(4096) + 0.5) / 4096
_HURDLE = (0.7 + np.log(_QUANTILE / (1 - _QUANTILE)) / 2.2).astype(np.float32)


@dataclass(frozen=True)
class Climate:
    """What the generated people and titles of a domain are like; ratings are counted in levels from 0.

    Attributes:
        genres: name → share of titles, in the proportions of the publisher's file.
        levels: number of rating levels.
        mean: mean level.
        item_spread, user_spread, affinity, noise: standard deviations of the parts of a rating, in levels.
        whole_stars: share of people who give only every second level.
        opened, closed: years between which ratings are given.
        oldest: year of the first title.
        head: the popularity of rank r is (r + head · n_items) ** -tail (Zipf–Mandelbrot).
        tail: see head.
        activity: standard deviation of the logarithm of a person's number of ratings.
        least: fewest ratings of a person, where the sizes allow it.
        fullest: largest share of all titles that a person rates.
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
    """The titles of a world, by index, which is the order of their ids.

    Attributes:
        ids: (n,) ascending, with gaps.
        genres: (n, n_genres) bool, in the climate's order.
        franchise, part: (n,) number of the franchise and place in it, from 0.
        year: (n,) year of release with its fraction.
        popularity: (n,) adds up to 1.
        factors: (n, FACTORS) of about unit length.
        bias: (n,) in levels.
        sequel: (n,) index of the next part, or -1.
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
    """The rows of consecutive users.

    Attributes:
        number: of the block, from 0.
        users: (rows,) int32 index of the user.
        rated: (rows,) bool, whether the row is one of the user's ratings, which come first.
        items, codes, seconds: (rows,) what the user watched, its level from 0, and when.
    """

    number: int
    users: NDArray[np.int32]
    rated: NDArray[np.bool_]
    items: NDArray[np.int32]
    codes: NDArray[np.int8]
    seconds: NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """Everything that a block is drawn from.

    Attributes:
        climate: what the domain is like.
        seed: of everything.
        titles: the titles.
        genre_vectors: (n_genres, FACTORS).
        rated, rows: (n_users,) titles that each user rates, and that each user has to do with.
        keep, alias: (n_items,) the alias table of the popularity.
        mean: level of an average title for an average user before people choose what they like.
    """

    climate: Climate
    seed: int
    titles: WorldItems
    genre_vectors: NDArray[np.float32]
    rated: NDArray[np.int64]
    rows: NDArray[np.int64]
    keep: NDArray[np.uint64]
    alias: NDArray[np.int32]
    mean: float

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """Yield (number, first user, last user + 1) of blocks of about BLOCK_ROWS rows."""
        block_of = (np.cumsum(self.rows) - self.rows) // BLOCK_ROWS
        first = np.flatnonzero(np.diff(block_of, prepend=-1))
        ends = [*first[1:], len(self.rows)]
        yield from ((number, int(a), int(b)) for number, (a, b) in enumerate(zip(first, ends, strict=True)))

    def draw(self, number: int, first: int, last: int) -> Block:
        """Let the users first … last - 1 watch and rate; equal arguments give equal rows."""
        climate, titles = self.climate, self.titles
        rng = np.random.default_rng((self.seed, 1, first))
        n = last - first
        rows = self.rows[first:last]
        start = np.concatenate([[0], np.cumsum(rows)])
        joined, lifetime, sessions = _calendar(climate, rows, rng)
        items, codes, seconds = choose_and_rate(
            self.keep,
            self.alias,
            titles.factors,
            titles.bias,
            _epoch(titles.year),
            titles.sequel,
            start,
            rng.integers(0, 2**64, n, dtype=np.uint64),
            _tastes(self.genre_vectors, n, rng, 1.0),
            _tastes(self.genre_vectors, n, rng, 0.8),
            (self.mean + climate.user_spread * rng.standard_normal(n)).astype(np.float32),
            np.where(rng.random(n) < climate.whole_stars, 2, 1).astype(np.int32),
            joined,
            lifetime,
            sessions,
            _HURDLE,
            follow=0.3,
            affinity=climate.affinity,
            noise=climate.noise,
            levels=climate.levels,
        )
        users = np.repeat(np.arange(first, last, dtype=np.int32), rows)
        rated = np.arange(start[-1]) < np.repeat(start[:-1] + self.rated[first:last], rows)
        return Block(number, users, rated, items, codes, seconds)


def make_world(climate: Climate, n_items: int, rated: NDArray[np.int64], rows: NDArray[np.int64], seed: int) -> World:
    """Return the world of `n_items` titles and of users with so many ratings, and so many rows in all."""
    rng = np.random.default_rng((seed, 0))
    vectors = rng.standard_normal((len(climate.genres), FACTORS)).astype(np.float32)
    titles = _make_titles(climate, vectors, n_items, rng)
    world = World(climate, seed, titles, vectors, rated, rows, *alias_table(titles.popularity), climate.mean)
    # People watch what they like, which lifts the mean by an amount that depends on the sizes: trials tell it.
    some = 1 + int(np.searchsorted(np.cumsum(rows), min(rows.sum() - 1, BLOCK_ROWS)))
    for _ in range(3):
        trial = world.draw(0, 0, some)
        world = replace(world, mean=world.mean + climate.mean - float(trial.codes[trial.rated].mean()))
    return world


def activity(climate: Climate, n_users: int, n_items: int, n_ratings: int, seed: int) -> NDArray[np.int64]:
    """Return the (n_users,) number of ratings of each user: log-normal within bounds, and exactly `n_ratings` in all.

    Raises:
        RecsysError: no user could have a rating, or the pairs would not suffice.
    """
    most = int(n_items * climate.fullest)
    if not 0 < n_users <= n_ratings <= n_users * most:
        raise RecsysError(
            f"{n_users} users and {n_items} titles cannot have {n_ratings} ratings; "
            f"ask for {n_users} to {n_users * most}, or for other sizes"
        )
    rng = np.random.default_rng((seed, 2))
    least = max(1, min(climate.least, n_ratings // n_users // 2))
    weight = rng.lognormal(0, climate.activity, n_users)

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


def _make_titles(climate: Climate, vectors: NDArray[np.float32], n: int, rng: np.random.Generator) -> WorldItems:
    """Make franchises, then their parts, then put the titles into the order of their ids."""
    sizes = np.minimum(rng.geometric(0.7, n), 8)
    franchise = np.repeat(np.arange(n), sizes)[:n]
    n_franchises = int(franchise[-1]) + 1
    part = np.arange(n) - np.searchsorted(franchise, franchise)

    share = np.array(list(climate.genres.values()))
    count = np.clip(rng.poisson(share.sum(), n_franchises), 1, 6)
    order = np.argsort(-(np.log(share) + rng.gumbel(size=(n_franchises, len(share)))), axis=1)
    genres = np.zeros((n_franchises, len(share)), dtype=bool)
    np.put_along_axis(genres, order, np.arange(len(share)) < count[:, None], axis=1)

    core = _unit_length(genres.astype(np.float32) @ vectors)
    core = _unit_length(core + 0.6 * _unit_length(rng.standard_normal((n_franchises, FACTORS))))
    factors = _unit_length(core[franchise] + 0.35 * _unit_length(rng.standard_normal((n, FACTORS))))

    fame = rng.standard_normal(n_franchises)[franchise] - 0.35 * part + 0.6 * rng.standard_normal(n)
    rank = np.argsort(np.argsort(-fame))
    weight = (rank + climate.head * n + 1.0) ** -climate.tail
    quality = 0.4 * fame + rng.standard_normal(n)
    bias = climate.item_spread * (quality - quality.mean()) / quality.std()

    # Half of the titles are older than the site; most of them not by much.
    age = np.where(rng.random(n_franchises) < 0.5, -1, 1) * rng.random(n_franchises) ** np.where(
        rng.random(n_franchises) < 0.7, 2, 1
    )
    debut = np.where(
        age < 0,
        climate.opened + age * (climate.opened - climate.oldest),
        climate.closed - age * (climate.closed - climate.opened),
    )
    year = np.minimum(debut[franchise] + part * rng.uniform(0.8, 3, n), climate.closed - rng.random(n) / 2)

    known = np.maximum(year, climate.opened) + rng.uniform(0, 2, n)
    by_id = np.argsort(known)
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
    """Return (n, FACTORS) tastes whose product with a title's factors has a standard deviation of about `size`."""
    liking = rng.laplace(size=(n, len(vectors)))
    taste = _unit_length(liking @ vectors) + 0.5 * _unit_length(rng.standard_normal((n, FACTORS)))
    return np.asarray(size * np.sqrt(FACTORS) * _unit_length(taste), np.float32)


def _calendar(
    climate: Climate, rows: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return when each user joins, for how many seconds they stay, and in how many sessions.

    A third comes once; the others stay for years, the longer the more they have rated.
    """
    n = len(rows)
    opened, closed = (float(_epoch(np.array(year))) for year in (climate.opened, climate.closed))
    joined = opened + rng.random(n) * (closed - opened - 7 * DAY)
    years = rng.exponential(2.5, n) * (1 + np.log1p(rows / rows.mean()))
    lifetime = np.where(rng.random(n) < 1 / 3, 0, np.minimum(years * 365 * DAY, closed - joined - DAY))
    sessions = np.where(lifetime > 0, 1 + rng.poisson(lifetime / (40 * DAY)), 1)
    return joined.astype(np.int64), lifetime.astype(np.int64), np.minimum(sessions, rows)


def _epoch(year: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the epoch second of a year with its fraction."""
    return ((year - 1970) * 365.25 * DAY).astype(np.int64)


def _unit_length(rows: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Scale each row to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))
