"""The counts of the four real datasets, worked out from the raw files with nothing but the csv module."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from handmade import rows

from recsys_dagster.data.tastes import mean_genre_ratings
from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.ingest.catalogue import CATALOGUE
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.arrays import load_fold, load_training_data
from recsys_dagster.warehouse.build import FileAccount, build_clean, build_features, reconcile
from recsys_dagster.warehouse.database import Warehouse

MIRROR = os.environ.get("RECSYS_MIRROR")
pytestmark = pytest.mark.skipif(not MIRROR, reason="RECSYS_MIRROR names no mirror of the real datasets")


@dataclass(frozen=True)
class Expected:
    """Items, ratings and watches of a dataset."""

    titles: int
    ratings: int
    watches: int


KNOWN = {
    "ml-latest-small": Expected(9_742, 100_836, 100_836),
    "anime-recommendations-database": Expected(12_294, 419_943, 520_609),
}


def records(path: Path) -> list[dict[str, str]]:
    """Return the records of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expected_of(dataset_id: str, folder: Path) -> Expected:
    """Return what the design or, where a dataset is only a part of the published one, its raw files say."""
    if dataset_id == "anime-recommendation-database-2020":
        rated = {(row["user_id"], row["anime_id"]) for row in records(folder / "rating_complete.csv")}
        listed = {(row["user_id"], row["anime_id"]) for row in records(folder / "animelist.csv")}
        assert len(rated) == 99_999
        return Expected(17_562, 99_999, len(rated | listed))
    if dataset_id == "myanimelist":
        titles = {row["anime_id"] for row in records(folder / "anime_cleaned.csv")}
        users = {row["username"] for row in records(folder / "users_cleaned.csv")}
        lists = {
            (row["username"], row["anime_id"]): row
            for row in records(folder / "animelists_cleaned.csv")
            if row["anime_id"] in titles and row["username"] in users
        }
        return Expected(len(titles), sum(row["my_score"] != "0" for row in lists.values()), len(lists))
    return KNOWN[dataset_id]


@pytest.mark.parametrize("dataset_id", [*KNOWN, "anime-recommendation-database-2020", "myanimelist"])
def test_every_row_of_a_real_dataset_is_accounted_for(dataset_id: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, mirror=MIRROR)
    dataset = CATALOGUE[dataset_id]
    domain = BUILT_IN_DOMAINS[dataset.domain]
    manifest = fetch(dataset, settings)
    warehouse = Warehouse(tmp_path / f"{domain.name}.duckdb")
    summaries = {table.name: table.rows for table in build_clean(warehouse, dataset, manifest)}
    expected = expected_of(dataset_id, manifest.folder)
    assert (summaries["items"], summaries["ratings"], summaries["interactions"]) == (
        expected.titles,
        expected.ratings,
        expected.watches,
    )

    accounts = reconcile(warehouse)
    for account in accounts:
        assert account.rows_in == len(records(manifest.folder / account.file))
        assert account.rows_in == account.kept + sum(account.rejected.values())
    if dataset_id == "myanimelist":
        # The last user is not in the user file.
        assert FileAccount("animelists_cleaned.csv", 9_998, 9_561, {"unknown item": 3, "unknown user": 434}) in accounts
        assert rows(warehouse, "SELECT count(*) FROM clean.interactions WHERE \"at\" < '2004-01-01'") == [(0,)]
    else:
        assert summaries["rejected"] == 0

    build_features(warehouse, seed=42)
    data, test = load_training_data(warehouse), load_fold(warehouse, "test")
    computed = mean_genre_ratings(data.train, data.item_features.genres, data.n_users)
    np.testing.assert_array_equal(data.user_genre_taste, computed)
    folds = (data.train, data.validation, test)
    n_rated = sum(len(fold.rated) for fold in folds)
    assert n_rated == expected.ratings
    assert data.n_items == expected.titles
    for fold, share in zip(folds, (0.8, 0.1, 0.1), strict=True):
        assert len(fold.rated) / n_rated == pytest.approx(share, abs=0.01)
    if dataset_id == "ml-latest-small":
        assert all(fold.times is not None for fold in folds)
        assert data.train.times.max() < data.validation.times.min()  # type: ignore[union-attr]
        assert data.validation.times.max() < test.times.min()  # type: ignore[union-attr]
