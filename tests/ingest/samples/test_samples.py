import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy.sparse.linalg import svds

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.ingest.samples.write import write_sample

SIZE = {"n_users": 400, "n_items": 1200, "n_ratings": 40_000}
HEADERS = {
    "movielens": {
        "movies.csv": "movieId,title,genres",
        "ratings.csv": "userId,movieId,rating,timestamp",
        "links.csv": "movieId,imdbId,tmdbId",
        "tags.csv": "userId,movieId,tag,timestamp",
    },
    "anime-2020": {
        "anime.csv": "MAL_ID,Name,Score,Genres,English name,Japanese name,Type,Episodes,Aired,Premiered,Producers,"
        "Licensors,Studios,Source,Duration,Rating,Ranked,Popularity,Members,Favorites,Watching,Completed,On-Hold,Dropped,"
        "Plan to Watch,Score-10,Score-9,Score-8,Score-7,Score-6,Score-5,Score-4,Score-3,Score-2,Score-1",
        "anime_with_synopsis.csv": "MAL_ID,Name,Score,Genres,sypnopsis",
        "rating_complete.csv": "user_id,anime_id,rating",
        "animelist.csv": "user_id,anime_id,rating,watching_status,watched_episodes",
        "watching_status.csv": "status, description",
    },
}


