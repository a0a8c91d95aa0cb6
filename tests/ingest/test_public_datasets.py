"""The public datasets are declared as their publishers write them: from an archive in the mirror to clean tables."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
from public_files import N_ITEMS, N_USERS, PUBLIC, write_archive

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.catalogue import CATALOGUE, get_dataset
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.ingest.public_datasets import public_declarations
from recsys_dagster.ingest.samples.write import write_sample
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import build_clean
from recsys_dagster.warehouse.database import Warehouse

FIRST_ITEM: dict[str, dict[str, Any]] = {
    "ml-100k": {
        "title": "Film 1", "year": 1951, "genres": ["Action", "Comedy"],
        "page_url": "http://us.imdb.com/M/title-exact?1",
    },
    "ml-1m": {"title": "Film 1", "year": 1951, "genres": ["Action", "Comedy"]},
    "ml-10m": {"title": "Film 1", "year": 1951, "genres": ["Action", "Comedy"]},
    "movielens-20m-dataset": {
        "title": "Film 1", "year": 1951, "genres": ["Action", "Comedy"], "tags": ["pixar, animation", "1930s"],
        "page_url": "https://www.imdb.com/title/tt0114709/",
    },
    "anime-dataset-2023": {
        "title": "Anime 1", "title_english": None, "year": 1991, "genres": ["Action", "Comedy"], "kind": "TV",
        "creators": ["Sunrise", "Bones"], "episodes": 26, "members": 1001,
    },
    "myanimelist-dataset-animes-profiles-reviews": {
        "title": "Anime 1", "year": 1991, "genres": ["Action", "Comedy"], "episodes": 25,
        "synopsis": "A plot.\n\nWith two lines.",
    },
    "goodbooks-10k": {
        "title": "Book 1 (Series, #1)", "year": 1951, "creators": ["Ann Author", "Bo Writer"], "language": "eng",
        "genres": ["science-fiction", "classics"],
    },
    "book-crossing": {"source_id": "034560001X", "title": "Über Buch 1", "year": 1981, "creators": ["Jörg Autor"]},
}  # fmt: skip


def built(tmp_path: Path, dataset_id: str) -> Warehouse:
    write_archive(tmp_path / "mirror", dataset_id)
    return clean(tmp_path, dataset_id)


def clean(tmp_path: Path, dataset_id: str) -> Warehouse:
    """Build the clean tables of the archive in the mirror."""
    settings = Settings(home=tmp_path / "home", mirror=str(tmp_path / "mirror"), pseudonym_key="a key for the tests")
    dataset = get_dataset(dataset_id, settings)
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", key=lambda: b"a key for the tests")
    build_clean(warehouse, dataset, fetch(dataset, settings))
    return warehouse


def test_every_declared_public_dataset_has_a_small_file_here() -> None:
    assert set(PUBLIC) == set(FIRST_ITEM) == set(public_declarations())
    assert set(PUBLIC) < set(CATALOGUE)
    assert all(one.summary and one.homepage and one.licence != "not stated" for one in public_declarations().values())


@pytest.mark.parametrize("dataset_id", PUBLIC)
def test_a_public_dataset_is_read_from_the_archive_of_its_publisher(dataset_id: str, tmp_path: Path) -> None:
    with built(tmp_path, dataset_id).connect() as connection:
        counts = connection.execute(
            "SELECT count(*), count(DISTINCT user_id), count(DISTINCT item_id) FROM clean.interactions"
        ).fetchone()
        items = connection.execute("SELECT * FROM clean.items").to_arrow_table().to_pylist()
        rejected = connection.execute("SELECT reason, raw FROM clean.rejected").fetchall()
    assert rejected == []
    assert counts == (N_USERS * 15, N_USERS, N_ITEMS)
    wanted = FIRST_ITEM[dataset_id]
    (item,) = [one for one in items if one["title"] == wanted["title"]]
    assert {name: item[name] for name in wanted} == wanted


def test_letters_of_latin_1_are_read(tmp_path: Path) -> None:
    with built(tmp_path, "ml-100k").connect() as connection:
        assert connection.execute("SELECT title, year FROM clean.items WHERE item_id = 7").fetchone() == (
            "Amélie",
            2001,
        )


def test_no_genres_listed_is_no_genre(tmp_path: Path) -> None:
    with built(tmp_path, "ml-1m").connect() as connection:
        genres = connection.execute("SELECT genres FROM clean.items WHERE item_id = 30").fetchone()
    assert genres in [(None,), ([],)]


def test_a_book_that_is_owned_and_not_rated_is_an_interaction_without_a_rating(tmp_path: Path) -> None:
    with built(tmp_path, "book-crossing").connect() as connection:
        rated, low = connection.execute("SELECT count(*), min(rating) FROM clean.ratings").fetchone() or (0, 0)
    assert 0 < rated < N_USERS * 15
    assert low >= 1


def test_names_of_reviewers_are_stored_nowhere(tmp_path: Path) -> None:
    with built(tmp_path, "myanimelist-dataset-animes-profiles-reviews").connect() as connection:
        assert connection.execute("SELECT count(*) FROM clean.users").fetchone() == (0,)
        assert connection.execute("SELECT user_ids FROM clean.origin").fetchone() == ("pseudonym",)
    assert b"Person_1" not in (tmp_path / "warehouse.duckdb").read_bytes()


@pytest.mark.parametrize("dataset_id", ["ml-20m", "ml-latest"])
def test_the_built_in_movielens_datasets_take_the_names_of_files_at_kaggle(dataset_id: str, tmp_path: Path) -> None:
    write_archive(tmp_path / "mirror", "movielens-20m-dataset", dataset_id)
    with clean(tmp_path, dataset_id).connect() as connection:
        ratings, times = connection.execute("SELECT count(*), count(rated_at) FROM clean.ratings").fetchone() or (0, 0)
    assert ratings == times == N_USERS * 15


@pytest.mark.parametrize("missing", ["rating_complete.csv", "animelist.csv"])
def test_anime_2020_is_read_without_one_of_its_files_of_interactions(missing: str, tmp_path: Path) -> None:
    write_sample("anime-2020", tmp_path / "files", n_users=30, n_items=25, n_ratings=300, seed=1)
    dataset_id = "anime-recommendation-database-2020"
    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror" / f"{dataset_id}.zip", "w") as archive:
        for file in sorted((tmp_path / "files").iterdir()):
            if file.name != missing:
                archive.write(file, file.name)
    with clean(tmp_path, dataset_id).connect() as connection:
        rated, low = connection.execute("SELECT count(*), min(rating) FROM clean.ratings").fetchone() or (0, 0)
        statuses = connection.execute("SELECT count(DISTINCT status) FROM clean.interactions").fetchone()
    assert rated >= 300
    assert low >= 1
    assert statuses == ((1,) if missing == "animelist.csv" else (5,))


def test_anime_2020_without_any_interactions_is_refused(tmp_path: Path) -> None:
    write_sample("anime-2020", tmp_path / "files", n_users=30, n_items=25, n_ratings=300, seed=1)
    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror" / "anime-recommendation-database-2020.zip", "w") as archive:
        archive.write(tmp_path / "files" / "anime.csv", "anime.csv")
    with pytest.raises(RecsysError, match=r"lacks rating_complete\.csv or animelist\.csv, which the format anime-2020"):
        clean(tmp_path, "anime-recommendation-database-2020")


def test_an_archive_that_came_over_the_network_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(tmp_path / "mirror", "ml-1m")
    with_mirror = Settings(home=tmp_path / "home", mirror=str(tmp_path / "mirror"))
    dataset = get_dataset("ml-1m", with_mirror)
    first = fetch(dataset, with_mirror)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert fetch(dataset, Settings(home=tmp_path / "home")) == first
