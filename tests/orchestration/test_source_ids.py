"""The same ratings give the same results, whatever the files and ids are; a user sees the ids of the source only."""

import csv
import json
import math
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from small_archive import write_archive
from whole_runs import Home

from recsys_dagster.api import open_domain
from recsys_dagster.errors import UsageError

DECLARATION = """
domain: shop
licence: our own
ratings: {scale: [0.5, 5], liked_from: 4}
interactions:
  files: orders.csv
  user: customer
  item: sku
  rating: stars
  time: at
items:
  files: products.csv
  item: sku
  title: name
  kind: kind
  genres: {column: categories, separator: "|"}
  year_in_title: true
"""
MODELS = "popularity,user_item_bias,item_knn,ease,als,genre_similarity"


def user_text(number: int | str) -> str:
    return f"user-{int(number):05d}@example.org"


def item_text(number: int | str) -> str:
    return f"SKU/{int(number):06d}#a"


def declare(home: Path, files: Path) -> None:
    """Declare the ratings of a MovieLens folder as files of a shop with text ids; the columns have other names."""
    folder = home / "datasets"
    folder.mkdir(parents=True)
    (folder / "shop.yaml").write_text(DECLARATION)
    with (files / "ratings.csv").open(newline="") as source, (folder / "orders.csv").open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["at", "stars", "sku", "customer"])
        for row in csv.DictReader(source):
            writer.writerow([row["timestamp"], row["rating"], item_text(row["movieId"]), user_text(row["userId"])])
    with (files / "movies.csv").open(newline="") as source, (folder / "products.csv").open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["sku", "name", "kind", "categories"])
        for row in csv.DictReader(source):
            genres = "" if row["genres"] == "(no genres listed)" else row["genres"]
            writer.writerow([item_text(row["movieId"]), row["title"], "Movie", genres])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with published lists of one archive, and of the same ratings as declared files with text ids."""
    folder = tmp_path_factory.mktemp("both")
    archive = write_archive(folder / "mirror", leave_out=["tags.csv"])  # the shop has no tags
    home = Home(folder / "home", {"RECSYS_MIRROR": str(archive.parent), "RECSYS_MODELS": MODELS})
    declare(home.path, folder / "mirror" / "files-ml-latest-small")
    for domain, dataset in (("movie", "ml-latest-small"), ("shop", "shop")):
        done = (
            home.recsys("run", "--domain", domain)
            if domain == "shop"
            else home.recsys_with({"RECSYS_DATASETS": f"movie={dataset}"}, "run", "--domain", domain)
        )
        assert done.returncode == 0, done.stderr
    return home


def published(home: Home, domain: str, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(home.path / "published" / f"{domain}.duckdb", read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_the_leaderboards_are_equal(both: Home) -> None:
    query = (
        "SELECT model, protocol, fold, metric, k, value, low, high, users FROM leaderboard"
        " ORDER BY model, protocol, fold, metric, k"
    )
    movie, shop = (published(both, domain, query) for domain in ("movie", "shop"))
    assert len(movie) > 100
    assert [row[:5] for row in movie] == [row[:5] for row in shop]
    for one, other in zip(movie, shop, strict=True):
        for value, same in zip(one[5:], other[5:], strict=True):
            assert value == same or (math.isnan(value) and math.isnan(same)), (one, other)


def test_the_lists_are_equal_after_the_ids_are_mapped(both: Home) -> None:
    movie = both.lists("movie")
    assert len(movie) > 1000
    mapped = [(user_text(user), rank, item_text(item), score, model) for user, rank, item, score, model in movie]
    assert mapped == both.lists("shop")


def test_the_published_tables_have_the_ids_of_the_source_in_its_type(both: Home) -> None:
    types = published(
        both,
        "shop",
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE column_name IN ('user_id', 'item_id')",
    )
    of_items = {
        "recommendations",
        "items",
        "item_index",
        "item_ratings",
        "similar_items",
        "popular_items",
        "user_history",
    }
    assert {table for table, _, _ in types} == {"users", *of_items}
    assert {kind for _, _, kind in types} == {"VARCHAR"}
    for table in of_items:
        assert published(both, "shop", f"SELECT count(*) FROM {table} WHERE item_id NOT LIKE 'SKU/%#a'") == [(0,)]


def test_a_user_is_looked_up_by_the_id_of_the_source(both: Home) -> None:
    first = both.lists("shop")[0]
    done = both.recsys("recommend", "--domain", "shop", "--user", str(first[0]), "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["user_id"], answer["recommendations"][0]["item_id"]) == (first[0], first[2])
    unknown = both.recsys("recommend", "--domain", "shop", "--user", "nobody")
    assert unknown.returncode == 2
    assert "unknown user 'nobody' in shop; known: 60 users with ids from user-00001@example.org" in unknown.stderr


def test_a_new_user_rates_an_item_by_its_text_id(both: Home) -> None:
    item = published(both, "shop", "SELECT item_id FROM items ORDER BY item_id")[0][0]
    done = both.recsys("recommend", "--domain", "shop", "--rated", f"#{item}=5", "--json")
    assert done.returncode == 0, done.stderr
    listed = [one["item_id"] for one in json.loads(done.stdout)["recommendations"]]
    assert len(listed) == 10
    assert item not in listed


def test_the_page_names_users_by_the_ids_of_the_source(both: Home) -> None:
    page = (both.path / "reports" / "shop" / "index.html").read_text(encoding="utf-8")
    assert "@example.org" in page


def test_a_notebook_gives_and_takes_the_ids_of_the_source(both: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(both.path))
    shop = open_domain("shop")
    user, _, item, *_ = both.lists("shop")[0]
    listed = shop.recommend(str(user), model="ease", n=3)
    assert listed.index.tolist() == [(user, rank) for rank in (1, 2, 3)]
    assert all(str(one).startswith("SKU/") for one in listed["item_id"])
    assert shop.recommend(str(user), n=1)["item_id"].tolist() == [item]
    history = shop.history(str(user))
    assert len(history) > 0
    assert all(str(one).startswith("SKU/") for one in history.index)
    assert len(shop.similar(f"#{item}", model="ease", n=4)) == 4
    ratings = shop.predict("user_item_bias", pd.DataFrame({"user_id": [user], "item_id": [item]}))
    assert 0.5 <= ratings.iloc[0] <= 5
    with pytest.raises(UsageError, match=r"unknown user 'nobody' in shop; known: 60 users"):
        shop.recommend("nobody", model="ease")


def test_a_backup_has_the_declared_domain_and_its_declaration(both: Home, tmp_path: Path) -> None:
    assert both.recsys("backup", str(tmp_path / "home.tar")).returncode == 0
    other = Home(tmp_path / "other", {})
    restored = other.recsys("restore", str(tmp_path / "home.tar"))
    assert "published lists of movie, shop" in restored.stdout, restored.stderr
    assert other.lists("shop") == both.lists("shop")
    assert "shop " in other.recsys("datasets").stdout
    comparison = (other.path / "reports" / "index.html").read_text(encoding="utf-8")
    assert "shop" in comparison


def test_a_damaged_declaration_stops_its_own_domain_only(both: Home) -> None:
    path = both.path / "datasets" / "garden.yaml"
    path.write_text("domain: garden\nratings: [1, 5\n")
    try:
        alone = both.recsys("run", "--domain", "garden")
        assert (alone.returncode, alone.stderr.count("\n")) == (1, 1)
        assert "garden.yaml, line 3: not readable as YAML" in alone.stderr
        assert both.recsys("recommend", "--domain", "movie", "--user", "1").returncode == 0
        listed = both.recsys("datasets")
        assert (listed.returncode, "garden.yaml, line 3" in listed.stdout) == (0, True)
    finally:
        path.unlink()
