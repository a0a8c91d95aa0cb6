"""Generate a sample in the format of the Anime Recommendation Database 2020, as its later uploads spell the headers."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.ingest.samples.csv_blocks import Encoded, encode, write_blocks, write_table
from recsys_dagster.ingest.samples.names import anime_titles, synopsis
from recsys_dagster.ingest.samples.world import Block, WorldItems, WorldParameters, activity, make_world

# Shares of genres, kinds and scores are those of the real anime.csv; the other values were tuned so that models differ
# in quality about as much as on the real data.
_PARAMETERS = WorldParameters(
    genres={
        "Action": 0.221, "Adventure": 0.168, "Cars": 0.008, "Comedy": 0.343, "Dementia": 0.029, "Demons": 0.029,
        "Drama": 0.149, "Ecchi": 0.044, "Fantasy": 0.187, "Game": 0.022, "Harem": 0.023, "Hentai": 0.077,
        "Historical": 0.065, "Horror": 0.026, "Josei": 0.006, "Kids": 0.152, "Magic": 0.062, "Martial Arts": 0.024,
        "Mecha": 0.063, "Military": 0.033, "Music": 0.128, "Mystery": 0.041, "Parody": 0.038, "Police": 0.014,
        "Psychological": 0.020, "Romance": 0.108, "Samurai": 0.012, "School": 0.093, "Sci-Fi": 0.147, "Seinen": 0.047,
        "Shoujo": 0.039, "Shoujo Ai": 0.005, "Shounen": 0.114, "Shounen Ai": 0.006, "Slice of Life": 0.109,
        "Space": 0.028, "Sports": 0.041, "Super Power": 0.036, "Supernatural": 0.084, "Thriller": 0.007,
        "Vampire": 0.008, "Yaoi": 0.002, "Yuri": 0.002,
    },
    levels=10, mean=6.55, item_spread=0.8, user_spread=1.0, affinity=1.1, noise=1.1, whole_stars=0.0,
    opened=2006.0, closed=2021.1, oldest=1960, head=0.004, tail=1.6, activity=1.2, least=1, fullest=0.4,
)  # fmt: skip
_KINDS = {"TV": 4996, "OVA": 3894, "Movie": 3041, "Special": 2218, "ONA": 1907, "Music": 1469, "Unknown": 37}
_SOURCES = {
    "Original": 5215, "Manga": 3825, "Unknown": 3567, "Visual novel": 993, "Game": 880, "Light novel": 768,
    "Other": 597, "Novel": 510, "Music": 317, "4-koma manga": 288, "Web manga": 252, "Picture book": 147,
}  # fmt: skip
_AGES = {
    "PG-13 - Teens 13 or older": 6132, "G - All Ages": 5782, "PG - Children": 1461,
    "R - 17+ (violence & profanity)": 1157, "R+ - Mild Nudity": 997, "Unknown": 688,
}  # fmt: skip
_STUDIOS = {
    "Unknown": 8, "Studio Kazemichi": 1, "Hoshizora Animation": 1, "Tsubame Works": 1, "Atelier Nagi": 1,
    "Yamabiko Pictures": 1, "Studio Mikazuki": 1, "Asagiri, Studio Komorebi": 1,
}  # fmt: skip
_ITEM_COLUMNS = (
    "MAL_ID", "Name", "Score", "Genres", "English name", "Japanese name", "Type", "Episodes", "Aired", "Premiered",
    "Producers", "Licensors", "Studios", "Source", "Duration", "Rating", "Ranked", "Popularity", "Members", "Favorites",
    "Watching", "Completed", "On-Hold", "Dropped", "Plan to Watch", *(f"Score-{score}" for score in range(10, 0, -1)),
)  # fmt: skip
_WATCHING, _COMPLETED, _ON_HOLD, _DROPPED, _PLANNED = 1, 2, 3, 4, 6
_STATUSES = {
    _WATCHING: "Currently Watching", _COMPLETED: "Completed", _ON_HOLD: "On Hold", _DROPPED: "Dropped",
    _PLANNED: "Plan to Watch",
}  # fmt: skip
_EXTRA = 0.9  # list entries per rating that are not both completed and rated: 109 M / 57.6 M - 1
_UNKNOWN = "Unknown"


def write_anime(folder: Path, n_users: int, n_items: int, n_ratings: int, seed: int) -> None:
    """Write anime.csv, anime_with_synopsis.csv, rating_complete.csv, animelist.csv, watching_status.csv."""
    rated = activity(_PARAMETERS, n_users, n_items, n_ratings, seed)
    rng = np.random.default_rng((seed, 3))
    extra = (rated * _EXTRA * rng.lognormal(-0.18, 0.6, n_users)).astype(np.int64)
    rows = rated + np.minimum(extra, int(n_items * _PARAMETERS.fullest))
    world = make_world(_PARAMETERS, n_items, rated, rows, seed)
    ids = world.items.ids
    kinds = _draw(_KINDS, n_items, rng)
    episodes = _episodes(kinds, rng)
    scores = np.zeros((n_items, 11), np.int64)  # users per item and score, 0 for none
    statuses = np.zeros((n_items, 7), np.int64)  # users per item and status
    counting = Lock()

    def encode_block(block: Block) -> Encoded:
        status, score = _list_entries(block, np.random.default_rng((seed, 6, block.number)))
        progress = _progress(block, status, episodes)
        with counting:
            np.add(scores, _tally(block.items, score, scores.shape), out=scores)
            np.add(statuses, _tally(block.items, status, statuses.shape), out=statuses)
        order = np.argsort(block.users.astype(np.int64) * 8 + status, kind="stable")
        users, items = block.users, block.items
        return {
            "rating_complete.csv": encode([users[block.rated], ids[items[block.rated]], score[block.rated]]),
            "animelist.csv": encode([users, ids[items[order]], score[order], status[order], progress[order]]),
        }

    headers = {
        "rating_complete.csv": "user_id,anime_id,rating",
        "animelist.csv": "user_id,anime_id,rating,watching_status,watched_episodes",
    }
    write_blocks(folder, headers, world, encode_block)
    _write_items(folder, world.items, kinds, episodes, scores, statuses, rng)
    # The publisher's header has this blank.
    write_table(folder / "watching_status.csv", ("status", " description"), _STATUSES.items())


def _list_entries(block: Block, rng: np.random.Generator) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return the status and the score of each row; score 0 means "not rated".

    Rated rows are of completed items. Half of the other rows are planned, and dropped items get lower scores.
    """
    n = len(block.items)
    kinds = np.array([_PLANNED, _COMPLETED, _WATCHING, _ON_HOLD, _DROPPED], np.int8)
    status = rng.choice(kinds, n, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    rates = (rng.random(n) < 0.4) & (status != _COMPLETED) & (status != _PLANNED)
    score = np.where(rates, np.maximum(block.codes + 1 - 2 * (status == _DROPPED), 1), 0).astype(np.int8)
    status[block.rated] = _COMPLETED
    score[block.rated] = block.codes[block.rated] + 1
    return status, score


def _progress(block: Block, status: NDArray[np.int8], episodes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the number of episodes watched: all of a completed item, none of a planned one, else some."""
    total = episodes[block.items]
    share = (block.seconds % 97).astype(np.float32) / 97
    some = np.where(status == _PLANNED, 0, (total * share).astype(np.int32))
    return np.where(status == _COMPLETED, total, some).astype(np.int32)


def _tally(items: NDArray[np.int32], values: NDArray[np.int8], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Count (item, value) pairs into an array of that shape."""
    return np.bincount(items.astype(np.int64) * shape[1] + values, minlength=shape[0] * shape[1]).reshape(shape)


def _draw(shares: dict[str, int], n: int, rng: np.random.Generator) -> list[str]:
    """Draw n names with the given weights."""
    weight = np.array(list(shares.values()), float)
    return [list(shares)[i] for i in rng.choice(len(shares), n, p=weight / weight.sum())]


def _episodes(kinds: list[str], rng: np.random.Generator) -> NDArray[np.int32]:
    """Draw the number of episodes of each item."""
    n = len(kinds)
    long = rng.choice([12, 13, 24, 25, 26, 39, 52, 100], n, p=[0.4, 0.2, 0.1, 0.05, 0.13, 0.04, 0.06, 0.02])
    short = np.minimum(rng.geometric(0.5, n), 12)
    by_kind = {"TV": long, "OVA": short, "ONA": short, "Special": short}
    return np.array([by_kind[kind][i] if kind in by_kind else 1 for i, kind in enumerate(kinds)], np.int32)


def _write_items(
    folder: Path,
    items: WorldItems,
    kinds: list[str],
    episodes: NDArray[np.int32],
    scores: NDArray[np.int64],
    statuses: NDArray[np.int64],
    rng: np.random.Generator,
) -> None:
    """Write anime.csv and anime_with_synopsis.csv; scores and counts are those of the generated users.

    The file of synopses has no adult items, like the real one.
    """
    n = len(kinds)
    ids = items.ids.tolist()
    genre_names = np.array(list(_PARAMETERS.genres))
    genres = [genre_names[row].tolist() for row in items.genres]
    genre_lists = [
        ", ".join(of) if known else _UNKNOWN for of, known in zip(genres, rng.random(n) > 0.0036, strict=True)
    ]
    names, english, japanese = anime_titles(items.franchise, items.part, kinds, rng)
    votes = scores[:, 1:].sum(axis=1)
    mean = scores[:, 1:] @ np.arange(1, 11) / np.maximum(votes, 1)
    has_score = votes >= 5
    score = [f"{m:.2f}" if known else _UNKNOWN for m, known in zip(mean.tolist(), has_score.tolist(), strict=True)]
    members = statuses.sum(axis=1)
    aired, premiered = _airing(items.year, kinds, episodes, rng)
    columns: list[Sequence[object]] = [
        ids,
        names,
        score,
        genre_lists,
        english,
        japanese,
        kinds,
        [_UNKNOWN if lost else count for count, lost in zip(episodes.tolist(), rng.random(n) < 0.03, strict=True)],
        aired,
        premiered,
        _draw(_STUDIOS, n, rng),
        _draw(
            {_UNKNOWN: 78, "Harbor Releasing": 11, "Blue Crane Media": 8, "Harbor Releasing, Lantern, Inc.": 3}, n, rng
        ),
        _draw(_STUDIOS, n, rng),
        _draw(_SOURCES, n, rng),
        [_duration(kind, count, rng) for kind, count in zip(kinds, episodes.tolist(), strict=True)],
        ["Rx - Hentai" if "Hentai" in of else age for of, age in zip(genres, _draw(_AGES, n, rng), strict=True)],
        [f"{rank}.0" if known else _UNKNOWN for rank, known in zip(_ranks(mean), has_score.tolist(), strict=True)],
        _ranks(members),
        members.tolist(),
        (scores[:, 10] // 8).tolist(),
        *(statuses[:, status].tolist() for status in _STATUSES),
        *([f"{count}.0" if count else _UNKNOWN for count in scores[:, s].tolist()] for s in range(10, 0, -1)),
    ]
    write_table(folder / "anime.csv", _ITEM_COLUMNS, zip(*columns, strict=True))
    synopses = (
        (ids[i], names[i], score[i], genre_lists[i], synopsis(genres[i], rng))
        for i in range(n)
        if "Hentai" not in genres[i]
    )
    write_table(folder / "anime_with_synopsis.csv", ("MAL_ID", "Name", "Score", "Genres", "sypnopsis"), synopses)


def _ranks(values: NDArray[np.float64] | NDArray[np.int64]) -> list[int]:
    """Return the rank of each value, 1 for the largest."""
    ranks = np.empty(len(values), np.int64)
    ranks[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return [int(rank) for rank in ranks]


def _airing(
    year: NDArray[np.float64], kinds: list[str], episodes: NDArray[np.int32], rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Return the columns Aired (a date, a span, a year or unknown) and Premiered (a season; series only)."""
    aired, premiered = [], []
    for when, kind, count in zip(year.tolist(), kinds, episodes.tolist(), strict=True):
        first = date(int(when), 1, 1) + timedelta(days=int(when % 1 * 365))
        oddity = rng.random()
        begin, end = _day(first), _day(first + timedelta(weeks=count - 1))
        if oddity < 0.018:
            aired.append(_UNKNOWN)
        elif oddity < 0.08:
            aired.append(str(first.year))
        elif count == 1:
            aired.append(begin)
        else:
            aired.append(f"{begin} to {'?' if oddity < 0.095 else end}")
        season = ("Winter", "Spring", "Summer", "Fall")[(first.month - 1) // 3]
        premiered.append(f"{season} {first.year}" if kind == "TV" and oddity >= 0.08 else _UNKNOWN)
    return aired, premiered


def _day(day: date) -> str:
    """Format a date as the site does, independently of the locale: Apr 3, 1998."""
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[day.month - 1]
    return f"{month} {day.day}, {day.year}"


def _duration(kind: str, episodes: int, rng: np.random.Generator) -> str:
    """Return a random duration, formatted as on the site."""
    if rng.random() < 0.03:
        return _UNKNOWN
    minutes = int({"TV": rng.integers(22, 26), "Movie": rng.integers(40, 130)}.get(kind, rng.integers(2, 31)))
    if minutes >= 60:
        return f"{minutes // 60} hr. {minutes % 60} min."
    return f"{minutes} min. per ep." if episodes > 1 else f"{minutes} min."
