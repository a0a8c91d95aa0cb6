"""Every table has the columns and types that are declared for it."""

from dataclasses import fields
from pathlib import Path

import duckdb
import pytest
from handmade import FILES, build, rows
from small_publication import publish_small

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.store import ConfusionRow, MetricRow, SliceRow, store_metrics
from recsys_dagster.ingest.formats import FORMATS
from recsys_dagster.papers.records import FaultRow, PaperConfusion, PaperRow
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.schemas import (
    CLEAN,
    CONFUSION,
    EVALUATION,
    FAULTS,
    FEATURES,
    METRICS,
    PAPER_CONFUSIONS,
    PAPERS,
    PUBLISHED,
    SLICES,
    Column,
    Table,
    create_statements,
)
from recsys_dagster.warehouse.sql_files import sql_tables

COLUMNS = """
    SELECT schema_name || '.' || table_name, list((column_name, data_type) ORDER BY column_index)
    FROM duckdb_columns() WHERE NOT internal AND schema_name = ? GROUP BY 1
"""


def columns_of(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[str, list[tuple[str, str]]]:
    return dict(connection.execute(COLUMNS, [schema]).fetchall())


def declared(tables: tuple[Table, ...]) -> dict[str, list[tuple[str, str]]]:
    return {table.full_name: list(table.types.items()) for table in tables}


@pytest.mark.parametrize("format_name", FORMATS)
def test_clean_and_feature_tables_are_as_declared_for_every_format(tmp_path: Path, format_name: str) -> None:
    warehouse = build(tmp_path, format_name, FILES[format_name], features=True)
    with warehouse.connect() as connection:
        assert columns_of(connection, "clean") == declared(CLEAN)
        assert columns_of(connection, "features") == declared(FEATURES)
    for table in (*CLEAN, *FEATURES):
        for column in table.columns:
            if not column.nullable:
                query = f'SELECT count(*) FROM {table.full_name} WHERE "{column.name}" IS NULL'
                assert rows(warehouse, query) == [(0,)], f"{table.full_name}.{column.name}"
        if table.key:
            key = ", ".join(table.key)
            repeated = f"SELECT {key} FROM {table.full_name} GROUP BY {key} HAVING count(*) > 1"
            assert rows(warehouse, repeated) == [], table.full_name


def test_evaluation_tables_are_as_declared(tmp_path: Path) -> None:
    with Warehouse(tmp_path / "movie.duckdb").connect() as connection:
        store_metrics(connection, [MetricRow("ease", "v", "holdout", "test", "ndcg", 10, 0.5, 0.4, None, 3)])
        built = columns_of(connection, "evaluation")
        assert connection.execute("SELECT * FROM evaluation.metrics").fetchall() == [
            ("ease", "v", "holdout", "test", "ndcg", 10, 0.5, 0.4, None, 3)
        ]
    assert built == declared((METRICS, SLICES, CONFUSION))


@pytest.mark.parametrize(
    ("row_class", "table"),
    [
        (MetricRow, METRICS),
        (SliceRow, SLICES),
        (ConfusionRow, CONFUSION),
        (PaperRow, PAPERS),
        (FaultRow, FAULTS),
        (PaperConfusion, PAPER_CONFUSIONS),
    ],
)
def test_each_row_of_an_evaluation_table_has_a_field_for_each_column(row_class: type, table: Table) -> None:
    assert table in EVALUATION
    types = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", int | None: "INTEGER", float | None: "DOUBLE"}
    assert {field.name: types[field.type] for field in fields(row_class)} == table.types
    nullable = {field.name for field in fields(row_class) if field.type in (int | None, float | None)}
    assert nullable == {column.name for column in table.columns if column.nullable}


def test_the_published_file_is_as_declared(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"
    publish_small(path)
    with duckdb.connect(path, read_only=True) as connection:
        assert columns_of(connection, "main") == declared(PUBLISHED)


def test_differences_name_what_is_missing_too_much_or_of_another_type() -> None:
    table = Table("clean", "shops", (Column("shop_id", "BIGINT", nullable=False), Column("name", "VARCHAR")))
    assert table.differences({"shop_id": "BIGINT", "name": "VARCHAR"}) == []
    assert table.differences({"shop_id": "INTEGER", "city": "VARCHAR"}) == [
        "no column name (VARCHAR)",
        "undeclared column city (VARCHAR)",
        "column shop_id is INTEGER instead of BIGINT",
    ]
    assert table.differences({"name": "VARCHAR", "shop_id": "BIGINT"}) == [
        "the order is name, shop_id instead of shop_id, name"
    ]
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA clean;" + create_statements([table]))
        with pytest.raises(duckdb.ConstraintException):
            connection.execute("INSERT INTO clean.shops VALUES (NULL, 'x')")


def test_a_table_that_is_not_as_declared_is_refused_and_the_previous_tables_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = build(tmp_path, "movielens", FILES["movielens"], features=True)
    before = rows(warehouse, "SELECT * FROM clean.ratings")
    table = next(table for table in sql_tables("clean") if table.name == "ratings")
    monkeypatch.setitem(vars(table), "sql", table.sql.replace("AS FLOAT", "AS DOUBLE"))
    with pytest.raises(
        RecsysError, match=r"ratings\.sql: not as declared .*: column rating is DOUBLE instead of FLOAT"
    ):
        build(tmp_path, "movielens", FILES["movielens"])
    assert rows(warehouse, "SELECT * FROM clean.ratings") == before
