"""Generate a sample in the format of MovieLens (ml-latest-small): movies, ratings, links and tags."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys_dagster.ingest.samples.csv_blocks import Encoded, encode, encode_text, write_blocks, write_table
from recsys_dagster.ingest.samples.names import movie_titles
from recsys_dagster.ingest.samples.world import Block, WorldItems, WorldParameters, activity, make_world

# Shares of genres, spread of users and activity are those of ml-latest-small (2018); the other values were tuned so
# that models differ in quality about as much as on the real data.
_PARAMETERS = WorldParameters(
    genres={
        "Action": 0.188, "Adventure": 0.130, "Animation": 0.063, "Children": 0.068, "Comedy": 0.386, "Crime": 0.123,
        "Documentary": 0.045, "Drama": 0.448, "Fantasy": 0.080, "Film-Noir": 0.009, "Horror": 0.100, "IMAX": 0.016,
        "Musical": 0.034, "Mystery": 0.059, "Romance": 0.164, "Sci-Fi": 0.101, "Thriller": 0.194, "War": 0.039,
        "Western": 0.017,
    },
    levels=10, mean=6.0, item_spread=1.0, user_spread=0.9, affinity=1.2, noise=1.4, whole_stars=0.4,
    opened=1996.2, closed=2018.7, oldest=1915, head=0.005, tail=1.4, activity=1.4, least=20, fullest=0.5,
)  # fmt: skip
_TAGS = (
    "atmospheric", "surreal", "funny", "thought-provoking", "quirky", "Funny", "twist ending", "visually appealing",
    "boring", "based on a book", "great soundtrack", '"artsy"', "slow, but worth it",
)  # fmt: skip


def write_movielens(folder: Path, n_users: int, n_items: int, n_ratings: int, seed: int) -> None:
    """Write movies.csv, ratings.csv, links.csv and tags.csv; see `write_sample`."""
    rated = activity(_PARAMETERS, n_users, n_items, n_ratings, seed)
    world = make_world(_PARAMETERS, n_items, rated, rated, seed)
    items = world.items
    _write_movies(folder, items, np.random.default_rng((seed, 3)))
    tags = _item_tags(items, np.random.default_rng((seed, 4)))
    vocabulary = pa.array([*_PARAMETERS.genres, *_TAGS])

    def encode_block(block: Block) -> Encoded:
        order = np.argsort(block.users.astype(np.int64) * n_items + block.items)
        users, rated_items, seconds = block.users[order] + 1, block.items[order], block.seconds[order]
        item_ids = items.ids[rated_items]
        rows, chosen, delays = _tag_ratings(block.number, users, seed)
        words = pa.DictionaryArray.from_arrays(tags[rated_items[rows], chosen], vocabulary)
        return {
            "ratings.csv": encode([users, item_ids, block.codes[order] + 1, seconds], halved=[2]),
            "tags.csv": encode_text([users[rows], item_ids[rows], words, seconds[rows] + delays]),
        }

    headers = {"ratings.csv": "userId,movieId,rating,timestamp", "tags.csv": "userId,movieId,tag,timestamp"}
    write_blocks(folder, headers, world, encode_block)


def _write_movies(folder: Path, items: WorldItems, rng: np.random.Generator) -> None:
    names = np.array(list(_PARAMETERS.genres))
    genres = ["|".join(names[row]) for row in items.genres]
    for i in np.flatnonzero(rng.random(len(genres)) < 0.0035):
        genres[i] = "(no genres listed)"
    titles = movie_titles(items.franchise, items.part, items.year, rng)
    ids = items.ids.tolist()
    write_table(folder / "movies.csv", ("movieId", "title", "genres"), zip(ids, titles, genres, strict=True))
    n = len(genres)
    imdb = [f"{i:07d}" for i in np.cumsum(rng.integers(1, 60, n)).tolist()]
    numbers = rng.permutation(np.arange(1, 20 * n + 1))[:n].tolist()
    tmdb = [None if missing else number for number, missing in zip(numbers, rng.random(n) < 0.001, strict=True)]
    write_table(folder / "links.csv", ("movieId", "imdbId", "tmdbId"), zip(ids, imdb, tmdb, strict=True))


def _item_tags(items: WorldItems, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return the (n_items, 4) tags that users may give to each item: one of its genres twice, and two of _TAGS."""
    n, n_genres = items.genres.shape
    lot = np.where(items.genres, rng.random((n, n_genres)), -1)
    free = n_genres + rng.integers(len(_TAGS), size=(n, 2))
    return np.hstack([np.argsort(-lot, axis=1)[:, :1].repeat(2, axis=1), free]).astype(np.int32)


def _tag_ratings(
    block_number: int, users: NDArray[np.int32], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that get a tag, which of the item's four tags, and the seconds between rating and tag.

    One user in twelve gives tags, to a third of the items they rate; MovieLens has about as many tags per rating.
    """
    rng = np.random.default_rng((seed, 5, block_number))
    gives_tags = rng.random(users[-1] - users[0] + 1) < 1 / 12
    rows = np.flatnonzero(gives_tags[users - users[0]] & (rng.random(len(users)) < 1 / 3))
    return rows, rng.integers(4, size=len(rows)), rng.integers(2, 90, size=len(rows))
