"""The SQL files: in order, and their lineage as they say it; tests/spark/test_equal_tables.py runs them on Spark."""

from pathlib import Path

import pytest

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.formats import DECLARED, FORMATS
from recsys_dagster.warehouse.lineage import column_lineage, upstream
from recsys_dagster.warehouse.sql_files import Materialisation, SqlTable, sql_tables

SQL = Path(__file__).parents[2] / "sql"
FILES = sorted(SQL.rglob("*.sql"))
TABLES = {f"{table.schema}.{table.name}": table for group in ("clean", "features") for table in sql_tables(group)}


def test_every_format_has_its_titles_and_interactions() -> None:
    for name in FORMATS:
        assert {"items", "interactions"} <= {path.stem for path in (SQL / "sources" / name).glob("*.sql")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SQL)))
def test_every_file_opens_with_what_it_makes(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("-- ")
    assert first.endswith(".")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SQL)))
def test_every_file_says_how_its_table_is_materialised(path: Path) -> None:
    table = SqlTable("any", path.stem, path)
    assert table.materialisation in list(Materialisation)
    assert "materialised" not in table.description


def test_an_unknown_materialisation_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "odd.sql"
    path.write_text("-- Odd.\n-- materialised as: cloud\nSELECT 1 AS one\n")
    with pytest.raises(RecsysError, match=r"odd\.sql: expected .* 'view', 'table'"):
        _ = SqlTable("any", "odd", path).materialisation


@pytest.mark.parametrize("group", ["clean", "features"])
def test_a_table_comes_after_those_it_reads(group: str) -> None:
    built: set[tuple[str, str]] = set()
    for table in sql_tables(group):
        assert {key for key in upstream(table) if key[0] == group} <= built
        built.add((table.schema, table.name))


def test_upstream_looks_through_the_staging_views() -> None:
    assert {key for key in upstream(TABLES["clean.items"]) if key[0] != "raw"} == set()
    assert upstream(TABLES["clean.ratings"]) >= {("clean", "items"), ("raw", "ratings.csv"), ("raw", "rating.csv")}
    assert upstream(TABLES["features.user_genre_taste"]) == {
        ("features", "interactions"),
        ("features", "item_genres"),
    }
    assert upstream(TABLES["features.interactions"]) == {
        ("clean", "ratings"),
        ("clean", "interactions"),
        ("features", "fold_cuts"),
        ("features", "items"),
        ("features", "users"),
    }
    assert upstream(TABLES["features.fold_cuts"]) == {("clean", "ratings"), ("clean", "interactions")}


@pytest.mark.parametrize(
    ("format_name", "column", "sources"),
    [
        ("movielens", "clean.ratings.rating", [("raw", "ratings.csv", "rating")]),
        ("movielens", "clean.ratings.rated_at", [("raw", "ratings.csv", "timestamp")]),
        ("movielens", "clean.items.year", [("raw", "movies.csv", "title")]),
        ("movielens", "clean.items.synopsis", []),
        ("anime-2020", "clean.items.synopsis", [("raw", "anime_with_synopsis.csv", "Synopsis")]),
        ("anime-2020", "clean.items.title_english", [("raw", "anime.csv", "English name")]),
        ("anime-2020", "clean.items.is_adult", [("raw", "anime.csv", "Genres"), ("raw", "anime.csv", "Rating")]),
        ("anime-2020", "clean.interactions.progress", [("raw", "animelist.csv", "watched_episodes")]),
        ("myanimelist", "clean.ratings.user_id", [("raw", "users_cleaned.csv", "username")]),
        ("movielens", "features.interactions.rating", [("clean", "ratings", "rating")]),
        ("movielens", "features.user_genre_taste.mean_rating", [("features", "interactions", "rating")]),
        ("movielens", "features.item_genres.genre", [("clean", "items", "genres")]),
    ],
)
def test_a_column_is_traced_to_what_its_values_come_from(
    format_name: str, column: str, sources: list[tuple[str, str, str]]
) -> None:
    table, _, name = column.rpartition(".")
    assert column_lineage(TABLES[table], FORMATS[format_name])[name] == sources


def test_the_text_of_a_rejected_row_is_traced_in_a_declared_dataset_too() -> None:
    traced = column_lineage(TABLES["clean.rejected"], DECLARED)["raw"]
    assert {("raw", "interactions", "rating"), ("raw", "items", "title")} <= set(traced)


@pytest.mark.parametrize("format_name", FORMATS)
def test_lineage_names_only_columns_that_exist(format_name: str) -> None:
    fmt = FORMATS[format_name]
    raw = {("raw", file.name, column.name) for file in fmt.files for column in file.columns}
    made = {(t.schema, t.name, column) for t in TABLES.values() for column in column_lineage(t, fmt)}
    traced = {source for t in TABLES.values() for sources in column_lineage(t, fmt).values() for source in sources}
    assert traced <= raw | made
    assert not any(column == "username" for _, file, column in traced if file == "animelists_cleaned.csv") or (
        format_name == "myanimelist"
    )
