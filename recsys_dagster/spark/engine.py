"""Make the tables on Spark, as Parquet files."""

import html
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from sqlglot import exp

from recsys_dagster.ingest.catalogue import Dataset
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.spark.raw_files import read_raw
from recsys_dagster.spark.session import read_parquet
from recsys_dagster.spark.sql import known_text_sql, steps, to_spark, to_spark_type, view_name
from recsys_dagster.warehouse.database import pseudonym
from recsys_dagster.warehouse.raw_files import Loaded
from recsys_dagster.warehouse.sql_files import Materialisation, SqlTable

log = logging.getLogger(__name__)


class SparkEngine:
    """Makes the tables in a session; see `recsys_dagster.warehouse.engine.Engine`.

    Attributes:
        session: the session.
        folder: gets the tables, `<schema>/<table>/*.parquet`; those of `raw` and `staging` are needed only meanwhile.
        key: secret that pseudonyms are derived from.
    """

    def __init__(self, session: SparkSession, folder: Path, key: bytes = b"") -> None:
        self.session, self.folder, self.key = session, folder, key
        session.conf.set("spark.sql.timestampType", "TIMESTAMP_NTZ")  # a TIMESTAMP of DuckDB has no zone
        session.udf.register("unescape_html", _unescape_html, "string")
        session.udf.register("pseudonym", partial(_pseudonym, key=key), "bigint")
        known_text = f"known_text(text STRING) RETURNS STRING RETURN {known_text_sql('text')}"
        session.sql(f"CREATE OR REPLACE TEMPORARY FUNCTION {known_text}")

    def read_raw(self, dataset: Dataset, manifest: Manifest, *, max_rejected: float) -> Loaded:
        """Read every file of a dataset; see `Engine`."""
        return read_raw(self, dataset, manifest, max_rejected=max_rejected)

    def create_table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Create a small table of rows; see `Engine`."""
        schema = ", ".join(f"{column} {to_spark_type(kind)}" for column, kind in columns.items())
        self.register(name, self.session.createDataFrame([tuple(row) for row in rows], schema))

    def create_view(self, name: str, sql: str) -> None:
        """Create a view; see `Engine`."""
        self.register(name, self.session.sql(to_spark(sql)))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT; see `Engine`."""
        return [tuple(row) for row in self.session.sql(to_spark(sql)).collect()]

    def materialise(self, table: SqlTable) -> None:
        """Create a table, as Parquet, or a view; see `Engine`.

        A view that joins is written as well: Spark would join anew for each of the tables that read it.
        """
        name = f"{table.schema}.{table.name}"
        if table.materialisation is Materialisation.VIEW and table.query.find(exp.Join) is None:
            self.create_view(name, table.sql)
            return
        started = time.perf_counter()
        for step, sql in steps(table):
            schema = table.schema if step == table.name else "staging"
            path = str(self.folder / schema / step)
            self.session.sql(to_spark(sql)).write.parquet(path)
            self.register(f"{schema}.{step}", read_parquet(self.session, path))
        log.info("%s made in %.1f s", name, time.perf_counter() - started)

    def register(self, name: str, rows: DataFrame) -> None:
        """Let SQL read rows as the table `name`."""
        rows.createOrReplaceTempView(view_name(*name.split(".", 1)))

    def remove_intermediate(self) -> None:
        """Remove the tables that were needed only meanwhile."""
        for schema in ("raw", "staging"):
            shutil.rmtree(self.folder / schema, ignore_errors=True)


def _unescape_html(text: str | None) -> str | None:
    return None if text is None else html.unescape(text)


def _pseudonym(name: str | None, key: bytes) -> int | None:
    return None if name is None else pseudonym(name, key)