@pytest.fixture(scope="module")
def movies(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("movies")
    write_sample("movielens", folder, **SIZE, seed=1)
    return folder


@pytest.fixture(scope="module")
def anime(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("anime")
    write_sample("anime-2020", folder, **SIZE, seed=1)
    return folder


@pytest.fixture
def samples(movies, anime) -> dict[str, Path]:
    return {"movielens": movies, "anime-2020": anime}


def columns(path: Path) -> dict[str, np.ndarray]:
    return duckdb.sql(f"SELECT * FROM read_csv('{path}')").fetchnumpy()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def gini(counts: np.ndarray) -> float:
    ordered = np.sort(counts)
    n = len(ordered)
    return 2 * float(ordered @ np.arange(1, n + 1)) / (n * ordered.sum()) - (n + 1) / n


@pytest.mark.parametrize("format_name", HEADERS)
def test_the_headers_are_the_publishers(format_name, samples):
    headers = {path.name: path.read_text(encoding="utf-8").split("\n", 1)[0] for path in samples[format_name].iterdir()}
    assert headers == HEADERS[format_name]


@pytest.mark.parametrize("format_name", HEADERS)
def test_the_seed_decides_every_byte(format_name, samples, tmp_path):
    write_sample(format_name, tmp_path / "same", **SIZE, seed=1)
    write_sample(format_name, tmp_path / "other", **SIZE, seed=2)
    assert digests(tmp_path / "same") == digests(samples[format_name])
    assert (
        digests(tmp_path / "other")[ratings_file(format_name)]
        != digests(samples[format_name])[ratings_file(format_name)]
    )


@pytest.mark.parametrize("format_name", HEADERS)
def test_counts_are_exact_pairs_unique_and_users_in_order(format_name, samples):
    titles = "movies.csv" if format_name == "movielens" else "anime.csv"
    data = columns(samples[format_name] / ratings_file(format_name))
    users, items, ratings = list(data.values())[:3]
    ids = [int(next(iter(row.values()))) for row in rows(samples[format_name] / titles)]
    assert len(ids) == len(set(ids)) == SIZE["n_items"]
    assert len(users) == len(set(zip(users.tolist(), items.tolist(), strict=True))) == SIZE["n_ratings"]
    first = 1 if format_name == "movielens" else 0
    assert np.array_equal(np.unique(users), np.arange(first, first + SIZE["n_users"]))
    assert (np.diff(users) >= 0).all()
    assert set(items.tolist()) <= set(ids)
    assert np.isin(ratings, np.arange(1, 11) / (2 if format_name == "movielens" else 1)).all()


@pytest.mark.parametrize(("format_name", "mean"), [("movielens", 3.5), ("anime-2020", 7.55)])
def test_ratings_have_the_shape_of_real_ones(format_name, mean, samples):
    users, items, ratings = list(columns(samples[format_name] / ratings_file(format_name)).values())[:3]
    assert ratings.mean() == pytest.approx(mean, abs=0.1)
    per_item = np.unique(items, return_counts=True)[1]
    per_user = np.unique(users, return_counts=True)[1]
    assert gini(np.pad(per_item, (0, SIZE["n_items"] - len(per_item)))) > 0.5
    assert per_user.max() > 5 * np.median(per_user)


@pytest.mark.parametrize("format_name", HEADERS)
def test_taste_beats_popularity_and_the_damped_bias(format_name, samples):
    users, items, ratings = list(columns(samples[format_name] / ratings_file(format_name)).values())[:3]
    users, items = (np.unique(ids, return_inverse=True)[1] for ids in (users, items))
    train = np.random.default_rng(0).random(len(users)) < 0.8
    seen, hidden = (dense(users[part], items[part], np.ones(part.sum())) for part in (train, ~train))

    right = svds(seen, k=12, rng=0)[2]
    by_taste = seen @ right.T @ right
    by_popularity = np.broadcast_to(seen.sum(axis=0), seen.shape)
    assert precision_at_10(by_taste, seen, hidden) > 1.15 * precision_at_10(by_popularity, seen, hidden)

    mean = ratings[train].mean()
    residual = dense(users[train], items[train], ratings[train] - mean)
    item_bias = residual.sum(axis=0) / (seen.sum(axis=0) + 5)
    user_bias = (residual - seen * item_bias).sum(axis=1) / (seen.sum(axis=1) + 5)
    bias = mean + user_bias[:, None] + item_bias
    left, strength, right = svds(residual - seen * (bias - mean), k=8, rng=0)
    factors = bias + left * (strength - strength.min()) @ right
    test = users[~train], items[~train]
    rmse_bias, rmse_factors = (np.sqrt(np.mean((p[test] - ratings[~train]) ** 2)) for p in (bias, factors))
    assert rmse_factors < rmse_bias < ratings.std()


def test_users_come_back_over_years_so_that_a_split_by_time_has_known_users(movies):
    data = columns(movies / "ratings.csv")
    users, seconds = data["userId"], data["timestamp"]
    assert 1996 < 1970 + seconds.min() / 31_557_600 < 1999
    assert 2017 < 1970 + seconds.max() / 31_557_600 < 2019
    late = seconds > np.quantile(seconds, 0.9)
    assert np.isin(users[late], users[~late]).mean() > 0.25


def test_movies_have_the_irregularities_of_the_real_ones(tmp_path):
    write_sample("movielens", tmp_path, n_users=50, n_items=20_000, n_ratings=2_000, seed=3)
    titles = rows(tmp_path / "movies.csv")
    assert 30 < sum(row["genres"] == "(no genres listed)" for row in titles) < 120
    assert 5 < sum(")" not in row["title"] for row in titles) < 60
    assert any(row["title"].endswith(") ") for row in titles)
    assert any(", The (" in row["title"] for row in titles)
    assert 0 < len(titles) - len({row["title"] for row in titles}) < 60
    assert 0 < sum(row["tmdbId"] == "" for row in rows(tmp_path / "links.csv")) < 60


def test_tags_are_given_by_raters_after_their_rating(movies):
    rated = {(row["userId"], row["movieId"]): int(row["timestamp"]) for row in rows(movies / "ratings.csv")}
    tags = rows(movies / "tags.csv")
    assert 0.01 < len(tags) / len(rated) < 0.08
    assert all(int(row["timestamp"]) > rated[row["userId"], row["movieId"]] for row in tags)


def test_the_list_has_rated_and_unrated_items(anime):
    complete = columns(anime / "rating_complete.csv")
    watched = columns(anime / "animelist.csv")
    user, item, rating, status, progress = watched.values()
    entries = dict(zip(zip(user.tolist(), item.tolist(), strict=True), rating.tolist(), strict=True))
    assert len(entries) == len(user)
    assert (np.diff(user) >= 0).all()
    assert all(entries[u, i] == r for u, i, r in zip(*(c.tolist() for c in complete.values()), strict=True))
    assert ((status == 2) & (rating > 0)).sum() == len(complete["rating"])
    assert 1.6 < len(user) / len(complete["rating"]) < 2.1
    assert set(status.tolist()) == {1, 2, 3, 4, 6}
    assert (rating[status == 6] == 0).all()
    assert (progress[status == 6] == 0).all()


def test_scores_and_counts_of_an_anime_are_those_of_its_users(anime):
    _, item, rating, status, _ = columns(anime / "animelist.csv").values()
    titles = rows(anime / "anime.csv")
    famous = next(row for row in titles if row["Popularity"] == "1")
    own = item == int(famous["MAL_ID"])
    assert int(famous["Members"]) == own.sum()
    assert int(famous["Completed"]) == (own & (status == 2)).sum()
    assert float(famous["Score-10"]) == (own & (rating == 10)).sum()
    assert float(famous["Score"]) == pytest.approx(rating[own & (rating > 0)].mean(), abs=0.006)
    assert {"Unknown"} < {row["English name"] for row in titles}
    assert any(row["Aired"] == "Unknown" for row in titles)
    adult = {row["MAL_ID"] for row in titles if "Hentai" in row["Rating"]}
    assert adult
    assert {row["MAL_ID"] for row in rows(anime / "anime_with_synopsis.csv")} == {
        row["MAL_ID"] for row in titles
    } - adult


def test_the_parts_of_a_franchise_share_name_and_genres(anime):
    titles = {row["Name"]: row["Genres"] for row in rows(anime / "anime.csv") if row["Genres"] != "Unknown"}
    sequels = [name for name in titles if name.endswith(" 2nd Season") and name.removesuffix(" 2nd Season") in titles]
    assert len(sequels) > 10
    assert all(titles[name] == titles[name.removesuffix(" 2nd Season")] for name in sequels)


def test_a_million_ratings_need_little_memory(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from recsys_dagster.ingest.samples.write import write_sample\n"
        # Not getrusage: its peak includes the memory of the process that started this one.
        "def peak(): return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) / 1024\n"
        "size = dict(n_users=100, n_items=3000, seed=1)\n"
        "write_sample('movielens', Path(sys.argv[1]) / 'a', **size, n_ratings=10_000)\n"
        "small = peak()\n"
        "write_sample('movielens', Path(sys.argv[1]) / 'b', **(size | dict(n_users=7000)), n_ratings=1_000_000)\n"
        "print(small, peak())"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    small, large = map(float, done.stdout.split())
    assert large < 1024
    assert large - small < 300


def test_impossible_sizes_and_unknown_formats_are_refused(tmp_path):
    with pytest.raises(RecsysError, match="ask for 10 to 500"):
        write_sample("movielens", tmp_path, n_users=10, n_items=100, n_ratings=501, seed=1)
    with pytest.raises(RecsysError, match="cannot have 9 ratings"):
        write_sample("anime-2020", tmp_path, n_users=10, n_items=100, n_ratings=9, seed=1)
    with pytest.raises(UsageError, match="movielens, anime-2020"):
        write_sample("netflix", tmp_path, n_users=10, n_items=100, n_ratings=20, seed=1)


@pytest.mark.parametrize("format_name", HEADERS)
def test_the_fullest_possible_sample_is_written(format_name, tmp_path):
    share = {"movielens": 50, "anime-2020": 40}[format_name]
    write_sample(format_name, tmp_path, n_users=20, n_items=100, n_ratings=20 * share, seed=1)
    users, items = list(columns(tmp_path / ratings_file(format_name)).values())[:2]
    assert len(set(zip(users.tolist(), items.tolist(), strict=True))) == 20 * share


def ratings_file(format_name: str) -> str:
    return "ratings.csv" if format_name == "movielens" else "rating_complete.csv"


def dense(users: np.ndarray, items: np.ndarray, values: np.ndarray) -> np.ndarray:
    matrix = np.zeros((SIZE["n_users"], SIZE["n_items"]))
    matrix[users, items] = values
    return matrix


def precision_at_10(scores: np.ndarray, seen: np.ndarray, hidden: np.ndarray) -> float:
    top = np.argsort(-np.where(seen > 0, -np.inf, scores), axis=1)[:, :10]
    return float(np.take_along_axis(hidden, top, axis=1).mean())
