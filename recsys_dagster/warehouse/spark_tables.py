"""Let Spark make the tables of a domain as Parquet files, and take them over into the domain's DuckDB file.

The DuckDB file counts: whoever trains, evaluates and publishes reads it as if DuckDB had made the tables. The Parquet
files stay for the next job of Spark, which reads them only if they are of the same build as the DuckDB file.
"""

import contextlib
import pickle
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from recsys_dagster.ingest.catalogue import Dataset
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.runtime.spark_process import run_spark
from recsys_dagster.runtime.storage import remove_leftovers, temporary_folder
from recsys_dagster.warehouse.database import Warehouse, quoted
from recsys_dagster.warehouse.raw_files import names_users
from recsys_dagster.warehouse.sql_files import sql_tables

_BUILD = "build"
"""File in the folder of a schema with the name of the build, which the schema's tables in DuckDB have as a comment."""


@dataclass(frozen=True)
class SparkTables:
    """The tables of a schema, which Spark has made.

    Attributes:
        schema: the schema.
        folder: has the Parquet files, `<table>/*.parquet`.
        result: of the job.
    """

    schema: str
    folder: Path
    result: dict[str, Any]

    def create(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Create the tables in DuckDB."""
        for table in sql_tables(self.schema):
            name = f"{self.schema}.{table.name}"
            files = quoted(self.folder / table.name / "*.parquet")
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM read_parquet({files})")
            build = (self.folder / _BUILD).read_text(encoding="ascii")
            connection.execute(f"COMMENT ON TABLE {name} IS {quoted(build)}")


@contextlib.contextmanager
def cleaned_on_spark(
    warehouse: Warehouse, dataset: Dataset, manifest: Manifest, max_rejected: float
) -> Iterator[SparkTables]:
    """Make the clean tables; they stay if the block succeeds.

    Raises:
        RecsysError: Spark is missing or failed, or as of `build_clean`.
    """
    pseudonymises = dataset.declaration.pseudonymise if dataset.declaration is not None else names_users(dataset)
    with _made(warehouse, "clean") as folder:
        inputs = folder / "inputs"
        inputs.write_bytes(pickle.dumps((dataset, manifest)))
        result = run_spark(
            "recsys_dagster.spark.tables:clean",
            {
                "inputs": str(inputs),
                "folder": str(folder),
                "key": warehouse.pseudonym_key().hex() if pseudonymises else "",
                "max_rejected": max_rejected,
            },
        )
        yield SparkTables("clean", folder / "clean", result)


@contextlib.contextmanager
def featured_on_spark(warehouse: Warehouse, scale: tuple[float, float] | None, seed: int) -> Iterator[SparkTables]:
    """Make the features of the clean tables; they stay if the block succeeds.

    Raises:
        RecsysError: Spark is missing or failed.
    """
    with _made(warehouse, "features") as folder:
        clean = _parquet_of_clean(warehouse, folder / "exported")
        arguments = {"clean": str(clean), "folder": str(folder), "scale": scale, "seed": seed}
        result = run_spark("recsys_dagster.spark.tables:features", arguments)
        yield SparkTables("features", folder / "features", result)


@contextlib.contextmanager
def _made(warehouse: Warehouse, schema: str) -> Iterator[Path]:
    """Yield a folder for the tables, and move those of the schema to their place if the block succeeds."""
    final = warehouse.parquet / schema
    final.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(final.parent, schema)
    with temporary_folder(final.parent, schema) as folder:
        (folder / schema).mkdir()
        (folder / schema / _BUILD).write_text(uuid.uuid4().hex, encoding="ascii")
        yield folder
        # A process that is killed in between leaves no or older files, which the next job of Spark does without.
        shutil.rmtree(final, ignore_errors=True)
        (folder / schema).rename(final)


def _parquet_of_clean(warehouse: Warehouse, folder: Path) -> Path:
    """Return the folder with the clean tables as Parquet; if those of Spark are not of the same build, write them."""
    final = warehouse.parquet / "clean"
    build = final / _BUILD
    with warehouse.connect() as connection:
        comments = connection.execute(
            "SELECT DISTINCT comment FROM duckdb_tables() WHERE schema_name = 'clean'"
        ).fetchall()
        if build.exists() and (build.read_text(encoding="ascii"),) in comments:
            return final
        for table in sql_tables("clean"):
            (folder / table.name).mkdir(parents=True)
            target = quoted(folder / table.name / "0.parquet")
            connection.execute(f"COPY clean.{table.name} TO {target} (FORMAT parquet, COMPRESSION zstd)")
    return folder
