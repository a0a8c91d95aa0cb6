"""What makes the tables out of the raw files: the protocol that DuckDB and Spark implement, and the steps over it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from recsys_dagster.ingest.catalogue import Dataset
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.warehouse.declared_checks import check_declared
from recsys_dagster.warehouse.file_loading import LoadedFile
from recsys_dagster.warehouse.raw_files import Loaded
from recsys_dagster.warehouse.sql_files import SqlTable, clean_build_order, sql_tables

_ACCOUNT = {
    "source_file": "VARCHAR",
    "rows_in": "BIGINT",
    "rows_read": "BIGINT",
    "times": "BIGINT",
    "times_lost": "BIGINT",
    "lost_time": "VARCHAR",
}


class Engine(Protocol):
    """Runs SQL in DuckDB's dialect, over tables with names such as `clean.items`.

    The SQL can call `unescape_html`, `known_text` and `pseudonym`.
    """

    def read_raw(self, dataset: Dataset, manifest: Manifest, *, max_rejected: float) -> Loaded:
        """Read every file of a dataset into tables of the schema `raw`; see `recsys_dagster.warehouse.raw_files`.

        Raises:
            RecsysError: a quoted field is never closed, too many rows cannot be read, or the file is not of its type.
        """

    def create_table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Create a small table of rows; `columns` are the types by name."""

    def create_view(self, name: str, sql: str) -> None:
        """Create a view of a SELECT."""

    def materialise(self, table: SqlTable) -> None:
        """Create a table or view as the header of its SQL file says."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the few rows of a SELECT."""


def make_clean(engine: Engine, dataset: Dataset, loaded: Loaded) -> None:
    """Create the clean tables and the staging tables before them, of what was read.

    Raises:
        RecsysError: most rows do not fit to the declaration.
    """
    _create_domain(engine, dataset.scale, seed=0)
    _create_accounts(engine, loaded.files)
    declaration = dataset.declaration
    sums = declaration is not None and declaration.sums_repeats
    for table in clean_build_order(dataset.format.name, sums_repeats=sums):
        engine.materialise(table)
    if declaration is not None:
        check_declared(engine.query, declaration)


def make_features(engine: Engine, scale: tuple[float, float] | None, seed: int) -> None:
    """Create the tables of the features out of the clean tables; `seed` is that of folds that are made by hash."""
    _create_domain(engine, scale, seed)
    for table in sql_tables("features"):
        engine.materialise(table)


def _create_domain(engine: Engine, scale: tuple[float, float] | None, seed: int) -> None:
    """Create `staging.domain`: one row with what the SQL needs of the dataset and the settings."""
    columns = {"scale_low": "FLOAT", "scale_high": "FLOAT", "seed": "BIGINT"}
    low, high = (None, None) if scale is None else map(float, scale)
    engine.create_table("staging.domain", columns, [(low, high, seed % 2**31)])


def _create_accounts(engine: Engine, loaded: Sequence[LoadedFile]) -> None:
    """Create the staging tables on the raw files: their rows and times, the unparsable rows, and the line shifts."""
    rows = [
        (
            file.name,
            file.rows_read + file.rows_unparsable,
            file.rows_read,
            file.times,
            file.times_lost,
            file.lost_time,
        )
        for file in loaded
    ]
    engine.create_table("staging.source_files", _ACCOUNT, rows)
    for name in ("unparsable", "line_shifts", "users", "feedback"):
        engine.create_view(f"staging.{name}", f"SELECT * FROM raw.{name}")
